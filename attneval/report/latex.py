"""Tables as LaTeX with booktabs, which is all that they need.

Numbers are plain, with a minus of mathematics and marks beside which they stay aligned: they stand below each
other in columns of type `r` under every class and every version of siunitx. Text is only ever text.
"""

from __future__ import annotations

import re
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
_LIGATURE = re.compile(r"([-'`,])(?=\1)|([?!])(?=`)")
"""Characters that LaTeX draws together with the next one as another."""
_ROOM = 4
"""Points that a letter of a mark takes of the room between columns."""
LATIN = 0x17F
"""The last letter that every LaTeX knows."""


def render_latex(page: Page) -> str:
    """A page as LaTeX tables; the lines under them are comments.

    The first table has the page's caption and label, further ones have its label with a number.
    """
    tables = [part for part in page.tables if isinstance(part, Table)]
    parts = [
        _table(table, page.caption if not place else "", page.label + (f"-{place + 1}" if place else ""))
        for place, table in enumerate(tables)
    ]
    text = "\n".join(parts)
    needs = ["\\usepackage{booktabs}"]
    if any(ord(character) > LATIN for character in text):
        needs.append("XeLaTeX or LuaLaTeX, and a font that has all letters")
    lines = [f"needs {' and '.join(needs)}", *page.lines]
    return text + "\n" + "".join(f"% {safe(line)}\n" for line in lines)


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    apart = "".join(_SPECIAL.get(character, character) for character in safe(text))
    return _LIGATURE.sub(lambda match: f"{match[0]}{{}}", apart)


def _table(table: Table, caption: str, label: str) -> str:
    title = caption or table.title
    title += "" if title.endswith((".", "!", "?")) else "."
    lines = [r"\begin{table}", r"  \centering"]
    lines += [f"  \\caption{{{escaped(' '.join([title, *table.notes_on_bold_too]))}}}"]
    lines += [f"  \\label{{{label}}}"] if label and not label.startswith("-") else []
    longest = max((len(cell.mark) for row in table.rows for cell in row.cells), default=0)
    lines += [f"  \\setlength{{\\tabcolsep}}{{{2 + _ROOM * longest}pt}}"] if longest > 1 else []
    columns = "l" * table.texts + "r" * (len(table.header) - table.texts)
    lines += [f"  \\begin{{tabular}}{{{columns}}}", r"    \toprule"]
    lines += [_row([escaped(name) for name in table.paper or table.header]), r"    \midrule"]
    for row in table.rows:
        lines += [r"    \midrule"] * row.rule
        lines.append(_row([_cell(cell, is_text=place < table.texts) for place, cell in enumerate(row.cells)]))
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""])


def _row(cells: list[str]) -> str:
    # What a row or a rule ends with takes a bracket or a star that follows for an argument of its own.
    guard = "{}" if cells[0].startswith(("[", "*")) else ""
    return f"    {guard}{' & '.join(cells)} \\\\"


def _cell(cell: Cell, *, is_text: bool) -> str:
    text = escaped(cell.paper or cell.text)
    if not is_text:
        text = re.sub(r"-(?=\d)", "$-$", text)
    if cell.strong and text:
        text = f"\\textbf{{{text}}}"
    # Marks stand between columns, so that numbers with and without stand below each other.
    return text + (f"\\rlap{{\\textsuperscript{{{escaped(cell.mark)}}}}}" if cell.mark else "")
