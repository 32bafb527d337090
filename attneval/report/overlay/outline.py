"""The outline of several boxes together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

Segment = tuple[float, float, float, float]
"""x1, y1, x2, y2 of an upright or level line."""
Point = tuple[float, float]


def outline(box: NDArray[np.floating]) -> list[Segment]:
    """Trace where the union of boxes ends.

    Args:
        box: f[k, 4], x1, y1, x2, y2.

    Returns:
        Lines of full length, each once: level ones first, from top to bottom, then upright ones from left to right.
    """
    if not len(box):
        return []
    x, y = distinct_values(box[:, [0, 2]]), distinct_values(box[:, [1, 3]])
    covered = np.zeros((len(y) + 1, len(x) + 1), np.bool_)
    corner = np.stack(
        [np.searchsorted(x, box[:, 0]), np.searchsorted(y, box[:, 1]), np.searchsorted(x, box[:, 2]),
         np.searchsorted(y, box[:, 3])], axis=1,
    )  # fmt: skip
    for left, top, right, bottom in corner.tolist():
        covered[top + 1 : bottom + 1, left + 1 : right + 1] = True
    level = covered[1:] != covered[:-1]
    upright = covered[:, 1:] != covered[:, :-1]
    lines = [(float(x[a]), float(y[row]), float(x[b]), float(y[row])) for row, a, b in _runs(level[:, 1:-1])]
    return lines + [
        (float(x[column]), float(y[a]), float(x[column]), float(y[b])) for column, a, b in _runs(upright.T[:, 1:-1])
    ]


def loops(segments: list[Segment]) -> list[list[Point]]:
    """Join the lines of an outline, so that dashes run on around its corners.

    Args:
        segments: What `outline` returns.

    Returns:
        The corners of each closed line, level and upright sides in turn, the first of them level.
    """
    level: dict[Point, list[Point]] = defaultdict(list)
    upright: dict[Point, list[Point]] = defaultdict(list)
    for x1, y1, x2, y2 in segments:
        ends = level if y1 == y2 else upright
        ends[x1, y1].append((x2, y2))
        ends[x2, y2].append((x1, y1))
    closed = []
    for start in list(level):
        while level[start]:
            corners, here, sides = [start], start, (level, upright)
            while True:
                there = sides[0][here].pop()
                sides[0][there].remove(here)
                if there == start and sides[0] is upright:
                    break
                corners.append(there)
                here, sides = there, (sides[1], sides[0])
            closed.append(corners)
    return closed


def _runs(marked: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Row, start and stop of each run of marks."""
    change = np.diff(np.pad(marked, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    start, stop = np.argwhere(change == 1), np.argwhere(change == -1)
    return [(int(row), int(a), int(b)) for (row, a), (_, b) in zip(start, stop, strict=True)]
