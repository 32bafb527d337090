"""Values as one line of JSON, in which no text can move a cursor or end a line."""

from __future__ import annotations

import json
import re
from typing import Any

from attneval.report.table import is_visible

_PLAIN = re.compile(r"[\x20-\x7e]+")


def render_json(values: Any) -> str:
    """JSON values as text; nothing is rounded, and what a terminal would obey is escaped.

    Raises:
        ValueError: A number is not finite.
    """
    return escaped(json.dumps(values, allow_nan=False, ensure_ascii=False)) + "\n"


def escaped(text: str) -> str:
    """The same JSON with control, format and separating characters, which stand in its strings alone, as escapes."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(c if is_visible(c) else json.dumps(c)[1:-1] for c in text)
