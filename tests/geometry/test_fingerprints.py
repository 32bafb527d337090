"""Fingerprints of regions, against a slow one and by laws."""

from __future__ import annotations

import hashlib
import struct
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest

from attneval.geometry.fingerprints import fingerprints

SIZE = np.array([[100, 50]])


def prints(*boxes: list[list[float]], image: list[int] | None = None, size: np.ndarray | None = None) -> list[str]:
    flat = np.array([box for group in boxes for box in group], np.float64).reshape(-1, 4)
    offset = np.concatenate(([0], np.cumsum([len(group) for group in boxes])))
    return fingerprints(flat, offset, np.array(image or range(len(boxes))), SIZE if size is None else size)


def slow(groups: list[list[list[float]]], width: int, height: int) -> str:
    """What the documents say, a number at a time: each different window once, its count and then its boxes."""
    seen: list[bytes] = []
    for group in groups:
        data = struct.pack("<q", len(group))
        for box in group:
            for value, limit in zip(box, (width, height, width, height), strict=True):
                clipped = Decimal(min(max(value, 0.0), float(limit)))
                data += struct.pack("<q", int((clipped * 100).to_integral_value(ROUND_HALF_EVEN)))
        if group and data not in seen:
            seen.append(data)
    count = sum(struct.unpack("<q", data[:8])[0] for data in seen)
    return f"{count}:{hashlib.sha256(b''.join(seen)).hexdigest()[:16]}"


def test_a_slow_one_agrees() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        groups = [(random.random((int(random.integers(0, 5)), 4)) * 120 - 10).tolist() for _ in range(3)]
        assert prints(*groups, image=[0, 0, 0]) == [slow(groups, 100, 50)]


def test_the_number_of_regions_can_be_read() -> None:
    assert prints([[0, 0, 10, 10], [5, 5, 20, 20]])[0].startswith("2:")
    assert prints([])[0].startswith("0:")


BASE = [[1.0, 2.0, 30.0, 40.0], [5.0, 6.0, 99.0, 49.5]]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ([[1.0, 2.0, 30.0, 40.0], [5.0, 6.0, 99.0, 49.5]], True),
        ([[1.004, 1.996, 30.0, 40.0], [5.0, 6.0, 99.0, 49.5]], True),
        ([[1.01, 2.0, 30.0, 40.0], [5.0, 6.0, 99.0, 49.5]], False),
        ([[5.0, 6.0, 99.0, 49.5], [1.0, 2.0, 30.0, 40.0]], False),
        ([[1.0, 2.0, 30.0, 40.0]], False),
    ],
)
def test_what_makes_regions_the_same(changed: list[list[float]], same: bool) -> None:
    assert (prints(BASE) == prints(changed)) is same


def test_boxes_are_clipped_and_zero_has_no_sign() -> None:
    assert prints([[-3.0, -0.001, 101.0, 50.4]]) == prints([[0.0, 0.0, 100.0, 50.0]])


def test_windows_count_unless_they_leave_nothing_out() -> None:
    both = [*BASE]
    whole = prints(both)
    assert prints(both, both, [], image=[0, 0, 0]) == whole
    assert prints(both[:1], both, image=[0, 0]) != whole
    assert prints(both[:1], both[1:], image=[0, 0]) != whole


def test_images_do_not_mix() -> None:
    size = np.array([[100, 50], [100, 50]])
    assert prints(BASE, BASE[:1], size=size) == prints(BASE) + prints(BASE[:1])
    assert prints(BASE[:1], BASE, image=[1, 0], size=size) == prints(BASE) + prints(BASE[:1])
