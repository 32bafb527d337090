"""COCO Entities (Cornia et al., CVPR 2019): noun chunks of COCO captions with detections of their class.

The boxes are what a detector found of the class that the words were matched to, so that "a man" may have three boxes of
one man. Captions are normalised: lower case, punctuation deleted. Where COCO's own captions are given beside, texts and
caption numbers are theirs.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from attneval.errors import GroundTruthError
from attneval.groundtruth.coco import captions_of
from attneval.groundtruth.entry import Entry
from attneval.groundtruth.image_sizes import sizes_for
from attneval.groundtruth.records import Caption, Categories, Phrase, Picture, RecordSource, Shape
from attneval.groundtruth.roles import only
from attneval.groundtruth.spans import trimmed

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Size, Span
    from attneval.groundtruth.image_sizes import Sizes
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files

NO_CLASS = "_"
_DELETE = str.maketrans("", "", string.punctuation)


def open_coco_entities(files: Files, reading: Reading) -> RecordSource:
    """Open the JSON, with COCO's captions if they are given."""
    raw = [candidate.document for candidate in (*files.get("captions", []), *files.get("texts", []))]
    records = CaptionEntities(only(files, "entities"), raw, sizes_for(files, reading), reading)
    return RecordSource("coco-entities", records, reading)


class CaptionEntities:
    """The images of COCO Entities."""

    warnings = ()

    def __init__(self, document: Document, raw: Sequence[Document], sizes: Sizes, reading: Reading) -> None:
        self.documents = (document, *raw)
        self._sizes = sizes
        self._raw = _raw_captions(raw) if raw else None
        self._captions: dict[str, list[Entry]] = {}
        classes: set[str] = set()
        for name, captions in document.data.items():
            image = Entry(document, "image", name, captions)
            image_id = image.as_key(name, "its id")
            for text, value in image.values.items():
                entry = Entry(document, f"image {image_id}: caption", text, value)
                if reading.split_name is None or entry.values.get("split") == reading.split_name:
                    self._captions.setdefault(image_id, []).append(entry)
                    classes.update(_chunks(entry, NO_CLASS))
        if reading.split_name is not None and not self._captions:
            raise GroundTruthError(f"{document} has no split {reading.split_name!r}")
        names = tuple(sorted(classes - {NO_CLASS}))
        row = {name: number for number, name in enumerate(names)}
        self.categories = Categories(names, ("",) * len(names), (-1,) * len(names), row)

    def image_ids(self) -> Iterable[str]:
        """All images with captions of the split."""
        return self._captions

    def picture(self, image_id: str) -> Picture:
        """One image."""
        size = self._sizes.get(image_id)
        entities: dict[Hashable, Sequence[Shape]] = {}
        raw = [] if self._raw is None else self._raw.get(image_id, [])
        normal = [_normalised(text) for text in raw]
        taken: set[int] = set()
        captions = []
        for number, entry in enumerate(self._captions[image_id]):
            text, index = str(entry.label), number
            words = text.split(" ")
            place = next((k for k, other in enumerate(normal) if k not in taken and other == words), None)
            if place is not None:
                taken.add(place)
                text, index = raw[place], place
            elif self._raw is not None:
                entry.fail("it is none of the image's captions in the other file")
            captions.append(Caption(index, text, self._phrases(entry, words, text, size, entities)))
        captions.sort(key=lambda caption: caption.index)
        return Picture(size, captions, entities)

    def _phrases(
        self, entry: Entry, words: list[str], text: str, size: Size, entities: dict[Hashable, Sequence[Shape]]
    ) -> list[Phrase]:
        spans = _word_spans(text)
        phrases, place = [], 0
        for chunk, name in _pairs(entry):
            count = len(chunk.split())
            first = next(
                (k for k in range(place, len(words) - count + 1) if words[k : k + count] == chunk.split()), None
            )
            if first is None or not count:
                entry.fail(f"noun chunk {chunk!r} is not in it, or not after the one before")
            place = first + count
            start, stop = trimmed(text, spans[first][0], spans[place - 1][1])
            key = None if name == NO_CLASS else self._entity(entry, name, size, entities)
            if start < stop:
                phrases.append(Phrase([(start, stop)], key, category=self.categories.row.get(name, -1)))
        return phrases

    @staticmethod
    def _entity(entry: Entry, name: str, size: Size, entities: dict[Hashable, Sequence[Shape]]) -> Hashable:
        """The key of the detections of a class; None if there are none."""
        detections = Entry(entry.place, str(entry), "detections", entry.value("detections"))
        if name not in detections:
            return None
        boxes = []
        for detection in detections.items(name):
            pair = detections.as_list(detection, name)
            if len(pair) != 2:
                detections.fail(f"{name} holds {detection!r:.60}, and no region and box")
            box = detections.edge_box(pair[1], name, size)
            boxes += [] if box is None else [box]
        if not boxes:
            return None
        key = (name, *boxes)
        entities.setdefault(key, [Shape(box) for box in boxes])
        return key


def _raw_captions(documents: Sequence[Document]) -> dict[str, list[str]]:
    """The texts of each image's captions: by id as COCO writes them, or as a dictionary lists them."""
    texts = captions_of([document for document in documents if "annotations" in document.data], None)
    for document in documents:
        if "annotations" not in document.data:
            for name, listed in document.data.items():
                image = Entry(document, "image", name, {"captions": listed})
                texts[image.as_key(name, "its id")] = [str(text) for text in image.items("captions")]
    return texts


def _pairs(entry: Entry) -> list[tuple[str, str]]:
    """The noun chunks of a caption, each with its class."""
    pairs = []
    for value in entry.items("noun_chunks"):
        pair = entry.as_list(value, "noun_chunks")
        if len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            entry.fail(f"noun_chunks holds {value!r:.60}, and no text and class")
        pairs.append((pair[0], pair[1]))
    return pairs


def _chunks(entry: Entry, default: str) -> list[str]:
    return [name or default for _, name in _pairs(entry)]


def _normalised(text: str) -> list[str]:
    """The words of a caption as COCO Entities has them."""
    words = (word.translate(_DELETE) for word in text.lower().split())
    return [word for word in words if word]


def _word_spans(text: str) -> list[Span]:
    """Where those words stand in the caption."""
    spans, place = [], 0
    for word in text.split():
        start = text.index(word, place)
        place = start + len(word)
        if word.lower().translate(_DELETE):
            spans.append((start, place))
    return spans
