"""The header of an export: what its writer says of the maps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attneval.errors import DataError
from attneval.export.read.content import KINDS, NORMALISED_OVER, Header
from attneval.storage.json_text import parse_json

if TYPE_CHECKING:
    from attneval.export.problems import FileProblems


FORMAT_VERSION = (1, 1)
"""The newest version that is read and written."""
FIRST_VERSION = (1, 0)
"""The version of a file that uses nothing newer."""


def read_header(report: FileProblems, text: bytes | str, member: str = "format") -> Header:
    """Read the JSON that says what the maps are; what it leaves out takes the defaults of `Header`."""
    try:
        # Python writes NaN and Infinity, which JSON does not have; null is what is undefined here.
        values = parse_json(text, "it", non_finite="null")
    except DataError as error:
        report.problem(member, f"is no header: {error.message}")
        return Header()
    if not isinstance(values, dict):
        report.problem(member, f"is {type(values).__name__} JSON, expected an object")
        return Header()
    about = dict(values)
    if member == "format" and "kind" not in about:
        report.problem(member, "has no 'kind'")
    # Elsewhere they may be left out.
    assumed = (None, None) if member == "format" else ("attneval", list(FIRST_VERSION))
    _check_version(report, member, about.pop("format", assumed[0]), about.pop("version", assumed[1]))
    fields = {}
    for key, known, default in (("kind", KINDS, "attention"), ("normalised_over", NORMALISED_OVER, "none")):
        fields[key] = about.pop(key, default)
        if fields[key] not in known:
            report.problem(member, f"{key} is {fields[key]!r}, expected {', '.join(known)}")
    return Header(**fields, weights_dtype=str(about.pop("weights_dtype", "")), about=about)


def with_dtype(header: Header, dtype: str) -> Header:
    """The header with the type that the weights have in the file, if it does not name one and numpy lacks this."""
    return replace(header, weights_dtype=dtype) if dtype == "bfloat16" and not header.weights_dtype else header


def _check_version(report: FileProblems, member: str, name: Any, version: Any) -> None:
    if name != "attneval":
        report.problem(member, f"'format' is {name!r}, expected 'attneval'")
    # To Python, True is an integer too.
    numbers = isinstance(version, list) and len(version) == 2 and all(type(n) is int for n in version)
    if not numbers:
        report.problem(member, f"'version' is {version!r}, expected {list(FIRST_VERSION)} or {list(FORMAT_VERSION)}")
    elif version[0] != FORMAT_VERSION[0]:
        report.problem(
            member,
            f"is version {version[0]}.{version[1]}, but this attneval reads version {FORMAT_VERSION[0]}; "
            "use the attneval that wrote it, or export again",
        )
