"""ODVG: a JSON object a line, of an image, a caption and regions that its phrases name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attneval.groundtruth.documents import Lines
from attneval.groundtruth.entry import UNKNOWN_SIZE, Entry
from attneval.groundtruth.image_names import image_name
from attneval.groundtruth.image_sizes import agreed_size
from attneval.groundtruth.records import Caption, Categories, Phrase, Picture, RecordSource, Shape
from attneval.groundtruth.roles import only

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Box, Size, Span
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files


def open_odvg(files: Files, reading: Reading) -> RecordSource:
    """Open grounding lines; lines of detection data, which have no caption, are left out with a note."""
    return RecordSource("odvg", GroundingLines(only(files, "lines")), reading)


class GroundingLines:
    """The images of grounding lines."""

    categories = Categories()

    def __init__(self, document: Document) -> None:
        self.documents = (document,)
        self.warnings: list[str] = []
        self._lines: dict[str, list[tuple[Entry, Entry]]] = {}
        values = document.data if isinstance(document.data, Lines) else [document.data]
        detection = 0
        for number, value in enumerate(values, 1):
            line = Entry(document, "line", number, value)
            if "grounding" not in line and "detection" in line:
                detection += 1
                continue
            grounding = Entry(document, "line", number, line.value("grounding"))
            self._lines.setdefault(image_name(line.text("filename")), []).append((line, grounding))
        if detection:
            self.warnings.append(f"{document}: {detection} lines of detection data have no caption: left out")
        self._shares = self._are_shares()
        if self._shares:
            self.warnings.append(f"{document}: all boxes lie within 0 and 1: read as shares of width and height")

    def _are_shares(self) -> bool:
        """Tell whether every box of the file is given in shares of the image."""
        boxes = [
            edge
            for lines in self._lines.values()
            for _, grounding in lines
            for region in _regions(grounding)
            for box in _listed(region)
            for edge in region.numbers(box, "bbox", 4)
        ]
        return bool(boxes) and max(boxes) <= 1 and min(boxes) >= 0

    def image_ids(self) -> Iterable[str]:
        """All images with a caption."""
        return self._lines

    def picture(self, image_id: str) -> Picture:
        """One image."""
        size: Size | None = None
        entities: dict[Hashable, Sequence[Shape]] = {}
        captions = []
        for number, (line, grounding) in enumerate(self._lines[image_id]):
            size = agreed_size(line, size, image_id)
            caption = grounding.text("caption")
            phrases = [self._phrase(region, caption, size, entities) for region in _regions(grounding)]
            captions.append(Caption(number, caption, [phrase for phrase in phrases if phrase.spans]))
        return Picture(size or UNKNOWN_SIZE, captions, entities)

    def _phrase(self, region: Entry, caption: str, size: Size, entities: dict[Hashable, Sequence[Shape]]) -> Phrase:
        boxes = dict.fromkeys(self._box(region, value, size) for value in _listed(region))
        key = tuple(sorted(box for box in boxes if box is not None))
        if key:
            entities.setdefault(key, [Shape(box) for box in key])
        return Phrase(_spans(region, caption), key or None)

    def _box(self, region: Entry, value: Any, size: Size) -> Box | None:
        if not self._shares:
            return region.edge_box(value, "bbox", size)
        x1, y1, x2, y2 = region.numbers(value, "bbox", 4)
        width, height = size
        return region.edge_box([x1 * width, y1 * height, x2 * width, y2 * height], "bbox", size)


def _regions(grounding: Entry) -> list[Entry]:
    return [
        Entry(grounding.place, f"{grounding}: region", number, value)
        for number, value in enumerate(grounding.items("regions"))
    ]


def _listed(region: Entry) -> list[Any]:
    """The boxes of a region, of which a single one may stand without a list around it."""
    value = region.items("bbox")
    return value if value and isinstance(value[0], list) else [value]


def _spans(region: Entry, caption: str) -> list[Span]:
    """The words of a region: as they are marked, or else where its phrase stands in the caption."""
    if region.values.get("tokens_positive"):
        return region.spans(region.value("tokens_positive"), "tokens_positive", caption)
    phrase = region.text("phrase").strip()
    start = caption.lower().find(phrase.lower()) if phrase else -1
    if start < 0 or len(caption.lower()) != len(caption):
        region.fail(f"it has no tokens_positive, and its phrase {phrase[:40]!r} is not in the caption")
    return [(start, start + len(phrase))]
