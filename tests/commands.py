"""Running the real command, with or without a terminal, as a user would."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


def environment(**changes: str) -> dict[str, str]:
    """The environment without anything that would change output, and some changes."""
    dropped = ("ATTNEVAL_", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM", "LC_", "LANG", "PYTHONUTF8", "GITHUB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"LANG": "C.UTF-8", "TERM": "xterm-256color"} | changes


def attneval(*arguments: str | Path, cwd: Path = ROOT, **changes: str) -> Done:
    """Run the command with stdout and stderr in pipes."""
    command = [sys.executable, "-m", "attneval", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment(**changes), capture_output=True, check=False, timeout=120)
    return Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def on_terminal(*arguments: str | Path, columns: int, cwd: Path = ROOT, **changes: str) -> Done:
    """Run the command on a terminal of some width; what it prints comes back with its escape codes."""
    command = [sys.executable, "-m", "attneval", *map(str, arguments)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=cwd, env=environment(COLUMNS=str(columns), **changes), stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(ours)
    _, err = process.communicate(timeout=120)
    out = b"".join(pieces).decode("utf-8", "replace").replace("\r\n", "\n")
    return Done(process.returncode, out, err.decode("utf-8", "replace"))
