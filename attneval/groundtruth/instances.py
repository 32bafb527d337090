"""Instances as COCO writes them: boxes, outlines and categories, by image and by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.errors import GroundTruthError, first_of
from attneval.groundtruth.entry import UNKNOWN_SIZE, Entry, entries
from attneval.groundtruth.outlines import outline
from attneval.groundtruth.records import Shape, categories_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.groundtruth.documents import Document
    from attneval.groundtruth.entry import Size


class Instances:
    """The instances of one or several COCO-style files.

    Args:
        documents: The files, of images that differ, with the same categories.

    Attributes:
        documents: The files.
        categories: Their categories.
        category_entries: What the first file says of each.

    Raises:
        GroundTruthError: A file is none, the same image is in two of them, or an annotation is of no image.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = documents
        self.categories = categories_of(documents[0], documents[0].data)
        self.category_entries: list[Entry] = entries(documents[0], "category", documents[0].data.get("categories"))
        self._size: dict[str, Size] = {}
        self._of_image: dict[str, list[Entry]] = {}
        self._by_id: dict[str, Entry] = {}
        for document in documents:
            if categories_of(document, document.data).row != self.categories.row:
                raise GroundTruthError(f"{document} has other categories than {documents[0]}")
            self._add(document)

    def _add(self, document: Document) -> None:
        twice = []
        for entry in entries(document, "image", document.data.get("images")):
            image_id = entry.key("id")
            if image_id in self._size:
                twice.append(image_id)
            self._size[image_id] = entry.size() if "width" in entry or "height" in entry else UNKNOWN_SIZE
        if twice:
            raise GroundTruthError(f"{document}: {len(twice)} ids stand for several images: {first_of(twice)}")
        lost = []
        for entry in entries(document, "annotation", document.data.get("annotations")):
            image_id = entry.key("image_id")
            if image_id not in self._size:
                lost.append(image_id)
            self._of_image.setdefault(image_id, []).append(entry)
            if "id" in entry:
                self._by_id[entry.key("id")] = entry
        if lost:
            raise GroundTruthError(
                f"{document}: annotations of images that are not there: {first_of(dict.fromkeys(lost))}"
            )

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._size

    def size(self, image_id: str) -> Size:
        """The size of an image; (0, 0) if it is not known."""
        return self._size.get(image_id, UNKNOWN_SIZE)

    def of_image(self, image_id: str) -> list[Entry]:
        """The annotations of an image."""
        return self._of_image.get(image_id, [])

    def by_id(self, annotation_id: str) -> Entry | None:
        """An annotation; None if there is none of this number."""
        return self._by_id.get(annotation_id)

    def category(self, annotation: Entry) -> int:
        """The category of an annotation, as an index."""
        if not self.categories.names:
            return -1
        row = self.categories.row.get(annotation.key("category_id"))
        if row is None:
            annotation.fail(f"category_id {annotation.value('category_id')} is no category")
        return row

    @staticmethod
    def shape(annotation: Entry, size: Size) -> Shape | None:
        """The box and mask of an annotation; None if its box has no area."""
        box = annotation.corner_box(annotation.value("bbox"), "bbox", size)
        return None if box is None else Shape(box, outline(annotation, "segmentation"), annotation.flag("iscrowd"))
