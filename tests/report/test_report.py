"""Objects to text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import attneval
from attneval.report.delimited import render_csv
from attneval.report.joint import joint_table
from attneval.report.markdown import escaped, render_markdown
from attneval.report.plain import render_plain
from attneval.report.score import score_page
from attneval.report.table import Cell, Page, Row, Table, interval, number, safe
from attneval.results.joint import CELLS, Joint, JointSide
from attneval.results.scores import Measured

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [
        (0.16403, "share", 1, "16.4"),
        (0.16403, "share", 3, "16.403"),
        (3.5, "rank", 1, "3.5"),
        (None, "share", 1, "-"),
        (-0.0001, "share", 1, "0.0"),
        (-0.25, "share", 0, "-25"),
        (1.0, "share", 1, "100.0"),
    ],
)
def test_numbers(value: float | None, unit: str, digits: int, text: str) -> None:
    assert number(value, unit, digits) == text


def test_intervals() -> None:
    assert interval((0.1, 0.25)) == "[10.0, 25.0]"
    assert interval(None) == ""


def test_correlations_that_round_to_zero_have_no_sign() -> None:
    share = Measured(0.25, 9, (0.2, 0.3))
    side = JointSide(Measured(-0.0012, 9, (-0.0301, 0.0049)), 0.966, dict.fromkeys(CELLS, share), {})
    values, bounds = joint_table(Joint({"captions": side})).rows
    assert [cell.text for cell in values.cells] == ["captions (9)", "0.00", "0.966", *["25.0"] * 4]
    assert bounds.cells[1].text == "[-0.03, 0.00]"


def test_text_from_files_is_made_safe() -> None:
    assert safe("a\tb\x1b[0m\x00\u202e\x9b\u200bé狗") == r"a\tb\x1b[0m\x00\u202e\x9b\u200bé狗"
    assert escaped("a|b*[x](y)<i>`_") == r"a\|b\*\[x\](y)\<i\>\`\_"


TABLE = Table(
    "T",
    ["name", "x", "y"],
    [Row([Cell("a"), Cell("1", strong=True), Cell("22", mark="b")]), Row([Cell("bb"), Cell(""), Cell("3")], rule=True)],
    ["note"],
)


def test_plain() -> None:
    assert render_plain(Page([TABLE], ["line"])) == (
        "T\nname  x     y\n-------------\na     1  22^b\n-------------\nbb        3\nnote\n\nline\n"
    )


def test_markdown() -> None:
    assert render_markdown(Page([TABLE], ["a|b"])) == (
        "**T**\n\n"
        "| name | x | y |\n"
        "| :-- | --: | --: |\n"
        "| a | **1** | 22<sup>b</sup> |\n"
        "| bb |  | 3 |\n"
        "\nnote\n"
        "\n- a\\|b\n"
    )


def test_csv_runs_no_formulas() -> None:
    text = render_csv((("a", "b"), [("=1+1", None), ("x,y", 0.1)]))
    assert list(csv.reader(io.StringIO(text))) == [["a", "b"], ["'=1+1", ""], ["x,y", "0.1"]]


def test_micro_average_is_the_headline_when_the_protocol_says_so() -> None:
    protocol = attneval.Protocol(average="micro")
    result = attneval.score(FIXTURES / "good.npz", FIXTURES / "entities", protocol=protocol)
    table = score_page(result).tables[0]
    assert isinstance(table, Table)
    rows = {row.cells[0].text: row.cells[0].strong for row in table.rows}
    assert rows["micro F1"]
    assert not rows["Attention F1"]


def test_few_images_are_noted() -> None:
    few = attneval.score(FIXTURES / "good.npz", FIXTURES / "entities", options=attneval.Options(limit=5))
    assert any("5 images are few" in line for line in score_page(few).lines)
