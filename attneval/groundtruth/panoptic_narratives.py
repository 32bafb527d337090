"""Panoptic Narrative Grounding (Gonzalez et al., ICCV 2021): noun phrases of narratives with panoptic segments.

The utterances in order make up the caption. A noun without segments is a phrase without a shape. Segments do not
overlap, and their numbers repeat between images. Masks are read from the label images, of which the three channels of a
pixel are the number of its segment.
"""

from __future__ import annotations

from functools import partial
from glob import escape
from typing import TYPE_CHECKING

from attneval.errors import GroundTruthError, first_of
from attneval.groundtruth.columns import PLURAL, SINGULAR
from attneval.groundtruth.entry import Entry, entries
from attneval.groundtruth.label_images import read_labels
from attneval.groundtruth.records import Caption, Phrase, Picture, RecordSource, Shape, categories_of
from attneval.groundtruth.roles import only
from attneval.groundtruth.spans import trimmed

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Size
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files


def open_png(files: Files, reading: Reading) -> RecordSource:
    """Open narratives, panoptic segments and, for masks, the folder of label images.

    Raises:
        GroundTruthError: They cannot be read, or masks are wanted and the folder was not given.
    """
    folders = [candidate.path for candidate in files.get("label images", [])]
    panoptic = only(files, "panoptic")
    if reading.masks and not folders:
        beside = panoptic.path.with_suffix("")
        if not beside.is_dir():
            raise GroundTruthError(
                f"masks of {panoptic} are in a folder of label images, which was not given",
                hint="name it with another --gt, or use --geometry box",
            )
        folders = [beside]
    return RecordSource("png", Narratives(only(files, "narratives"), panoptic, folders), reading)


class Narratives:
    """The images of some narratives."""

    warnings = ()

    def __init__(self, document: Document, panoptic: Document, folders: Sequence[Path]) -> None:
        self.documents = (document, panoptic)
        self.categories = categories_of(panoptic, panoptic.data)
        self._folders = folders
        self._labels: tuple[str, NDArray[np.int64]] | None = None
        self._narratives: dict[str, list[Entry]] = {}
        for entry in entries(document, "narrative", document.data, ""):
            self._narratives.setdefault(entry.key("image_id"), []).append(entry)
        self._size = {
            entry.key("id"): entry.size() for entry in entries(panoptic, "image", panoptic.data.get("images"))
        }
        self._annotation: dict[str, Entry] = {}
        for entry in entries(panoptic, "annotation", panoptic.data.get("annotations"), "image_id"):
            image_id = entry.key("image_id")
            if image_id in self._annotation:
                entry.fail("another annotation is of the same image")
            self._annotation[image_id] = entry
        lost = [name for name in self._narratives if name not in self._annotation or name not in self._size]
        if lost:
            raise GroundTruthError(f"{panoptic} lacks {len(lost)} images of {document}: {first_of(lost)}")

    def image_ids(self) -> Iterable[str]:
        """All images with narratives."""
        return self._narratives

    def picture(self, image_id: str) -> Picture:
        """One image."""
        annotation, size = self._annotation[image_id], self._size[image_id]
        listed = entries(annotation.place, f"image {image_id}: segment", annotation.value("segments_info"))
        segments = {entry.key("id"): entry for entry in listed}
        if len(segments) < len(listed):
            annotation.fail("two segments have the same id")
        entities: dict[Hashable, Sequence[Shape]] = {}
        captions = [
            Caption(number, narrative.text("caption"), self._phrases(narrative, annotation, segments, size, entities))
            for number, narrative in enumerate(self._narratives[image_id])
        ]
        return Picture(size, captions, entities)

    def _phrases(
        self,
        narrative: Entry,
        annotation: Entry,
        segments: dict[str, Entry],
        size: Size,
        entities: dict[Hashable, Sequence[Shape]],
    ) -> list[Phrase]:
        text, place, phrases = narrative.text("caption"), 0, []
        for part in entries(narrative.place, f"{narrative}: segment", narrative.value("segments"), ""):
            utterance = part.text("utterance").strip()
            start = text.find(utterance, place)
            if start < 0:
                part.fail(f"utterance {utterance[:40]!r} is not in the caption, or not after the one before")
            place = start + len(utterance)
            span = trimmed(text, start, place)
            if not part.flag("noun") or span[0] == span[1]:
                continue
            key = tuple(sorted({part.as_key(number, "segment_ids") for number in part.items("segment_ids")}))
            lost = [number for number in key if number not in segments]
            if lost:
                part.fail(f"segment_ids {first_of(lost)} are no segments of image {annotation.key('image_id')}")
            if key and key not in entities:
                shapes = [self._shape(segments[number], number, annotation, size) for number in key]
                entities[key] = [shape for shape in shapes if shape is not None]
            category = {self._category(segments[number]) for number in key}
            phrases.append(
                Phrase(
                    [span],
                    key if entities.get(key) else None,
                    category=category.pop() if len(category) == 1 else -1,
                    flags=PLURAL if part.flag("plural") else SINGULAR,
                )
            )
        return phrases

    def _category(self, segment: Entry) -> int:
        row = self.categories.row.get(segment.key("category_id"))
        if row is None:
            segment.fail(f"category_id {segment.value('category_id')} is no category")
        return row

    def _shape(self, segment: Entry, number: str, annotation: Entry, size: Size) -> Shape | None:
        box = segment.corner_box(segment.value("bbox"), "bbox", size)
        mask = partial(self._mask, annotation.text("file_name"), int(number)) if self._folders else None
        return None if box is None else Shape(box, mask, segment.flag("iscrowd"))

    def _mask(self, name: str, number: int, size: Size) -> bytes:
        from attneval.geometry.masks import from_pixels

        if self._labels is None or self._labels[0] != name:  # all segments of an image are asked for together
            path = _label_image(self._folders, name)
            labels = read_labels(path)
            if labels.shape != (size[1], size[0]):
                width, height = size
                raise GroundTruthError(
                    f"{path} is {labels.shape[1]} x {labels.shape[0]}, and its image {width} x {height}"
                )
            self._labels = name, labels
        return from_pixels(self._labels[1] == number)


def _label_image(folders: Sequence[Path], name: str) -> Path:
    """The file of a label image, in one of the folders or up to two levels down."""
    if not {"/", "\\", "\0"} & set(name) and name not in {"", ".", ".."}:
        for pattern in ("", "*/", "*/*/"):
            for folder in folders:
                path = next(folder.glob(pattern + escape(name)), None)
                if path is not None:
                    return path
    raise GroundTruthError(f"{', '.join(map(str, folders))} has no label image {name[:80]!r}")
