"""The face of results, comparisons and verdicts for whoever works with them in Python: tables, frames and figures.

Results are read without what shows them, which lies above: it is named here and looked up when it is asked for, as the
tables of commands and report formats name what they lead to.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure


def looked_up(target: str) -> Any:
    """Import what "module:name" names."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


class Shown:
    """An object that notebooks show as tables, and that gives its numbers as a data frame."""

    _tables: ClassVar[str]
    """What lays it out in tables, as "module:function"."""
    _values: ClassVar[str]
    """What lists its numbers, as "module:function"."""

    def to_frame(self, library: str | None = None) -> Any:
        """List the numbers as a data frame, unrounded, one row each, with the columns of `-f csv`.

        Args:
            library: `pandas` or `polars`; by default the one that is installed, pandas where both are.

        Returns:
            A `pandas.DataFrame` or a `polars.DataFrame`.

        Raises:
            ConfigError: The library is not installed, or there is none of this name.
        """
        return looked_up("attneval.report.frames:frame")(looked_up(self._values)(self), library)

    def _repr_html_(self) -> str:
        """Show the tables in a notebook."""
        return str(looked_up("attneval.report.fragment:render_fragment")(looked_up(self._tables)(self)))


class Drawn(Shown):
    """An object of which there are figures, too."""

    _figures: ClassVar[tuple[str, ...]]
    """The names of the figures that can be drawn of it, the first one unless another is named."""

    def plot(self, what: str = "", *, metrics: Sequence[str] = ()) -> Figure:
        """Draw a figure, which notebooks show and whose `savefig` writes it for a paper.

        Args:
            what: The figure: of a result `score`, `curve` or `heads`, of a comparison `compare`; the first by default.
            metrics: The metrics to show, in this order; for `heads` the one to rank by. Each figure has its own
                by default.

        Returns:
            A figure that no window shows and that pyplot does not know.

        Raises:
            ConfigError: There is no such figure, or matplotlib is missing.
            MetricError: A metric is not there, or has no place in the figure.
            NothingToScoreError: There is nothing to draw.
        """
        figure: Figure = looked_up("attneval.report.figures.face:plot")(self, what, self._figures, tuple(metrics))
        return figure
