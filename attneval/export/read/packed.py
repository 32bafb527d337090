"""The packed layout: flat arrays and offsets, what attneval writes and what large runs use."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of, products
from attneval.export.read.caption_ids import check_captions
from attneval.export.read.content import AttentionExport, caption_name
from attneval.export.read.header import read_header, with_dtype
from attneval.export.read.maps import Maps, Scores
from attneval.export.read.perturbations import KINDS_OF_CURVES, read_curves
from attneval.export.read.regions import Regions
from attneval.geometry.grids import cell_offset

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from attneval.export.read.columns import Columns
    from attneval.export.read.strings import StringColumn


MOST_CELLS = 2**16
"""Cells that the grid of an image may have though there are fewer weights: it may have no caption."""

KINDS_OF_MEMBERS = {
    "format": "b",
    "image_id": "bU",
    "image_id_offset": "i",
    "image_size": "i",
    "region_offset": "i",
    "region_box": "fi",
    "grid_shape": "i",
    "grid_affine": "fi",
    "caption_image": "i",
    "caption_index": "i",
    "caption_text": "bU",
    "caption_text_offset": "i",
    "token_offset": "i",
    "token_span": "i",
    "token_text": "bU",
    "token_text_offset": "i",
    "channel": "i",
    "channel_name": "bU",
    "channel_name_offset": "i",
    "caption_region": "i",
    "row_mass": "f",
    "attention_offset": "i",
    "attention": "f",
    "attention_i2t": "f",
    "similarity": "f",
    **KINDS_OF_CURVES,
}


def load_packed(columns: Columns) -> AttentionExport:
    """Open an export in the packed layout; only its small members are read.

    Raises:
        ExportError: The columns break the format. Weights, boxes and texts are checked when they are read.
    """
    report, members = columns.report, columns.members
    with_maps = "attention" in columns or "attention_i2t" in columns or "similarity" not in columns
    columns.require("format", "image_id", "caption_image")
    if with_maps:
        columns.require("caption_index", "token_offset", "attention_offset", "attention")
    header = read_header(report, bytes(members.array("format")))
    report.stop_if_broken()

    image_id = list(columns.texts("image_id", None))
    images = len(image_id)
    caption_image = columns.integers("caption_image", None)
    captions = len(caption_image)
    caption_index = np.full(captions, -1, np.int64)
    if "caption_index" in columns:
        caption_index = columns.integers("caption_index", captions)
    size = columns.integers("image_size", images, 2) if "image_size" in columns else None
    if "similarity" in columns:
        columns.shaped("similarity", (images, captions))
    report.stop_if_broken()
    check_captions(report, image_id, caption_image, caption_index)
    report.stop_if_broken()
    called = partial(caption_name, image_id, caption_image, caption_index)
    regions = _regions(columns, image_id)
    caption_text = columns.strings("caption_text", captions, called=called) if "caption_text" in columns else None
    report.stop_if_broken()

    token_offset = np.zeros(captions + 1, np.int64)
    token_span, token_text = None, None
    channel, channel_name = np.full((1, 2), -1, np.int64), None
    windows = _windows(columns, regions, caption_image, called) if with_maps else None
    maps: dict[str, Maps] = {}
    mass = None
    if with_maps:
        token_offset = columns.offsets("token_offset", captions, called=called)
        token_span, token_text = _tokens(columns, token_offset, called)
        channel, channel_name = _channels(columns)
        columns.shaped("attention", (None,))
        report.stop_if_broken()
        tokens = np.diff(token_offset)
        if windows is None:
            regions = _counted_regions(columns, regions, caption_image, tokens * len(channel))
        width = np.diff(regions.offset)[caption_image] if windows is None else windows[:, 1]
        maps = _maps(columns, width, tokens, channels=len(channel), called=called)
        if "row_mass" in columns and columns.shaped("row_mass", (len(channel) * int(token_offset[-1]),)):
            mass = Maps(members, "row_mass", len(channel) * token_offset[:-1], len(channel) * tokens)
    report.stop_if_broken()
    return AttentionExport(
        path=members.path,
        header=with_dtype(header, members.source_dtype("attention") if maps else ""),
        image_id=image_id,
        image_size=size,
        regions=regions,
        caption_image=caption_image,
        caption_index=caption_index,
        caption_text=caption_text,
        token_offset=token_offset,
        token_span=token_span,
        token_text=token_text,
        channel=channel,
        maps=maps,
        similarity=Scores(members, "similarity") if "similarity" in columns else None,
        warnings=tuple(report.warnings),
        channel_name=channel_name,
        mass=mass,
        caption_region=windows,
        curves=read_curves(columns, captions),
    )


def _regions(columns: Columns, image_id: list[str]) -> Regions:
    """The geometry, or regions without any if the file leaves it to another file."""
    members, report, images = columns.members, columns.report, len(image_id)
    if "region_box" in columns and "grid_shape" in columns:
        report.problem("grid_shape", "stands beside region_box; give one of them")
    if "grid_shape" in columns:
        shape = columns.integers("grid_shape", images, 2)

        def named(values: NDArray[Any]) -> Callable[[int], str]:
            return lambda row: f"{image_id[row]} with {values[row].tolist()}"

        report.rows("grid_shape", np.any(shape < 1, axis=1), "has no cells; images", named(shape))
        # Every cell has a weight for each token: a larger grid is that of no map.
        most = max(math.prod(members.shape("attention")) if "attention" in columns else 0, MOST_CELLS)
        large = products(np.maximum(shape[:, 0], 0), np.maximum(shape[:, 1], 0)) > most
        report.rows("grid_shape", large, "has more cells than there are weights; images", named(shape))
        affine = None
        if "grid_affine" in columns and columns.shaped("grid_affine", (images, 4)):
            affine = np.array(members.array("grid_affine"), np.float64)
            bad = np.any(~np.isfinite(affine), axis=1) | np.any(affine[:, :2] <= 0, axis=1)
            report.rows("grid_affine", bad, "needs finite numbers and positive scales; images", named(affine))
        report.stop_if_broken()
        return Regions(cell_offset(shape), grid_shape=shape, grid_affine=affine, member="grid_shape")
    if "region_box" in columns:
        columns.require("region_offset")
        columns.shaped("region_box", (None, 4))
        report.stop_if_broken()
        offset = columns.offsets("region_offset", images, members.shape("region_box")[0], image_id.__getitem__)
        return Regions(offset, box=members.array("region_box"), member="region_box")
    if "region_offset" in columns:
        return Regions(columns.offsets("region_offset", images, called=image_id.__getitem__))
    return Regions(np.zeros(images + 1, np.int64))


def _tokens(
    columns: Columns, offset: NDArray[np.int64], called: Callable[[int], str]
) -> tuple[NDArray[np.integer[Any]] | None, StringColumn | None]:
    tokens = int(offset[-1])
    if "token_span" in columns:
        if "caption_text" not in columns:
            columns.report.problem("caption_text", "is missing, but token_span points into it")
        columns.shaped("token_span", (tokens, 2))
        return columns.members.array("token_span"), None
    if "token_text" not in columns:
        columns.report.problem("token_span", "is missing, and so is token_text: nothing says what the tokens are")
        return None, None

    def name(token: int) -> str:
        caption = int(np.searchsorted(offset, token, side="right")) - 1
        return f"{called(caption)} token {token - int(offset[caption])}"

    return None, columns.strings("token_text", tokens, called=name)


def _windows(
    columns: Columns, regions: Regions, caption_image: NDArray[np.int64], called: Callable[[int], str]
) -> NDArray[np.int64] | None:
    """The window i8[N, 2] of its image's regions that each caption's map is over; None if that is all of them."""
    if "caption_region" not in columns:
        return None
    report, name = columns.report, "caption_region"
    if "region_offset" not in columns:
        report.problem(name, "is a window of region boxes, but there are no region_box and region_offset")
    windows = columns.integers(name, len(caption_image), 2)
    report.stop_if_broken()
    first, count = windows.T
    stored = np.diff(regions.offset)[caption_image]
    # Nothing is added before it is known to be small.
    bad = (first < 0) | (count < 0) | (first > stored) | (count > stored - np.clip(first, 0, stored))
    text = "is no (first, count) of the image's regions; captions"
    report.rows(name, bad, text, lambda row: f"{called(row)} {windows[row].tolist()} of {stored[row]}")
    report.stop_if_broken()
    return windows


def _channels(columns: Columns) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """Layer and head i8[A, 2] of each channel, and the names of channels if they have any."""
    report = columns.report
    channel = columns.integers("channel", None, 2) if "channel" in columns else np.full((1, 2), -1, np.int64)
    if not len(channel):
        report.problem("channel", "is empty, expected a row (layer, head) for each channel")
    if "channel_name" not in columns:
        twice = _repeated_rows(channel)
        text = "the same (layer, head) twice, and no channel_name tells them apart; channels"
        report.rows("channel", twice, text, lambda row: f"{row} {channel[row].tolist()}")
        return channel, None
    names = tuple(columns.texts("channel_name", len(channel)))
    unusable = np.array([reason is not None for reason in map(reason_against_name, names)], np.bool_)
    report.rows("channel_name", unusable, "is no name; channels", lambda row: f"{row} {names[row]!r}")
    first = {name: row for row, name in reversed([*enumerate(names)])}
    twice = np.array([first[name] < row for row, name in enumerate(names)], np.bool_)
    report.rows("channel_name", twice, "the same name twice; channels", lambda row: f"{row} {names[row]!r}")
    return channel, names


def reason_against_name(name: str) -> str | None:
    """The reason why a channel cannot be called so; None if it can."""
    if not name.strip() or not name.isprintable():
        return "it is empty or holds what cannot be printed"
    return "that is what the mean of all channels is called" if name == "all" else None


def _repeated_rows(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    repeated = np.ones(len(values), np.bool_)
    repeated[np.unique(values, axis=0, return_index=True)[1]] = False
    return repeated


def _maps(
    columns: Columns,
    width: NDArray[np.int64],
    tokens: NDArray[np.int64],
    *,
    channels: int,
    called: Callable[[int], str],
) -> dict[str, Maps]:
    """The maps, whose blocks have A x T x width weights each."""
    members, report = columns.members, columns.report
    offset = columns.offsets("attention_offset", len(tokens), members.shape("attention")[0], called)
    report.stop_if_broken()
    size, expected = np.diff(offset), products(np.int64(channels), tokens, width)
    bad = size != expected
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        report.problem(
            "attention_offset",
            f"gives caption {called(row)} {size[row]} weights, expected {expected[row]} for {channels} channels x "
            f"{tokens[row]} tokens x {width[row]} regions ({int(bad.sum())} such captions)",
        )
    maps = {"t2i": Maps(members, "attention", offset[:-1], size)}
    if "attention_i2t" in columns and columns.shaped("attention_i2t", members.shape("attention")):
        maps["i2t"] = Maps(members, "attention_i2t", offset[:-1], size)
    return maps


def _counted_regions(
    columns: Columns, regions: Regions, caption_image: NDArray[np.int64], rows: NDArray[np.int64]
) -> Regions:
    """The regions with their number filled in where only the maps know it."""
    if regions.known or regions.offset[-1]:
        return regions
    offset = columns.offsets("attention_offset", len(rows), columns.members.shape("attention")[0])
    columns.report.stop_if_broken()
    count = np.zeros(len(regions.offset) - 1, np.int64)
    filled = rows > 0
    count[caption_image[filled]] = np.diff(offset)[filled] // rows[filled]
    return Regions(offsets_of(count))
