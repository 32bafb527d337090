#!/usr/bin/env python3
"""Draw the curves by epoch of a grid's records, as SVG: a file for each model that was trained.

    python curves.py semantic/runs.jsonl semantic      -> semantic/curves-scan-t2i.svg, ...

A line is a cell, the mean over its seeds as far as the shortest of their trainings goes. Epoch 0 is before training.
Attention that was taught with annotations lies so far above the rest that it would flatten all of it: a panel is as
high as the rest needs, and says how far that line goes. The same records give the same bytes.
"""

from __future__ import annotations

import itertools
import math
import statistics
import sys
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from records import read

PANELS = {
    "f1": ("F1, dev, %", 100),
    "ap": ("AP, dev, %", 100),
    "pointing": ("pointing, dev, %", 100),
    "specificity": ("specificity, dev, %", 100),
    "rsum": ("sum of recalls, dev, %", 100),
    "keys": ("regions that share attention, training", 1),
}
"""By logged number, the title of its panel and the scale of its values."""

ABOVE = "supervised"
"""The cell that no panel is made as high as."""

COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
"""Okabe and Ito's, which people with all kinds of colour vision tell apart, with grey for their yellow."""

WIDTH, HEIGHT, COLUMNS = 290, 180, 3
LEFT, RIGHT, TOP, BOTTOM = 38, 10, 26, 24
LEGEND_COLUMNS, LEGEND_ROW = 6, 18
TICKS = 4


class Point(NamedTuple):
    """A value of a curve.

    Args:
        epoch: Since the start of training.
        value: As the panel shows it.
    """

    epoch: int
    value: float


def curve(trainings: list[dict[str, Any]], metric: str, scale: float) -> list[Point]:
    """The mean over trainings of a logged number, at the epochs at which all have it."""
    shortest = min(len(training["epochs"]) for training in trainings)
    points = []
    for epoch in range(shortest + 1):
        logged = [training["epochs"][epoch - 1] if epoch else training["untrained"] for training in trainings]
        if all(metric in each for each in logged):
            points.append(Point(epoch, scale * statistics.mean(each[metric] for each in logged)))
    return points


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two values, at most TICKS + 1 of them."""
    rough = max(high - low, 1e-9) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * at for at in range(math.ceil(low / step), math.floor(high / step) + 1)]


def panel(title: str, curves: dict[str, list[Point]], colours: dict[str, str], left: int, upper: int) -> list[str]:
    """The elements of a panel whose upper left corner is there."""
    points = [point for each in curves.values() for point in each]
    if not points:
        return []
    values = [point.value for cell, each in curves.items() for point in each if cell != ABOVE]
    values = values or [point.value for point in points]
    low, high, last = min(values), max(values), max(point.epoch for point in points)
    margin = 0.05 * (high - low) or 1
    low, high = low - margin, high + margin
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(epoch: float, value: float) -> tuple[float, float]:
        return left + LEFT + wide * epoch / max(last, 1), upper + TOP + tall * (high - value) / (high - low)

    parts = [f'<text x="{left + LEFT}" y="{upper + 16}" font-weight="bold">{escape(title)}</text>']
    for value in ticks(low, high):
        x, y = at(0, value)
        parts.append(f'<path d="M{x:.1f} {y:.1f}h{wide}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 5:.1f}" y="{y + 3.5:.1f}" text-anchor="end">{value:g}</text>')
    for epoch in range(0, last + 1, 2):
        x, y = at(epoch, low)
        parts.append(f'<text x="{x:.1f}" y="{y + 14:.1f}" text-anchor="middle">{epoch}</text>')
    x, y = left + LEFT, upper + TOP
    parts.append(f'<svg x="{x}" y="{y}" width="{wide}" height="{tall}" viewBox="{x} {y} {wide} {tall}">')
    for cell, each in curves.items():
        line = "L".join("{:.1f} {:.1f}".format(*at(*point)) for point in each)
        if line:
            parts.append(f'<path d="M{line}" fill="none" stroke="{colours[cell]}" stroke-width="1.6"/>')
    parts.append("</svg>")
    if (top := max((point.value for point in curves.get(ABOVE, [])), default=high)) > high:
        said = f"{ABOVE}: up to {top:.1f}"
        parts.append(f'<text x="{x + wide}" y="{y - 3}" text-anchor="end" fill="#555">{said}</text>')
    return parts


def drawing(part: str, cells: dict[str, list[dict[str, Any]]]) -> str:
    """The curves of one trained model, by cell."""
    colours = dict(zip(cells, itertools.cycle(COLOURS), strict=False))
    rows = -(-len(PANELS) // COLUMNS)
    legend = 8 + LEGEND_ROW * -(-len(cells) // LEGEND_COLUMNS)
    width, height = COLUMNS * WIDTH, legend + rows * HEIGHT
    parts = [
        f"<title>{escape(part)} by epoch of training</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for place, (cell, trainings) in enumerate(cells.items()):
        row, column = divmod(place, LEGEND_COLUMNS)
        x, y = LEFT + 140 * column, 14 + LEGEND_ROW * row
        seeds = f"{len(trainings)} seed{'s' if len(trainings) > 1 else ''}"
        parts.append(f'<path d="M{x} {y}h18" stroke="{colours[cell]}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 23}" y="{y + 4}">{escape(cell)}, {seeds}</text>')
    for place, (metric, (title, scale)) in enumerate(PANELS.items()):
        curves = {cell: curve(trainings, metric, scale) for cell, trainings in cells.items()}
        row, column = divmod(place, COLUMNS)
        parts += panel(title, curves, colours, column * WIDTH, legend + row * HEIGHT)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="11">'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def main() -> None:
    """Write the drawings."""
    records, folder = map(Path, sys.argv[1:])
    models: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for run in read(records):
        for training in run["training"]:
            models.setdefault(training["part"], {}).setdefault(run["constraints"], []).append(training)
    for part, cells in models.items():
        (folder / f"curves-{part}.svg").write_text(drawing(part, cells), encoding="utf-8")


if __name__ == "__main__":
    main()
