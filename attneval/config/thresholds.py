"""Threshold rules: how a row of weights becomes the set of attended keys.

One table, `RULES`, says everything about a rule: how it is written and what of it is allowed, the levels that it gives
the keys of a ranked row, the cutoff above which a key is attended, the parameters of a sweep and how they are spaced.
The protocol, the command line, rankings, sweeps and charts read it, so that one more rule is one more row.

Under every rule the attended set is a beginning of the ranking, since levels never rise along it. The command line
reads this table before anything heavy is loaded; numpy is therefore imported where it computes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record
from attneval.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

ROUNDING = 1e-12
"""Weights that differ from a threshold by this share or less are equal to it, whatever the processor made of them."""
MASS_ROUNDING = 1e-9
"""The same for sums of weights."""
POINTS = 101
"""Thresholds of a sweep, beside the protocol's own."""


def _as_they_are(ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:  # noqa: ARG001
    """Levels that are the weights themselves."""
    return ordered


def _share_of_largest(ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:  # noqa: ARG001
    """Each weight as a share of the row's largest; 1 in a row of zeros, where each is as large as the largest."""
    from attneval.arrays.quotients import quotient

    return quotient(ordered, ordered[:, :1], otherwise=1.0)


def _place_from_top(ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:  # noqa: ARG001
    """0, -1, -2, ... along each row."""
    import numpy as np

    return np.broadcast_to(-np.arange(ordered.shape[1], dtype=np.float64), ordered.shape)


def _share_not_held(ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:
    """The share of the row's sum that is not yet held before a key, and before all that weigh the same."""
    import numpy as np

    from attneval.arrays.quotients import quotient

    held = np.cumsum(ordered, axis=1)
    total = held[:, -1:]
    left = quotient(total - held, total)
    left = np.concatenate((np.where(total > 0, 1.0, 0.0), left[:, :-1]), axis=1)
    return np.take_along_axis(left, first, axis=1)


def _equal_ratios(step: NDArray[np.int64]) -> NDArray[np.float64]:
    """A hundredth to a hundred."""
    import numpy as np

    return np.asarray(10.0 ** (step / 25 - 2), np.float64)


@record
class ThresholdRule:
    """A row of the table.

    Attributes:
        name: Its name, which stands before the colon.
        form: How it is written with its parameter.
        meaning: A few words for `--help`.
        allowed: Its forms and what the parameter may be, for refusals.
        attended: Pairs of a form and which keys are attended under it, for `attneval explain` and the documents.
        allows: Whether a number may be its parameter; NaN is asked about, too.
        levels: From weights f8[m, n] in descending order and i4[m, n], the first place of the run of equal weights
            that each is in, the levels f8[m, n] of the keys, which never rise along a row.
        cutoff: The level above which a key is attended, for n keys and a parameter, a number or f8[k].
        sweep: From the whole numbers i8[POINTS] from 0 on, the parameters f8[k] of a sweep, ascending.
        default: The parameter where none is written; None where one must be.
        scale: How a sweep is spaced, for the axis of a chart; empty where it is spaced evenly.
    """

    name: str
    form: str
    meaning: str
    allowed: str
    attended: tuple[tuple[str, str], ...]
    allows: Callable[[float], bool]
    levels: Callable[[NDArray[np.float64], NDArray[np.int32]], NDArray[np.float64]]
    cutoff: Callable[[int, Any], Any]
    sweep: Callable[[NDArray[np.int64]], NDArray[np.floating[Any]]]
    default: float | None = None
    scale: str = ""


RULES = {
    rule.name: rule
    for rule in (
        ThresholdRule(
            name="uniform",
            form="uniform[:c]",
            meaning="uniform: > 1/n",
            allowed="uniform, uniform:c (weight > c/n)",
            attended=(
                (
                    "uniform",
                    "weight > 1/n for n keys (default): above what even attention would give, with nothing to tune",
                ),
                ("uniform:c", "weight > c/n"),
            ),
            allows=lambda value: 0 <= value < math.inf,
            levels=_as_they_are,
            cutoff=lambda n, value: value / n * (1 + ROUNDING),
            sweep=_equal_ratios,
            default=1.0,
            scale=", log scale",
        ),
        ThresholdRule(
            name="abs",
            form="abs:t",
            meaning="abs:t: > t",
            allowed="abs:t (weight > t)",
            attended=(("abs:t", "weight > t"),),
            allows=lambda value: 0 <= value < math.inf,
            levels=_as_they_are,
            cutoff=lambda n, value: value * (1 + ROUNDING),  # noqa: ARG005
            sweep=lambda step: (step / 100) ** 2,  # 0 to 1, closer together near 0
            scale=", square-root scale",
        ),
        ThresholdRule(
            name="max",
            form="max:f",
            meaning="max:f: >= f times the largest",
            allowed="max:f with f in [0, 1]",
            attended=(("max:f", "weight >= f times the row's largest"),),
            allows=lambda value: 0 <= value <= 1,
            levels=_share_of_largest,
            cutoff=lambda n, value: value - ROUNDING,  # noqa: ARG005
            sweep=lambda step: step / 100,
        ),
        ThresholdRule(
            name="top",
            form="top:k",
            meaning="top:k: the k largest",
            allowed="top:k with a whole k >= 1",
            attended=(
                (
                    "top:k",
                    (
                        "the k largest; where k cuts through tied weights, each belongs by the share of orders in "
                        "which it would"
                    ),
                ),
            ),
            allows=lambda value: value >= 1 and value.is_integer(),
            levels=_place_from_top,
            cutoff=lambda n, value: -value,  # noqa: ARG005
            sweep=lambda step: step + 1.0,
        ),
        ThresholdRule(
            name="mass",
            form="mass:m",
            meaning="mass:m: the smallest set that holds mass m",
            allowed="mass:m with m in (0, 1]",
            attended=(
                (
                    "mass:m",
                    "the smallest set that holds at least the share m of the row's sum, tied weights together",
                ),
            ),
            allows=lambda value: 0 < value <= 1,
            levels=_share_not_held,
            cutoff=lambda n, value: 1 - value + MASS_ROUNDING,  # noqa: ARG005
            sweep=lambda step: step[1:] / 100,  # the smallest set that holds nothing is empty
        ),
    )
}
"""Threshold rules by name."""

FORM = " | ".join(rule.form for rule in RULES.values())
"""All forms, as a flag's values are listed."""
MEANING = "; ".join(rule.meaning for rule in RULES.values())
"""All forms with their meaning, for `--help`."""


@dataclass(frozen=True)
class Threshold:
    """A rule with its parameter.

    Attributes:
        rule: The rule's name, a key of `RULES`.
        value: Its parameter. `uniform` takes weights above `value / n` for n keys, and is plain `uniform` when that is
            1.
    """

    rule: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Read `uniform`, `abs:t`, `max:f`, `top:k` or `mass:m`.

        Raises:
            ProtocolError: The rule does not exist or its parameter is out of range.
        """
        name, colon, raw = text.partition(":")
        rule = RULES.get(name)
        if rule is not None and not colon and rule.default is not None:
            return cls(name, rule.default)
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if rule is None or not rule.allows(value):
            *others, last = (known.allowed for known in RULES.values())
            raise ProtocolError(f"threshold {text!r} is not a rule", hint=f"use {', '.join(others)}, or {last}")
        return cls(name, value)

    def __str__(self) -> str:
        if self.value == RULES[self.rule].default:
            return self.rule
        return f"{self.rule}:{shortest(self.value)}"

    @property
    def by_weight(self) -> bool:
        """True where a key is attended by its own weight alone: above the cutoff."""
        return RULES[self.rule].levels is _as_they_are

    def levels(self, ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:
        """Levels of ranked keys, which a key's rank alone decides.

        Args:
            ordered: f8[m, n], the weights of each row in descending order.
            first: i4[m, n], the first place of the run of equal weights that each is in.

        Returns:
            f8[m, n], never rising along a row.
        """
        return RULES[self.rule].levels(ordered, first)

    def cutoff(self, n: int) -> float:
        """The level above which keys are attended, for n keys."""
        return float(RULES[self.rule].cutoff(n, self.value))

    def cutoffs(self, n: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The cutoffs f8[k] of the same rule with other parameters f8[k], for n keys."""
        import numpy as np

        return np.asarray(RULES[self.rule].cutoff(n, values))

    def sweep(self) -> NDArray[np.float64]:
        """The parameters f8[k] that the rule is swept over, ascending, without its own."""
        import numpy as np

        return np.asarray(RULES[self.rule].sweep(np.arange(POINTS)), np.float64)


def shortest(value: Any) -> str:
    """The shortest text that reads back as the same value: `1`, not `1.0`."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
