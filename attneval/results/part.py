"""A part of a scoring: what the whole takes of it beside its scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Part:
    """One of several parts of the images of a scoring, each scored by itself.

    Attributes:
        number: Which part, from 1.
        of: How many there are.
        arguments: What was scored: the files as they were given, the channel, the protocol and the options.
        digests: SHA-256 in hexadecimal of every annotation file read, by name.
        mismatches: The names of what could not be aligned, see `attneval.matching.mismatches`.
        targetless: The sums of expressions without a target, see `attneval.evaluation.targetless`.
        sizes: Width and height of images whose size the annotations say and the export does not, by id.
        lifts: The mean lift of each caption, see `attneval.evaluation.caption_lifts`, null without any item.
    """

    number: int
    of: int
    arguments: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    mismatches: dict[str, list[str]] = field(default_factory=dict)
    targetless: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, list[int]] = field(default_factory=dict)
    lifts: dict[str, list[Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"part {self.number} of {self.of}"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Part:
        """Read a part from JSON values.

        Raises:
            ValueError: They are of none; other errors of reading plain values are left to the caller.
        """
        part = cls(**values)
        if type(part.number) is not int or type(part.of) is not int or not 1 <= part.number <= part.of:
            raise ValueError(f"part is {part.number!r} of {part.of!r}")
        kinds = (
            (part.digests, str),
            (part.mismatches, list),
            (part.targetless, int),
            (part.sizes, list),
            (part.lifts, list),
        )
        for table, kind in kinds:
            if not isinstance(table, dict) or not all(type(value) is kind for value in table.values()):
                raise ValueError(f"{part} holds {str(table)[:80]}")
        numbers = [number for size in part.sizes.values() for number in size]
        if any(len(size) != 2 for size in part.sizes.values()) or any(type(number) is not int for number in numbers):
            raise ValueError(f"{part} holds sizes that are none")
        if not _are_lifts(part.lifts):
            raise ValueError(f"{part} holds lifts that are none")
        texts = [text for names in part.mismatches.values() for text in names]
        if not all(isinstance(text, str) for text in texts) or not isinstance(part.arguments, dict):
            raise ValueError(f"{part} holds names that are none")
        return part


def _are_lifts(table: dict[str, list[Any]]) -> bool:
    """Tell whether a table has a row of an image, a row of an export and a lift for each of some captions."""
    rows = [*table.get("image", ()), *table.get("export_row", ())]
    lifts = table.get("lift", [])
    known = [lift for lift in lifts if lift is not None]
    return (
        set(table) <= {"image", "export_row", "lift"}
        and len(rows) == 2 * len(lifts) == 2 * len(table.get("image", ()))
        and all(type(row) is int for row in rows)
        and all(isinstance(lift, float) for lift in known)
    )
