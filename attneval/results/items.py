"""Items one by one, in a compact file beside a result."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.bits import bits_type
from attneval.arrays.ragged import distinct_values, offsets_of, ranges
from attneval.arrays.records import record
from attneval.arrays.strings import Strings
from attneval.errors import ResultError
from attneval.metrics.set_scores import SET_SCORES
from attneval.storage.archive import Archive
from attneval.storage.npz import write_npz
from attneval.storage.whole_files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

KINDS = ("right", "narrow", "spilled", "wrong entity", "wrong instance", "missed", "unreachable")
"""The kinds of items, as `attneval.evaluation.examine_items` defines them."""
RIGHT, NARROW, SPILLED, WRONG_ENTITY, WRONG_INSTANCE, MISSED, UNREACHABLE = range(len(KINDS))
TEXTS = ("image_id", "caption_text", "types")
"""Columns of texts."""
JOINT = ("caption_lift", "caption_rank")
"""Columns of the joint view, which are there where ranks are known."""
OPTIONAL = (*JOINT, "caption_group")
"""Columns that some tables lack."""
_COLUMNS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "caption_image": ("i4", "caption", ()),
    "caption_index": ("i2", "caption", ()),
    "item_caption": ("i4", "item", ()),
    "item_span": ("i4", "item", (2,)),
    "item_types": ("bits", "item", ()),
    "item_kind": ("u1", "item", ()),
    "item_scores": ("f4", "item", (3,)),
    "item_top": ("f4", "item", (2,)),
    "item_other": ("i4", "item", (2,)),
    "scored": ("b1", "item", ()),
    "region_offset": ("i8", "bound of a group", ()),
    "region_box": ("f4", "region", (4,)),
    "attended": ("u1", "byte", ()),
    "relevant": ("u1", "byte", ()),
    "caption_lift": ("f4", "caption", ()),
    "caption_rank": ("f4", "caption", ()),
    "caption_group": ("i4", "caption", ()),
}
"""By column: its type, the thing it has an entry for, and the shape of an entry; bits are i4 or i8, see `bits_type`."""


@record
class ItemTable:
    """m items of C captions of I images.

    Attributes:
        image_id: The images.
        caption_image: i4[C], row of each caption's image.
        caption_index: i2[C], which of its image's captions it is.
        caption_text: The captions.
        types: The names of the bits of `item_types`.
        region_offset: i8[G+1], first region of each group of regions: of each image, unless captions have their own.
        region_box: f4[sum R, 4], the regions that count.
        item_caption: i4[m], row of each item's caption.
        item_span: i4[m, 2], the word or phrase, half-open code points into the caption.
        item_types: i4[m] or i8[m], phrase types as bits, see `bits_type`.
        item_kind: u1[m], index into `KINDS`.
        item_scores: f4[m, 3], precision, recall and F1, as `SET_SCORES` has them.
        item_top: f4[m, 2], the region with the largest weight (the first of several), and that weight; -1 and 0 where
            the model gave no weights.
        item_other: i4[m, 2], the words of the caption that were attended in its place; (-1, -1) where none were.
        attended: u1, for each item one bit per region of its group, padded to bytes.
        relevant: u1, as `attended`.
        scored: b[m], true for items that count in precision, recall and F1.
        caption_lift: f4[C], the mean lift of each caption's scored items, NaN without any; None where no ranks are
            known.
        caption_rank: f4[C], the rank of its image among all for the caption, from 1, NaN where it is not known.
        caption_group: i4[C], the group of regions of each caption; None where groups are images.
    """

    image_id: Strings
    caption_image: NDArray[np.int32]
    caption_index: NDArray[np.int16]
    caption_text: Strings
    types: Strings
    region_offset: NDArray[np.int64]
    region_box: NDArray[np.float32]
    item_caption: NDArray[np.int32]
    item_span: NDArray[np.int32]
    item_types: NDArray[np.signedinteger[Any]]
    item_kind: NDArray[np.uint8]
    item_scores: NDArray[np.float32]
    item_top: NDArray[np.float32]
    item_other: NDArray[np.int32]
    attended: NDArray[np.uint8]
    relevant: NDArray[np.uint8]
    scored: NDArray[np.bool_]
    caption_lift: NDArray[np.float32] | None = None
    caption_rank: NDArray[np.float32] | None = None
    caption_group: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.item_kind)

    def score(self, name: str) -> NDArray[np.float64]:
        """Take one of the scores of `SET_SCORES`: f8[m]."""
        return self.item_scores[:, SET_SCORES.index(name)].astype(np.float64)

    def image_of(self, item: int) -> int:
        """Find the row of an item's image."""
        return int(self.caption_image[self.item_caption[item]])

    @property
    def group_of_caption(self) -> NDArray[np.int32]:
        """The group of regions of each caption, i4[C]."""
        return self.caption_image if self.caption_group is None else self.caption_group

    def regions(self, item: int) -> NDArray[np.float32]:
        """Take the regions of an item's image or caption: f4[R, 4]."""
        return self.regions_of_group(int(self.group_of_caption[self.item_caption[item]]))

    def regions_of_group(self, group: int) -> NDArray[np.float32]:
        """Take the regions of a group: f4[R, 4]."""
        return self.region_box[self.region_offset[group] : self.region_offset[group + 1]]

    def regions_of_image(self, image: int) -> NDArray[np.float32]:
        """Take the regions of all groups of an image: f4[R, 4]."""
        groups = distinct_values(self.group_of_caption[self.caption_image == image])
        return np.concatenate([self.region_box[:0], *map(self.regions_of_group, groups.tolist())])

    def members(self, item: int, bits: NDArray[np.uint8]) -> NDArray[np.int64]:
        """List the regions that an item's bits name, counted within its group: i8[k].

        Args:
            item: The item.
            bits: u1, `attended` or `relevant`.
        """
        count = len(self.regions(item))
        start = self._bytes[item]
        return np.flatnonzero(np.unpackbits(bits[start : start + (count + 7) // 8], count=count))

    @cached_property
    def _bytes(self) -> NDArray[np.int64]:
        count = np.diff(self.region_offset)[self.group_of_caption[self.item_caption]]
        return offsets_of((count + 7) // 8)

    def take(self, items: NDArray[np.int64]) -> ItemTable:
        """Take some of the items, with all captions and images.

        Args:
            items: i8[k], rows of items.
        """
        count = np.diff(self._bytes)[items]
        chosen = ranges(self._bytes[:-1][items], count)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("attended", "relevant"):
            values[name] = values[name][chosen]
        for name in (*(n for n in values if n.startswith("item_")), "scored"):
            values[name] = values[name][items]
        return ItemTable(**values)

    def sha256(self) -> str:
        """Compute a digest of the columns, however they are stored; a result's file holds that of its items."""
        digest = hashlib.sha256()
        for name, column in self._members().items():
            digest.update(f"{name} {column.dtype.str} {column.shape}\n".encode())
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the table as an `.npz`, whole or not at all."""
        with replacing(path) as file:
            self.write(file)

    def write(self, file: IO[bytes]) -> None:
        """Write the table as an `.npz` into an open file."""
        write_npz(file, self._members())

    def _members(self) -> dict[str, NDArray[Any]]:
        members: dict[str, NDArray[Any]] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            if isinstance(value, Strings):
                members[field.name], members[f"{field.name}_offset"] = value.to_utf8()
            else:
                members[field.name] = value.astype(np.uint8) if field.name == "scored" else value
        return members

    @classmethod
    def load(cls, path: Path) -> ItemTable:
        """Read a table.

        Raises:
            ResultError: It cannot be read.
        """
        if not path.is_file():
            raise ResultError(
                f"{path} does not exist", hint="items are kept by: attneval score ... -o result.json --items"
            )
        archive = Archive(path)
        names = set(archive.names)
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name in OPTIONAL and field.name not in names:
                continue
            needed = [field.name, f"{field.name}_offset"] if field.name in TEXTS else [field.name]
            missing = [name for name in needed if name not in names]
            if missing:
                raise ResultError(f"{path} is no items file: {missing[0]} is missing")
            try:
                values[field.name] = (
                    Strings.from_utf8(*map(archive.array, needed)) if needed[1:] else archive.array(*needed)
                )
            except (ValueError, IndexError, TypeError) as error:
                raise _damaged(path, f"{field.name} is no text ({error})") from error
        values["scored"] = values["scored"].astype(np.bool_)
        table = cls(**values)
        damage = next(table._damages(), None)
        if damage:
            raise _damaged(path, damage)
        return table

    def _damages(self) -> Iterator[str]:
        """Yield what keeps the columns from being read together; what comes later relies on what came before."""
        for name in TEXTS:
            strings = getattr(self, name)
            yield from _damages_of_offsets(f"{name}_offset", strings.offset, len(strings.code))
        counts = {
            "caption": len(self.caption_text),
            "item": len(self.item_kind),
            "bound of a group": len(self.image_id) + 1 if self.caption_group is None else self.region_offset.size,
            "region": len(self.region_box),
            "byte": len(self.attended),
        }
        bits = np.dtype(bits_type(len(self.types))).str[1:]
        present = {name: spec for name, spec in _COLUMNS.items() if getattr(self, name) is not None}
        for name, (kind, per, shape) in present.items():
            column, expected = getattr(self, name), bits if kind == "bits" else kind
            if column.dtype != expected or column.shape != (counts[per], *shape):
                yield f"{name} is {column.dtype}{list(column.shape)}, expected {expected}{[counts[per], *shape]}"
        yield from _damages_of_offsets("region_offset", self.region_offset, len(self.region_box))
        rows = {"caption_image": len(self.image_id), "item_caption": len(self.caption_text), "item_kind": len(KINDS)}
        if self.caption_group is not None:
            rows["caption_group"] = len(self.region_offset) - 1
        for name, count in rows.items():
            column = getattr(self, name)
            if len(column) and not 0 <= column.min() <= column.max() < count:
                yield f"{name} names rows beyond the {count} that there are"
        if self._bytes[-1] != len(self.attended):
            yield f"attended and relevant have {len(self.attended)} bytes each, expected {self._bytes[-1]}"
        if (self.caption_lift is None) != (self.caption_rank is None):
            yield "caption_lift and caption_rank stand without one another"
        length = np.diff(self.caption_text.offset)[self.item_caption]
        for name in ("item_span", "item_other"):
            start, stop = getattr(self, name).T
            if ((start >= 0) & ((start > stop) | (stop > length))).any():
                yield f"{name} points beyond its caption"


def _damages_of_offsets(name: str, offset: NDArray[Any], end: int) -> Iterator[str]:
    if offset.dtype.kind not in "iu":
        yield f"{name} is {offset.dtype}, expected whole numbers"
    if offset.ndim != 1 or not len(offset) or offset[0] != 0 or offset[-1] != end or (np.diff(offset) < 0).any():
        yield f"{name} does not ascend from 0 to {end}"


def _damaged(path: Path, damage: str) -> ResultError:
    return ResultError(f"{path} is a damaged items file: {damage}", hint="score the export again with --items")
