"""The size and kind of an export, said before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attneval.extraction.transformers.regions import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.extraction.transformers.families.base import Adapter, CaptionMap
    from attneval.extraction.transformers.pairs import Pair

LIMIT = 10 * 10**9
"""Bytes of weights from which on an export must be confirmed."""


@dataclass(frozen=True)
class Plan:
    """The size and kind of an export to come.

    Attributes:
        family: The family of the model.
        adapter: The adapter's class.
        reason: Why it is this one.
        channels: Layer and head of each channel, -1 where reduced over.
        images: How many images there are.
        captions: How many captions.
        regions: Regions of a caption of the first image.
        tokens: Tokens of a caption, about: those of the first image, scaled by the length of all captions.
        dtype: Of the stored weights.
        size: Bytes of weights to come, about.
    """

    family: str
    adapter: str
    reason: str
    channels: tuple[tuple[int, int], ...]
    images: int
    captions: int
    regions: int
    tokens: float
    dtype: str
    size: int

    @classmethod
    def from_first(
        cls, adapter: Adapter, reason: str, items: Sequence[Pair], first: Pair, maps: Sequence[CaptionMap]
    ) -> Plan:
        """Extrapolate from the maps of one image.

        Args:
            adapter: What serves the model; it has been run.
            reason: Why it is this one.
            items: All images.
            first: The image that was run.
            maps: The maps of its captions, at least one.
        """
        captions = sum(len(pair.captions) for pair in items)
        letters = sum(len(text) for _, text in first.captions) / len(first.captions)
        every = sum(len(text) for pair in items for _, text in pair.captions) / captions
        tokens = sum(len(one.span) for one in maps) / len(maps) * every / max(letters, 1)
        places = sum(count(one.regions) for one in maps) / len(maps)
        return cls(
            adapter.family,
            type(adapter).__name__,
            reason,
            tuple(adapter.channels),
            len(items),
            captions,
            round(places),
            tokens,
            adapter.dtype,
            int(np.dtype(adapter.dtype).itemsize * len(adapter.channels) * captions * tokens * places),
        )

    def lines(self) -> list[str]:
        """Say it in sentences."""
        layers = len({layer for layer, _ in self.channels})
        heads = len({head for _, head in self.channels})
        if any(head == -1 for _, head in self.channels):
            shape = f"{layers} {_plural('layer', layers)}, heads reduced" if layers > 1 else "one map"
        elif layers * heads == len(self.channels):
            shape = f"{layers} {_plural('layer', layers)} x {heads} {_plural('head', heads)}"
        else:
            shape = "heads named one by one"
        count_ = len(self.channels)
        size = f"about {bytes_text(self.size)} of {self.dtype}, {bytes_text(self.size / self.captions)} a caption"
        return [
            f"{self.adapter} ({self.family}): {self.reason}",
            f"{shape} = {count_} {_plural('channel', count_)} x {self.regions} regions x {self.tokens:.0f} tokens",
            f"{_counted(self.captions, 'caption')} of {_counted(self.images, 'image')}, {size}",
        ]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {_plural(noun, number)}"


def _plural(noun: str, number: int) -> str:
    return noun if number == 1 else f"{noun}s"


def bytes_text(size: float) -> str:
    """Write a number of bytes for people: ``3.3 GB``."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit != "MB" else f"{size:.1f} MB"
        size /= 1000
    return f"{size:.1f} GB"
