"""Boxes, their unions and overlaps, as the reference measures them."""

from __future__ import annotations

import itertools
import math

from reference_inputs import Box, Export, Row, inside


def overlap_length(a: float, b: float, c: float, d: float) -> float:
    return max(0.0, min(b, d) - max(a, c))


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def intersection(a: Box, b: Box) -> float:
    return overlap_length(a[0], a[2], b[0], b[2]) * overlap_length(a[1], a[3], b[1], b[3])


def enclosing(boxes: list[Box]) -> Box:
    return (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )


def union_area(boxes: list[Box]) -> float:
    """Sum the covered height in every strip between two neighbouring x edges."""
    total = 0.0
    edges = sorted({x for b in boxes for x in (b[0], b[2])})
    for left, right in itertools.pairwise(edges):
        covered, reached = 0.0, -math.inf
        for low, high in sorted((b[1], b[3]) for b in boxes if b[0] <= left and right <= b[2]):
            covered += max(0.0, high - max(low, reached))
            reached = max(reached, high)
        total += covered * (right - left)
    return total


def overlap(
    region: Box, boxes: list[Box], kind: str, combine: str, extent: str = "edge", border: str = "inside"
) -> float:
    if combine == "merged":
        boxes = [enclosing(boxes)]
    if kind == "center":
        x, y = (region[0] + region[2]) / 2, (region[1] + region[3]) / 2
        return float(any(holds(box, x, y, border) for box in boxes))
    if extent == "pixel":
        # Pixels are counted, those of both ends included: every box is one longer.
        region, *boxes = [(x1, y1, x2 + 1, y2 + 1) for x1, y1, x2, y2 in (region, *boxes)]
    if combine == "union":
        shared = union_area([inside(b, region) for b in boxes if intersection(b, region) > 0])
        whole = area(region) if kind == "iof" else area(region) + union_area(boxes) - shared
        return shared / whole
    values = []
    for box in boxes:
        shared = intersection(region, box)
        values.append(shared / (area(region) if kind == "iof" else area(region) + area(box) - shared))
    return max(values)


def holds(box: Box, x: float, y: float, border: str) -> bool:
    if border == "outside":
        return box[0] < x < box[2] and box[1] < y < box[3]
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def share_inside(region: Box, boxes: list[Box]) -> float:
    """The share of a region's area inside the union of some boxes."""
    return union_area([inside(b, region) for b in boxes if intersection(b, region) > 0]) / area(region)


def are_tiles(export: Export) -> bool:
    """Whether, in every image, there are at least 16 regions beside those of the whole image, none over another."""
    for boxes in export.boxes.values():
        real = [box for box in boxes if area(box) > 0]
        tiles = [box for box in real if box != enclosing(real)]
        if len(tiles) < 16 or any(intersection(a, b) > 0 for a, b in itertools.combinations(tiles, 2)):
            return False
    return True


def area_share(boxes: list[Box], size: tuple[int, int]) -> float:
    return area(enclosing(boxes)) / (size[0] * size[1])


def area_name(share: float) -> str:
    return "small" if share < 0.05 else "medium" if share < 0.25 else "large"


def center_row(regions: list[Box], size: tuple[int, int]) -> Row:
    """All weight on the region whose centre is nearest the image's, shared by equally near ones."""
    distance = [
        math.hypot((b[0] + b[2] - size[0]) / 2, (b[1] + b[3] - size[1]) / 2) / math.hypot(*size) for b in regions
    ]
    near = [float(d <= min(distance) + 1e-6) for d in distance]
    return [v / sum(near) for v in near]
