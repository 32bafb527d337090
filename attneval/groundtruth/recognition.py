"""Recognition of annotation files by what they hold."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from attneval.errors import GroundTruthError
from attneval.groundtruth.documents import Document, Lines

if TYPE_CHECKING:
    from pathlib import Path

LOOKED_AT = 20
"""Entries of a list that are looked at."""


class Candidate:
    """A file or directory that may be part of some annotations.

    Args:
        path: Where it is.
        named: Whether it was asked for itself, and not found in a directory.
    """

    def __init__(self, path: Path, *, named: bool = True) -> None:
        self.path, self.named = path, named
        self.document = Document(path)

    @cached_property
    def is_directory(self) -> bool:
        """Tell a directory from a file."""
        return self.path.is_dir()

    @cached_property
    def is_zip(self) -> bool:
        """Tell a zip file; one that is cut off is meant to be one too, and lacks only its end."""
        if self.is_directory or self.document.begins(b"PK"):
            return not self.is_directory
        from zipfile import is_zipfile

        return is_zipfile(self.path)

    @cached_property
    def data(self) -> Any:
        """The data of the file; None for directories, zip files, and files in a directory that are no JSON."""
        if self.is_directory or self.is_zip:
            return None
        try:
            return self.document.data
        except GroundTruthError:
            if self.named:
                raise
            return None


def candidates(path: Path) -> list[Candidate]:
    """The files that a path stands for: itself, or for a directory of JSON files these.

    Raises:
        GroundTruthError: There is nothing, or it cannot be looked at.
    """
    try:
        if not path.exists():
            raise GroundTruthError(
                f"{path} does not exist", hint="--gt takes annotation files, a directory of them, or annotations.zip"
            )
        candidate = Candidate(path)
        if not candidate.is_directory or entities_release(candidate):
            return [candidate]
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in {".json", ".jsonl", ".p", ".pkl"})
        if not files and folder_of_pngs(candidate):
            return [candidate]
        folders = [Candidate(child) for child in sorted(path.iterdir()) if child.is_dir()]
        images = [folder.path for folder in folders if folder_of_pngs(folder)]
        return [Candidate(file, named=False) for file in (*files, *images)] or [candidate]
    except (OSError, ValueError) as error:  # names of too many bytes, or with a null byte
        raise GroundTruthError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from error


def entities_release(candidate: Candidate) -> bool:
    """Flickr30k Entities: two folders, here or one level down, or a zip file of them."""
    path = candidate.path
    if not candidate.is_directory:
        return candidate.is_zip
    if (path / "annotations.zip").is_file():
        return True
    folders = (path, *(child for child in path.iterdir() if child.is_dir()))
    return any((folder / "Annotations").is_dir() and (folder / "Sentences").is_dir() for folder in folders)


def folder_of_pngs(candidate: Candidate) -> bool:
    """A directory of label images, here or up to two levels down."""
    patterns = ("*.png", "*/*.png", "*/*/*.png")
    return candidate.is_directory and any(next(candidate.path.glob(pattern), None) for pattern in patterns)


def raw_captions(candidate: Candidate) -> bool:
    """A dictionary from images to the texts of their captions."""
    values = _values(candidate)
    return bool(values) and all(isinstance(texts, list) and all(isinstance(t, str) for t in texts) for texts in values)


def grounding(candidate: Candidate) -> bool:
    """A COCO-style JSON with a caption at each image."""
    return _has(_list(candidate, "images"), "caption")


def captions(candidate: Candidate) -> bool:
    """COCO captions."""
    return _has(_list(candidate, "annotations"), "caption") and not grounding(candidate)


def instances(candidate: Candidate) -> bool:
    """COCO or LVIS instances."""
    annotations = _list(candidate, "annotations")
    shapes = _has(annotations, "bbox") or _has(annotations, "segmentation") or not annotations
    return shapes and bool(_list(candidate, "categories")) and not grounding(candidate) and not panoptic(candidate)


def panoptic(candidate: Candidate) -> bool:
    """COCO panoptic segments."""
    return _has(_list(candidate, "annotations"), "segments_info")


def references(candidate: Candidate) -> bool:
    """Referring expressions in the layout of REFER."""
    return _has(candidate.data, "sentences") and _has(candidate.data, "ref_id")


def caption_entities(candidate: Candidate) -> bool:
    """COCO Entities."""
    data = candidate.data
    first = next(iter(data.values()), None) if isinstance(data, dict) else None
    return isinstance(first, dict) and _has(list(islice(first.values(), LOOKED_AT)), "det_sequences")


def narratives(candidate: Candidate) -> bool:
    """Panoptic narratives."""
    return _has(candidate.data, "segments") and _has(candidate.data, "image_id")


def regions(candidate: Candidate) -> bool:
    """Region descriptions of Visual Genome."""
    return _has(candidate.data, "regions")


def phrase_masks(candidate: Candidate) -> bool:
    """Phrases of PhraseCut."""
    return _has(candidate.data, "Polygons")


def expressions(candidate: Candidate) -> bool:
    """A flat list of expressions with a box or null."""
    return _has(candidate.data, "solution")


def caption_masks(candidate: Candidate) -> bool:
    """Captions with grounded phrases as GLaMM writes them."""
    data = candidate.data
    named = _has(data, "file_name") or _has(data, "img_file_name")
    return _has(data, "groundings") or (_has(data, "refs") and named)


def grounding_lines(candidate: Candidate) -> bool:
    """ODVG: a grounding a line."""
    return _has(_lines(candidate), "grounding") or _has(_lines(candidate), "detection")


def traces(candidate: Candidate) -> bool:
    """Localized Narratives: a narrative a line."""
    return _has(_lines(candidate), "timed_caption")


def questions(candidate: Candidate) -> bool:
    """Questions of GQA."""
    values = _values(candidate)
    return _has(values, "question") and _has(values, "imageId")


def scene_graphs(candidate: Candidate) -> bool:
    """Scene graphs of GQA."""
    values = _values(candidate)
    return _has(values, "objects") and _has(values, "width")


def detections(candidate: Candidate) -> bool:
    """Results of a detector in COCO's layout."""
    return _has(candidate.data, "score") and _has(candidate.data, "category_id")


def video_entities(candidate: Candidate) -> bool:
    """ActivityNet-Entities."""
    data = candidate.data.get("annotations") if isinstance(candidate.data, dict) else None
    return isinstance(data, dict) and _has(list(islice(data.values(), LOOKED_AT)), "segments")


def sizes(candidate: Candidate) -> bool:
    """Image sizes alone: `image_data.json`, or `images` of a COCO JSON without annotations."""
    data = candidate.data
    if isinstance(data, list):
        return _has(data, "width") and _has(data, "image_id") and not any(map(_other_than_sizes, data[:1]))
    images = _list(candidate, "images")
    return _has(images, "width") and not _list(candidate, "annotations") and not _has(images, "caption")


def _other_than_sizes(entry: Any) -> bool:
    return isinstance(entry, dict) and not entry.keys().isdisjoint({"solution", "regions", "groundings", "caption"})


def _list(candidate: Candidate, name: str) -> list[Any]:
    value = candidate.data.get(name) if isinstance(candidate.data, dict) else None
    return value if isinstance(value, list) else []


def _values(candidate: Candidate) -> list[Any]:
    return list(islice(candidate.data.values(), LOOKED_AT)) if isinstance(candidate.data, dict) else []


def _lines(candidate: Candidate) -> list[Any]:
    """The entries of a file of lines; a file of one line is a single value."""
    data = candidate.data
    return data if isinstance(data, Lines) else [data]


def _has(entries: Any, name: str) -> bool:
    """Tell whether one of the first entries of a list has a name."""
    listed = entries[:LOOKED_AT] if isinstance(entries, list) else []
    return any(isinstance(entry, dict) and name in entry for entry in listed)
