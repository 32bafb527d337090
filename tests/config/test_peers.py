"""What the evaluators of others measured on the same maps and annotations, reached through presets."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import box_reference
import numpy as np
import pytest
import reference_inputs
import word_reference
from numpy.typing import NDArray

import attneval
from attneval.config.presets import PRESETS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.realdata
PHRASES = 3868
Whole = NDArray[np.int64]


def scored(shared: Path, maps: str, preset: str, **fields: Any) -> attneval.Result:
    return attneval.score(
        shared / maps,
        shared / "flickr8k_entities.zip",
        protocol=dataclasses.replace(PRESETS[preset].protocol, **fields),
        options=attneval.Options(resamples=0),
    )


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        # Run by their own code, in %: MDETR's and GLIP's datasets/flickr_eval.py under both of its protocols.
        ("mdetr-any", {"r@1": 5.6360, "r@5": 27.4819, "r@10": 47.8025, "coverage": 81.3599}),
        ("mdetr-merged", {"r@1": 4.8345, "r@5": 25.5171, "r@10": 46.0186, "coverage": 82.5491}),
        # info-ground's recall and pointing accuracy.
        ("info-ground", {"r@1": 5.8687, "r@5": 27.8180, "r@10": 48.0352, "pointing": 69.8552}),
    ],
)
def test_values_of_peers_on_regions(shared: Path, preset: str, values: dict[str, float]) -> None:
    """To the last phrase: a phrase more or less is 0.0259 %."""
    result = scored(shared, "f8k285_regions.npz", preset)
    assert result.counts["items"] == PHRASES
    for name, value in values.items():
        measured = result[name]
        assert measured is not None
        assert measured * PHRASES == pytest.approx(round(value / 100 * PHRASES), abs=1e-6), name
        assert f"{100 * measured:.4f}" == f"{value:.4f}", name


def test_values_of_multigrounding_on_grids(shared: Path) -> None:
    """Its pointing accuracy is 72.5398 % of 3,201 phrases, 2,322 of them; ours is that of 2,322 2/3.

    The two thirds are of phrases whose enlarged map is largest in several pixels, only some of which lie in a box:
    its `numpy.argmax` takes the first of them, row by row, and here each counts by its share. Where the first is taken
    the number is the same, as the test after this one shows.

    Its attention correctness is 63.2806 % and adds up the mass of boxes, so that what two boxes of a phrase share
    counts twice. Over the union of boxes its enlarged maps have 61.0371 % (bilinear) and 61.4475 % (nearest cell).
    `area_mass` enlarges nothing: a cell's weight is spread evenly over its area. Nearest cells are the same but where
    a cell ends within a pixel, which then is of one cell wholly. It shows most for "Two guys" in 837919879#1: 0.5970
    here and 0.5899 there, in an image of 306 pixels, whose cells are 21.86 pixels wide.
    """
    result = scored(shared, "f8k285_grid.npz", "multigrounding")
    assert result.counts["items"] == 3201
    pointing, area_mass = result["pointing"], result["area_mass"]
    assert pointing is not None
    assert area_mass is not None
    assert pointing * 3201 == pytest.approx(2322 + 2 / 3, abs=1e-9)
    assert 100 * area_mass == pytest.approx(61.4109, abs=5e-5)


def test_values_of_gvd(shared: Path) -> None:
    """Its evaluator of the Flickr30k branch, a phrase's last word for its object word and class: 5.1363 and 6.0238 %.

    It asks for an IoU above 0.5, and no phrase has one of exactly that.
    """
    result = scored(shared, "f8k285_regions.npz", "gvd")
    assert result.counts["items"] == PHRASES
    values = [result[name] for name in ("class_pointing", "pointing")]
    assert [f"{100 * value:.4f}" for value in values if value is not None] == ["5.1363", "6.0238"]


def test_values_of_quantus(shared: Path) -> None:
    """PointingGame, attribution mass and AUC of phrases that have a relevant cell, by the centres of cells.

    It adds and orders weights in single precision.
    """
    result = attneval.score(
        shared / "f8k285_grid.npz",
        shared / "flickr8k_entities.zip",
        protocol=attneval.Protocol(unit="phrase", overlap="center"),
        options=attneval.Options(resamples=0),
    )
    assert result.counts["items"] - result.counts["unreachable"] == 3805
    assert result["pointing"] == pytest.approx(0.6341655716, abs=5e-11)
    assert result["mass"] == pytest.approx(0.5396054704, abs=1e-7)
    assert result["auc"] == pytest.approx(0.8104655752, abs=1e-6)


def test_values_of_tam(shared: Path) -> None:
    """Its Obj-IoU is .240564, its precision .589982, its recall .400600.

    `eval.py` line 176 enlarges the map with `cv2.resize` after tam.py has made 8 bits of it, which rounds each pixel
    to a 255th of the range; in full precision they are .240728, .589954 and .400864. The test after this one has the
    same numbers phrase by phrase.
    """
    names = ("map_iou", "map_precision", "map_recall")
    for fields, expected in (
        ({}, ["0.240564", "0.589982", "0.400600"]),
        ({"enlarge": "bilinear"}, ["0.240728", "0.589954", "0.400864"]),
    ):
        result = scored(shared, "f8k285_grid.npz", "tam", **fields)
        assert result.counts["items"] == PHRASES
        assert [f"{value:.6f}" for value in map(result.__getitem__, names) if value is not None] == expected


def taps_in_2048ths(cells: int, pixels: int, *, clamped: bool) -> tuple[Whole, Whole, Whole, Whole]:
    """The two cells that each pixel takes from, and how much in 2048ths, as OpenCV enlarges 8-bit pictures.

    Along lines the outermost cells go on alone; across them both cells are the outermost one.
    """
    place = ((np.arange(pixels) + 0.5) * (cells / pixels) - 0.5).astype(np.float32)
    low = np.floor(place).astype(np.int64)
    part = (place - low).astype(np.float32)
    if clamped:
        part[(low < 0) | (low >= cells - 1)] = 0
        low = np.clip(low, 0, cells - 1)
    first, second = (np.rint(share * np.float32(2048)).astype(np.int64) for share in (1 - part, part))
    return np.clip(low, 0, cells - 1), np.clip(low + 1, 0, cells - 1), first, second


def in_8_bits(cells: Whole, width: int, height: int) -> Whole:
    """`cv2.resize` of whole numbers from 0 to 255, bilinear."""
    left, right, first, second = taps_in_2048ths(cells.shape[1], width, clamped=True)
    lines = (cells[:, left] * first + cells[:, right] * second) >> 4
    above, below, first, second = taps_in_2048ths(cells.shape[0], height, clamped=False)
    halves = ((first[:, None] * lines[above]) >> 16) + ((second[:, None] * lines[below]) >> 16)
    return (halves + 2) >> 2


def otsu_level(levels: Whole) -> int:
    """Otsu's threshold of whole numbers from 0 to 255."""
    count = np.bincount(levels.ravel(), minlength=256).astype(np.float64)
    below, moment = np.cumsum(count), np.cumsum(count * np.arange(256))
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (moment[-1] * below - below[-1] * moment) ** 2 / (below * (below[-1] - below))
    return int(np.nan_to_num(between, nan=-1, posinf=-1).argmax())


def test_tam_to_the_last_phrase_in_8_bits(shared: Path) -> None:
    gt, path = shared / "flickr8k_entities.zip", shared / "f8k285_grid.npz"
    with np.load(path) as file:
        images = [str(image) for image in file["image_ids"]]
    truth = reference_inputs.read_entities(gt, images, edges="pixel")
    export = reference_inputs.read_export(path, {image: own.size for image, own in truth.items()})
    maps = {(own.image, own.index): own for own in export.maps}
    theirs: list[tuple[float, float, float]] = []
    for image_id, image in truth.items():
        width, height = image.size
        for index, caption in image.captions.items():
            own = maps[image_id, index]
            found = word_reference.tokens_of_words(own.tokens, caption.words)
            for phrase in caption.phrases:
                words = [word for word in phrase.words if word_reference.letters(caption.words[word])]
                boxes = image.entities.get(phrase.entity, [])
                if not boxes or not words:
                    continue
                inside = np.zeros((height, width), np.bool_)
                for x1, y1, x2, y2 in (map(int, box) for box in boxes):
                    inside[y1:y2, x1:x2] = True
                cells = np.asarray(own.weights[0][found[words[-1]][-1]], np.float64).reshape(14, 14)
                cells = np.floor((cells - cells.min()) / (cells.max() - cells.min()) * 255).astype(np.int64)
                pixel = in_8_bits(cells, width, height)
                attended = pixel > otsu_level(pixel)
                both = int((attended & inside).sum())
                theirs.append((both / (attended | inside).sum(), both / attended.sum(), both / inside.sum()))
    assert len(theirs) == PHRASES
    means = np.mean(theirs, axis=0)
    assert [f"{value:.6f}" for value in means.tolist()] == ["0.240564", "0.589982", "0.400600"]


def enlarging(cells: int, pixels: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The weight of each cell at each pixel, half-pixel centres, edges clamped: f8[pixels, cells]."""
    place = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(1 - np.abs(place[:, None] - np.arange(cells)), 0), np.float64)


def within(cells: int, pixels: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The share of each cell that lies in each pixel: f8[cells, pixels]."""
    edge, pixel = np.arange(cells + 1)[:, None] * pixels / cells, np.arange(pixels)
    length = np.minimum(edge[1:], pixel + 1) - np.maximum(edge[:-1], pixel)
    return np.asarray(np.maximum(length, 0) * cells / pixels, np.float64)


def test_the_same_pixel_by_pixel(shared: Path) -> None:
    """Every map enlarged wholly: the first of the top pixels hits 2,322 times, and by shares 2,322 2/3 times.

    Unions of boxes hold 61.0371 % of the bilinearly enlarged maps and 61.4475 % of those enlarged by nearest pixels.
    """
    gt, path = shared / "flickr8k_entities.zip", shared / "f8k285_grid.npz"
    with np.load(path) as file:
        images = [str(image) for image in file["image_ids"]]
    truth = reference_inputs.read_entities(gt, images, edges="raw")
    export = reference_inputs.read_export(path, {image: own.size for image, own in truth.items()})
    maps = {(own.image, own.index): own for own in export.maps}
    first, shares, bilinear, nearest, ours, phrases = 0, 0.0, 0.0, 0.0, 0.0, 0
    for image_id, image in truth.items():
        width, height = image.size
        down, across = enlarging(14, height), enlarging(14, width)
        rows, columns = (np.arange(n) * 14 // n for n in (height, width))
        for index, caption in image.captions.items():
            own = maps[image_id, index]
            found = word_reference.tokens_of_words(own.tokens, caption.words)
            for phrase in caption.phrases:
                words = [word for word in phrase.words if word_reference.letters(caption.words[word])]
                boxes = image.entities.get(phrase.entity, [])
                if not boxes or not words or box_reference.area_share(boxes, image.size) < 0.05:
                    continue
                phrases += 1
                cells = np.mean([own.weights[0][found[word]].mean(axis=0) for word in words], axis=0).reshape(14, 14)
                inside = np.zeros((height, width), np.bool_)
                accepted = np.zeros((height, width), np.bool_)
                for x1, y1, x2, y2 in (map(int, box) for box in boxes):
                    inside[y1:y2, x1:x2] = True
                    accepted[y1 : y2 + 1, x1 : x2 + 1] = True
                enlarged = down @ cells @ across.T
                top = enlarged >= enlarged.max() * (1 - 1e-12)
                first += int(accepted.ravel()[np.flatnonzero(top)[0]])
                shares += float(accepted[top].mean())
                bilinear += float(enlarged[inside].sum() / enlarged.sum())
                repeated = cells[rows][:, columns]
                nearest += float(repeated[inside].sum() / repeated.sum())
                # Boxes end between pixels, so that a cell's area inside is a sum over pixels.
                ours += float((cells * (within(14, height) @ inside @ within(14, width).T)).sum() / cells.sum())
    assert phrases == 3201
    assert first == 2322
    assert shares == pytest.approx(2322 + 2 / 3, abs=1e-9)
    percent = [100 * value / phrases for value in (bilinear, nearest, ours)]
    assert percent == pytest.approx([61.0371, 61.4475, 61.4109], abs=5e-5)
