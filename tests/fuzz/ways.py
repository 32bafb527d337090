"""Files damaged by what their suffix says that they hold."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .damage import Change, damage_bytes, damage_json, damage_text, pickled, to_json
from .zips import damage_member, damage_npy, damage_npz, damage_zip, read_zip, to_zip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random


@dataclass(frozen=True)
class Damage:
    """What was done to the files of a case.

    Attributes:
        files: Names of those that are damaged.
        text: How, in words.
        senseless: Whether what stands there now can mean nothing, see `Change`.
        line: Arguments that are hostile themselves, in place of one of the target's commands.
        alike: Groups of types of phrases that all stand at the same phrases now; nothing else has changed.
    """

    files: tuple[str, ...]
    text: str
    senseless: bool = False
    line: tuple[str, ...] = ()
    alike: tuple[tuple[str, ...], ...] = ()


def as_json(data: bytes, draw: Random, *, nudge: bool = False) -> tuple[bytes, Change]:
    """Damage JSON, its lines, or the bytes that it is of."""
    text = data.decode("utf-8")
    if draw.random() < 0.1:
        return damage_bytes(data, draw)
    if draw.random() < 0.05:
        changed, change = damage_text(text, draw)
        return changed.encode("utf-8", "surrogatepass"), Change(change.text)
    try:
        changed, change = damage_json(json.loads(text), draw, nudge=nudge)
        return to_json(changed, draw), change
    except json.JSONDecodeError:
        listed, change = damage_json([json.loads(line) for line in text.splitlines()], draw)
        return b"\n".join(to_json(line, draw) for line in (listed if isinstance(listed, list) else [listed])), change


def as_text(data: bytes, draw: Random) -> tuple[bytes, Change]:
    """Damage a text, or the bytes that it is of."""
    if draw.random() < 0.1:
        return damage_bytes(data, draw)
    changed, change = damage_text(data.decode("utf-8"), draw)
    return changed.encode("utf-8", "surrogatepass"), change


def as_pickle(data: bytes, draw: Random) -> tuple[bytes, Change]:
    """Damage what was pickled, or the bytes that it is of; at times unpickling it would run code."""
    if draw.random() < 0.3:
        return damage_bytes(data, draw)
    values, change = damage_json(pickle.loads(data), draw)  # noqa: S301 - made by these tests
    return pickled(values, draw), Change(change.text)


def as_npy(data: bytes, draw: Random) -> tuple[bytes, Change]:
    """Damage an array's numbers or its header."""
    kind = draw.choice(["array", "npy", "bytes"])
    if kind == "bytes":
        return damage_bytes(data, draw)
    return damage_npy(data, draw) if kind == "npy" else damage_member(data, "array", draw)


def as_zip(data: bytes, draw: Random) -> tuple[bytes, Change]:
    """Damage a zip file of texts."""
    members = read_zip(data)
    if draw.random() < 0.6:
        return damage_zip(members, draw)
    name = draw.choice([name for name, held in members.items() if held])
    members[name], change = as_text(members[name], draw)
    return to_zip(list(members.items())), Change(f"{name}: {change.text}", change.senseless)


WAYS: dict[str, Any] = {
    ".json": as_json,
    ".jsonl": as_json,
    ".p": as_pickle,
    ".npz": damage_npz,
    ".npy": as_npy,
    ".zip": as_zip,
    ".xml": as_text,
    ".txt": as_text,
    ".tsv": as_text,
    ".toml": as_text,
    ".png": damage_bytes,
    ".jpg": damage_bytes,
    ".gif": damage_bytes,
    ".tar": damage_bytes,
}
"""How files are damaged, by their suffix."""


def of_files(*patterns: str, nudge: bool = False) -> Callable[[Path, Random], Damage]:
    """Damage of one of the files that match."""

    def damage(folder: Path, draw: Random) -> Damage:
        paths = sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
        path = draw.choice(paths)
        way = WAYS[path.suffix]
        given = {"nudge": True} if nudge and way is as_json else {}
        data, change = way(path.read_bytes(), draw, **given)
        path.write_bytes(data)
        return Damage((path.name,), f"{path.relative_to(folder)}: {change.text}", change.senseless)

    return damage
