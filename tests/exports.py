"""Exports small enough to check by eye, and what a test wants to know of them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from attneval.errors import ExportError
from attneval.export.read.reader import find_problems, open_export
from attneval.export.write.writer import ExportWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport

    Members = dict[str, NDArray[Any]]


def header(**keys: Any) -> NDArray[np.uint8]:
    """The member `format`; a key that is None is left out."""
    values = {"format": "attneval", "version": [1, 0], "kind": "attention", "normalised_over": "regions", **keys}
    return raw(json.dumps({key: value for key, value in values.items() if value is not None}).encode())


def raw(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def floats(*values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def utf8(name: str, *texts: str) -> Members:
    """A member of strings as bytes, and its offsets."""
    encoded = [text.encode() for text in texts]
    return {name: raw(b"".join(encoded)), f"{name}_offset": np.cumsum([0, *map(len, encoded)])}


def packed(**changes: Any) -> Members:
    """Two images with 2 and 3 regions (the last one padding), three captions with 3, 1 and 2 tokens.

    A change that is None takes a member away.
    """
    members: Members = {
        "format": header(),
        **utf8("image_id", "36979", "4711"),
        "image_size": np.array([[100, 80], [60, 50]], np.int32),
        "region_offset": np.array([0, 2, 5]),
        "region_box": floats([0, 0, 50, 80], [50, 0, 100, 80], [0, 0, 60, 50], [10, 10, 20, 30], [5, 5, 5, 5]),
        "caption_image": np.array([0, 1, 0], np.int32),
        "caption_index": np.array([0, 3, 1], np.int16),
        **utf8("caption_text", "a café dog", "cats", "Two"),
        "token_offset": np.array([0, 3, 4, 6]),
        "token_span": np.array([[0, 1], [2, 6], [7, 10], [0, 4], [-1, -1], [0, 3]], np.int32),
        "channel": np.array([[-1, -1]], np.int16),
        "attention_offset": np.array([0, 6, 9, 13]),
        "attention": floats(0.25, 0.75, 0.5, 0.5, 1, 0, 0.5, 0.5, 0, 0.125, 0.875, 0, 1),
    }
    return _changed(members, changes)


def with_token_text(**changes: Any) -> Members:
    """`packed`, whose tokens are given as text."""
    tokens = utf8("token_text", "a", "café", "dog", "cats", "<start>", "two")
    return packed(**{"token_span": None, "caption_text": None, "caption_text_offset": None, **tokens, **changes})


def padded(**changes: Any) -> Members:
    """The same maps as `packed` holds, as one writes them by hand: 3 captions x 3 tokens x 3 regions."""
    nothing = [0.0, 0.0, 0.0]
    first, second = [[0, 0, 50, 80], [50, 0, 100, 80], [0, 0, 0, 0]], [[0, 0, 60, 50], [10, 10, 20, 30], [5, 5, 5, 5]]
    members: Members = {
        "attn": floats(
            [[0.25, 0.75, 0], [0.5, 0.5, 0], [1, 0, 0]],
            [[0.5, 0.5, 0], nothing, nothing],
            [[0.125, 0.875, 0], [0, 1, 0], nothing],
        ),
        "words": np.array([["a", "café", "dog"], ["cats", "", ""], ["<start>", "two", ""]]),
        "caption_ids": np.array(["36979#0", "4711#3", "36979#1"]),
        "boxes": floats(first, second, first),
    }
    return _changed(members, changes)


def _changed(members: Members, changes: dict[str, Any]) -> Members:
    return {name: value for name, value in {**members, **changes}.items() if value is not None}


def saved(path: Path, members: Members) -> Path:
    """The members in an `.npz`, as `numpy` writes it."""
    np.savez(path, **members)  # type: ignore[arg-type]
    return path


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """A zip file of any bytes."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def refusal(path: Path) -> str:
    """Why an export is not opened."""
    with pytest.raises(ExportError) as caught:
        open_export(path)
    return str(caught.value)


def problems(path: Path) -> list[str]:
    """Everything that is wrong with an export."""
    return find_problems(path)[0]


def assert_says(message: str, *parts: object) -> None:
    """A message names every part, whatever its wording."""
    missing = [part for part in map(str, parts) if part not in message]
    assert not missing, f"{missing} not in {message!r}"


@dataclass
class Caption:
    """What was read of a caption; `None` for a special token."""

    name: str
    tokens: list[str | None]
    weights: dict[str, Any]  # by direction, as nested lists [A, T, R]


def captions_of(export: AttentionExport, rows: Sequence[int] | None = None) -> list[Caption]:
    """Some captions of an export, read as one block."""
    chosen = np.arange(len(export.caption_image)) if rows is None else np.array(rows, np.int64)
    tokens = export.tokens(chosen)
    blocks = {direction: maps.take(chosen) for direction, maps in export.maps.items()}
    found = []
    for k, row in enumerate(chosen.tolist()):
        text = tokens.text[k]
        spans = tokens.span[tokens.offset[k] : tokens.offset[k + 1]].tolist()
        image = export.caption_image[row]
        shape = (len(export.channel), len(spans), int(np.diff(export.regions.offset)[image]))
        size = int(np.prod(shape))
        weights: dict[str, Any] = {
            direction: block.flat[block.start[k] : block.start[k] + size].reshape(shape).tolist()
            for direction, block in blocks.items()
        }
        texts = [None if (start, stop) == (-1, -1) else text[start:stop] for start, stop in spans]
        found.append(Caption(export.caption_name(row), texts, weights))
    return found


ATTENTION = [
    Caption("36979#0", ["a", "café", "dog"], {"t2i": [[[0.25, 0.75], [0.5, 0.5], [1, 0]]]}),
    Caption("4711#3", ["cats"], {"t2i": [[[0.5, 0.5, 0]]]}),
    Caption("36979#1", [None, "Two"], {"t2i": [[[0.125, 0.875], [0, 1]]]}),
]
"""What `packed` holds."""


DOG_BOXES = [[0, 0, 50, 80], [50, 0, 100, 80]]
CAT_BOXES = [[0, 0, 60, 50], [10, 10, 20, 30], [5, 5, 5, 5]]
DOG: list[list[float]] = [[0.25, 0.75], [0.5, 0.5], [1, 0]]
CATS: list[list[float]] = [[0.5, 0.5, 0]]
TWO: list[list[float]] = [[0.125, 0.875], [0, 1]]


def add_images(out: ExportWriter) -> None:
    out.add_image("36979", size=(100, 80), boxes=DOG_BOXES)
    out.add_image("4711", size=(60, 50), boxes=CAT_BOXES)


def write(path: Path, **given: Any) -> Path:
    """What `exports.packed` holds, caption by caption."""
    with ExportWriter(path, **{"normalised_over": "regions", **given}) as out:
        add_images(out)
        out.add_caption("36979", DOG, index=0, text="a café dog", spans=[(0, 1), (2, 6), (7, 10)])
        out.add_caption("4711", CATS, index=3, text="cats", spans=[(0, 4)])
        out.add_caption("36979", TWO, index=1, text="Two", spans=[(-1, -1), (0, 3)])
    return path


Step = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A method of the writer, and what it is given."""


def call(name: str, *positional: Any, **named: Any) -> Step:
    return name, positional, named


def perform(path: Path, steps: tuple[Step, ...]) -> None:
    """Write two images, and take some steps."""
    with ExportWriter(path) as out:
        add_images(out)
        for name, positional, named in steps:
            getattr(out, name)(*positional, **named)


DOG_TOKENS = ["a", "café", "dog"]
GIVEN = call("add_caption", "36979", DOG, index=0, tokens=DOG_TOKENS)
