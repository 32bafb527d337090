"""Weights, tokens and scores that look as if they were something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.export.checks import special_tokens
from attneval.export.lint import Lint
from attneval.export.row_layout import RowLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport, StoredMatrix

SAMPLE = 200
"""Captions, and images of a similarity matrix, that are looked at, evenly spread over the file."""
LEAST_ROWS = 100
"""Rows of weights below which nothing is said of them."""
ZERO_ROWS = 0.05
"""Share of rows without any weight from which rows look undefined."""
SPREAD = 0.25
"""Share of the mean sum by which nine of ten rows' sums must differ to look as if they were normalised over nothing."""
NEAR_ONE = 0.01
"""Distance from 1 within which the median sum speaks for normalised weights, whatever the others do."""
REPLACEMENT = 0xFFFD
"""The character that a decoder writes for bytes that are none."""
LEAST_QUERIES = 50
"""Captions below which nothing is said of similarities."""
FAR_BELOW = 0.25
"""Mean share of other captions below an image's own up to which scores look like distances; chance is a half."""
LEAST_REPEATED = 5
"""Images below which repeated rows of a similarity matrix are not looked for."""


def spread(count: int) -> NDArray[np.int64]:
    """Up to `SAMPLE` of some rows, evenly spread and ascending: i8[k]."""
    return distinct_values(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64)) if count else np.arange(0)


def lint_weights(export: AttentionExport) -> list[Lint]:
    """Look at a sample of the weights of an export that says nothing of their sums."""
    header = export.header
    if "t2i" not in export.maps or header.kind != "attention" or header.normalised_over != "none":
        return []
    rows = spread(len(export.caption_image))
    block = export.maps["t2i"].take(rows)
    layout = RowLayout.from_block(export, "t2i", rows, block)
    if layout.real.sum() < LEAST_ROWS:
        return []
    special = layout.of_tokens(special_tokens(export, rows))
    keep = layout.real & ~special
    flat = np.asarray(block.flat, np.float64)
    sums, top = (by.reduceat(flat, layout.start)[keep] for by in (np.add, np.maximum))
    if len(sums) < LEAST_ROWS or not np.isfinite(sums).all() or export.mass is not None:
        return []
    zero = float((top == 0).mean())
    if zero >= ZERO_ROWS:
        text = (
            f"{zero:.0%} of the rows have no weight at all: they look undefined, as those of a layer that does not see "
            "the image; give them by row_mass (ExportWriter: mass=), or leave the layer out"
        )
        return [Lint("rows-without-weight", text)]
    low, middle, high = np.quantile(sums, (0.05, 0.5, 0.95))
    if abs(middle - 1) <= NEAR_ONE or high - low < SPREAD * middle:
        return []
    what = "sigmoids" if top.max() <= 1 else "scores before a softmax"
    text = (
        f"weights look like {what}: rows sum to anything, nine of ten to {low:.3g} ... {high:.3g}; kind='relevance' "
        "(or 'logit' with --normalize softmax) says so, a softmax over regions makes attention of them"
    )
    return [Lint("rows-sum-to-anything", text)]


def lint_tokens(export: AttentionExport) -> list[Lint]:
    """Look for tokens that were decoded one by one, so that parts of characters became replacement characters."""
    if export.token_text is None:
        return []
    count, at_once, replaced = int(export.token_offset[-1]), 2**16, 0
    for start in range(0, count, at_once):
        tokens = export.token_text.take(np.arange(start, min(start + at_once, count)))
        replaced += int(np.count_nonzero(tokens.code == REPLACEMENT))
    if not replaced:
        return []
    text = (
        f"tokens hold U+FFFD ({replaced} times): they look decoded one by one, which loses parts of characters; write "
        "tokenizer.convert_ids_to_tokens(ids), or spans from return_offsets_mapping=True"
    )
    return [Lint("tokens-decoded", text)]


def lint_regions(export: AttentionExport) -> list[Lint]:
    """Look at regions without geometry whose number is that of the cells of a square grid."""
    if export.regions.known or not export.maps:
        return []
    count = distinct_values(np.diff(export.regions.offset))
    hint = grid_hint(int(count[0])) if len(count) == 1 else ""
    return [Lint("regions-without-boxes", f"there are no region boxes; {hint}")] if hint else []


def grid_hint(regions: int) -> str:
    """Say the way out for regions without boxes that look like the cells of a grid; empty if they do not."""
    side = round(regions**0.5)
    if side < 7 or side * side not in {regions, regions - 1}:
        return ""
    cells = f"{side} x {side}"
    if side * side == regions:
        return f"{regions} regions look like {cells} patches: give the maps as [N, T, {side}, {side}]"
    return f"{regions} regions look like {cells} patches and a [CLS] key: leave its column out, [..., 1:], and reshape"


def lint_similarity(export: AttentionExport) -> list[Lint]:
    """Look at scores of images with captions: whether they look like distances, and whether images are repeated."""
    scores = export.similarity
    if scores is None:
        return []
    repeated = lint_repeats(scores)
    if repeated:
        return repeated
    below, count = 0.0, 0
    for row in spread(scores.shape[0]).tolist():
        of_image = export.caption_image == row
        if not of_image.any() or of_image.all():
            continue
        values = np.asarray(scores.rows(row, row + 1)[0], np.float64)
        others = np.sort(values[~of_image])
        ranks = np.searchsorted(others, values[of_image], "left") + np.searchsorted(others, values[of_image], "right")
        below += float(ranks.sum()) / (2 * len(others))
        count += int(of_image.sum())
    return lint_distance(below / max(count, 1), count)


def lint_repeats(scores: StoredMatrix) -> list[Lint]:
    """Look at whether rows of a similarity matrix are those of repeated images."""
    images, captions = scores.shape
    repeats = 1
    if captions >= LEAST_QUERIES and images >= LEAST_REPEATED:
        repeats = repeated_rows(scores.rows(0, min(images, SAMPLE)))
    if repeats == 1:
        return []
    text = (
        f"images look repeated in similarity, {repeats} times each: features of repeated images were scored; "
        f"keep every row once, similarity[::{repeats}], or R@K from captions to images is too low"
    )
    return [Lint("images-repeated", text)]


def lint_distance(below: float, queries: int) -> list[Lint]:
    """Look at whether scores are highest for what belongs together.

    Args:
        below: The share of the wrong answers that score lower than a right one, in the mean over queries.
        queries: How many there are.
    """
    if queries < LEAST_QUERIES or below > FAR_BELOW:
        return []
    text = (
        f"similarity looks like a distance: an image and a caption that belong together score higher than only "
        f"{below:.0%} of the others, where chance is 50%; give minus the distance"
    )
    return [Lint("similarity-is-a-distance", text)]


def repeated_rows(scores: NDArray[np.floating]) -> int:
    """Count how often each row f[n, N] of a matrix stands there, if all do equally often; else 1."""
    if len(scores) < 2 or not np.isfinite(scores).all():
        return 1
    same = (scores[1:] == scores[:-1]).all(axis=1)
    first_new = int(np.argmin(same)) + 1 if not same.all() else len(scores)
    if first_new < 2 or first_new == len(scores):
        return 1
    expected = (np.arange(1, len(scores)) % first_new) != 0
    return first_new if (same == expected).all() else 1
