"""Image-text retrieval from a similarity matrix: ranks, and the metrics that are means of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.metrics.ranks import IMAGE_TO_TEXT, TEXT_TO_IMAGE, Ranks
from attneval.metrics.registry import Metric, Sums, ratio, register

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def retrieval_columns(ranks: dict[str, Ranks], images: int) -> dict[str, NDArray[np.float64]]:
    """Everything the metrics of retrieval need, per image: f8[I] by column."""
    table: dict[str, NDArray[np.float64]] = {}
    for direction, queries in ranks.items():
        for name, column in COLUMNS.items():
            values = column(queries) * queries.weight()
            table[f"{direction}_{name}"] = np.asarray(np.bincount(queries.image, values, images), np.float64)
    return table


COLUMNS: dict[str, Callable[[Ranks], NDArray[np.float64]]] = {
    "n": lambda queries: np.ones(len(queries.image)),
    "r@1": lambda queries: queries.hit(1),
    "r@5": lambda queries: queries.hit(5),
    "r@10": lambda queries: queries.hit(10),
    "rank": Ranks.rank,
}
_ASKED = {
    IMAGE_TO_TEXT: ("image-to-text", "image", "the best-ranked of its captions"),
    TEXT_TO_IMAGE: ("text-to-image", "caption", "its image"),
}
_TIES = "Equal scores count by their expected rank (ties=expected), as the worst or as the best."
_FAGHRI = "Faghri et al., VSE++, BMVC 2018; Lee et al., SCAN, ECCV 2018"


def _recall(direction: str, k: int) -> Metric:
    title, query, answer = _ASKED[direction]
    return Metric(
        name=f"{direction}_r@{k}",
        title=f"{title} R@{k}",
        group="retrieval",
        higher_is_better=True,
        definition=f"The share of {query} queries for which {answer} is among the {k} best scores. {_TIES}",
        citation=_FAGHRI,
        value=ratio(f"{direction}_r@{k}", f"{direction}_n"),
        per=f"{direction}_n",
        baseline=False,
    )


def _rank(direction: str, short: str, long: str, value: Callable[[Sums], NDArray[np.float64]]) -> Metric:
    title, query, answer = _ASKED[direction]
    return Metric(
        name=f"{direction}_{short}",
        title=f"{title} {long} rank",
        group="retrieval",
        higher_is_better=False,
        definition=f"The {long} over {query} queries of the rank of {answer}, counted from 1. {_TIES}",
        citation=_FAGHRI,
        value=value,
        per=f"{direction}_n",
        upper=np.inf,
        unit="rank",
        baseline=False,
    )


def _median_of(direction: str) -> Callable[[Sums], NDArray[np.float64]]:
    return lambda sums: sums[f"{direction}_medr"]


for _direction in (IMAGE_TO_TEXT, TEXT_TO_IMAGE):
    for _k in (1, 5, 10):
        register(_recall(_direction, _k))
    register(_rank(_direction, "medr", "median", _median_of(_direction)))
    register(_rank(_direction, "meanr", "mean", ratio(f"{_direction}_rank", f"{_direction}_n")))


def _rsum(sums: Sums) -> NDArray[np.float64]:
    parts = (ratio(f"{d}_r@{k}", f"{d}_n")(sums) for d in (IMAGE_TO_TEXT, TEXT_TO_IMAGE) for k in (1, 5, 10))
    return np.asarray(sum(parts))


register(
    Metric(
        name="rsum",
        title="rSum",
        group="retrieval",
        higher_is_better=True,
        definition="The sum of the six Recall@K, K = 1, 5, 10, in both directions; as shares, so at most 6.",
        citation=_FAGHRI,
        value=_rsum,
        per="i2t_n",
        upper=6.0,
        baseline=False,
    )
)
