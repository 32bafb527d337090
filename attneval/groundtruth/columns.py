"""What every annotation format is read into: flat arrays and offsets for a list of images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attneval.arrays.bits import moved_bits
from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.strings import Strings
from attneval.config.breakdowns import TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The annotations of I images: C captions, P phrases, E entities.

    An entity is a set of boxes of one image; phrases that mean the same thing share it. Phrases without a box keep
    their place in the columns, with entity -1, so that they can be counted.

    Attributes:
        image_id: The images' ids.
        image_size: i8[I, 2], width and height.
        caption_offset: i8[I+1], first caption of each image.
        caption_index: i8[C], which of its image's captions it is.
        text: The captions' texts, annotated words separated by white space.
        phrase_offset: i8[C+1], first phrase of each caption.
        phrase_entity: i8[P], the phrase's entity, -1 if it has no box.
        phrase_types: i8[P], bit k is set if the phrase is of type `types[k]`.
        span_offset: i8[P+1], first span of each phrase.
        span: i8[S, 2], half-open code points into the caption's text.
        entity_offset: i8[I+1], first entity of each image.
        box_offset: i8[E+1], first box of each entity.
        box: f8[B, 4], x1, y1, x2, y2 in pixels, continuous edges.
        types: The names of the types.
        warnings: Flaws of the annotations that were read around, each with its file and line.
        digests: SHA-256 of every annotation file read, by name.
    """

    image_id: list[str]
    image_size: NDArray[np.int64]
    caption_offset: NDArray[np.int64]
    caption_index: NDArray[np.int64]
    text: Strings
    phrase_offset: NDArray[np.int64]
    phrase_entity: NDArray[np.int64]
    phrase_types: NDArray[np.int64]
    span_offset: NDArray[np.int64]
    span: NDArray[np.int64]
    entity_offset: NDArray[np.int64]
    box_offset: NDArray[np.int64]
    box: NDArray[np.float64]
    types: tuple[str, ...] = TYPES
    warnings: tuple[str, ...] = ()
    digests: dict[str, bytes] = field(default_factory=dict)

    def caption_name(self, image: int, caption: int) -> str:
        """How a caption is called in messages: ``36979#2``."""
        return f"{self.image_id[image]}#{self.caption_index[caption]}"

    def take(self, images: NDArray[np.int64]) -> GroundTruth:
        """The annotations of some images, in that order."""
        captions, caption_offset = _rows(self.caption_offset, images)
        phrases, phrase_offset = _rows(self.phrase_offset, captions)
        spans, span_offset = _rows(self.span_offset, phrases)
        entities, entity_offset = _rows(self.entity_offset, images)
        boxes, box_offset = _rows(self.box_offset, entities)
        # Entities are numbered through: each image's move by as much as its first one does.
        image_of_phrase = np.repeat(np.repeat(np.arange(len(images)), np.diff(caption_offset)), np.diff(phrase_offset))
        moved = (entity_offset[:-1] - self.entity_offset[images])[image_of_phrase]
        entity = self.phrase_entity[phrases]
        return GroundTruth(
            image_id=[self.image_id[row] for row in images.tolist()],
            image_size=self.image_size[images],
            caption_offset=caption_offset,
            caption_index=self.caption_index[captions],
            text=self.text.take(captions),
            phrase_offset=phrase_offset,
            phrase_entity=np.where(entity >= 0, entity + moved, -1),
            phrase_types=self.phrase_types[phrases],
            span_offset=span_offset,
            span=self.span[spans],
            entity_offset=entity_offset,
            box_offset=box_offset,
            box=self.box[boxes],
            types=self.types,
            warnings=self.warnings,
        )


def _rows(offset: NDArray[np.int64], chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The entries of some rows of a ragged column, and where each row's start among them."""
    count = offset[chosen + 1] - offset[chosen]
    return ranges(offset[chosen], count), offsets_of(count)


def joined_truth(parts: Sequence[GroundTruth]) -> GroundTruth:
    """The annotations of several lists of images, one after the other."""
    types = (*TYPES, *sorted({name for part in parts for name in part.types} - set(TYPES)))

    def together(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    def offsets(name: str) -> NDArray[np.int64]:
        return offsets_of(np.concatenate([np.diff(getattr(part, name)) for part in parts]))

    entity_shift = offsets_of([len(part.box_offset) - 1 for part in parts])[:-1].tolist()
    entities = [
        np.where(p.phrase_entity >= 0, p.phrase_entity + s, -1) for p, s in zip(parts, entity_shift, strict=True)
    ]
    return GroundTruth(
        image_id=[name for part in parts for name in part.image_id],
        image_size=together("image_size"),
        caption_offset=offsets("caption_offset"),
        caption_index=together("caption_index"),
        text=Strings(
            np.concatenate([part.text.code for part in parts]),
            offsets_of(np.concatenate([np.diff(part.text.offset) for part in parts])),
        ),
        phrase_offset=offsets("phrase_offset"),
        phrase_entity=np.concatenate(entities),
        phrase_types=np.concatenate([moved_bits(part.phrase_types, part.types, types) for part in parts]),
        span_offset=offsets("span_offset"),
        span=together("span"),
        entity_offset=offsets("entity_offset"),
        box_offset=offsets("box_offset"),
        box=together("box"),
        types=types,
        warnings=tuple(warning for part in parts for warning in part.warnings),
        digests={name: digest for part in parts for name, digest in part.digests.items()},
    )


class Reader(Protocol):
    """What annotations are read from."""

    def read(self, image_ids: Sequence[str]) -> GroundTruth:
        """The annotations of some images, in that order."""


class Source(Reader, Protocol):
    """Annotations on disk that are read for the images one asks for."""

    @property
    def format(self) -> str:
        """The name of the format."""

    def missing(self, image_ids: Sequence[str]) -> list[str]:
        """Those of the ids that are not annotated."""

    def image_ids(self) -> list[str]:
        """All annotated images."""

    def state(self, image_ids: Sequence[str]) -> str | None:
        """What changes when the annotations of these images do, without reading them; None if that is not known."""
