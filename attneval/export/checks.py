"""Checks of weights, boxes and spans, block by block as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.errors import ExportError
from attneval.export.lint_boxes import looks_like_width_and_height
from attneval.export.row_layout import RowLayout
from attneval.export.weight_checks import WeightRules, check_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.problems import FileProblems
    from attneval.export.read.content import AttentionExport, MapBlock, TokenBlock

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
        block: Their weights, in the type that they are stored in or a wider one.
    """
    layout = RowLayout.from_block(export, direction, rows, block)
    header = export.header
    dtypes = (export.maps[direction].dtype.name, header.weights_dtype)
    rules = WeightRules.from_header(header.kind, header.normalised_over, direction, *dtypes)

    def columns() -> NDArray[np.bool_]:
        image, size = export.caption_image[rows], export.image_size
        # Captions of an image may be over different windows of it, so the image is laid out for each of them.
        real = export.regions.real(image, None if size is None else size[image])
        stored = offsets_of(export.regions.offset[image + 1] - export.regions.offset[image])
        first, count = export.window(rows)
        return layout.columns_of_regions(real[ranges(stored[:-1] + first, count)])

    check_weights(
        report,
        export.maps[direction].name,
        layout,
        block.flat,
        rules,
        special=lambda: special_tokens(export, rows),
        columns=columns,
        mass=export.row_mass(rows) if direction == "t2i" else None,
    )


def special_tokens(export: AttentionExport, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """b[sum T], the tokens of some captions that stand for no text; none where their texts cannot be read."""
    try:
        tokens = export.tokens(rows)
    except ExportError:
        return np.zeros(int((export.token_offset[rows + 1] - export.token_offset[rows]).sum()), np.bool_)
    return (tokens.span[:, 1] <= tokens.span[:, 0]) & ~tokens.unknown


def check_images(report: FileProblems, export: AttentionExport) -> None:
    """Note boxes that are none, and similarities that are no numbers."""
    regions, scores = export.regions, export.similarity
    if regions.box is not None:
        box = np.asarray(regions.box, np.float64)
        check_boxes(report, export.image_id, regions.offset, box, export.image_size, member=regions.member)
    if scores is None:
        return
    bad_scores = {}
    for row, image_id in enumerate(export.image_id):
        row_scores = scores.rows(row, row + 1)[0]
        bad = ~np.isfinite(row_scores)
        if bad.any():
            first = int(np.argmax(bad))
            bad_scores[row] = f"{image_id} with caption {export.caption_name(first)} has {row_scores[first]}"
    bad_rows = np.isin(np.arange(len(export.image_id)), list(bad_scores))
    report.rows("similarity", bad_rows, "NaN or infinite scores", bad_scores.__getitem__)


def spans_outside(span: NDArray[np.integer], length: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find spans i[m, 2] that neither lie in their texts, of i8[m] code points, nor mark a special token."""
    start, stop = span[:, 0], span[:, 1]
    bad = (stop < start) | (stop > length)
    if span.min(initial=0) < 0:
        bad |= (start < 0) & ((start != -1) | (stop != -1))
    return np.asarray(bad)


def check_spans(report: FileProblems, export: AttentionExport, rows: NDArray[np.int64], tokens: TokenBlock) -> None:
    """Note spans that lie outside the text of their caption, of captions i8[c]."""
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

    text = "boxes inverted or outside their image, as x1, y1, x2, y2"
    if bad.any() and looks_like_width_and_height(box, None if size is None else size[image]):
        text += "; they look like x, y, width, height, so add x and y to the last two"
    report.rows(member, bad, text, name)
