"""The signature: a protocol on one line, as it stands beside every number, ``attneval:2|unit:word|...``."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from attneval.config.thresholds import shortest
from attneval.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURE_VERSION = 2
"""Raised when a definition changes so that the same protocol gives other numbers.

1: even rows attended to nothing under `uniform`; grounding JSON was read without `edges`.
2: even rows attend to every key; fields that version 1 did not have take the values that were true then.
"""
SETTINGS = ("version", "resamples", "seed")
"""What a short signature names beside the protocol; comparison never looks at it."""


def signature_line(version: int, values: Mapping[str, Any]) -> str:
    """Write a version of the definitions and some fields on one line."""
    fields = (f"{name}:{shortest(value)}" for name, value in values.items())
    return "|".join((f"attneval:{version}", *fields))


def parsed_signature(text: str) -> tuple[int, dict[str, Any]]:
    """Read a signature, a whole or a short one: the version of its definitions, and fields that it names.

    Raises:
        ProtocolError: It is not a signature, or one of a later version.
    """
    head, *parts = text.strip().split("|")
    if not re.fullmatch(r"attneval:\d{1,9}", head) or not all(":" in part for part in parts):
        raise ProtocolError(f"{text!r} is not a signature", hint="it starts with attneval:2|unit:...")
    version = int(head.partition(":")[2])
    if not 1 <= version <= SIGNATURE_VERSION:
        raise ProtocolError(
            f"signature version {version} is later than {SIGNATURE_VERSION}, the last that this attneval knows",
            hint="its numbers follow other definitions; use a newer attneval",
        )
    fields = [(name, value) for name, _, value in (part.partition(":") for part in parts)]
    twice = [name for name, count in Counter(name for name, _ in fields).items() if count > 1]
    if twice:
        raise ProtocolError(f"{text!r} gives {twice[0]} twice", hint="each field has one value")
    values: dict[str, Any] = {name: value for name, value in fields if name not in SETTINGS}
    if version == 1:
        values = {"overlap": "iou", **values}
    return version, values
