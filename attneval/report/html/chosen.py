"""The images and items that a page has room for."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from attneval.report.overlay.scenes import Scenes
    from attneval.results.items import ItemTable

MOST_IMAGES = 400

Pair = tuple[int, int]
"""A kind of error and the phrase types of an item, as bits."""


def choose_images(table: ItemTable, known: list[str] | None = None, most: int = MOST_IMAGES) -> list[str]:
    """Images whose items show everything that goes right and wrong.

    In rounds: each time the image with the rarest kind and type of item that is not shown yet, ties by id.

    Args:
        table: The items.
        known: The images that can be shown; all by default.
        most: How many at most.
    """
    names = [str(name) for name in table.image_id]
    shown = set(names) if known is None else set(known)
    of_image: dict[str, set[Pair]] = defaultdict(set)
    count: Counter[Pair] = Counter()
    images = table.caption_image[table.item_caption].tolist()
    for image, kind, types in zip(images, table.item_kind.tolist(), table.item_types.tolist(), strict=True):
        count[kind, types] += 1
        if names[image] in shown:
            of_image[names[image]].add((kind, types))
    with_pair: dict[Pair, list[str]] = defaultdict(list)
    for name in sorted(of_image, reverse=True):
        for pair in of_image[name]:
            with_pair[pair].append(name)
    chosen: dict[str, None] = {}
    wanted: set[Pair] = set()
    while len(chosen) < min(most, len(of_image)):
        best = _rarest(wanted, with_pair, chosen, count)
        if best is None:
            wanted = set(with_pair)
            continue
        chosen[best] = None
        wanted -= of_image[best]
    return list(chosen)


def _rarest(
    wanted: set[Pair], with_pair: dict[Pair, list[str]], chosen: dict[str, None], count: Counter[Pair]
) -> str | None:
    """The first image, by id, with the rarest of the pairs wanted; None if no image has any of them."""
    candidates: list[tuple[int, str]] = []
    for pair in list(wanted):
        names = with_pair[pair]
        while names and names[-1] in chosen:
            names.pop()
        if names:
            candidates.append((count[pair], names[-1]))
        else:
            wanted.discard(pair)
    return min(candidates)[1] if candidates else None


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
