"""Items one by one: the caption with the word marked, attended and relevant regions, and the kind of error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attneval.metrics.set_scores import F1, SET_SCORES
from attneval.report.table import Cell, Entries, Page, Row, Table, number
from attneval.results.error_costs import costs
from attneval.results.items import KINDS

if TYPE_CHECKING:
    from attneval.report.delimited import Lines
    from attneval.results.items import ItemTable

BOXES_SHOWN = 3
OTHER_F1 = f"other_{F1}"
"""The key of another system's F1 of an item."""


def inspect_page(table: ItemTable, items: list[int], other: ItemTable | None = None, digits: int = 1) -> Page:
    """Show the items chosen, and what each kind of error costs.

    Args:
        table: All items.
        items: Rows to show.
        other: The items of another system, row for row, whose F1 stands beside.
        digits: Of percentages.
    """
    entries = []
    for item in items:
        f1 = f"F1 {_percent(table.score(F1)[item], digits)}"
        if other is not None:
            f1 += f", other {_percent(other.score(F1)[item], digits)}"
        entries.append(
            [
                f"{item_name(table, item)}  {KINDS[table.item_kind[item]]}, {f1}",
                _text(table, item),
                f"attended {_regions(table, item, table.attended)}",
                f"relevant {_regions(table, item, table.relevant)}",
            ]
        )
    lines = [
        f"{len(items)} of {len(table)} items shown",
        "regions are numbers within the image; a box is x1,y1,x2,y2 in pixels of the original image",
    ]
    return Page([_cost_table(table, digits), Entries("Items, in %", entries)], lines)


def _cost_table(table: ItemTable, digits: int) -> Table:
    rows = [
        Row(
            [
                Cell(c.kind),
                Cell(str(c.items)),
                Cell(_percent(c.items / max(len(table), 1), digits)),
                Cell(number(c.f1, digits=digits)),
            ]
        )
        for c in costs(table)
        if c.items
    ]
    notes = ["F1 gained: how much higher the mean F1 would be if items of this kind alone were put right"]
    return Table("What errors cost, in %", ["kind", "items", "share", "F1 gained"], rows, notes)


def _percent(value: float, digits: int) -> str:
    return number(float(value), digits=digits)


def _text(table: ItemTable, item: int) -> str:
    """``a [dog] runs``; the words that were attended instead stand in braces."""
    caption = int(table.item_caption[item])
    text = table.caption_text[caption]
    marks = [(*table.item_span[item].tolist(), "[", "]"), (*table.item_other[item].tolist(), "{", "}")]
    for start, stop, left, right in sorted(marks, reverse=True):
        if start >= 0:
            text = f"{text[:start]}{left}{text[start:stop]}{right}{text[stop:]}"
    return text


def item_name(table: ItemTable, item: int) -> str:
    """Name the caption of an item: ``36979#2``."""
    caption = int(table.item_caption[item])
    return f"{table.image_id[int(table.caption_image[caption])]}#{table.caption_index[caption]}"


def _regions(table: ItemTable, item: int, bits: Any) -> str:
    """How many regions, and the first few with their boxes; the one with the largest weight leads what is attended."""
    members = table.members(item, bits).tolist()
    boxes = table.regions(item)
    if bits is table.attended:
        top = int(table.item_top[item, 0])
        members.sort(key=lambda region: region != top)
    shown = [f"{m} ({','.join(f'{v:.0f}' for v in boxes[m])})" for m in members[:BOXES_SHOWN]]
    rest = len(members) - len(shown)
    return " ".join([f"{len(members)}:", *shown, *([f"and {rest} more"] if rest > 0 else [])]) if members else "none"


def inspect_rows(table: ItemTable, items: list[int], other: ItemTable | None = None) -> list[dict[str, Any]]:
    """Give the items as JSON values; beside another system's items, row for row, with its F1."""
    names = list(table.types)
    rows = []
    for item in items:
        caption = int(table.item_caption[item])
        start, stop = table.item_span[item].tolist()
        text = table.caption_text[caption]
        boxes = table.regions(item)
        top, weight = table.item_top[item].tolist()
        instead = table.item_other[item].tolist()
        rows.append(
            {
                "caption": item_name(table, item),
                "text": text,
                "words": text[start:stop],
                "span": [start, stop],
                "types": [name for bit, name in enumerate(names) if table.item_types[item] >> bit & 1],
                "kind": KINDS[table.item_kind[item]],
                **{name: float(table.score(name)[item]) for name in SET_SCORES},
                **({} if other is None else {OTHER_F1: float(other.score(F1)[item])}),
                "instead": text[slice(*instead)] if instead[0] >= 0 else None,
                "instead_span": instead if instead[0] >= 0 else None,
                "top": {"region": int(top), "weight": weight} if top >= 0 else None,
                "attended": table.members(item, table.attended).tolist(),
                "relevant": table.members(item, table.relevant).tolist(),
                "regions": [[round(float(v), 3) for v in box] for box in boxes],
            }
        )
    return rows


def inspect_lines(table: ItemTable, items: list[int], other: ItemTable | None = None) -> Lines:
    """Lines of a table: one per item; what only JSON can hold is left out."""
    scores = (*SET_SCORES, *(() if other is None else (OTHER_F1,)))
    rows = [
        (
            row["caption"],
            row["words"],
            "/".join(row["types"]),
            row["kind"],
            *(row[key] for key in scores),
            row["instead"],
            " ".join(map(str, row["attended"])),
            " ".join(map(str, row["relevant"])),
        )
        for row in inspect_rows(table, items, other)
    ]
    return ("caption", "words", "types", "kind", *scores, "instead", "attended", "relevant"), rows
