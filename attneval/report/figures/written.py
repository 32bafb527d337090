"""Figures as the bytes of files: pictures at 300 dots an inch, and vectors."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render_png(figure: Figure) -> bytes:
    """A figure as PNG."""
    return _bytes(figure, "png")


def render_svg(figure: Figure) -> bytes:
    """A figure as SVG whose letters are outlines, so that it needs no font."""
    return _bytes(figure, "svg")


def render_pdf(figure: Figure) -> bytes:
    """A figure as PDF with its fonts in it, whose text can be searched."""
    return _bytes(figure, "pdf")


def _bytes(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=kind)
    return file.getvalue()
