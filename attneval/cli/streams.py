"""The two streams: data on stdout, lines for people on stderr, and refusals where they cannot be written."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from attneval.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def stdout_written() -> Iterator[None]:
    """Turn what the system says while stdout is written into a refusal.

    Raises:
        DataError: The disk that it leads to is full, for instance; that nobody reads it any more is no error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"stdout cannot be written ({error.strerror or error})") from error


def say(text: str) -> None:
    """Write data to stdout, which whoever made them has made safe; what its encoding lacks is spelled out."""
    encoding = sys.stdout.encoding or "ascii"
    if not encoding.lower().startswith("utf"):
        from attneval.report.table import MINUS

        # A number with its sign spelled out would look like another number.
        text = text.replace(MINUS, "-")
    with stdout_written():
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def tell(text: str, *, passed: bool | None = None) -> None:
    """Write a line for people to stderr, in which names of files and systems can do no harm.

    Args:
        text: The line.
        passed: Of a rule, whether it was kept; on a terminal with colours the line is green or red.
    """
    from attneval.report.table import safe

    colour = None if passed is None or os.environ.get("NO_COLOR") else "green" if passed else "red"
    # On what is no terminal click leaves colours out.
    click.echo(click.style(safe(text), fg=colour) if colour else safe(text), err=True)


def command_runner(line: str) -> None:
    """Write a line to stderr that a CI server is to take as a command; its parts have been made safe."""
    click.echo(line, err=True)
