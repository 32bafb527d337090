"""Pictures of items hold what was scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import attneval
from attneval.arrays.strings import Strings
from attneval.errors import AlignmentError, NothingToScoreError
from attneval.evaluation.pictures import Pictures, mask_pictures, read_pictures
from attneval.export.read.reader import open_export
from attneval.groundtruth import GroundTruth, open_ground_truth

FIXTURES = Path(__file__).parents[2] / "fixtures"
GT = FIXTURES / "entities"


def pictures(name: str, protocol: attneval.Protocol, image_id: list[str] | None = None) -> Pictures:
    return read_pictures(open_export(FIXTURES / f"{name}.npz"), open_ground_truth(GT), protocol, image_id)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"unit": "phrase"},
        {"threshold": "top:3"},
        {"unreachable": "zero"},
        {"pool": "max", "normalize": "softmax"},
        {"pointing": "center"},
    ],
)
@pytest.mark.parametrize("name", ["good", "noisy"])
def test_means_over_items_are_the_scores(name: str, fields: dict[str, str]) -> None:
    protocol = attneval.Protocol(**fields)  # type: ignore[arg-type]
    options = attneval.Options(items=True, resamples=0)
    result = attneval.score(FIXTURES / f"{name}.npz", GT, protocol=protocol, options=options)
    shown = pictures(name, protocol)
    table, stored = shown.table, result.items
    assert stored is not None
    assert list(table.image_id) == list(stored.image_id)
    for column in ("item_span", "item_kind", "item_scores", "attended", "relevant", "scored"):
        assert (getattr(table, column) == getattr(stored, column)).all()
    scored = table.scored
    for metric, values in (("ap", shown.ap), ("pointing", shown.pointing)):
        assert result[metric] == pytest.approx(np.nan_to_num(values[scored]).mean(), rel=1e-9)
    relevant = [table.members(item, table.relevant) for item in range(len(table))]
    mass = [shown.weight[item][relevant[item]].sum() / shown.weight[item].sum() for item in range(len(table))]
    assert result["mass"] == pytest.approx(np.array(mass)[scored].mean(), rel=1e-9)


def test_shapes_and_phrases_are_the_annotated_ones() -> None:
    shown = pictures("good", attneval.Protocol())
    truth = open_ground_truth(GT).read(list(shown.table.image_id))
    row = {name: k for k, name in enumerate(truth.image_id)}
    for item in range(0, len(shown.table), 7):
        caption = int(shown.table.item_caption[item])
        image = row[str(shown.table.image_id[shown.table.image_of(item)])]
        place = int(truth.caption_offset[image]) + int(shown.table.caption_index[caption])
        assert truth.text[place] == shown.table.caption_text[caption]
        phrases = range(int(truth.phrase_offset[place]), int(truth.phrase_offset[place + 1]))
        found = [p for p in phrases if truth.span[truth.span_offset[p]].tolist() == shown.phrase[item].tolist()]
        assert len(found) == 1
        entity = int(truth.phrase_entity[found[0]])
        boxes = truth.box[truth.box_offset[entity] : truth.box_offset[entity + 1]]
        assert (boxes == shown.shapes[item]).all()
        a, b = shown.table.item_span[item].tolist()
        assert shown.phrase[item][0] < b
        assert a < shown.phrase[item][1]


def test_some_images_are_read_alone() -> None:
    every = pictures("noisy", attneval.Protocol())
    names = [str(name) for name in every.table.image_id]
    chosen = [names[30], names[4]]
    some = pictures("noisy", attneval.Protocol(), chosen)
    assert list(some.table.image_id) == [names[4], names[30]]
    rows = [r for r in range(len(every.table)) if names[every.table.image_of(r)] in chosen]
    assert len(rows) == len(some.table)
    for mine, other in zip(range(len(rows)), rows, strict=True):
        assert (some.weight[mine] == every.weight[other]).all()
        assert (some.shapes[mine] == every.shapes[other]).all()
    assert (some.image_size == every.image_size[[4, 30]]).all()
    assert (some.grid == 0).all()


def test_what_has_no_pictures_is_refused() -> None:
    with pytest.raises(AlignmentError, match=r"1 images are not in .*nobody"):
        pictures("good", attneval.Protocol(), ["nobody"])
    with pytest.raises(NothingToScoreError, match="only words have pictures"):
        pictures("good", attneval.Protocol(direction="i2t"))


def test_grids_keep_their_shape(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "grid.npz"
    truth = open_ground_truth(GT)
    name = truth.image_ids()[0]
    read = truth.read([name])
    words = read.text[0].split()
    with attneval.ExportWriter(path, normalised_over="regions") as out:
        out.add_image(name, size=tuple(read.image_size[0].tolist()), grid=(3, 5))
        out.add_caption(name, random.dirichlet(np.ones(15), len(words)), index=0, tokens=words)
    shown = read_pictures(open_export(path), truth, attneval.Protocol(missing="skip", overlap="iof"))
    assert shown.grid.tolist() == [[3, 5]]


def test_masks_as_coarse_pictures() -> None:
    """The middle pixel of each cell, of two masks together, held against pycocotools."""
    from pycocotools import mask as coco

    random = np.random.default_rng(2)
    height, width = 330, 500
    pixels = [random.random((height, width)) < 0.3, np.zeros((height, width), np.bool_)]
    pixels[1][40:200, 100:300] = True
    encoded = [coco.encode(np.asfortranarray(own, np.uint8))["counts"] for own in pixels]
    truth = GroundTruth(
        image_id=["7"],
        image_size=np.array([[width, height]]),
        caption_offset=np.array([0, 0]),
        caption_index=np.zeros(0, np.int64),
        text=Strings.from_texts([]),
        phrase_offset=np.zeros(1, np.int64),
        phrase_entity=np.zeros(0, np.int64),
        phrase_types=np.zeros(0, np.int64),
        span_offset=np.zeros(1, np.int64),
        span=np.zeros((0, 2), np.int64),
        entity_offset=np.array([0, 2]),
        box_offset=np.array([0, 1, 2]),
        box=np.array([[0.0, 0, 9, 9], [0, 0, 9, 9]]),
        mask_offset=np.array([0, 2, 2]),
        mask=np.frombuffer(b"".join(encoded), np.uint8),
        mask_at=np.cumsum([0, *map(len, encoded)]),
        mask_area=np.array([own.sum() for own in pixels]),
    )
    (shown,) = mask_pictures(truth, [0, 1, 0]).values()
    both = pixels[0] | pixels[1]
    assert shown.shape == (83, 125)
    for row in range(83):
        for column in range(125):
            assert shown[row, column] == both[min(4 * row + 2, height - 1), min(4 * column + 2, width - 1)]
