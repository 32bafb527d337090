"""The JSON Schema of result files, made from the table of their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attneval.config.protocol import Protocol
from attneval.results.fields import FORMS, OTHER_FORMS, SCORES, result_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attneval.results.fields import ResultField

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""The dialect, which validators look up by this name and do not fetch."""
_TYPES: dict[type, str] = {str: "string", float: "number", int: "integer"}


def result_schema() -> dict[str, Any]:
    """Make the JSON Schema of a result.

    Members that it does not name are allowed: those of later versions, which older readers leave alone.
    """
    # A channel of many has its metrics alone.
    channel = _object(SCORES) | {"required": ["metrics"]}
    forms = {name: _object(fields) for name, fields in FORMS.items()}
    return {
        "$schema": DIALECT,
        "title": "attneval result",
        "description": "What attneval score -o result.json writes.",
        **_object(result_fields(_protocol())),
        "$defs": {**OTHER_FORMS, **forms, "channel": channel},
    }


def _object(fields: Iterable[ResultField]) -> dict[str, Any]:
    listed = list(fields)
    return {
        "type": "object",
        "required": [field.name for field in listed if field.always],
        "properties": {field.name: {**field.form, "description": field.meaning} for field in listed},
    }


def _protocol() -> dict[str, Any]:
    """The form of the protocol: its choices, or the types of what may be chosen freely.

    None is required: files from before there was a field have its default.
    """
    forms: dict[str, Any] = {}
    for field in Protocol.choices():
        choices = field.metadata.get("choices")
        form = {"enum": list(choices)} if choices else {"type": _TYPES[type(field.default)]}
        forms[field.name] = {**form, "default": field.default, "description": f"{field.metadata['help']}."}
    return {"type": "object", "properties": forms, "additionalProperties": False}
