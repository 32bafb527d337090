"""Flickr30k Entities (Plummer et al., ICCV 2015): a box file and a sentence file per image.

Quirks of the published set that are read as they are: a box may belong to several chains; a phrase may have several
types; chains may be scenes or have no box; chains may appear in no sentence.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.errors import GroundTruthError
from attneval.groundtruth.columns import GroundTruth
from attneval.groundtruth.entity_sentences import Sentences
from attneval.groundtruth.entry import LARGEST_SIZE
from attneval.groundtruth.folders import NEEDED, Directory, Zip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

    from attneval.groundtruth.folders import Files
    from attneval.groundtruth.reading import Reading
    from attneval.groundtruth.roles import Files as GivenFiles

_EDGES = ("xmin", "ymin", "xmax", "ymax")


EDGE_SHIFT = {"pixel": (1.0, 1.0, 0.0, 0.0), "raw": (0.0, 0.0, 0.0, 0.0), "corner": (1.0, 1.0, 1.0, 1.0)}
"""What is subtracted from 1-based x1, y1, x2, y2 to make edges of them."""


def open_entities(files: GivenFiles, reading: Reading) -> Entities:
    """Open a release: a directory, one that holds it or its zip file, or the zip file.

    Raises:
        GroundTruthError: There is none.
    """
    given = files["release"]
    path = given[0].path
    if len(given) > 1:
        raise GroundTruthError(f"{path} and {given[1].path} are two releases", hint="name one of them with --gt")
    if path.is_file():
        archive = Zip(path)
        if archive.image_ids():
            return Entities(archive, reading.edges)
        raise GroundTruthError(f"{path} is no zip file with Annotations/ and Sentences/")
    for folder in (path, *sorted(child for child in path.iterdir() if child.is_dir())):
        if (folder / "Annotations").is_dir() and (folder / "Sentences").is_dir():
            return Entities(Directory(folder), reading.edges)
    if (path / "annotations.zip").is_file():
        return Entities(Zip(path / "annotations.zip"), reading.edges)
    raise GroundTruthError(
        f"{path} holds no ground truth of a known format",
        hint="it needs Annotations/ and Sentences/, or annotations.zip",
    )


class Entities:
    """A Flickr30k Entities release, unmodified.

    Args:
        files: Where its files are.
        edges: How coordinates become edges, see `EDGE_SHIFT`.
    """

    format = "entities"

    def __init__(self, files: Files, edges: str = "pixel") -> None:
        self._files = files
        self._shift = np.array(EDGE_SHIFT[edges])
        self._known: frozenset[str] | None = None

    @property
    def changed_ns(self) -> int:
        """See `Source`."""
        return self._files.changed_ns

    def image_ids(self) -> list[str]:
        """All annotated images."""
        return self._files.image_ids()

    def state(self, image_ids: Sequence[str]) -> str | None:
        """Give something that changes when the annotations of these images do; None if a file is missing."""
        try:
            return f"{self._files.state(image_ids)} {self._shift.tolist()}"
        except OSError:
            return None

    def missing(self, image_ids: Sequence[str]) -> list[str]:
        """Those of the ids that have no annotation file."""
        if self._known is None:
            self._known = frozenset(self.image_ids())
        return [image_id for image_id in image_ids if image_id not in self._known]

    def read(self, image_ids: Sequence[str]) -> GroundTruth:
        """Read the annotations of some images.

        Raises:
            GroundTruthError: A file is missing or cannot be read.
        """
        from xml.etree.ElementTree import ParseError, fromstring  # not above, since an index saves the import too

        digests: dict[str, bytes] = {}
        annotations = [self._read(f"Annotations/{image_id}.xml", digests) for image_id in image_ids]
        sentences = [self._read(f"Sentences/{image_id}.txt", digests) for image_id in image_ids]
        boxes = _Boxes()
        try:
            for data in annotations:
                boxes.add(fromstring(data))  # noqa: S314 - expat limits the expansion of entities
        except (ParseError, ValueError, TypeError, LookupError) as error:  # the last one: an unknown encoding
            name = f"Annotations/{image_ids[len(boxes.size)]}.xml"
            raise GroundTruthError(f"{self._files.path}: {name} is no annotation ({error})") from error
        phrases = Sentences(self._files.path, image_ids, sentences)
        size = np.array(boxes.size, np.int64).reshape(-1, 2)
        return GroundTruth(
            image_id=list(image_ids),
            image_size=size,
            caption_offset=phrases.caption_offset,
            caption_index=phrases.caption_index,
            text=phrases.text,
            phrase_offset=phrases.phrase_offset,
            phrase_entity=phrases.entities(boxes.entity),
            phrase_types=phrases.types,
            span_offset=np.arange(len(phrases.span) + 1),
            span=phrases.span,
            entity_offset=offsets_of([len(chains) for chains in boxes.entity]),
            box_offset=offsets_of(list(map(len, boxes.entity_boxes))),
            box=self._clipped(boxes, size, image_ids),
            types=phrases.type_names,
            warnings=phrases.warnings,
            digests=digests,
        )

    def _clipped(self, boxes: _Boxes, size: NDArray[np.int64], image_ids: Sequence[str]) -> NDArray[np.float64]:
        """The edges of all boxes, in pixels, as far as they lie in their image."""
        count = [sum(map(len, boxes.entity_boxes[first:last])) for first, last in boxes.entities_of_images()]
        raw = np.array([box for group in boxes.entity_boxes for box in group], np.float64).reshape(-1, 4)
        image = np.repeat(np.arange(len(size)), count)
        limit = np.tile(size[image], 2).astype(np.float64)
        outside = np.flatnonzero(((raw[:, :2] > limit[:, :2]) | (raw[:, 2:] < 1)).any(axis=1))
        if len(outside):
            name, (width, height) = image_ids[image[outside[0]]], size[image[outside[0]]].tolist()
            raise GroundTruthError(
                f"{self._files.path}: Annotations/{name}.xml is no annotation (box "
                f"{raw[outside[0]].astype(int).tolist()} lies outside its image of {width} x {height})"
            )
        return np.asarray(np.clip(raw - self._shift, 0, limit))

    def _read(self, name: str, digests: dict[str, bytes]) -> bytes:
        try:
            data = self._files.read(name)
        except OSError as error:
            raise GroundTruthError(f"{self._files.path} has no readable {name}", hint=NEEDED) from error
        digests[name] = hashlib.sha256(data).digest()
        return data


class _Boxes:
    """The boxes of each chain, image by image."""

    def __init__(self) -> None:
        self.size: list[tuple[int, int]] = []
        self.entity: list[dict[str, int]] = []  # by image: chain id -> entity
        self.entity_boxes: list[list[tuple[int, ...]]] = []  # by entity

    def add(self, root: Element) -> None:
        chains: dict[str, int] = {}
        size, width, height = root.find("size"), 0, 0
        if size is not None:
            width, height = (_whole(size.findtext(name, "")) for name in ("width", "height"))
        for element in root.findall("object"):
            edges = element.find("bndbox")
            if edges is None:
                continue
            texts = [edges.findtext(name, "") for name in _EDGES]
            box = tuple([int(text) if len(text) < 8 and text.isdigit() else _whole(text) for text in texts])
            names = [(child.text or "").strip() for child in element.findall("name")]
            if box[0] > box[2] or box[1] > box[3]:
                raise ValueError(f"box {list(box)} of {' '.join(names)} ends before it begins")
            for name in names:
                if name not in chains:
                    chains[name] = len(self.entity_boxes)
                    self.entity_boxes.append([])
                self.entity_boxes[chains[name]].append(box)
        if width <= 0 or height <= 0:
            raise ValueError(f"size {width} x {height}")
        self.size.append((width, height))
        self.entity.append(chains)

    def entities_of_images(self) -> Iterator[tuple[int, int]]:
        """The first entity of each image, and the one after its last."""
        return itertools.pairwise(itertools.accumulate(map(len, self.entity), initial=0))


def _whole(text: str) -> int:
    """A whole number of a size that a coordinate can have, white space around it or not."""
    digits = text.strip()
    if not digits.removeprefix("-").isdecimal() or not digits.isascii():
        raise ValueError(f"{text[:40]!r} is no whole number")
    if len(digits) > 8 or abs(int(digits)) > LARGEST_SIZE:
        raise ValueError(f"{text[:40]!r} is out of range")
    return int(digits)
