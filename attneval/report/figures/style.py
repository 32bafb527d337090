"""The look of figures: sizes, colours, text from files as text, and files that are the same to the byte.

Nothing of it depends on the machine's or the user's settings of matplotlib.
"""

from __future__ import annotations

import textwrap
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from attneval.report.table import safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH = 6.875
"""Inches: the width of the text in proceedings of two columns."""
INK, FAINT, BAND, GRID = "#1c1c1a", "#5b5850", "#e9e4d8", "#dedbd3"
BLUE, ORANGE = "#0072b2", "#d55e00"
COLORS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, which differ under every common colour blindness, without the yellow that paper swallows."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
"""A second mark of each system, so that a print in black and white is read, too."""
SMALL, TINY = 7, 5.5
HALO = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8}
"""What keeps a text readable where lines pass."""
LEGEND = 120
"""Characters beside each other in a legend."""
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": SMALL,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "lines.linewidth": 1.3,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # TrueType, which every publisher's check of fonts accepts
    "pdf.compression": 9,
    "svg.fonttype": "path",  # an SVG carries no fonts, and would look different everywhere
    "svg.hashsalt": "attneval",
    "savefig.dpi": 300,
    "figure.dpi": 150,
}
UNDATED: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": "attneval", "Producer": None},
    "svg": {"Date": None, "Creator": "attneval"},
    "png": {"Software": None},
}
"""What files say of themselves, by format: no dates and no versions, so that the same numbers give the same bytes."""


@contextmanager
def styled() -> Iterator[None]:
    """Settings of matplotlib while something is drawn or written."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)  # type: ignore[arg-type]  # it wants each name as a literal
        yield


class Drawing(Figure):
    """A figure that shows itself in notebooks, and is written as it looks there, wherever it is saved."""

    @classmethod
    def sized(cls, height: float, width: float = WIDTH) -> Drawing:
        """Make an empty figure.

        Args:
            height: In inches.
            width: In inches.
        """
        figure = cls(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03), facecolor="white")
        FigureCanvasAgg(figure)
        return figure

    def savefig(self, fname: Any, **choices: Any) -> None:
        """Write the figure, without dates and with its fonts in it; arguments are those of matplotlib."""
        given = choices.get("format") or (Path(fname).suffix.removeprefix(".") if isinstance(fname, str | Path) else "")
        with styled():
            super().savefig(fname, **{"metadata": UNDATED.get(str(given).lower())} | choices)

    def _repr_png_(self) -> bytes:
        """Show the figure in a notebook."""
        from attneval.report.figures.written import render_png

        return render_png(self)


def plain(figure: Drawing) -> Drawing:
    """Let no text of a figure be read as mathematics, also those that matplotlib made itself."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    return figure


@cache
def _glyphs() -> frozenset[int]:
    """Code points of the font."""
    path = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans"))
    return frozenset(font_manager.get_font(path).get_charmap())


def written(text: str, width: int = 0) -> str:
    """Text from a file as a figure can show it.

    What is invisible or not in the font, such as Chinese, is spelled out, since there would be an empty box.

    Args:
        text: The text.
        width: Characters of a line, beyond which it is broken; 0 for a single line.
    """
    spelled = "".join(c if ord(c) in _glyphs() else c.encode("unicode_escape").decode("ascii") for c in safe(text))
    if not width:
        return spelled
    return "\n".join(textwrap.wrap(spelled, width, break_on_hyphens=False) or [""])


def legend_columns(names: Sequence[str]) -> int:
    """Count how many names of a legend stand beside each other."""
    longest = max((len(line) for name in names for line in name.split("\n")), default=1)
    return max(1, min(4, len(names), LEGEND // (longest + 6)))


def legend_height(names: Sequence[str]) -> float:
    """Inches that a legend takes."""
    lines = sum(name.count("\n") + 1 for name in names)
    return 0.165 * -(-lines // legend_columns(names)) + 0.05
