"""The items one by one: which of them the page holds, and what its script needs to show them."""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.report.html.number import Number
from attneval.report.html.view import Card, Gallery
from attneval.report.overlay.picture import drawn
from attneval.report.overlay.vector import pieces
from attneval.results.items import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from attneval.report.overlay.scenes import Scenes
    from attneval.results.items import ItemTable

BUDGET = 2_200_000
"""Bytes of a page that its items may take, photographs included."""
PHOTO_SHARE = 0.55
MOST_IMAGES = 40
FIRST_CARDS = 6


def choose_images(table: ItemTable, known: list[str] | None = None, most: int = MOST_IMAGES) -> list[str]:
    """Images whose items show everything that goes right and wrong.

    In rounds: each time the image with the rarest kind and type of item that is not shown yet, ties by id.

    Args:
        table: The items.
        known: The images that can be shown; all by default.
        most: How many at most.
    """
    names = [str(name) for name in table.image_id]
    of_image: dict[int, set[tuple[int, int]]] = defaultdict(set)
    count: Counter[tuple[int, int]] = Counter()
    images = table.caption_image[table.item_caption].tolist()
    for image, kind, types in zip(images, table.item_kind.tolist(), table.item_types.tolist(), strict=True):
        pair = (kind, types)
        count[pair] += 1
        of_image[image].add(pair)
    shown = None if known is None else set(known)
    left = sorted((i for i in of_image if shown is None or names[i] in shown), key=lambda i: names[i])
    chosen: list[str] = []
    wanted: set[tuple[int, int]] = set()
    while left and len(chosen) < most:
        if not any(of_image[i] & wanted for i in left):
            wanted = set().union(*(of_image[i] for i in left))
        best = min(left, key=lambda i: (min((count[p] for p in of_image[i] & wanted), default=len(images)), names[i]))
        left.remove(best)
        wanted -= of_image[best]
        chosen.append(names[best])
    return chosen


def deal_items(
    scenes: Scenes, images: list[str], cards: int | None, size: Callable[[int], int], budget: int
) -> list[int]:
    """Items of the images chosen: all, or in turns from each image its rarest, until there are enough.

    Args:
        scenes: The items.
        images: The images.
        cards: How many at most.
        size: The bytes that an item takes.
        budget: The bytes that all may take.
    """
    table = scenes.table
    count = Counter(zip(table.item_kind.tolist(), table.item_types.tolist(), strict=True))
    place = {name: k for k, name in enumerate(images)}
    queues: list[list[int]] = [[] for _ in images]
    for item, image in enumerate(table.caption_image[table.item_caption].tolist()):
        if scenes.image_id[image] in place:
            queues[place[scenes.image_id[image]]].append(item)
    for queue in queues:
        queue.sort(key=lambda i: (count[int(table.item_kind[i]), int(table.item_types[i])], i), reverse=True)
    dealt: list[int] = []
    used = 0
    while any(queues) and (cards is None or len(dealt) < cards):
        for queue in queues:
            if not queue or (cards is not None and len(dealt) >= cards):
                continue
            item = queue.pop()
            used += size(item)
            if used > budget:
                return sorted(dealt)
            dealt.append(item)
    return sorted(dealt)


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
        entries[item] = _entry(scenes, item)
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
            listed.append([places[name], index, table.caption_text[caption], rank])
        entries[item]["c"] = captions[caption]
    data = {
        "kinds": list(KINDS),
        "types": list(map(str, table.types)),
        "images": [_image(scenes, rows[name], name) for name in taken],
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
        why = f"What is beyond --cards {cards}"
    else:
        why = "What a page of 3 MB does not hold"
        if photographed:
            why = f"Images without a photograph are left out. {why}"
    return f"{why} is left out; attneval inspect lists it."


def _image(scenes: Scenes, row: int, name: str) -> dict[str, Any]:
    width, height = scenes.size(row)
    image: dict[str, Any] = {"id": name, "w": width, "h": height}
    grid = (0, 0) if scenes.pictures is None else tuple(scenes.pictures.grid[row].tolist())
    box = scenes.table.region_box[scenes.table.region_offset[row] : scenes.table.region_offset[row + 1]]
    if all(grid):
        image["grid"] = list(grid)
    image["boxes"] = [[_pixels(edge) for edge in own] for own in box.tolist()]
    return image


def _entry(scenes: Scenes, item: int) -> dict[str, Any]:
    """One item as the script reads it; spans count UTF-16 units, as scripts do."""
    table, scene = scenes.table, scenes.scene(item)
    attended, relevant = int(scene.attended.sum()), int(scene.relevant.sum())
    n = len(scene.box)
    ap = pointing = None
    if scenes.pictures is not None:
        ap, pointing = (_defined(float(v[item])) for v in (scenes.pictures.ap, scenes.pictures.pointing))
    entry: dict[str, Any] = {
        "c": 0,
        "w": _units(scene.caption, scene.word),
        "p": _units(scene.caption, scene.phrase),
        "o": _units(scene.caption, scene.other),
        "t": [bit for bit in range(len(table.types)) if int(table.item_types[item]) >> bit & 1],
        "k": int(table.item_kind[item]),
        "v": [*(round(value, 6) for value in scene.scores), ap, pointing],
        # Attending to everything has a recall of 1 and the share of relevant regions as precision.
        "e": round(2 * relevant / (n + relevant), 6) if relevant else None,
        "na": attended,
        "nr": relevant,
        "s": bool(table.scored[item]),
        "a": _bits(scene.attended),
        "r": _bits(scene.relevant),
    }
    if scene.weight is not None:
        largest = float(scene.weight.max())
        entry["mx"] = float(f"{largest:.6g}")
        entry["q"] = _bytes(scene.weight, largest)
    if scene.shapes is not None:
        entry["b"] = [[_pixels(edge) for edge in own] for own in scene.shapes.tolist()]
    return entry


def _pixels(edge: float) -> float:
    text = f"{edge:.1f}"
    return int(text[:-2]) if text.endswith(".0") else float(text)


def _defined(value: float) -> float | None:
    return None if value != value else round(value, 6)  # noqa: PLR0124 - NaN


def _units(text: str, span: tuple[int, int] | None) -> list[int] | None:
    if span is None:
        return None
    return [len(text[:end].encode("utf-16-le", "surrogatepass")) // 2 for end in span]


def _bits(mask: NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(mask).tobytes()).decode("ascii")


def _bytes(weight: NDArray[np.float64], largest: float) -> str:
    share = weight / largest if largest > 0 else np.zeros_like(weight)
    return base64.b64encode(np.rint(255 * share).astype(np.uint8).tobytes()).decode("ascii")


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
    if scenes.pictures is not None and (ap := _defined(float(scenes.pictures.ap[item]))) is not None:
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
