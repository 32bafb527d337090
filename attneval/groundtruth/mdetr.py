"""Phrase grounding as JSON in the COCO layout, as MDETR and GLIP write it: one "image" per caption.

The layout carries several data sets. Flickr files hold 1-based corners as they stand in the XML; mixed files hold
images of COCO and of Visual Genome under the same numbers; files of referring expressions name the head of the
expression as the phrase, and an expression without a target has an annotation marked as empty.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from attneval.errors import GroundTruthError, first_of
from attneval.groundtruth.columns import NO_TARGET
from attneval.groundtruth.entities import EDGE_SHIFT
from attneval.groundtruth.entry import UNKNOWN_SIZE, Entry, entries
from attneval.groundtruth.image_names import coco_number
from attneval.groundtruth.image_sizes import agreed_size
from attneval.groundtruth.outlines import outline
from attneval.groundtruth.records import Caption, Phrase, Picture, RecordSource, Shape, categories_of
from attneval.groundtruth.roles import only
from attneval.groundtruth.spans import whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Box, Size, Span
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files

EXPRESSIONS = ("refcoco", "refexp", "grefcoco")
"""Beginnings of `dataset_name` where a caption is a referring expression."""
OTHER_SOURCES = ("vg", "visual_genome", "visualgenome")
"""`data_source` of images that are Visual Genome's, whose numbers mean other images than COCO's."""


def open_mdetr(files: Files, reading: Reading) -> RecordSource:
    """Open a grounding JSON file.

    A phrase is an entry of `tokens_positive_eval`, or, in files without it, a distinct `tokens_positive`; its boxes
    are those of the annotations with a span that overlaps it.

    Raises:
        GroundTruthError: It is no such file.
    """
    return RecordSource("mdetr", Grounding(only(files, "grounding"), reading), reading)


class Grounding:
    """The images of a grounding JSON file."""

    warnings = ()

    def __init__(self, document: Document, reading: Reading) -> None:
        self.documents = (document,)
        self._reading = reading
        data = document.data
        if not isinstance(data, dict) or not isinstance(data.get("images"), list):
            raise GroundTruthError(f"{document} is no COCO-style JSON (it has no list of images)")
        images = entries(document, "image entry", data["images"])
        if not images:
            raise GroundTruthError(f"{document} holds no images, so it is no grounding JSON")
        without = [entry.values.get("id") for entry in images if not isinstance(entry.values.get("caption"), str)]
        if without:
            raise GroundTruthError(
                f"{document} has images without a caption (ids: {first_of(without)})",
                hint="grounding JSON has one image entry per caption, with 'caption' and 'tokens_positive_eval'",
            )
        self.categories = categories_of(document, data)
        self._annotations: dict[str, list[Entry]] = {}
        captions = _by_id(document, images)
        for entry in entries(document, "annotation", data.get("annotations", [])):
            self._annotations.setdefault(entry.key("image_id"), []).append(entry)
        lost = [name for name in self._annotations if name not in captions]
        if lost:
            raise GroundTruthError(
                f"{document}: annotations of {len(lost)} images that are not there: {first_of(lost)}"
            )
        self._captions: dict[str, list[Entry]] = {}
        for entry in images:
            self._captions.setdefault(_image_id(entry), []).append(entry)

    def image_ids(self) -> Iterable[str]:
        """All annotated images."""
        return self._captions

    def picture(self, image_id: str) -> Picture:
        """One image."""
        size: Size | None = None
        entities: dict[Any, Sequence[Shape]] = {}
        captions = []
        for number, entry in enumerate(self._captions[image_id]):
            size = agreed_size(entry, size, image_id)
            index = entry.whole("sentence_id") if "sentence_id" in entry else number
            captions.append(Caption(index, entry.text("caption"), self._phrases(entry, size, entities)))
        return Picture(size or UNKNOWN_SIZE, captions, entities)

    def _phrases(self, entry: Entry, size: Size, entities: dict[Any, Sequence[Shape]]) -> list[Phrase]:
        """The phrases of a caption; their shapes are added to the entities of its image."""
        caption = entry.text("caption")
        marked: list[tuple[list[Span], Shape | None, int]] = []
        for annotation in self._annotations.get(entry.key("id"), []):
            if annotation.flag("iscrowd"):
                continue  # as the models' own loaders do
            spans = annotation.spans(annotation.value("tokens_positive"), "tokens_positive", caption)
            marked.append((spans, self._shape(annotation, entry, size), self._category(annotation)))
        if "tokens_positive_eval" in entry:
            groups = entry.items("tokens_positive_eval")
            wanted = [entry.spans(spans, "tokens_positive_eval", caption) for spans in groups]
        elif self._reading.expression == "whole" and str(entry.values.get("dataset_name")).startswith(EXPRESSIONS):
            marked = [(whole(caption), shape, category) for _, shape, category in marked]
            wanted = [whole(caption)] if marked else []
        else:
            wanted = [list(spans) for spans in dict.fromkeys(tuple(spans) for spans, _, _ in marked)]
        phrases = []
        for spans in wanted:
            if not spans:
                continue  # cleaning can leave a phrase without any character
            named = [mark for mark in marked if _overlap(spans, mark[0])]
            by_box = {shape.box: shape for _, shape, _ in named if shape is not None}
            shapes = tuple(by_box[box] for box in sorted(by_box))
            category = {category for _, _, category in named}
            key = tuple(shape.box for shape in shapes)
            if shapes:
                entities.setdefault(key, shapes)
            phrases.append(
                Phrase(
                    spans,
                    key or None,
                    category=category.pop() if len(category) == 1 else -1,
                    flags=0 if shapes or not named else NO_TARGET,
                )
            )
        return phrases

    def _shape(self, annotation: Entry, entry: Entry, size: Size) -> Shape | None:
        """The shape of an annotation; None where it says that nothing is meant."""
        if annotation.flag("empty") or not any(annotation.numbers(annotation.value("bbox"), "bbox", 4)):
            return None
        values = annotation.value("bbox")
        box = annotation.corner_box(values, "bbox", UNKNOWN_SIZE if _is_flickr(entry) else size)
        if _is_flickr(entry):
            box = _flickr_box(annotation, EDGE_SHIFT[self._reading.edges], size)
        if box is None:
            return None
        return Shape(box, outline(annotation, "sam_mask"))

    def _category(self, annotation: Entry) -> int:
        name = annotation.values.get("category_id")
        return -1 if name is None else self.categories.row.get(annotation.as_key(name, "category_id"), -1)


def _flickr_box(annotation: Entry, shift: tuple[float, ...], size: Size) -> Box | None:
    """The edges of a box whose corners are pixels counted from 1, the last one inside."""
    x, y, width, height = annotation.numbers(annotation.value("bbox"), "bbox", 4)
    corners = (x, y, x + width, y + height)
    x1, y1, x2, y2 = (corner - less for corner, less in zip(corners, shift, strict=True))
    return annotation.clipped((x1, y1, x2, y2), annotation.value("bbox"), "bbox", size)


def _is_flickr(entry: Entry) -> bool:
    """Tell entries that were made from Flickr30k Entities."""
    name = entry.values.get("dataset_name")
    return name == "flickr" if name is not None else "original_img_id" in entry


def _overlap(spans: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(a < d and c < b for a, b in spans for c, d in others)


def _by_id(document: Document, images: Sequence[Entry]) -> Counter[str]:
    """How often each id occurs.

    Raises:
        GroundTruthError: An id is null, or stands for several entries.
    """
    if any(entry.value("id") is None for entry in images):
        raise GroundTruthError(f"{document}: an image entry has the id null")
    times = Counter(entry.key("id") for entry in images)
    twice = [image_id for image_id, count in times.items() if count > 1]
    if twice:
        raise GroundTruthError(f"{document}: {len(twice)} ids stand for several images: {first_of(twice)}")
    return times


def _image_id(entry: Entry) -> str:
    """The image of an entry: its original id, or the name of its file; Visual Genome's under `vg/`."""
    name = next((entry.key(key) for key in ("original_img_id", "original_id") if key in entry), None)
    if name is None:
        stem = PurePosixPath(str(entry.values.get("file_name", entry.key("id")))).stem
        name = coco_number(stem) if stem.startswith("COCO_") else stem
    return f"vg/{name}" if str(entry.values.get("data_source")).lower() in OTHER_SOURCES else name
