"""Figures and tables for papers from the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from commands import ROOT, attneval
from here import Here
from results import scored

from attneval.report import figures
from attneval.report.formats import FORMATS, PAPERS, by_suffix, printed_by

if TYPE_CHECKING:
    from pathlib import Path

FIXTURES = ROOT / "fixtures"
STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
COMMANDS = {
    "score": ("score", FIXTURES / "good.npz", "--gt", FIXTURES / "entities", "--resamples", "50"),
    "merge": ("merge", "good.json"),
    "compare": ("compare", "good.json", "noisy.json", "-m", "f1", "--resamples", "50"),
    "curve": ("curve", "good.json", "noisy.json"),
    "heads": ("heads", "heads.json"),
}


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    for name in ("good", "noisy", "heads"):
        scored(name).save(tmp_path / f"{name}.json")
    return Here(capsys, monkeypatch, tmp_path)


def test_the_commands_are_those_of_the_table() -> None:
    assert set(COMMANDS) == set(PAPERS)
    for name in PAPERS:
        assert {*STARTS, ".tex", ".md"} <= set(by_suffix(name))
        assert not {"png", "svg", "pdf"} & set(printed_by(name))
    assert {line.suffix for line in FORMATS.values() if line.is_figure} == set(STARTS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_writes_figures_and_tables(here: Here, tmp_path: Path, command: str) -> None:
    pytest.importorskip("matplotlib")
    outputs = [part for suffix in (*STARTS, ".tex", ".md") for part in ("-o", f"x{suffix}")]
    done = here(*COMMANDS[command], *outputs, "-q")
    assert done.code == 0, done.err
    for suffix, start in STARTS.items():
        assert (tmp_path / f"x{suffix}").read_bytes().startswith(start)
    assert (tmp_path / "x.tex").read_text().startswith("\\begin{table}\n")
    before = {suffix: (tmp_path / f"x{suffix}").read_bytes() for suffix in STARTS}
    assert here(*COMMANDS[command], *outputs, "-q").code == 0
    assert {suffix: (tmp_path / f"x{suffix}").read_bytes() for suffix in STARTS} == before


def test_figures_are_no_format_of_stdout(here: Here) -> None:
    assert "png" in here.refused("curve", "good.json", "-f", "png")


def test_without_matplotlib_nothing_is_worked_on(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "find_spec", lambda _: None)
    # What does not exist is not even looked for.
    said = here.refused("score", "nowhere.npz", "--gt", "nowhere", "-o", "x.pdf", "-o", "x.json")
    assert "figures need matplotlib, which is not installed" in said
    assert "'.[plot]'" in said
    assert not (tmp_path / "x.json").exists()


def test_settings_that_keep_matplotlib_from_being_loaded(here: Here, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = attneval("curve", "good.json", "-o", "x.pdf", cwd=tmp_path, MPLBACKEND="nonsense")
    assert done.code == 2
    assert done.err.startswith("error: figures need matplotlib, which cannot be loaded (")
    # A backend that shows things is not asked for anything.
    done = attneval("curve", "good.json", "-o", "x.pdf", "-q", cwd=tmp_path, MPLBACKEND="tkagg")
    assert (done.code, done.err) == (0, "")


def test_where_there_is_nothing_to_draw_nothing_is_written(here: Here, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert here("score", "--similarity", FIXTURES / "good.npz", "-o", "r.json", "-q").code == 0
    here.refused("curve", "r.json", "-o", "x.pdf", "-o", "x.csv")
    assert not list(tmp_path.glob("x.*"))
    # Retrieval alone has a figure of its scores.
    assert here("merge", "r.json", "-o", "r.pdf", "-q").code == 0


def test_captions_and_labels(here: Here) -> None:
    done = here(*COMMANDS["compare"], "-f", "latex", "--caption", r"50 % & \x", "--label", "tab:a_b-1.c")
    captions = re.findall(r"\\caption\{(.*)\}", done.out)
    assert captions[0].startswith(r"50 \% \& \textbackslash{}x. Letters: ")
    assert captions[1] == "b noisy against a good."
    assert re.findall(r"\\label\{(.*)\}", done.out) == ["tab:a_b-1.c", "tab:a_b-1.c-2"]
    done = here(*COMMANDS["curve"], "-f", "markdown", "--caption", "A *curve*")
    assert done.out.startswith("**A \\*curve\\***\n")


@pytest.mark.parametrize("label", ["", "a b", "a%b", "}", "tab:x}\\input{y", "ä", "-x"])
def test_labels_that_latex_does_not_take(here: Here, label: str) -> None:
    assert "is no label" in here.refused(*COMMANDS["curve"], "-f", "latex", "--label", label)


def test_labels_and_captions_of_nothing_are_refused(here: Here) -> None:
    assert "--label is for latex" in here.refused(*COMMANDS["curve"], "-f", "markdown", "--label", "x")
    assert "--caption is for latex and markdown" in here.refused(*COMMANDS["curve"], "--caption", "x", "-o", "x.csv")


def test_a_terminal_without_the_minus_has_a_hyphen() -> None:
    command = ("score", FIXTURES / "good.npz", "--gt", FIXTURES / "entities", "--resamples", "0", "-f", "markdown")
    done = attneval(*command, LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert "| -13.7 |" in done.out
    assert "u2212" not in done.out
