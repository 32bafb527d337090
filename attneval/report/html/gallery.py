"""The items one by one: which of them the page holds, and what its script needs to show them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.report.html.chosen import MOST_IMAGES, deal_items
from attneval.report.html.entries import boxes_of, defined, entry_of, image_of
from attneval.report.html.number import Number
from attneval.report.overlay.picture import drawn
from attneval.report.overlay.vector import pieces
from attneval.results.items import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from attneval.report.overlay.scenes import Scenes

BUDGET = 2_200_000
"""Bytes of a page that its items may take, photographs included."""
PHOTO_SHARE = 0.55
FIRST_CARDS = 6


@dataclass(frozen=True)
class Card:
    """One item, drawn.

    Attributes:
        kind: Its kind of error.
        types: Its phrase types.
        caption_id: ``36979#2``.
        pieces: The caption in pieces, each with the classes of its marks.
        photo: The id of its image's picture, empty without one.
        picture: The overlay as SVG elements.
        size: Width and height of the image.
        numbers: Precision, recall, F1 and, where it is known, average precision.
        readout: Counts, in words.
        label: The picture in words.
    """

    kind: str
    types: str
    caption_id: str
    pieces: tuple[tuple[str, str], ...]
    photo: str
    picture: Any
    size: tuple[float, float]
    numbers: tuple[tuple[str, Number], ...]
    readout: str
    label: str


@dataclass(frozen=True)
class Gallery:
    """Items one by one.

    Attributes:
        data: What the script shows, as JSON values.
        photos: Data URI by image id, of the images that were there.
        cards: The first cards, drawn without a script.
        kinds: Kinds of errors with how many items of each are on the page.
        types: Phrase types on the page.
        items: How many items are on the page.
        total: How many items there are in all.
        images: How many images are on the page.
        left_out: Why some are not on the page; empty if all are.
        has_maps: Whether weights are known.
        has_ranks: Whether captions' ranks are known.
    """

    data: dict[str, Any]
    photos: dict[str, str]
    cards: tuple[Card, ...]
    kinds: tuple[tuple[int, str, int], ...]
    types: tuple[str, ...]
    items: int
    total: int
    images: int
    left_out: str
    has_maps: bool
    has_ranks: bool


def gallery(
    scenes: Scenes,
    photo: Callable[[str, tuple[int, int]], str | None],
    *,
    images: list[str],
    total: int,
    all_images: int,
    ranks: dict[tuple[str, int], float] | None = None,
    cards: int | None = None,
    budget: int = BUDGET,
) -> Gallery | None:
    """Lay out items.

    Args:
        scenes: The items, at least those of the images.
        photo: From an image's id and size to a data URI; None without a photograph.
        images: The images to show.
        total: How many items there are in all.
        all_images: How many images they are of.
        ranks: By image and caption index, the rank of the image among all for the caption.
        cards: How many items at most.
        budget: Bytes.
    """
    table = scenes.table
    rows = {name: row for row, name in enumerate(scenes.image_id)}
    photos: dict[str, str] = {}
    taken: list[str] = []
    used = 0
    for name in images:
        source = photo(name, scenes.size(rows[name])) or ""
        if taken and used + len(source) > budget * PHOTO_SHARE:
            break
        used += len(source)
        taken.append(name)
        if source:
            photos[name] = source
    entries: dict[int, dict[str, Any]] = {}

    def size(item: int) -> int:
        entries[item] = entry_of(scenes, item)
        return len(json.dumps(entries[item], separators=(",", ":")))

    dealt = deal_items(scenes, taken, cards, size, budget - used)
    if not dealt:
        return None
    places = {name: k for k, name in enumerate(taken)}
    captions: dict[int, int] = {}
    listed: list[list[Any]] = []
    for item in dealt:
        caption = int(table.item_caption[item])
        if caption not in captions:
            captions[caption] = len(listed)
            name, index = scenes.image_id[int(table.caption_image[caption])], int(table.caption_index[caption])
            rank = None if ranks is None else ranks.get((name, index))
            boxes = [] if table.caption_group is None else [boxes_of(table.regions(item))]
            listed.append([places[name], index, table.caption_text[caption], rank, *boxes])
        entries[item]["c"] = captions[caption]
    data = {
        "kinds": list(KINDS),
        "types": list(map(str, table.types)),
        "images": [image_of(scenes, rows[name], name) for name in taken],
        "captions": listed,
        "items": [entries[item] for item in dealt],
    }
    of_kind = Counter(table.item_kind[dealt].tolist())
    bits = int(np.bitwise_or.reduce(table.item_types[dealt]))
    first = _first_cards(scenes, dealt)
    return Gallery(
        data=data,
        photos=photos,
        cards=tuple(_card(scenes, item, photos) for item in first),
        kinds=tuple((k, name, of_kind[k]) for k, name in enumerate(KINDS) if of_kind[k]),
        types=tuple(str(name) for bit, name in enumerate(table.types) if bits >> bit & 1),
        items=len(dealt),
        total=total,
        images=len({int(table.caption_image[table.item_caption[item]]) for item in dealt}),
        left_out=_left_out(len(dealt), total, cards, len(taken) < all_images and bool(photos)),
        has_maps=scenes.pictures is not None,
        has_ranks=any(entry[3] is not None for entry in listed),
    )


def _left_out(shown: int, total: int, cards: int | None, photographed: bool) -> str:  # noqa: FBT001
    if shown == total:
        return ""
    if cards is not None and shown == cards:
        return f"What is beyond --cards {cards} is left out; attneval inspect lists it."
    if photographed:
        return "Images without a photograph, and what 3 MB do not hold, are left out; attneval inspect lists all."
    return f"What a page of 3 MB or {MOST_IMAGES} images does not hold is left out; attneval inspect lists it."


def _first_cards(scenes: Scenes, dealt: list[int]) -> list[int]:
    """The worst item of each image, the worst first: what the page shows before anything is chosen."""
    table = scenes.table
    worst: dict[int, int] = {}
    for item in sorted(dealt, key=lambda i: (not table.scored[i], round(float(table.item_scores[i, 2]), 6), i)):
        worst.setdefault(table.image_of(item), item)
    return list(worst.values())[:FIRST_CARDS]


def _card(scenes: Scenes, item: int, photos: dict[str, str]) -> Card:
    table, scene = scenes.table, scenes.scene(item)
    place = f"items:/items/{item}"
    types = [str(name) for bit, name in enumerate(table.types) if int(table.item_types[item]) >> bit & 1]
    names = ("precision", "recall", "F1")
    numbers = [(name, Number(value, f"{place}/{name}")) for name, value in zip(names, scene.scores, strict=True)]
    if scenes.pictures is not None and (ap := defined(float(scenes.pictures.ap[item]))) is not None:
        numbers.append(("AP", Number(ap, f"{place}/AP")))
    attended, relevant = int(scene.attended.sum()), int(scene.relevant.sum())
    both = int((scene.attended & scene.relevant).sum())
    return Card(
        kind=scene.kind,
        types=", ".join(types),
        caption_id=scene.caption_id,
        pieces=tuple(pieces(scene)),
        photo=scene.image_id if scene.image_id in photos else "",
        picture=drawn(scene),
        size=(float(scene.size[0]), float(scene.size[1])),
        numbers=tuple(numbers[2:3] + numbers[:2] + numbers[3:]),
        readout=f"{attended} attended, {relevant} relevant, {both} both, of {len(scene.box)} regions",
        label=f"{scene.text} in image {scene.image_id}: {scene.kind}, {attended} attended, {relevant} relevant",
    )
