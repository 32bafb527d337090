"""Which images and items a page has room for."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from attneval.report.overlay.scenes import Scenes
    from attneval.results.items import ItemTable

MOST_IMAGES = 40


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
