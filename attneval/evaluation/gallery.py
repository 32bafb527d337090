"""The gallery of retrieval: the images and captions that queries are ranked among, by the ids that others know them by.

An export names its images, and a bare matrix nothing; ranked lists name what they list, but not whose captions are
whose. What is lacking comes from `--caption-ids`, from `--image-ids`, or from a relevance set that only lists what
belongs together.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.errors import AlignmentError, first_of
from attneval.groundtruth.image_names import coco_number

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.evaluation.gallery_files import GalleryFiles
    from attneval.export.read.ranked_lists import RankedLists
    from attneval.export.read.similarity import Similarity
    from attneval.groundtruth.gallery_ids import GivenIds

IMAGES_HINT = "name rows with --image-ids FILE, or give the original pair of relevance sets, which says whose is whose"
ORIGINAL = "original"
"""The name of the set that lists what belongs together."""


@record
class Gallery:
    """I images and N captions.

    Attributes:
        image_id: The images' ids.
        caption_id: The captions' ids.
        caption_image: i8[N], the row of each caption's image.
        source: The files that they are from, for messages.
    """

    image_id: list[str]
    caption_id: list[str]
    caption_image: NDArray[np.int64]
    source: str

    @cached_property
    def image_row(self) -> dict[str, int]:
        """The row of each image by its id as relevance sets spell it: of COCO images the number."""
        return {_plain(coco_number(name)): row for row, name in enumerate(self.image_id)}

    @cached_property
    def caption_row(self) -> dict[str, int]:
        """The row of each caption by its id."""
        return {_plain(name): row for row, name in enumerate(self.caption_id)}


def _plain(name: str) -> str:
    """An id as annotation files have it: numbers are the same with zeros in front and without."""
    return str(int(name)) if name.isascii() and name.isdigit() and len(name) < 20 else name


def name_matrix(scores: Similarity, files: GalleryFiles) -> Similarity:
    """Name the images and captions of a similarity matrix.

    Args:
        scores: The matrix.
        files: What names them.

    Raises:
        AlignmentError: Names do not fit the matrix, or are lacking.
    """
    given, names = files.captions, None
    if given is not None and given.listed is not None:
        if len(given.listed) != len(scores.caption_image):
            raise AlignmentError(
                f"{given.path} has {len(given.listed)} ids of captions, but {scores.source} scores "
                f"{len(scores.caption_image)} captions",
                hint="ids stand in the order of columns, one for each",
            )
        names = list(given.listed)
    if not scores.named:
        scores = replace(scores, image_id=_row_ids(scores, files, names), named=True)
    elif files.image_ids is not None:
        raise AlignmentError(
            f"{scores.source} names its images, and {files.image_ids} would name them again",
            hint="--image-ids is for a bare matrix",
        )
    if names is None:
        names = _numbered(scores) if given is None else _counted(scores, given)
    return replace(scores, caption_id=names)


def _row_ids(scores: Similarity, files: GalleryFiles, captions: list[str] | None) -> list[str]:
    """Ids for the rows of a bare matrix."""
    images, owner = len(scores.image_id), scores.caption_image
    given = files.images
    if given is not None and given.listed is not None:
        listed = list(given.listed)
        if len(listed) == len(owner) != images:
            listed = _agreed(scores, listed, given.path)
        if len(listed) != images:
            raise AlignmentError(
                f"{given.path} has {len(listed)} ids of images, but {scores.source} scores {images} images",
                hint="ids stand in the order of rows, one for each",
            )
        return _distinct(listed, given.path)
    owners, path = _owners(files, captions)
    if captions is None or owners is None:
        raise AlignmentError(f"{scores.source}: nothing names its {images} images", hint=IMAGES_HINT)
    lacking = [name for name in captions if name not in owners]
    if lacking:
        raise AlignmentError(
            f"{path} names no image for {len(lacking)} of {len(captions)} captions (first: {first_of(lacking)})",
            hint=IMAGES_HINT,
        )
    return _distinct(_agreed(scores, [owners[name] for name in captions], path), path)


def _owners(files: GalleryFiles, captions: list[str] | None) -> tuple[dict[str, str] | None, Path | None]:
    """The image of each caption by its id, from the first file that says so."""
    if files.images is not None and files.images.listed is None:
        return _by_caption(files.images), files.images.path
    if files.captions is not None and files.captions.listed is None:
        return _by_caption(files.captions), files.captions.path
    known = None if captions is None else set(captions)
    # Other sets may happen to list each caption once; the one that says so by its name goes first.
    for listed in sorted(files.sets, key=lambda one: one.name != ORIGINAL):
        owners = listed.owners(known)
        if owners is not None:
            return owners, listed.path
    return None, None


def _by_caption(given: GivenIds) -> dict[str, str]:
    return {caption: image for image, captions in given.captions_of.items() for caption in captions}


def _agreed(scores: Similarity, by_caption: list[str], path: Path | None) -> list[str]:
    """The image ids of rows from those of columns, which agree within each row."""
    named: dict[int, str] = {}
    for column, (row, name) in enumerate(zip(scores.caption_image.tolist(), by_caption, strict=True)):
        if named.setdefault(row, name) != name:
            raise AlignmentError(
                f"{path}: column {column} of {scores.source} is a caption of image {name}, but the others of row {row} "
                f"are of image {named[row]}",
                hint="the captions of an image stand together, in the order of rows",
            )
    return [named[row] for row in range(len(scores.image_id))]


def _distinct(names: list[str], path: Path | None) -> list[str]:
    place: dict[str, int] = {}
    for row, name in enumerate(names):
        if place.setdefault(name, row) != row:
            raise AlignmentError(f"{path}: image {name} names rows {place[name]} and {row}")
    return names


def _counted(scores: Similarity, given: GivenIds) -> list[str]:
    """Ids of captions that are the k-th of their images."""
    names, lacking = [], []
    for row, index in zip(scores.caption_image.tolist(), scores.caption_index.tolist(), strict=True):
        image = scores.image_id[row]
        captions = given.captions_of.get(coco_number(image), [])
        if 0 <= index < len(captions):
            names.append(captions[index])
        else:
            lacking.append(f"{image}#{'?' if index < 0 else index}")
    if lacking:
        raise AlignmentError(
            f"{given.path} has no id for {len(lacking)} of {len(scores.caption_image)} captions of {scores.source} "
            f"(first: {first_of(lacking)})",
            hint="caption k of an image has its k-th smallest id; an .npy of ids in the order of columns will do, too",
        )
    return names


def _numbered(scores: Similarity) -> list[str]:
    """Ids as in `36979#2`, where nothing else names captions."""
    pairs = zip(scores.caption_image.tolist(), scores.caption_index.tolist(), strict=True)
    return [
        f"{scores.image_id[row]}#{index if index >= 0 else f'?{column}'}" for column, (row, index) in enumerate(pairs)
    ]


def gallery_of_lists(lists: dict[str, RankedLists], files: GalleryFiles) -> Gallery:
    """Find the images and captions that ranked lists were made from.

    Args:
        lists: Ranked lists by direction.
        files: What names images and captions.

    Raises:
        AlignmentError: Nothing says whose captions are whose, or the lists hold ids that are not there.
    """
    source = ", ".join(dict.fromkeys(str(one.path) for one in lists.values()))
    listed = None if files.captions is None else files.captions.listed
    owners, path = _owners(files, None if listed is None else list(listed))
    if owners is None:
        owners, path = _owners_by_name(listed or _captions_in(lists)), files.caption_ids
    if owners is None:
        raise AlignmentError(
            f"{source}: nothing says which captions are whose, and so what was ranked",
            hint="give the original pair of relevance sets, or a captions JSON with --caption-ids",
        )
    captions = list(owners if listed is None else listed)
    lacking = [name for name in captions if name not in owners]
    if lacking:
        raise AlignmentError(f"{path} names no image for {len(lacking)} captions (first: {first_of(lacking)})")
    images = files.images.listed if files.images is not None and files.images.listed is not None else None
    image_id = list(dict.fromkeys(owners[name] for name in captions)) if images is None else list(images)
    row = {name: place for place, name in enumerate(image_id)}
    captions = [name for name in captions if owners[name] in row]
    gallery = Gallery(image_id, captions, np.array([row[owners[name]] for name in captions], np.int64), source)
    for one in lists.values():
        _refuse_unknown(one, gallery)
    return gallery


def _owners_by_name(captions: Iterable[str]) -> dict[str, str] | None:
    """The image of each caption whose id is of the form `36979#2`."""
    named = {caption: caption.rpartition("#")[0] for caption in captions}
    return named if named and all(named.values()) else None


def _captions_in(lists: dict[str, RankedLists]) -> list[str]:
    """The captions that lists name, as queries or answers."""
    names: dict[str, None] = dict.fromkeys(lists["t2i"].answers) if "t2i" in lists else {}
    for answers in lists["i2t"].answers.values() if "i2t" in lists else ():
        names.update(dict.fromkeys(answers))
    return list(names)


def _refuse_unknown(lists: RankedLists, gallery: Gallery) -> None:
    images, captions = gallery.image_row, gallery.caption_row
    queries, answers = (images, captions) if lists.direction == "i2t" else (captions, images)
    unknown = [name for name in lists.answers if name not in queries]
    beyond = [name for listed in lists.answers.values() for name in listed if name not in answers]
    for names, what in ((unknown, "queries"), (list(dict.fromkeys(beyond)), "answers")):
        if names:
            raise AlignmentError(
                f"{lists.path}: {len(names)} {what} of {lists.direction} are not in the gallery of "
                f"{len(images)} images and {len(captions)} captions (first: {first_of(names)})",
                hint="ids are those of the relevance sets, of --caption-ids and of --image-ids",
            )
