"""What a user sees, character by character: wide, narrow, piped, without colour, in an ASCII locale.

With UPDATE_GOLDEN=1 in the environment the files below tests/golden are rewritten instead of compared.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from commands import Done, attneval, on_terminal

GOLDEN = Path(__file__).parent / "golden"
SCORE = ("score", "--attn", "fixtures/good.npz", "--gt", "fixtures/entities")


def check(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("columns", [120, 60])
def test_score_on_a_terminal(columns: int) -> None:
    done = on_terminal(*SCORE, columns=columns)
    assert (done.code, done.err) == (0, "")
    check(f"score-{columns}.txt", done.out)


def test_no_color_keeps_the_text_and_drops_the_colours() -> None:
    done = on_terminal(*SCORE, columns=120, NO_COLOR="1")
    check("score-no-color.txt", done.out)
    assert "\x1b[3" not in done.out


def test_score_in_an_ascii_locale() -> None:
    done = on_terminal(*SCORE, columns=100, LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.out.isascii()
    check("score-ascii.txt", done.out)


def test_score_in_a_pipe_is_plain_and_full_width() -> None:
    done = attneval(*SCORE, COLUMNS="40")
    assert (done.code, done.err) == (0, "")
    assert done.out.isascii()
    check("score-plain.txt", done.out)


def test_score_as_markdown() -> None:
    check("score.md", attneval(*SCORE, "-f", "markdown").out)


def test_score_as_csv() -> None:
    check("score.csv", attneval(*SCORE, "-f", "csv").out)


@pytest.mark.parametrize("arguments", [("--help",), ("score", "--help"), ("explain",), ("explain", "f1")])
def test_help(arguments: tuple[str, ...]) -> None:
    done = attneval(*arguments)
    assert done.code == 0
    check(f"{'-'.join(arguments).replace('--', '')}.txt", done.out)


def test_narrow_output_is_the_wide_one_with_fewer_columns() -> None:
    def numbers(done: Done) -> list[str]:
        text = re.sub(r"\x1b\[[0-9;]*m", "", done.out)
        return re.findall(r"^ Attention (?:Precision|Recall|F1) +([0-9.]+)", text, flags=re.MULTILINE)

    wide, narrow = (on_terminal(*SCORE, columns=columns) for columns in (120, 60))
    assert numbers(wide) == numbers(narrow) == ["65.8", "89.9", "70.7"]
