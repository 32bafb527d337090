"""Image sizes: from an entry, or from files for formats that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.errors import GroundTruthError, first_of
from attneval.groundtruth.documents import Document
from attneval.groundtruth.entry import UNKNOWN_SIZE, Entry, entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from attneval.groundtruth.entry import Size
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files


def agreed_size(entry: Entry, known: Size | None, image_id: str) -> Size:
    """The size that an entry gives of its image, refused if another entry gave another one."""
    size = entry.size()
    if known is not None and known != size:
        entry.fail(f"it says that image {image_id} is {size}, and another entry says {known}")
    return size


class Sizes:
    """Image sizes from files of several layouts, for formats that have none.

    Args:
        documents: A JSON of which `images` holds `id`, `width` and `height`, a list of entries with `image_id`, `width`
            and `height`, or a dictionary by id.

    Raises:
        GroundTruthError: A file is none of these, or two sizes of an image differ.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self._size: dict[str, Size] = {}
        for document in documents:
            for image_id, size in _sizes_of(document):
                known = self._size.setdefault(image_id, size)
                if known != size:
                    raise GroundTruthError(f"{document}: image {image_id} is {size} here and {known} elsewhere")

    def get(self, image_id: str) -> Size:
        """The size of an image; (0, 0) if it is not known."""
        return self._size.get(image_id, UNKNOWN_SIZE)

    def require(self, image_ids: Iterable[str], place: object) -> None:
        """Refuse images whose size is not known.

        Raises:
            GroundTruthError: There are such images.
        """
        lacking = [image_id for image_id in image_ids if image_id not in self._size]
        if lacking:
            raise GroundTruthError(
                f"{place} has no sizes of {len(lacking)} images (first: {first_of(lacking)})",
                hint="name a file that has them with --gt-sizes: a COCO JSON, or image_data.json",
            )


def sizes_for(files: Files, reading: Reading) -> Sizes:
    """The image sizes of files that were given for them.

    Args:
        files: Those of a format; the ones with the role `sizes` are read.
        reading: Names others.
    """
    given = [candidate.document for candidate in files.get("sizes", [])]
    return Sizes([*given, *map(Document, reading.sizes)])


def _sizes_of(document: Document) -> Iterator[tuple[str, Size]]:
    data = document.data
    if isinstance(data, dict) and isinstance(data.get("images"), list):
        data = data["images"]
    if isinstance(data, list):
        for entry in entries(document, "image", data):
            name = "image_id" if "image_id" in entry else "id"
            if "width" in entry or "height" in entry:
                yield entry.key(name), entry.size()
        return
    if not isinstance(data, dict):
        raise GroundTruthError(f"{document} holds no image sizes")
    for image_id, value in data.items():
        entry = Entry(document, "image", image_id, value)
        yield entry.as_key(image_id, "its name"), entry.size()
