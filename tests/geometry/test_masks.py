"""Masks: rasterising, run lengths, and their overlap with regions against sums over pixels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mask_reference import compressed_runs, overlap, pixels_of, polygons_pixels, runs_pixels

from attneval.arrays.ragged import offsets_of
from attneval.geometry.mask_overlap import overlap_with_masks
from attneval.geometry.masks import from_compressed, from_pixels, from_polygons, from_runs, union
from attneval.geometry.strips import Strips, mask_areas, run_lengths

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def joined(masks: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return np.frombuffer(b"".join(masks), np.uint8), offsets_of(map(len, masks))


def made_polygon(random: np.random.Generator, width: int, height: int) -> list[float]:
    count = int(random.integers(3, 12))
    corners = random.uniform(-0.2, 1.2, (count, 2)) * [width, height]
    return [float(value) for value in corners.ravel()]


@pytest.mark.parametrize("seed", range(40))
def test_polygons_are_rasterised_by_the_rule(seed: int) -> None:
    random = np.random.default_rng(seed)
    width, height = (int(side) for side in random.integers(1, 40, 2))
    polygons = [made_polygon(random, width, height) for _ in range(random.integers(1, 4))]
    counts = from_polygons(polygons, (width, height))
    assert (pixels_of(counts, width, height) == polygons_pixels(polygons, width, height)).all()


def test_a_square_by_hand() -> None:
    # 2 x 2 pixels of an image 4 wide and 3 high, from column 1 and row 0 on.
    counts = from_polygons([[1, 0, 3, 0, 3, 2, 1, 2]], (4, 3))
    assert compressed_runs(counts) == [3, 2, 1, 2, 4]
    data = joined([counts])
    assert mask_areas(*data).tolist() == [4]
    strips = Strips.from_masks(*data, np.array([3]))
    assert strips.column.tolist() == [1, 2]
    assert strips.top.tolist() == [0, 0]
    assert strips.bottom.tolist() == [2, 2]
    # Half of a pixel column, and half of a pixel row of both.
    inside = strips.area_inside(np.array([[0.5, 0, 1.5, 3], [0, 1.5, 4, 3], [3, 0, 4, 3]]))
    assert inside.tolist() == [1, 1, 0]
    assert strips.holds(np.array([1.0, 2.99, 3.0, 0.99]), np.array([0.0, 1.99, 0.0, 0.0])).tolist() == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("seed", range(20))
def test_run_lengths_are_decompressed(seed: int) -> None:
    random = np.random.default_rng(seed)
    masks, pixels = [], []
    for _ in range(random.integers(0, 6)):
        width, height = (int(side) for side in random.integers(1, 60, 2))
        mask = random.random((height, width)) < random.choice([0, 0.02, 0.5, 0.98, 1])
        masks.append(from_pixels(mask))
        pixels.append(mask)
    data = joined(masks)
    runs, run_at = run_lengths(*data)
    for row, mask in enumerate(pixels):
        part = runs[run_at[row] : run_at[row + 1]].tolist()
        assert part == compressed_runs(masks[row])
        assert (runs_pixels(part, mask.shape[1], mask.shape[0]) == mask).all()
        size = (mask.shape[1], mask.shape[0])
        assert from_runs(part, size) == from_compressed(masks[row], size) == masks[row]
    assert mask_areas(*data).tolist() == [int(mask.sum()) for mask in pixels]


def made_regions(random: np.random.Generator, width: int, height: int, kind: str) -> NDArray[np.float64]:
    if kind == "grid":
        rows, columns = random.integers(1, 8, 2)
        y, x = np.linspace(0, height, rows + 1), np.linspace(0, width, columns + 1)
        return np.array([[x[c], y[r], x[c + 1], y[r + 1]] for r in range(rows) for c in range(columns)])
    low = random.uniform(0, 0.8, (9, 2)) * [width, height]
    high = low + random.uniform(0.05, 1, (9, 2)) * ([width, height] - low)
    return np.concatenate((low, high), axis=1)


@pytest.mark.parametrize("kind", ["grid", "boxes"])
@pytest.mark.parametrize("boxes", ["any", "union", "merged"])
@pytest.mark.parametrize("rule", ["iof", "iou", "center"])
def test_overlap_is_a_sum_over_pixels(rule: str, boxes: str, kind: str) -> None:
    random = np.random.default_rng([len(rule), len(boxes), len(kind)])
    for _ in range(6):
        images = int(random.integers(1, 4))
        size = random.integers(3, 30, (images, 2))
        regions = [made_regions(random, width, height, kind) for width, height in size.tolist()]
        image = np.sort(random.integers(0, images, 5))
        count = random.integers(0, 4, len(image))
        pixels = [
            [random.random(tuple(size[i][::-1])) < random.choice([0, 0.1, 0.6]) for _ in range(k)]
            for i, k in zip(image.tolist(), count.tolist(), strict=True)
        ]
        data = joined([from_pixels(mask) for masks in pixels for mask in masks])
        result = overlap_with_masks(
            *data,
            offsets_of(count),
            image=image,
            image_size=size,
            region=np.concatenate(regions),
            region_offset=offsets_of(map(len, regions)),
            overlap=rule,
            boxes=boxes,
        )
        assert len(result.offset) == len(image) + 1
        for entity, masks in enumerate(pixels):
            here = slice(*result.offset[entity : entity + 2].tolist())
            expected = [] if not masks else regions[image[entity]].tolist()
            values = [overlap(masks, region, rule, boxes) for region in expected]
            shares = [overlap(masks, region, "iof", "union") for region in expected]
            assert result.value[here].tolist() == pytest.approx(values, abs=1e-12)
            assert result.share[here].tolist() == pytest.approx(shares, abs=1e-12)


def test_a_union_counts_a_pixel_once() -> None:
    left, right = np.zeros((2, 4), np.bool_), np.zeros((2, 4), np.bool_)
    left[:, :3] = right[:, 1:] = True
    counts = union([from_pixels(left), from_pixels(right)], (4, 2))
    assert compressed_runs(counts) == [0, 8]


@pytest.mark.parametrize(
    ("polygons", "why"),
    [
        ([[1, 1, 2, 2]], "4 numbers"),
        ([[1, 1, 2, 2, 3]], "5 numbers"),
        ([[0, 0, 1, 0, 1, float("nan")]], "far outside"),
        ([[0, 0, 1, 0, 1, 101]], "far outside"),
    ],
)
def test_polygons_refused(polygons: list[list[float]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        from_polygons(polygons, (10, 10))


@pytest.mark.parametrize("runs", [[], [-1, 101], [50], [99, 2]])
def test_run_lengths_refused(runs: list[int]) -> None:
    with pytest.raises(ValueError, match="do not add up"):
        from_runs(runs, (10, 10))


@pytest.mark.parametrize("counts", [b"", b"\x00", b"P", b"~", b"0000000", b"oooooooooo0", b"d3h1"])
def test_compressed_run_lengths_refused(counts: bytes) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        from_compressed(counts, (10, 10))


@pytest.mark.realdata
def test_masks_of_real_outlines(shared: Path) -> None:
    data = json.loads((shared / "annotation_formats/coco/instances.json").read_text("utf-8"))
    size = {image["id"]: (image["width"], image["height"]) for image in data["images"]}
    for annotation in data["annotations"][:400]:
        width, height = size[annotation["image_id"]]
        outline = annotation["segmentation"]
        if annotation["iscrowd"]:
            counts = from_runs(outline["counts"], (width, height))
            expected = runs_pixels(outline["counts"], width, height)
        else:
            counts = from_polygons(outline, (width, height))
            expected = polygons_pixels(outline, width, height)
        assert (pixels_of(counts, width, height) == expected).all()
