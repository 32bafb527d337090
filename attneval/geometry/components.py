"""Connected parts of pictures, 8 neighbours of a pixel being next to it, found from the runs of their lines.

A line of a picture is cut into runs of neighbouring pixels. Runs are few beside pixels, and parts are found among them:
each run points to the first run that it touches in the line above, which makes trees; where a run touches several,
trees are joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray


def largest_components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the largest connected part of each picture.

    Args:
        mask: b[m, h, w].

    Returns:
        i8[k], ascending, the picture of each part, and i8[k, 4], the pixels from x1 and y1 to before x2 and y2 that
        enclose it: one part of each picture, several where they are equally large, none where nothing is marked.
    """
    _, height, width = mask.shape
    pixel = np.flatnonzero(mask)
    run, part = connected_runs(pixel, (height, width))
    count = len(part)
    edge = np.flatnonzero(np.diff(run, prepend=-1))
    first, last = pixel[edge], pixel[np.append(edge[1:], len(pixel))[:count] - 1]
    size = np.bincount(part, last - first + 1, count).astype(np.int64)
    line = first // width
    box = np.empty((count, 4), np.int64)
    for column, values, ufunc, least in (
        (0, first % width, np.minimum, width),
        (1, line % height, np.minimum, height),
        (2, last % width + 1, np.maximum, 0),
        (3, line % height + 1, np.maximum, 0),
    ):
        box[:, column] = least
        ufunc.at(box[:, column], part, values)
    picture = line // height
    most = np.zeros(len(mask), np.int64)
    np.maximum.at(most, picture[part], size[part])
    chosen = np.flatnonzero((size > 0) & (size == most[picture]))
    return picture[chosen], box[chosen]


def connected_runs(pixel: NDArray[np.int64], shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut marked pixels into runs, and find those that are connected.

    Args:
        pixel: i8[p], the marked pixels, counted through all pictures, ascending.
        shape: Rows and columns of a picture.

    Returns:
        i8[p], the run of each pixel, counted from 0; and i8[k], for each run the first run of its connected part.
    """
    # A pixel begins a run if its left neighbour is not marked, or is at the end of the line before.
    begins = np.ones(len(pixel), np.bool_)
    begins[1:] = (np.diff(pixel) > 1) | (pixel[1:] % shape[1] == 0)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(pixel))[: len(first)] - 1
    return np.cumsum(begins) - 1, _joined(pixel[first], pixel[last], shape)


def _joined(start: NDArray[np.int64], stop: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.int64]:
    """The first run of the connected part of each run i8[k], from its first pixel and its last, i8[k] each."""
    height, width = shape
    # With a margin beside each row and a row between two pictures nothing touches what it should not.
    step = width + 2
    row = start // width
    shift = (row + row // height) * step + 1 - row * width
    start, stop = start + shift, stop + shift
    low, high = np.searchsorted(stop, start - 1 - step), np.searchsorted(start, stop + 1 - step, side="right")
    touched = np.maximum(high - low, 0)
    root = np.where(touched > 0, low, np.arange(len(start)))
    _shorten(root)
    several = np.flatnonzero(touched > 1)
    one = np.repeat(several, touched[several] - 1)
    other = ranges(low[several] + 1, touched[several] - 1)
    while len(one):
        one, other = root[one], root[other]
        apart = one != other
        one, other = one[apart], other[apart]
        # Roots point to smaller ones alone, so that no circle comes about.
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        _shorten(root)
    return root


def _shorten(root: NDArray[np.int64]) -> None:
    """Let each run point to the end of its chain."""
    while True:
        further = root[root]
        if (further == root).all():
            return
        root[:] = further
