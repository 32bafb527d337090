"""Maps of grids as pictures, pixel by pixel, as the reference measures them."""

from __future__ import annotations

import functools
import math
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from box_reference import holds, overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_inputs import Box


class Picture(NamedTuple):
    """A map's grid on its image, and the boxes that its top pixel may lie in."""

    shape: tuple[int, int]  # rows, columns
    affine: tuple[float, float, float, float]  # sx, sy, tx, ty
    size: tuple[int, int]
    boxes: tuple[Box, ...]
    extent: str
    border: str


class Heat(NamedTuple):
    """How maps are enlarged, what of them is attended, and which box is taken from them."""

    picture: Picture
    annotated: tuple[Box, ...]
    enlarge: str
    box_from: str
    iou: float
    combine: str


@functools.lru_cache(2**10)
def top_pixels(
    row: tuple[float, ...],
    shape: tuple[int, int],
    affine: tuple[float, float, float, float],
    size: tuple[int, int],
) -> list[tuple[int, int]]:
    """The largest pixels x, y of a map enlarged to the image, pixel by pixel."""
    (rows, columns), (sx, sy, tx, ty), (width, height) = shape, affine, size
    values = {}
    for y in range(height):
        r = min(max((y + 0.5 - ty) / sy - 0.5, 0.0), rows - 1.0)
        r0, down = min(math.floor(r), rows - 1), r - math.floor(r)
        r1 = min(r0 + 1, rows - 1)
        for x in range(width):
            c = min(max((x + 0.5 - tx) / sx - 0.5, 0.0), columns - 1.0)
            c0, right = min(math.floor(c), columns - 1), c - math.floor(c)
            c1 = min(c0 + 1, columns - 1)
            above = (1 - right) * row[r0 * columns + c0] + right * row[r0 * columns + c1]
            below = (1 - right) * row[r1 * columns + c0] + right * row[r1 * columns + c1]
            values[x, y] = (1 - down) * above + down * below
    largest = max(values.values())
    return [pixel for pixel, value in values.items() if value >= largest - 1e-12 * abs(largest)]


def top_pixel_inside(row: tuple[float, ...], picture: Picture) -> float:
    """The share of the largest pixels that lie in a box."""
    top = top_pixels(row, picture.shape, picture.affine, picture.size)
    hits = 0
    for x, y in top:
        for x1, y1, x2, y2 in picture.boxes:
            more = picture.extent == "pixel"
            if holds((x1, y1, x2 + more, y2 + more), x + 0.5, y + 0.5, picture.border):
                hits += 1
                break
    return hits / len(top)


def cubic(x: float) -> float:
    """Keys' kernel, a = -3/4."""
    if x <= 1:
        return 1.25 * x**3 - 2.25 * x**2 + 1
    return -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3 if x < 2 else 0.0


def taps(cells: int, place: float, method: str) -> dict[int, float]:
    """What a point takes from each cell, `place` in cells from where the first begins."""
    if method == "nearest":
        return {min(max(math.floor(place), 0), cells - 1): 1.0}
    place -= 0.5
    low = math.floor(place)
    kernel = {low: 1 - (place - low), low + 1: place - low}
    if method == "bicubic":
        kernel = {cell: cubic(abs(place - cell)) for cell in range(low - 1, low + 3)}
    found: dict[int, float] = {}
    for cell, share in kernel.items():
        within = min(max(cell, 0), cells - 1)
        found[within] = found.get(within, 0.0) + share
    return found


def levels_of(row: tuple[float, ...]) -> tuple[int, ...]:
    """Weights as the numbers of a picture of 8 bits."""
    low, high = min(row), max(row)
    return tuple(int(255 * ((one - low) / (high - low))) if high > low else 0 for one in row)


def single(number: float) -> float:
    """A number in single precision."""
    rounded: float = struct.unpack("f", struct.pack("f", number))[0]
    return rounded


def picture_of_8_bits(levels: tuple[int, ...], picture: Picture) -> dict[tuple[int, int], float]:
    """What OpenCV makes of a picture: bilinear in whole numbers, shares in 2048ths."""
    (rows, columns), (sx, sy, tx, ty), (width, height) = picture.shape, picture.affine, picture.size

    def parts(place: float, cells: int, held: bool) -> tuple[int, int, int, int]:
        point = single(place)
        low = math.floor(point)
        part = single(point - low)
        if held and (low < 0 or low >= cells - 1):
            low, part = min(max(low, 0), cells - 1), 0.0
        first = round(single(1 - part) * 2048)
        return min(max(low, 0), cells - 1), min(max(low + 1, 0), cells - 1), first, round(part * 2048)

    values = {}
    for y in range(height):
        above, below, upper, lower = parts((y + 0.5 - ty) / sy - 0.5, rows, False)
        for x in range(width):
            left, right, near, far = parts((x + 0.5 - tx) / sx - 0.5, columns, True)
            line = {
                r: (levels[r * columns + left] * near + levels[r * columns + right] * far) // 16 for r in (above, below)
            }
            values[x, y] = float((line[above] * upper // 2**16 + line[below] * lower // 2**16 + 2) // 4)
    return values


@functools.lru_cache(2**12)
def enlarged(row: tuple[float, ...], picture: Picture, method: str) -> dict[tuple[int, int], float]:
    """The value of each pixel x, y."""
    (rows, columns), (sx, sy, tx, ty), (width, height) = picture.shape, picture.affine, picture.size
    values = {}
    for y in range(height):
        down = taps(rows, (y + 0.5 - ty) / sy, method)
        for x in range(width):
            across = taps(columns, (x + 0.5 - tx) / sx, method)
            values[x, y] = sum(a * b * row[r * columns + c] for r, a in down.items() for c, b in across.items())
    return values


def attended_pixels(row: tuple[float, ...], values: dict[tuple[int, int], float], threshold: str) -> set[Any]:
    low, high = min(row), max(row)
    if high - low <= 1e-12 * abs(high):
        return set(values)
    rule, _, text = threshold.partition(":")
    value = float(text) if text else 1.0
    if rule == "mass":
        ordered, total, held = sorted(values.values(), reverse=True), sum(values.values()), 0.0
        least = ordered[-1]
        for one in ordered:
            held += one
            if held >= (value - 1e-9) * total:
                least = one
                break
        return {pixel for pixel, one in values.items() if one > least - 1e-12 * abs(least) - 1e-300}
    cut = {
        "uniform": value / len(row) * (1 + 1e-12),
        "abs": value * (1 + 1e-12),
        "max": (value - 1e-12) * max(values.values()),
        "otsu": low,
    }[rule]
    if rule == "otsu":
        cut += (value * otsu_share(list(values.values()), low, high) - 1e-12) * (high - low)
    return {pixel for pixel, one in values.items() if one > cut}


@functools.lru_cache(2**10)
def pixels_of(picture: Picture) -> frozenset[tuple[int, int]]:
    more = picture.extent == "pixel"
    return frozenset(
        (x, y)
        for x in range(picture.size[0])
        for y in range(picture.size[1])
        if any(
            holds((x1, y1, x2 + more, y2 + more), x + 0.5, y + 0.5, picture.border) for x1, y1, x2, y2 in picture.boxes
        )
    )


def parts_of(pixels: set[tuple[int, int]]) -> list[set[tuple[int, int]]]:
    """Connected parts, 8 neighbours."""
    left, parts = set(pixels), []
    while left:
        part, edge = set(), [left.pop()]
        while edge:
            x, y = edge.pop()
            part.add((x, y))
            near = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} & left
            left -= near
            edge += near
        parts.append(part)
    return parts


def box_of_map(values: dict[tuple[int, int], float], heat: Heat) -> float:
    """The share of the largest parts whose box reaches an annotated one."""
    share, peak = float(heat.box_from.partition(":")[2]), max(values.values())
    parts = parts_of({pixel for pixel, one in values.items() if one >= share * peak - 1e-12 * abs(peak)})
    most = max(map(len, parts))
    hits = []
    for part in parts:
        if len(part) == most:
            last = 0 if heat.picture.extent == "pixel" else 1
            columns, rows = [x for x, _ in part], [y for _, y in part]
            box = (min(columns), min(rows), max(columns) + last, max(rows) + last)
            reached = overlap(box, list(heat.annotated), "iou", heat.combine, heat.picture.extent)
            hits.append(reached >= heat.iou)
    return sum(hits) / len(hits)


def judge_map(row: tuple[float, ...], heat: Heat, threshold: str) -> dict[str, float]:
    shape = pixels_of(heat.picture)
    if heat.enlarge == "bilinear-8bit":
        cells = levels_of(row)
        values = picture_of_8_bits(cells, heat.picture)
        flat = max(row) - min(row) <= 1e-12 * abs(max(row))
        chosen = set(values) if flat else attended_pixels(tuple(map(float, cells)), values, threshold)
    else:
        values = enlarged(row, heat.picture, heat.enlarge)
        chosen = attended_pixels(row, values, threshold)
    both = len(chosen & shape)
    out = {
        "map_iou": both / len(chosen | shape) if chosen | shape else 0.0,
        "map_precision": both / len(chosen) if chosen else 0.0,
        "map_recall": both / len(shape) if shape else 0.0,
    }
    return out if heat.box_from == "none" else out | {"box_accuracy": box_of_map(values, heat)}


def otsu_share(values: Sequence[float], low: float, high: float) -> float:
    """The share of a range below the upper class of numbers in 256 bins: that which is farthest from the lower."""
    bins = [min(max(math.floor(((v - low) / (high - low) + 1e-12) * 256), 0), 255) for v in values]
    best, chosen = Fraction(0), 255
    for edge in sorted(set(bins))[:-1]:
        lower, upper = [b for b in bins if b <= edge], [b for b in bins if b > edge]
        distance = Fraction(sum(upper), len(upper)) - Fraction(sum(lower), len(lower))
        between = len(lower) * len(upper) * distance**2
        if between > best:
            best, chosen = between, edge
    return (chosen + 1) / 256
