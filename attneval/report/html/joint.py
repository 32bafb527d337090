"""The section on attending right and retrieving right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attneval.report.html.number import Number
from attneval.results.joint import CELLS, RHO, SIDES

if TYPE_CHECKING:
    from attneval.report.html.model import Source


@dataclass(frozen=True)
class JointRow:
    """Captions or images: their correlation, and the cells of the two by two table.

    Attributes:
        title: What they are.
        count: How many have a lift and a rank.
        rho: The rank correlation of the two.
        low: The lower end of its interval.
        high: The upper end.
        p: Of the test that there is none.
        cells: The share of each cell, with its interval, row by row.
    """

    title: str
    count: Number
    rho: Number
    low: Number | None
    high: Number | None
    p: Number | None
    cells: tuple[tuple[Number, Number | None, Number | None], ...]


def joint(source: Source) -> tuple[JointRow, ...]:
    """The views over captions and over images; none where the result has none."""
    rows = []
    for name in SIDES:
        place = ("joint", name)
        count = source.number(*place, RHO, "n", style="count")
        if count is None:
            continue
        low, high = (source.number(*place, RHO, "ci", end, style="plain") for end in (0, 1))
        cells = tuple(
            (
                source.number(*place, "table", cell, "value") or Number(None),
                source.number(*place, "table", cell, "ci", 0),
                source.number(*place, "table", cell, "ci", 1),
            )
            for cell in CELLS
        )
        rho = source.number(*place, RHO, "value", style="plain") or Number(None)
        rows.append(JointRow(name, count, rho, low, high, source.number(*place, "p", style="p"), cells))
    return tuple(rows)
