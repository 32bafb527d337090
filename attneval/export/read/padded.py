"""The padded layout: what a person writes by hand in five lines of numpy."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.errors import first_of
from attneval.export.image_ids import did_you_mean
from attneval.export.read.caption_ids import check_captions, split_id
from attneval.export.read.content import AttentionExport, Header, caption_name
from attneval.export.read.header import read_header, with_dtype
from attneval.export.read.maps import Maps, Scores
from attneval.export.read.perturbations import KINDS_OF_CURVES, read_curves
from attneval.export.read.regions import Regions
from attneval.geometry.grids import cell_offset

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from attneval.arrays.strings import Strings
    from attneval.export.problems import FileProblems
    from attneval.export.read.columns import Columns

KINDS_OF_MEMBERS = {
    "attn": "f",
    "attn_i2t": "f",
    "words": "bU",
    "words_offset": "i",
    "caption_ids": "bU",
    "caption_ids_offset": "i",
    "image_ids": "bU",
    "image_ids_offset": "i",
    "image_size": "i",
    "boxes": "fi",
    "similarity": "f",
    "meta": "U",
    **KINDS_OF_CURVES,
}


def load_padded(columns: Columns) -> AttentionExport:
    """Open an export in the padded layout.

    It is seen as a packed one whose blocks have gaps: tokens after a caption's last are never read.

    Raises:
        ExportError: The members break the format. Weights and boxes are checked when they are read.
    """
    report, members = columns.report, columns.members
    with_maps = "attn" in columns or "attn_i2t" in columns or "similarity" not in columns
    columns.require("caption_ids", *(("attn", "words") if with_maps else ()))
    header = Header()
    if "meta" in columns and columns.shaped("meta", ()):
        header = read_header(report, str(members.array("meta")), "meta")
    report.stop_if_broken()

    names, caption_index = _split_ids(report, list(columns.texts("caption_ids", None)))
    report.stop_if_broken()
    captions = len(names)
    image_id = list(columns.texts("image_ids", None)) if "image_ids" in columns else list(dict.fromkeys(names))
    row_of = {name: row for row, name in enumerate(image_id)}
    unlisted = [name for name in dict.fromkeys(names) if name not in row_of]
    if unlisted:
        meant = did_you_mean(unlisted, image_id)
        report.problem("caption_ids", f"names images that image_ids lacks (first: {first_of(unlisted)}){meant}")
        report.stop_if_broken()
    caption_image = np.array([row_of[name] for name in names], np.int64)
    check_captions(report, image_id, caption_image, caption_index, ("image_ids", "caption_ids", "caption_ids"))
    size = columns.integers("image_size", len(image_id), 2) if "image_size" in columns else None
    if "similarity" in columns:
        columns.shaped("similarity", (len(image_id), captions))
    report.stop_if_broken()

    regions = Regions(np.zeros(len(image_id) + 1, np.int64))
    token_offset = np.zeros(captions + 1, np.int64)
    token_text: Strings | None = None
    maps: dict[str, Maps] = {}
    if with_maps:
        columns.shaped("attn", (captions, None, None), (captions, None, None, None))
        report.stop_if_broken()
        called = partial(caption_name, image_id, caption_image, caption_index)
        regions = _regions(columns, caption_image, len(image_id), called)
        token_text, token_offset = _tokens(columns, captions)
        maps = _maps(columns)
    report.stop_if_broken()
    return AttentionExport(
        path=members.path,
        header=with_dtype(header, members.source_dtype("attn") if maps else ""),
        image_id=image_id,
        image_size=size,
        regions=regions,
        caption_image=caption_image,
        caption_index=caption_index,
        caption_text=None,
        token_offset=token_offset,
        token_span=None,
        token_text=token_text,
        channel=np.full((1, 2), -1, np.int64),
        maps=maps,
        similarity=Scores(members, "similarity") if "similarity" in columns else None,
        warnings=tuple(report.warnings),
        curves=read_curves(columns, captions),
    )


def _split_ids(report: FileProblems, caption_ids: list[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The image id and the number of ``<image id>#<k>``; a caption without a number is matched by its text."""
    names, indices, unnumbered = [], [], []
    for caption_id in caption_ids:
        name, number, numbered = split_id(caption_id)
        names.append(name)
        indices.append(number)
        unnumbered.append(not numbered)
    text = "does not end in a caption's number, expected '<image id>#<k>'"
    report.rows("caption_ids", np.array(unnumbered, np.bool_), text, lambda row: repr(caption_ids[row]))
    return names, np.array(indices, np.int64)


def _tokens(columns: Columns, captions: int) -> tuple[Strings, NDArray[np.int64]]:
    """The words without the padding after each caption's last one, and where each caption's words start."""
    width = columns.members.shape("attn")[1]
    shape = columns.members.shape("words") if columns.members.dtype("words").kind == "U" else ()
    if len(shape) == 2 and shape[1] != width:
        columns.report.problem("words", f"has shape {shape}, expected ({captions}, {width}){_cause(columns, shape[1])}")
        columns.report.stop_if_broken()
    words = columns.strings("words", captions, width)
    place = np.arange(1, width + 1)
    length = np.where(words.filled().reshape(captions, width), place, 0).max(axis=1, initial=0)
    offset = offsets_of(length)
    return columns.decoded(words, ranges(np.arange(captions) * width, length)), offset


def _cause(columns: Columns, words: int) -> str:
    """The likeliest cause of another number of rows of `attn` than of `words`."""
    shape = columns.members.shape("attn")
    if len(shape) == 4 and shape[2] == words:
        return (
            f"; attn {shape} looks like [captions, heads, tokens, regions]: give the mean over heads, or write each "
            "head as a channel with attneval.ExportWriter(channels=...)"
        )
    if 0 < shape[1] - words <= 2:
        return "; special tokens such as [CLS] and [SEP] need a word for each row, or their rows left out"
    if len(shape) == 3 and shape[2] == words:
        return f"; attn {shape} looks transposed: its rows are tokens and its columns are regions"
    return ""


def _maps(columns: Columns) -> dict[str, Maps]:
    members = columns.members
    shape = members.shape("attn")
    size = np.full(shape[0], math.prod(shape[1:]), np.int64)
    maps = {"t2i": Maps(members, "attn", offsets_of(size)[:-1], size)}
    if "attn_i2t" in columns and columns.shaped("attn_i2t", shape):
        maps["i2t"] = Maps(members, "attn_i2t", offsets_of(size)[:-1], size)
    return maps


def _regions(columns: Columns, caption_image: NDArray[np.int64], images: int, called: Callable[[int], str]) -> Regions:
    """A grid over the whole image, boxes of every image, or regions that another file describes."""
    report, members = columns.report, columns.members
    shape = members.shape("attn")
    if len(shape) == 4:
        if "boxes" in columns:
            report.problem(
                "boxes",
                f"stand beside attn {shape}, which is a grid of patches [N, T, H, W]; leave them out, or give attn as "
                "[N, T, R]: several heads as their mean, or as channels with attneval.ExportWriter(channels=...)",
            )
        if not min(shape[2:]):
            report.problem("attn", f"has shape {shape}: a grid of patches without a cell")
        report.stop_if_broken()
        grid = np.tile(np.array(shape[2:], np.int64), (images, 1))
        return Regions(cell_offset(grid), grid_shape=grid, member="attn")
    offset = np.arange(images + 1, dtype=np.int64) * shape[2]
    if "boxes" not in columns:
        return Regions(offset)
    by_image, by_caption = (images, shape[2], 4), (shape[0], shape[2], 4)
    if "image_ids" not in columns and members.shape("boxes") == by_image != by_caption:
        report.problem(
            "boxes",
            f"has shape {by_image}, expected {by_caption}, a row for each caption; rows for images need "
            "image_ids, which names them",
        )
        return Regions(offset)
    if not columns.shaped("boxes", *((by_image, by_caption) if "image_ids" in columns else (by_caption,))):
        return Regions(offset)
    box = members.array("boxes")
    if "image_ids" not in columns or len(box) != images:
        example = np.zeros(images, np.int64)
        example[caption_image[::-1]] = np.arange(len(box))[::-1]
        first = box[example[caption_image]]
        # What is no number differs from itself; it is reported as such when boxes are checked.
        differs = np.any((box != first) & ~(np.isnan(box) & np.isnan(first)), axis=(1, 2))
        if report.rows("boxes", differs, "differ between captions of one image; captions", called):
            return Regions(offset)
        box = box[example]
    return Regions(offset, box=box.reshape(-1, 4), member="boxes")
