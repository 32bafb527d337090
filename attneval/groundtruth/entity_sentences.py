"""Sentences of Flickr30k Entities, in which phrases are marked with their chain and types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.bits import MOST_NAMES
from attneval.arrays.ragged import offsets_of
from attneval.arrays.strings import Strings, code_points
from attneval.config.breakdowns import NOT_VISUAL, TYPES
from attneval.errors import GroundTruthError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_MARK = "[/EN#"
_NUMBERED = re.compile(r"\d+:(?=\[/EN#)")
"""A number before a mark, as the Japanese captions have it; it is no text."""
_PHRASE = re.compile(r"\[/EN#(\d+)((?:/\w+)+) ([^\[\]\n]*)\]")
_OPENING = re.compile(r"\[/EN#[^\s\[\]]* ?")
_CLOSED = re.compile(r"([^\[\]\n]*)\]")


class Sentences:
    """The captions and their phrases, all images at once: one split gives every piece of text in order."""

    def __init__(self, path: Path, image_ids: Sequence[str], sentences: list[bytes]) -> None:
        joined = _decode(path, image_ids, sentences)
        if ":[/EN#" in joined:
            joined = _NUMBERED.sub("", joined)
        # A file ends with its last caption, whether or not a line break follows.
        count = np.fromiter(
            (data.count(b"\n") + (bool(data) and data[-1:] != b"\n") for data in sentences), np.int64, len(sentences)
        )
        pieces = _PHRASE.split(joined)
        self.warnings: tuple[str, ...] = ()
        if joined.count(_MARK) > len(pieces) // 4:
            joined, self.warnings = _without_broken_marks(path, image_ids, offsets_of(count), joined)
            pieces = _PHRASE.split(joined)
        self.chains, self.kinds = pieces[1::4], pieces[2::4]
        # Between two phrases stands plain text; both are kept, in turn.
        texts = [""] * (2 * len(self.chains) + 1)
        texts[0::2], texts[1::2] = pieces[0::4], pieces[3::4]
        bound = offsets_of(list(map(len, texts)))
        start, stop = bound[1:-1:2], bound[2::2]
        code = code_points("".join(texts))
        line_end = np.append(np.flatnonzero(code == ord("\n")), len(code))[: count.sum()]
        line_start = np.append(0, line_end[:-1] + 1)[: count.sum()]
        caption = np.searchsorted(line_end, start, side="left")
        self.span = np.stack((start, stop), axis=1) - line_start[caption][:, None]
        self.phrase_offset = np.searchsorted(caption, np.arange(len(line_end) + 1))
        self.text = Strings(code[code != ord("\n")], offsets_of(line_end - line_start))
        self.caption_offset = offsets_of(count)
        self.caption_index = np.arange(len(line_end)) - np.repeat(self.caption_offset[:-1], count)
        self.image = np.searchsorted(self.caption_offset, caption, side="right") - 1
        self.type_names, self.types = _types(path, self.kinds)

    def entities(self, entity: list[dict[str, int]]) -> NDArray[np.int64]:
        """The entity of each phrase, -1 where its chain has no box or the phrase names nothing to be seen."""
        rows = zip(self.image.tolist(), self.chains, strict=True)
        of_phrase = np.fromiter((entity[image].get(chain, -1) for image, chain in rows), np.int64, len(self.chains))
        of_phrase[[NOT_VISUAL in kind for kind in self.kinds]] = -1
        return of_phrase


def _decode(path: Path, image_ids: Sequence[str], sentences: list[bytes]) -> str:
    """The sentences of all images, a caption a line."""
    lines = b"\n".join(data.removesuffix(b"\n").removesuffix(b"\r") for data in sentences if data)
    try:
        return lines.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        errors = ((image_id, _utf8_error(data)) for image_id, data in zip(image_ids, sentences, strict=True))
        bad, error = next((image_id, error) for image_id, error in errors if error is not None)
        raise GroundTruthError(f"{path}: Sentences/{bad}.txt is not UTF-8 ({error})") from error


def _utf8_error(data: bytes) -> UnicodeDecodeError | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error
    return None


def _without_broken_marks(
    path: Path, image_ids: Sequence[str], caption_offset: NDArray[np.int64], joined: str
) -> tuple[str, tuple[str, ...]]:
    """Read phrases that are never closed, or whose mark is incomplete, as plain text, and say where they are."""
    lines, warnings = joined.split("\n"), []
    for row, line in enumerate(lines):
        openings = {match.start() for match in _OPENING.finditer(line)}
        broken = openings - {match.start() for match in _PHRASE.finditer(line)}
        if not broken:
            continue
        image = int(np.searchsorted(caption_offset, row, side="right")) - 1
        number = row - int(caption_offset[image]) + 1
        for position in sorted(broken, reverse=True):
            if _PHRASE.match(line, position):
                continue  # only what stood in it was broken
            before, text = line[:position], _OPENING.sub("", line[position:], count=1)
            closed = _CLOSED.match(text)
            what = "is never closed" if closed is None else "lacks a chain, a type or words"
            warnings.append(
                f"{path}: Sentences/{image_ids[image]}.txt line {number}: the phrase opened at column {position + 1} "
                f"{what}; it is read as plain text"
            )
            line = before + (text if closed is None else closed[1] + text[closed.end() :])  # noqa: PLW2901
        lines[row] = line
    return "\n".join(lines), tuple(warnings)


def _types(path: Path, kinds: list[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The names of all types, and each phrase's types as bits; `notvisual` is not a type but the lack of one."""
    parts = {kind: [name for name in kind.split("/") if name and name != NOT_VISUAL] for kind in set(kinds)}
    others = sorted({name for names in parts.values() for name in names} - set(TYPES))
    names = (*TYPES, *others)
    if len(names) > MOST_NAMES:
        raise GroundTruthError(f"{path} has {len(names)} phrase types, and at most {MOST_NAMES} can be told apart")
    bit = {name: 1 << k for k, name in enumerate(names)}
    bits = {kind: sum(bit[name] for name in set(names_of)) for kind, names_of in parts.items()}
    return names, np.fromiter(map(bits.__getitem__, kinds), np.int64, len(kinds))
