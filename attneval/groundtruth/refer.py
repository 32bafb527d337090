"""Referring expressions in the layout of REFER: RefCOCO, RefCOCO+, RefCOCOg, RefClef and gRefCOCO.

An expression is a caption of its own. Expressions are numbered within their image in the order of the file, whatever
split is read, since texts repeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.errors import GroundTruthError, suggestion
from attneval.groundtruth.columns import NO_TARGET
from attneval.groundtruth.entry import UNKNOWN_SIZE, Entry, entries
from attneval.groundtruth.heads import head_span
from attneval.groundtruth.image_sizes import Sizes, sizes_for
from attneval.groundtruth.instances import Instances
from attneval.groundtruth.records import Caption, Phrase, Picture, RecordSource, Shape
from attneval.groundtruth.roles import only
from attneval.groundtruth.spans import whole

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Size
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files

NOTHING = "-1"
"""The annotation of an expression that is about nothing in the image."""


def open_refer(files: Files, reading: Reading) -> RecordSource:
    """Open expressions, a pickle or JSON, and the instances that they refer to.

    Raises:
        GroundTruthError: They cannot be read, or the split does not exist.
    """
    instances = Instances([candidate.document for candidate in files["instances"]])
    records = Expressions(only(files, "references"), instances, sizes_for(files, reading), reading)
    return RecordSource("refer", records, reading)


class Expressions:
    """The images of some expressions."""

    warnings = ()

    def __init__(self, document: Document, instances: Instances, sizes: Sizes, reading: Reading) -> None:
        self.documents = (document, *instances.documents)
        self.categories = instances.categories
        self._instances, self._sizes, self._reading = instances, sizes, reading
        self._expressions: dict[str, list[tuple[int, Entry, Entry]]] = {}
        count: dict[str, int] = {}
        splits: set[str] = set()
        for reference in entries(document, "reference", document.data, "ref_id"):
            image_id = reference.key("image_id")
            split = str(reference.values.get("split", ""))
            splits.add(split)
            for sentence in entries(document, "expression", reference.items("sentences"), "sent_id"):
                number = count.get(image_id, 0)
                count[image_id] = number + 1
                if reading.split_name is None or _in_split(split, reading.split_name):
                    self._expressions.setdefault(image_id, []).append((number, reference, sentence))
        if reading.split_name is not None and not self._expressions:
            hint = suggestion(reading.split_name, splits, f"it has {', '.join(sorted(splits))}")
            raise GroundTruthError(f"{document} has no split {reading.split_name!r}", hint=hint)

    def image_ids(self) -> Iterable[str]:
        """All images with expressions of the split."""
        return self._expressions

    def picture(self, image_id: str) -> Picture:
        """One image."""
        size = self._instances.size(image_id)
        if size == UNKNOWN_SIZE:
            size = self._sizes.get(image_id)
        entities: dict[Hashable, list[Shape]] = {}
        captions = []
        for number, reference, sentence in self._expressions[image_id]:
            text = sentence.text("sent" if "sent" in sentence else "raw")
            spans = head_span(text) if self._reading.expression == "head" else whole(text)
            phrases = [self._phrase(reference, spans, size, entities)] if spans else []
            captions.append(Caption(number, text, phrases))
        return Picture(size, captions, entities)

    def _phrase(
        self, reference: Entry, spans: list[tuple[int, int]], size: Size, entities: dict[Hashable, list[Shape]]
    ) -> Phrase:
        values = reference.value("ann_id")
        listed = values if isinstance(values, list) else [values]
        numbers = tuple(dict.fromkeys(reference.as_key(number, "ann_id") for number in listed))
        if reference.flag("no_target") or numbers in {(), (NOTHING,)}:
            return Phrase(spans, flags=NO_TARGET)
        annotations = []
        for number in numbers:
            annotation = self._instances.by_id(number)
            if annotation is None:
                reference.fail(f"ann_id {number} is no annotation of {', '.join(map(str, self._instances.documents))}")
            if annotation.key("image_id") != reference.key("image_id"):
                reference.fail(f"ann_id {number} is an annotation of image {annotation.key('image_id')}")
            annotations.append(annotation)
        category = {self._instances.category(annotation) for annotation in annotations}
        if numbers not in entities:
            shapes = [self._instances.shape(annotation, size) for annotation in annotations]
            entities[numbers] = [shape for shape in shapes if shape is not None]
            if not entities[numbers]:
                del entities[numbers]
        known = numbers if numbers in entities else None
        return Phrase(spans, known, category=category.pop() if len(category) == 1 else -1)


def _in_split(split: str, name: str) -> bool:
    """Tell whether a reference belongs to a split, by REFER's rule: `testA` also takes `testAB`, `test` all of them."""
    if name == "test":
        return split.startswith("test")
    if len(name) == 5 and name.startswith("test"):
        return split.startswith("test") and name[-1] in split[4:]
    return split == name
