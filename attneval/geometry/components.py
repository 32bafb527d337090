"""Connected parts of pictures, found from the runs of their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray


def largest_components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the largest connected part of each picture, 8 neighbours of a pixel being next to it.

    Args:
        mask: b[m, h, w].

    Returns:
        i8[k], ascending, the picture of each part, and i8[k, 4], the pixels from x1 and y1 to before x2 and y2 that
        enclose it: one part of each picture, several where they are equally large, none where nothing is marked.
    """
    line, start, stop = _runs(mask)
    part = _parts(line, start, stop, mask.shape[2])
    height = mask.shape[1] + 1
    count = len(line)
    size = np.bincount(part, stop - start, count).astype(np.int64)
    box = np.empty((count, 4), np.int64)
    for column, values, ufunc, least in (
        (0, start, np.minimum, mask.shape[2]),
        (1, line % height, np.minimum, height),
        (2, stop, np.maximum, 0),
        (3, line % height + 1, np.maximum, 0),
    ):
        box[:, column] = least
        ufunc.at(box[:, column], part, values)
    picture = line // height
    most = np.zeros(len(mask), np.int64)
    np.maximum.at(most, picture[part], size[part])
    chosen = np.flatnonzero((size > 0) & (size == most[picture]))
    return picture[chosen], box[chosen]


def _runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The runs of marked pixels, line by line: i8[r] each, their line, first pixel, and the pixel after their last.

    Lines are counted over all pictures, an empty one behind the last of each, so that no two pictures touch.
    """
    pictures, height, width = mask.shape
    padded = np.zeros((pictures, height + 1, width + 2), np.int8)
    padded[:, :height, 1:-1] = mask
    change = np.diff(padded.reshape(-1, width + 2), axis=1)
    line, start = np.nonzero(change == 1)
    return line, start, np.nonzero(change == -1)[1]


def _parts(line: NDArray[np.int64], start: NDArray[np.int64], stop: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """The first run of the connected part that each run is of, i8[r]."""
    # Runs of the next line that touch a run, corners included, stand one after the other.
    base = (line + 1) * (width + 2)
    first = np.searchsorted(line * (width + 2) + stop, base + start)
    count = np.maximum(np.searchsorted(line * (width + 2) + start, base + stop, side="right") - first, 0)
    upper, lower = np.repeat(np.arange(len(line)), count), ranges(first, count)
    part = np.arange(len(line))
    while True:
        one, other = part[upper], part[lower]
        differ = one != other
        if not differ.any():
            return part
        np.minimum.at(part, np.maximum(one, other)[differ], np.minimum(one, other)[differ])
        # Each run then takes the part of the run that it points to, until that is the first of all.
        while (part != (jumped := part[part])).any():
            part = jumped
