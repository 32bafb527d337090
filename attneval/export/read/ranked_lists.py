"""Ranked lists: the ids of the best answers to each query, best first, where nobody kept the whole matrix.

JSON `{"i2t": {image id: [caption ids]}, "t2i": {caption id: [image ids]}}`, either direction alone, or an `.npz` with
`i2t` [Q, k] and `i2t_query` [Q], and the same for `t2i`.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record
from attneval.errors import ExportError, first_of
from attneval.metrics.ranks import DIRECTIONS
from attneval.storage.archive import Archive
from attneval.storage.json_text import parse_json
from attneval.storage.read_files import open_to_read, reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LAYOUT = (
    'ranked lists are JSON {"i2t": {image id: [caption ids, best first]}, "t2i": {caption id: [image ids]}}, '
    "or an .npz with i2t [Q, k], i2t_query [Q] and the same for t2i"
)


@record
class RankedLists:
    """Ranked lists of one direction.

    Attributes:
        path: The file.
        direction: `i2t` or `t2i`.
        answers: By the query's id the ids of its best answers, best first, each once.
    """

    path: Path
    direction: str
    answers: dict[str, list[str]]

    @property
    def depth(self) -> int:
        """The number of answers that all lists have: behind that rank nothing is known of some."""
        return min(map(len, self.answers.values()))


def holds_lists(path: Path) -> bool:
    """Tell ranked lists from matrices: by the suffix `.json`, or the members of an `.npz`.

    Raises:
        ExportError: It is an `.npz` that cannot be read.
    """
    if path.suffix == ".json":
        return True
    return path.suffix == ".npz" and not {*DIRECTIONS}.isdisjoint(Archive(path).names)


def open_ranked_lists(paths: Sequence[Path]) -> dict[str, RankedLists]:
    """Read ranked lists, by direction.

    Raises:
        ExportError: A file is none, holds an answer twice for a query, or two files are of one direction.
    """
    lists: dict[str, RankedLists] = {}
    for path in paths:
        for direction, answers in (_of_json(path) if path.suffix == ".json" else _of_npz(path)).items():
            if direction in lists:
                raise ExportError(
                    f"{path} and {lists[direction].path} both have ranked lists {direction}",
                    hint="lists are not averaged: give one file for each direction",
                )
            lists[direction] = RankedLists(path, direction, _checked(path, direction, answers))
    return lists


def _of_json(path: Path) -> dict[str, dict[str, list[Any]]]:
    with open_to_read(path, error=ExportError) as file, reading(path, error=ExportError):
        content = file.read()
    data = parse_json(content, str(path), error=ExportError)
    if not isinstance(data, dict) or not data or not set(data) <= {*DIRECTIONS}:
        shown = f"has {first_of(list(data))}" if isinstance(data, dict) else "is no object"
        raise ExportError(f"{path} holds no ranked lists: it {shown} in place of i2t and t2i", hint=LAYOUT)
    for direction, lists in data.items():
        if not isinstance(lists, dict):
            raise ExportError(f"{path}: {direction} is no object with queries", hint=LAYOUT)
    return data


def _of_npz(path: Path) -> dict[str, dict[str, list[Any]]]:
    archive = Archive(path)
    data: dict[str, dict[str, list[Any]]] = {}
    for direction in DIRECTIONS:
        if direction not in archive.names:
            continue
        if f"{direction}_query" not in archive.names:
            raise ExportError(f"{path} has {direction}, but no {direction}_query with the ids of its rows", hint=LAYOUT)
        answers, query = archive.array(direction), archive.array(f"{direction}_query")
        kinds = {answers.dtype.kind, query.dtype.kind}
        if answers.ndim != 2 or query.shape != answers.shape[:1] or not kinds <= set("iuU"):
            raise ExportError(
                f"{path}: {direction} is {answers.dtype}{list(answers.shape)} and {direction}_query "
                f"{query.dtype}{list(query.shape)}, expected ids [Q, k] and [Q]",
                hint=LAYOUT,
            )
        names = [str(name) for name in query.tolist()]
        data[direction] = dict(zip(names, answers.tolist(), strict=True))
        if len(data[direction]) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ExportError(f"{path}: {direction}_query has {twice} twice")
    return data


def _checked(path: Path, direction: str, answers: dict[str, list[Any]]) -> dict[str, list[str]]:
    """Lists of ids as texts, each of them once in its list."""
    if not answers:
        raise ExportError(f"{path}: {direction} has no queries", hint=LAYOUT)
    checked: dict[str, list[str]] = {}
    for query, listed in answers.items():
        where = f"{path}: the list of {direction} query {query}"
        if not isinstance(listed, list) or not listed:
            raise ExportError(f"{where} is {'empty' if listed == [] else 'no list'}", hint=LAYOUT)
        for one in listed:
            if type(one) is not int and not isinstance(one, str):
                raise ExportError(f"{where} holds {reprlib.repr(one)}, and no id", hint=LAYOUT)
        checked[_key(query)] = names = [_key(one) for one in listed]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ExportError(f"{where} holds {twice} twice")
    if len(checked) < len(answers):
        raise ExportError(f"{path}: a query of {direction} is there twice, in two spellings")
    return checked


def _key(value: int | str) -> str:
    """An id as a text; numbers are the same either way, as they are among annotations."""
    text = str(value).strip()
    return str(int(text)) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20 else text
