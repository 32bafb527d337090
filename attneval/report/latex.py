"""Tables as LaTeX with booktabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.report.table import Table, safe

if TYPE_CHECKING:
    from attneval.report.table import Cell, Page

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def render_latex(page: Page) -> str:
    """A page as LaTeX tables; the lines under them are comments."""
    comments = "".join(f"% {safe(line)}\n" for line in page.lines)
    return "\n".join(_table(part) for part in page.tables if isinstance(part, Table)) + "\n" + comments


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(character, character) for character in safe(text))


def _table(table: Table) -> str:
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{escaped(' '.join([table.title + '.', *table.notes_on_bold_too]))}}}",
    ]
    columns = "l" * table.texts + "r" * (len(table.header) - table.texts)
    lines += [f"  \\begin{{tabular}}{{{columns}}}", r"    \toprule"]
    lines += [f"    {' & '.join(escaped(name) for name in table.header)} \\\\", r"    \midrule"]
    for row in table.rows:
        lines += [r"    \midrule"] * row.rule
        lines.append(f"    {' & '.join(_cell(cell) for cell in row.cells)} \\\\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""])


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    if cell.strong and text:
        text = f"\\textbf{{{text}}}"
    return text + (f"\\textsuperscript{{{escaped(cell.mark)}}}" if cell.mark else "")
