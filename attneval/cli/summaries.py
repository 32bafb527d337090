"""Step summaries of CI runners: Markdown that grows. Files that are named without a suffix are like them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attneval.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable in which the runner names the file of a step's summary."""


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
