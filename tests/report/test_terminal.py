"""Every terminal table at every width, in colour, without, and in ASCII: nothing is cut or too wide."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import attneval, on_terminal

if TYPE_CHECKING:
    from commands import Done

ROOT = Path(__file__).parents[2]
GT = ("--gt", str(ROOT / "fixtures" / "entities"), "--resamples", "50")
COMMANDS = {
    "score": ("score", str(ROOT / "fixtures" / "good.npz"), *GT),
    "channels": ("score", str(ROOT / "fixtures" / "heads.npz"), *GT),
    "merge": ("merge", "good.json"),
    "heads": ("heads", "heads.json"),
    "compare": ("compare", "good.json", "noisy.json", "--trials", "99"),
    "gate": ("gate", "noisy.json", "--baseline", "good.json", "--max-drop", "f1=2%", "--min", "ap=0.5", "--exit-zero"),
    "curve": ("curve", "good.json", "noisy.json"),
    "inspect": ("inspect", "noisy.json", "--diff", "good.json", "-n", "4"),
    "doctor": ("doctor",),
}
ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
RULE = re.compile(r"[-─+]+")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("terminal")
    for name in ("good", "noisy", "heads"):
        scored = ("score", f"fixtures/{name}.npz", "--gt", "fixtures/entities", "-q", "--resamples", "50", "--items")
        assert attneval(*scored, "-o", root / f"{name}.json").code == 0
    return root


def lines_of(done: Done) -> list[str]:
    assert done.code == 0, done.err
    return ESCAPES.sub("", done.out).splitlines()


def words(lines: list[str]) -> list[str]:
    """The words of prose, that is of lines that no table and no drawing has."""
    text = " ".join(lines)
    return text[text.index("signature: ") :].replace(" ", "").split("|") if "signature: " in text else []


@pytest.mark.parametrize("name", COMMANDS)
def test_tables_fit_every_width(folder: Path, name: str) -> None:
    shown = {}
    for columns in (60, 200) if name != "score" else (60, 80, 200):
        lines = lines_of(on_terminal(*COMMANDS[name], columns=columns, cwd=folder))
        assert max(map(len, lines)) <= columns
        shown[columns] = lines
        # Prose breaks between words, and ends where its last word does.
        prose = [line for line in lines if re.match(r"(?:note|signature|short|no room for): ", line)]
        assert all(line == line.rstrip() for line in prose)
        assert "…" not in "".join(lines)
    assert words(shown[60]) == words(shown[200])
    # What is left out is said, and at full width there is nothing to say.
    assert not any(line.startswith("no room for") for line in shown[200])
    rules = {columns: [line for line in lines if RULE.fullmatch(line)] for columns, lines in shown.items()}
    assert len(rules[60]) == len(rules[200])


@pytest.mark.parametrize("name", ["channels", "compare", "heads", "inspect"])
def test_ascii_and_no_color_say_the_same(folder: Path, name: str) -> None:
    coloured = on_terminal(*COMMANDS[name], columns=100, cwd=folder)
    plain = on_terminal(*COMMANDS[name], columns=100, cwd=folder, NO_COLOR="1")
    ascii_locale = on_terminal(*COMMANDS[name], columns=100, cwd=folder, NO_COLOR="1", **ASCII)
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", plain.out)
    assert ascii_locale.out.isascii()
    key = re.compile(r"^(?:green|yellow|red): .*\n", re.MULTILINE)
    text = ESCAPES.sub("", plain.out)
    assert key.sub("", ESCAPES.sub("", coloured.out)) == text
    assert ESCAPES.sub("", ascii_locale.out) == text.replace("─", "-")
