"""The metrics of image-text retrieval, declared: means of what the ranks of right answers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.metrics.declaration import RETRIEVAL, Column, Metric, Sums
from attneval.metrics.ranks import DIRECTIONS, IMAGE_TO_TEXT, TEXT_TO_IMAGE, Ranks
from attneval.metrics.registry import median_column, metrics, registrar
from attneval.metrics.values import ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

register = registrar(__name__)

KS = (1, 5, 10)


def query_column(direction: str) -> str:
    """Name the column that counts the queries of a direction, `i2t` or `t2i`."""
    return f"{direction}_n"


def rank_column(direction: str) -> str:
    """Name the column that sums the ranks of the queries of a direction, `i2t` or `t2i`."""
    return f"{direction}_rank"


def has_retrieval(columns: Mapping[str, object]) -> bool:
    """Tell whether sums are of retrieval, by their columns."""
    return any(query_column(direction) in columns for direction in DIRECTIONS)


def retrieval_columns(
    ranks: dict[str, Ranks], images: int, depth: Mapping[str, int] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Sum everything that the metrics of retrieval need.

    Args:
        ranks: The ranks of q queries by direction.
        images: The number I of images that `Ranks.image` counts.
        depth: By direction the last rank that is known; None where all are. Beyond it there are Recall@K alone, K up
            to that.

    Returns:
        f8[I] by column.
    """
    table: dict[str, NDArray[np.float64]] = {}
    for metric in metrics(RETRIEVAL):
        known = metric.direction in ranks and (depth is None or 0 < metric.k <= depth[metric.direction])
        for name, column in metric.columns.items():
            if known and name not in table:
                queries = ranks[metric.direction]
                values = column.values(queries) * queries.weight()
                table[name] = np.asarray(np.bincount(queries.image, values, images), np.float64)
    return table


_ASKED = {
    IMAGE_TO_TEXT: ("image-to-text", "image", "the best-ranked of its captions"),
    TEXT_TO_IMAGE: ("text-to-image", "caption", "its image"),
}
_TIES = "Equal scores count by their expected rank (ties=expected), as the worst or as the best."
_FAGHRI = "Faghri et al., VSE++, BMVC 2018; Lee et al., SCAN, ECCV 2018"


def _count(direction: str) -> dict[str, Column]:
    """The column that every metric of a direction needs: no query ranks before the first place."""
    return {query_column(direction): Column(lambda ranks: np.ones(len(ranks.image)), at_most=(rank_column(direction),))}


def _recall(direction: str, k: int) -> Metric:
    title, query, answer = _ASKED[direction]
    name = f"{direction}_r@{k}"
    return Metric(
        name=name,
        title=f"{title} R@{k}",
        short=f"R@{k}",
        paper=f"{direction.upper()} R@{k}",
        group=RETRIEVAL,
        higher_is_better=True,
        definition=f"The share of {query} queries for which {answer} is among the {k} best scores. {_TIES}",
        citation=_FAGHRI,
        columns=_count(direction) | {name: Column(lambda ranks: ranks.hit(k), over=query_column(direction))},
        value=ratio(name, query_column(direction)),
        per=query_column(direction),
        direction=direction,
        k=k,
        compared=True,
        family=k == 1,
        baseline=False,
    )


def _rank(direction: str, short: str, long: str, value: Callable[[Sums], NDArray[np.float64]], **fields: Any) -> Metric:
    title, query, answer = _ASKED[direction]
    return Metric(
        name=f"{direction}_{short}",
        title=f"{title} {long} rank",
        short=f"{long} rank",
        paper=f"{direction.upper()} {long} rank",
        group=RETRIEVAL,
        higher_is_better=False,
        definition=f"The {long} over {query} queries of the rank of {answer}, counted from 1. {_TIES}",
        citation=_FAGHRI,
        value=value,
        per=query_column(direction),
        upper=np.inf,
        unit="rank",
        direction=direction,
        baseline=False,
        **fields,
    )


def _median(direction: str) -> Metric:
    def value(sums: Sums) -> NDArray[np.float64]:
        return sums[median_column(direction)]

    return _rank(direction, "medr", "median", value, columns=_count(direction), median_of=direction, by_image=False)


def _mean(direction: str) -> Metric:
    column = rank_column(direction)
    columns = _count(direction) | {column: Column(Ranks.rank, at_most=())}
    return _rank(direction, "meanr", "mean", ratio(column, query_column(direction)), columns=columns)


for _direction in DIRECTIONS:
    for _k in KS:
        register(_recall(_direction, _k))
    register(_median(_direction))
    register(_mean(_direction))


def _rsum(sums: Sums) -> NDArray[np.float64]:
    parts = (ratio(f"{d}_r@{k}", query_column(d))(sums) for d in DIRECTIONS for k in KS)
    return np.asarray(sum(parts))


register(
    Metric(
        name="rsum",
        title="rSum",
        group=RETRIEVAL,
        higher_is_better=True,
        definition="The sum of the six Recall@K, K = 1, 5, 10, in both directions; as shares, so at most 6.",
        citation=_FAGHRI,
        value=_rsum,
        per=query_column(IMAGE_TO_TEXT),
        upper=6.0,
        main=True,
        compared=True,
        family=True,
        baseline=False,
    )
)
