"""A verdict as GitHub's runner takes it: annotations, and a step summary that is short enough to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.report.table import safe

if TYPE_CHECKING:
    from attneval.results.gate import Verdict

ANNOTATIONS = 10
"""GitHub shows ten annotations of a kind per step and drops the rest."""
SUMMARY_BYTES = 900 * 1024
"""GitHub drops a step's summary whole when it is over 1024 KiB."""


def github_annotations(verdict: Verdict) -> list[str]:
    """Write workflow commands that mark failed rules; the last one says how many are left out."""
    failed = [outcome for outcome in verdict.outcomes if not outcome.passed]
    texts = [str(outcome) for outcome in failed]
    if len(texts) > ANNOTATIONS:
        rest = len(texts) - ANNOTATIONS + 1
        texts = [*texts[: ANNOTATIONS - 1], f"{rest} more rules failed"]
    return [f"::error title=attneval gate::{_command_text(text)}" for text in texts]


def _command_text(text: str) -> str:
    return safe(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def github_summary(markdown: str, before: int = 0) -> str:
    """Cut a step summary so that it is never too long to be shown.

    Args:
        markdown: What is to be appended.
        before: Bytes that the summary has already.
    """
    data, room = markdown.encode("utf-8"), max(SUMMARY_BYTES - before, 0)
    if len(data) <= room:
        return markdown
    return data[:room].decode("utf-8", "ignore").rpartition("\n")[0] + "\n\n(cut: the summary is too long)\n"
