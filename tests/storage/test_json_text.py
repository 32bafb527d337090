"""JSON from anywhere: read, or refused in one way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import attneval
from attneval.errors import DataError, ExportError
from attneval.storage.json_text import DEPTH, parse_json


@pytest.mark.parametrize(
    "text", ['{"a": [1, 2.5, "é"]}', b'{"a": [1, 2.5, "\xc3\xa9"]}', b'\xef\xbb\xbf{"a":[1,2.5,"\xc3\xa9"]}']
)
def test_json_is_read(text: bytes | str) -> None:
    assert parse_json(text, "it") == {"a": [1, 2.5, "é"]}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 400 + ".0"])
def test_numbers_that_are_not_finite(number: str) -> None:
    text = f'{{"a": [{number}]}}'
    with pytest.raises(DataError, match=r"x\.json is not JSON"):
        parse_json(text, "x.json")
    assert parse_json(text, "x.json", non_finite="null") == {"a": [None]}


@pytest.mark.parametrize(
    "text",
    ["", "{", "{'a': 1}", b"\xff\xfe{}", "[" * 10**5, "[" * 10**5 + "]" * 10**5, '{"a":' * 10**5, "1" * 5000],
    ids=range(8),
)
def test_what_is_no_json_is_refused(text: bytes | str) -> None:
    with pytest.raises(ExportError, match=r"^x\.json is n"):
        parse_json(text, "x.json", error=ExportError)


def test_how_deep_it_may_be() -> None:
    assert parse_json("[" * DEPTH + "]" * DEPTH, "it")
    assert parse_json('{"a":' * DEPTH + "1" + "}" * DEPTH, "it")
    with pytest.raises(DataError, match="more than 64 deep"):
        parse_json("[" * (DEPTH + 1) + "]" * (DEPTH + 1), "it")


def test_exports_and_storage_parse_json_here_alone() -> None:
    package = Path(attneval.__file__).parent
    users = [
        path.relative_to(package).as_posix()
        for folder in ("export", "storage", "arrays", "geometry")
        for path in (package / folder).rglob("*.py")
        if re.search(r"\bjson\.loads?\(", path.read_text(encoding="utf-8"))
    ]
    assert users == ["storage/json_text.py"]
