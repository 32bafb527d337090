"""Turning exports of any layout and container, and shards of them, into one packed file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values, offsets_of, ranges
from attneval.errors import ExportError
from attneval.export.checks import check_images, check_maps, check_spans
from attneval.export.lint_weights import grid_hint
from attneval.export.problems import FileProblems
from attneval.export.read.containers import open_members_of
from attneval.export.read.perturbations import check_faithfulness
from attneval.export.read.reader import blocks_of_captions, open_members
from attneval.export.read.shards import join_shards
from attneval.export.write.writer import ExportWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport, MapBlock


BLOCK_BYTES = 4 * 2**20
"""Bytes of weights that are rearranged together."""


def open_any(path: Path) -> AttentionExport:
    """Open an export in an `.npz`, a `.safetensors` file or a `.pt` file of the same member names.

    Raises:
        ExportError: It cannot be read, or the package that reads it is not installed.
    """
    return open_members(open_members_of(path), FileProblems(path))


def pack(paths: Sequence[Path], target: Path) -> list[str]:
    """Write one packed export from one or several files.

    Args:
        paths: Exports; several are shards of one: the same kind, the same channels, different captions.
        target: The file to write.

    Returns:
        What a user should know: warnings of the files, and similarities that had to be left out.

    Raises:
        ExportError: A file breaks the format, or shards do not fit together.
    """
    shards = [open_any(path) for path in paths]
    for shard in shards:
        report = FileProblems(shard.path)
        check_images(report, shard)
        check_faithfulness(report, shard)
        report.stop_if_broken()
    export = join_shards(shards)
    if export.maps and not export.regions.known:
        raise ExportError(f"{export.path} has no region boxes", hint=_boxes_hint(export))
    writer = ExportWriter(
        target,
        kind=export.header.kind,
        normalised_over=export.header.normalised_over,
        channels=[(int(layer), int(head)) for layer, head in export.channel],
        channel_names=export.channel_name,
        weights_dtype=export.header.weights_dtype or None,
        # What is read has been checked.
        check=False,
        dtype="float16" if export.maps and all(maps.itemsize == 2 for maps in export.maps.values()) else "float32",
    )
    with writer as out:
        out.describe(export.header.about)
        regions = export.regions
        box = np.zeros((0, 4), np.float32) if regions.box is None else regions.box
        out.add_images(
            export.image_id,
            size=export.image_size,
            boxes=np.split(box, regions.offset[1:-1]) if regions.grid_shape is None else None,
            grid=regions.grid_shape,
            affine=regions.grid_affine,
        )
        for rows in blocks_of_captions(export, BLOCK_BYTES):
            _add_captions(out, export, rows)
        if export.similarity is not None:
            out.set_similarity(export.similarity.rows(0, export.similarity.shape[0]))
    return list(export.warnings)


def _add_captions(out: ExportWriter, export: AttentionExport, rows: NDArray[np.int64]) -> None:
    names = [export.image_id[i] for i in export.caption_image[rows].tolist()]
    indices = export.caption_index[rows].tolist()
    texts = None if export.caption_text is None else list(export.caption_text.take(rows))
    curves = {name: scores[rows] for name, scores in export.curves.items()} or None
    if not export.maps:
        out.add_captions(names, None, indices=indices, texts=texts, perturbed=curves)
        return
    report = FileProblems(export.path)
    tokens = export.tokens(rows)
    check_spans(report, export, rows, tokens)
    maps = {direction: export.maps[direction].take(rows) for direction in export.maps}
    for direction, block in maps.items():
        check_maps(report, export, direction, rows, block)
    report.stop_if_broken()
    offset, mass = tokens.offset, None
    padded = {direction: _padded(export, rows, block) for direction, block in maps.items()}
    if export.mass is not None:
        mass = _padded_masses(export, rows, export.mass.take(rows).flat)
    words = spans = None
    if export.token_text is not None:
        count = np.diff(offset)
        flat = list(export.token_text.take(ranges(export.token_offset[rows], count)))
        words = [flat[a:b] for a, b in zip(offset[:-1].tolist(), offset[1:].tolist(), strict=True)]
    else:
        spans = np.split(tokens.span, offset[1:-1])
    out.add_captions(
        names,
        padded["t2i"],
        indices=indices,
        texts=texts,
        spans=spans,
        tokens=words,
        attention_i2t=padded.get("i2t"),
        mass=mass,
        windows=None if export.caption_region is None else export.caption_region[rows],
        perturbed=curves,
    )


def _boxes_hint(export: AttentionExport) -> str:
    count = distinct_values(np.diff(export.regions.offset))
    return (grid_hint(int(count[0])) if len(count) == 1 else "") or "add region_box, or boxes, to it"


def _padded(export: AttentionExport, rows: NDArray[np.int64], block: MapBlock) -> NDArray[np.floating]:
    """The maps of some captions as f[B, A, T, R], zeros where there is nothing."""
    tokens = export.token_offset[rows + 1] - export.token_offset[rows]
    regions = export.window(rows)[1]
    channels = len(export.channel)
    size = channels * tokens * regions
    padded = np.zeros((len(rows), channels, int(tokens.max(initial=0)), int(regions.max(initial=0))), block.flat.dtype)
    caption = np.repeat(np.arange(len(rows)), size)
    within = np.arange(len(caption)) - np.repeat(offsets_of(size)[:-1], size)
    per_channel = (tokens * regions)[caption]
    place = (caption, within // per_channel, within % per_channel // regions[caption], within % regions[caption])
    padded[place] = block.flat[ranges(block.start, size)]
    return padded


def _padded_masses(
    export: AttentionExport, rows: NDArray[np.int64], mass: NDArray[np.floating]
) -> NDArray[np.floating]:
    """The masses f[sum A*T] of the rows of some captions as f[B, A, T], zeros where there is nothing."""
    tokens = export.token_offset[rows + 1] - export.token_offset[rows]
    padded = np.zeros((len(rows), len(export.channel), int(tokens.max(initial=0))), mass.dtype)
    keep = np.arange(padded.shape[2]) < tokens[:, None, None]
    padded[np.broadcast_to(keep, padded.shape)] = mass
    return padded
