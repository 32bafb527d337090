"""The files of a scoring: what each is, how it is opened, and its digest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record
from attneval.errors import DataError
from attneval.evaluation.gallery_files import GalleryFiles
from attneval.export.read.reader import open_export
from attneval.groundtruth.annotation_files import AnnotationFiles
from attneval.results.scores import Input
from attneval.storage.addresses import located
from attneval.storage.digests import digest_beside, digest_of, partial_digest, state_of
from attneval.storage.read_files import reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.arrays.beside import Beside
    from attneval.config.protocol import Protocol
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import Source
    from attneval.groundtruth.annotation_files import GivenFiles


@record
class Paths:
    """The files that maps are scored from: enough to open them again in another process.

    Attributes:
        attn: The export, or its shards.
        boxes: A file of region boxes, if there is one.
        gt: The annotations, if there are any.
        channels: The channels whose mean is scored; None for all.
        detections: A file of detected boxes, if there is one.
    """

    attn: tuple[Path, ...]
    boxes: Path | None = None
    gt: AnnotationFiles | None = None
    channels: tuple[int, ...] | None = None
    detections: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the model's side."""
        return (*self.attn, *(path for path in (self.boxes, self.detections) if path is not None))

    def absolute(self) -> Paths:
        """The same files for processes in other folders."""
        return Paths(
            tuple(path.absolute() for path in self.attn),
            None if self.boxes is None else self.boxes.absolute(),
            None if self.gt is None else self.gt.absolute(),
            self.channels,
            None if self.detections is None else self.detections.absolute(),
        )

    def named_as(self, other: Paths) -> dict[str, str]:
        """The names of the files, each with that of the same file in other paths, where these differ."""
        pairs = zip(self._all, other._all, strict=True)
        return {str(here): str(there) for here, there in pairs if str(here) != str(there)}

    @property
    def _all(self) -> tuple[Path, ...]:
        return self.files if self.gt is None else (*self.files, *self.gt.paths, *self.gt.sizes)

    def states(self) -> tuple[str, ...]:
        """The state of each of these files, told without reading it."""
        return tuple(map(state_of, self.files))

    def open_export(self) -> AttentionExport | None:
        """Open the export; None if there is none."""
        if not self.attn:
            return None
        export = replace(open_exports(self.attn, self.boxes), averaged=self.channels)
        if self.detections is None:
            return export
        # What few need is imported for them alone.
        from attneval.export.read.detections import with_detections

        return with_detections(export, self.detections)

    def open_ground_truth(self, protocol: Protocol) -> Source | None:
        """Open the annotations."""
        return None if self.gt is None else self.gt.open(protocol)

    def open_for_maps(self, export: AttentionExport | None, protocol: Protocol) -> Source | None:
        """Open the annotations if the export has maps to hold against them."""
        return self.open_ground_truth(protocol) if export is not None and export.maps else None


def open_exports(paths: tuple[Path, ...], boxes: Path | None = None) -> AttentionExport:
    """Open an export, or its shards as one, with the region boxes of another file if there is one."""
    export = open_export(paths[0])
    # What few need is imported for them alone; start-up is a good part of the time of a small scoring.
    if len(paths) > 1:
        from attneval.export.read.shards import join_shards

        export = join_shards([export, *map(open_export, paths[1:])])
    if boxes is not None:
        from attneval.export.read.boxfile import with_boxes

        export = with_boxes(export, boxes)
    return export


@record
class Manifest:
    """All files of a scoring, with their digests.

    Attributes:
        paths: The files that maps are scored from.
        similarity: Similarity files in place of the export's own matrix.
        gallery: Relevance sets, and what names the images and captions that are ranked.
        split: A text file of image ids.
        digests: Role, path and digest of each file that is read whole.
    """

    paths: Paths
    similarity: tuple[Path, ...]
    gallery: GalleryFiles
    split: Path | None
    digests: tuple[tuple[str, Path, Beside[str]], ...]

    @classmethod
    def from_arguments(
        cls,
        attn: str | Path | Sequence[str | Path] | None,
        gt: GivenFiles | None,
        *,
        boxes: str | Path | None = None,
        split: str | Path | None = None,
        similarity: Sequence[str | Path] = (),
        relevance: Sequence[str | Path] = (),
        caption_ids: str | Path | None = None,
        image_ids: str | Path | None = None,
        gt_format: str = "auto",
        detections: str | Path | None = None,
    ) -> Manifest:
        """Name the files of a scoring.

        Args:
            attn: See `attneval.score`; so are the others.
            gt: See `attn`.
            boxes: See `attn`.
            split: See `attn`.
            similarity: See `attn`.
            relevance: See `attn`.
            caption_ids: See `attn`.
            image_ids: See `attn`.
            gt_format: See `attn`.
            detections: See `attn`.

        Raises:
            DataError: One of them is no file.
        """
        exports = () if attn is None else (attn,) if isinstance(attn, str | Path) else tuple(attn)
        roles = [*(("attn", path) for path in exports), ("boxes", boxes), ("detections", detections)]
        roles += [("split", split)]
        roles += [("similarity", path) for path in similarity]
        roles += [*(("relevance", path) for path in relevance), ("caption_ids", caption_ids), ("image_ids", image_ids)]
        files = [(role, _file(path)) for role, path in roles if path is not None]
        paths = Paths(
            tuple(path for role, path in files if role == "attn"),
            None if boxes is None else located(boxes),
            None if gt is None else AnnotationFiles.from_argument(gt, gt_format),
            detections=None if detections is None else Path(detections),
        )
        gallery = GalleryFiles(
            tuple(map(Path, relevance)),
            None if caption_ids is None else Path(caption_ids),
            None if image_ids is None else Path(image_ids),
        )
        digests = tuple((role, path, digest_beside(path)) for role, path in files)
        split_file = None if split is None else located(split)
        return cls(paths, tuple(map(located, similarity)), gallery, split_file, digests)

    def split_ids(self) -> list[str] | None:
        """The image ids of the split, each once; None without a split.

        Raises:
            DataError: The file cannot be read.
        """
        if self.split is None:
            return None
        try:
            lines = self.split.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.split} cannot be read as a list of image ids ({error})") from error
        return list(dict.fromkeys(lines))

    def arguments(self) -> dict[str, Any]:
        """The files as they were given, as JSON values."""
        paths = self.paths
        return {
            "attn": list(map(str, paths.attn)),
            "gt": None if paths.gt is None else paths.gt.to_dict(),
            "boxes": None if paths.boxes is None else str(paths.boxes),
            "detections": None if paths.detections is None else str(paths.detections),
            "similarity": list(map(str, self.similarity)),
            "split": None if self.split is None else str(self.split),
            **self.gallery.arguments(),
        }

    def begin_digests(self, *, whole: bool = True) -> None:
        """Compute the digests beside other work, unless files are not read whole."""
        for _, _, digest in self.digests if whole else ():
            digest.start()

    def inputs(self, annotations_sha256: str | None, *, whole: bool = True) -> list[Input]:
        """The files as a result names them, the annotations last.

        Args:
            annotations_sha256: The digest of the annotation files that were read; None for none.
            whole: False for a part of the images, for which no file is read whole.
        """
        files = [
            Input(role, str(path), digest.result() if whole else partial_digest(path))
            for role, path, digest in self.digests
        ]
        gt = self.paths.gt
        if annotations_sha256 is None or gt is None:
            return files
        beside = [("gt_sizes", path) for path in gt.sizes] + [
            (role, path) for role, path in (("synonyms", gt.synonyms), ("classes", gt.classes)) if path is not None
        ]
        roles = [*(("gt", path) for path in gt.paths), *beside]
        return files + [
            Input(role, str(path), _digest(path, whole=whole) if path.is_file() else annotations_sha256)
            for role, path in roles
        ]

    @property
    def stem(self) -> str:
        """The first file's name without suffix, by which a system is called."""
        files = (*self.paths.attn, *self.similarity)
        return files[0].stem if files else ""


def _digest(path: Path, *, whole: bool) -> str:
    return digest_of(path) if whole else partial_digest(path)


def _file(path: str | Path) -> Path:
    path = located(path)
    with reading(path):
        there = path.is_file()
    if not there:
        raise DataError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
    return path
