"""Values from summed columns, and which columns a value is computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from attneval.metrics.declaration import Metric, Sums


def is_computable(metric: Metric, sums: Sums) -> bool:
    """Tell whether sums have all columns that a metric and what it is a mean over are computed from."""
    return metric.per in sums and columns_used(metric, sums) is not None


def columns_used(metric: Metric, sums: Sums) -> set[str] | None:
    """Find the columns that a metric's value is computed from; None if the sums lack any of them."""
    asked = _Asked(sums)
    try:
        metric.value(asked)
    except KeyError:
        return None
    return asked.names


class _Asked(dict[str, "NDArray[np.float64]"]):
    """Sums that remember which columns a metric looked at."""

    def __init__(self, sums: Sums) -> None:
        super().__init__(sums)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        self.names.add(name)
        return super().__getitem__(name)


def ratio(part: str, whole: str) -> Callable[[Sums], NDArray[np.float64]]:
    """Make the value that is one summed column over another."""

    def value(sums: Sums) -> NDArray[np.float64]:
        return divided(sums[part], sums[whole])

    return value


def divided(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute `part / whole`, f8[...] each, NaN where `whole` is not positive."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.asarray(np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0))
