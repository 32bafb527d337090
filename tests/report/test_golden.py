"""What a user sees, character by character: wide, narrow, piped, without colour, in an ASCII locale.

With UPDATE_GOLDEN=1 in the environment the files below tests/golden are rewritten instead of compared.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from commands import Done, attneval, on_terminal
from results import scored

from attneval.results.result import items_path

GOLDEN = Path(__file__).parents[1] / "golden"
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


DECISIONS = {
    "compare": ("compare", "good.json", "noisy.json", "twin.json", "-m", "f1", "-m", "ap", "-m", "rsum"),
    "curve": ("curve", "good.json", "noisy.json"),
    "inspect": ("inspect", "noisy.json", "--diff", "good.json", "-n", "3"),
    "gate": (
        *("gate", "noisy.json", "--baseline", "good.json", "--max-drop", "f1=2%", "--min", "ap=0.5"),
        *("--max", "entropy=0.6", "--only-significant"),
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the results of the fixtures and their items."""
    folder = tmp_path_factory.mktemp("results")
    for name in ("good", "noisy", "twin"):
        result = scored(name)
        result.save(folder / f"{name}.json")
        assert result.items is not None
        result.items.save(items_path(folder / f"{name}.json"))
    return folder


@pytest.mark.parametrize("columns", [120, 60])
@pytest.mark.parametrize("name", DECISIONS)
def test_decisions_on_a_terminal(results: Path, name: str, columns: int) -> None:
    done = on_terminal(*DECISIONS[name], columns=columns, cwd=results)
    assert (done.code, done.err) == (int(name == "gate"), "")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", done.out).splitlines()
    assert max(map(len, lines)) <= columns
    check(f"{name}-{columns}.txt", done.out)


@pytest.mark.parametrize("name", DECISIONS)
def test_decisions_in_a_pipe(results: Path, name: str) -> None:
    done = attneval(*DECISIONS[name], cwd=results, COLUMNS="40")
    assert (done.code, done.err) == (int(name == "gate"), "")
    assert done.out.isascii()
    check(f"{name}-plain.txt", done.out)


def test_decisions_without_colour_and_in_an_ascii_locale(results: Path) -> None:
    done = on_terminal(*DECISIONS["compare"], columns=120, cwd=results, NO_COLOR="1")
    check("compare-no-color.txt", done.out)
    assert "\x1b[3" not in done.out
    ascii_locale = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for name in ("compare", "curve"):
        done = on_terminal(*DECISIONS[name], columns=100, cwd=results, **ascii_locale)
        assert done.out.isascii()
        check(f"{name}-ascii.txt", done.out)


@pytest.mark.parametrize(("style", "suffix"), [("markdown", "md"), ("latex", "tex"), ("csv", "csv")])
def test_compare_in_other_formats(results: Path, style: str, suffix: str) -> None:
    check(f"compare.{suffix}", attneval(*DECISIONS["compare"], "-f", style, cwd=results).out)


def test_score_as_markdown() -> None:
    check("score.md", attneval(*SCORE, "-f", "markdown").out)


def test_score_as_csv() -> None:
    check("score.csv", attneval(*SCORE, "-f", "csv").out)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("score", "--help"), ("explain",), ("explain", "f1"), ("explain", "--presets")]
)
def test_help(arguments: tuple[str, ...]) -> None:
    done = attneval(*arguments)
    assert done.code == 0
    check(f"{'-'.join(arguments).replace('--', '')}.txt", done.out)


def test_narrow_output_is_the_wide_one_with_fewer_columns() -> None:
    def numbers(done: Done) -> list[str]:
        text = re.sub(r"\x1b\[[0-9;]*m", "", done.out)
        return re.findall(r"^Attention (?:Precision|Recall|F1) +([0-9.]+)", text, flags=re.MULTILINE)

    wide, narrow = (on_terminal(*SCORE, columns=columns) for columns in (120, 60))
    assert numbers(wide) == numbers(narrow) == ["65.8", "89.9", "70.7"]
