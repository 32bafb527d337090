"""A flat list of referring expressions with a box each, or null where nothing is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.groundtruth.columns import NO_TARGET
from attneval.groundtruth.entry import UNKNOWN_SIZE, Entry, entries
from attneval.groundtruth.heads import head_span
from attneval.groundtruth.image_names import image_name
from attneval.groundtruth.image_sizes import agreed_size
from attneval.groundtruth.records import Caption, Categories, Phrase, Picture, RecordSource, Shape
from attneval.groundtruth.roles import only
from attneval.groundtruth.spans import whole

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Size
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files


def open_rec(files: Files, reading: Reading) -> RecordSource:
    """Open a list of `{image, width, height, normal_caption, solution: [x1, y1, x2, y2] | null}`."""
    return RecordSource("rec", FlatExpressions(only(files, "expressions"), reading), reading)


class FlatExpressions:
    """The images of a list of expressions."""

    categories = Categories()
    warnings = ()

    def __init__(self, document: Document, reading: Reading) -> None:
        self.documents = (document,)
        self._heads = reading.expression == "head"
        self._expressions: dict[str, list[Entry]] = {}
        for entry in entries(document, "expression", document.data, "annotation_id"):
            name = next((field for field in ("file_name", "image", "image_path") if field in entry), "image")
            self._expressions.setdefault(image_name(entry.text(name)), []).append(entry)

    def image_ids(self) -> Iterable[str]:
        """All images with expressions."""
        return self._expressions

    def picture(self, image_id: str) -> Picture:
        """One image."""
        size: Size | None = None
        captions = []
        entities: dict[Hashable, tuple[Shape, ...]] = {}
        for number, entry in enumerate(self._expressions[image_id]):
            size = agreed_size(entry, size, image_id)
            text = entry.text("normal_caption" if "normal_caption" in entry else "caption")
            spans = head_span(text) if self._heads else whole(text)
            solution = entry.value("solution")
            box = None if solution is None else entry.edge_box(solution, "solution", size)
            if box is not None:
                entities[box] = (Shape(box),)
            phrase = Phrase(spans, box, flags=NO_TARGET if solution is None else 0)
            captions.append(Caption(number, text, [phrase] if spans else []))
        return Picture(size or UNKNOWN_SIZE, captions, entities)
