"""The extras of the package, as a hint says how they are installed."""

from __future__ import annotations

from attneval._version import __version__


def to_install(extra: str) -> str:
    """Say how an extra of the package is installed: from a clone, or from a wheel by its path.

    attneval is in no index of packages, so that its name alone would install nothing, or something else.
    """
    wheel = f"attneval-{__version__}-py3-none-any.whl"
    return f"pip install '.[{extra}]' in a clone, or pip install './{wheel}[{extra}]' with a wheel"
