"""Maps enlarged to images: by hand, pixel by pixel in the reference, and as scipy and torch have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import heat_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval import Protocol
from attneval.errors import ProtocolError
from attneval.geometry.components import largest_components
from attneval.geometry.enlarging import Taps
from attneval.geometry.masks import from_pixels
from attneval.geometry.pixel_sets import PixelSets
from attneval.geometry.strips import Strips
from attneval.geometry.top_pixels import GridOnImage
from attneval.metrics.enlarged_maps import EnlargedMaps
from attneval.metrics.map_boxes import Boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.metrics.enlarged_maps import PixelCounts

Box = tuple[float, float, float, float]
FIRST = np.zeros(1, np.int64)


def grid_of(rows: int, columns: int, size: tuple[int, int]) -> GridOnImage:
    affine = np.array([[size[0] / columns, size[1] / rows, 0.0, 0.0]])
    return GridOnImage(np.array([[rows, columns]]), affine, np.array([size]))


def maps_of(
    shape: tuple[int, int],
    size: tuple[int, int],
    boxes: list[Box],
    protocol: Protocol,
    detected: list[Box] | None = None,
) -> EnlargedMaps:
    """An image with one entity that has some boxes."""
    box, offset = np.array(boxes, np.float64).reshape(-1, 4), np.array([0, len(boxes)])
    pixels = PixelSets.from_boxes(grid_of(*shape, size), FIRST, box, offset, boxes=protocol.boxes)
    found = np.array(detected or [], np.float64).reshape(-1, 4)
    return EnlargedMaps(pixels, protocol, Boxes(box, offset), Boxes(found, np.array([0, len(found)])))


def counts(maps: EnlargedMaps, weight: list[list[float]]) -> tuple[float, float, int]:
    """Attended pixels, those in the shapes among them, and those of the shapes."""
    made: PixelCounts = maps.counts(np.array(weight, np.float64).reshape(1, -1), FIRST, FIRST)
    return float(made.attended[0]), float(made.both[0]), int(maps.shape_pixels[0])


def hit(maps: EnlargedMaps, weight: list[list[float]]) -> float:
    return float(maps.box_hits(np.array(weight, np.float64).reshape(1, -1), FIRST, FIRST)[0])


# ---------------------------------------------------------------- pixels, by hand


def test_cells_of_two_pixels() -> None:
    """Four cells of 2 x 2 pixels: the upper left one weighs more than 1/4."""
    nearest = Protocol(enlarge="nearest")
    weight = [[0.7, 0.1], [0.1, 0.1]]
    assert counts(maps_of((2, 2), (4, 4), [(0, 0, 2, 2)], nearest), weight) == (4, 4, 4)
    assert counts(maps_of((2, 2), (4, 4), [(1, 0, 4, 1)], nearest), weight) == (4, 1, 3)
    # Two boxes that overlap are a pixel once.
    assert counts(maps_of((2, 2), (4, 4), [(0, 0, 2, 2), (1, 1, 3, 3)], nearest), weight) == (4, 4, 7)
    assert counts(maps_of((2, 2), (4, 4), [(0, 0, 1, 1), (2, 2, 3, 3)], Protocol(enlarge="nearest", boxes="merged")), weight) == (4, 4, 9)  # fmt: skip # noqa: E501


def test_a_line_of_bilinear_pixels() -> None:
    """Two cells of four pixels, 0.8 and 0.2: 0.8 0.8 0.725 0.575 0.425 0.275 0.2 0.2."""
    taps = Taps.along(2, 4.0, 0.0, 8, "bilinear")
    line = taps.enlarge(np.array([[0.8, 0.2]]), 1)[0]
    assert line == pytest.approx([0.8, 0.8, 0.725, 0.575, 0.425, 0.275, 0.2, 0.2])
    weight = [[0.8, 0.2]]
    for threshold, attended in {
        "uniform": 4,
        "abs:0.7": 3,
        "max:0.5": 5,
        "mass:0.5": 3,
        "otsu": 4,
        "otsu:0.1": 6,
    }.items():
        maps = maps_of((1, 2), (8, 1), [(0, 0, 3, 1)], Protocol(enlarge="bilinear", threshold=threshold))
        assert counts(maps, weight) == (attended, min(attended, 3), 3), threshold


def test_an_even_map_is_attended_everywhere() -> None:
    for threshold in ("uniform", "abs:0.9", "max:1", "mass:0.1", "otsu"):
        maps = maps_of((2, 2), (5, 3), [(1, 1, 2, 2)], Protocol(enlarge="bicubic", threshold=threshold))
        assert counts(maps, [[0.25, 0.25], [0.25, 0.25]]) == (15, 1, 1)


def test_a_cutoff_of_a_picture_of_8_bits_is_one_of_weights() -> None:
    """The levels are 0, 25, 229 and 255; Otsu's lowest threshold is the upper edge of level 25, of 256 such."""
    maps = maps_of((1, 4), (4, 1), [(0, 0, 1, 1)], Protocol(enlarge="bilinear-8bit", threshold="otsu"))
    weight = 0.2 + 0.5 * np.array([[0, 0.1, 0.9, 1]])
    assert maps.cutoffs(weight, FIRST)[0] == pytest.approx(0.2 + 0.5 * 26 / 256, abs=1e-12)
    assert counts(maps, weight.tolist()) == (2, 0, 1)
    assert maps.cutoffs(np.full((1, 4), 0.25), FIRST)[0] == -np.inf


def test_masks_are_pixels() -> None:
    random = np.random.default_rng(1)
    mask = random.random((9, 11)) < 0.4
    strips = Strips.from_mask(from_pixels(mask), 9)
    grids = grid_of(3, 4, (11, 9))
    weight = random.random((1, 12))
    pixels = PixelSets.from_strips(grids, FIRST, strips)
    maps = EnlargedMaps(pixels, Protocol(enlarge="bilinear", threshold="otsu"))
    picture = heat_reference.Picture((3, 4), (11 / 4, 3.0, 0.0, 0.0), (11, 9), (), "edge", "inside")
    values = heat_reference.enlarged(tuple(weight[0]), picture, "bilinear")
    chosen = heat_reference.attended_pixels(tuple(weight[0]), values, "otsu")
    made = maps.counts(weight, FIRST, FIRST)
    assert (made.attended[0], made.both[0]) == (len(chosen), sum(mask[y, x] for x, y in chosen))
    assert maps.shape_pixels.tolist() == [mask.sum()]
    # The pointing game of the same mask: the share of the largest pixels that are its.
    for row in (weight, np.ones((1, 12)), np.repeat(weight[:, ::2], 2, axis=1)):
        top = heat_reference.top_pixels(tuple(row[0]), picture.shape, picture.affine, picture.size)
        expected = float(np.mean([mask[y, x] for x, y in top]))
        assert pixels.top_shares(row, FIRST, FIRST)[0] == pytest.approx(expected, abs=1e-12)
    around = PixelSets.from_strips(grids, FIRST, strips, boxes="merged")
    y, x = np.nonzero(mask)
    assert around.box.tolist() == [[x.min(), y.min(), x.max() + 1, y.max() + 1]]


def test_entities_without_a_mask_have_no_pixels() -> None:
    mask = np.zeros((4, 4), np.bool_)
    mask[:2, :2] = True
    one = Strips.from_mask(from_pixels(mask), 4)
    strips = Strips(np.array([0, 0, len(one.column), len(one.column)]), one.column, one.top, one.bottom)
    for boxes in ("any", "merged"):
        sets = PixelSets.from_strips(grid_of(2, 2, (4, 4)), np.zeros(3, np.int64), strips, boxes=boxes)
        maps = EnlargedMaps(sets, Protocol(enlarge="nearest"))
        assert maps.shape_pixels.tolist() == [0, 4, 0]
        weight, entity = np.array([[1.0, 0, 0, 0]]), np.arange(3)
        assert maps.counts(weight, np.zeros(3, np.int64), entity).both.tolist() == [0, 4, 0]
        # The top pixels are the upper left one and what is clamped to it.
        assert sets.top_shares(weight, np.zeros(3, np.int64), entity).tolist() == [0, 1, 0]


# ---------------------------------------------------------------- boxes, by hand


def test_the_box_around_the_largest_part() -> None:
    """Cells of 2 x 2 pixels; three corner cells reach half of the largest, two of which touch at a corner."""
    weight = [[0.3, 0.0, 0.0], [0.0, 0.3, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.4]]
    protocol = Protocol(enlarge="nearest", box_from="component:0.5")
    around_two: list[Box] = [(0, 0, 4, 4)]
    assert hit(maps_of((4, 3), (6, 8), around_two, protocol), weight) == 1
    assert hit(maps_of((4, 3), (6, 8), [(4, 6, 6, 8)], protocol), weight) == 0
    # Only the largest cell reaches 0.8 of itself.
    strict = Protocol(enlarge="nearest", box_from="component:0.8")
    assert hit(maps_of((4, 3), (6, 8), [(4, 6, 6, 8)], strict), weight) == 1
    # An IoU of 16 / 32 is enough, and 16 / 33 is not.
    assert hit(maps_of((4, 3), (6, 8), [(0, 0, 4, 8)], protocol), weight) == 1
    assert hit(maps_of((4, 3), (6, 8), [(0, 0, 4, 8.25)], protocol), weight) == 0


def test_equally_large_parts_share_the_hit() -> None:
    protocol = Protocol(enlarge="nearest", box_from="component:1")
    assert hit(maps_of((1, 3), (6, 2), [(0, 0, 2, 2)], protocol), [[0.5, 0.0, 0.5]]) == 0.5


def test_the_detected_box_with_the_largest_sum_over_the_root_of_its_area() -> None:
    """A line of pixels 0.8 0.8 0.725 0.575 0.425 0.275 0.2 0.2: sums 1.6, 2.9 and 4.0 over roots of 2, 4 and 8."""
    weight, detected = [[0.8, 0.2]], [(0.0, 0.0, 2.0, 1.0), (0.0, 0.0, 4.0, 1.0), (0.0, 0.0, 8.0, 1.0)]
    for power, best in {"0": 2, "0.5": 1, "1": 0}.items():
        protocol = Protocol(enlarge="bilinear", box_from=f"detections:{power}", iou=1.0)
        for number, box in enumerate(detected):
            assert hit(maps_of((1, 2), (8, 1), [box], protocol, detected), weight) == (number == best), power
    none = Protocol(enlarge="bilinear", box_from="detections:0.5")
    assert hit(maps_of((1, 2), (8, 1), [(0, 0, 8, 1)], none), weight) == 0
    # What covers nothing is no box, and of equally good ones each counts by its share.
    twice = [(0.0, 0.0, 4.0, 1.0), (0.0, 0.0, 4.0, 1.0), (3.0, 0.0, 3.0, 1.0)]
    assert hit(maps_of((1, 2), (8, 1), [(0, 0, 4, 1)], none, twice), weight) == 1


def test_boxes_in_numbers_of_pixels() -> None:
    """Under extent=pixel the last pixels are inside: the same box is a pixel shorter on paper."""
    protocol = Protocol(enlarge="nearest", box_from="component:1", extent="pixel", iou=1.0)
    assert hit(maps_of((1, 2), (8, 4), [(0, 0, 3, 3)], protocol), [[1.0, 0.0]]) == 1


# ---------------------------------------------------------------- against others


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_enlarging_as_torch_does(method: str, rows: int, columns: int, height: int, width: int, seed: int) -> None:
    torch = pytest.importorskip("torch")
    cells = np.random.default_rng(seed).random((2, rows, columns))
    how = {"mode": "nearest-exact"} if method == "nearest" else {"mode": method, "align_corners": False}
    expected = torch.nn.functional.interpolate(torch.from_numpy(cells)[None], size=(height, width), **how)[0].numpy()
    down = Taps.along(rows, height / rows, 0.0, height, method)
    across = Taps.along(columns, width / columns, 0.0, width, method)
    difference = np.abs(down.enlarge(across.enlarge(cells, 2), 1) - expected)
    if method == "nearest":
        # Where the middle of a pixel lies between two cells, rounding decides.
        y, x = ((np.arange(pixels) + 0.5) * n / pixels for pixels, n in ((height, rows), (width, columns)))
        difference = difference[:, np.abs(y - np.rint(y)) > 1e-5][:, :, np.abs(x - np.rint(x)) > 1e-5]
    assert difference.max(initial=0) < 1e-6
    # Sums over boxes need no pixel.
    start, stop = np.array([0, height // 3, 5]), np.array([height, height // 2 + 1, 2])
    sums = np.einsum("bh,mhw->mbw", down.between(start, stop, rows), cells)
    lines = down.enlarge(cells, 1)
    for number, (first, last) in enumerate(zip(start.tolist(), stop.tolist(), strict=True)):
        assert sums[:, number] == pytest.approx(lines[:, first:last].sum(axis=1), abs=1e-9)


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12), st.sampled_from([0.1, 0.4, 0.6, 0.9]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_components_as_scipy_labels_them(seed: int, height: int, width: int, share: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = np.random.default_rng(seed).random((3, height, width)) < share
    picture, box = largest_components(mask)
    made = {(int(p), *b) for p, b in zip(picture, box.tolist(), strict=True)}
    expected: set[tuple[int, ...]] = set()
    for number, one in enumerate(mask):
        label, count = ndimage.label(one, structure=np.ones((3, 3)))
        sizes = np.bincount(label.ravel(), minlength=count + 1)[1:]
        for part in np.flatnonzero(sizes == sizes.max(initial=0)):
            y, x = np.nonzero(label == part + 1)
            expected.add((number, int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1))
    assert made == expected


def albef(cells: NDArray[np.float64], size: tuple[int, int], detected: list[list[float]]) -> list[float]:
    """The detected box x, y, width, height that ALBEF's evaluator chooses."""
    torch = pytest.importorskip("torch")
    mask = torch.nn.functional.interpolate(torch.from_numpy(cells)[None, None], size=size[::-1], mode="bicubic")[0, 0]
    scores = []
    for x, y, width, height in detected:
        part = mask[int(y) : int(y + height), int(x) : int(x + width)]
        scores.append(float(part.sum()) / (width * height) ** 0.5)
    return detected[int(np.argmax(scores))]


@pytest.mark.parametrize("seed", range(12))
def test_detections_are_chosen_as_albef_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    size, cells = (97, 64), random.random((6, 6)) ** 4
    corner = random.uniform(0, [50, 30], (8, 2))
    detected = np.concatenate((corner, random.uniform(5, [47, 34], (8, 2))), axis=1)
    x, y, width, height = albef(cells, size, detected.tolist())
    edges = np.concatenate((detected[:, :2], detected[:, :2] + detected[:, 2:]), axis=1)
    protocol = Protocol(enlarge="bicubic", box_from="detections:0.5", iou=0.999)
    boxes: list[Box] = [(x1, y1, x2, y2) for x1, y1, x2, y2 in edges.tolist()]
    maps = maps_of((6, 6), size, [(x, y, x + width, y + height)], protocol, boxes)
    assert hit(maps, cells.tolist()) == 1


# ---------------------------------------------------------------- the protocol


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"box_from": "component:0.5"}, "enlarge is none"),
        ({"function_words": "english"}, "enlarge is none"),
        ({"enlarge": "bilinear", "threshold": "top:3"}, "counts cells"),
        ({"enlarge": "bilinear", "box_from": "component"}, "is not a rule"),
        ({"enlarge": "bilinear", "box_from": "component:0"}, "is not a rule"),
        ({"enlarge": "bilinear", "box_from": "component:1.1"}, "is not a rule"),
        ({"enlarge": "bilinear", "box_from": "detections:-1"}, "is not a rule"),
        ({"enlarge": "bilinear", "box_from": "detections:nan"}, "is not a rule"),
        ({"enlarge": "bilinear", "box_from": "largest:1"}, "is not a rule"),
        ({"enlarge": "area"}, "does not exist"),
        ({"enlarge": "bilinear-8bit"}, "is of weights"),
        ({"enlarge": "bilinear-8bit", "threshold": "abs:0.1"}, "is of weights"),
        ({"enlarge": "bilinear-8bit", "threshold": "otsu", "box_from": "detections:0.5"}, "rounds them"),
    ],
)
def test_what_says_nothing_is_refused(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        Protocol.from_dict(fields).check_together()


def test_older_signatures_enlarge_nothing() -> None:
    older = "|".join(part for part in Protocol().signature().split("|") if part.split(":")[0] not in {"enlarge", "box_from", "function_words"})  # fmt: skip # noqa: E501
    assert Protocol.parse(older) == Protocol()
    one = Protocol(enlarge="bilinear", box_from="component:0.50", function_words="english")
    assert one.box_from == "component:0.5"
    assert Protocol.parse(one.signature()) == one
