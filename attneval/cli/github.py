"""GitHub's runner: a verdict told to it, and its step summary, which files that are named without a suffix are like."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attneval.cli.command import option
from attneval.cli.streams import command_runner
from attneval.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from attneval.cli.options import Command, Output
    from attneval.results.gate import Verdict

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable in which the runner names the file of a step's summary."""


def github_option(*, rare: bool = False) -> Callable[[Command], Command]:
    """`--github`: whether the runner is told of a verdict."""
    return option(
        "--github",
        type=click.Choice(("auto", "on", "off")),
        default="auto",
        group="Output",
        rare=rare,
        help="Step summary and annotations; auto: where GITHUB_ACTIONS is set.",
    )


def is_summary(path: Path) -> bool:
    """Tell whether a file is the summary of a step."""
    summary = os.environ.get(SUMMARY)
    return bool(summary) and os.path.realpath(path) == os.path.realpath(str(summary))


def is_appended(path: Path) -> bool:
    """Tell whether a file grows instead of being replaced: a step's summary, and what has no suffix, as it has none."""
    return not path.suffix or is_summary(path)


def append_summary(path: Path, markdown: str, *, hint: str = "") -> None:
    """Append Markdown to a step's summary, cut where the runner would drop it whole.

    Raises:
        DataError: It cannot be written.
    """
    from attneval.report.github import github_summary
    from attneval.storage.whole_files import encoded

    try:
        before = path.stat().st_size if path.exists() else 0
        with path.open("ab") as file:
            file.write(encoded(github_summary(markdown, before)))
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror})", hint=hint) from error


def tell_github(verdict: Verdict, choice: str, output: Output) -> None:
    """Append a verdict to the step's summary, unless `-o` does, and mark rules that are broken.

    Args:
        verdict: The verdict.
        choice: The value of `--github`.
        output: The command's output.

    Raises:
        DataError: The summary cannot be written.
    """
    from attneval.report.gate import gate_page
    from attneval.report.github import github_annotations
    from attneval.report.markdown import render_markdown

    if choice == "off" or (choice == "auto" and os.environ.get("GITHUB_ACTIONS") != "true"):
        return
    summary = os.environ.get(SUMMARY)
    if summary and not (output.command == "gate" and output.appends_to(Path(summary))):
        way_out = f"{SUMMARY} names it; pass --github off to leave the summary out"
        append_summary(Path(summary), render_markdown(gate_page(verdict)), hint=way_out)
    # The runner reads commands from both streams; stdout is for data.
    for line in github_annotations(verdict):
        command_runner(line)
