"""An index of parsed annotations, so that a second run does not parse them again.

An index holds the columns of one list of images. It is found by what the annotation files are: their names, sizes and
times of change, for a zip file its members' checksums, and by this package's version. It is a plain `.npz` of arrays,
each in the smallest type that holds its numbers, safe to delete at any time, and nothing in it is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval._version import __version__
from attneval.arrays.strings import Strings
from attneval.errors import DataError
from attneval.groundtruth.columns import GroundTruth, joined_truth
from attneval.storage.archive import Archive
from attneval.storage.digests import sha256_of_many
from attneval.storage.whole_files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.groundtruth.columns import Source

SMALLEST = 200
"""Images below which parsing is as quick as looking for an index."""
LARGEST = 100_000
"""Images above which an index is not collected, to keep memory bounded."""
KEPT = 16
"""How many indexes are kept; the ones that were used longest ago go first."""
COARSE, FINE = 2 * 10**9, 2 * 10**7
"""Nanoseconds within which a file system may give two changes one time: where it counts seconds, and elsewhere."""
VERSION = 3
_TEXT = ("image_id", "types", "categories", "category_groups", "warnings")


def cache_folder() -> Path | None:
    """The folder of indexes: `$XDG_CACHE_HOME/attneval`, by default `~/.cache/attneval`; None without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attneval"
    except RuntimeError:
        return None


def just_changed(changed_ns: int, now_ns: int) -> bool:
    """Tell whether files changed so lately that another change could get the same time.

    An index of them could be taken for one of files that have changed since.
    """
    return now_ns - changed_ns < (COARSE if changed_ns % 10**6 == 0 else FINE)


class Cached:
    """Annotations read through an index, if there is one; otherwise what is read can be kept as one.

    Args:
        source: Where annotations are read from without an index.
        image_ids: The images that are going to be read.
    """

    def __init__(self, source: Source, image_ids: Sequence[str]) -> None:
        self._source = source
        self._image_ids = list(image_ids)
        self._path: Path | None = None
        self._collected: list[GroundTruth] | None = None
        self._index: Index | None = None
        now_ns, folder = time.time_ns(), cache_folder()
        state = source.state(self._image_ids) if SMALLEST <= len(self._image_ids) <= LARGEST else None
        if state is not None and folder is not None and not just_changed(source.changed_ns, now_ns):
            key = hashlib.sha256(f"{VERSION} {__version__} {state}\n".encode())
            key.update("\n".join(self._image_ids).encode("utf-8", "surrogatepass"))
            self._path = folder / f"{key.hexdigest()}.npz"
            self._index = Index.load(self._path)
            self._collected = [] if self._index is None else None

    @property
    def format(self) -> str:
        """The name of the format."""
        return self._source.format

    @property
    def collecting(self) -> bool:
        """True if what is read is going to be kept."""
        return self._collected is not None

    @property
    def index(self) -> Path | None:
        """The index that is read through, for other processes; None if there is none."""
        return None if self._index is None else self._path

    @property
    def changed_ns(self) -> int:
        """See `Source`."""
        return self._source.changed_ns

    def image_ids(self) -> list[str]:
        """All annotated images."""
        return self._source.image_ids()

    def missing(self, image_ids: Sequence[str]) -> list[str]:
        """Those of the ids that are not annotated."""
        return self._source.missing(image_ids)

    def state(self, image_ids: Sequence[str]) -> str | None:
        """See `Source`."""
        return self._source.state(image_ids)

    def read(self, image_ids: Sequence[str]) -> GroundTruth:
        """The annotations of some images, in that order."""
        if self._index is not None:
            return self._index.read(image_ids)
        return self._source.read(image_ids)

    def collect(self, truth: GroundTruth) -> None:
        """Keep what was read, in the order in which it is going to be read again."""
        if self._collected is not None:
            self._collected.append(truth)

    def sha256(self, digests: dict[str, bytes]) -> str:
        """The digest of the annotation files, from the index or from those of the files read."""
        return self._index.sha256 if self._index is not None else sha256_of_many(digests)

    def save(self, sha256: str) -> None:
        """Write what was collected, if it is everything. An index is a convenience: failing to write it is no error."""
        if self._path is None or not self._collected:
            return
        truth = joined_truth(self._collected)
        if truth.image_id != self._image_ids:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            Index.save(self._path, truth, sha256)
            _prune(self._path.parent)
        except (OSError, DataError):
            return


def through_index(source: Source | None, image_ids: Sequence[str], *, use: bool = True) -> Source | None:
    """Annotations read through an index of some images, if one may be used."""
    return Cached(source, image_ids) if use and source is not None else source


def digest_and_keep(source: Source | None, digests: dict[str, bytes], truth: Sequence[GroundTruth]) -> str | None:
    """The digest of annotation files, once they were read; what was read through an index is kept.

    Args:
        source: What they were read through; None for no annotations.
        digests: SHA-256 of every file read, by name.
        truth: What was read, in the order in which it is going to be read again.
    """
    if source is None:
        return None
    if not isinstance(source, Cached):
        return sha256_of_many(digests)
    for part in truth:
        source.collect(part)
    source.save(sha256_of_many(digests))
    return source.sha256(digests)


class Index:
    """Columns of all images of an index."""

    def __init__(self, truth: GroundTruth, sha256: str) -> None:
        self.sha256 = sha256
        self._truth = truth
        self._row = {image_id: row for row, image_id in enumerate(truth.image_id)}

    def read(self, image_ids: Sequence[str]) -> GroundTruth:
        """The annotations of some images, in that order."""
        return self._truth.take(np.array([self._row[image_id] for image_id in image_ids], np.int64))

    @staticmethod
    def save(path: Path, truth: GroundTruth, sha256: str) -> None:
        """Write an index; the files' digest with it."""
        from attneval.storage.npz import write_npz

        members: dict[str, Any] = {"sha256": np.frombuffer(sha256.encode(), np.uint8)}
        for field in dataclasses.fields(truth):
            value = getattr(truth, field.name)
            if field.name in _TEXT:
                value = Strings.from_texts(list(value))
            if isinstance(value, Strings):
                members[field.name], members[f"{field.name}_offset"] = value.code, value.offset
            elif field.name != "digests":
                members[field.name] = value
        with replacing(path) as file:
            write_npz(file, {name: _smallest(values) for name, values in members.items()})

    @classmethod
    def load(cls, path: Path) -> Index | None:
        """Read an index; None if there is none, or none that can be read."""
        try:
            if not path.is_file():
                return None
            archive = Archive(path)
            if archive.broken() is not None:
                return None
            values: dict[str, Any] = {"digests": {}}
            for field in dataclasses.fields(GroundTruth):
                if field.name == "digests":
                    continue
                column = archive.array(field.name)
                if f"{field.name}_offset" in archive.names and field.name in {*_TEXT, "text"}:
                    offset = archive.array(f"{field.name}_offset")
                    values[field.name] = Strings(column.astype(np.uint32), offset.astype(np.int64))
                else:
                    values[field.name] = column.astype(np.int64) if column.dtype.kind in "iu" else column
            sha256 = archive.array("sha256").tobytes().decode()
            os.utime(path)
        except (OSError, DataError, KeyError, ValueError):
            return None
        values["image_id"] = list(values["image_id"])
        values |= {name: tuple(values[name]) for name in _TEXT[1:]}
        return cls(GroundTruth(**values), sha256)


def _smallest(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in the smallest type that holds them; other arrays as they are."""
    if values.dtype.kind not in "iu" or not values.size:
        return values
    low, high = int(values.min()), int(values.max())
    return values.astype(np.min_scalar_type(high if low >= 0 else min(low, -high - 1)))


def _prune(folder: Path) -> None:
    indexes = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in indexes[KEPT:]:
        path.unlink(missing_ok=True)
