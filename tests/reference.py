"""A second implementation of everything that is measured: slow, obvious, and sharing no code with the package.

It follows docs/metrics.md sentence by sentence, one item, one region, one threshold at a time. Items, sets and sums
are plain Python lists; nothing is vectorised and nothing is clever.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import struct
import unicodedata
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from reference_inputs import Box, Caption, Export, Image, Map, Phrase, Row, Truth, inside

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Keys = AbstractSet[int]
Choices = dict[str, Any]  # the protocol
Values = dict[str, "float | None"]  # metrics by name, None where undefined


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


class Target(NamedTuple):
    """What a row of weights is held against."""

    relevant: frozenset[int]
    pointing: frozenset[int]  # the keys that the pointing game accepts
    inside: tuple[float, ...]  # of each key, the share of its area inside the shapes
    picture: Picture | None = None  # where the pointing game is played on pixels
    heat: Heat | None = None  # where maps are enlarged


def keys_alone(relevant: Keys, keys: int) -> Target:
    """Keys that are relevant, or not, and have no geometry: as tokens, they lie inside or outside."""
    return Target(frozenset(relevant), frozenset(relevant), tuple(float(key in relevant) for key in range(keys)))


Pairing = tuple["Row | None", Target]  # weights, and what they are held against


class Scored(NamedTuple):
    values: Values
    baselines: dict[str, Values]
    gaps: dict[str, dict[str, float]]
    by: dict[str, dict[str, Values]]
    floors_by: dict[str, dict[str, dict[str, Values]]]
    images_by: dict[str, dict[str, int]]
    items: int
    scored: int


# ---------------------------------------------------------------- tokens to words


def letters(text: str) -> str:
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in text if c.isalnum())


def is_special(token: str) -> bool:
    return not token or re.fullmatch(r"<[^<>]+>|\[[^\[\]]+\]", token) is not None


def tokens_of_words(tokens: list[str], words: list[str]) -> list[list[int]]:
    """Tokens of each word, for texts that agree letter by letter, up to where the tokens end."""
    owner = [w for w, word in enumerate(words) for _ in letters(word)]
    found: list[list[int]] = [[] for _ in words]
    position = 0
    for t, token in enumerate(tokens):
        if is_special(token):
            continue
        text = letters(token)
        for w in sorted(set(owner[position : position + len(text)])):
            found[w].append(t)
        if not text and 0 < position < len(owner) and owner[position - 1] == owner[position]:
            found[owner[position]].append(t)  # punctuation within a word
        position += len(text)
    return found


# ---------------------------------------------------------------- boxes


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


def settled(export: Export, p: Choices) -> Choices:
    """The protocol with an overlap in place of `auto`: of cells by their own area, of other regions by the union."""
    if p["overlap"] != "auto":
        return p
    windows = any(own.window is not None for own in export.maps)
    cells = bool(export.grids) or (not windows and are_tiles(export))
    return p | {"overlap": "iof" if cells else "iou"}


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


# ---------------------------------------------------------------- maps enlarged to images


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


# ---------------------------------------------------------------- a row of weights against a set


def normalise(row: Row, method: str) -> Row:
    if not row:
        return []  # there are no regions
    if method == "sum":
        total = sum(row)
        return [w / total for w in row] if total > 0 else [0.0] * len(row)
    if method == "softmax":
        top = max(row)
        powers = [math.exp(w - top) for w in row]
        return [p / sum(powers) for p in powers]
    if method == "minmax":
        low, high = min(row), max(row)
        return [(w - low) / (high - low) if high > low else 0.0 for w in row]
    return list(row)


def attended(row: Row, threshold: str) -> Row:
    """How much each key belongs to the attended set: 0 or 1, or a share where top:k cuts through a tie."""
    rule, _, text = threshold.partition(":")
    n = len(row)
    if not n or max(row) - min(row) <= 1e-12 * abs(max(row)):
        return [1.0] * n  # even attention is all keys
    if rule == "uniform":
        factor = float(text) if text else 1.0
        return [float(w > factor / n * (1 + 1e-12)) for w in row]
    if rule == "otsu":
        low, high = min(row), max(row)
        least = (float(text) if text else 1.0) * otsu_share(row, low, high)
        return [float((w - low) / (high - low) + 1e-12 >= least - 1e-12) for w in row]
    value = float(text)
    if rule == "abs":
        return [float(w > value * (1 + 1e-12)) for w in row]
    if rule == "max":
        return [float(w >= (value - 1e-12) * max(row)) for w in row]
    if rule == "top":
        members = []
        for w in row:
            ahead = sum(other > w for other in row)
            tied = sum(other == w for other in row)
            members.append(min(max((value - ahead) / tied, 0.0), 1.0))
        return members
    total, held, kept = sum(row), 0.0, set()
    for w in sorted(set(row), reverse=True):
        if total <= 0 or held / total >= value - 1e-9:
            break
        kept.add(w)
        held += w * row.count(w)
    return [float(w in kept) for w in row]


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


def expected_top(row: Row, relevant: Keys, k: int) -> float:
    """Expected number of relevant keys among the first k."""
    ranking = sorted(row, reverse=True)
    total = 0.0
    for key in relevant:
        ahead = ranking.index(row[key])  # where the first of those that weigh the same stands
        total += min(max((k - ahead) / ranking.count(row[key]), 0.0), 1.0)
    return total


def hit_probability(row: Row, relevant: Keys, k: int) -> float:
    """Probability that one of the first k keys is relevant, ties in random order."""
    if not relevant:
        return 0.0
    best = max(row[key] for key in relevant)
    ranking = sorted(row, reverse=True)
    ahead = ranking.index(best)
    good = sum(row[key] == best for key in relevant)
    bad = ranking.count(best) - good
    places = k - ahead
    if places <= 0:
        return 0.0
    if places > bad:
        return 1.0
    return 1 - math.comb(bad, places) / math.comb(bad + good, places)


def judge(row: Row, target: Target, threshold: str) -> dict[str, float]:
    # Breakdowns and baselines ask the same again and again.
    return _judge(tuple(row), target, threshold)


@functools.lru_cache(2**16)
def _judge(row: tuple[float, ...], target: Target, threshold: str) -> dict[str, float]:
    relevant = target.relevant
    members = attended(row, threshold)
    size = sum(members)
    tp = sum(members[key] for key in relevant)
    precision = tp / size if size else 0.0
    recall = tp / len(relevant) if relevant else 0.0
    total = sum(row)
    ranking = sorted(row, reverse=True)
    through = {key: ranking.index(row[key]) + ranking.count(row[key]) for key in relevant}
    steps = [sum(row[o] >= row[key] for o in relevant) / through[key] for key in relevant]
    out = {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "tp": tp,
        "attended": size,
        "relevant": float(len(relevant)),
        "ap": sum(steps) / len(relevant) if relevant else 0.0,
        "pointing": top_pixel_inside(row, target.picture) if target.picture else expected_top(row, target.pointing, 1),
        "mass": sum(row[key] for key in relevant) / total if total > 0 else 0.0,
        "rank_accuracy": expected_top(row, relevant, len(relevant)) / len(relevant) if relevant else 0.0,
    }
    if target.heat:
        out |= judge_map(row, target.heat, threshold)
    out["area_mass"] = sum(w * share for w, share in zip(row, target.inside, strict=True)) / total if total > 0 else 0.0
    others = [row[key] for key in range(len(row)) if key not in relevant]
    if relevant and others:
        won = [(row[key] > other) + (row[key] == other) / 2 for key in relevant for other in others]
        out["auc"] = sum(won) / len(won)
    out |= {f"r@{k}": hit_probability(row, relevant, k) for k in (1, 5, 10)}
    if len(row) > 1 and total > 0:
        shares = [w / total for w in row if w > 0]
        out["entropy"] = -sum(p * math.log(p) for p in shares) / math.log(len(row))
    return out


# ---------------------------------------------------------------- items


@dataclass
class Item:
    """A word, a phrase or a region, and what it is judged against."""

    image: str
    row: Row | None  # the model's weights; None if it gave none
    undefined: bool  # there are rows, but none with any mass
    target: Target
    others: list[Target]  # the other entities
    keys: int
    center: Row | None  # the weights of the center baseline
    types: list[str]
    area: str
    length: str


def pool(rows: list[Row], rule: str) -> Row:
    if rule == "last":
        return rows[-1]
    columns = list(zip(*rows, strict=True))
    if rule == "max":
        return [max(c) for c in columns]
    return [sum(c) / (len(c) if rule == "mean" else 1) for c in columns]


def area_share(boxes: list[Box], size: tuple[int, int]) -> float:
    return area(enclosing(boxes)) / (size[0] * size[1])


def area_name(share: float) -> str:
    return "small" if share < 0.05 else "medium" if share < 0.25 else "large"


def keys_of(export: Export, image: str, own: Map | None) -> list[int]:
    """The regions of an image, or of a caption's window, that have an area."""
    windows = any(other.window is not None for other in export.maps)
    if windows and own is None:
        return []
    first, count = own.window if own and own.window else (0, len(export.boxes[image]))
    return [r for r in range(first, first + count) if area(export.boxes[image][r]) > 0]


def picture_of(export: Export, image_id: str, size: tuple[int, int], boxes: list[Box], p: Choices) -> Picture:
    """The grid without rows and columns of padding."""
    (_, columns), (sx, sy, tx, ty) = export.grids[image_id]
    real = [divmod(r, columns) for r in keys_of(export, image_id, None)]
    top, left = min(r for r, _ in real), min(c for _, c in real)
    shape = max(r for r, _ in real) - top + 1, max(c for _, c in real) - left + 1
    if p["boxes"] == "merged":
        boxes = [enclosing(boxes)]
    affine = (sx, sy, tx + left * sx, ty + top * sy)
    return Picture(shape, affine, size, tuple(boxes), p["extent"], p["border"])


def t2i_items(truth: Truth, export: Export, p: Choices, channel: int | None) -> list[Item]:
    items = []
    for image_id, image in truth.items():
        targets: dict[tuple[int, ...], dict[str, Target]] = {}
        for index, caption in image.captions.items():
            own = find_map(export, image_id, index)
            real = keys_of(export, image_id, own)
            regions = [export.boxes[image_id][r] for r in real]
            known = tuple(real)
            if known not in targets:
                targets[known] = {
                    entity: t2i_target(export, image_id, image.size, regions, boxes, p)
                    for entity, boxes in image.entities.items()
                }
            of = targets[known]
            center = center_row(regions, image.size)
            found = tokens_of_words(own.tokens, caption.words) if own else [[] for _ in caption.words]
            weights, defined = own.rows_of(channel) if own else ([], [])
            first = own.window[0] if own and own.window else 0
            for phrase, words, share in scored_phrases(image, caption, p):
                rows: list[Row | None] = []
                had = [bool(found[word]) for word in words]
                for word in words:
                    tokens: list[Row] = [[weights[t][r - first] for r in real] for t in found[word] if defined[t]]
                    rows.append(pool(tokens, p["pool"]) if tokens else None)
                if p["unit"] == "phrase":
                    given = [row for row in rows if row is not None]
                    rows, had = [pool(given, p["pool"]) if given else None], [any(had)]
                items += [
                    Item(
                        image=image_id,
                        row=None if row is None else normalise(row, p["normalize"]),
                        undefined=there and row is None,
                        target=of[phrase.entity],
                        others=[of[e] for e in image.entities if e != phrase.entity],
                        keys=len(regions),
                        center=center,
                        types=phrase.types,
                        area=area_name(share),
                        length="4+" if len(words) > 3 else str(len(words)),
                    )
                    for row, there in zip(rows, had, strict=True)
                ]
    return items


def t2i_target(
    export: Export, image_id: str, size: tuple[int, int], regions: list[Box], boxes: list[Box], p: Choices
) -> Target:
    relevant = reaching(regions, boxes, p["overlap"], p)
    pointing = reaching(regions, boxes, "center", p) if p["pointing"] == "center" else relevant
    heat = None
    if p["enlarge"] != "none":
        picture = picture_of(export, image_id, size, boxes, p)
        heat = Heat(picture, tuple(boxes), p["enlarge"], p["box_from"], p["iou"], p["boxes"])
    picture_if = picture_of(export, image_id, size, boxes, p) if p["pointing"] == "upsampled" else None
    return Target(relevant, pointing, tuple(share_inside(region, boxes) for region in regions), picture_if, heat)


def i2t_items(truth: Truth, export: Export, p: Choices, channel: int | None) -> list[Item]:
    items = []
    for image_id, image in truth.items():
        for index, caption in image.captions.items():
            own = find_map(export, image_id, index)
            tokens = own.tokens if own else []
            keys = [t for t, token in enumerate(tokens) if not is_special(token)]
            found = tokens_of_words(tokens, caption.words)
            weights: list[Row] = []
            if own:
                weights = own.of_channel(own.weights if own.weights_i2t is None else own.weights_i2t, channel)
            # What the caption speaks of: by entity, the keys and the types of all phrases that mean it.
            topics: dict[str, set[int]] = {}
            types: dict[str, set[str]] = {}
            for phrase, words, _ in scored_phrases(image, caption, p):
                topics.setdefault(phrase.entity, set()).update(keys.index(t) for w in words for t in found[w])
                types.setdefault(phrase.entity, set()).update(phrase.types)
            first = own.window[0] if own and own.window else 0
            for r in keys_of(export, image_id, own):
                box = export.boxes[image_id][r]
                covered = [e for e in topics if reaching([box], image.entities[e], p["overlap"], p)]
                if not covered:
                    continue
                relevant = set().union(*(topics[e] for e in covered))
                items.append(
                    Item(
                        image=image_id,
                        row=normalise([weights[t][r - first] for t in keys], p["normalize"]) if keys else None,
                        undefined=False,
                        target=keys_alone(relevant, len(keys)),
                        others=[keys_alone(topics[e], len(keys)) for e in topics if e not in covered],
                        keys=len(keys),
                        center=None,
                        types=sorted(set().union(*(types[e] for e in covered))),
                        area="",
                        length="",
                    )
                )
    return items


def find_map(export: Export, image: str, index: int) -> Map | None:
    return next((own for own in export.maps if (own.image, own.index) == (image, index)), None)


def scored_phrases(image: Image, caption: Caption, p: Choices) -> list[tuple[Phrase, list[int], float]]:
    """The phrases that count, each with its words that hold a letter or digit and its share of the image."""
    chosen = []
    for phrase in caption.phrases:
        words = [w for w in phrase.words if letters(caption.words[w])]
        if phrase.entity in image.entities and words:
            share = area_share(image.entities[phrase.entity], image.size)
            if share >= p["min_area"]:
                chosen.append((phrase, words, share))
    return chosen


def reaching(regions: list[Box], boxes: list[Box], kind: str, p: Choices) -> frozenset[int]:
    how = (kind, p["boxes"], p["extent"], p["border"])
    return frozenset(r for r, region in enumerate(regions) if overlap(region, boxes, *how) >= p["iou"])


def center_row(regions: list[Box], size: tuple[int, int]) -> Row:
    """All weight on the region whose centre is nearest the image's, shared by equally near ones."""
    distance = [
        math.hypot((b[0] + b[2] - size[0]) / 2, (b[1] + b[3] - size[1]) / 2) / math.hypot(*size) for b in regions
    ]
    near = [float(d <= min(distance) + 1e-6) for d in distance]
    return [v / sum(near) for v in near]


# ---------------------------------------------------------------- sums and scores

# Means over the items that are scored, and means over all items.
SCORED = ("precision", "recall", "f1", "ap", "pointing", "mass", "rank_accuracy")
ALL = ("r@1", "r@5", "r@10", "area_mass")
SUMMED = ("tp", "attended", "relevant")
# Of enlarged maps: means over all items whose shapes have a pixel, and over all items.
MAPS = ("map_iou", "map_precision", "map_recall")
MAP_N, BOX = "map_n", "box_accuracy"
SOMETIMES = ("entropy", "auc")
LIFTS = {"f1_lift": "f1", "ap_lift": "ap"}
FLOORED = (
    *("precision", "recall", "f1", "ap", "pointing", "mass"),
    *("micro_precision", "micro_recall", "micro_f1"),
)


def absent(target: Target) -> dict[str, float]:
    """How an item without weights is judged: nothing is attended, ranked or hit."""
    return dict.fromkeys((*SCORED, *ALL, *SUMMED), 0.0) | {"relevant": float(len(target.relevant))}


def held(row: Row | None, target: Target, p: Choices) -> dict[str, float]:
    return judge(row, target, p["threshold"]) if row else absent(target)


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def means(items: list[list[Pairing]], p: Choices) -> Values:
    """Every metric over some items, each of which is the mean over its pairings of a row with sets of keys."""
    of_all: list[dict[str, float]] = []
    of_scored: list[dict[str, float]] = []
    for pairings in items:
        judged = [(held(row, target, p), target) for row, target in pairings]
        for j, target in judged:
            j.setdefault(MAP_N, float(bool(target.heat and pixels_of(target.heat.picture))))
        usable = [j for j, target in judged if target.relevant or p["unreachable"] == "zero"]
        if judged:
            names = (*ALL, *MAPS, MAP_N, BOX)
            of_all.append({name: sum(j.get(name, 0.0) for j, _ in judged) / len(judged) for name in names})
        if usable:
            item = {name: sum(j[name] for j in usable) / len(usable) for name in (*SCORED, *SUMMED)}
            for name in SOMETIMES:
                # An item counts by the share of its pairings that have a value.
                item[name] = sum(j.get(name, 0.0) for j in usable) / len(usable)
                item[f"{name}_n"] = sum(name in j for j in usable) / len(usable)
            of_scored.append(item)
    values: Values = {name: mean([item[name] for item in of_scored]) for name in SCORED}
    for name in SOMETIMES:
        having = sum(item[f"{name}_n"] for item in of_scored)
        values[name] = sum(item[name] for item in of_scored) / having if having else None
    values |= {name: mean([item[name] for item in of_all]) for name in (*ALL, BOX)}
    shaped = sum(item[MAP_N] for item in of_all)
    values |= {name: sum(item[name] for item in of_all) / shaped if shaped else None for name in MAPS}
    values |= dict.fromkeys(("micro_precision", "micro_recall", "micro_f1"))
    if of_scored:
        tp, attended_keys, relevant_keys = (sum(item[name] for item in of_scored) for name in SUMMED)
        values["micro_precision"] = tp / attended_keys if attended_keys else 0.0
        values["micro_recall"] = tp / relevant_keys if relevant_keys else 0.0
        values["micro_f1"] = 2 * tp / (attended_keys + relevant_keys) if attended_keys + relevant_keys else 0.0
    return values


def counted(item: Item, p: Choices) -> bool:
    """Whether an item counts at all: what becomes of those without attention, and of those without any mass."""
    if item.row is not None:
        return True
    return bool(p["undefined"] == "zero") if item.undefined else bool(p["missing"] == "zero")


def items_of(truth: Truth, export: Export, p: Choices, channel: int | None) -> list[Item]:
    make = t2i_items if p["direction"] == "t2i" else i2t_items
    return [item for item in make(truth, export, settled(export, p), channel) if counted(item, p)]


def evenly(item: Item) -> Row | None:
    return [1 / item.keys] * item.keys if item.keys else None


def lifts(items: list[Item], rows: list[Row | None], p: Choices) -> Values:
    """What rows score beyond even attention, item by item."""
    pairs = [
        (held(row, item.target, p), held(evenly(item), item.target, p))
        for row, item in zip(rows, items, strict=True)
        if is_scored(item, p)
    ]
    return {lift: mean([own[name] - even[name] for own, even in pairs]) for lift, name in LIFTS.items()}


def of_rows(items: list[Item], rows: list[Row | None], p: Choices) -> Values:
    values = means([[(row, item.target)] for row, item in zip(rows, items, strict=True)], p)
    return values | lifts(items, rows, p)


def floors(items: list[Item], p: Choices) -> dict[str, Values]:
    table = {"uniform": of_rows(items, [evenly(item) for item in items], p)}
    if p["direction"] == "t2i":
        table["center"] = of_rows(items, [item.center for item in items], p)
    return table | {"shuffled": shuffled(items, p)}


def model(items: list[Item], table: dict[str, Values], p: Choices) -> Values:
    values = of_rows(items, [item.row for item in items], p)
    values["coverage"] = mean([float(bool(item.target.relevant)) for item in items])
    if values["f1"] is not None and table["shuffled"]["f1"] is not None:
        values["specificity"] = values["f1"] - table["shuffled"]["f1"]
    return values


def gaps(items: list[Item], values: Values, table: dict[str, Values], p: Choices) -> dict[str, dict[str, float]]:
    """By metric and floor, the difference over the items that have that floor."""
    compared = [item for item in items if any(is_target_scored(other, p) for other in item.others)]
    paired = means([[(i.row, i.target)] for i in compared if i.row and is_scored(i, p)], p)
    found: dict[str, dict[str, float]] = {}
    for name in FLOORED:
        found[name] = {}
        for floor, of_floor in table.items():
            own, base = (paired if floor == "shuffled" else values)[name], of_floor[name]
            if own is not None and base is not None:
                found[name][floor] = own - base
    return found


def score(truth: Truth, export: Export, p: Choices, channel: int | None = None) -> Scored:
    """Every metric of attention, its baselines and breakdown, for one direction and channel (None: their mean)."""
    items = items_of(truth, export, p, channel)
    baselines = floors(items, p)
    values = model(items, baselines, p)
    by: dict[str, dict[str, Values]] = {"type": {}, "area": {}, "length": {}}
    floors_by: dict[str, dict[str, dict[str, Values]]] = {"type": {}, "area": {}, "length": {}}
    images_by: dict[str, dict[str, int]] = {"type": {}, "area": {}, "length": {}}
    for item in items:
        for kind, names in (("type", item.types), ("area", [item.area]), ("length", [item.length])):
            for name in names:
                if name and name not in by[kind]:
                    members = [i for i in items if name in (*i.types, i.area, i.length)]
                    floors_by[kind][name] = floors(members, p)
                    by[kind][name] = model(members, floors_by[kind][name], p)
                    images_by[kind][name] = len({i.image for i in members})
    return Scored(
        values,
        baselines,
        gaps(items, values, baselines, p),
        by,
        floors_by,
        images_by,
        len(items),
        sum(is_scored(item, p) for item in items),
    )


def is_scored(item: Item, p: Choices) -> bool:
    return is_target_scored(item.target, p)


def is_target_scored(target: Target, p: Choices) -> bool:
    return bool(target.relevant) or bool(p["unreachable"] == "zero")


def shuffled(items: list[Item], p: Choices) -> Values:
    """Each item against the other entities; of what is scored, only items that are scored themselves."""
    given = [item for item in items if item.row]
    values = means([[(i.row, other) for other in i.others] for i in given if is_scored(i, p)], p)
    everything = means([[(i.row, other) for other in i.others] for i in given], p)
    return values | {name: everything[name] for name in (*ALL, *MAPS, BOX)}


def curve(truth: Truth, export: Export, p: Choices, thresholds: list[str]) -> list[dict[str, float]]:
    """Precision, recall and F1 at each threshold."""
    items = [item for item in items_of(truth, export, p, None) if is_scored(item, p)]
    points = []
    for threshold in thresholds:
        judged = [judge(i.row, i.target, threshold) if i.row else absent(i.target) for i in items]
        points.append({name: sum(j[name] for j in judged) / len(items) for name in ("precision", "recall", "f1")})
    return points


# ---------------------------------------------------------------- retrieval


def retrieval(
    similarity: NDArray[np.floating], caption_image: list[int], ties: str = "expected", folds: int = 1
) -> dict[str, float]:
    images = len(similarity)
    size = images // folds
    parts = [
        _retrieval_fold(similarity, caption_image, list(range(f * size, (f + 1) * size)), ties) for f in range(folds)
    ]
    values = {name: sum(part[name] for part in parts) / folds for name in parts[0]}
    values["rsum"] = sum(values[f"{d}_r@{k}"] for d in ("i2t", "t2i") for k in (1, 5, 10))
    return values


def _retrieval_fold(
    similarity: NDArray[np.floating], caption_image: list[int], images: list[int], ties: str
) -> dict[str, float]:
    captions = [c for c, i in enumerate(caption_image) if i in set(images)]
    ranked: dict[str, list[dict[str, float]]] = {"i2t": [], "t2i": []}
    for i in images:
        own = {c for c in captions if caption_image[c] == i}
        if own:
            ranked["i2t"].append(_query({c: float(similarity[i][c]) for c in captions}, own, ties))
    for c in captions:
        ranked["t2i"].append(_query({i: float(similarity[i][c]) for i in images}, {caption_image[c]}, ties))
    values = {}
    for direction, queries in ranked.items():
        for k in (1, 5, 10):
            values[f"{direction}_r@{k}"] = sum(q[f"r@{k}"] for q in queries) / len(queries)
        ranks = sorted(q["rank"] for q in queries)
        middle = len(ranks) // 2
        values[f"{direction}_medr"] = ranks[middle] if len(ranks) % 2 else (ranks[middle - 1] + ranks[middle]) / 2
        values[f"{direction}_meanr"] = sum(ranks) / len(ranks)
    return values


def _query(scores: dict[int, float], right: set[int], ties: str) -> dict[str, float]:
    best = max(scores[key] for key in right)
    ahead = sum(score > best for score in scores.values())
    good = sum(scores[key] == best for key in right)
    bad = sum(score == best for score in scores.values()) - good
    out = {}
    if ties == "expected":
        out["rank"] = ahead + 1 + bad / (good + 1)
        for k in (1, 5, 10):
            places = min(max(k - ahead, 0), bad + good)
            out[f"r@{k}"] = 1 - math.comb(bad, places) / math.comb(bad + good, places)
    else:
        out["rank"] = ahead + 1 + (bad if ties == "worst" else 0)
        for k in (1, 5, 10):
            out[f"r@{k}"] = float(out["rank"] <= k)
    return out
