"""GitHub's runner: `score` tells it of a verdict as `gate` does, and all tables can go into a step's summary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from commands import ROOT, Done, attneval
from exports import assert_says

from attneval.report.formats import by_suffix, offered_by
from attneval.report.github import SUMMARY_BYTES, github_summary

if TYPE_CHECKING:
    from pathlib import Path

SCORE = ("score", "fixtures/good.npz", "--gt", "fixtures/entities", "--resamples", "0", "-q")
RESULTS = {
    "merge": ("merge", "result.json", "-q"),
    "compare": ("compare", "result.json", "result.json", "--trials", "9", "--resamples", "0"),
    "heads": ("heads", "heads.json", "-q"),
    "curve": ("curve", "result.json"),
    "inspect": ("inspect", "result.json"),
    "doctor": ("doctor",),
    "gate": ("gate", "result.json", "--min", "f1=0.9"),
}


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    """The summary as the runner makes it: there, empty, and without a suffix."""
    path = tmp_path / "step_summary_4f1c"
    path.write_text("before\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("github")
    for name, export in (("result", "good"), ("heads", "heads")):
        scored = ("score", f"fixtures/{export}.npz", "--gt", "fixtures/entities", "-q", "--resamples", "0", "--items")
        assert attneval(*scored, "-o", root / f"{name}.json").code == 0
    return root


def on_github(summary: Path, *arguments: str | Path, cwd: Path = ROOT) -> Done:
    return attneval(*arguments, cwd=cwd, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))


def commands(done: Done) -> list[str]:
    return [line for line in (done.out + done.err).splitlines() if line.lstrip().startswith("::")]


def test_score_tells_of_its_rules_as_gate_does(summary: Path, folder: Path) -> None:
    rules = ("--min", "f1=0.9", "--max", "entropy=0.99", "--min", "i2t_r@1=0.999")
    scored = on_github(summary, *SCORE, *rules)
    assert scored.code == 1
    text = summary.read_text()
    assert text.startswith("before\n**Gate of good: FAILED**\n")
    gated = on_github(summary, "gate", folder / "result.json", *rules)
    assert commands(scored) == commands(gated)
    assert [re.split("[(]", line)[0] for line in commands(scored)] == [
        "::error title=attneval gate::FAILED: f1 >= 0.9 ",
        "::error title=attneval gate::FAILED: i2t_r@1 >= 0.999 ",
    ]
    assert summary.read_text() == text + text.removeprefix("before\n")
    # Data stay data.
    assert scored.out.startswith("Attention of good")


def test_score_without_rules_and_with_github_off_tells_nothing(summary: Path) -> None:
    for rules in ((), ("--min", "f1=0.9", "--github", "off")):
        assert commands(on_github(summary, *SCORE, *rules)) == []
    assert summary.read_text() == "before\n"
    elsewhere = attneval(*SCORE, "--min", "f1=0.9", GITHUB_STEP_SUMMARY=str(summary))
    assert (elsewhere.code, commands(elsewhere), summary.read_text()) == (1, [], "before\n")


def test_a_summary_of_score_has_the_tables_and_then_the_verdict(summary: Path) -> None:
    done = on_github(summary, *SCORE, "--min", "f1=0.1", "-o", summary)
    assert done.code == 0, done.err
    assert summary.read_text().startswith("before\n**Attention of good, in %**\n")
    assert summary.read_text().index("signature: ") < summary.read_text().index("**Gate of good: passed**")


@pytest.mark.parametrize("name", RESULTS)
def test_every_command_appends_its_tables_to_a_summary(summary: Path, folder: Path, name: str) -> None:
    done = on_github(summary, *RESULTS[name], "-o", summary, cwd=folder)
    assert done.code == (1 if name == "gate" else 0), done.err
    text = summary.read_text()
    markdown = attneval(*RESULTS[name], "-f", "markdown", cwd=folder).out
    assert text == "before\n" + markdown  # once, of the gate too
    on_github(summary, *RESULTS[name], "-o", summary, cwd=folder)
    assert summary.read_text() == text + markdown


def test_the_runner_s_file_is_appended_to_whatever_its_name_is(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    for _ in range(2):
        assert on_github(path, *SCORE, "-o", path).code == 0
    assert path.read_text().count("**Attention of good, in %**") == 2


def test_a_file_without_a_suffix_is_markdown_everywhere(tmp_path: Path) -> None:
    assert attneval(*SCORE, "-o", tmp_path / "table").code == 0
    assert (tmp_path / "table").read_text() == attneval(*SCORE, "-f", "markdown").out
    assert all(".md" in by_suffix(name) for name in ("score", *RESULTS) if offered_by(name))


def test_nothing_is_appended_where_nothing_was_scored(summary: Path) -> None:
    done = on_github(summary, *SCORE, "--min", "rsum=0.1", "--similarity", "none.npy", "-o", summary)
    assert (done.code, summary.read_text()) == (2, "before\n")


def test_a_summary_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = on_github(tmp_path / "no" / "summary", *SCORE, "--min", "f1=0.1")
    assert done.code == 2
    assert_says(done.err, str(tmp_path / "no" / "summary"), "cannot be written", "--github off")


def test_a_summary_is_cut_with_what_it_has_already() -> None:
    assert github_summary("line\n", before=SUMMARY_BYTES - 5) == "line\n"
    assert github_summary("line\n", before=SUMMARY_BYTES - 4) == "\n\n(cut: the summary is too long)\n"
    assert github_summary("a\nb\n", before=SUMMARY_BYTES - 3) == "a\n\n(cut: the summary is too long)\n"
    assert github_summary("a\nb\n", before=10 * SUMMARY_BYTES) == "\n\n(cut: the summary is too long)\n"
