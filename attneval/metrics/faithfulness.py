"""The metrics of faithfulness, declared: how a model's own score follows the regions that its attention points at.

A map may lie where people point and still not be what the model goes by. So regions are removed in the order of
attention (`deletion`), or kept in that order (`insertion`), share by share, and the model's own score of the image with
its caption is held against what it becomes in random order. No annotation is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.metrics.declaration import FAITHFULNESS, USE, Column, Metric
from attneval.metrics.registry import metrics, registrar
from attneval.metrics.values import ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

register = registrar(__name__)

DELETION, INSERTION = ORDERED = ("deletion", "insertion")
"""Regions removed, or kept, the most attended first."""
_RANDOM = "_random"
CURVES = (*ORDERED, *(f"{name}{_RANDOM}" for name in ORDERED))
"""The names of the curves that an export may carry of each caption."""
TERMS = {
    "deletion": "The curve of a caption, in an export, of what the model's own score of it and its image becomes while "
    "regions are removed in the order of attention, the most attended first, share by share.",
    "insertion": "The curve of a caption of what the model's own score becomes while only some regions are kept, the "
    "most attended first, share by share.",
    "deletion_random": "As deletion, in random order: the mean over at least 8 orders.",
    "insertion_random": "As insertion, in random order: the mean over at least 8 orders.",
    "faithfulness": "How far a model's own score follows the regions that its attention points at: deletion_gap and "
    "insertion_gap, from the curves that an export may carry (attneval export --perturb K). No annotation is asked, so "
    "that it says nothing of whether people would point there.",
}
"""The words of this view, for `attneval explain`."""
_CITATION = (
    "Petsiuk et al., RISE, BMVC 2018 (deletion and insertion); Samek et al., Evaluating the Visualization of What a "
    "Deep Neural Network Has Learned, TNNLS 2017 (random order beside it)"
)


def in_random_order(curve: str) -> str:
    """Name the curve of random order that stands beside `deletion` or `insertion`."""
    return f"{curve}{_RANDOM}"


def gap_column(curve: str) -> str:
    """Name the metric of a curve, and the column that sums it."""
    return f"{curve}_gap"


def count_column(curve: str) -> str:
    """Name the column that counts the captions with a gap of a curve."""
    return f"{curve}_gap_n"


def has_faithfulness(columns: Mapping[str, object]) -> bool:
    """Tell whether sums are of perturbed images, by their columns."""
    return any(count_column(name) in columns for name in ORDERED)


def gaps(ordered: NDArray[np.floating], random: NDArray[np.floating], *, falling: bool) -> NDArray[np.float64]:
    """Compute the area between two curves as a share of how far the score goes between all regions and none.

    Args:
        ordered: f[n, K+1], the scores at shares 0, 1/K, ..., 1 of the regions, the most attended first.
        random: f[n, K+1], the same in random order.
        falling: True where regions are removed, so that faithful attention lies below random order.

    Returns:
        f8[n], positive for faithful attention; NaN where the score is the same with all regions and with none.
    """
    ordered, random = np.asarray(ordered, np.float64), np.asarray(random, np.float64)
    apart = random - ordered if falling else ordered - random
    area = (apart[:, 1:] + apart[:, :-1]).mean(axis=1) / 2
    range_of_scores = np.abs(ordered[:, 0] - ordered[:, -1])
    return np.asarray(np.divide(area, range_of_scores, out=np.full(len(area), np.nan), where=range_of_scores > 0))


def faithfulness_columns(
    curves: Mapping[str, NDArray[np.floating]], image: NDArray[np.int64], images: int
) -> dict[str, NDArray[np.float64]]:
    """Sum everything that the metrics of faithfulness need.

    Args:
        curves: f[N, K+1] by name, as an export has them.
        image: i8[N], the image of each caption.
        images: The number I of images.

    Returns:
        f8[I] by column, of the curves that are there.
    """
    table: dict[str, NDArray[np.float64]] = {}
    for metric in metrics(FAITHFULNESS):
        if not {metric.perturbed, in_random_order(metric.perturbed)} <= curves.keys():
            continue
        for name, column in metric.columns.items():
            table[name] = np.asarray(np.bincount(image, column.values(curves), images), np.float64)
    return table


def _gap(curve: str, title: str, definition: str) -> Metric:
    gap, count = gap_column(curve), count_column(curve)

    def values(curves: Any) -> NDArray[np.float64]:
        return gaps(curves[curve], curves[in_random_order(curve)], falling=curve == DELETION)

    return Metric(
        name=gap,
        title=title,
        group=FAITHFULNESS,
        higher_is_better=True,
        definition=f"{definition} As a share of the difference between the scores with all regions and with none; mean "
        "over captions for which these two differ. 0 for attention that is no better than random order, less if it is "
        "worse; a caption whose score hardly depends on the image can have a value of any size.",
        citation=_CITATION,
        columns={
            gap: Column(lambda curves: np.nan_to_num(values(curves)), over=count, at_most=(), signed=True),
            count: Column(lambda curves: np.isfinite(values(curves)).astype(np.float64), over=count, at_most=()),
        },
        value=ratio(gap, count),
        per=count,
        upper=np.inf,
        lower=-np.inf,
        compared=True,
        baseline=False,
        oracle=None,
        perturbed=curve,
        tables={USE: 10},
        difference_to="a random order",
    )


register(
    _gap(
        DELETION,
        "Deletion gap",
        "How much lower the model's own score of an image and its caption lies while regions are removed, the most "
        "attended first, than while they are removed in random order: the area between the curves over the share "
        "removed.",
    )
)
register(
    _gap(
        INSERTION,
        "Insertion gap",
        "How much higher the model's own score of an image and its caption lies while only some regions are kept, the "
        "most attended first, than while they are kept in random order: the area between the curves over the share "
        "kept.",
    )
)
