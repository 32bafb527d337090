"""Threshold rules: how a row of weights becomes the set of attended keys.

One table, `RULES`, says everything about a rule: how it is written and what of it is allowed, the levels that it gives
the keys of a ranked row, the cutoff above which a key is attended, the same for the pixels of an enlarged map, the
parameters of a sweep and how they are spaced.
The protocol, the command line, rankings, sweeps and charts read it, so that one more rule is one more row.

Under every rule the attended set is a beginning of the ranking, since levels never rise along it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record
from attneval.config.threshold_levels import (
    MASS_ROUNDING,
    ROUNDING,
    above_mass,
    above_otsu,
    as_they_are,
    equal_ratios,
    place_from_top,
    share_not_held,
    share_of_largest,
    share_of_otsu,
)
from attneval.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

POINTS = 101
"""Thresholds of a sweep, beside the protocol's own."""


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
        pixels: From the pixels f8[m, P] of maps enlarged from rows f8[m, n] of cells, and a parameter, the values f8[m]
            above which a pixel is attended; None where the rule says nothing of pixels.
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
    pixels: Callable[[NDArray[np.float64], NDArray[np.float64], float], NDArray[np.float64]] | None
    sweep: Callable[[NDArray[np.int64]], NDArray[np.floating[Any]]]
    default: float | None = None
    scale: str = ""

    @property
    def parameter(self) -> str:
        """The letter of its parameter, as its form has it."""
        return self.form.rpartition(":")[2].rstrip("]")

    @property
    def attends(self) -> str:
        """Its rule in words, for any parameter."""
        return self.attended[-1][1]


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
            levels=as_they_are,
            cutoff=lambda n, value: value / n * (1 + ROUNDING),
            pixels=lambda pixel, row, value: 0 * pixel[:, 0] + value / row.shape[1] * (1 + ROUNDING),
            sweep=equal_ratios,
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
            levels=as_they_are,
            cutoff=lambda n, value: value * (1 + ROUNDING),  # noqa: ARG005
            pixels=lambda pixel, row, value: 0 * pixel[:, 0] + value * (1 + ROUNDING),  # noqa: ARG005
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
            levels=share_of_largest,
            cutoff=lambda n, value: value - ROUNDING,  # noqa: ARG005
            pixels=lambda pixel, row, value: (value - ROUNDING) * pixel.max(axis=1),  # noqa: ARG005
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
            levels=place_from_top,
            cutoff=lambda n, value: -value,  # noqa: ARG005
            pixels=None,  # k of the keys are no k of the pixels
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
            levels=share_not_held,
            cutoff=lambda n, value: 1 - value + MASS_ROUNDING,  # noqa: ARG005
            pixels=above_mass,
            sweep=lambda step: step[1:] / 100,  # the smallest set that holds nothing is empty
        ),
        ThresholdRule(
            name="otsu",
            form="otsu[:c]",
            meaning="otsu: above Otsu's threshold",
            allowed="otsu, otsu:c (c times Otsu's threshold)",
            attended=(
                (
                    "otsu",
                    (
                        "weight above Otsu's threshold, which parts the row into the two classes that differ most: 256 "
                        "bins over the row's range, and the keys in the bins above"
                    ),
                ),
                ("otsu:c", "weight at least c times that threshold, both counted from the row's smallest weight"),
            ),
            allows=lambda value: 0 <= value < math.inf,
            levels=share_of_otsu,
            cutoff=lambda n, value: value - ROUNDING,  # noqa: ARG005
            pixels=above_otsu,
            sweep=lambda step: step / 50,
            default=1.0,
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
        """Read `uniform`, `abs:t`, `max:f`, `top:k`, `mass:m` or `otsu`.

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
        return RULES[self.rule].levels is as_they_are

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

    def pixels_above(self, pixel: NDArray[np.float64], row: NDArray[np.float64]) -> NDArray[np.float64]:
        """Find what pixels of enlarged maps have to be above to be attended.

        Args:
            pixel: f8[m, P], the pixels of each map.
            row: f8[m, n], the cells that it was enlarged from.

        Returns:
            f8[m].

        Raises:
            ValueError: The rule says nothing of pixels.
        """
        above = RULES[self.rule].pixels
        if above is None:
            raise ValueError(f"{self.rule} says nothing of pixels")
        return above(pixel, row, self.value)

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
