"""Lints: things that are well-formed and look wrong."""

from __future__ import annotations

from attneval.arrays.records import record


@record
class Lint:
    """Something that looks wrong although it is well-formed.

    Attributes:
        kind: A name for this kind of thing, such as `boxes-relative`.
        text: What it looks like, by which numbers, the likely cause and the way out.
    """

    kind: str
    text: str

    def __str__(self) -> str:
        return self.text
