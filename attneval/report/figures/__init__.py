"""Figures for papers, drawn with matplotlib (extra `plot`), which is loaded when a figure is asked for."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from attneval.config.extras import to_install
from attneval.errors import ConfigError, MissingPackageError

if TYPE_CHECKING:
    from attneval.report.figures.style import Drawing

FIGURES = {
    "score": "attneval.report.figures.score:score_figure",
    "curve": "attneval.report.figures.curve:curve_figure",
    "compare": "attneval.report.figures.compare:compare_figure",
    "heads": "attneval.report.figures.heads:heads_figure",
}
"""Figures by name, each "module:function"."""


def draw(name: str, *shown: Any, **choices: Any) -> Drawing:
    """Draw a figure of `FIGURES` of what it shows.

    Raises:
        ConfigError: matplotlib is missing or cannot be loaded.
    """
    load_matplotlib()
    module, _, function = FIGURES[name].partition(":")
    figure: Drawing = getattr(importlib.import_module(module), function)(*shown, **choices)
    return figure


def load_matplotlib() -> None:
    """Import matplotlib, or refuse figures before anything is worked on.

    Raises:
        ConfigError: It is missing, or settings of the user's keep it from being loaded.
    """
    if find_spec("matplotlib") is None:
        raise MissingPackageError("figures need matplotlib, which is not installed", hint=to_install("plot"))
    try:
        importlib.import_module("matplotlib")
    except (ImportError, ValueError) as error:
        raise ConfigError(f"figures need matplotlib, which cannot be loaded ({error})") from error
