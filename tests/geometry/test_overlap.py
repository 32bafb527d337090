"""When a region is relevant: boxes worked out by hand, pycocotools, and the reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import box_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask

from attneval.arrays.ragged import offsets_of
from attneval.geometry import box_groups, shared_area
from attneval.geometry.box_groups import BoxGroup
from attneval.geometry.boxes import disjoint
from attneval.geometry.overlap import overlaps, relevant_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from reference_inputs import Box

    from attneval.arrays.index_sets import IndexSets

KINDS = ("iou", "iof", "center")
COMBINED = ("any", "merged", "union")


@dataclass
class Places:
    """Images with regions, and entities with boxes, each in an image."""

    regions: list[list[Box]]
    entities: list[tuple[int, list[Box]]]

    def relevant(self, overlap: str, boxes: str, threshold: float) -> list[list[int]]:
        return listed(
            relevant_regions(
                rows([box for _, own in self.entities for box in own]),
                offsets_of([len(own) for _, own in self.entities]),
                rows([box for own in self.regions for box in own]),
                offsets_of(list(map(len, self.regions))),
                np.array([image for image, _ in self.entities], np.int64),
                overlap=overlap,
                boxes=boxes,
                threshold=threshold,
            )
        )

    def expected(self, overlap: str, boxes: str, threshold: float) -> list[list[int]]:
        return [
            [
                k
                for k, region in enumerate(self.regions[image])
                if box_reference.overlap(region, own, overlap, boxes) >= threshold
            ]
            for image, own in self.entities
        ]


def rows(boxes: list[Box]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)


def listed(sets: IndexSets) -> list[list[int]]:
    found = [sets.member[a:b].tolist() for a, b in zip(sets.offset[:-1], sets.offset[1:], strict=True)]
    assert [len(own) for own in found] == sets.size.tolist()
    return found


# ---------------------------------------------------------------- by hand

# Two boxes of 10 x 10 that share a quarter: 175 pixels together, 225 in their enclosing box, whose corner cells of
# 25 pixels are in neither.
PAIR: list[Box] = [(0, 0, 10, 10), (5, 5, 15, 15)]


@pytest.mark.parametrize(
    ("region", "kind", "combine", "value"),
    [
        # Inside one box only: 50 pixels of which all lie in the first box.
        ((0, 0, 10, 5), "iou", "any", 50 / 100),
        ((0, 0, 10, 5), "iou", "merged", 50 / 225),
        ((0, 0, 10, 5), "iou", "union", 50 / 175),
        ((0, 0, 10, 5), "iof", "any", 1),
        ((0, 0, 10, 5), "iof", "merged", 1),
        ((0, 0, 10, 5), "iof", "union", 1),
        # The enclosing box itself, 225 pixels.
        ((0, 0, 15, 15), "iou", "any", 100 / 225),
        ((0, 0, 15, 15), "iou", "merged", 1),
        ((0, 0, 15, 15), "iou", "union", 175 / 225),
        ((0, 0, 15, 15), "iof", "any", 100 / 225),
        ((0, 0, 15, 15), "iof", "merged", 1),
        ((0, 0, 15, 15), "iof", "union", 175 / 225),
        # 7 x 7 pixels around the shared quarter: 49 in the first box, 9 in the second, which lie in the first as well.
        ((1, 1, 8, 8), "iou", "any", 49 / 100),
        ((1, 1, 8, 8), "iou", "merged", 49 / 225),
        ((1, 1, 8, 8), "iou", "union", 49 / 175),
        ((1, 1, 8, 8), "iof", "union", 1),
        # 3 x 14 pixels across both, at x 6 to 9: 30 in the first, 27 in the second, 12 in both.
        ((6, 0, 9, 14), "iou", "any", 30 / 112),
        ((6, 0, 9, 14), "iou", "merged", 42 / 225),
        ((6, 0, 9, 14), "iou", "union", 42 / 175),
        ((6, 0, 9, 14), "iof", "any", 30 / 42),
        ((6, 0, 9, 14), "iof", "merged", 1),
        ((6, 0, 9, 14), "iof", "union", 1),
        # A corner of the enclosing box that is in neither.
        ((10, 0, 15, 5), "iou", "any", 0),
        ((10, 0, 15, 5), "iou", "merged", 25 / 225),
        ((10, 0, 15, 5), "iou", "union", 0),
        ((10, 0, 15, 5), "iof", "merged", 1),
        ((10, 0, 15, 5), "iof", "union", 0),
        # Half in, half out.
        ((-5, 0, 5, 10), "iof", "any", 0.5),
        ((-5, 0, 5, 10), "iou", "any", 50 / 150),
    ],
)
def test_values_by_hand(region: Box, kind: str, combine: str, value: float) -> None:
    """A region is relevant at exactly its overlap and not above it."""
    place = Places([[region]], [(0, PAIR)])
    assert box_reference.overlap(region, PAIR, kind, combine) == pytest.approx(value, abs=1e-15)
    assert place.relevant(kind, combine, value + 1e-9) == [[]]
    if value:
        assert place.relevant(kind, combine, value - 1e-9) == [[0]]


@pytest.mark.parametrize(
    ("region", "combine", "inside"),
    [
        ((8, 0, 12, 4), "any", True),  # its centre (10, 2) lies on the edge of the first box
        ((8, 0, 12.001, 4), "any", False),
        ((8, 0, 12.001, 4), "merged", True),
        ((8, 0, 12.001, 4), "union", False),
        ((-1, -1, 1, 1), "any", True),  # centre (0, 0), a corner
        ((-1, -1, 0.999, 1), "merged", False),
        ((0, 0, 30, 30), "any", True),  # far larger than the boxes, centre (15, 15)
        ((10, 10, 12, 12), "union", True),
    ],
)
def test_centres_by_hand(region: Box, combine: str, inside: bool) -> None:
    for threshold in (0.01, 1.0):
        assert Places([[region]], [(0, PAIR)]).relevant("center", combine, threshold) == [[0] if inside else []]


def test_defaults_are_iou_any_and_a_half() -> None:
    place = Places([[(0, 0, 10, 5), (0, 0, 10, 4), (0, 0, 10, 20)]], [(0, PAIR)])
    sets = relevant_regions(rows(PAIR), offsets_of([2]), rows(place.regions[0]), offsets_of([3]), np.zeros(1, np.int64))
    assert listed(sets) == place.relevant("iou", "any", 0.5) == [[0, 2]]


# ---------------------------------------------------------------- layouts


def test_ragged_images() -> None:
    box: Box = (0, 0, 10, 10)
    far: Box = (20, 20, 30, 30)
    place = Places(
        [[far, box], [], [box], [far, far, box, box], [box, far]],
        [(3, [box]), (0, [box, far]), (1, [box]), (2, [far]), (4, [box]), (0, [far]), (3, [far, box, far])],
    )
    assert place.relevant("iou", "any", 0.5) == [[2, 3], [0, 1], [], [], [0], [0], [0, 1, 2, 3]]
    assert Places([], []).relevant("iou", "any", 0.5) == []
    assert Places([[box]], []).relevant("iou", "any", 0.5) == []
    assert Places([[]], [(0, [box])]).relevant("iou", "union", 0.5) == [[]]


def random_places(seed: int, entities: int = 40, size: int = 60) -> Places:
    """Whole-number boxes that overlap a lot, in images with few to many regions."""
    random = np.random.default_rng(seed)

    def some(count: int) -> list[Box]:
        low = random.integers(0, size, (count, 2))
        high = low + random.integers(1, size, (count, 2))
        return [(x1, y1, x2, y2) for (x1, y1), (x2, y2) in zip(low.tolist(), high.tolist(), strict=True)]

    regions = [some(int(count)) for count in random.choice([0, 1, 7, 7, 36], 6)]
    return Places(regions, [(int(random.integers(6)), some(int(random.integers(1, 5)))) for _ in range(entities)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("combine", COMBINED)
@pytest.mark.parametrize("threshold", [0.1, 0.5, 2 / 3, 1.0])
def test_the_reference_agrees(kind: str, combine: str, threshold: float) -> None:
    place = random_places(9)
    found = place.relevant(kind, combine, threshold)
    assert found == place.expected(kind, combine, threshold)
    assert sum(map(len, found)) or (kind == "iou" and threshold > 0.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("combine", COMBINED)
def test_how_the_work_is_cut_does_not_matter(kind: str, combine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = random_places(8)
    whole = place.relevant(kind, combine, 0.3)
    monkeypatch.setattr(box_groups, "PAIRS_AT_ONCE", 1)
    assert place.relevant(kind, combine, 0.3) == whole


# ---------------------------------------------------------------- pycocotools


@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.5, 0.7, 1 / 3]))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_pycocotools_agrees(seed: int, threshold: float) -> None:
    random = np.random.default_rng(seed)
    low = random.uniform(0, 400, (60, 2)).astype(np.float32).astype(np.float64)
    box = np.concatenate((low, low + random.uniform(1, 200, (60, 2)).astype(np.float32)), axis=1)
    # Some by whole numbers, whose overlaps fall on thresholds exactly.
    box[::2] = np.round(box[::2] / 50) * 50 + [0, 0, 50, 50]
    entity, region = box[:20], box[20:]
    lengths = [np.concatenate((b[:, :2], b[:, 2:] - b[:, :2]), axis=1) for b in (region, entity)]
    for kind, crowd in (("iou", 0), ("iof", 1)):
        # A crowd's overlap is the intersection over the other box's area.
        value = mask.iou(lengths[0], lengths[1], [crowd] * 20)
        sets = relevant_regions(
            entity, np.arange(21), region, offsets_of([40]), np.zeros(20, np.int64), overlap=kind, threshold=threshold
        )
        assert listed(sets) == [np.flatnonzero(column >= threshold).tolist() for column in value.T]


# ---------------------------------------------------------------- close calls


@pytest.mark.parametrize("combine", COMBINED)
@pytest.mark.parametrize("scale", [1, 7, 300])
def test_an_overlap_of_exactly_the_threshold_is_enough(combine: str, scale: int) -> None:
    # Half of the box, twice the box, and a third of it at two thirds of its length.
    box: Box = (0, 0, 6 * scale, 2 * scale)
    half: Box = (0, 0, 3 * scale, 2 * scale)
    double: Box = (0, 0, 6 * scale, 4 * scale)
    shifted: Box = (2 * scale, 0, 8 * scale, 2 * scale)  # 8 of 16 square units
    assert Places([[half, double, shifted]], [(0, [box])]).relevant("iou", combine, 0.5) == [[0, 1, 2]]
    assert Places([[half, double, shifted]], [(0, [box])]).relevant("iof", combine, 0.5) == [[0, 1, 2]]
    assert Places([[half]], [(0, [half])]).relevant("iou", combine, 1.0) == [[0]]
    assert Places([[half]], [(0, [half])]).relevant("iof", combine, 1.0) == [[0]]


@pytest.mark.parametrize("kind", ["iou", "iof"])
@pytest.mark.parametrize("combine", COMBINED)
@pytest.mark.parametrize("side", [1.0, 30.0, 500.0])
def test_close_calls_are_decided_in_double_precision(kind: str, combine: str, side: float) -> None:
    """Overlaps of 0.5 +- 1e-7 are less than a single-precision rounding apart from 0.5."""
    for delta, enough in ((1e-7, True), (-1e-7, False), (1e-12, True), (-1e-12, False)):
        box: Box = (3 * side, 2 * side, 4 * side, 3 * side)
        share = 0.5 + delta
        # A part of the box for iou; for iof a region of the box's height that stands over it.
        region: Box = (3 * side, 2 * side, 3 * side + share * side, 3 * side)
        if kind == "iof":
            region = (4 * side - share * side, 2 * side, 5 * side - share * side, 3 * side)
        exact = box_reference.overlap(region, [box], kind, combine)
        assert math.isclose(exact, share, abs_tol=1e-14)
        assert Places([[region]], [(0, [box])]).relevant(kind, combine, 0.5) == [[0] if enough else []]


@given(st.integers(0, 10**6), st.sampled_from(["iou", "iof"]), st.sampled_from(COMBINED))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_thresholds_that_are_an_overlap(seed: int, kind: str, combine: str) -> None:
    """The overlap of some pair as threshold: the pair is in, and the next larger threshold leaves it out."""
    place = random_places(seed, entities=3)
    place.regions[0] = place.regions[0] or [(0, 0, 5, 5)]
    place.entities = [(0, own) for _, own in place.entities]
    region = place.regions[0][seed % len(place.regions[0])]
    value = box_reference.overlap(region, place.entities[0][1], kind, combine)
    if value > 0:
        for threshold in (value, math.nextafter(value, 2)):
            assert place.relevant(kind, combine, threshold) == place.expected(kind, combine, threshold)


def pairs_at_close_calls(seed: int, count: int, near: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Regions of two to four pixels in a photograph of 24 megapixels, each with a box of nearly half its width."""
    random = np.random.default_rng(seed)
    low = random.uniform([5500, 3500], [6000, 4000], (count, 2))
    region = np.concatenate((low, low + random.uniform(2, 4, (count, 2))), axis=1)
    box = region.copy()
    box[:, 2] -= (region[:, 2] - region[:, 0]) * (0.5 + random.uniform(-near, near, count))
    return region, box


def found_in_pairs(region: NDArray[np.float64], box: NDArray[np.float64], **given: Any) -> NDArray[np.int64]:
    """Of images with one region and one box each, those whose region is relevant."""
    each = np.arange(len(region) + 1)
    return np.flatnonzero(relevant_regions(box, each, region, each, each[:-1], **given).size)


@pytest.mark.parametrize("near", [4e-4, 1e-7, 1e-12])
def test_close_calls_of_small_boxes_in_large_images(near: float) -> None:
    region, box = pairs_at_close_calls(3, 4000, near)
    pairs = zip(region.tolist(), box.tolist(), strict=True)
    expected = [box_reference.overlap(tuple(r), [tuple(b)], "iou", "any") >= 0.5 for r, b in pairs]
    wrong = np.setxor1d(found_in_pairs(region, box), np.flatnonzero(expected))
    assert len(wrong) == 0
    assert 1000 < sum(expected) < 3000


@pytest.mark.parametrize("kind", ["iou", "iof"])
@pytest.mark.parametrize("combine", COMBINED)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_single_precision_decides_nothing(
    kind: str, combine: str, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes that single precision cannot hold, far from the corner: the same as in double precision throughout."""
    place = random_places(12, entities=60, size=9)

    def moved(box: Box) -> Box:
        x1, y1, x2, y2 = (1e3 * scale + edge * scale / 3 for edge in box)
        return x1, y1, x2, y2

    place.regions = [[moved(box) for box in own] for own in place.regions]
    place.entities = [(image, [moved(box) for box in own]) for image, own in place.entities]
    thresholds = (0.25, 1 / 3, 0.5, 2 / 3, 0.75)
    found = [place.relevant(kind, combine, threshold) for threshold in thresholds]
    monkeypatch.setattr(shared_area, "ROUNDING", math.inf)  # nothing is ruled out
    differing = sum(own != place.relevant(kind, combine, t) for own, t in zip(found, thresholds, strict=True))
    assert differing == 0
    assert sum(len(sets) for own in found for sets in own) > 100


def test_boxes_too_small_for_single_precision() -> None:
    """A box that single precision has no width for is judged in double precision."""
    region = np.array([[4096.0001, 10.0, 4096.0002, 20.0], [4096.0001, 10.0, 4096.0003, 20.0]])
    box = np.array([[4096.0001, 10.0, 4096.0002, 20.0], [4096.0001, 10.0, 4096.00015, 20.0]])
    assert found_in_pairs(region, box).tolist() == [0]
    assert found_in_pairs(region, box, threshold=0.249).tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["iou", "iof"])
@pytest.mark.parametrize("add_up", [False, True])
def test_the_single_precision_trick_equals_its_definition(kind: str, add_up: bool) -> None:
    """All pairs that reach the threshold are found, and only those that are close calls may be none."""
    random = np.random.default_rng(5)
    low = random.integers(0, 40, (3 * 9 + 60, 2)).astype(np.float64)
    box = np.concatenate((low, low + random.integers(1, 40, low.shape)), axis=1)
    count = random.integers(1, 4, 25)
    offset = offsets_of(count)
    group_box, group_offset = box[27 : 27 + offset[-1]], offset
    if add_up:
        group_box, group_offset = disjoint(group_box, group_offset)
    group = BoxGroup(random.integers(0, 3, 25), group_box, group_offset, add_up)
    region = box[:27].reshape(3, 9, 4)
    entity, member = (part.ravel() for part in np.indices((25, 9)))
    value = overlaps(group, region, entity, member, overlap=kind)
    for threshold in (0.2, 1 / 3, 0.5, float(value[value > 0].min()), float(np.median(value[value > 0]))):
        found, key, close = shared_area.likely_pairs(group, region, overlap=kind, threshold=threshold)
        reaching = value.reshape(25, 9) >= threshold
        assert reaching[found[~close], key[~close]].all()
        likely = np.zeros_like(reaching)
        likely[found, key] = True
        assert not (reaching & ~likely).any()
        assert close.sum() < 0.2 * value.size
