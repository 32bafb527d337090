"""VGPhraseCut: phrases of Visual Genome with the polygons of what they name; each phrase is a caption of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attneval.groundtruth.entry import Entry, entries
from attneval.groundtruth.image_sizes import Sizes, sizes_for
from attneval.groundtruth.outlines import rasterised
from attneval.groundtruth.records import Caption, Categories, Phrase, Picture, RecordSource, Shape
from attneval.groundtruth.roles import only
from attneval.groundtruth.spans import whole

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Size
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files


def open_phrasecut(files: Files, reading: Reading) -> RecordSource:
    """Open phrases; the sizes of their images are in another file.

    Raises:
        GroundTruthError: The size of an image is not known.
    """
    return RecordSource("phrasecut", MaskedPhrases(only(files, "phrases"), sizes_for(files, reading)), reading)


class MaskedPhrases:
    """The images of phrases with polygons."""

    categories = Categories()
    warnings = ()

    def __init__(self, document: Document, sizes: Sizes) -> None:
        self.documents = (document,)
        self._sizes = sizes
        self._tasks: dict[str, list[Entry]] = {}
        for entry in entries(document, "task", document.data, "task_id"):
            self._tasks.setdefault(entry.key("image_id"), []).append(entry)
        sizes.require(self._tasks, document)

    def image_ids(self) -> Iterable[str]:
        """All images with phrases."""
        return self._tasks

    def picture(self, image_id: str) -> Picture:
        """One image."""
        size = self._sizes.get(image_id)
        entities: dict[Hashable, Sequence[Shape]] = {}
        captions = []
        for number, task in enumerate(self._tasks[image_id]):
            text = task.text("phrase")
            boxes, outlines = task.items("instance_boxes"), task.items("Polygons")
            if len(boxes) != len(outlines):
                task.fail(f"it has {len(boxes)} boxes and {len(outlines)} outlines")
            shapes = []
            for value, outline in zip(boxes, outlines, strict=True):
                box = task.corner_box(value, "instance_boxes", size)
                if box is not None:
                    shapes.append(Shape(box, partial(_mask, task, outline) if outline else None))
            ids = task.values.get("ann_ids")
            key = tuple(map(str, ids)) if isinstance(ids, list) and len(ids) == len(boxes) and ids else ("", number)
            if shapes:
                entities.setdefault(key, shapes)
            spans = whole(text)
            captions.append(Caption(number, text, [Phrase(spans, key if shapes else None)] if spans else []))
        return Picture(size, captions, entities)


def _mask(task: Entry, outline: Any, size: Size) -> bytes:
    """The mask of an instance, of which each polygon is a list of points."""
    polygons = []
    for polygon in task.as_list(outline, "Polygons"):
        points = [task.numbers(point, "Polygons", 2) for point in task.as_list(polygon, "Polygons")]
        polygons.append([edge for point in points for edge in point])
    return rasterised(task, "Polygons", polygons, size)
