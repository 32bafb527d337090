"""Figures for the methods of results and comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attneval.errors import ConfigError, suggestion
from attneval.metrics.registry import RANKED_BY
from attneval.report.figures import draw
from attneval.results.heads import rank_heads

if TYPE_CHECKING:
    from attneval.report.figures.style import Drawing


def plot(shown: Any, what: str, figures: tuple[str, ...], metrics: tuple[str, ...]) -> Drawing:
    """Draw a figure of a result or a comparison.

    Args:
        shown: The result or the comparison.
        what: The figure's name; empty for the first.
        figures: The names that it may have.
        metrics: Those to show; for heads at most one.

    Raises:
        ConfigError: There is no such figure, it does not take so many metrics, or matplotlib is missing.
    """
    name = what or figures[0]
    if name not in figures:
        hint = suggestion(name, figures, f"there is {', '.join(figures)}")
        raise ConfigError(f"there is no figure {name!r} of this", hint=hint)
    most = {"curve": 0, "heads": 1}.get(name, len(metrics))
    if len(metrics) > most:
        raise ConfigError(f"the figure {name} takes {most or 'no'} metric{'s' if not most else ''}")
    if name == "curve":
        return draw("curve", [shown])
    if name == "heads":
        return draw("heads", rank_heads(shown, *(metrics or (RANKED_BY,))))
    return draw(name, shown, names=metrics)
