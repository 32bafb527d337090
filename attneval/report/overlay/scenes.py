"""Scenes from a table of items, with weights and annotated shapes where they were read from an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.report.overlay.scene import Scene
from attneval.results.items import KINDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.evaluation.pictures import Pictures
    from attneval.results.items import ItemTable


class Scenes:
    """The items of a table as scenes.

    Args:
        table: The items.
        pictures: The same items, or those of some of the images, with their maps; None if these are not known.
        sizes: Width and height of images by id, where there are no pictures.
    """

    def __init__(
        self, table: ItemTable, pictures: Pictures | None = None, sizes: dict[str, tuple[int, int]] | None = None
    ) -> None:
        self.table = table if pictures is None else pictures.table
        self.pictures = pictures
        self.sizes = sizes or {}
        self.image_id = [str(name) for name in self.table.image_id]

    def size(self, image: int) -> tuple[int, int]:
        """Width and height of an image; without either, of what its regions cover."""
        if self.pictures is not None:
            width, height = self.pictures.image_size[image].tolist()
            return int(width), int(height)
        known = self.sizes.get(self.image_id[image])
        if known is not None:
            return known
        box = self.table.regions_of_image(image)
        corner = np.ceil(box[:, 2:].max(axis=0)) if len(box) else np.ones(2)
        return max(int(corner[0]), 1), max(int(corner[1]), 1)

    def scene(self, item: int) -> Scene:
        """One item."""
        table, image, caption = self.table, self.table.image_of(item), int(self.table.item_caption[item])
        box = table.regions(item)
        sets = (table.attended, table.relevant)
        attended, relevant = (_as_mask(table.members(item, bits), len(box)) for bits in sets)
        weight = shapes = mask = phrase = None
        if self.pictures is not None:
            weight, shapes = self.pictures.weight[item], self.pictures.shapes[item]
            mask = self.pictures.mask[item]
            phrase = _span(self.pictures.phrase[item].tolist())
        scores = [float(value) for value in table.item_scores[item]]
        return Scene(
            image_id=self.image_id[image],
            size=self.size(image),
            box=box,
            weight=weight if weight is not None and len(weight) else None,
            attended=attended,
            relevant=relevant,
            shapes=shapes,
            mask=mask,
            caption=table.caption_text[caption],
            caption_id=f"{self.image_id[image]}#{table.caption_index[caption]}",
            word=_span(table.item_span[item].tolist()) or (0, 0),
            phrase=phrase,
            other=_span(table.item_other[item].tolist()),
            kind=KINDS[table.item_kind[item]],
            scores=(scores[0], scores[1], scores[2]),
        )


def _span(ends: list[int]) -> tuple[int, int] | None:
    return (ends[0], ends[1]) if ends[0] >= 0 else None


def _as_mask(members: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    mask = np.zeros(count, np.bool_)
    mask[members] = True
    return mask
