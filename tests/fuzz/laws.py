"""What holds of every command, whatever its files hold."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
import warnings
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .damage import CANARY, HARM, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .server import Outcome
    from .ways import Damage

MEMORY = 2**30
"""Bytes that a command may have at its most; models take half of them."""
JUDGES = ("--min", "--max", "--max-drop", "gate")
"""Commands that may exit with 1."""
KEPT = ("cache", "run", "new", "shown")
"""Folders that commands write into as they go: an index of annotations, a run that is gone on with, pictures."""

Listing = dict[str, str]


def listing(folder: Path) -> Listing:
    """The files of a folder, with digests of what they hold."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not path.is_file() or name.split("/", maxsplit=1)[0] in KEPT:
            continue
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def breaches(done: Outcome, damage: Damage, folder: Path, before: Listing, meant: Meaning | None) -> Iterator[str]:
    """Each law that a command broke.

    Args:
        done: What it left behind.
        damage: What had been done to its files.
        folder: Where it ran.
        before: The files that were there.
        meant: What the command says of the files as they should be, see `meaning`; None if that is not known.
    """
    if done.slow:
        yield f"hangs: ended after {done.seconds:.0f} s"
        return
    allowed = {0, 1, 2} if any(part.startswith(JUDGES) for part in done.arguments) else {0, 2}
    if done.code not in allowed:
        yield f"exits with {done.code}"
    for word in ("internal error", "Traceback", "not enough memory", "Warning:"):
        if word in done.err:
            yield f"says {word!r}"
    if done.memory > MEMORY:
        yield f"takes {done.memory / 2**20:.0f} MB"
    if (folder / CANARY).exists():
        yield "runs code of a file"
    if SECRET in done.out + done.err:
        yield "shows another file"
    yield from _texts(done)
    after = listing(folder)
    if done.code == 2:
        yield from _refusal(done, damage, (name.split("/")[-1] for name in before))
        changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        if changed:
            yield f"refuses, and changes {', '.join(changed[:3])}"
    else:
        for name in after:
            if before.get(name) != after[name]:
                yield from _written(folder / name)
        now = meaning(done)
        if meant is not None and now is not None and now.numbers != meant.numbers:
            named = any(name in note for note in now.notes - meant.notes for name in damage.files)
            if damage.senseless and not named:
                yield "takes what can mean nothing, and other numbers follow in silence"
            if damage.alike:
                yield "gives other numbers although nothing has changed that they depend on"


def _texts(done: Outcome) -> Iterator[str]:
    """What no output may hold, since a terminal or a server would obey it."""
    for stream, text in (("stdout", done.out), ("stderr", done.err)):
        bad = {c for c in text if c not in " \n" and unicodedata.category(c)[0] in "CZ"}
        if bad:
            yield f"{stream} holds {', '.join(sorted(map(ascii, bad)))}"
        if any(line.lstrip().startswith("::") for line in text.splitlines()) or "##[" in text:
            yield f"{stream} holds a command to a CI server"
        if len(text) > 4000 and stream == "stderr":
            yield f"stderr has {len(text)} characters"
    if "markdown" in done.arguments and f"<img src=x onerror={HARM}" in done.out:
        yield "stdout holds markup"


def _refusal(done: Outcome, damage: Damage, files: Iterable[str]) -> Iterator[str]:
    """A refusal is one line that says where."""
    if "validate" in done.arguments:
        return
    if done.out:
        yield "refuses, and prints something"
    errors = [line for line in done.err.splitlines() if not line.startswith("note: ")]
    if len(errors) != 1 or not errors[0].startswith("error: "):
        yield f"refuses in {len(errors)} lines"
    if damage.files and not any(name in done.err for name in {*_names(done, damage), *files}):
        yield "refuses, and does not name a file"


def _names(done: Outcome, damage: Damage) -> list[str]:
    """What names where something is wrong: what is damaged, or another file of the command that it does not fit."""
    files = [name for file in damage.files for name in (file, file.split(".")[0])]
    files += [part for part in done.arguments[1:] if not part.startswith("-") and len(part) > 3]
    return files + [part for part in done.arguments if part.endswith((".json", ".npz", ".npy", ".p", ".tar", ".txt"))]


def _written(path: Path) -> Iterator[str]:
    """A file that a command has written is whole, and holds no markup of others."""
    name = path.name
    if name.startswith("."):
        yield f"leaves {name}"
    elif path.suffix == ".json":
        try:
            json.loads(path.read_bytes(), parse_constant=_refuse)
        except ValueError as error:
            yield f"writes {name}, which is not JSON ({error})"
    elif path.suffix == ".npz":
        try:
            with warnings.catch_warnings(), np.load(path, allow_pickle=False) as held:
                warnings.simplefilter("ignore")
                for member in held.files:
                    held[member]
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            yield f"writes {name}, which cannot be read ({error})"
    elif path.suffix in {".html", ".svg", ".md"}:
        text = path.read_text("utf-8", "replace")
        if re.search(rf"<script>{re.escape(HARM)}|<img src=x onerror={re.escape(HARM)}>", text):
            yield f"writes {name} with markup of a file"


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


# ---------------------------------------------------------------- what is said

NUMBERS = ("metrics", "counts", "items", "precision", "recall", "f1", "rules", "systems", "heads", "channels", "curve")
"""Keys of JSON that hold what was measured."""


@dataclass(frozen=True)
class Meaning:
    """What a command says.

    Attributes:
        numbers: Those that were measured.
        notes: What it says beside them, in words; a file that it names among its inputs is no note.
    """

    numbers: list[float]
    notes: frozenset[str]


def meaning(done: Outcome) -> Meaning | None:
    """What a command says that prints JSON; None if it prints none."""
    if done.code == 2 or "json" not in done.arguments:
        return None
    try:
        values = json.loads(done.out)
    except ValueError:
        return None
    held = values if isinstance(values, dict) else {}
    kept = {key: held[key] for key in NUMBERS if key in held}
    notes = frozenset([*map(str, held.get("notes") or ()), *done.err.splitlines()])
    return Meaning([round(number, 9) for number in _numbers(kept or values)], notes)


def _numbers(values: Any) -> Iterator[float]:
    if isinstance(values, dict):
        for key in sorted(values):
            yield from _numbers(values[key])
    elif isinstance(values, list):
        for value in values:
            yield from _numbers(value)
    elif isinstance(values, (int, float)) and not isinstance(values, bool):
        yield float(values) if math.isfinite(values) else 0.0
