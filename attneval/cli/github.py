"""GitHub's runner, to which verdicts are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attneval.cli.command import option
from attneval.cli.streams import command_runner
from attneval.cli.summaries import SUMMARY, append_summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from attneval.cli.options import Command
    from attneval.cli.output import Output
    from attneval.results.gate import Verdict


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
