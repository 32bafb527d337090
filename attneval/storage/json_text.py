"""JSON from files of anybody: whatever is wrong with it is one refusal that says where."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

from attneval.errors import DataError

DEPTH = 64
"""The deepest nesting of lists and objects: what is deeper could be read, but not everywhere be written."""


def parse_json(
    text: bytes | str,
    where: str,
    *,
    error: type[DataError] = DataError,
    non_finite: Literal["refuse", "null"] = "refuse",
    depth: int | None = DEPTH,
) -> Any:
    """Parse a JSON text.

    Args:
        text: The text; bytes are UTF-8, with or without a byte order mark.
        where: The file and the place in it, for messages.
        error: What is raised.
        non_finite: What becomes of NaN, Infinity and numbers as large as 1e999: they are refused, or read as null.
        depth: The deepest nesting that is allowed; None leaves it to the parser, which is faster for large files.

    Raises:
        DataError: It is no JSON in UTF-8, or it is nested too deeply, or holds a number that is not finite.
    """
    refuse = non_finite == "refuse"

    def constant(name: str) -> None:
        if refuse:
            raise ValueError(f"{name} is no number of JSON")

    def number(digits: str) -> float | None:
        value = float(digits)
        if not math.isfinite(value):
            constant(digits[:20])
            return None
        return value

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = json.loads(text.removeprefix("\ufeff"), parse_constant=constant, parse_float=number)
    except (ValueError, RecursionError) as problem:
        what = "it is nested too deeply" if isinstance(problem, RecursionError) else problem
        raise error(f"{where} is not JSON ({what})") from None
    if depth is not None and _is_deeper(value, depth):
        raise error(f"{where} is nested more than {depth} deep")
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    """Test whether lists and objects are nested more than `depth` deep, without recursion."""
    level = [value]
    for _ in range(depth + 1):
        level = [item for item in level if isinstance(item, list | dict)]
        if not level:
            return False
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return True
