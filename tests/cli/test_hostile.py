"""Texts and settings that mean harm: nothing printed can move a cursor, run a command or hide, and nothing hangs."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import unicodedata
from typing import TYPE_CHECKING

import pytest
from commands import ROOT
from here import Here
from results import scored

from attneval.config.settings import find, load
from attneval.errors import ConfigError
from attneval.report.delimited import render_csv
from attneval.report.json import render_json
from attneval.report.table import safe

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "::error::\x1b[31mred\x9b2J\u202egnp\u2028next\r\nline"
FIXTURES = ROOT / "fixtures"


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


def assert_harmless(text: str) -> None:
    """No character but visible ones and line ends, and no line that a CI server would obey."""
    assert all(c in " \n" or unicodedata.category(c)[0] not in "CZ" for c in text)
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert "##[" not in text


# ---------------------------------------------------------------- what is printed


@pytest.mark.parametrize("style", ["plain", "json", "csv", "markdown"])
def test_no_format_prints_what_a_terminal_or_server_obeys(here: Here, style: str) -> None:
    done = here("score", FIXTURES / "good.npz", "--gt", FIXTURES / "entities", "--name", HOSTILE, "-f", style)
    assert done.code == 0
    assert_harmless(done.out)
    if style == "json":
        assert json.loads(done.out)["name"] == HOSTILE


def test_a_new_baseline_is_told_without_harm(here: Here, tmp_path: Path) -> None:
    dataclasses.replace(scored("good"), name=HOSTILE).save(tmp_path / "r.json")
    done = here("gate", "r.json", "--baseline", "::b\x1b.json", "--update-baseline")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("\\x3a:b\\x1b.json is now ")
    assert_harmless(done.err)


def test_only_one_module_writes_to_the_streams() -> None:
    for path in (ROOT / "attneval" / "cli").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "streams.py":
            assert not re.search(r"click\.echo\((?!ctx\.get_help)|\bprint\(|sys\.std(out|err)\.write", text), path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("::error::x", "\\x3a:error::x"),
        (" ::error::x", " \\x3a:error::x"),
        ("a ::b", "a ::b"),
        ("x##[add-path]y", "x\\x23#[add-path]y"),
        ("a\u202eb\x9b", "a\\u202eb\\x9b"),
    ],
)
def test_safe_text(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.mark.parametrize("value", ["=1+1", " =1+1", "+1", "-1", "@SUM(A1)", "\uff1d1+1", "\ufe62" + "1", "  \uff20x"])
def test_formulas_stay_text(value: str) -> None:
    ((cell, _),) = list(csv.reader(io.StringIO(render_csv((("a", "b"), [(value, -1.5)])))))[1:]
    assert cell == f"'{value}"


@pytest.mark.parametrize("value", ["\n=1+1", "\t=1", "\r\n::error::x", "\x1b[31m", "a\u2028b", "::error::x"])
def test_values_of_csv_are_visible_text(value: str) -> None:
    text = render_csv((("a", "b"), [(value, 1)]))
    assert_harmless(text)
    assert len(text.splitlines()) == 2


def test_numbers_of_csv_stay_numbers() -> None:
    assert render_csv((("a", "b"), [(-0.5, None)])) == "a,b\n-0.5,\n"


@pytest.mark.parametrize("text", [HOSTILE, "\x7f\x85\u2066\u2069\ufeff", "\U000e0041tag", "plain é 日本"])
def test_json_is_visible_text_that_reads_back(text: str) -> None:
    shown = render_json({"name": text, text: [1.5, None]})
    assert_harmless(shown)
    assert json.loads(shown) == {"name": text, text: [1.5, None]}
    assert ("é" in shown) == ("é" in text)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("x = " + "9" * 5000, "is not TOML"),
        ("[[tool.attneval]]\niou = 0.3", "tool.attneval must be a table"),
        ("tool = { attneval = 5 }", "tool.attneval must be a table"),
    ],
)
def test_projects_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load(find(tmp_path))


@pytest.mark.parametrize("text", ["tool = 5", "[[tool]]\nx = 1", "tool = []", "[tool]\nother = 1"])
def test_projects_of_others_are_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert find(tmp_path) is None


def test_a_folder_name_of_any_length_is_no_settings_file(tmp_path: Path) -> None:
    assert find(tmp_path / ("x" * 300)) is None


def test_a_null_character_names_no_file(here: Here, tmp_path: Path) -> None:
    (tmp_path / "attneval.toml").write_text('gt = "a\\u0000b"', encoding="utf-8")
    assert "null character" in here.refused("score", FIXTURES / "good.npz")


# ---------------------------------------------------------------- numbers and names


@pytest.mark.parametrize("flag", ["--jobs", "--limit", "--resamples", "--seed"])
@pytest.mark.parametrize("value", ["99999999999999999999", "9" * 4000, str(2**31)])
def test_whole_numbers_have_an_end(here: Here, flag: str, value: str) -> None:
    text = here.refused("score", FIXTURES / "good.npz", "--gt", FIXTURES / "entities", flag, value)
    assert "is more than 2147483647" in text
    assert len(text) < 300


@pytest.mark.parametrize(
    "arguments", [("score", "x" * 256), ("gate", "x" * 256, "--min", "f1=0"), ("score", "a.npz", "--gt", "y" * 5000)]
)
def test_names_that_no_file_can_have(here: Here, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "a.npz").write_bytes((FIXTURES / "good.npz").read_bytes())
    assert "internal" not in here.refused(*arguments)
    assert "internal" not in here.refused("score", "a.npz", "--gt", FIXTURES / "entities", "-o", "z" * 300 + ".json")


@pytest.mark.parametrize(
    ("flag", "meant"),
    [("--ground-truth", "--gt"), ("--attention", "--attn"), ("--trhreshold", "--threshold"), ("--workers", "--jobs")],
)
def test_near_misses_of_options_are_named(here: Here, flag: str, meant: str) -> None:
    assert f"there is no option {flag}; did you mean {meant}?" in here.refused("score", "a.npz", flag, "1")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("attention_f1", "did you mean f1?"),
        ("recall@1", "did you mean r@1 or i2t_r@1 or t2i_r@1?"),
        ("i2t_recall@5", "did you mean i2t_r@5?"),
        ("F1", "did you mean f1?"),
        ("f1,ap", "give the flag once for each"),
    ],
)
def test_near_misses_of_metrics_are_named(here: Here, name: str, said: str) -> None:
    assert said in here.refused("gate", "r.json", "--min", f"{name}=0.3")
    assert said in here.refused("compare", "a.json", "b.json", "-m", name)


def test_near_misses_are_explained(here: Here) -> None:
    assert "did you mean f1?" in here.refused("explain", "attention_f1")
    assert "r@1" in here.refused("explain", "recall@1")


# ---------------------------------------------------------------- memory, and messages


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ImportError("x.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        SystemError("error return without exception set"),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_short_memory_is_said_whatever_it_is_called(
    here: Here, monkeypatch: pytest.MonkeyPatch, error: Exception, behind: bool
) -> None:
    def run(_: object) -> None:
        if not behind:
            raise error
        other = ImportError("No module named expat")
        other.__context__ = error  # as where one module is tried in place of another
        raise other

    monkeypatch.setattr("attneval.__main__.run", run)
    assert here.refused("score") == "error: there is not enough memory; fewer --jobs need less\n"


@pytest.mark.parametrize("text", ["y" * 18_000, "a word " * 3000, "x" * 150])
def test_messages_are_short_whatever_a_file_holds(here: Here, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def run(_: object) -> None:
        raise ConfigError(f"r.json holds {text}, which is no number", hint="score it again")

    monkeypatch.setattr("attneval.__main__.run", run)
    said = here.refused("score")
    assert said.startswith("error: r.json holds ")
    assert said.endswith("which is no number; score it again\n")
    assert len(said) < 1600
    assert (" ... " in said) == (len(text) > 1000)
