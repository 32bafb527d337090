"""What is checked about weights, boxes and spans, block by block as they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attneval.text import offsets_of, ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.columns import Report
    from attneval.export.content import AttentionExport, MapBlock, TokenBlock

SUM_TOLERANCE = {2: 2e-3, 4: 1e-3, 8: 1e-3}
"""How far a sum of weights may be from 1, by the bytes of a weight: half precision keeps eleven bits of each."""
EDGE_TOLERANCE = 0.01
"""Pixels by which a box may stand over the image, for single-precision arithmetic on its edges."""


def check_maps(
    report: Report, export: AttentionExport, direction: str, rows: NDArray[np.int64], block: MapBlock
) -> None:
    """Note weights that are no numbers, negative attention, and weights that do not sum to 1 where they should.

    Args:
        report: Where problems go.
        export: The export the block is from.
        direction: Which of its maps.
        rows: i8[k], the captions of the block.
        block: Their weights.
    """
    layout = _Rows.of(export, direction, rows, block)
    if not layout.real.any():
        return
    member = export.maps[direction].name
    flat = block.flat.astype(np.float32) if block.flat.dtype.itemsize < 4 else block.flat
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(flat, layout.start)
        smallest = flat.min()
    if not np.isfinite(sums[layout.real]).all():
        # A sum of huge but finite weights may overflow, so the weights themselves decide.
        finite = np.logical_and.reduceat(np.isfinite(flat), layout.start)
        if report.rows(member, layout.real & ~finite, "NaN or infinite weights", layout.name):
            return
    if export.header.kind != "attention":
        return
    if not smallest >= 0:
        least = np.minimum.reduceat(flat, layout.start)
        report.rows(member, layout.real & (least < 0), "negative weights, but kind is attention", layout.name)
    tolerance = SUM_TOLERANCE.get(block.flat.dtype.itemsize, 1e-3)
    over = "tokens" if direction == "i2t" else export.header.normalised_over
    if over == "none":
        return
    found = sums if over == "regions" else layout.sums_over_tokens(flat)
    wrong = ~(np.abs(found - 1) <= tolerance)
    name = layout.name if over == "regions" else layout.column_name
    report.rows(
        member,
        wrong & layout.real if over == "regions" else wrong,
        f"weights do not sum to 1 over {over}, so the axes may not be tokens x regions",
        lambda row: f"{name(row)} sums to {found[row]:.4g}",
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
    def of(cls, export: AttentionExport, direction: str, rows: NDArray[np.int64], block: MapBlock) -> _Rows:
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

    def sums_over_tokens(self, flat: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sums over each caption's tokens, by caption, channel and region; 1 where there is no such column."""
        channel = self.number // np.maximum(self.tokens, 1)[self.caption]
        first = offsets_of(len(self.export.channel) * self.regions)[self.caption] + channel * self.regions[self.caption]
        real = np.flatnonzero(self.real)
        width = self.regions[self.caption[real]]
        sums = np.bincount(ranges(first[real], width), flat[ranges(self.start[real], width)], self._columns())
        sums[np.repeat(self.tokens == 0, len(self.export.channel) * self.regions)] = 1
        return np.asarray(sums, np.float64)

    def column_name(self, row: int) -> str:
        bound = offsets_of(len(self.export.channel) * self.regions)
        caption = int(np.searchsorted(bound, row, side="right")) - 1
        region = (row - int(bound[caption])) % int(self.regions[caption])
        return f"{self.export.caption_name(int(self.captions[caption]))} region {region}"

    def _columns(self) -> int:
        return len(self.export.channel) * int(self.regions.sum())


def check_spans(report: Report, export: AttentionExport, rows: NDArray[np.int64], tokens: TokenBlock) -> None:
    """Note spans that lie outside their caption's text."""
    if export.token_span is None:
        return
    caption = np.repeat(np.arange(len(rows)), np.diff(tokens.offset))
    length = np.diff(tokens.text.offset)[caption]
    start, stop = tokens.span[:, 0], tokens.span[:, 1]
    special = (start == -1) & (stop == -1)
    bad = ~special & ((start < 0) | (stop < start) | (stop > length))

    def name(row: int) -> str:
        position = row - int(tokens.offset[caption[row]])
        return f"{export.caption_name(int(rows[caption[row]]))} token {position} has [{start[row]}, {stop[row]})"

    report.rows("token_span", bad, "spans outside the caption's text", name)


def check_boxes(
    report: Report,
    image_id: list[str],
    offset: NDArray[np.int64],
    box: NDArray[np.float64],
    size: NDArray[np.int64] | None,
) -> None:
    """Note boxes that are inverted, no numbers or outside their image.

    Args:
        report: Where problems go.
        image_id: The ids of k images.
        offset: i8[k+1], first box of each.
        box: f8[n, 4], their boxes.
        size: i8[k, 2], their widths and heights if known.
    """
    image = np.repeat(np.arange(len(image_id)), np.diff(offset))
    bad = ~np.isfinite(box).all(axis=1) | (box[:, 2] < box[:, 0]) | (box[:, 3] < box[:, 1]) | (box.min(axis=1) < 0)
    if size is not None:
        bad |= (box[:, 2:] > size[image] + EDGE_TOLERANCE).any(axis=1)

    def name(row: int) -> str:
        i = int(image[row])
        within = "" if size is None else f" in {size[i, 0]} x {size[i, 1]}"
        return f"{image_id[i]} region {row - int(offset[i])} {[round(float(v), 2) for v in box[row]]}{within}"

    report.rows("region_box", bad, "boxes inverted or outside their image, as x1, y1, x2, y2", name)
