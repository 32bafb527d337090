"""Tables for papers: what LaTeX reads, letter by letter, and what no text can make it do."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results import of_f1, scored

import attneval
from attneval.metrics.registry import metrics
from attneval.report.compare import compare_page
from attneval.report.curve import curve_page
from attneval.report.latex import escaped, render_latex
from attneval.report.markdown import render_markdown
from attneval.report.score import score_page
from attneval.report.table import MINUS, Cell, Page, Row, Table, typeset

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = [
    r"\input{/etc/passwd}",
    r"[x] \\ & % $ # _ { } ~ ^ | < >",
    "*star \"q\" --- ``a'' ,,x ?` !`",
    "a\nb\x1b[31m\u202e::error::x",
    r"}\end{tabular}\end{table}\immediate\write18{x}",
]
TABLE = Table(
    "Things",
    ["name", "f1", "y"],
    [
        Row([Cell("a-1"), Cell("-1.5", strong=True), Cell("[-2.0, -0.5]", mark="b")]),
        Row([Cell("f1", paper="F1"), Cell("3"), Cell("4", mark="ab")], rule=True),
    ],
    ["note-1"],
    "Best in bold.",
    paper=["name", "F1", "y"],
)

COMMANDS = re.compile(r"\\(?:[a-zA-Z]+|.)")
KNOWN = {
    *("begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule", "textbf", "textsuperscript"),
    *("rlap", "setlength", "tabcolsep", "textbackslash", "textasciitilde", "textasciicircum", "textless"),
    *("textgreater", "textbar", "\\", "&", "%", "$", "#", "_", "{", "}"),
}


def assert_sound(text: str) -> None:
    """What LaTeX needs to see: known commands alone, braces and environments in pairs, rows of equal length."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert {found[1:] for found in COMMANDS.findall(body)} <= KNOWN
    plain = re.sub(r"\\[\\&%$#_{}]", "", body)
    depth = 0
    for character in plain:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"[%#~^]|(?<!\w)_", plain)
    assert plain.count("$") % 2 == 0
    assert re.findall(r"\\begin\{(\w+)\}", body).count("table") == body.count("\\end{table}")
    for columns, rows in re.findall(r"\\begin\{tabular\}\{(l*r*)\}(.*?)\\end\{tabular\}", body, re.DOTALL):
        lines = [line.strip() for line in rows.splitlines() if line.strip() and "rule" not in line]
        for line in lines:
            assert line.endswith(r" \\")
            assert len(re.findall(r"(?<!\\)&", line.replace(r"\\", ""))) == len(columns) - 1
            assert not line.startswith(("[", "*"))


def test_letter_by_letter() -> None:
    text = render_latex(Page([TABLE, TABLE], ["50 % done"], caption="A & B", label="tab:x"))
    first, second = text.split(r"\end{table}")[:2]
    assert first == (
        "\\begin{table}\n"
        "  \\centering\n"
        "  \\caption{A \\& B. note-1 Best in bold.}\n"
        "  \\label{tab:x}\n"
        "  \\setlength{\\tabcolsep}{10pt}\n"
        "  \\begin{tabular}{lrr}\n"
        "    \\toprule\n"
        "    name & F1 & y \\\\\n"
        "    \\midrule\n"
        "    a-1 & \\textbf{$-$1.5} & [$-$2.0, $-$0.5]"
        "\\rlap{\\textsuperscript{b}} \\\\\n"
        "    \\midrule\n"
        "    F1 & 3 & 4\\rlap{\\textsuperscript{ab}} \\\\\n"
        "    \\bottomrule\n"
        "  \\end{tabular}\n"
    )
    assert "\\caption{Things. note-1 Best in bold.}\n  \\label{tab:x-2}" in second
    assert text.endswith("% needs \\usepackage{booktabs}\n% 50 % done\n")
    assert_sound(text)


def test_without_label_and_caption() -> None:
    text = render_latex(Page([TABLE]))
    assert "label" not in text
    assert r"\caption{Things. note-1 Best in bold.}" in text


def test_rows_that_begin_like_arguments() -> None:
    table = Table("[t]", ["[2pt]", "*"], [Row([Cell("*"), Cell("1")]), Row([Cell("[9]"), Cell("2")], rule=True)])
    text = render_latex(Page([table]))
    assert text.count("    {}[2pt]") == text.count("    {}*") == text.count("    {}[9]") == 1
    assert_sound(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--", "-{}-"),
        ("---", "-{}-{}-"),
        ("``x''", "`{}`x'{}'"),
        ("?`", "?{}`"),
        ("\\", r"\textbackslash{}"),
        ("a_b^c~", r"a\_b\textasciicircum{}c\textasciitilde{}"),
        ("{}", r"\{\}"),
        ("100%", r"100\%"),
    ],
)
def test_text_is_printed_as_it_is(text: str, shown: str) -> None:
    assert escaped(text) == shown


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_is_more_than_text(name: str, note: str) -> None:
    table = Table(name, [name, note], [Row([Cell(name), Cell(note, strong=True, mark="a")])], [note])
    assert_sound(render_latex(Page([table], [name, note], caption=note, label="x")))


def pages() -> dict[str, Page]:
    """Pages of every command for papers, with names that mean harm."""
    systems = [attneval.System(name, (scored(("good", "noisy")[k % 2]),)) for k, name in enumerate(HOSTILE)]
    return {
        "score": score_page(scored("good")),
        "channels": score_page(scored("heads")),
        "compare": compare_page(attneval.compare(systems, resamples=20, trials=50)),
        "curve": curve_page([scored("good"), scored("noisy")]),
    }


@pytest.mark.parametrize("name", ["score", "channels", "compare", "curve"])
def test_tables_are_sound(name: str) -> None:
    page = pages()[name]
    text = render_latex(page)
    assert_sound(text)
    assert text.count(r"\begin{table}") == len(page.tables)
    # Numbers have no hyphens, text has no minus.
    assert not re.search(r"& -\d|\[-\d|, -\d", text)


@pytest.mark.parametrize("name", ["score", "channels", "compare", "curve"])
def test_tables_compile(name: str, tmp_path: Path) -> None:
    latex = shutil.which("pdflatex")
    if latex is None:
        pytest.skip("there is no pdflatex")
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
    (tmp_path / "x.tex").write_text(f"{head}{render_latex(pages()[name])}\\end{{document}}\n", encoding="utf-8")
    command = [latex, "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "x.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_letters_that_not_every_latex_has_are_told() -> None:
    assert "XeLaTeX" not in render_latex(Page([Table("é ü ß", ["x"])]))
    assert "% needs \\usepackage{booktabs} and XeLaTeX or LuaLaTeX" in render_latex(Page([Table("狗", ["x"])]))


def test_metrics_are_called_as_papers_write_them() -> None:
    comparison = attneval.compare([scored("good"), scored("noisy")], resamples=20, trials=50)
    text = render_latex(compare_page(comparison))
    header = next(line for line in text.splitlines() if "Precision" in line)
    names = [name.strip() for name in header.removesuffix(r" \\").split("&")[1:]]
    assert names == [
        *("Precision", "Recall", "F1", "F1 lift", "AP", "AP lift", "Specificity", "Pointing"),
        *("I2T R@1", "I2T R@5", "I2T R@10", "T2I R@1", "T2I R@5", "T2I R@10", "rSum"),
    ]
    assert len({metric.in_papers for metric in metrics()}) == len(metrics())
    assert "| F1 |" in render_markdown(compare_page(comparison))


def test_best_and_letters() -> None:
    draws = [0.1 + 0.01 * (k % 7) for k in range(40)]
    pair = [of_f1("low", draws), of_f1("high", [value + 0.5 for value in draws])]
    text = render_latex(compare_page(attneval.compare(pair, names=["f1"], resamples=50, trials=2000)))
    assert r"b  high & \textbf{62.9}\rlap{\textsuperscript{a}} \\" in text
    assert r"a  low & 12.9 \\" in text


def test_markdown_has_a_minus_and_a_caption() -> None:
    text = render_markdown(Page([TABLE, TABLE], caption="A *b*"))
    assert text.startswith("**A \\*b\\***\n\n| name | F1 | y |\n")
    assert "**Things**" in text
    assert f"| a-1 | **{MINUS}1.5** | \\[{MINUS}2.0, {MINUS}0.5\\]<sup>b</sup> |" in text


def test_a_minus_is_one_before_digits_alone() -> None:
    assert typeset("-") == "-"
    assert typeset("-1.0 [-2, x-y]") == f"{MINUS}1.0 [{MINUS}2, x-y]"
