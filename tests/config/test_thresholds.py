"""The table of threshold rules: what its rows promise, and that documents and help say the same."""

from __future__ import annotations

import re

import numpy as np
import pytest
from commands import ROOT, attneval
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.config.protocol import Protocol
from attneval.config.thresholds import MEANING, RULES, Threshold
from attneval.metrics.sweep import grid

EXAMPLES = {
    "uniform": "uniform:0.7",
    "abs": "abs:0.2",
    "max": "max:0.4",
    "top": "top:2",
    "mass": "mass:0.6",
    "otsu": "otsu:0.8",
}


@pytest.mark.parametrize("name", RULES)
def test_a_row_describes_itself(name: str) -> None:
    rule = RULES[name]
    assert rule.name == name
    assert rule.form.startswith(name)
    assert rule.meaning.startswith(name)
    assert rule.allowed.startswith(name)
    assert all(form.startswith(name) for form, _ in rule.attended)
    assert rule.default is None or rule.allows(rule.default)
    assert not any(rule.allows(value) for value in (float("nan"), float("inf"), -1.0))


@pytest.mark.parametrize("name", RULES)
@given(st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), min_size=4, max_size=4), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_levels_never_rise_along_a_ranked_row(name: str, rows: list[list[float]]) -> None:
    ordered = np.sort(np.array(rows), axis=1)[:, ::-1]
    first = np.array([[list(row).index(weight) for weight in row] for row in ordered], np.int32)
    level = Threshold.parse(EXAMPLES[name]).levels(ordered, first)
    assert level.shape == ordered.shape
    assert (np.diff(level, axis=1) <= 1e-15).all()


@pytest.mark.parametrize("name", RULES)
def test_a_sweep_ascends_and_holds_the_rule_itself(name: str) -> None:
    rule = Threshold.parse(EXAMPLES[name])
    values = grid(rule)
    assert (np.diff(values) > 0).all()
    assert rule.value in values
    assert all(RULES[name].allows(float(value)) for value in values)
    # One threshold after the other has the cutoffs of all at once.
    singly = [Threshold(name, float(value)).cutoff(7) for value in values]
    assert rule.cutoffs(7, values).tolist() == singly


def test_the_protocol_says_what_the_table_says() -> None:
    field = Protocol.__dataclass_fields__["threshold"]
    assert field.metadata["form"] == "uniform[:c] | abs:t | max:f | top:k | mass:m | otsu[:c]"
    assert MEANING in field.metadata["help"]


def test_the_documents_hold_the_table() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    table = text.partition("| rule | attended |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.MULTILINE)
    assert rows == [pair for rule in RULES.values() for pair in rule.attended]


def test_explain_lists_the_rules() -> None:
    lines = " ".join(attneval("explain", "threshold").out.split())
    for rule in RULES.values():
        for form, attended in rule.attended:
            assert f"{form} {attended}" in lines
