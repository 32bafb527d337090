"""Places of relevant answers in a similarity matrix: how many answers score higher, and how many the same.

Relevance sets name several answers of a query, and only some of the images and captions as queries. Every query is
ranked among all answers of its fold, so that each (query, answer) needs two counts over a row or a column. Rows and
columns are counted in the same blocks of the matrix, which is never transposed and read twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.metrics.ranks import BLOCK_BYTES, ROWS, rows_of_fold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.metrics.ranks import Matrix

BEYOND = 2**40
"""Answers ahead of one whose place is of no interest, since it lies behind all ranks that count."""


@record
class Pairs:
    """Queries with relevant answers, p of them, each an image and a caption of one fold.

    Attributes:
        image: i8[p], rows of the matrix.
        caption: i8[p], columns of the matrix.
        depth: i8[p], the last rank that counts; behind it an answer's place need not be known.
    """

    image: NDArray[np.int64]
    caption: NDArray[np.int64]
    depth: NDArray[np.int64]


@record
class Places:
    """Places of p answers.

    Attributes:
        ahead: i8[p], answers to the same query that score higher; `BEYOND` if it is known that `depth` of them do.
        tied: i8[p], answers to the same query that score the same, itself included.
    """

    ahead: NDArray[np.int64]
    tied: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Places:
        """Take the places of the answers in some rows, i8[k]."""
        return Places(self.ahead[rows], self.tied[rows])


def answer_places(
    scores: Matrix, caption_fold: NDArray[np.int64], fold_of_image: NDArray[np.int64], i2t: Pairs, t2i: Pairs
) -> dict[str, Places]:
    """Count what scores higher than answers, and what the same, among the answers of their fold.

    Args:
        scores: Scores of I images with N captions, all of them finite.
        caption_fold: i8[N], the fold of each caption.
        fold_of_image: i8[I], the fold of each image, ascending.
        i2t: Pairs whose query is the image.
        t2i: Pairs whose query is the caption.

    Returns:
        Places of the pairs by direction, `i2t` and `t2i`.
    """
    places = {"i2t": _empty(len(i2t.image)), "t2i": _empty(len(t2i.image))}
    for fold in range(int(fold_of_image.max(initial=-1)) + 1):
        rows = np.flatnonzero(fold_of_image == fold)
        columns = np.flatnonzero(caption_fold == fold)
        asked = [np.flatnonzero(fold_of_image[pairs.image] == fold) for pairs in (i2t, t2i)]
        if len(asked[0]) or len(asked[1]):
            _count_fold(scores, rows, columns, _InRows(i2t, asked[0], places["i2t"]), (t2i, asked[1], places["t2i"]))
    return places


def _empty(count: int) -> Places:
    return Places(np.full(count, BEYOND, np.int64), np.ones(count, np.int64))


def _count_fold(
    scores: Matrix,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    in_rows: _InRows,
    in_columns: tuple[Pairs, NDArray[np.int64], Places],
) -> None:
    """Count a fold's rows for images, and its columns for captions."""
    pairs, chosen, places = in_columns
    # Answers of one caption read neighbouring entries of a block, and images come in the order of its rows.
    chosen = chosen[np.lexsort((pairs.image[chosen], pairs.caption[chosen]))]
    column, image = pairs.caption[chosen], pairs.image[chosen]
    value = _values(scores, rows, image, column)
    in_block = np.sort(image)
    everything = len(columns) == scores.shape[1]
    height = int(np.clip(BLOCK_BYTES // max(4 * max(len(columns), len(column)), 1), 1, ROWS))
    higher, equal = np.zeros(len(chosen), np.int64), np.zeros(len(chosen), np.int64)
    for start in range(0, len(rows), ROWS):
        # Counts of so few rows fit a byte, and bytes add up fastest.
        above = np.zeros(len(chosen), np.uint8)
        for first in range(start, min(start + ROWS, len(rows)), height):
            last = min(first + height, start + ROWS, len(rows))
            block = rows_of_fold(scores, rows, first, last)
            if len(chosen):
                part = block.take(column, axis=1)
                above += (part > value).view(np.uint8).sum(axis=0, dtype=np.uint8)
                same = part == value
                low, high = np.searchsorted(in_block, (rows[first], rows[last - 1] + 1))
                if np.count_nonzero(same) > high - low:  # others than the answers themselves, which is seldom
                    equal += same.view(np.uint8).sum(axis=0, dtype=np.uint8)
                else:
                    equal += (image >= rows[first]) & (image <= rows[last - 1])
            in_rows.count(block, int(rows[first]), columns, everything=everything)
        higher += above
    places.ahead[chosen], places.tied[chosen] = higher, equal


class _InRows:
    """Pairs whose query is an image, in the order of images, and the places found for them."""

    def __init__(self, pairs: Pairs, chosen: NDArray[np.int64], places: Places) -> None:
        self._chosen = chosen[np.argsort(pairs.image[chosen], kind="stable")]
        self._image, self._caption = pairs.image[self._chosen], pairs.caption[self._chosen]
        self._depth, self._places = pairs.depth[self._chosen], places

    def count(self, block: NDArray[np.floating], first: int, columns: NDArray[np.int64], *, everything: bool) -> None:
        """Count in the rows of a block, the first of which is of that image."""
        bound = np.searchsorted(self._image, np.arange(first, first + len(block) + 1)).tolist()
        for row, line in enumerate(block):
            low, high = bound[row], bound[row + 1]
            if low == high:
                continue
            value = line[self._caption[low:high]]
            gallery = line if everything else line[columns]
            for answer in np.argsort(-value, kind="stable").tolist():
                ahead = np.count_nonzero(gallery > value[answer])
                if ahead >= self._depth[low + answer]:
                    break  # the others score no higher
                place = self._chosen[low + answer]
                self._places.ahead[place] = ahead
                self._places.tied[place] = np.count_nonzero(gallery >= value[answer]) - ahead


def _values(
    scores: Matrix, rows: NDArray[np.int64], image: NDArray[np.int64], caption: NDArray[np.int64]
) -> NDArray[np.floating]:
    """The scores of pairs in a fold."""
    order = np.argsort(image, kind="stable")
    bound = np.searchsorted(image[order], rows[0] + np.arange(len(rows) + 1))
    pieces = []
    for first in range(0, len(rows), ROWS):
        last = min(first + ROWS, len(rows))
        chosen = order[bound[first] : bound[last]]
        pieces.append(rows_of_fold(scores, rows, first, last)[image[chosen] - rows[first], caption[chosen]])
    joined = np.concatenate(pieces)
    values = np.zeros(len(image), joined.dtype)
    values[order] = joined
    return values
