"""Words, phrases and regions with what they are judged against, as the reference finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from box_reference import are_tiles, area, area_name, area_share, center_row, enclosing, overlap, share_inside
from heat_reference import Heat, Picture
from row_reference import Target, keys_alone, normalise, pool
from word_reference import is_special, letters, tokens_of_words

if TYPE_CHECKING:
    from reference_inputs import Box, Caption, Choices, Export, Image, Map, Phrase, Row, Truth


def settled(export: Export, p: Choices) -> Choices:
    """The protocol with an overlap in place of `auto`: of cells by their own area, of other regions by the union."""
    if p["overlap"] != "auto":
        return p
    windows = any(own.window is not None for own in export.maps)
    cells = bool(export.grids) or (not windows and are_tiles(export))
    return p | {"overlap": "iof" if cells else "iou"}


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


def counted(item: Item, p: Choices) -> bool:
    """Whether an item counts at all: what becomes of those without attention, and of those without any mass."""
    if item.row is not None:
        return True
    return bool(p["undefined"] == "zero") if item.undefined else bool(p["missing"] == "zero")


def items_of(truth: Truth, export: Export, p: Choices, channel: int | None) -> list[Item]:
    make = t2i_items if p["direction"] == "t2i" else i2t_items
    return [item for item in make(truth, export, settled(export, p), channel) if counted(item, p)]
