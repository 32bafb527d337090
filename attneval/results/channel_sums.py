"""Per-image sums of many channels, in a file beside a result: `result.json` has them in `result.channels.npz`.

A result of a thousand channels keeps a few values of each; what uncertainty is computed from, the sums of every image,
is kept here, as arrays. The result holds the digest of these sums, so that a file of another result is seen.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.records import record
from attneval.arrays.strings import Strings
from attneval.errors import DataError, ResultError
from attneval.metrics.declaration import ATTENTION
from attneval.metrics.populations import COUNTED, ITEMS
from attneval.metrics.registry import columns
from attneval.metrics.spatial import SPATIAL, SPATIAL_N
from attneval.statistics.image_sums import ImageSums
from attneval.storage.archive import Archive
from attneval.storage.npz import write_npz

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.metrics.totals import Table

CHANNELS_SUFFIX = ".channels.npz"
MASS, MASS_N = "image_mass", "image_mass_n"
"""The columns of the mass that rows have on the image: the sum over items, and how many items there are."""
UNBOUNDED = (SPATIAL, MASS)
"""Columns that nothing counted bounds."""
TOLERANCE = 1e-9
_TEXT = ("image_id", "channel_name", "direction")


def channels_path(path: Path) -> Path:
    """Name the file of a result's channels."""
    return path.with_name(path.stem + CHANNELS_SUFFIX)


def key_of(name: str, direction: str) -> str:
    """Name a channel in a direction, as a result does: `L3H5/t2i`."""
    return f"{name}/{direction}"


@record
class ChannelTable:
    """The sums of A channels on I images, in one or more directions.

    Attributes:
        name: The channels, each once.
        channel: i8[A, 2], layer and head of each, -1 where reduced over.
        image_id: The images, in the order of their ids.
        columns: By direction and column f8[A, I], or f8[1, I] where all channels have the same.
    """

    name: list[str]
    channel: NDArray[np.int64]
    image_id: list[str]
    columns: dict[str, Table]

    def sums(self, direction: str, row: int) -> ImageSums:
        """The sums of one channel, as those of a result."""
        table = self.columns[direction]
        return ImageSums(self.image_id, {name: values[row % len(values)] for name, values in table.items()})

    def taken(self, keep: NDArray[np.bool_]) -> ChannelTable:
        """The sums of some of the images.

        Args:
            keep: b[I].
        """
        image_id = [name for name, kept in zip(self.image_id, keep.tolist(), strict=True) if kept]
        return ChannelTable(
            self.name,
            self.channel,
            image_id,
            {d: {name: values[:, keep] for name, values in table.items()} for d, table in self.columns.items()},
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in it, whatever file it is in."""
        shapes = {d: {name: values.shape for name, values in table.items()} for d, table in self.columns.items()}
        head = json.dumps([self.name, self.channel.tolist(), self.image_id, shapes])
        digest = hashlib.sha256(head.encode("ascii"))
        for table in self.columns.values():
            for values in table.values():
                digest.update(np.ascontiguousarray(values, "<f8").tobytes())
        return digest.hexdigest()

    def write(self, file: IO[bytes]) -> None:
        """Write the table as an `.npz` into an open file."""
        members: dict[str, NDArray[Any]] = {"channel": self.channel.astype(np.int32)}
        texts = {"image_id": self.image_id, "channel_name": self.name, "direction": list(self.columns)}
        for name, listed in texts.items():
            members[name], members[f"{name}_offset"] = Strings.from_texts(listed).to_utf8()
        for direction, table in self.columns.items():
            members |= {f"{direction}_{name}": np.asarray(values, np.float64) for name, values in table.items()}
        write_npz(file, members)

    @classmethod
    def load(cls, path: Path) -> ChannelTable:
        """Read a table.

        Raises:
            ResultError: It cannot be read, or its columns cannot be sums.
        """
        if not path.is_file():
            raise ResultError(
                f"{path} does not exist: it holds the sums of the result's channels and is written beside it",
                hint="put it back beside the result, or score the export again with -o",
            )
        try:
            table = cls._read(Archive(path))
            damage = next(table.damages(), None)
        except (DataError, ValueError, IndexError, TypeError, KeyError, OverflowError) as error:
            raise _damaged(path, str(error)) from error
        if damage:
            raise _damaged(path, damage)
        return table

    @classmethod
    def _read(cls, archive: Archive) -> ChannelTable:
        texts = {name: list(_text(archive, name)) for name in _TEXT}
        channel = archive.array("channel")
        if channel.dtype != np.int32 or channel.shape != (len(texts["channel_name"]), 2):
            raise ValueError(f"channel is {channel.dtype}{list(channel.shape)}, expected int32[A, 2]")
        tables: dict[str, Table] = {}
        for direction in texts["direction"]:
            if direction not in {"t2i", "i2t"}:
                raise ValueError(f"direction {direction!r} does not exist")
            names = [name for name in archive.names if name.startswith(f"{direction}_")]
            tables[direction] = {name.removeprefix(f"{direction}_"): archive.array(name) for name in names}
        return cls(texts["channel_name"], channel.astype(np.int64), texts["image_id"], tables)

    def damages(self) -> Iterator[str]:
        """Yield what keeps the columns from being sums of channels."""
        if len(set(self.name)) != len(self.name):
            yield "channel_name names a channel twice"
        if any(a >= b for a, b in zip(self.image_id, self.image_id[1:], strict=False)):
            yield "image_id does not ascend"
        signed = {name for name, column in columns(*ATTENTION).items() if column.signed}
        for direction, table in self.columns.items():
            if ITEMS not in table:
                yield f"{direction} has no {ITEMS}"
            for name, values in table.items():
                where = f"{direction}_{name}"
                if values.dtype != np.float64 or values.ndim != 2 or values.shape[1] != len(self.image_id):
                    yield f"{where} is {values.dtype}{list(values.shape)}, expected float64[A, {len(self.image_id)}]"
                elif len(values) not in {1, len(self.name)}:
                    yield f"{where} has {len(values)} rows for {len(self.name)} channels"
                elif not np.isfinite(values).all() or (name not in signed and values.min(initial=0) < 0):
                    yield f"{where} has entries that are no sums"
            yield from _beyond(direction, table)

    @classmethod
    def joined(cls, tables: Sequence[ChannelTable]) -> ChannelTable:
        """Join tables of the same channels on different images."""
        first = tables[0]
        image_id = [name for table in tables for name in table.image_id]
        order = np.array(sorted(range(len(image_id)), key=image_id.__getitem__), np.int64)
        joined: dict[str, Table] = {}
        for direction in first.columns:
            parts = [table.columns[direction] for table in tables]
            joined[direction] = {
                name: concatenated([part[name] for part in parts])[:, order]
                for name in parts[0]
                if all(name in part for part in parts)
            }
        return cls(first.name, first.channel, [image_id[row] for row in order.tolist()], joined)


def concatenated(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Put columns f8[A, i] of different images side by side; one row stands for all where others have several."""
    channels = max(map(len, parts))
    return np.concatenate([np.broadcast_to(part, (channels, part.shape[1])) for part in parts], axis=1)


def _beyond(direction: str, table: Mapping[str, NDArray[np.float64]]) -> Iterator[str]:
    """Yield the columns that are more than what bounds them."""
    bounds = {name: column.bounds for name, column in columns(*ATTENTION).items()} | COUNTED | {MASS_N: (ITEMS,)}
    bounds |= {SPATIAL_N: (ITEMS,)}
    for name, above in bounds.items():
        for most in above:
            if name in table and most in table:
                low, high = table[name], table[most]
                if (low > high + TOLERANCE * np.maximum(high, 1)).any():
                    yield f"{direction}_{name} is more than {most}"


def _text(archive: Archive, name: str) -> Strings:
    data, offset = archive.array(name), archive.array(f"{name}_offset")
    if data.dtype != np.uint8 or offset.dtype != np.int64 or data.ndim != 1 or offset.ndim != 1:
        raise ValueError(f"{name} is no text")
    if not len(offset) or offset[0] != 0 or offset[-1] != len(data) or (np.diff(offset) < 0).any():
        raise ValueError(f"{name}_offset does not ascend from 0 to {len(data)}")
    return Strings.from_utf8(data, offset)


def _damaged(path: Path, damage: str) -> ResultError:
    return ResultError(f"{path} is a damaged file of channels: {damage}", hint="score the export again with -o")


@record
class StoredChannels:
    """The sums of a result's channels, in memory or in the file beside it, which is read when it is needed.

    Attributes:
        sha256: Their digest, see `ChannelTable.digest`.
        path: The file; None for sums in memory.
        made: The sums in memory; None for those in a file.
    """

    sha256: str
    path: Path | None = None
    made: ChannelTable | None = None

    @classmethod
    def of_table(cls, table: ChannelTable) -> StoredChannels:
        """Keep sums in memory."""
        return cls(table.digest, made=table)

    @cached_property
    def table(self) -> ChannelTable:
        """The sums.

        Raises:
            ResultError: The file cannot be read, or holds the sums of another result.
        """
        if self.made is not None:
            return self.made
        if self.path is None:
            raise ResultError("the sums of the result's channels are in a file beside it, of which nothing is known")
        table = ChannelTable.load(self.path)
        if table.digest != self.sha256:
            raise ResultError(
                f"{self.path} holds the channels of another result: its digest is {table.digest[:12]}..., expected "
                f"{self.sha256[:12]}...",
                hint="score the export again with -o",
            )
        return table
