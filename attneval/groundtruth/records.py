"""Between a file and columns: the images of a format as records, and the one place where records become columns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.strings import Strings
from attneval.config.breakdowns import TYPES
from attneval.errors import GroundTruthError
from attneval.groundtruth.columns import GroundTruth
from attneval.groundtruth.entry import entries
from attneval.groundtruth.image_names import coco_number

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Box, Size, Span
    from attneval.groundtruth.reading import Reading

    Rasterise = Callable[[Size], bytes]
    """From the size of an image to a mask as compressed run lengths."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A box, and what makes its mask where there is one.

    Attributes:
        box: Its edges.
        mask: Makes the mask, when masks are wanted.
        crowd: Whether it is around a group of things.
    """

    box: Box
    mask: Rasterise | None = None
    crowd: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Some words of a caption, and the entity that they name.

    Attributes:
        spans: The words, as half-open code points.
        entity: Its key among the image's entities; None if the words name nothing that has a shape.
        category: Index into the categories, or -1.
        flags: Bits as in `GroundTruth.phrase_flags`.
    """

    spans: Sequence[Span]
    entity: Hashable = None
    category: int = -1
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption of an image: its number among them, its text, its phrases."""

    index: int
    text: str
    phrases: Sequence[Phrase]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image: its size, its captions, and its entities by key."""

    size: Size
    captions: Sequence[Caption]
    entities: Mapping[Hashable, Sequence[Shape]]


@dataclass(frozen=True)
class Categories:
    """The categories of a format, in the order of their numbers.

    Attributes:
        names: Their names.
        groups: Their supercategories, empty where there are none.
        things: 1 for things, 0 for stuff, -1 where that is not known.
        row: By id, the index of each.
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    things: tuple[int, ...] = ()
    row: dict[str, int] = field(default_factory=dict)


def categories_of(document: Document, data: dict[str, Any]) -> Categories:
    """The categories of a COCO-style JSON; none where there is only one, which tells nothing apart.

    Raises:
        GroundTruthError: Two have the same id, or one has no name.
    """
    listed = entries(document, "category", data.get("categories") or [])
    if len(listed) < 2:
        return Categories()
    row = {entry.key("id"): number for number, entry in enumerate(listed)}
    if len(row) < len(listed):
        raise GroundTruthError(f"{document}: two categories have the same id")
    return Categories(
        names=tuple(entry.text("name") for entry in listed),
        groups=tuple(str(entry.values.get("supercategory") or "") for entry in listed),
        things=tuple(entry.whole("isthing", 0, 1) if "isthing" in entry else -1 for entry in listed),
        row=row,
    )


class Records(Protocol):
    """A format's images."""

    @property
    def documents(self) -> Sequence[Document]:
        """The files that are read."""

    @property
    def categories(self) -> Categories:
        """The categories of phrases."""

    @property
    def warnings(self) -> Sequence[str]:
        """Remarks on what was read around."""

    def image_ids(self) -> Iterable[str]:
        """All annotated images."""

    def picture(self, image_id: str) -> Picture:
        """One image."""


class RecordSource:
    """Annotations of which the files are held in memory, and columns are made of the images one asks for.

    Args:
        format: The name of the format.
        records: Its images.
        reading: How they are read.
    """

    def __init__(self, format: str, records: Records, reading: Reading) -> None:  # noqa: A002 - the name of the field
        self.format = format
        self._records = records
        self._reading = reading
        self._ids = dict.fromkeys(records.image_ids())

    @property
    def changed_ns(self) -> int:
        """See `Source`: the state is that of the content."""
        return 0

    def image_ids(self) -> list[str]:
        """All annotated images."""
        return list(self._ids)

    def missing(self, image_ids: Sequence[str]) -> list[str]:
        """Those of the ids that are not annotated."""
        return [image_id for image_id in image_ids if self._known(image_id) not in self._ids]

    def _known(self, image_id: str) -> str:
        """The id of an image that may be called by the name of its file in COCO: `000000000285` is 285."""
        return image_id if image_id in self._ids else coco_number(image_id)

    def state(self, image_ids: Sequence[str]) -> str | None:  # noqa: ARG002 - the files say it of all
        """The digest of the files and of how they are read; None without masks, since the files are read anyway."""
        if not self._reading.masks:
            return None
        digest = hashlib.sha256(f"{self.format} {self._reading}".encode("utf-8", "backslashreplace"))
        for document in self._records.documents:
            digest.update(document.digest)
        return digest.hexdigest()

    def read(self, image_ids: Sequence[str]) -> GroundTruth:
        """The annotations of some images, in that order.

        Raises:
            GroundTruthError: An entry of theirs cannot be read.
        """
        pictures = [self._records.picture(self._known(image_id)) for image_id in image_ids]
        return columns_of(
            image_ids,
            pictures,
            masks=self._reading.masks,
            categories=self._records.categories,
            warnings=tuple(self._records.warnings),
            digests={document.path.name: document.digest for document in self._records.documents},
        )


def columns_of(
    image_ids: Sequence[str],
    pictures: Sequence[Picture],
    *,
    masks: bool = False,
    categories: Categories = Categories(),
    warnings: tuple[str, ...] = (),
    digests: dict[str, bytes] | None = None,
) -> GroundTruth:
    """Make columns of images.

    Args:
        image_ids: Their ids.
        pictures: The images.
        masks: Whether to rasterise outlines.
        categories: What the categories of phrases are.
        warnings: What was read around.
        digests: Of the files, by name.
    """
    captions = [caption for picture in pictures for caption in picture.captions]
    phrases = [phrase for caption in captions for phrase in caption.phrases]
    shapes = [shape for picture in pictures for shapes in picture.entities.values() for shape in shapes]
    outlines = _Masks(pictures) if masks else None
    return GroundTruth(
        image_id=list(image_ids),
        image_size=_table([picture.size for picture in pictures], 2, np.int64),
        caption_offset=offsets_of(len(picture.captions) for picture in pictures),
        caption_index=_column(caption.index for caption in captions),
        text=Strings.from_texts([caption.text for caption in captions]),
        phrase_offset=offsets_of(len(caption.phrases) for caption in captions),
        phrase_entity=_column(_entity_rows(pictures)),
        phrase_types=np.zeros(len(phrases), np.int64),
        span_offset=offsets_of(len(phrase.spans) for phrase in phrases),
        span=_table([span for phrase in phrases for span in phrase.spans], 2, np.int64),
        entity_offset=offsets_of(len(picture.entities) for picture in pictures),
        box_offset=offsets_of(len(shapes) for picture in pictures for shapes in picture.entities.values()),
        box=_table([shape.box for shape in shapes], 4, np.float64),
        types=TYPES,
        box_crowd=np.fromiter((shape.crowd for shape in shapes), np.bool_, len(shapes)),
        phrase_flags=_column(phrase.flags for phrase in phrases),
        phrase_category=_column(phrase.category for phrase in phrases),
        categories=categories.names,
        category_groups=categories.groups,
        category_things=np.array(categories.things, np.int64),
        warnings=warnings,
        digests=digests or {},
        **({} if outlines is None else outlines.columns()),
    )


def _entity_rows(pictures: Sequence[Picture]) -> Iterator[int]:
    """The entity of each phrase, counted over all images; -1 where it has none."""
    first = 0
    for picture in pictures:
        row = {key: first + k for k, key in enumerate(picture.entities)}
        for caption in picture.captions:
            for phrase in caption.phrases:
                yield -1 if phrase.entity is None else row.get(phrase.entity, -1)
        first += len(picture.entities)


class _Masks:
    """The masks of images, rasterised."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._count: list[int] = []
        self._runs: list[bytes] = []
        self._crowd: list[bool] = []
        for picture in pictures:
            for shapes in picture.entities.values():
                with_mask = [(shape.mask, shape.crowd) for shape in shapes if shape.mask is not None]
                self._count.append(len(with_mask))
                self._runs += [rasterise(picture.size) for rasterise, _ in with_mask]
                self._crowd += [crowd for _, crowd in with_mask]

    def columns(self) -> dict[str, Any]:
        from attneval.geometry.strips import mask_areas

        at = offsets_of(map(len, self._runs))
        mask = np.frombuffer(b"".join(self._runs), np.uint8)
        return {
            "mask_offset": offsets_of(self._count),
            "mask": mask,
            "mask_at": at,
            "mask_area": mask_areas(mask, at),
            "mask_crowd": np.array(self._crowd, np.bool_),
        }


def _column(values: Iterable[int]) -> NDArray[np.int64]:
    return np.array(list(values), np.int64)


def _table(rows: list[Any], width: int, dtype: type[np.generic]) -> NDArray[Any]:
    return np.array(rows, dtype).reshape(-1, width)
