"""How numbers of several seeds, and tables of them, are written."""

from __future__ import annotations

import math
import statistics

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""The 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom."""


def mean(values: list[float], scale: float = 100) -> str:
    """Mean and standard deviation of several values, in percent unless they are counts; the value, if there is one."""
    spread = f" ± {scale * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{scale * statistics.mean(values):.1f}{spread}"


def marked(values: list[float]) -> str:
    """The mean of differences, in percent, bold where its interval over seeds leaves out zero."""
    middle, half = interval(values)
    return f"**{middle:+.1f}**" if abs(middle) > half else f"{middle:+.1f}"


def interval(values: list[float]) -> tuple[float, float]:
    """The mean of differences and half of its 95 % interval by Student's t, in percent; infinite for a single one."""
    middle = 100 * statistics.mean(values)
    if len(values) == 1:
        return middle, math.inf
    return middle, 100 * STUDENT[len(values) - 2] * statistics.stdev(values) / len(values) ** 0.5


def change(values: list[float]) -> str:
    """The mean of differences with its interval; of a single one no interval."""
    middle, half = interval(values)
    return f"{middle:+.1f}" + (f" [{middle - half:+.1f}, {middle + half:+.1f}]" if math.isfinite(half) else "")


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table, or a sentence where there is nothing to show."""
    if not rows:
        return "No run has finished.\n"
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
