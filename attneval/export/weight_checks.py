"""Checks of rows of weights, when they are written as well as when they are read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from attneval.export.problems import FileProblems
    from attneval.export.row_layout import RowLayout

SUM_TOLERANCE = {"float16": 3e-3, "bfloat16": 3e-3}
"""Largest distance of a sum of weights from 1, by the type they had: eleven bits of each are kept, or eight."""
SUM_TOLERANCE_ELSE = 1e-3
"""Largest distance of a sum of weights of any other type from 1."""


def coarsest(dtypes: Iterable[str]) -> str:
    """Of some names of types the one whose sums may be farthest from 1."""
    return max(dtypes, key=lambda dtype: (dtype in SUM_TOLERANCE, dtype == "bfloat16", dtype))


@record
class WeightRules:
    """Rules for the weights of a direction.

    Attributes:
        kind: Of the maps; `attention` is never negative.
        over: The axis over which they sum to 1: `regions`, `tokens` or `none`.
        tolerance: How far a sum may be from 1.
    """

    kind: str
    over: str
    tolerance: float

    @classmethod
    def from_header(cls, kind: str, normalised_over: str, direction: str, *dtypes: str) -> WeightRules:
        """The rules for a direction, with the tolerance of the coarsest of some types.

        What `normalised_over` says is said of `t2i`; region-to-word attention is normalised over tokens.
        """
        over = normalised_over if direction == "t2i" else "tokens" if kind == "attention" else "none"
        return cls(kind, over, max(SUM_TOLERANCE.get(dtype, SUM_TOLERANCE_ELSE) for dtype in dtypes))


def check_weights(
    problems: FileProblems,
    member: str,
    layout: RowLayout,
    flat: NDArray[np.floating],
    rules: WeightRules,
    *,
    special: Callable[[], NDArray[np.bool_]],
    columns: Callable[[], NDArray[np.bool_]],
    mass: NDArray[np.float64] | None = None,
) -> None:
    """Note weights that are no numbers, negative attention, and weights that do not sum to 1 where they should.

    Rows of padding and of special tokens may hold anything but, where they are cut off, weight.

    Args:
        problems: Where problems go.
        member: The member that holds the weights.
        layout: Their rows.
        flat: f[n], the weights.
        rules: What they have to be.
        special: Makes b[sum T], special tokens of the captions; asked for only if something looks wrong.
        columns: Makes b[columns], by caption, channel and region: regions that are no padding, of captions with tokens.
        mass: f8[sum A*T], what each row summed to before it was normalised; a row of mass 0 is undefined.
    """
    if not len(layout.start):
        return
    flat = flat.astype(np.float32) if flat.dtype.itemsize < 4 else flat
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(flat, layout.start)
        smallest = flat.min()
    _check_cut_off(problems, member, layout, flat)
    usable, no_number = layout.real, None
    if mass is not None:
        usable = usable & ~_undefined(problems, layout, flat, mass, special)
    # A sum of huge but finite weights may overflow, so the weights themselves decide.
    if not np.isfinite(sums[usable]).all():
        no_number = ~np.isfinite(flat)
        unusable = usable & np.logical_or.reduceat(no_number, layout.start)
        usable = usable & ~unusable
        bad = unusable & ~layout.of_tokens(special())
        problems.rows(member, bad, "NaN or infinite weights", partial(layout.name_with, flat, no_number))
    if rules.kind == "attention" and not smallest >= 0:
        negative = flat < 0
        bad = usable & np.logical_or.reduceat(negative, layout.start)
        bad &= ~layout.of_tokens(special()) if bad.any() else True
        text = "negative weights, but kind is attention"
        problems.rows(member, bad, text, partial(layout.name_with, flat, negative))
    text = f"weights do not sum to 1 over {rules.over}, so the axes may not be tokens x regions"
    if rules.over == "regions":
        bad = usable & ~(np.abs(sums - 1) <= rules.tolerance)
        bad &= ~layout.of_tokens(special()) if bad.any() else True
        problems.rows(member, bad, text, lambda row: f"{layout.name(row)} sums to {sums[row]:.4g}")
    elif rules.over == "tokens":
        bad, sums = _wrong_columns(layout, flat, usable, rules.tolerance, special)
        bad &= columns() if bad.any() else True
        problems.rows(member, bad, text, lambda column: f"{layout.column_name(column)} sums to {sums[column]:.4g}")


def _check_cut_off(problems: FileProblems, member: str, layout: RowLayout, flat: NDArray[np.floating]) -> None:
    """Note weight behind a caption's last token: it is often there because every row is one late."""
    if layout.real.all():
        return
    # NaN is what a softmax over nothing gives.
    weight = (flat != 0) & ~np.isnan(flat)
    bad = ~layout.real & np.logical_or.reduceat(weight, layout.start)
    if not bad.any():
        return
    extra = layout.number // layout.channels - layout.tokens[layout.caption]
    late = "; a leading row, as of [CLS] or <start>, that has no token makes all rows late" * (not extra[bad].max())
    problems.rows(
        member,
        bad,
        f"weight behind the last token, which must be zeros{late}",
        lambda row: (
            f"{layout.called(int(layout.caption[row]))} row {int(layout.number[row])} of "
            f"{int(layout.tokens[layout.caption[row]])} tokens"
        ),
    )


def _undefined(
    problems: FileProblems,
    layout: RowLayout,
    flat: NDArray[np.floating],
    mass: NDArray[np.float64],
    special: Callable[[], NDArray[np.bool_]],
) -> NDArray[np.bool_]:
    """b[n], rows without mass; those that have weights all the same, and masses that are none, are noted."""
    masses = layout.of_rows(mass, 1.0)
    bad = ~np.isfinite(masses) | (masses < 0)
    problems.rows("row_mass", bad, "is negative or no number", lambda row: f"{layout.name(row)} {masses[row]:.4g}")
    undefined = np.asarray(masses == 0)
    if undefined.any():
        bad = undefined & np.logical_or.reduceat(flat != 0, layout.start)
        bad &= ~layout.of_tokens(special()) if bad.any() else True
        problems.rows("row_mass", bad, "is 0, but the rows have weights", layout.name)
    return undefined


def _wrong_columns(
    layout: RowLayout,
    flat: NDArray[np.floating],
    usable: NDArray[np.bool_],
    tolerance: float,
    special: Callable[[], NDArray[np.bool_]],
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Columns whose weights do not sum to 1 over the tokens, with or without the special ones, and their sums."""
    sums = layout.over_tokens(flat, usable)
    wrong = ~(np.abs(sums - 1) <= tolerance)
    if wrong.any():
        is_special = layout.of_tokens(special())
        without = layout.over_tokens(flat, usable & ~is_special)
        wrong &= ~(np.abs(without - 1) <= tolerance)
        # What is already said of a row is not said again of its columns, and without a row no sum is known.
        wrong &= ~layout.columns_of(layout.real & ~usable & ~is_special)
    return wrong, sums
