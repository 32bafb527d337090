"""COCO captions and instances: words that name a category, with all instances of it.

Which of several instances is meant is not annotated, so every phrase is marked as category-level. Of an image's
captions, the k-th by id is number k, as in the Karpathy splits. LVIS brings names of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.errors import GroundTruthError, first_of
from attneval.groundtruth.category_words import SHIPPED, CategoryWords, read_names
from attneval.groundtruth.columns import CATEGORY_LEVEL, PLURAL, SINGULAR
from attneval.groundtruth.entry import entries
from attneval.groundtruth.instances import Instances
from attneval.groundtruth.records import Caption, Phrase, Picture, RecordSource, Shape

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files


def open_coco(files: Files, reading: Reading) -> RecordSource:
    """Open captions and instances; several files of each, of images that differ, are read as one.

    Raises:
        GroundTruthError: They cannot be read, or have no image in common.
    """
    captions = [candidate.document for candidate in files["captions"]]
    instances = Instances([candidate.document for candidate in files["instances"]])
    return RecordSource("coco", CaptionedInstances(captions, instances, reading), reading)


class CaptionedInstances:
    """The images that have captions and are in the instances' file."""

    def __init__(self, captions: Sequence[Document], instances: Instances, reading: Reading) -> None:
        self.documents = (*captions, *instances.documents)
        self.categories = instances.categories
        self.warnings: list[str] = []
        self._instances = instances
        self._all_mentions = reading.mentions == "all"
        self._words = self._read_words(reading)
        self._captions = captions_of(captions, instances)
        if not self._captions:
            names = ", ".join(map(str, self.documents))
            raise GroundTruthError(
                f"{names}: no captioned image is in the instances", hint="use files of the same split"
            )

    def _read_words(self, reading: Reading) -> CategoryWords:
        entries_ = self._instances.category_entries
        if reading.synonyms is None and entries_ and all("synonyms" in entry for entry in entries_):
            names = [(row, [str(name) for name in entry.items("synonyms")]) for row, entry in enumerate(entries_)]
        else:
            names, unknown = read_names(reading.synonyms or SHIPPED, self.categories.names)
            if unknown and reading.synonyms is not None:
                self.warnings.append(
                    f"{reading.synonyms}: {len(unknown)} lines name no category of the annotations "
                    f"(first: {first_of(unknown)}): left out"
                )
        return CategoryWords(names, exceptions=reading.category_words == "chair")

    def image_ids(self) -> Iterable[str]:
        """All images with captions and instances."""
        return self._captions

    def picture(self, image_id: str) -> Picture:
        """One image."""
        size = self._instances.size(image_id)
        entities: dict[Hashable, list[Shape]] = {}
        for annotation in self._instances.of_image(image_id):
            shape = self._instances.shape(annotation, size)
            if shape is not None:
                entities.setdefault(self._instances.category(annotation), []).append(shape)
        captions = [
            Caption(index, text, self._phrases(text, entities)) for index, text in enumerate(self._captions[image_id])
        ]
        return Picture(size, captions, entities)

    def _phrases(self, text: str, entities: dict[Hashable, list[Shape]]) -> list[Phrase]:
        return [
            Phrase(
                [match.span],
                match.category if match.category in entities else None,
                category=match.category,
                flags=CATEGORY_LEVEL | (PLURAL if match.plural else SINGULAR),
            )
            for match in self._words.find(text)
            if self._all_mentions or match.category in entities
        ]


def captions_of(documents: Sequence[Document], instances: Instances | None) -> dict[str, list[str]]:
    """The texts of each image's captions, by id.

    Args:
        documents: Captions as COCO writes them.
        instances: Images that are not in these are left out.

    Raises:
        GroundTruthError: Two captions have the same id.
    """
    numbered: dict[str, dict[int, str]] = {}
    for document in documents:
        for entry in entries(document, "caption", document.data.get("annotations")):
            image_id = entry.key("image_id")
            if instances is not None and image_id not in instances:
                continue
            number = entry.whole("id")
            texts = numbered.setdefault(image_id, {})
            if number in texts:
                entry.fail("another caption of its image has the same id")
            texts[number] = entry.text("caption")
    return {image_id: [texts[number] for number in sorted(texts)] for image_id, texts in numbered.items()}
