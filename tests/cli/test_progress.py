"""The line of progress on a terminal: how many are done, how fast, and how long the rest takes."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

from attneval.cli import progress as module

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, *, patience: float, rate: str) -> str:
    terminal, now = Terminal(), [0.0]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "PATIENCE", patience)
    monkeypatch.setattr("attneval.cli.progress.time.monotonic", lambda: now[0])
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with module.progress("exported captions", quiet=False, rate=rate) as on_progress:
        assert on_progress is not None
        for done in (8, 16, 24):
            now[0] += 2
            on_progress(done, 32)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())


def test_the_rate_and_the_time_left_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, patience=1, rate="captions/s")
    assert "exported captions" in text
    assert "24/32" in text
    assert "4.0 captions/s" in text
    assert re.search(r"\d+:\d\d:\d\d|-:--:--", text)


def test_nothing_is_shown_of_what_is_soon_done_or_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, patience=60, rate="") == ""
    with module.progress("scored images", quiet=True) as on_progress:
        assert on_progress is None
