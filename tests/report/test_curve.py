"""Curves over thresholds: the area by hand, the plot mark by mark, and the command."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from commands import attneval, on_terminal
from exports import assert_says
from here import Here
from results import FIXTURES, image_sums, made, scored

from attneval import Options, Protocol, score
from attneval.errors import NothingToScoreError
from attneval.report.curve import HEIGHT, USUAL, curve_dict, curve_lines, curve_page, curve_text
from attneval.report.delimited import render_csv
from attneval.results.scores import Curve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attneval.results.result import Result


def curve_of(precision: Sequence[float], recall: Sequence[float], f1: Sequence[float] | None = None) -> Curve:
    count = len(precision)
    return Curve("top", [1.0 + k for k in range(count)], list(precision), list(recall), list(f1 or precision))


# ---------------------------------------------------------------- the area


@pytest.mark.parametrize(
    ("precision", "recall", "area"),
    [
        # From recall 0.25 down to 0 precision stays 0.8; then trapezoids of mean 0.6 and 0.3.
        ([0.2, 0.4, 0.8, 0.0], [1.0, 0.5, 0.25, 0.0], 0.25 * 0.8 + 0.25 * 0.6 + 0.5 * 0.3),
        ([0.8, 0.4, 0.2], [0.25, 0.5, 1.0], 0.5),  # whichever way the threshold goes
        ([0.6], [0.5], 0.3),  # nothing beyond the largest recall
        ([1.0, 1.0], [0.25, 0.75], 0.75),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
    ],
)
def test_the_area_by_hand(precision: list[float], recall: list[float], area: float) -> None:
    assert curve_of(precision, recall).area_under_pr == pytest.approx(area)


@pytest.mark.parametrize("way", [1, -1])
def test_trapezoids_stand_between_neighbouring_thresholds(way: int) -> None:
    # From the strictest on: half is found at precision 1, then nothing but errors, then everything at 0.5.
    curve = curve_of([1.0, 0.5, 0.5][::way], [0.5, 0.5, 1.0][::way])
    assert curve.area_under_pr == pytest.approx(0.5 * 1.0 + 0.5 * 0.5)


def test_the_best_threshold_is_the_first_of_the_best() -> None:
    assert curve_of([0, 0, 0], [0, 0, 0], [0.25, 0.75, 0.75]).best == 1


@pytest.mark.parametrize("threshold", ["uniform", "uniform:1.3", "max:0.5", "top:3", "mass:0.9", "abs:0.1"])
def test_the_curve_goes_through_the_score(threshold: str) -> None:
    result = scored("good", threshold)
    curve = result.scores.curve
    assert curve is not None
    place = curve.parameter.index(Protocol(threshold=threshold).rule.value)
    for name in ("precision", "recall", "f1"):
        assert getattr(curve, name)[place] == pytest.approx(result[name])
    assert max(curve.f1) == pytest.approx(result["best_f1"])


# ---------------------------------------------------------------- the plot


def result_of(curve: Curve | None, name: str = "x", threshold: str = "top:2") -> Result:
    return made(name, image_sums({"f1": [0.5], "scored": [1.0]}), curve=curve, protocol=Protocol(threshold=threshold))


def grid(text: str) -> list[str]:
    """The plot's lines from 100 % down to 0, each as wide as the plot."""
    rows = re.findall(r"^ *\d+ \|(.*)$", text, re.MULTILINE)
    assert len(rows) == HEIGHT == 16
    return [row.ljust(USUAL) for row in rows]


def marks(text: str, mark: str) -> list[tuple[int, int]]:
    """Where a mark stands: column, and height from 0 to 15."""
    return sorted(
        (column, HEIGHT - 1 - row)
        for row, line in enumerate(grid(text))
        for column, own in enumerate(line)
        if own == mark
    )


def test_the_plot_mark_by_mark() -> None:
    # Three thresholds stand at the left, in the middle and at the right of 66 columns; 15 steps of height are 100 %.
    curve = curve_of([1.0, 0.6, 0.2], [0.0, 0.6, 0.8], [0.0, 0.4, 0.5])
    text = curve_text([result_of(curve)])
    assert marks(text, "P") == [(0, 15), (65, 3)]
    assert marks(text, "R") == [(65, 12)]
    assert marks(text, "F") == [(32, 6), (65, 8)]  # 0.5 lies between 7 and 8, and goes up
    # At the left R and F meet, in the middle P and R.
    assert marks(text, "*") == [(0, 0), (32, 9)]
    # The protocol's threshold is the middle one; its line gives way to marks.
    assert marks(text, "|") == [(32, height) for height in range(16) if height not in {6, 9}]
    lines = text.splitlines()
    assert lines[0] == "    %"
    assert lines[1].startswith("  100 |")
    assert lines[16].startswith("    0 |")
    assert lines[17] == "      +" + "-" * USUAL
    assert lines[18].split() == ["1", "threshold", "top:c", "3"]
    assert len(lines[18]) == 7 + USUAL
    assert "P precision   R recall   F F1" in text
    assert "| the protocol's threshold" in text


def test_several_results_show_their_f1() -> None:
    first, second = curve_of([1, 1, 1], [1, 1, 1], [0.2, 0.4, 0.6]), curve_of([1, 1, 1], [1, 1, 1], [0.8, 0.4, 0.0])
    text = curve_text([result_of(first, "one"), result_of(second, "two")])
    assert marks(text, "a") == [(0, 3), (65, 9)]
    assert marks(text, "b") == [(0, 12), (65, 0)]
    assert marks(text, "*") == [(32, 6)]
    assert "F1 of a one   b two" in text


def test_values_outside_0_and_1_stay_on_the_plot() -> None:
    text = curve_text([result_of(curve_of([-0.1, 1.1, 0.5], [0.5] * 3, [0.5] * 3))])
    assert marks(text, "P") == [(0, 0), (32, 15)]


@pytest.mark.parametrize("threshold", ["uniform", "uniform:0.01", "uniform:100", "uniform:1.3", "max:1", "top:101"])
def test_the_marker_stands_where_the_threshold_is(threshold: str) -> None:
    result = scored("good", threshold)
    curve = result.scores.curve
    assert curve is not None
    place = curve.parameter.index(result.protocol.rule.value) / (len(curve.parameter) - 1)
    columns = {column for column, _ in marks(curve_text([result]), "|")}
    assert columns == {round(place * (USUAL - 1))}


def test_a_curve_of_one_threshold() -> None:
    text = curve_text([result_of(curve_of([0.5], [0.5]), threshold="top:1")])
    assert marks(text, "*") == [(0, 8)]


@pytest.mark.parametrize("names", [("good",), ("good", "noisy"), ("good", "noisy", "twin")])
def test_no_line_is_longer_than_80(names: tuple[str, ...]) -> None:
    text = curve_text([scored(name) for name in names])
    assert max(map(len, text.splitlines())) <= 80


def test_no_line_is_longer_than_80_with_many_systems() -> None:
    results = [dataclasses.replace(scored("good"), name=f"a system with a name {k}") for k in range(6)]
    assert max(map(len, curve_text(results).splitlines())) <= 80


def test_every_mark_is_one_character_wide() -> None:
    results = [result_of(curve_of([1] * 3, [1] * 3, [k / 30] * 3), f"m{k}") for k in range(28)]
    rows = re.findall(r"^ *\d+ \|(.*)$", curve_text(results), re.MULTILINE)
    assert max(map(len, rows)) <= USUAL


def test_marks_beyond_the_alphabet_and_more_curves_than_marks() -> None:
    results = [result_of(curve_of([1] * 3, [1] * 3, [k == 61] * 3), f"m{k}") for k in range(63)]
    text = curve_text(results[:62])
    assert marks(text, "9") == [(0, 15), (32, 15), (65, 15)]
    assert "A m26" in text
    assert "9 m61" in text
    assert curve_page(results[:62]).tables[0].rows[26].cells[0].text == "A  m26"  # type: ignore[union-attr]
    for make in (curve_text, curve_page):
        with pytest.raises(NothingToScoreError, match=r"63 curves are more than the 62 .*-f csv"):
            make(results)
    assert len(curve_dict(results)["systems"]) == 63


def test_names_are_made_safe() -> None:
    results = [result_of(curve_of([1] * 3, [1] * 3), name) for name in ("a\x1b[2J\n::error::x", "b")]
    text = curve_text(results)
    assert "\x1b" not in text
    assert "\n::error" not in text


# ---------------------------------------------------------------- the table and the data


def test_the_table() -> None:
    curve = curve_of([0.8, 0.4, 0.2], [0.25, 0.5, 1.0], [0.375, 0.5, 0.25])
    page = curve_page([result_of(curve, threshold="top:3"), result_of(curve, "y", threshold="top:1")], digits=2)
    rows = [[cell.text for cell in row.cells] for row in page.tables[0].rows]  # type: ignore[union-attr]
    assert rows == [
        ["a  x", "50.00", "50.00", "top:2", "25.00", "top:3"],
        ["b  y", "50.00", "50.00", "top:2", "37.50", "top:1"],
    ]


def test_csv_is_unrounded() -> None:
    results = [scored(name) for name in ("good", "noisy")]
    rows = list(csv.DictReader(io.StringIO(render_csv(curve_lines(results)))))
    for result in results:
        curve = result.scores.curve
        assert curve is not None
        own = [row for row in rows if row["system"] == result.name]
        assert {row["rule"] for row in own} == {"uniform"}
        for name, values in (("threshold", curve.parameter), ("precision", curve.precision), ("f1", curve.f1)):
            assert [float(row[name]) for row in own] == values
    assert len(rows) == 202


def test_json_is_unrounded() -> None:
    values = json.loads(json.dumps(curve_dict([scored("good")]), allow_nan=False))
    own = values["systems"]["good"]
    curve = scored("good").scores.curve
    assert curve is not None
    assert own == {**vars(curve), "threshold": "uniform", "area_under_pr": curve.area_under_pr}


def test_results_of_one_name_are_two_systems() -> None:
    other = dataclasses.replace(scored("noisy"), name="good")
    assert len(curve_dict([scored("good"), other])["systems"]) == 2


def test_a_result_without_attention_has_no_curve() -> None:
    for make in (curve_text, curve_page, curve_lines, curve_dict):
        with pytest.raises(NothingToScoreError, match="x has no curve: its attention was not scored"):
            make([result_of(None)])


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("curves")
    for name in ("good", "noisy"):
        scored(name).save(root / f"{name}.json")
    scored("good", "max:0.5").save(root / "other.json")
    retrieval = score(similarity=[FIXTURES / "good.npz"], options=Options(resamples=0, name="retrieval"))
    retrieval.save(root / "retrieval.json")
    return root


@pytest.fixture
def here(files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch, files)


def test_the_command_shows_the_plot_above_the_table(files: Path, tmp_path: Path) -> None:
    names = ("c.json", "c.csv", "c.md", "c.txt")
    outputs = [part for name in names for part in ("-o", tmp_path / name)]
    done = attneval("curve", "good.json", "noisy.json", *outputs, cwd=files)
    assert (done.code, done.err) == (0, "")
    results = [scored("good"), scored("noisy")]
    assert done.out.startswith(curve_text(results))
    assert "Curves, in %" in done.out
    assert (tmp_path / "c.txt").read_text() == done.out
    assert (tmp_path / "c.csv").read_text() == render_csv(curve_lines(results))
    assert json.loads((tmp_path / "c.json").read_text()) == json.loads(json.dumps(curve_dict(results)))
    # Markdown has no use for a plot of characters.
    assert (tmp_path / "c.md").read_text().startswith("**Curves, in %**")


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_nothing_is_wider_than_it(files: Path, columns: int) -> None:
    done = on_terminal("curve", "good.json", "noisy.json", columns=columns, cwd=files)
    assert (done.code, done.err) == (0, "")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", done.out).splitlines()
    plot = lines[: next(k for k, line in enumerate(lines) if "Curves" in line)]
    assert max(map(len, plot)) <= columns
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("retrieval.json",), ("retrieval has no curve", "attention was not scored")),
        (("good.json", "other.json"), ("good.json and other.json", "threshold uniform against max:0.5")),
        (("missing.json",), ("missing.json", "No such file")),
        ((), ("RESULTS",)),
        (("good.json", "-o", "c.xml"), ("c.xml", ".csv")),
    ],
)
def test_what_has_no_curve_exits_with_2(here: Here, arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    assert_says(here.refused("curve", *arguments), *parts)


def test_the_way_out_of_another_protocol_exists(here: Here) -> None:
    assert "--allow-mismatch" not in here.refused("curve", "good.json", "other.json")


@pytest.mark.parametrize("columns", [1, 30, 47, 60, 80, 200, 1000])
def test_the_plot_fits_whatever_terminal_there_is(columns: int) -> None:
    good, noisy = scored("good"), scored("noisy")
    for results in ([good], [good, noisy]):
        lines = curve_text(results, columns).splitlines()
        # Below 30 columns the plot keeps 16, and its axis the name.
        assert max(map(len, lines)) <= max(columns, 37)
        (axis,) = (line for line in lines if line.startswith("      +"))
        width = len(axis) - 7
        assert width == min(max(columns - 14, 16), len(good.scores.curve.parameter if good.scores.curve else []))
        text = " ".join(lines)
        assert "threshold uniform:c, log scale" in text
        assert "| the protocol's threshold" in text
        marks = "PRF" if len(results) == 1 else "ab"
        assert all(mark in "".join(lines[1:17]) for mark in marks)
