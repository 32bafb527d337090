"""Lints of the scores of perturbed images: curves that do not begin and end where they must, or run backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.export.lint import Lint
from attneval.metrics.faithfulness import DELETION, ORDERED, in_random_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport

LEAST_CAPTIONS = 10
"""Captions below which nothing is said of the direction of curves."""
APART = 0.02
"""The share of the range of a caption's scores by which scores of one and the same input may differ: coarse types."""
MOST = 0.9
"""The share of captions whose score has to rise as regions are removed for curves to look as if they ran backwards."""


def lint_curves(export: AttentionExport) -> list[Lint]:
    """Look at the curves of an export."""
    curves = {name: np.asarray(scores, np.float64) for name, scores in export.curves.items()}
    if not all(np.isfinite(scores).all() for scores in curves.values()):
        return []
    return [*_lint_ends(export, curves), *_lint_direction(curves)]


def _lint_ends(export: AttentionExport, curves: dict[str, NDArray[np.float64]]) -> list[Lint]:
    """Look at whether all curves of a caption have the same scores with all regions and with none."""
    if not curves:
        return []
    falls = [name for name in curves if name in {DELETION, in_random_order(DELETION)}]
    ends = np.array([(scores if name in falls else scores[:, ::-1])[:, [0, -1]] for name, scores in curves.items()])
    spread = np.ptp(ends, axis=0).max(axis=1)
    extent = np.max([scores.max(axis=1) for scores in curves.values()], axis=0) - np.min(
        [scores.min(axis=1) for scores in curves.values()], axis=0
    )
    bad = np.flatnonzero(spread > APART * extent)
    if not len(bad):
        return []
    text = (
        f"{len(bad)} captions (first: {export.caption_name(int(bad[0]))}) have other scores with all regions, or with "
        f"none, in one of {', '.join(curves)} than in another: step 0 of deletion and step K of insertion are the "
        "whole image, step K of deletion and step 0 of insertion are what is left of it without any region"
    )
    return [Lint("curves-apart", text)]


def _lint_direction(curves: dict[str, NDArray[np.float64]]) -> list[Lint]:
    """Look at whether scores rise as regions are removed, or fall as they are kept."""
    lints = []
    for name in ORDERED:
        if name not in curves or len(curves[name]) < LEAST_CAPTIONS:
            continue
        rise = curves[name][:, -1] - curves[name][:, 0]
        wrong = int((rise > 0 if name == DELETION else rise < 0).sum())
        if wrong >= MOST * len(rise):
            way = "removed" if name == DELETION else "kept"
            text = (
                f"{name} {'rises' if name == DELETION else 'falls'} in {wrong} of {len(rise)} captions as regions are "
                f"{way}: curves begin at share 0 of the regions {way}, and a score is higher where a caption fits"
            )
            lints.append(Lint("curves-reversed", text))
    return lints
