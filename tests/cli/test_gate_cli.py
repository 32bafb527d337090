"""`attneval gate`: every exit code, and what CI servers read."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from commands import ROOT, Done, attneval
from exports import assert_says
from here import Here
from results import image_sums, made, of_f1

from attneval import Protocol
from attneval.report.gate import gate_dict, gate_junit
from attneval.report.github import ANNOTATIONS, SUMMARY_BYTES, github_annotations, github_summary
from attneval.results.gate import Outcome, Rule, Verdict
from attneval.results.result import Result

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "evil\n::error title=x::boo\r\n##[error]boo%0A::warning::b\x1b[2J"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results whose f1 is 0.625 on each of 40 images, and others that they can be held against."""
    root = tmp_path_factory.mktemp("gate")
    images = 40
    columns = {"scored": [1.0] * images, "f1": [0.625] * images, "ap": [0.5] * images}
    columns |= {"entropy": [0.25] * images, "entropy_n": [1.0] * images}
    columns |= {
        "i2t_n": [2.0] * images,
        "i2t_rank": [3.0] * images,
        "t2i_n": [1.0] * images,
        "t2i_rank": [4.0] * images,
    }
    ranks = {"i2t": [[1.0, 2.0]] * images, "t2i": [[4.0]] * images}
    now = made("now", image_sums(columns, ranks))
    now.save(root / "now.json")
    made("then", image_sums(columns | {"f1": [0.75] * images}, ranks)).save(root / "then.json")
    # As far from `then` as `now` is, but only by chance.
    scattered = [0.625 + (0.375 if row % 2 else -0.375) for row in range(images)]
    made("scattered", image_sums(columns | {"f1": scattered}, ranks)).save(root / "scattered.json")
    dataclasses.replace(now, partial=True, name="partial").save(root / "partial.json")
    dataclasses.replace(now, name="other", protocol=Protocol(iou=0.3)).save(root / "other.json")
    of_f1("fewer", [0.625] * 39).save(root / "fewer.json")
    of_f1("undefined", [0.0] * images, [0.0] * images).save(root / "undefined.json")
    dataclasses.replace(now, name=HOSTILE).save(root / "hostile.json")
    (root / "text.json").write_text("no JSON")
    (root / "foreign.json").write_text('{"a": 1}')
    values = json.loads((root / "now.json").read_text())
    (root / "schema.json").write_text(json.dumps(values | {"schema": 2}))
    (root / "damaged.json").write_text(json.dumps(values | {"metrics": 3}))
    (root / "broken.toml").write_text("min = [")
    (root / "odd.toml").write_text("[gate]\nmni = { f1 = 0.5 }\n")
    return root


def gate(files: Path, *arguments: str | Path, **changes: str) -> Done:
    return attneval("gate", *arguments, cwd=files, **changes)


@pytest.fixture
def here(files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch, files)


# ---------------------------------------------------------------- exit codes 0 and 1

THEN = ("--baseline", "then.json")
PASS = [
    ("now.json", "--min", "f1=0.625"),
    ("now.json", "--max", "entropy=0.25", "--max", "i2t_medr=1.5", "--min", "ap=0.25"),
    ("now.json", *THEN, "--max-drop", "f1=0.125"),
    ("now.json", *THEN, "--max-drop", "f1=17%", "--max-drop", "t2i_medr=0"),
    ("then.json", "--baseline", "now.json", "--max-drop", "f1=0"),
    ("scattered.json", *THEN, "--max-drop", "f1=0.01", "--only-significant"),
]
FAIL = [
    ("now.json", "--min", "f1=0.6250000000000001"),
    ("now.json", "--min", "f1=0.1", "--max", "entropy=0.24"),
    ("now.json", *THEN, "--max-drop", "f1=0.1249"),
    ("now.json", *THEN, "--max-drop", "f1=16%"),
    ("now.json", *THEN, "--max-drop", "f1=0.01", "--only-significant"),
    ("scattered.json", *THEN, "--max-drop", "f1=0.01"),
]


@pytest.mark.parametrize("arguments", PASS)
def test_exit_code_0_if_all_rules_are_kept(files: Path, arguments: tuple[str, ...]) -> None:
    done = gate(files, *arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].endswith(": passed")
    assert "FAILED" not in done.out


@pytest.mark.parametrize("arguments", FAIL)
def test_exit_code_1_if_one_is_broken(files: Path, arguments: tuple[str, ...]) -> None:
    done = gate(files, *arguments)
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines()[0].endswith(": FAILED")
    assert done.out.count("FAILED") == 2


@pytest.mark.parametrize("arguments", FAIL)
def test_exit_zero_turns_1_into_0_and_hides_nothing(here: Here, arguments: tuple[str, ...]) -> None:
    strict, lenient = here("gate", *arguments), here("gate", *arguments, "--exit-zero")
    assert (strict.code, lenient.code) == (1, 0)
    assert strict.out == lenient.out


def test_the_text_of_a_verdict(files: Path) -> None:
    done = gate(files, "now.json", *THEN, "--max-drop", "f1=16%", "--min", "ap=0.5")
    assert done.out == (
        "Gate of now: FAILED\n"
        "rule                      value  baseline  verdict\n"
        "--------------------------------------------------\n"
        "ap >= 0.5                   0.5             passed\n"
        "f1 drops by at most 16 %  0.625      0.75   FAILED\n"
    )


# ---------------------------------------------------------------- exit code 2

CANNOT = [
    (("now.json",), ("no rule", "--min", "[gate]")),
    (("now.json", "--min", "f1"), ("--min 'f1' is no rule", "METRIC=VALUE")),
    (("now.json", "--min", "f11=0.1"), ("'f11' does not exist", "did you mean f1?")),
    (("now.json", "--min", "f1=nan"), ("'f1=nan'",)),
    (("now.json", "--min", "f1=5%"), ("'f1=5%'",)),
    (("now.json", *THEN, "--max-drop", "f1=-1%"), ("'f1=-1%'", "f1=2%")),
    (("now.json", "--min", "rsum=0"), ("rsum was not measured in now",)),
    (("undefined.json", "--min", "f1=0"), ("f1 is undefined in undefined",)),
    (("undefined.json", "--max", "f1=1"), ("f1 is undefined in undefined",)),
    (("partial.json", "--min", "f1=0"), ("partial is PARTIAL (--limit)", "score all images")),
    (("now.json", "--max-drop", "f1=0.01"), ("needs a baseline", "--baseline FILE")),
    (("now.json", "--baseline", "none.json", "--max-drop", "f1=1"), ("none.json", "No such file")),
    (("now.json", "--baseline", "none.json", "--min", "f1=0"), ("none.json", "No such file")),
    (("now.json", "--baseline", "partial.json", "--max-drop", "f1=1"), ("partial is PARTIAL", "is no baseline")),
    (("now.json", "--baseline", "other.json", "--max-drop", "f1=1"), ("baseline other", "iou 0.3 against 0.5")),
    (("now.json", "--baseline", "fewer.json", "--max-drop", "f1=1"), ("different images", "40 and 39")),
    (("now.json", "--baseline", "undefined.json", "--max-drop", "f1=1"), ("f1 is undefined in undefined",)),
    (("undefined.json", *THEN, "--max-drop", "f1=1"), ("f1 is undefined in undefined",)),
    (("missing.json", "--min", "f1=0"), ("missing.json", "No such file")),
    (("text.json", "--min", "f1=0"), ("text.json is not JSON", "attneval score -o result.json")),
    (("foreign.json", "--min", "f1=0"), ("foreign.json is no attneval result",)),
    (("schema.json", "--min", "f1=0"), ("schema.json has schema 2", "score the export again")),
    (("damaged.json", "--min", "f1=0"), ("damaged.json is a damaged result",)),
    (("now.json", "--min", "f1=0", "--config", "broken.toml"), ("broken.toml is not TOML",)),
    (("now.json", "--min", "f1=0", "--config", "odd.toml"), ("odd.toml", "gate.mni", "did you mean min?")),
    (("now.json", "--min", "f1=0", "--config", "no.toml"), ("no.toml",)),
    (("now.json", "--min", "f1=0", "-o", "x.csv"), ("x.csv", ".xml")),
    (("now.json", "--min", "f1=0", "-o", "no/x.json"), ("no/x.json cannot be written",)),
    (("now.json", "--min", "f1=0", "-f", "csv"), ("csv", "junit")),
    (("now.json", "--mim", "f1=0"), ("--mim", "attneval gate --help")),
    ((), ("RESULT",)),
    (("now.json", "--update-baseline"), ("--update-baseline needs --baseline FILE",)),
    (("partial.json", "--update-baseline", "--baseline", "b.json"), ("partial is PARTIAL", "no baseline")),
    (("now.json", "--update-baseline", "--baseline", "no/b.json"), ("no/b.json cannot be written",)),
]


@pytest.mark.parametrize(("arguments", "parts"), CANNOT)
def test_exit_code_2_if_it_cannot_be_told(
    files: Path, here: Here, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    message = here.refused("gate", *arguments)
    assert_says(message, *parts)
    # Nothing makes it a pass.
    assert here.refused("gate", *arguments, "--exit-zero") == message
    assert not (files / "b.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("now.json",),  # no rule
        ("now.json", "--mim", "f1=0"),
        ("now.json", "--max-drop", "f1=0.01"),  # no baseline
        ("now.json", "--baseline", "other.json", "--max-drop", "f1=1"),  # another protocol
        ("now.json", "--baseline", "fewer.json", "--max-drop", "f1=1"),  # other images
        ("now.json", "--min", "rsum=0"),  # not measured
        ("undefined.json", "--min", "f1=0"),
        ("partial.json", "--min", "f1=0"),
        ("damaged.json", "--min", "f1=0"),
        ("now.json", "--min", "f1=0", "--config", "broken.toml"),
    ],
)
def test_exit_code_2_reaches_the_shell(files: Path, here: Here, arguments: tuple[str, ...]) -> None:
    done = gate(files, *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err == here.refused("gate", *arguments)


def test_an_internal_error_is_no_broken_rule(files: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import attneval.results.gate\n"
        "def broken(*args, **kwargs):\n"
        "    raise RuntimeError('boom')\n"
        "attneval.results.gate.gate = broken\n"
    )
    done = gate(files, "now.json", "--min", "f1=0.9", "--exit-zero", PYTHONPATH=str(tmp_path))
    assert (done.code, done.out) == (2, "")
    assert_says(done.err, "internal error", "boom")


# ---------------------------------------------------------------- outputs


def test_json(files: Path, tmp_path: Path) -> None:
    rules = ("--min", "f1=0.5", "--max-drop", "f1=1%")
    done = gate(files, "now.json", *THEN, *rules, "-f", "json", "-o", tmp_path / "g.json")
    assert done.out == (tmp_path / "g.json").read_text()
    assert json.loads(done.out) == {
        "schema": 1,
        "name": "now",
        "passed": False,
        "notes": [],
        "rules": [
            {"kind": "min", "metric": "f1", "bound": 0.5, "relative": False, "value": 0.625}
            | {"baseline": None, "p": None, "passed": True},
            {"kind": "max-drop", "metric": "f1", "bound": 0.01, "relative": True, "value": 0.625}
            | {"baseline": 0.75, "p": None, "passed": False},
        ],
    }


def test_junit_has_a_test_case_per_rule(files: Path, tmp_path: Path) -> None:
    rules = ("--min", "f1=0.5", "--min", "ap=0.75", "--max-drop", "f1=1%", "--max", "entropy=1")
    done = gate(files, "now.json", *THEN, *rules, "-o", tmp_path / "g.xml", "-o", tmp_path / "g.md", "-q")
    assert done.code == 1
    suites = ET.parse(tmp_path / "g.xml").getroot()  # noqa: S314 - our own file
    (suite,) = suites
    assert (suites.tag, suite.tag) == ("testsuites", "testsuite")
    for element in (suites, suite):
        assert [element.get(name) for name in ("tests", "failures", "errors")] == ["4", "2", "0"]
    assert suite.get("name") == "attneval gate now"
    cases = {case.get("name"): [failure.get("message") for failure in case] for case in suite}
    assert all(case.tag == "testcase" and case.get("classname") == "attneval.now" for case in suite)
    assert cases == {
        "f1 >= 0.5": [],
        "ap >= 0.75": ["FAILED: ap >= 0.75 (is 0.5)"],
        "entropy <= 1.0": [],
        "f1 drops by at most 1 %": [
            "FAILED: f1 drops by at most 1 % (is 0.625, was 0.75, drop 0.125 of 0.0075)",
        ],
    }
    assert (tmp_path / "g.md").read_text().startswith("**Gate of now: FAILED**\n")


@pytest.mark.parametrize("name", [HOSTILE, '"]]><x a="&amp;', "\x00\x08\ufffe\ud800", "名前 é"])
def test_junit_is_well_formed_whatever_a_file_says(name: str) -> None:
    verdict = Verdict(name, (Outcome(Rule("min", "f1", 0.5), 0.25), Outcome(Rule("min", "f1", 0.1), 0.25)))
    root = ET.fromstring(gate_junit(verdict).encode("utf-8"))  # noqa: S314
    assert len(root.findall("./testsuite/testcase")) == 2
    assert len(root.findall("./testsuite/testcase/failure")) == 1


def test_data_has_no_rounding() -> None:
    outcome = Outcome(Rule("min", "f1", 0.1 + 0.2), 1 / 3, None, None)
    values = json.loads(json.dumps(gate_dict(Verdict("x", (outcome,)))))
    assert values["rules"][0]["bound"] == 0.1 + 0.2
    assert values["rules"][0]["value"] == 1 / 3


# ---------------------------------------------------------------- GitHub


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    return path


def on_github(files: Path, summary: Path, *arguments: str) -> Done:
    return gate(files, *arguments, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))


def commands(text: str) -> list[str]:
    """What the runner takes for workflow commands: they begin a line, white space aside."""
    return [line for line in text.splitlines() if line.lstrip().startswith("::")]


def test_on_github_a_summary_is_appended_and_failures_are_marked(files: Path, summary: Path) -> None:
    done = on_github(files, summary, "now.json", "--min", "f1=0.5", "--min", "ap=0.75", *THEN, "--max-drop", "f1=1%")
    assert done.code == 1
    assert commands(done.out + done.err) == [
        "::error title=attneval gate::FAILED: ap >= 0.75 (is 0.5)",
        # A percent sign begins an escape there.
        "::error title=attneval gate::FAILED: f1 drops by at most 1 %25 (is 0.625, was 0.75, drop 0.125 of 0.0075)",
    ]
    text = summary.read_text()
    assert text.startswith("before\n**Gate of now: FAILED**\n")
    assert text.count("\n| ") == 5  # header, rule and three rows
    on_github(files, summary, "now.json", "--min", "f1=0.5")
    assert summary.read_text().startswith(text + "**Gate of now: passed**")


def test_where_nobody_asks_nothing_is_told(files: Path, summary: Path) -> None:
    rule = ("now.json", "--min", "f1=0.9")
    quiet = on_github(files, summary, *rule, "--github", "off")
    assert (quiet.code, summary.read_text()) == (1, "before\n")
    assert commands(quiet.out + quiet.err) == []
    elsewhere = gate(files, *rule, GITHUB_STEP_SUMMARY=str(summary))
    assert (commands(elsewhere.out), summary.read_text()) == ([], "before\n")
    forced = gate(files, *rule, "--github", "on")
    assert len(commands(forced.out + forced.err)) == 1


def test_what_cannot_be_told_leaves_no_summary(files: Path, summary: Path) -> None:
    done = on_github(files, summary, "partial.json", "--min", "f1=0")
    assert (done.code, done.out, summary.read_text()) == (2, "", "before\n")


def test_at_most_ten_annotations(files: Path, summary: Path) -> None:
    rules = [part for k in range(12) for part in ("--min", f"f1=0.7{k:02d}")]
    done = on_github(files, summary, "now.json", *rules)
    found = commands(done.out + done.err)
    assert len(found) == ANNOTATIONS == 10
    assert found[-1] == "::error title=attneval gate::3 more rules failed"
    assert summary.read_text().count("**FAILED**") == 12


@pytest.mark.parametrize("failures", [0, 1, 9, 10, 11, 300])
def test_annotations_account_for_every_failure(failures: int) -> None:
    outcomes = [Outcome(Rule("min", "f1", 0.5), 0.25)] * failures + [Outcome(Rule("min", "f1", 0.1), 0.25)]
    lines = github_annotations(Verdict("x", tuple(outcomes)))
    assert len(lines) == min(failures, 10)
    named = sum("FAILED" in line for line in lines)
    more = re.findall(r"(\d+) more rules failed", "\n".join(lines))
    assert named + sum(map(int, more)) == failures


@pytest.mark.parametrize("style", ["plain", "json", "markdown", "junit"])
@pytest.mark.parametrize("rule", ["f1=0.5", "f1=0.9"])
def test_text_from_files_injects_no_workflow_command(
    files: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch, style: str, rule: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    done = here("gate", "hostile.json", "--min", rule, "-f", style)
    everything = done.out + done.err + (tmp_path / "summary.md").read_text()
    assert commands(done.out + done.err) == (
        [] if rule == "f1=0.5" else ["::error title=attneval gate::FAILED: f1 >= 0.9 (is 0.625)"]
    )
    assert "\x1b" not in everything
    assert not re.search(r"^::(?!error title=attneval gate::)", everything, re.MULTILINE)


def test_a_summary_that_is_too_long_is_cut_and_says_so() -> None:
    assert github_summary("short\n") == "short\n"
    exact = "x" * (SUMMARY_BYTES - 1) + "\n"
    assert github_summary(exact) == exact
    long = github_summary("| é |\n" * (SUMMARY_BYTES // 6))
    assert len(long.encode("utf-8")) < 1024 * 1024
    assert set(long.splitlines()) == {"| é |", "", "(cut: the summary is too long)"}


def test_json_on_stdout_stays_json_on_github(files: Path, summary: Path) -> None:
    done = on_github(files, summary, "now.json", "--min", "f1=0.9", "-f", "json")
    assert json.loads(done.out)["passed"] is False


def test_a_summary_that_cannot_be_written_is_named(files: Path, tmp_path: Path) -> None:
    done = on_github(files, tmp_path / "no" / "summary.md", "now.json", "--min", "f1=0.5")
    assert (done.code, done.out) == (2, "")
    assert_says(done.err, str(tmp_path / "no" / "summary.md"), "cannot be written", "--github off")
    assert "internal error" not in done.err


# ---------------------------------------------------------------- the baseline


def test_a_baseline_is_written_whole_and_is_the_result(files: Path, tmp_path: Path) -> None:
    target = tmp_path / "baseline.json"
    target.write_text("old")
    done = gate(files, "now.json", "--baseline", target, "--update-baseline")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"{target} is now now\n"
    assert target.read_text() == (files / "now.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["baseline.json"]
    # It is one: nothing has dropped since.
    assert gate(files, "now.json", "--baseline", target, "--max-drop", "f1=0").code == 0


def test_a_baseline_that_cannot_be_replaced_stays(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "baseline.json"
    target.write_text("old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    done = here("gate", "now.json", "--baseline", target, "--update-baseline")
    assert done.code == 2
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["baseline.json"]


def test_writing_a_baseline_judges_nothing(here: Here, files: Path, tmp_path: Path) -> None:
    done = here("gate", "now.json", "--baseline", tmp_path / "b.json", "--update-baseline", "--min", "f1=0.99", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert Result.load(tmp_path / "b.json")["f1"] == 0.625
    # No baseline has to be there before.
    assert here("gate", "now.json", "--baseline", tmp_path / "b.json", "--max-drop", "f1=0.01").code == 0


# ---------------------------------------------------------------- the configuration


def configured(tmp_path: Path, files: Path, text: str) -> Path:
    (tmp_path / "attneval.toml").write_text(text)
    for name in ("now.json", "then.json", "scattered.json"):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    return tmp_path


def test_rules_come_from_the_configuration(tmp_path: Path, files: Path) -> None:
    text = '[gate]\nbaseline = "then.json"\nmin = { f1 = 0.5, ap = 0.5 }\n'
    text += 'max = { entropy = 0.2 }\nmax-drop = { f1 = "2%" }\n'
    done = attneval("gate", "now.json", cwd=configured(tmp_path, files, text))
    assert done.code == 1
    rows = re.findall(r"^(.+?)  +[\d.]+ .*?(passed|FAILED)$", done.out, re.MULTILINE)
    assert rows == [
        ("f1 >= 0.5", "passed"),
        ("ap >= 0.5", "passed"),
        ("entropy <= 0.2", "FAILED"),
        ("f1 drops by at most 2 %", "FAILED"),
    ]


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        ("[gate]\nmin = { f1 = 0.9 }\n", (), 1),
        ("[gate]\nmin = { f1 = 0.9 }\n", ("--min", "f1=0.5"), 0),  # a flag takes the place of its setting
        ("[gate]\nmin = { f1 = 0.9 }\n", ("--config", "none", "--min", "ap=0.5"), 0),
        ("[gate]\nmin = { f1 = 0.9 }\n", ("--config", "none"), 2),
        ('[gate]\nbaseline = "then.json"\nmax-drop = { f1 = 0.1 }\n', (), 1),
        ('[gate]\nbaseline = "then.json"\nmax-drop = { f1 = 0.2 }\n', (), 0),
        ('[gate]\nbaseline = "then.json"\nmax-drop = { f1 = 0.1 }\n', ("--baseline", "now.json"), 0),
        ("[gate]\nmax-drop = { f1 = 0.1 }\n", (), 2),
        ('[gate]\nmin = { "t2i_medr" = 4 }\n', (), 0),
        ("[gate]\nmin = { f11 = 0.1 }\n", (), 2),
        ('[gate]\nmin = { f1 = "high" }\n', (), 2),
        ('[gate]\nbaseline = "none.json"\nmin = { f1 = 0.1 }\n', (), 2),
        ('[gate]\nmin = { f1 = 0.9 }\ngithub = "maybe"\n', (), 2),
    ],
)
def test_exit_codes_of_configured_rules(
    tmp_path: Path,
    files: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    arguments: tuple[str, ...],
    code: int,
) -> None:
    here = Here(capsys, monkeypatch, configured(tmp_path, files, text))
    assert here("gate", "now.json", *arguments).code == code


def test_only_significant_may_be_configured(
    tmp_path: Path, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[gate]\nbaseline = "then.json"\nmax-drop = { f1 = 0.01 }\nonly-significant = true\n'
    here = Here(capsys, monkeypatch, configured(tmp_path, files, text))
    assert here("gate", "scattered.json").code == 0
    assert here("gate", "now.json").code == 1


def test_rules_of_the_gate_are_not_those_of_score(tmp_path: Path, files: Path) -> None:
    folder = configured(tmp_path, files, "[gate]\nmin = { f1 = 0.99 }\n")
    done = attneval("score", ROOT / "fixtures/good.npz", "--gt", ROOT / "fixtures/entities", "-q", cwd=folder)
    assert done.code == 0
