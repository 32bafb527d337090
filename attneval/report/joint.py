"""The joint view as tables, and captions that are retrieved right but attended wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.metrics.set_scores import F1
from attneval.report.compare import p_text
from attneval.report.inspect import inspect_rows
from attneval.report.table import UNDEFINED, Cell, Entries, Page, Row, Table, interval, number
from attneval.results.joint import CELLS, IMAGES

if TYPE_CHECKING:
    from attneval.report.delimited import Lines
    from attneval.results.items import ItemTable
    from attneval.results.joint import Joint

TITLES = ("both right", "attended only", "retrieved only", "neither right")
"""The cells of `CELLS` in the header of a table."""


def joint_table(joint: Joint, digits: int = 1) -> Table:
    """Show whether attending right goes with retrieving right."""
    rows = []
    for name, side in joint.sides.items():
        values = [
            Cell(f"{name} ({side.rho.n})"),
            Cell(number(side.rho.value, "correlation", digits + 1)),
            Cell(UNDEFINED if side.p is None else p_text(side.p)),
        ]
        bounds = [Cell("  interval"), Cell(interval(side.rho.ci, "correlation", digits + 1)), Cell("")]
        for cell in CELLS:
            values.append(Cell(number(side.table[cell].value, digits=digits)))
            bounds.append(Cell(interval(side.table[cell].ci, "share", digits)))
        rows += [Row(values, rule=name == IMAGES), Row(bounds)]
    notes = [
        "rho: rank correlation of F1 lift and rank, above 0 where what is attended better is retrieved better",
        "attended right: lift above 0; retrieved right: rank 1; retrieved only: attneval inspect --joint",
    ]
    header = ["", "rho", "p", *TITLES]
    return Table("Attending right and retrieving right, shares in %", header, rows, notes, optional=(3, 4, 2, 6))


def captions_page(table: ItemTable, captions: list[int], total: int, digits: int = 1) -> Page:
    """Show captions that are retrieved right but attended wrong, with what became of their words.

    Args:
        table: All items, with the lifts and ranks of their captions.
        captions: Rows of captions to show.
        total: How many such captions there are.
        digits: Of percentages.
    """
    entries = []
    for row in caption_rows(table, captions):
        items = [f"{item['words']}: {item['kind']}, F1 {number(item[F1], digits=digits)}" for item in row["items"]]
        head = f"{row['caption']}  rank {row['rank']:g}, lift {number(row['lift'], digits=digits)}"
        entries.append([head, row["text"], *items])
    lines = [
        f"{len(captions)} of {total} captions shown whose image is first for them, but whose lift is not above 0",
        "lift: mean over a caption's words of F1 above that of attending to everything",
    ]
    return Page([Entries("Retrieved right but attended wrong, in %", entries)], lines)


def caption_rows(table: ItemTable, captions: list[int]) -> list[dict[str, Any]]:
    """Give captions as JSON values, each with its items."""
    if table.caption_lift is None or table.caption_rank is None:
        return []
    rows = []
    for caption in captions:
        items = np.flatnonzero(table.item_caption == caption).tolist()
        image = table.image_id[int(table.caption_image[caption])]
        rows.append(
            {
                "caption": f"{image}#{table.caption_index[caption]}",
                "text": table.caption_text[caption],
                "rank": float(table.caption_rank[caption]),
                "lift": float(table.caption_lift[caption]),
                "items": inspect_rows(table, items),
            }
        )
    return rows


def caption_lines(table: ItemTable, captions: list[int]) -> Lines:
    """Lines of a table: one per caption."""
    names = ("caption", "text", "rank", "lift")
    return names, [tuple(row[name] for name in names) for row in caption_rows(table, captions)]
