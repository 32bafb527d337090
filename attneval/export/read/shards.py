"""Several files read as one export: the same model on different captions."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.arrays.strings import Strings
from attneval.errors import ExportError
from attneval.export.read.content import MapBlock
from attneval.export.read.regions import Regions
from attneval.export.weight_checks import coarsest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport, MapSource
    from attneval.export.read.text_source import TextSource


def join_shards(shards: Sequence[AttentionExport]) -> AttentionExport:
    """Read shards as one export, the captions of each after those before it.

    An image may be in several shards if it has the same size and regions in all of them; a caption may not. The
    similarities of shards are blocks of a matrix that nobody has, so they are left out.

    Raises:
        ExportError: The shards do not fit together.
    """
    first = shards[0]
    if len(shards) == 1:
        return first
    for shard in shards[1:]:
        differ = [name for name, a, b in zip(_TRAITS, _traits(first), _traits(shard), strict=True) if a != b]
        if differ:
            raise ExportError(f"{shard.path} and {first.path} are no shards of one export: {', '.join(differ)} differ")
    rows, home = _images(shards)
    caption_image = np.concatenate([row[shard.caption_image] for row, shard in zip(rows, shards, strict=True)])
    caption_index = np.concatenate([shard.caption_index for shard in shards])
    _refuse_repeated(shards, caption_image, caption_index)
    captions = offsets_of([len(shard.caption_image) for shard in shards])
    tokens = offsets_of([int(shard.token_offset[-1]) for shard in shards])
    sizes = [shards[s].image_size for s, _ in home]
    warnings = [warning for shard in shards for warning in shard.warnings]
    if any(shard.similarity is not None for shard in shards):
        warnings.append("similarity was left out: the blocks of several shards are not a whole matrix")
    return replace(
        first,
        path=Path(f"{len(shards)} shards"),
        header=replace(first.header, weights_dtype=coarsest(shard.header.weights_dtype for shard in shards)),
        files=tuple(shard.path for shard in shards),
        file_bound=captions,
        image_file=np.array([s for s, _ in home], np.int64),
        image_id=[shards[s].image_id[i] for s, i in home],
        image_size=None
        if first.image_size is None
        else np.array([size[i] for size, (_, i) in zip(sizes, home, strict=True) if size is not None], np.int64),
        regions=_regions(shards, home),
        caption_image=caption_image,
        caption_index=caption_index,
        caption_text=_texts([shard.caption_text for shard in shards], captions),
        token_offset=offsets_of(np.concatenate([np.diff(shard.token_offset) for shard in shards])),
        token_span=None
        if first.token_span is None
        else np.concatenate([shard.token_span for shard in shards if shard.token_span is not None]),
        token_text=_texts([shard.token_text for shard in shards], tokens),
        maps={name: _JoinedMaps([shard.maps[name] for shard in shards], captions) for name in first.maps},
        mass=None if first.mass is None else _JoinedMaps([s.mass for s in shards if s.mass is not None], captions),
        caption_region=None
        if first.caption_region is None
        else np.concatenate([shard.caption_region for shard in shards if shard.caption_region is not None]),
        similarity=None,
        warnings=tuple(dict.fromkeys(warnings)),
    )


_TRAITS = (
    *("kind", "normalised_over", "channels", "channel_name", "row_mass", "caption_region", "maps"),
    *("image_size", "grid", "grid_affine", "token_text"),
)


def _traits(shard: AttentionExport) -> tuple[Any, ...]:
    regions = shard.regions
    return (
        shard.header.kind,
        shard.header.normalised_over,
        shard.channel.tolist(),
        shard.channel_name,
        shard.mass is None,
        shard.caption_region is None,
        sorted(shard.maps),
        shard.image_size is None,
        "grid" if regions.grid_shape is not None else regions.known,
        regions.grid_affine is None,
        shard.token_text is None,
    )


def _images(shards: Sequence[AttentionExport]) -> tuple[list[NDArray[np.int64]], list[tuple[int, int]]]:
    """For each shard the rows of its images among all; and for each image the shard and row it is taken from."""
    known: dict[str, int] = {}
    home: list[tuple[int, int]] = []
    rows = []
    for s, shard in enumerate(shards):
        rows_here = np.empty(len(shard.image_id), np.int64)
        for i, image_id in enumerate(shard.image_id):
            if image_id not in known:
                known[image_id] = len(home)
                home.append((s, i))
            rows_here[i] = known[image_id]
            other, row = home[rows_here[i]]
            if other != s and _geometry(shard, i) != _geometry(shards[other], row):
                raise ExportError(f"{shard.path}: image {image_id} has other regions than in {shards[other].path}")
        rows.append(rows_here)
    return rows, home


def _geometry(export: AttentionExport, image: int) -> tuple[Any, Any, Any, Any]:
    """Size, boxes, grid and affine of an image, as plain values."""
    size = None if export.image_size is None else tuple(export.image_size[image].tolist())
    regions = export.regions
    if regions.grid_shape is not None:
        affine = None if regions.grid_affine is None else tuple(regions.grid_affine[image].tolist())
        return size, None, tuple(regions.grid_shape[image].tolist()), affine
    if regions.box is None:
        return size, int(regions.offset[image + 1] - regions.offset[image]), None, None
    return size, regions.box[regions.offset[image] : regions.offset[image + 1]].tolist(), None, None


def _refuse_repeated(
    shards: Sequence[AttentionExport], caption_image: NDArray[np.int64], caption_index: NDArray[np.int64]
) -> None:
    known = np.flatnonzero(caption_index >= 0)
    keys = caption_image[known] * (int(caption_index.max(initial=0)) + 1) + caption_index[known]
    order = np.argsort(keys, kind="stable")
    twice = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(twice):
        bound = offsets_of([len(shard.caption_image) for shard in shards])
        row = int(known[order[twice[0] + 1]])
        s = int(np.searchsorted(bound, row, side="right")) - 1
        name = shards[s].caption_name(row - int(bound[s]))
        raise ExportError(f"{shards[s].path}: caption {name} is in an earlier shard too ({len(twice)} such captions)")


def _regions(shards: Sequence[AttentionExport], home: list[tuple[int, int]]) -> Regions:
    """The regions of all images, each from the shard it is first in."""
    chosen = [np.array([i for t, i in home if t == s], np.int64) for s in range(len(shards))]
    parts = [(shard.regions, rows) for shard, rows in zip(shards, chosen, strict=True)]
    count = np.concatenate([np.diff(regions.offset)[rows] for regions, rows in parts])
    first = shards[0].regions

    def together(name: str, per_region: bool) -> NDArray[Any]:  # noqa: FBT001 - one of two kinds of columns
        pieces = []
        for regions, rows in parts:
            start, size = regions.offset[rows], np.diff(regions.offset)[rows]
            pieces.append(getattr(regions, name)[ranges(start, size) if per_region else rows])
        return np.concatenate(pieces)

    return Regions(
        offsets_of(count),
        box=None if first.box is None else together("box", per_region=True),
        grid_shape=None if first.grid_shape is None else together("grid_shape", per_region=False),
        grid_affine=None if first.grid_affine is None else together("grid_affine", per_region=False),
        member=first.member,
    )


def _texts(columns: Sequence[TextSource | None], bound: NDArray[np.int64]) -> Any:
    present = [column for column in columns if column is not None]
    return _JoinedStrings(present, bound) if len(present) == len(columns) else None


@record
class _JoinedStrings:
    """Columns of strings, one after the other."""

    columns: Sequence[TextSource]
    bound: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Strings:
        parts = [self.columns[s].take(rows[rows_here] - self.bound[s]) for s, rows_here in _by_shard(rows, self.bound)]
        joined = Strings(
            np.concatenate([part.code for part in parts]) if parts else np.zeros(0, np.uint32),
            offsets_of(np.concatenate([np.diff(part.offset) for part in parts]) if parts else []),
        )
        order = np.concatenate([rows_here for _, rows_here in _by_shard(rows, self.bound)]) if parts else rows
        return joined if (np.diff(order) > 0).all() else joined.take(np.argsort(order))


class _JoinedMaps:
    """Maps of several shards, one after the other."""

    def __init__(self, maps: Sequence[MapSource], bound: NDArray[np.int64]) -> None:
        self._maps, self._bound = maps, bound
        self.name, self.itemsize = maps[0].name, max(part.itemsize for part in maps)
        self.size = np.concatenate([part.size for part in maps])

    def take(self, rows: NDArray[np.int64]) -> MapBlock:
        if not len(rows):
            return self._maps[0].take(rows)
        flats, start, shift = [], np.empty(len(rows), np.int64), 0
        for s, rows_here in _by_shard(rows, self._bound):
            block = self._maps[s].take(rows[rows_here] - self._bound[s])
            flats.append(block.flat)
            start[rows_here] = block.start + shift
            shift += len(block.flat)
        flat = flats[0] if len(flats) == 1 else np.concatenate(flats)
        if (np.diff(start) < 0).any():
            # Captions of one image are in several shards. Who reads a block takes its captions to stand in their order.
            size = self.size[rows]
            flat, start = flat[ranges(start, size)], offsets_of(size)[:-1]
        return MapBlock(flat, start)


def _by_shard(rows: NDArray[np.int64], bound: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """The shards that some rows are in, and which of the rows each has."""
    shard = np.searchsorted(bound, rows, side="right") - 1
    order = np.argsort(shard, kind="stable")
    present, first = np.unique(shard[order], return_index=True)
    cuts = [*first.tolist(), len(rows)]
    return [(s, order[a:b]) for s, (a, b) in zip(present.tolist(), itertools.pairwise(cuts), strict=True)]
