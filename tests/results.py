"""Results whose sums are written down image by image, and the results of the fixtures."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import attneval
from attneval.metrics.registry import metrics
from attneval.results.result import Result
from attneval.results.scores import Measured, Scores
from attneval.statistics.image_sums import ImageSums
from attneval.statistics.ranks import RankTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attneval.metrics.declaration import Metric
    from attneval.results.scores import Curve

FIXTURES = Path(__file__).parents[1] / "fixtures"


def image_sums(
    columns: Mapping[str, Sequence[float]],
    ranks: Mapping[str, Sequence[Sequence[float]]] | None = None,
    names: Sequence[str] | None = None,
) -> ImageSums:
    """The sums of some images.

    Args:
        columns: By name, one number per image.
        ranks: By direction, the ranks of each image's queries.
        names: The images; a, b, c, ... by default.
    """
    lists = {direction: [list(own) for own in of] for direction, of in (ranks or {}).items()}
    count = len(next(iter([*columns.values(), *lists.values()])))
    tables = {}
    for direction, of in lists.items():
        image = [row for row, own in enumerate(of) for _ in own]
        rank = [value for own in of for value in own]
        tables[direction] = RankTable(
            np.array(image, np.int64), np.array(rank, np.float64), np.zeros(len(image), np.int64)
        )
    return ImageSums(
        list(names or [f"{row:04d}" for row in range(count)]),
        {name: np.array(column, np.float64) for name, column in columns.items()},
        tables,
    )


def made(name: str, sums: ImageSums, *, curve: Curve | None = None, **fields: Any) -> Result:
    """A result with every metric that its sums are enough for."""
    total = sums.total()
    found = {}
    for metric in metrics():
        try:
            value = float(metric.value(total))
        except KeyError:
            continue
        found[metric.name] = Measured(
            value if math.isfinite(value) else None, round(float(total.get(metric.per, len(sums.image_id))))
        )
    return Result(
        name=name,
        protocol=fields.pop("protocol", attneval.Protocol()),
        scores=Scores(found, {}, {}, curve, sums),
        counts={"images": len(sums.image_id)},
        **fields,
    )


def of_f1(name: str, f1: Sequence[float], scored: Sequence[float] | None = None, **fields: Any) -> Result:
    """A result with nothing but F1: one item per image unless said otherwise."""
    images = fields.pop("names", None)
    return made(name, image_sums({"f1": f1, "scored": scored or [1.0] * len(f1)}, names=images), **fields)


def spec(name: str) -> Metric:
    """A metric by its name."""
    return next(metric for metric in metrics() if metric.name == name)


@functools.cache
def scored(name: str, threshold: str = "uniform") -> Result:
    """One of the fixtures, scored once and for all."""
    return attneval.score(
        FIXTURES / f"{name}.npz",
        FIXTURES / "entities",
        protocol=attneval.Protocol(threshold=threshold),
        options=attneval.Options(resamples=0, items=True),
    )
