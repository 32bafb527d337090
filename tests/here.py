"""The command in this process, where a process of its own would show nothing more and take a while to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands import Done

from attneval.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Here:
    """Run the command from some directory, with `capsys` to see what it prints and no environment of ours."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cwd: Path) -> None:
        self._capsys = capsys
        monkeypatch.chdir(cwd)
        for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)

    def __call__(self, *arguments: str | Path) -> Done:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return Done(code, out, err)

    def refused(self, *arguments: str | Path) -> str:
        """What a command says that cannot do what it should: one line on stderr, nothing on stdout, exit code 2."""
        done = self(*arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error: ")
        assert len(done.err.splitlines()) == 1
        assert "internal error" not in done.err
        return done.err
