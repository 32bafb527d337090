"""What looks wrong although it is well-formed: each lint fires on its fault, and on nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import assert_says, padded, problems, saved

from attneval.errors import ExportError
from attneval.export.image_ids import did_you_mean, nearest_ids
from attneval.export.lints import cheap_lints, lint, lint_orientation, lint_specificity
from attneval.export.read.boxfile import with_boxes
from attneval.export.read.reader import find_problems, open_export
from attneval.export.read.similarity import open_similarity
from attneval.export.write.writer import ExportWriter
from attneval.geometry.grids import orientations

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IMAGES, REGIONS, TOKENS = 20, 8, 6
SIZE = (500, 375)


def boxes(seed: int = 0) -> NDArray[np.float64]:
    """Boxes f8[images, regions, 4] that reach the edges of their images here and there."""
    random = np.random.default_rng(seed)
    low = random.uniform(0, 0.6, (IMAGES, REGIONS, 2))
    high = np.minimum(low + random.uniform(0.1, 0.6, low.shape), 1)
    low[:, 0], high[:, 0] = 0, 1
    return np.asarray(np.concatenate((low, high), axis=2) * np.tile(SIZE, 2), np.float64)


def exported(path: Path, **given: Any) -> Path:
    """An export of twenty images with three captions each, parts of it replaced."""
    random = np.random.default_rng(1)
    box = given.get("boxes", boxes())
    scores = given.get("weights", random.dirichlet(np.ones(box.shape[1]), (IMAGES, 3, TOKENS)))
    ids = given.get("ids", [str(1000 + row) for row in range(IMAGES)])
    with ExportWriter(path, normalised_over=given.get("over", "none"), check=False) as out:
        for row in range(IMAGES):
            out.add_image(ids[row], size=given.get("size", SIZE), boxes=box[row])
            for index in range(3):
                out.add_caption(ids[row], scores[row, index], index=index, tokens=given.get("tokens", list("abcdef")))
        if "similarity" in given:
            out.set_similarity(given["similarity"])
    return path


def kinds(path: Path) -> list[str]:
    return [found.kind for found in lint(open_export(path))]


def similarity(sign: float = 1.0) -> NDArray[np.float64]:
    return np.random.default_rng(2).normal(0, 1, (IMAGES, 3 * IMAGES)) + sign * 3 * np.repeat(np.eye(IMAGES), 3, axis=1)


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert kinds(exported(tmp_path / "maps.npz", similarity=similarity())) == []
    assert kinds(exported(tmp_path / "maps.npz", over="regions")) == []


WEIGHTS = np.random.default_rng(3).uniform(0, 1, (IMAGES, 3, TOKENS, REGIONS))
ZEROS = np.random.default_rng(3).dirichlet(np.ones(REGIONS), (IMAGES, 3, TOKENS))
ZEROS[:, 0, 0] = 0
FROM_1 = np.maximum(np.rint(boxes()), 1)
FAULTS: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "relative": ({"boxes": boxes() / np.tile(SIZE, 2)}, "boxes-relative", ("relative", "multiply")),
    "of 224": ({"boxes": boxes() / np.tile(SIZE, 2) * 224}, "boxes-of-the-input", ("224 x 224", "scale")),
    "of 336": ({"boxes": boxes() / np.tile(SIZE, 2) * 336}, "boxes-of-the-input", ("336 x 336",)),
    "of 384": ({"boxes": boxes() / 500 * 384}, "boxes-of-the-input", ("384 x 384",)),
    "of 640": ({"boxes": boxes() / 500 * 640, "size": (1000, 750)}, "boxes-of-the-input", ("640 x 640",)),
    "half": ({"boxes": boxes() / 2}, "boxes-of-a-smaller-image", ("50% of the width", "scale")),
    "from 1": ({"boxes": FROM_1}, "boxes-from-1", ("counted from 1", "x1 - 1")),
    "sigmoids": ({"weights": WEIGHTS}, "rows-sum-to-anything", ("sigmoids", "relevance")),
    "logits": ({"weights": WEIGHTS * WEIGHTS * 9}, "rows-sum-to-anything", ("before a softmax",)),
    "zero rows": ({"weights": ZEROS}, "rows-without-weight", ("6%", "row_mass")),
    "decoded": ({"tokens": ["caf", "\ufffd", "\ufffd", *"def"]}, "tokens-decoded", ("U+FFFD (120 times)", "spans")),
    "distance": ({"similarity": similarity(-1)}, "similarity-is-a-distance", ("distance", "minus")),
    "repeated": ({"similarity": np.repeat(similarity()[::4], 4, axis=0)}, "images-repeated", ("4 times", "[::4]")),
    "files": ({"ids": [f"val/{row}.jpg" for row in range(IMAGES)]}, "ids-of-files", ("val/0.jpg", "as 0, 1")),
    "twins": ({"ids": ["007", "7", *map(str, range(100, 118))]}, "ids-alike", ("'007' and '7'",)),
}


@pytest.mark.parametrize(("given", "kind", "parts"), FAULTS.values(), ids=FAULTS)
def test_what_looks_wrong(tmp_path: Path, given: dict[str, Any], kind: str, parts: tuple[str, ...]) -> None:
    path = exported(tmp_path / "maps.npz", **given)
    assert kinds(path) == [kind]
    (found,) = lint(open_export(path))
    assert_says(str(found), "look", *parts)
    listed, export = find_problems(path)
    assert listed == []
    assert export is not None
    assert export.warnings == (found.text,)


@pytest.mark.parametrize("name", ["good", "twin", "noisy", "uniform"])
def test_fixtures_look_right(fixtures: Path, name: str) -> None:
    assert lint(open_export(fixtures / f"{name}.npz")) == []


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["f8k285_regions", "f8k285_grid"])
def test_real_exports_look_right(shared: Path, name: str) -> None:
    assert lint(open_export(shared / f"{name}.npz")) == []


def test_sizes_that_only_annotations_know(tmp_path: Path) -> None:
    export = open_export(exported(tmp_path / "maps.npz", boxes=boxes() / 2, size=None))
    assert cheap_lints(export) == []
    (found,) = cheap_lints(export, np.tile(np.array(SIZE), (IMAGES, 1)))
    assert found.kind == "boxes-of-a-smaller-image"
    assert cheap_lints(export, np.zeros((IMAGES, 2), np.int64)) == []


def test_small_images_may_be_smaller_than_an_input(tmp_path: Path) -> None:
    assert kinds(exported(tmp_path / "maps.npz", boxes=boxes() / np.tile(SIZE, 2) * 224, size=(224, 224))) == []


def test_width_and_height_in_place_of_corners(tmp_path: Path) -> None:
    box = boxes()
    box[:, :, 2:] -= box[:, :, :2]
    (problem,) = problems(exported(tmp_path / "maps.npz", boxes=box))
    assert_says(problem, "inverted", "look like x, y, width, height", "add x and y")


def test_patches_without_a_grid(tmp_path: Path) -> None:
    for columns, expected in ((196, "[N, T, 14, 14]"), (197, "[..., 1:]"), (36, None), (200, None)):
        members = padded(attn=np.full((3, 3, columns), 1 / columns, np.float32), boxes=None)
        members["attn"][1, 1:] = members["attn"][2, 2:] = 0
        found = lint(open_export(saved(tmp_path / "maps.npz", members)))
        assert len(found) == (expected is not None)
        if expected:
            assert_says(str(found[0]), str(columns), "14 x 14", expected)


def test_a_bare_matrix_of_repeated_images_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", np.repeat(similarity(), 3, axis=0))
    with pytest.raises(ExportError) as caught:
        open_similarity([tmp_path / "scores.npy"], None)
    assert_says(str(caught.value), "scores.npy", "(60, 60)", "3 times", "[::3]")
    np.save(tmp_path / "scores.npy", similarity())
    assert open_similarity([tmp_path / "scores.npy"], None)[0].matrix.shape == (20, 60)
    np.save(tmp_path / "scores.npy", np.zeros((20, 60)))
    assert open_similarity([tmp_path / "scores.npy"], None)[0].matrix.shape == (20, 60)


@pytest.mark.parametrize(
    ("missing", "known"),
    [
        ("101669240.jpg", "101669240"),
        ("101669240", "101669240.jpg"),
        ("flickr/images/101669240.JPEG", "101669240"),
        ("flickr\\101669240", "101669240"),
        ("\ufeff101669240", "101669240"),
        (" 101669240\n", "101669240"),
        ("COCO_val2014_000000000042", "42"),
        ("000000000042.jpg", "42"),
        ("img-7", "img_7"),
    ],
)
def test_ids_that_differ_by_their_form(missing: str, known: str) -> None:
    assert nearest_ids([missing, "else"], ["5", known]) == {missing: known}
    assert nearest_ids([known], [known]) == {}
    assert did_you_mean(["else", missing], ["5", known]).endswith(f"did you mean {known!r} for {missing!r}?")
    assert not did_you_mean(["else"], ["5", known])


def test_a_file_of_boxes_with_ids_in_another_form(tmp_path: Path) -> None:
    export = open_export(exported(tmp_path / "maps.npz"))
    names = np.array([f"{1000 + row}.jpg" for row in range(IMAGES)])
    np.savez(tmp_path / "boxes.npz", image_ids=names, boxes=boxes().astype(np.float32))
    with pytest.raises(ExportError, match=r"20 of 20 images .*did you mean '1000\.jpg' for '1000'"):
        with_boxes(export, tmp_path / "boxes.npz")


def test_maps_that_are_no_better_than_shuffled() -> None:
    assert lint_specificity(0.15, 0.15, items=100, images=20)[0].kind == "maps-shuffled"
    assert lint_specificity(0.15, 0.15, items=99, images=20) == []
    assert lint_specificity(0.15, 0.15, items=100, images=19) == []
    assert lint_specificity(0.1701, 0.16, items=9144, images=285) == []


def test_grids_that_are_turned() -> None:
    random = np.random.default_rng(0)
    stored = random.normal(0.5, 0.5, 50)
    better, worse = stored + random.normal(1, 0.5, 50), stored - 0.25
    (found,) = lint_orientation(stored, {"transposed": better, "flipped": worse}, items=100)
    assert found.kind == "grid-turned"
    assert_says(str(found), "looks transposed", "row by row")
    assert lint_orientation(stored, {"flipped": worse}, items=100) == []
    assert lint_orientation(stored, {"transposed": better}, items=99) == []
    assert lint_orientation(stored[:19], {"transposed": better[:19]}, items=100) == []
    assert lint_orientation(stored, {"transposed": stored * 1.4}, items=100) == []  # by less than a half
    unsure = stored + np.where(np.arange(50) < 2, 20.0, 0)  # two images alone
    assert lint_orientation(stored, {"transposed": unsure}, items=100) == []
    assert lint_orientation(stored, {}, items=1000) == []


def test_orders_of_cells() -> None:
    grid = np.array([[1, 2, 3], [4, 5, 6]])
    stored = {"transposed": grid.T, "flipped left to right": grid[:, ::-1], "flipped upside down": grid[::-1]}
    found = orientations(2, 3)
    for name, order in found.items():
        assert stored.pop(name).ravel()[order].tolist() == [1, 2, 3, 4, 5, 6]
    assert stored == {}


@pytest.mark.realdata
def test_real_boxes_look_right(shared: Path, tmp_path: Path) -> None:
    folder = shared / "f8k_precomp"
    box, size = np.load(folder / "dev_boxes.npy"), np.load(folder / "dev_sizes.npy")
    ids = (folder / "dev_ids.txt").read_text("utf-8").split()
    maps = np.full((len(ids), 1, box.shape[1]), 1 / box.shape[1], np.float32)
    for sizes in (size, None):
        with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
            out.add_images(ids, size=sizes, boxes=box)
            out.add_captions(ids, maps, indices=[0] * len(ids), tokens=[["dog"]] * len(ids))
        export = open_export(tmp_path / "maps.npz")
        assert lint(export, size.astype(np.int64)) == []
