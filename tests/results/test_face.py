"""The public face: what it names, and what results say of themselves."""

from __future__ import annotations

import ast
import copy
import pickle
from pathlib import Path

import pytest
from results import scored

import attneval
from attneval.errors import GroundTruthError, ProtocolError
from attneval.results.gate import Rule
from attneval.results.notes import LEFT_OUT, left_out

ROOT = Path(__file__).parents[2]


def test_tools_that_read_types_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "attneval" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == attneval._HOMES


def test_a_metric_that_is_not_there() -> None:
    result = scored("good")
    with pytest.raises(KeyError, match=r"'F1' does not exist in good; did you mean f1\?") as caught:
        result["F1"]
    assert isinstance(caught.value, attneval.AttnevalError)
    with pytest.raises(KeyError, match="it has precision, recall, f1, "):
        result["zzzz"]


def test_results_are_a_few_lines() -> None:
    text = repr(scored("good"))
    assert len(text.splitlines()) <= 6
    assert "f1 0.7070" in text


def test_captions_of_every_format() -> None:
    expected = list(attneval.captions(ROOT / "fixtures" / "entities"))
    assert len(expected) == 300
    source = attneval.open_ground_truth(ROOT / "fixtures" / "entities")
    name, number, text = expected[7]
    assert (name, number, text) in list(attneval.captions(source, [name]))
    truth = source.read([name])
    assert list(attneval.captions(truth)) == [row for row in expected if row[0] == name]
    assert len(list(attneval.captions(ROOT / "fixtures" / "grounding.json"))) == 300
    for opened in (source, truth):
        with pytest.raises(GroundTruthError, match=r"1 images are not annotated \(first: nobody\)"):
            list(attneval.captions(opened, ["nobody"]))


def test_results_are_compared_as_they_are() -> None:
    good, noisy = scored("good"), scored("noisy")
    comparison = attneval.compare([good, noisy], names=["f1", "r@all"], trials=9, resamples=9)
    assert comparison.names == ("good", "noisy")
    assert [line.metric for line in comparison.lines] == ["f1", "coverage"]
    assert attneval.compare([good, good], trials=9, resamples=9).names == ("good", "good (2)")


@pytest.mark.parametrize(
    "rule",
    [
        Rule("min", "f1", 0.1),
        Rule("max", "entropy", 0.9),
        Rule("max-drop", "f1", 0.01),
        Rule("max-drop", "f1", 0.02, relative=True),
    ],
)
def test_rules_are_read_as_they_are_printed(rule: Rule) -> None:
    assert Rule.from_text(str(rule)) == rule


def test_a_gate_takes_texts() -> None:
    assert attneval.gate(scored("good"), "f1>=0.7").passed
    assert not attneval.gate(scored("good"), ["f1 >= 0.8", "r@all >= 0.5"]).passed
    with pytest.raises(ProtocolError, match="'f1' is no rule"):
        attneval.gate(scored("good"), "f1")


def test_notes_keep_their_kind() -> None:
    note = left_out("3 images")
    assert note == "3 images: left out"
    for again in (copy.copy(note), pickle.loads(pickle.dumps(note))):  # noqa: S301 - made here
        assert (again, again.kind, again.problem) == (note, LEFT_OUT, "3 images")
