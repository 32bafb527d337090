"""The metrics of retrieval with relevance sets, declared once for sets of any name.

A relevance set (CxC, ECCV, or a file of one's own) brings queries and lists what is relevant to each; every metric is
named after it, as in `cxc_i2t_map@r`. Beside each column stands what chance scores, an order that knows nothing.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.metrics.declaration import RELEVANCE, Column, Metric
from attneval.metrics.families import Family, family_members, register_family
from attneval.metrics.floors import CHANCE, floor_column
from attneval.metrics.ranks import DIRECTIONS, IMAGE_TO_TEXT, TEXT_TO_IMAGE
from attneval.metrics.retrieval import KS
from attneval.metrics.values import ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from numpy.typing import NDArray

    from attneval.metrics.relevant_answers import RankedAnswers

    Values = Callable[[RankedAnswers], NDArray[np.float64]]

R_PRECISION, MAP_AT_R = "r_precision", "map@r"
FIELD = "SET"
"""What stands for the name of a set where metrics are explained."""
LONGEST_NAME = 32
"""Characters of a set's name."""
SET_NAME = re.compile(rf"(?!chance_)[a-z0-9][a-z0-9._-]{{0,{LONGEST_NAME - 1}}}|{FIELD}")
"""The name of a relevance set, or what stands for it. `chance_` begins the columns of chance."""

_QUERY = {IMAGE_TO_TEXT: ("image", "an image", "captions"), TEXT_TO_IMAGE: ("caption", "a caption", "images")}
_TITLES = {IMAGE_TO_TEXT: "image-to-text", TEXT_TO_IMAGE: "text-to-image"}
_EVERY = (
    "Queries are those of the set, answers all {answers} of the fold; equal scores count by their expected value over "
    "all orders (ties=expected), or as the worst or the best."
)
_SOURCES = "Parekh et al., Crisscrossed Captions, EACL 2021; Chun et al., ECCV Caption, ECCV 2022"
_MUSGRAVE = "Musgrave et al., A Metric Learning Reality Check, ECCV 2020"


def set_column(name: str, direction: str, column: str) -> str:
    """Name a column, or a metric, of a relevance set in a direction, `i2t` or `t2i`."""
    return f"{name}_{direction}_{column}"


def relevance_columns(
    name: str, direction: str, ranked: RankedAnswers, images: int, wanted: Container[str]
) -> dict[str, NDArray[np.float64]]:
    """Sum everything that the metrics of a set in a direction need.

    Args:
        name: The set's name.
        direction: `i2t` or `t2i`.
        ranked: The relevant answers of q queries.
        images: The number I of images that `RankedAnswers.image` counts.
        wanted: The metrics that the places tell, as `map@r`.

    Returns:
        f8[I] by column.
    """
    table: dict[str, NDArray[np.float64]] = {}
    weight = ranked.weight()
    for metric in family_members(FAMILY, name):
        if metric.direction == direction and metric.name.removeprefix(set_column(name, direction, "")) in wanted:
            for column, spec in metric.columns.items():
                if column not in table:
                    values = spec.values(ranked) * weight
                    table[column] = np.asarray(np.bincount(ranked.image, values, images), np.float64)
    return table


def _metric(name: str, direction: str, kind: str, values: Values, definition: str, **fields: object) -> Metric:
    """A metric of a set: the mean over its queries of what a query scores."""
    count, reachable = set_column(name, direction, "n"), set_column(name, direction, "reachable")
    column_name = set_column(name, direction, kind)
    ceiling = reachable if fields.get("k") else set_column(name, direction, "in_gallery")
    columns = {
        count: Column(lambda ranked: np.ones(len(ranked.image)), at_most=(), oracle=count),
        reachable: Column(lambda ranked: ranked.reachable(), over=count, oracle=reachable),
        ceiling: Column(
            (lambda ranked: ranked.reachable()) if ceiling == reachable else (lambda ranked: ranked.share_in_gallery()),
            over=reachable,
            at_most=(count,) if ceiling == reachable else (reachable,),
            oracle=ceiling,
        ),
        column_name: Column(values, over=count, at_most=(ceiling,), oracle=ceiling),
        floor_column(CHANCE, column_name): Column(
            lambda ranked: values(ranked.by_chance),
            over=count,
            at_most=(ceiling,),
            oracle=floor_column(CHANCE, column_name),
        ),
    }
    query, one, answers = _QUERY[direction]
    said = definition.format(query=query, one=one, answers=answers, name=name)
    return Metric(
        name=column_name,
        group=RELEVANCE,
        higher_is_better=True,
        definition=f"{said} {_EVERY.format(answers=answers)}",
        columns=columns,
        value=ratio(column_name, count),
        per=count,
        direction=direction,
        relevance=name,
        floored=True,
        baseline=False,
        **fields,  # type: ignore[arg-type]
    )


def _recall(name: str, *, direction: str, k: int) -> Metric:
    return _metric(
        name,
        direction,
        f"r@{k}",
        lambda ranked: ranked.hit(k),
        "The share of {query} queries of the relevance set {name} for which any of the {answers} that it lists is "
        f"among the {k} best scores.",
        title=f"{_TITLES[direction]} R@{k} of {name}",
        short=f"R@{k}",
        citation=_SOURCES,
        k=k,
        compared=k == 1,
    )


def _r_precision(name: str, *, direction: str) -> Metric:
    return _metric(
        name,
        direction,
        R_PRECISION,
        lambda ranked: ranked.r_precision(),
        "Of the R best scores, R being the number of {answers} that the relevance set {name} lists for {one}, the "
        "share that is listed; mean over queries. Listed {answers} that are not there count in R.",
        title=f"{_TITLES[direction]} R-Precision of {name}",
        short="R-Prec",
        citation=f"{_MUSGRAVE}; {_SOURCES}",
        compared=True,
    )


def _map_at_r(name: str, *, direction: str) -> Metric:
    return _metric(
        name,
        direction,
        MAP_AT_R,
        lambda ranked: ranked.map_at_r(),
        "For {one}, R being the number of {answers} that the relevance set {name} lists for it, 1 / R times the sum "
        "over the R best scores of the precision down to each that is listed; mean over queries. Listed {answers} that "
        "are not there count in R.",
        title=f"{_TITLES[direction]} mAP@R of {name}",
        short="mAP@R",
        citation=f"{_MUSGRAVE}; {_SOURCES}",
        compared=True,
    )


def _kinds() -> dict[str, Callable[[str], Metric]]:
    kinds: dict[str, Callable[[str], Metric]] = {}
    for direction in DIRECTIONS:
        kinds |= {f"{direction}_r@{k}": partial(_recall, direction=direction, k=k) for k in KS}
        kinds[f"{direction}_{R_PRECISION}"] = partial(_r_precision, direction=direction)
        kinds[f"{direction}_{MAP_AT_R}"] = partial(_map_at_r, direction=direction)
    return kinds


FAMILY = register_family(Family(_kinds(), SET_NAME, FIELD))
