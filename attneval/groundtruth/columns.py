"""The columns that every annotation format is read into: flat arrays and offsets for a list of images."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attneval.arrays.bits import MOST_NAMES, moved_bits
from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.arrays.strings import Strings
from attneval.config.breakdowns import TYPES
from attneval.errors import GroundTruthError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PLURAL, NO_TARGET, CATEGORY_LEVEL, SINGULAR = 1, 2, 4, 8
"""Bits of `phrase_flags`: the words are plural; the image has nothing that they name; the shapes are all instances
of a category, of which the words may mean one; the words are singular."""


def _no_numbers() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


def _no_bits() -> NDArray[np.bool_]:
    return np.zeros(0, np.bool_)


def _no_bytes() -> NDArray[np.uint8]:
    return np.zeros(0, np.uint8)


@record
class GroundTruth:
    """The annotations of I images: C captions, P phrases, E entities.

    An entity is a set of boxes of one image, at least one, and where there are masks, of these too; phrases that mean
    the same thing share it. Phrases without a box keep their place in the columns, with entity -1, so that they can be
    counted. Columns of masks, crowds, flags and categories may be left out: then there are none.

    Attributes:
        image_id: The images' ids.
        image_size: i8[I, 2], width and height; 0, 0 where the annotations do not tell (see `with_sizes`).
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
        box_crowd: bool[B], the box is around a group of things.
        mask_offset: i8[E+1], first mask of each entity.
        mask: u1[n], the masks as compressed run lengths, one after the other, each of its image's size.
        mask_at: i8[M+1], first byte of each mask.
        mask_area: i8[M], in pixels.
        mask_crowd: bool[M], as for boxes.
        phrase_flags: i8[P], bits `PLURAL`, `NO_TARGET`, `CATEGORY_LEVEL`, `SINGULAR`.
        phrase_category: i8[P], index into `categories`, -1 for phrases of none.
        categories: The names of the categories.
        category_groups: For each category its supercategory, empty if it has none.
        category_things: i8[K], 1 for things, 0 for stuff, -1 where that is not known.
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
    box_crowd: NDArray[np.bool_] = field(default_factory=_no_bits)
    mask_offset: NDArray[np.int64] = field(default_factory=_no_numbers)
    mask: NDArray[np.uint8] = field(default_factory=_no_bytes)
    mask_at: NDArray[np.int64] = field(default_factory=_no_numbers)
    mask_area: NDArray[np.int64] = field(default_factory=_no_numbers)
    mask_crowd: NDArray[np.bool_] = field(default_factory=_no_bits)
    phrase_flags: NDArray[np.int64] = field(default_factory=_no_numbers)
    phrase_category: NDArray[np.int64] = field(default_factory=_no_numbers)
    categories: tuple[str, ...] = ()
    category_groups: tuple[str, ...] = ()
    category_things: NDArray[np.int64] = field(default_factory=_no_numbers)
    warnings: tuple[str, ...] = ()
    digests: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        phrases = len(self.phrase_entity)
        absent: dict[str, NDArray[Any]] = {
            "box_crowd": np.zeros(len(self.box), np.bool_),
            "mask_offset": np.zeros(len(self.box_offset), np.int64),
            "mask_at": np.zeros(1, np.int64),
            "phrase_flags": np.zeros(phrases, np.int64),
            "phrase_category": np.full(phrases, -1, np.int64),
        }
        for name, values in absent.items():
            if len(getattr(self, name)) != len(values) and not len(getattr(self, name)):
                object.__setattr__(self, name, values)
        # An index keeps whole numbers in the smallest type that holds them.
        object.__setattr__(self, "mask", self.mask.astype(np.uint8, copy=False))

    @property
    def has_masks(self) -> bool:
        """True if any entity has a mask."""
        return len(self.mask_area) > 0

    def with_sizes(self, image_size: NDArray[np.int64]) -> GroundTruth:
        """The same with the sizes i8[I, 2] of those images whose own is not known, and their boxes clipped.

        Raises:
            GroundTruthError: A box of such an image lies outside it.
        """
        unknown = (self.image_size == 0).any(axis=1) & (image_size > 0).all(axis=1)
        if not unknown.any():
            return self
        size = np.where(unknown[:, None], image_size, self.image_size)
        image = np.repeat(np.arange(len(size)), np.diff(self.box_offset[self.entity_offset]))
        limit = np.tile(size[image], 2).astype(np.float64)
        box = np.where(unknown[image][:, None], np.clip(self.box, 0, limit), self.box)
        outside = np.flatnonzero(unknown[image] & (box[:, :2] >= box[:, 2:]).any(axis=1))
        if len(outside):
            name = self.image_id[image[outside[0]]]
            raise GroundTruthError(
                f"box {self.box[outside[0]].tolist()} of image {name} lies outside its size "
                f"{size[image[outside[0]]].tolist()}",
                hint="the export's image sizes are not those of the annotations",
            )
        return replace(self, image_size=size, box=box)

    def caption_name(self, image: int, caption: int) -> str:
        """The name of a caption in messages: ``36979#2``."""
        return f"{self.image_id[image]}#{self.caption_index[caption]}"

    def take(self, images: NDArray[np.int64]) -> GroundTruth:
        """The annotations of images i8[k], in that order."""
        captions, caption_offset = _rows(self.caption_offset, images)
        phrases, phrase_offset = _rows(self.phrase_offset, captions)
        spans, span_offset = _rows(self.span_offset, phrases)
        entities, entity_offset = _rows(self.entity_offset, images)
        boxes, box_offset = _rows(self.box_offset, entities)
        masks, mask_offset = _rows(self.mask_offset, entities)
        mask_bytes, mask_at = _rows(self.mask_at, masks)
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
            box_crowd=self.box_crowd[boxes],
            mask_offset=mask_offset,
            mask=self.mask[mask_bytes],
            mask_at=mask_at,
            mask_area=self.mask_area[masks],
            mask_crowd=self.mask_crowd[masks],
            phrase_flags=self.phrase_flags[phrases],
            phrase_category=self.phrase_category[phrases],
            categories=self.categories,
            category_groups=self.category_groups,
            category_things=self.category_things,
            warnings=self.warnings,
        )


def _rows(offset: NDArray[np.int64], chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The entries of some rows of a ragged column, and where each row's start among them."""
    count = offset[chosen + 1] - offset[chosen]
    return ranges(offset[chosen], count), offsets_of(count)


def joined_truth(parts: Sequence[GroundTruth]) -> GroundTruth:
    """The annotations of several lists of images, one after the other."""
    types = (*TYPES, *sorted({name for part in parts for name in part.types} - set(TYPES)))
    if len(types) > MOST_NAMES:
        raise GroundTruthError(f"the annotations have {len(types)} phrase types, and at most {MOST_NAMES} can be told")
    kinds = dict.fromkeys(kind for part in parts for kind in _categories(part))
    number = {kind: row for row, kind in enumerate(kinds)}
    category = [
        np.append(np.array([number[kind] for kind in _categories(part)], np.int64), -1)[part.phrase_category]
        for part in parts
    ]

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
        box_crowd=together("box_crowd"),
        mask_offset=offsets("mask_offset"),
        mask=together("mask"),
        mask_at=offsets("mask_at"),
        mask_area=together("mask_area"),
        mask_crowd=together("mask_crowd"),
        phrase_flags=together("phrase_flags"),
        phrase_category=np.concatenate(category),
        categories=tuple(name for name, _, _ in kinds),
        category_groups=tuple(group for _, group, _ in kinds),
        category_things=np.array([thing for _, _, thing in kinds], np.int64),
        warnings=tuple(warning for part in parts for warning in part.warnings),
        digests={name: digest for part in parts for name, digest in part.digests.items()},
    )


def _categories(truth: GroundTruth) -> list[tuple[str, str, int]]:
    """The name of each category, its supercategory, and whether it is a thing."""
    return list(zip(truth.categories, truth.category_groups, truth.category_things.tolist(), strict=True))


class Reader(Protocol):
    """A source of annotations."""

    def read(self, image_ids: Sequence[str]) -> GroundTruth:
        """The annotations of images i8[k], in that order."""


class Source(Reader, Protocol):
    """Annotations on disk that are read for the images one asks for."""

    @property
    def format(self) -> str:
        """The name of the format."""

    def missing(self, image_ids: Sequence[str]) -> list[str]:
        """Those of the ids that are not annotated."""

    def image_ids(self) -> list[str]:
        """All annotated images."""

    @property
    def changed_ns(self) -> int:
        """The time at which a file of `state` last changed, in nanoseconds; 0 where the state is that of content."""

    def state(self, image_ids: Sequence[str]) -> str | None:
        """Give something that changes when the annotations of these images do, unread; None if that is not known."""
