"""Pictures on a terminal: as images where it can show them, else as blocks of two colours."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from PIL.Image import Image

WAYS = ("kitty", "iterm", "sixel", "blocks")
CHUNK = 4096
"""Characters of base64 that a kitty takes at once."""
COLOURS = 255
CELL = (10, 20)
"""Pixels of a character, more or less, where the terminal does not tell."""
SIXEL_TERMINALS = ("foot", "mlterm", "yaft", "contour", "sixel")
KITTY_PROGRAMS = ("ghostty", "WezTerm")


def way_of(environment: Mapping[str, str]) -> str:
    """The best of `WAYS` that a terminal can show, by what it says of itself.

    Args:
        environment: The variables of the process.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    within = "TMUX" in environment or term.startswith(("screen", "tmux"))
    if within:
        # A multiplexer passes no images on unless it is told to.
        return "blocks"
    if "kitty" in term or "KITTY_WINDOW_ID" in environment or program in KITTY_PROGRAMS or "ghostty" in term:
        return "kitty"
    if program == "iTerm.app" or environment.get("LC_TERMINAL") == "iTerm2" or program == "mintty":
        return "iterm"
    if any(name in term for name in SIXEL_TERMINALS):
        return "sixel"
    return "blocks"


def on_terminal(picture: Image, way: str, columns: int) -> str:
    """A picture as what a terminal reads, with a line feed at its end.

    Args:
        picture: The picture.
        way: One of `WAYS`.
        columns: The characters of a line that it may take.
    """
    if way == "kitty":
        return _kitty(picture, columns)
    if way == "iterm":
        return _iterm(picture, columns)
    if way == "sixel":
        return _sixel(_fitted(picture, columns * CELL[0]))
    return _blocks(picture, columns)


def _fitted(picture: Image, width: int) -> Image:
    if picture.width <= width:
        return picture
    return picture.resize((width, max(round(picture.height * width / picture.width), 1)))


def _png(picture: Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _kitty(picture: Image, columns: int) -> str:
    data = _png(_fitted(picture, columns * CELL[0]))
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks):
        head = "f=100,a=T," if number == 0 else ""
        parts.append(f"\x1b_G{head}m={int(number + 1 < len(chunks))};{chunk}\x1b\\")
    return "".join(parts) + "\n"


def _iterm(picture: Image, columns: int) -> str:
    data = _png(_fitted(picture, columns * CELL[0]))
    size = len(base64.b64decode(data))
    return f"\x1b]1337;File=inline=1;size={size};preserveAspectRatio=1:{data}\x07\n"


def _sixel(picture: Image) -> str:
    """Six rows of pixels at a time, one colour after the other, runs of equal pixels counted."""
    quantised = picture.convert("RGB").quantize(COLOURS)
    index = np.asarray(quantised)
    palette = np.array(quantised.getpalette() or [0, 0, 0], np.int64).reshape(-1, 3)
    parts = [f'\x1bPq"1;1;{picture.width};{picture.height}']
    used = distinct_values(index).tolist()
    parts += [f"#{k};2;{';'.join(str(round(c / 2.55)) for c in palette[k].tolist())}" for k in used]
    for top in range(0, len(index), 6):
        band = index[top : top + 6]
        weight = (1 << np.arange(len(band)))[:, None]
        rows = [f"#{k}{_runs(((band == k) * weight).sum(axis=0))}" for k in distinct_values(band).tolist()]
        parts.append("$".join(rows) + "-")
    return "".join(parts) + "\x1b\\\n"


def _runs(sixels: NDArray[np.int64]) -> str:
    start = np.flatnonzero(np.diff(sixels, prepend=-1))
    length = np.diff(np.append(start, len(sixels)))
    pairs = zip(length.tolist(), sixels[start].tolist(), strict=True)
    return "".join(chr(63 + value) * n if n < 4 else f"!{n}{chr(63 + value)}" for n, value in pairs)


def _blocks(picture: Image, columns: int) -> str:
    """Two pixels a character, the upper one in its colour and the lower one as its ground."""
    width = min(columns, picture.width)
    height = max(2 * round(picture.height * width / picture.width / 2), 2)
    pixels = np.asarray(picture.convert("RGB").resize((width, height)))
    lines = []
    for top in range(0, height, 2):
        cells = []
        last = None
        for upper, lower in zip(pixels[top].tolist(), pixels[top + 1].tolist(), strict=True):
            colours = (*upper, *lower)
            if colours != last:
                cells.append("\x1b[38;2;{};{};{};48;2;{};{};{}m".format(*colours))
                last = colours
            cells.append("\u2580")
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines) + "\n"
