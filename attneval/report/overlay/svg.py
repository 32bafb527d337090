"""Elements of SVG and HTML with every text and attribute escaped, and lengths in percent of the width."""

from __future__ import annotations

from attneval.report.markup import Markup, escape


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Make an element.

    Args:
        name: The element's name.
        children: What it holds, escaped unless it is markup already.
        attributes: Its attributes: `stroke_width` is `stroke-width`, `class_` is `class`; None leaves one out.
    """
    given = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _text(value))
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(name, given, inner)


def percent(share: float) -> str:
    """A length along the axis from 0 to 1."""
    return f"{_short(100 * share)}%"


def path(points: list[tuple[float, float]], *, closed: bool = False) -> str:
    """The commands of a path through points on a canvas of 1000 by 1000."""
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points) + ("Z" if closed else "")


def _text(value: object) -> object:
    return _short(value) if isinstance(value, float) else value


def _short(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
