"""The packed layout: flat arrays and offsets, what attneval writes and what large runs use."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.export.read.content import KINDS, NORMALISED_OVER, AttentionExport, Header, Maps, Scores, caption_name
from attneval.export.read.regions import Regions
from attneval.geometry.grids import cell_offset

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from attneval.export.problems import FileProblems
    from attneval.export.read.columns import Columns
    from attneval.export.read.strings import StringColumn

FORMAT_VERSION = (1, 0)
LAST_INDEX = 2**15 - 1
"""The largest number of a caption within its image: `caption_index` is i2."""

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
    "attention_offset": "i",
    "attention": "f",
    "attention_i2t": "f",
    "similarity": "f",
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
    channel = np.full((1, 2), -1, np.int64)
    maps: dict[str, Maps] = {}
    if with_maps:
        token_offset = columns.offsets("token_offset", captions, called=called)
        token_span, token_text = _tokens(columns, token_offset, called)
        if "channel" in columns:
            channel = columns.integers("channel", None, 2)
        if not len(channel):
            report.problem("channel", "is empty, expected a row (layer, head) for each channel")
        columns.shaped("attention", (None,))
        report.stop_if_broken()
        tokens = np.diff(token_offset)
        regions, maps = _maps(columns, regions, caption_image, tokens, channels=len(channel), called=called)
    report.stop_if_broken()
    return AttentionExport(
        path=members.path,
        header=header,
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
    )


def read_header(report: FileProblems, text: bytes | str, member: str = "format") -> Header:
    """Read the JSON that says what the maps are; what it leaves out takes the defaults of `Header`."""
    try:
        # Python writes NaN and Infinity, which JSON does not have; null is what is undefined here.
        values = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        report.problem(member, f"is not JSON ({error})")
        return Header()
    if not isinstance(values, dict):
        report.problem(member, f"is {type(values).__name__} JSON, expected an object")
        return Header()
    about = dict(values)
    if member == "format" and "kind" not in about:
        report.problem(member, "has no 'kind'")
    # Elsewhere they may be left out.
    assumed = (None, None) if member == "format" else ("attneval", list(FORMAT_VERSION))
    _check_version(report, member, about.pop("format", assumed[0]), about.pop("version", assumed[1]))
    fields = {}
    for key, known, default in (("kind", KINDS, "attention"), ("normalised_over", NORMALISED_OVER, "none")):
        fields[key] = about.pop(key, default)
        if fields[key] not in known:
            report.problem(member, f"{key} is {fields[key]!r}, expected {', '.join(known)}")
    return Header(**fields, about=about)


def check_captions(
    report: FileProblems,
    image_id: list[str],
    caption_image: NDArray[np.int64],
    caption_index: NDArray[np.int64],
    members: tuple[str, str, str] = ("image_id", "caption_image", "caption_index"),
) -> None:
    """Note images and captions that are named twice or belong nowhere.

    Args:
        report: Where problems go.
        image_id: The images' ids.
        caption_image: i8[N], row of each caption's image.
        caption_index: i8[N], which of its image's captions it is.
        members: The members that these three are from.
    """
    images = len(image_id)
    repeated = _repeated(np.unique(np.array(image_id or [""]), return_inverse=True)[1])
    report.rows(members[0], repeated[:images], "the same id twice", lambda row: image_id[row])
    outside = (caption_image < 0) | (caption_image >= images)
    text = f"points outside the {images} images; captions"
    if report.rows(members[1], outside, text, lambda row: f"{row} at {caption_image[row]}"):
        return
    name = partial(caption_name, image_id, caption_image, caption_index)
    strange = (caption_index < -1) | (caption_index > LAST_INDEX)
    if report.rows(members[2], strange, f"is not between -1 and {LAST_INDEX}; captions", name):
        return
    key = caption_image * (LAST_INDEX + 1) + caption_index
    known = np.flatnonzero(caption_index >= 0)
    twice = np.zeros(len(key), np.bool_)
    twice[known] = _repeated(key[known])
    report.rows(members[2], twice, "the same caption twice", name)


def _repeated(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which entries equal an earlier one."""
    repeated = np.ones(len(keys), np.bool_)
    repeated[np.unique(keys, return_index=True)[1]] = False
    return repeated


def _check_version(report: FileProblems, member: str, name: Any, version: Any) -> None:
    if name != "attneval":
        report.problem(member, f"'format' is {name!r}, expected 'attneval'")
    # To Python, True is an integer too.
    numbers = isinstance(version, list) and len(version) == 2 and all(type(n) is int for n in version)
    if not numbers:
        report.problem(member, f"'version' is {version!r}, expected {list(FORMAT_VERSION)}")
    elif version[0] != FORMAT_VERSION[0]:
        report.problem(
            member,
            f"is version {version[0]}.{version[1]}, but this attneval reads version {FORMAT_VERSION[0]}; "
            "use the attneval that wrote it, or export again",
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


def _maps(
    columns: Columns,
    regions: Regions,
    caption_image: NDArray[np.int64],
    tokens: NDArray[np.int64],
    *,
    channels: int,
    called: Callable[[int], str],
) -> tuple[Regions, dict[str, Maps]]:
    """The maps, and the regions with their number filled in where only the maps know it."""
    members, report = columns.members, columns.report
    offset = columns.offsets("attention_offset", len(tokens), members.shape("attention")[0], called)
    report.stop_if_broken()
    size = np.diff(offset)
    if not regions.known and not regions.offset[-1]:
        regions = _counted_regions(regions, caption_image, tokens * channels, size)
    count = np.diff(regions.offset)[caption_image]
    bad = size != channels * tokens * count
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        report.problem(
            "attention_offset",
            f"gives caption {called(row)} {size[row]} weights, expected {channels * tokens[row] * count[row]} for "
            f"{channels} channels x {tokens[row]} tokens x {count[row]} regions ({int(bad.sum())} such captions)",
        )
    maps = {"t2i": Maps(members, "attention", offset[:-1], size)}
    if "attention_i2t" in columns and columns.shaped("attention_i2t", members.shape("attention")):
        maps["i2t"] = Maps(members, "attention_i2t", offset[:-1], size)
    return regions, maps


def _counted_regions(
    regions: Regions, caption_image: NDArray[np.int64], rows: NDArray[np.int64], size: NDArray[np.int64]
) -> Regions:
    count = np.zeros(len(regions.offset) - 1, np.int64)
    filled = rows > 0
    count[caption_image[filled]] = size[filled] // rows[filled]
    return Regions(offsets_of(count))
