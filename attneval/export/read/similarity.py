"""Similarity matrices for retrieval: of an export, of files of their own, averaged over an ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.errors import ExportError
from attneval.export.lint_weights import repeated_rows
from attneval.export.read.reader import open_export
from attneval.storage.npy import map_npy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport
    from attneval.metrics.ranks import Matrix


REPEATS_SOUGHT = 50
"""Rows of a matrix among which repeated ones are looked for."""


@record
class Similarity:
    """Scores of I images with N captions.

    Attributes:
        image_id: The images' ids.
        caption_image: i8[N], the row of each caption's image.
        matrix: The scores.
        source: The files, for messages.
    """

    image_id: list[str]
    caption_image: NDArray[np.int64]
    matrix: Matrix
    source: str

    def captions_of(self, keep: NDArray[np.int64]) -> NDArray[np.int64]:
        """The columns i8[c] of the captions of images i8[k]."""
        return np.flatnonzero(np.isin(self.caption_image, keep))

    def of_images(self, keep: NDArray[np.int64]) -> Similarity:
        """The scores of images i8[k], ascending, and their captions alone."""
        if len(keep) == len(self.image_id):
            return self
        columns = self.captions_of(keep)
        return Similarity(
            [self.image_id[row] for row in keep.tolist()],
            np.searchsorted(keep, self.caption_image[columns]),
            _Part(self.matrix, keep, columns),
            self.source,
        )


def similarity_of(export: AttentionExport) -> Similarity | None:
    """The similarity that an export carries, if it does."""
    if export.similarity is None:
        return None
    return Similarity(export.image_id, export.caption_image, export.similarity, str(export.path))


def open_similarity(paths: Sequence[Path], export: AttentionExport | None) -> tuple[Similarity, list[str]]:
    """Open similarity files; several are averaged.

    Args:
        paths: `.npz` exports with `similarity`, or `.npy` matrices f[I, N]. A bare matrix takes its images and
            captions from the export, or, without one, has N / I consecutive captions per image.
        export: The export that is scored beside it, if any.

    Returns:
        The scores, and what had to be assumed.

    Raises:
        ExportError: A file cannot be read, or the files are of different images or captions.
    """
    opened = [_open(path, export) for path in paths]
    first = opened[0]
    for path, other in zip(paths[1:], opened[1:], strict=True):
        same = other.image_id == first.image_id and np.array_equal(other.caption_image, first.caption_image)
        if not same or other.matrix.shape != first.matrix.shape:
            raise ExportError(
                f"{path} and {paths[0]} score different images or captions "
                f"({other.matrix.shape} and {first.matrix.shape})",
                hint="an ensemble needs the same images and captions in the same order",
            )
    bare = [str(path) for path in paths if path.suffix == ".npy"]
    assumed = []
    if bare and export is None:
        per_image = len(first.caption_image) // len(first.image_id)
        assumed.append(f"{', '.join(bare)}: taken to have {per_image} consecutive captions per image")
    matrix = first.matrix if len(opened) == 1 else _Mean([similarity.matrix for similarity in opened])
    return Similarity(first.image_id, first.caption_image, matrix, ", ".join(map(str, paths))), assumed


def _open(path: Path, export: AttentionExport | None) -> Similarity:
    if path.suffix != ".npy":
        carried = similarity_of(open_export(path))
        if carried is None:
            raise ExportError(
                f"{path} has no similarity", hint="--similarity takes files with an image x caption matrix"
            )
        return carried
    array = map_npy(path)
    if array.ndim != 2 or array.dtype.kind != "f" or not array.size:
        raise ExportError(
            f"{path} holds {array.dtype}{list(array.shape)}, expected a matrix of floats, images x captions"
        )
    images, captions = array.shape
    repeats = repeated_rows(np.asarray(array[:REPEATS_SOUGHT]))
    if repeats > 1:
        raise ExportError(
            f"{path} has shape {array.shape}, and its rows are repeated {repeats} times each: features of repeated "
            "images were scored, so that no caption finds its image among its copies",
            hint=f"keep every row once: np.save({str(path)!r}, np.load({str(path)!r})[::{repeats}])",
        )
    if export is not None:
        if (images, captions) != (len(export.image_id), len(export.caption_image)):
            raise ExportError(
                f"{path} has shape {array.shape}, but {export.path} has {len(export.image_id)} images and "
                f"{len(export.caption_image)} captions"
            )
        return Similarity(export.image_id, export.caption_image, _Whole(array), str(path))
    if captions % images:
        raise ExportError(
            f"{path} has {captions} captions for {images} images, which is no whole number per image",
            hint="rows are images and columns are captions; give an .npz with caption_image to say which is whose",
        )
    names, image = [str(row) for row in range(images)], np.arange(captions) // (captions // images)
    return Similarity(names, image, _Whole(array), str(path))


class _Whole:
    """A matrix that is one array."""

    def __init__(self, array: NDArray[np.floating]) -> None:
        self._array = array
        self.shape = (int(array.shape[0]), int(array.shape[1]))

    def rows(self, start: int, stop: int) -> NDArray[np.floating]:
        return self._array[start:stop]


class _Mean:
    """The mean of several matrices."""

    def __init__(self, matrices: Sequence[Matrix]) -> None:
        self._matrices = matrices
        self.shape = matrices[0].shape

    def rows(self, start: int, stop: int) -> NDArray[np.floating]:
        return np.asarray(np.mean([m.rows(start, stop) for m in self._matrices], axis=0, dtype=np.float64))


class _Part:
    """Some rows and columns of a matrix."""

    def __init__(self, matrix: Matrix, keep: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
        self._matrix, self._keep, self._columns = matrix, keep, columns
        self.shape = (len(keep), len(columns))

    def rows(self, start: int, stop: int) -> NDArray[np.floating]:
        rows = self._keep[start:stop]
        runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        return np.concatenate([self._matrix.rows(int(r[0]), int(r[-1]) + 1)[:, self._columns] for r in runs])
