"""Similarity matrices for retrieval: of an export, of files of their own, averaged over an ensemble."""

from __future__ import annotations

from dataclasses import replace
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
        caption_index: i8[N], which of its image's captions each is; -1 if unknown.
        named: False if images are called by the numbers of their rows, since nothing names them.
        caption_id: The captions' ids, where anybody asked for them.
        export_row: i8[N], the row of each caption in the export that is scored beside it, -1 if it is not there; None
            without an export.
    """

    image_id: list[str]
    caption_image: NDArray[np.int64]
    matrix: Matrix
    source: str
    caption_index: NDArray[np.int64]
    named: bool = True
    caption_id: list[str] | None = None
    export_row: NDArray[np.int64] | None = None

    def captions_of(self, keep: NDArray[np.int64]) -> NDArray[np.int64]:
        """The columns i8[c] of the captions of images i8[k]."""
        return np.flatnonzero(np.isin(self.caption_image, keep))

    def of_images(self, keep: NDArray[np.int64]) -> Similarity:
        """The scores of images i8[k], ascending, and their captions alone."""
        if len(keep) == len(self.image_id):
            return self
        columns = self.captions_of(keep)
        names = self.caption_id
        return replace(
            self,
            image_id=[self.image_id[row] for row in keep.tolist()],
            caption_image=np.searchsorted(keep, self.caption_image[columns]),
            matrix=_Part(self.matrix, keep, columns),
            caption_index=self.caption_index[columns],
            caption_id=None if names is None else [names[column] for column in columns.tolist()],
            export_row=None if self.export_row is None else self.export_row[columns],
        )


def similarity_of(export: AttentionExport) -> Similarity | None:
    """The similarity that an export carries, if it does."""
    if export.similarity is None:
        return None
    return _of_export(export, export.similarity, str(export.path))


def _of_export(export: AttentionExport, matrix: Matrix, source: str) -> Similarity:
    """Scores of the images and captions of an export."""
    rows = np.arange(len(export.caption_image))
    return Similarity(export.image_id, export.caption_image, matrix, source, export.caption_index, export_row=rows)


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
    return replace(first, matrix=matrix, source=", ".join(map(str, paths))), assumed


def _open(path: Path, export: AttentionExport | None) -> Similarity:
    if path.suffix != ".npy":
        other = open_export(path)
        carried = similarity_of(other)
        if carried is None:
            raise ExportError(
                f"{path} has no similarity", hint="--similarity takes files with an image x caption matrix"
            )
        return replace(carried, export_row=None if export is None else _rows_of(other, export))
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
        return _of_export(export, _Whole(array), str(path))
    if captions % images:
        raise ExportError(
            f"{path} has {captions} captions for {images} images, which is no whole number per image",
            hint="rows are images and columns are captions; give an .npz with caption_image to say which is whose",
        )
    image, index = np.divmod(np.arange(captions), captions // images)
    return Similarity([str(row) for row in range(images)], image, _Whole(array), str(path), index, named=False)


def _rows_of(other: AttentionExport, export: AttentionExport) -> NDArray[np.int64]:
    """The rows i8[N] in an export of another one's captions, by image and number; -1 for those that it lacks."""
    row_of = {name: row for row, name in enumerate(export.image_id)}
    image = np.array([row_of.get(name, -1) for name in other.image_id], np.int64)[other.caption_image]
    numbered = other.caption_index >= 0
    row = {
        key: place
        for place, key in enumerate(zip(export.caption_image.tolist(), export.caption_index.tolist(), strict=True))
    }
    pairs = zip(image.tolist(), other.caption_index.tolist(), numbered.tolist(), strict=True)
    return np.array([row.get((i, k), -1) if known else -1 for i, k, known in pairs], np.int64)


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
