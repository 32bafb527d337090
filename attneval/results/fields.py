"""Checks of the single fields of a result file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.results.scores import Scores


_FINGERPRINT = re.compile(r"\d{1,18}:[0-9a-f]{16}")


REGION_KINDS = ("", "boxes", "cells", "mixed")
"""Kinds of regions: none, boxes, cells of grids and tiles, or several kinds in a merged result."""


AUTO_FIELDS = ("overlap",)
"""Fields of the protocol that may be settled from `auto`."""


def check_regions(regions: Any, scores: Scores) -> dict[str, str]:
    """Refuse fingerprints of regions that are none, or of images that have no sums.

    Raises:
        ValueError: They are no fingerprints of the scores' images.
    """
    known = set(scores.sums.image_id)
    for image_id, text in regions.items():
        if image_id not in known or not isinstance(text, str) or not _FINGERPRINT.fullmatch(text):
            raise ValueError(f"regions {image_id} is {text!r}")
    return dict(regions)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Take a value that is one of a few.

    Raises:
        ValueError: It is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name} is {value!r}")
    return str(value)


def check_digest(value: Any) -> str:
    """Take the SHA-256 of a result's items, empty where it has none.

    Raises:
        ValueError: It is neither.
    """
    if value is not None and not (isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)):
        raise ValueError(f"items_sha256 is {value!r}")
    return value or ""


def check_digests(name: str, values: Any) -> dict[str, str]:
    """Take a table of SHA-256 by name.

    Raises:
        ValueError: It is none.
    """
    for key, value in values.items():
        if not (isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)):
            raise ValueError(f"{name} {key} is {value!r}")
    return dict(values)


def check_whole(name: str, value: Any) -> int:
    """Take a whole number that is not negative.

    Raises:
        ValueError: It is none.
    """
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{name} is {value!r}, and no whole number from 0")
    return value
