"""Files that name the rows and columns of a bare similarity matrix: ids of images, and of captions."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record
from attneval.errors import GroundTruthError
from attneval.groundtruth.documents import Document
from attneval.groundtruth.entry import Entry, entries
from attneval.groundtruth.relevance import listed_answers
from attneval.storage.npy import map_npy

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LAYOUTS = "an .npy of ids, a JSON list, a text file with an id a line"


@record
class GivenIds:
    """Ids from a file.

    Attributes:
        path: The file.
        listed: Ids in the order of rows or columns; None for a file that says whose captions are whose instead.
        captions_of: The captions of each image by its id, ascending in captions files.
    """

    path: Path
    listed: tuple[str, ...] | None
    captions_of: dict[str, list[str]] = field(default_factory=dict)


def read_caption_ids(path: Path) -> GivenIds:
    """Read the ids of captions: a list in the order of columns, or a captions JSON of COCO's layout.

    Of a captions JSON, caption k of an image is the one with the k-th smallest id.

    Raises:
        GroundTruthError: It is neither, or an id is there twice.
        ExportError: It is an `.npy` that cannot be read.
    """
    document = Document(path)
    if path.suffix in {".npy", ".txt"} or not isinstance(document.data, dict):
        return GivenIds(path, _distinct(path, _listed(document)))
    numbered: dict[str, list[tuple[int, str]]] = {}
    data = document.data.get("annotations")
    if not isinstance(data, list) or not data or not isinstance(data[0], dict) or "caption" not in data[0]:
        raise GroundTruthError(f"{path} holds no ids of captions", hint=f"it is {LAYOUTS}, or a captions JSON of COCO")
    for entry in entries(document, "annotation", data):
        numbered.setdefault(entry.key("image_id"), []).append((entry.whole("id"), entry.key("id")))
    captions_of = {image: [name for _, name in sorted(captions)] for image, captions in numbered.items()}
    _distinct(path, (name for captions in captions_of.values() for name in captions))
    return GivenIds(path, None, captions_of)


def read_image_ids(path: Path) -> GivenIds:
    """Read the ids of images: a list in the order of rows, or a JSON that lists the captions of each image.

    The latter is a relevance set that only lists what belongs together, in either direction.

    Raises:
        GroundTruthError: It is neither.
        ExportError: It is an `.npy` that cannot be read.
    """
    document = Document(path)
    if path.suffix in {".npy", ".txt"} or not isinstance(document.data, dict):
        return GivenIds(path, tuple(_listed(document)))
    owners = listed_answers(document, path.stem).owners()
    if owners is None:
        raise GroundTruthError(
            f"{path} does not say which captions are whose: captions have several images, or none can be told from it",
            hint=f"ids of images are {LAYOUTS}, or the original pair of relevance sets",
        )
    captions_of: dict[str, list[str]] = {}
    for caption, image in owners.items():
        captions_of.setdefault(image, []).append(caption)
    return GivenIds(path, None, captions_of)


def _listed(document: Document) -> list[str]:
    """The ids of a list, as texts."""
    path, values = document.path, _values(document)
    entry = Entry(path, "list", path.name, {})
    if not values:
        entry.fail("it is empty")
    return [entry.as_key(value, f"entry {place}") for place, value in enumerate(values)]


def _values(document: Document) -> list[Any]:
    path = document.path
    if path.suffix == ".npy":
        array = map_npy(path)
        if array.ndim != 1 or array.dtype.kind not in "iuU":
            raise GroundTruthError(f"{path} holds {array.dtype}{list(array.shape)}, expected one row of ids")
        return list(array.tolist())
    if path.suffix == ".txt":
        try:
            return document.content.decode("utf-8-sig").split()
        except UnicodeDecodeError as error:
            raise GroundTruthError(f"{path} is not UTF-8 ({error.reason} at byte {error.start})") from error
    if not isinstance(document.data, list):
        raise GroundTruthError(f"{path} holds no ids", hint=f"it is {LAYOUTS}")
    return document.data


def _distinct(path: Path, ids: Iterable[str]) -> tuple[str, ...]:
    """Ids, refused if one is there twice."""
    place: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name in place:
            raise GroundTruthError(f"{path}: id {name} is there twice, as number {place[name]} and {row}")
        place[name] = row
    return tuple(place)
