"""Masks made and measured slowly: a rasteriser of its own and literal sums over pixels."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCALE = 5.0


def polygon_pixels(polygon: Sequence[float], width: int, height: int) -> NDArray[np.bool_]:
    """The pixels of one polygon: corners on a grid five times as fine, edges walked point by point.

    Each time the walk changes its column of fine points there is a crossing, if it lies in the middle of a pixel
    column; down that column, pixels change sides at crossings.
    """
    corners = [(int(SCALE * x + 0.5), int(SCALE * y + 0.5)) for x, y in zip(polygon[::2], polygon[1::2], strict=True)]
    walk: list[tuple[int, int]] = []
    for (xs, ys), (xe, ye) in zip(corners, corners[1:] + corners[:1], strict=True):
        dx, dy = abs(xe - xs), abs(ye - ys)
        flip = (dx >= dy and xs > xe) or (dx < dy and ys > ye)
        (x0, y0), (x1, y1) = ((xe, ye), (xs, ys)) if flip else ((xs, ys), (xe, ye))
        points = []
        if dx >= dy:
            slope = (y1 - y0) / dx if dx else math.nan
            points = [(x0 + t, y0 if dx == 0 else int(y0 + slope * t + 0.5)) for t in range(dx + 1)]
        else:
            slope = (x1 - x0) / dy
            points = [(int(x0 + slope * t + 0.5), y0 + t) for t in range(dy + 1)]
        walk += points[::-1] if flip else points
    flips = np.zeros(width * height + 1, np.int64)
    for (ua, va), (ub, vb) in itertools.pairwise(walk):
        if ua == ub:
            continue
        x = (min(ua, ub - 1) if ub >= ua else ub) if ub < ua else ub - 1
        column = (x + 0.5) / SCALE - 0.5
        if column != math.floor(column) or not 0 <= column <= width - 1:
            continue
        row = (min(va, vb) + 0.5) / SCALE - 0.5
        row = math.ceil(min(max(row, 0), height))
        flips[int(column) * height + row] += 1
    inside = np.cumsum(flips[:-1]) % 2 == 1
    return np.asarray(inside.reshape(width, height).T)


def polygons_pixels(polygons: Sequence[Sequence[float]], width: int, height: int) -> NDArray[np.bool_]:
    pixels = np.zeros((height, width), np.bool_)
    for polygon in polygons:
        pixels |= polygon_pixels(polygon, width, height)
    return pixels


def runs_pixels(runs: Sequence[int], width: int, height: int) -> NDArray[np.bool_]:
    values: list[bool] = []
    for number, run in enumerate(runs):
        values += [number % 2 == 1] * run
    return np.asarray(np.array(values, np.bool_).reshape(width, height).T)


def compressed_runs(counts: bytes) -> list[int]:
    runs: list[int] = []
    position = 0
    while position < len(counts):
        value, shift = 0, 0
        while True:
            code = counts[position] - 48
            position += 1
            value += (code & 31) << shift
            shift += 5
            if not code & 32:
                if code & 16:
                    value -= 1 << shift
                break
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def pixels_of(counts: bytes, width: int, height: int) -> NDArray[np.bool_]:
    return runs_pixels(compressed_runs(counts), width, height)


def area_inside(pixels: NDArray[np.bool_], box: Sequence[float]) -> float:
    """The sum, over the pixels of a mask, of what each of them shares with a box."""
    x1, y1, x2, y2 = box
    total = []
    for row, column in zip(*np.nonzero(pixels), strict=True):
        wide = min(x2, column + 1) - max(x1, column)
        tall = min(y2, row + 1) - max(y1, row)
        if wide > 0 and tall > 0:
            total.append(wide * tall)
    return math.fsum(total)


def overlap(masks: Sequence[NDArray[np.bool_]], box: Sequence[float], rule: str, boxes: str) -> float:
    """The overlap of an entity of some masks with a region, by every rule."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    together = np.logical_or.reduce(masks)
    if boxes == "any":
        return max(overlap([mask], box, rule, "union") for mask in masks)
    if boxes == "merged":
        rows, columns = np.nonzero(together)
        if not len(rows):
            return 0.0
        x1, y1, x2, y2 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        if rule == "center":
            return float(x1 <= (box[0] + box[2]) / 2 <= x2 and y1 <= (box[1] + box[3]) / 2 <= y2)
        inside = max(min(box[2], x2) - max(box[0], x1), 0) * max(min(box[3], y2) - max(box[1], y1), 0)
        return float(inside / (area if rule == "iof" else area + (x2 - x1) * (y2 - y1) - inside))
    if rule == "center":
        column, row = math.floor((box[0] + box[2]) / 2), math.floor((box[1] + box[3]) / 2)
        within = 0 <= row < together.shape[0] and 0 <= column < together.shape[1]
        return float(within and together[row, column])
    inside = area_inside(together, box)
    return inside / (area if rule == "iof" else area + int(together.sum()) - inside)
