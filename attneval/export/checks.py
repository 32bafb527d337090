"""What is checked about weights, boxes and spans, block by block as they are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.problems import FileProblems
    from attneval.export.read.content import AttentionExport, MapBlock, TokenBlock

SUM_TOLERANCE = {2: 2e-3, 4: 1e-3, 8: 1e-3, 16: 1e-3}
"""How far a sum of weights may be from 1, by the bytes of a weight: half precision keeps eleven bits of each."""
EDGE_TOLERANCE = 0.01
"""Pixels by which a box may stand over the image, for single-precision arithmetic on its edges."""


def check_maps(
    report: FileProblems, export: AttentionExport, direction: str, rows: NDArray[np.int64], block: MapBlock
) -> None:
    """Note weights that are no numbers, negative attention, and weights that do not sum to 1 where they should.

    Args:
        report: Where problems go.
        export: The export the block is from.
        direction: Which of its maps.
        rows: i8[k], the captions of the block.
        block: Their weights.
    """
    layout = _Rows.from_block(export, direction, rows, block)
    if not layout.real.any():
        return
    member, header = export.maps[direction].name, export.header
    flat = block.flat.astype(np.float32) if block.flat.dtype.itemsize < 4 else block.flat
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(flat, layout.start)
        smallest = flat.min()
    usable, no_number = layout.real, None
    # A sum of huge but finite weights may overflow, so the weights themselves decide.
    if not np.isfinite(sums[usable]).all():
        no_number = ~np.isfinite(flat)
        strange = usable & np.logical_or.reduceat(no_number, layout.start)
        usable = usable & ~strange
        report.rows(member, strange, "NaN or infinite weights", partial(layout.name_with, flat, no_number))
    if header.kind == "attention" and not smallest >= 0:
        negative = flat < 0
        bad = usable & np.logical_or.reduceat(negative, layout.start)
        text = "negative weights, but kind is attention"
        report.rows(member, bad, text, partial(layout.name_with, flat, negative))
    # What normalised_over says is said of `attention`; region-to-word weights are normalised over tokens.
    over = header.normalised_over if direction == "t2i" else "tokens" if header.kind == "attention" else "none"
    if over == "none":
        return
    name = layout.name
    if over == "tokens":
        sums, usable, name = layout.over_tokens(flat), layout.columns(), layout.column_name
        if no_number is not None:
            usable &= layout.over_tokens(no_number) == 0
    wrong = usable & ~(np.abs(sums - 1) <= SUM_TOLERANCE[block.flat.dtype.itemsize])
    report.rows(
        member,
        wrong,
        f"weights do not sum to 1 over {over}, so the axes may not be tokens x regions",
        lambda row: f"{name(row)} sums to {sums[row]:.4g}",
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """How a block of maps divides into rows of weights: one per caption, channel and token.

    The padded layout also stores rows that belong to no token; they are not `real`.
    """

    export: AttentionExport
    captions: NDArray[np.int64]  # k rows of the export
    tokens: NDArray[np.int64]  # of each caption
    regions: NDArray[np.int64]
    caption: NDArray[np.int64]  # of each row, 0..k-1
    number: NDArray[np.int64]  # of each row within its caption
    start: NDArray[np.int64]  # of each row, in elements
    real: NDArray[np.bool_]

    @classmethod
    def from_block(cls, export: AttentionExport, direction: str, rows: NDArray[np.int64], block: MapBlock) -> _Rows:
        tokens = export.token_offset[rows + 1] - export.token_offset[rows]
        image = export.caption_image[rows]
        regions = export.regions.offset[image + 1] - export.regions.offset[image]
        stored = export.maps[direction].size[rows] // np.maximum(regions, 1)
        caption = np.repeat(np.arange(len(rows)), stored)
        number = np.arange(len(caption)) - np.repeat(offsets_of(stored)[:-1], stored)
        real = number < (len(export.channel) * tokens)[caption]
        start = block.start[caption] + number * regions[caption]
        return cls(export, rows, tokens, regions, caption, number, start, real)

    def name(self, row: int) -> str:
        caption = self.caption[row]
        token = int(self.number[row]) % int(self.tokens[caption])
        return f"{self.export.caption_name(int(self.captions[caption]))} token {token}"

    def name_with(self, flat: NDArray[np.floating], bad: NDArray[np.bool_], row: int) -> str:
        """The name of a row and the first of its weights that is bad."""
        start = int(self.start[row])
        width = int(self.regions[self.caption[row]])
        first = start + int(np.argmax(bad[start : start + width]))
        return f"{self.name(row)} has {flat[first]:.4g}"

    def over_tokens(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Sums of values over each caption's tokens, by caption, channel and region."""
        channel = self.number // np.maximum(self.tokens, 1)[self.caption]
        first = self._bound()[self.caption] + channel * self.regions[self.caption]
        real = np.flatnonzero(self.real)
        width = self.regions[self.caption[real]]
        column, place = ranges(first[real], width), ranges(self.start[real], width)
        sums = np.bincount(column, values[place].astype(np.float64), int(self._bound()[-1]))
        return np.asarray(sums, np.float64)

    def columns(self) -> NDArray[np.bool_]:
        """Which columns, by caption, channel and region, have tokens and a region that is no padding."""
        image, size = self.export.caption_image[self.captions], self.export.image_size
        real = self.export.regions.real(image, None if size is None else size[image])
        copy = np.repeat(np.arange(len(self.captions)), len(self.export.channel))
        width = self.regions[copy]
        return real[ranges(offsets_of(self.regions)[copy], width)] & np.repeat(self.tokens[copy] > 0, width)

    def column_name(self, row: int) -> str:
        caption = int(np.searchsorted(self._bound(), row, side="right")) - 1
        region = (row - int(self._bound()[caption])) % int(self.regions[caption])
        return f"{self.export.caption_name(int(self.captions[caption]))} region {region}"

    def _bound(self) -> NDArray[np.int64]:
        """First column of each caption."""
        return offsets_of(len(self.export.channel) * self.regions)


def check_images(report: FileProblems, export: AttentionExport) -> None:
    """Note boxes that are none, and similarities that are no numbers."""
    regions, scores = export.regions, export.similarity
    if regions.box is not None:
        box = np.asarray(regions.box, np.float64)
        check_boxes(report, export.image_id, regions.offset, box, export.image_size, member=regions.member)
    if scores is None:
        return
    found = {}
    for row, image_id in enumerate(export.image_id):
        own = scores.rows(row, row + 1)[0]
        bad = ~np.isfinite(own)
        if bad.any():
            first = int(np.argmax(bad))
            found[row] = f"{image_id} with caption {export.caption_name(first)} has {own[first]}"
    strange = np.isin(np.arange(len(export.image_id)), list(found))
    report.rows("similarity", strange, "NaN or infinite scores", found.__getitem__)


def spans_outside(span: NDArray[np.integer], length: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which spans i[m, 2] neither lie in their texts, of i8[m] code points, nor mark a special token."""
    start, stop = span[:, 0], span[:, 1]
    bad = (stop < start) | (stop > length)
    if span.min(initial=0) < 0:
        bad |= (start < 0) & ((start != -1) | (stop != -1))
    return np.asarray(bad)


def check_spans(report: FileProblems, export: AttentionExport, rows: NDArray[np.int64], tokens: TokenBlock) -> None:
    """Note spans that lie outside their caption's text."""
    if export.token_span is None:
        return
    caption = np.repeat(np.arange(len(rows)), np.diff(tokens.offset))
    length = np.diff(tokens.text.offset)[caption]
    start, stop = tokens.span[:, 0], tokens.span[:, 1]
    bad = spans_outside(tokens.span, length)

    def name(row: int) -> str:
        position = row - int(tokens.offset[caption[row]])
        return f"{export.caption_name(int(rows[caption[row]]))} token {position} has [{start[row]}, {stop[row]})"

    report.rows("token_span", bad, "spans outside the caption's text", name)


def check_boxes(
    report: FileProblems,
    image_id: list[str],
    offset: NDArray[np.int64],
    box: NDArray[np.float64],
    size: NDArray[np.int64] | None,
    *,
    member: str,
) -> None:
    """Note boxes that are inverted, no numbers or outside their image.

    Args:
        report: Where problems go.
        image_id: The ids of k images.
        offset: i8[k+1], first box of each.
        box: f8[n, 4], their boxes.
        size: i8[k, 2], their widths and heights if known.
        member: The member that they are from.
    """
    image = np.repeat(np.arange(len(image_id)), np.diff(offset))
    bad = ~np.isfinite(box).all(axis=1) | (box[:, 2:] < box[:, :2]).any(axis=1)
    bad |= box.min(axis=1) < -EDGE_TOLERANCE
    if size is not None:
        bad |= (box[:, 2:] > size[image] + EDGE_TOLERANCE).any(axis=1)

    def name(row: int) -> str:
        i = int(image[row])
        within = "" if size is None else f" in {size[i, 0]} x {size[i, 1]}"
        return f"{image_id[i]} region {row - int(offset[i])} {[round(float(v), 2) for v in box[row]]}{within}"

    report.rows(member, bad, "boxes inverted or outside their image, as x1, y1, x2, y2", name)
