"""Completion: what a shell gets for metrics, names, channels and files. Colours: what they say, and where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from commands import ROOT, attneval, on_terminal

from attneval.config.presets import PRESETS

if TYPE_CHECKING:
    from pathlib import Path


def completed(line: str, cwd: Path = ROOT) -> list[str]:
    """What bash gets for a line whose last word is unfinished, with files as `file:`."""
    words = line.split(" ")
    variables = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_ATTNEVAL_COMPLETE": "bash_complete"}
    done = attneval(cwd=cwd, **variables)
    assert (done.code, done.err) == (0, "")
    return [f"{kind}:" if kind in {"file", "dir"} else name for kind, _, name in _lines(done.out)]


def _lines(text: str) -> list[tuple[str, str, str]]:
    return [(kind, ",", name) for kind, _, name in (line.partition(",") for line in text.splitlines())]


@pytest.mark.parametrize(
    ("line", "some", "never"),
    [
        ("attneval sc", ["score"], ["compare"]),
        ("attneval score --min f1", ["f1=", "f1_lift="], ["ap="]),
        ("attneval gate r.json --max-drop i2t_r", ["i2t_r@1=", "i2t_r@10="], ["f1="]),
        ("attneval compare a.json b.json -m poi", ["pointing"], ["f1"]),
        ("attneval heads r.json -m f1_", ["f1_lift"], ["f1"]),
        ("attneval explain si", ["signature", "singular"], ["f1", "wrong entity"]),
        ("attneval explain over", ["overlap"], []),
        ("attneval explain mdetr", ["mdetr-any", "mdetr-merged"], []),
        ("attneval score --preset m", ["mdetr-any", "multigrounding"], ["default"]),
        ("attneval score --overlap i", ["iou", "iof"], ["center"]),
        ("attneval score --boxes m", ["merged"], ["any"]),
        ("attneval score --gt-format coco", ["coco"], ["entities"]),
        ("attneval score --cro", ["--crowd"], ["--gt"]),
    ],
)
def test_names_are_completed(line: str, some: list[str], never: list[str]) -> None:
    offered = completed(line)
    assert set(some) <= set(offered), offered
    assert not set(never) & set(offered)


@pytest.mark.parametrize(
    "line",
    [
        "attneval score ",
        "attneval score --gt ",
        "attneval compare a.json ",
        "attneval gate ",
        "attneval score --boxes d",
    ],
)
def test_files_are_the_shell_s(line: str) -> None:
    assert completed(line) == ["file:"]


def test_channels_are_those_of_the_result_on_the_line(tmp_path: Path) -> None:
    scored = ("score", "fixtures/heads.npz", "--gt", "fixtures/entities", "--resamples", "0", "-q")
    assert attneval(*scored, "-o", tmp_path / "r.json").code == 0
    assert {"L0H1", "L0H3"} <= set(completed("attneval curve r.json --channel L0", tmp_path))
    (tmp_path / "broken.json").write_text("[")
    assert completed("attneval curve broken.json --channel ", tmp_path) == ["all", "top:10@half"]


def test_every_preset_is_offered() -> None:
    assert completed("attneval score --preset ") == list(PRESETS)


# ---------------------------------------------------------------- colours

SCORE = ("score", "fixtures/good.npz", "--gt", "fixtures/entities", "--resamples", "100")
GREEN, RED, YELLOW = "32", "31", "33"


def colours(text: str, word: str) -> set[str]:
    """The colours of the lines that hold a word."""
    lines = [line for line in text.splitlines() if word in line]
    assert lines, word
    return {code for line in lines for codes in re.findall(r"\x1b\[([\d;]*)m", line) for code in codes.split(";")} & {
        GREEN,
        RED,
        YELLOW,
    }


def test_colours_say_what_stands_above_the_floors() -> None:
    good = on_terminal(*SCORE, columns=120).out
    assert colours(good, "Attention F1") == colours(good, "F1 above even") == {GREEN}
    assert colours(good, "Attention Recall") == set()  # attending to everything has all of it
    assert "green: significantly above its floor" in good
    even = on_terminal(*SCORE[:1], "fixtures/uniform.npz", *SCORE[2:], columns=120).out
    assert colours(even, "Attention F1") == {YELLOW}
    assert "not significantly above its floor" in even
    assert "green" not in even


def test_colours_say_what_is_significant_and_what_is_broken(tmp_path: Path) -> None:
    for name in ("good", "noisy"):
        scored = ("score", f"fixtures/{name}.npz", *SCORE[2:], "-q", "-o", tmp_path / f"{name}.json")
        assert attneval(*scored).code == 0
    worse = on_terminal("compare", "good.json", "noisy.json", columns=120, cwd=tmp_path).out
    better = on_terminal("compare", "noisy.json", "good.json", columns=120, cwd=tmp_path).out
    assert (colours(worse, "pointing  "), colours(better, "pointing  ")) == ({RED}, {GREEN})
    assert colours(worse, "i2t_r@10  ") == set()
    rules = ("gate", "noisy.json", "--min", "f1=0.1", "--min", "ap=0.99")
    gate = on_terminal(*rules, columns=120, cwd=tmp_path).out
    assert (colours(gate, "f1 >="), colours(gate, "ap >=")) == ({GREEN}, {RED})


@pytest.mark.parametrize(("no_color", "term"), [("1", "xterm-256color"), ("", "dumb")])
def test_without_colours_nothing_speaks_of_them(no_color: str, term: str) -> None:
    done = on_terminal(*SCORE, columns=120, NO_COLOR=no_color, TERM=term)
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", done.out)
    assert "green" not in done.out
    assert "65.8" in done.out


def test_a_pipe_has_no_colours_but_where_they_are_asked_for() -> None:
    assert "\x1b" not in attneval(*SCORE, "-f", "table").out
    forced = attneval(*SCORE, "-f", "table", "--color", "always").out
    assert colours(forced, "Attention F1") == {GREEN}
    assert "\x1b[3" not in on_terminal(*SCORE, "--color", "never", columns=120).out
