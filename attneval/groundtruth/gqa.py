"""GQA: questions of which words name objects of a scene graph; each question is a caption of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from attneval.errors import GroundTruthError, first_of
from attneval.groundtruth.entry import Entry
from attneval.groundtruth.records import Caption, Categories, Phrase, Picture, RecordSource, Shape
from attneval.groundtruth.roles import only
from attneval.groundtruth.spans import trimmed

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Size, Span
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files

_PLACE = re.compile(r"(\d{1,6})(?::(\d{1,6}))?", re.ASCII)


def open_gqa(files: Files, reading: Reading) -> RecordSource:
    """Open questions and the scene graphs of their images."""
    return RecordSource("gqa", Questions(only(files, "questions"), only(files, "scene graphs")), reading)


class Questions:
    """The images of questions."""

    categories = Categories()
    warnings = ()

    def __init__(self, document: Document, graphs: Document) -> None:
        self.documents = (document, graphs)
        self._questions: dict[str, list[Entry]] = {}
        for number, value in document.data.items():
            question = Entry(document, "question", number, value)
            self._questions.setdefault(question.key("imageId"), []).append(question)
        self._graph = {
            Entry(graphs, "image", name, value).as_key(name, "its id"): Entry(graphs, "image", name, value)
            for name, value in graphs.data.items()
        }
        lost = [name for name in self._questions if name not in self._graph]
        if lost:
            raise GroundTruthError(f"{graphs} lacks {len(lost)} images of {document}: {first_of(lost)}")

    def image_ids(self) -> Iterable[str]:
        """All images with questions."""
        return self._questions

    def picture(self, image_id: str) -> Picture:
        """One image."""
        graph = self._graph[image_id]
        size = graph.size()
        objects = Entry(graph.place, f"image {image_id}", "objects", graph.value("objects")).values
        entities: dict[Hashable, Sequence[Shape]] = {}
        captions = []
        for number, question in enumerate(self._questions[image_id]):
            text = question.text("question")
            marks = Entry(question.place, str(question), "annotations", question.value("annotations"))
            marked = Entry(question.place, str(question), "annotations", marks.value("question")).values
            phrases = []
            for place, name in marked.items():
                span = _span(question, place, text)
                key = self._entity(graph, objects, marks.as_key(name, "question"), size, entities)
                if span[0] < span[1]:
                    phrases.append(Phrase([span], key))
            captions.append(Caption(number, text, phrases))
        return Picture(size, captions, entities)

    @staticmethod
    def _entity(
        graph: Entry, objects: dict[str, Any], name: str, size: Size, entities: dict[Hashable, Sequence[Shape]]
    ) -> str | None:
        """The key of an object; None if the graph lacks it, or its box has no area."""
        if name not in entities and name in objects:
            entry = Entry(graph.place, f"{graph}: object", name, objects[name])
            box = entry.corner_box([entry.value(field) for field in "xywh"], "x, y, w, h", size)
            if box is not None:
                entities[name] = (Shape(box),)
        return name if name in entities else None


def _span(question: Entry, place: str, text: str) -> Span:
    """The characters of some words, counted between white space; `3:5` is the words 3 and 4."""
    match = _PLACE.fullmatch(place)
    words = [word.span() for word in re.finditer(r"\S+", text)]
    first = int(match[1]) if match else 0
    last = first + 1 if match is None or match[2] is None else int(match[2])
    if match is None or not first < last <= len(words):
        question.fail(f"annotations mark the words {place[:40]!r} of {len(words)}")
    return trimmed(text, words[first][0], words[last - 1][1])
