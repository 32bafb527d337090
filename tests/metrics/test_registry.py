"""The door for metrics: whoever shows, compares or checks them knows none by name."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attneval.errors import ProtocolError
from attneval.metrics.declaration import QUESTIONS
from attneval.metrics.registry import (
    _MODULES,
    find_metric,
    headline_of,
    in_table,
    list_metrics,
    metric_named,
    metrics,
)
from attneval.metrics.set_scores import set_f1, set_precision, set_recall

PACKAGE = Path(__file__).parents[2] / "attneval"
FOLDERS = ("report", "results", "statistics")
FILES = sorted(path for folder in FOLDERS for path in (PACKAGE / folder).rglob("*.py"))
OF_ITEMS = {PACKAGE / "report" / "html" / name for name in ("charts.py", "gallery.py", "page.py")}
"""Where the page labels the precision, recall and F1 of single items, or of a curve, which have no others."""
NAMES = {name for metric in metrics() for name in (metric.name, *metric.aliases)}
ENDS = {name[i:] for name in NAMES for i, c in enumerate(name) if c == "_"} | {
    name[: i + 1] for name in NAMES for i, c in enumerate(name) if c == "_"
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_metric_is_named_outside_metrics(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    curves = {metric.name for metric in metrics() if metric.mark}
    assert texts & (NAMES | ENDS) <= (curves if path in OF_ITEMS else set())


@pytest.mark.parametrize("first", ["registry", *_MODULES])
def test_tables_have_one_order_whatever_is_imported_first(first: str) -> None:
    code = f"import attneval.metrics.{first}; from attneval.metrics.registry import list_metrics; print(list_metrics())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(list_metrics())


def test_a_question_is_answered_by_one_metric_first() -> None:
    assert [in_table(question)[0].name for question in QUESTIONS] == [
        "f1",
        "ap",
        "pointing",
        "mass",
        "specificity",
        "deletion_gap",
        "entropy",
    ]
    for average in ("macro", "micro", "class"):
        measures = [metric.name.rpartition("_")[2] for metric in headline_of(average)]
        assert measures == ["f1", "precision", "recall"]


def test_aliases_are_found_and_never_listed() -> None:
    assert metric_named("r@all") is metric_named("coverage")
    assert "r@all" not in list_metrics()
    assert find_metric("nothing") is None
    with pytest.raises(ProtocolError, match="did you mean r@all"):
        metric_named("r@al")


def test_scores_of_sets_by_hand() -> None:
    hits, attended, relevant = np.array([1.0, 0, 0, 2]), np.array([2, 0, 3, 2]), np.array([4, 5, 0, 2])
    assert set_precision(hits, attended).tolist() == [0.5, 0, 0, 1]
    assert set_recall(hits, relevant).tolist() == [0.25, 0, 0, 1]
    assert set_f1(hits, attended, relevant).tolist() == [1 / 3, 0, 0, 1]
