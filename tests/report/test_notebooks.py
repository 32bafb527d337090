"""What notebooks show of results, their data frames, and the notebook among the documents."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import math
import os
import re
import warnings
from html.parser import HTMLParser
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from commands import ROOT
from results import scored

import attneval
from attneval.errors import ConfigError, MetricError
from attneval.report import frames
from attneval.report.compare import compare_lines
from attneval.report.delimited import result_lines
from attneval.report.fragment import render_fragment
from attneval.report.gate import gate_lines
from attneval.report.score import score_page
from attneval.report.table import Cell, Page, Row, Table
from attneval.results.notes import Note

if TYPE_CHECKING:
    from attneval.report.delimited import Lines

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
HOSTILE = "</td><script>boom()</script><img src=x onerror=boom()>\"'&amp;\u202e\x1b[2J::error::"


def shown() -> dict[str, Any]:
    """One of each kind that notebooks show."""
    good, noisy = scored("good"), scored("noisy")
    return {
        "result": good,
        "comparison": attneval.compare([good, noisy], resamples=20, trials=50),
        "verdict": attneval.gate(noisy, ["f1 >= 0.9", "f1 drops by at most 2 %"], good),
    }


class Reader(HTMLParser):
    """The elements, attributes and text of a piece of HTML; every element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.styles: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles += [value or "" for name, value in attrs if name == "style"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


# ---------------------------------------------------------------- tables in notebooks


@pytest.mark.parametrize("kind", ["result", "comparison", "verdict"])
def test_tables_are_shown(kind: str) -> None:
    made = Reader(shown()[kind]._repr_html_())
    assert made.elements <= {
        *("div", "table", "caption", "thead", "tbody", "tr", "th", "td", "b", "sup", "details", "summary")
    }
    assert made.attributes <= {"style", "scope"}
    # Whatever the page's colours are, these are the text's.
    assert not re.search(r"#[0-9a-f]{3}|\brgb|:(white|black)", " ".join(made.styles))
    assert all("background:none" in style for style in made.styles if "color:inherit" in style)


def test_a_result_shows_its_numbers_and_notes() -> None:
    made = Reader(scored("good")._repr_html_())
    assert {"Attention F1", "70.7", "\u221213.7", "By phrase type, in %", "signature"} <= set(made.text)
    assert any(text.startswith("signature: attneval:2") for text in made.text)
    assert Reader(scored("heads")._repr_html_()).text


def test_marks_leave_numbers_aligned() -> None:
    table = Table("t", ["a", "b"], [Row([Cell("x"), Cell("-1", strong=True, mark="ab")]), Row([Cell("y"), Cell("2")])])
    text = render_fragment(Page([table]))
    sup = '<sup style="display:inline-block;width:2ch;text-align:left;line-height:0">'
    assert f"<b>\u22121</b>{sup}ab</sup>" in text
    assert f">2{sup}</sup>" in text


def test_text_from_files_is_text() -> None:
    import dataclasses

    evil = [
        dataclasses.replace(scored(name), name=f"{HOSTILE}{name}", notes=[Note(HOSTILE)]) for name in ("good", "noisy")
    ]
    comparison = attneval.compare(evil, resamples=10, trials=10)
    verdict = attneval.gate(evil[0], "f1 >= 0.1")
    for one in (*evil, comparison, verdict):
        text = one._repr_html_()
        made = Reader(text)
        assert not made.elements & {"script", "img"}
        assert not made.attributes - {"style", "scope"}
        assert any(r"\u202e\x1b[2J" in part for part in made.text)
        assert "\u202e" not in text
    page = score_page(scored("good"))
    assert HOSTILE not in render_fragment(
        Page([Table(HOSTILE, [HOSTILE], [Row([Cell(HOSTILE, mark=HOSTILE)])])], page.lines)
    )


# ---------------------------------------------------------------- looking up


def test_what_is_looked_up() -> None:
    result = scored("good")
    assert result.by["type"]["people"]["f1"].value == result.scores.by["type"]["people"]["f1"].value
    assert result.baselines["uniform"]["recall"].value == 1
    assert result.curve is result.scores.curve
    comparison = shown()["comparison"]
    assert comparison["f1"].metric == comparison["f1"].metric == "f1"
    with pytest.raises(MetricError, match="did you mean f1"):
        comparison["f11"]


# ---------------------------------------------------------------- data frames

LINES = {"result": result_lines, "comparison": compare_lines, "verdict": gate_lines}


def records(frame: Any) -> list[dict[str, Any]]:
    """The rows of a frame of either library, with None for what is missing."""
    rows = (
        frame.to_dicts()
        if hasattr(frame, "to_dicts")
        else frame.astype(object).where(frame.notna(), None).to_dict("records")
    )
    return [{str(name): value for name, value in row.items()} for row in rows]


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("kind", LINES)
def test_frames_hold_every_number(kind: str, library: str) -> None:
    pytest.importorskip(library)
    one = shown()[kind]
    header, rows = LINES[kind](one)  # type: ignore[operator]
    frame = one.to_frame(library)
    assert type(frame).__module__.startswith(library)
    assert list(frame.columns) == list(header)
    expected = [dict(zip(header, row, strict=True)) for row in rows]
    assert records(frame) == expected


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_have_types(library: str) -> None:
    pytest.importorskip(library)
    lines: Lines = (
        ("text", "whole", "number", "empty", "truth"),
        [("a", 1, 0.5, None, True), ("b", None, None, None, False)],
    )
    frame = frames.frame(lines, library)
    kinds = [str(kind).lower() for kind in frame.dtypes]
    assert kinds == ["string", "int64", "float64", "float64", "boolean"]
    first, second = records(frame)
    assert first == {"text": "a", "whole": 1, "number": 0.5, "empty": None, "truth": True}
    assert second == {"text": "b", "whole": None, "number": None, "empty": None, "truth": False}


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_without_rows(library: str) -> None:
    pytest.importorskip(library)
    assert list(frames.frame((("a", "b"), []), library).columns) == ["a", "b"]


def test_the_library_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    result = scored("good")
    there: set[str] = {"pandas", "polars"}
    monkeypatch.setattr(frames, "find_spec", lambda name: object() if name in there else None)
    assert frames._library(None) == "pandas"
    assert frames._library("polars") == "polars"
    there.remove("pandas")
    assert frames._library(None) == "polars"
    with pytest.raises(ConfigError, match=r"needs pandas, which is not installed.*\[frames\]"):
        result.to_frame("pandas")
    there.clear()
    with pytest.raises(ConfigError, match="needs pandas or polars, which is not installed"):
        result.to_frame()
    with pytest.raises(ConfigError, match="did you mean pandas"):
        result.to_frame("panda")


# ---------------------------------------------------------------- the notebook


def cells(kind: str) -> list[str]:
    stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in stored["cells"] if cell["cell_type"] == kind]


def test_the_notebook_is_stored_without_what_runs_leave() -> None:
    stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (stored["nbformat"], stored["nbformat_minor"]) == (4, 5)
    assert set(stored["metadata"]) == {"kernelspec", "language_info"}
    for cell in stored["cells"]:
        assert cell["cell_type"] in {"code", "markdown"}
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert len({cell["id"] for cell in stored["cells"]}) == len(stored["cells"])


def test_the_cells_run_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cell runs after the ones before it, and what stands at its end can be shown."""
    pytest.importorskip("matplotlib")
    if find_spec("pandas") is None and find_spec("polars") is None:
        pytest.skip("there are no data frames")
    monkeypatch.chdir(NOTEBOOK.parent)
    names: dict[str, Any] = {}
    displayed: list[object] = []
    names["display"] = displayed.append
    for text in cells("code"):
        tree = ast.parse(text)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(tree, NOTEBOOK.name, "exec"), names)  # noqa: S102 - our own text
            if isinstance(last, ast.Expr):
                displayed.append(eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names))  # noqa: S307
    pictures = [one for one in displayed if hasattr(one, "_repr_png_")]
    assert len(pictures) == 4
    assert all(one._repr_png_().startswith(b"\x89PNG") for one in pictures)
    assert sum(isinstance(one, attneval.Result | attneval.Comparison | attneval.Verdict) for one in displayed) == 3
    assert not any(isinstance(one, float) and math.isnan(one) for one in displayed)


def test_the_notebook_runs_in_jupyter(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell shows something that a notebook can show, and none says that it went wrong."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for needed in ("ipykernel", "matplotlib", "pandas"):
        pytest.importorskip(needed)
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of Jupyter, about itself
        client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
        client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"execute_result"}
    kinds = [set(output.data) for output in outputs]
    assert sum("image/png" in kind for kind in kinds) == 4
    assert sum("text/html" in kind for kind in kinds) == 4
