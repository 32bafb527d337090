"""Columns of code points, and the folding of texts."""

from __future__ import annotations

import itertools
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.strings import Strings, code_points, text_of
from attneval.matching.folding import fold

LISTS = [
    [],
    [""],
    ["", "", ""],
    ["a"],
    ["", "é", "", "日本語", "a😀b", ""],
    ["e\u0301", "\u0301", "ß½"],
    ["\0", "a\0b"],
    # the first and the last characters of one, two, three and four bytes
    ["\x7f", "\x80", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff"],
]

texts = st.text(max_size=12)
# Characters that change length, order or number of bytes when they are folded are rare among all of Unicode.
TRICKY = "aA1éÉßẞ½ﬁ\u017fŉǆİ\u0131Σς\u0345ᾳ가각日½²①Ⅷ😀'-_ \u0301\u0327\u00a0"
tricky = st.text(st.sampled_from(TRICKY), max_size=12)


def stream(text: str) -> str:
    whole = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in whole if c.isalnum())


def test_strings_are_code_points_and_offsets() -> None:
    strings = Strings.from_texts(["aé", "", "😀"])
    assert strings.code.dtype == np.uint32
    assert strings.code.tolist() == [97, 233, 128512]
    assert strings.offset.tolist() == [0, 2, 2, 3]


@pytest.mark.parametrize("strings", LISTS, ids=ascii)
def test_strings_come_back(strings: list[str]) -> None:
    made = Strings.from_texts(strings)
    assert len(made) == len(strings)
    assert list(made) == strings
    assert [made[row] for row in range(len(made))] == strings


@pytest.mark.parametrize("strings", LISTS, ids=ascii)
def test_utf8_comes_back(strings: list[str]) -> None:
    data, offset = Strings.from_texts(strings).to_utf8()
    assert data.tobytes() == "".join(strings).encode()
    assert [data.tobytes()[a:b].decode() for a, b in itertools.pairwise(offset.tolist())] == strings
    assert list(Strings.from_utf8(data, offset)) == strings


def test_utf8_bytes_and_offsets_by_hand() -> None:
    data, offset = Strings.from_texts(["é", "a😀", "", "€"]).to_utf8()
    assert data.tolist() == [0xC3, 0xA9, 0x61, 0xF0, 0x9F, 0x98, 0x80, 0xE2, 0x82, 0xAC]
    assert offset.tolist() == [0, 2, 7, 7, 10]


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "", "café", "日本"]),
        np.array(["a", "", "café", "日本"], ">U9"),
        np.array(["a", "x", "", "x", "café", "x", "日本", "x"])[::2],
    ],
    ids=["native", "big-endian", "strided"],
)
def test_unicode_arrays_of_any_layout(array: np.ndarray[tuple[int], np.dtype[np.str_]]) -> None:
    assert list(Strings.from_unicode(array)) == ["a", "", "café", "日本"]


@pytest.mark.parametrize("count", [1, 3])
def test_unicode_arrays_of_empty_strings(count: int) -> None:
    assert list(Strings.from_unicode(np.array([""] * count))) == [""] * count
    assert list(Strings.from_unicode(np.zeros(count, "U0"))) == [""] * count


@pytest.mark.parametrize("width", [1, 5])
def test_a_unicode_array_without_entries(width: int) -> None:
    assert list(Strings.from_unicode(np.zeros(0, f"U{width}"))) == []


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(texts, min_size=1, max_size=6))
def test_all_three_forms_hold_the_same(strings: list[str]) -> None:
    # A numpy `U` array cannot hold trailing NULs.
    strings = [text.rstrip("\0") for text in strings]
    assert list(Strings.from_texts(strings)) == strings
    assert list(Strings.from_unicode(np.array(strings))) == strings
    assert list(Strings.from_utf8(*Strings.from_texts(strings).to_utf8())) == strings


@pytest.mark.parametrize("data", [b"\xff", b"abc\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_bytes_that_are_no_utf8(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        Strings.from_utf8(np.frombuffer(data, np.uint8), np.array([0, len(data)]))


@pytest.mark.parametrize(("character", "cut"), [("é", 1), ("日", 1), ("日", 2), ("😀", 1), ("😀", 2), ("😀", 3)])
def test_an_offset_inside_a_character(character: str, cut: int) -> None:
    data = np.frombuffer(f"ab{character}".encode(), np.uint8)
    with pytest.raises(ValueError, match=r"(?i)offset.* middle of a character"):
        Strings.from_utf8(data, np.array([0, 2 + cut, len(data)]))
    assert list(Strings.from_utf8(data, np.array([0, 2, len(data)]))) == ["ab", character]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([2], ["日本"]),
        ([1, 2], ["", "日本"]),
        ([3, 1, 1, 0], ["x", "", "", "café"]),
        ([0, 1, 2, 3], ["café", "", "日本", "x"]),
    ],
)
def test_take(rows: list[int], expected: list[str]) -> None:
    taken = Strings.from_texts(["café", "", "日本", "x"]).take(np.array(rows, np.int64))
    assert list(taken) == expected
    assert taken.offset.tolist() == [0, *np.cumsum([len(text) for text in expected]).tolist()]


def test_code_points_of_any_text_come_back() -> None:
    text = "a\ud800é😀\udfff"  # lone surrogates stand for bytes that are no UTF-8
    assert code_points(text).tolist() == [0x61, 0xD800, 0xE9, 0x1F600, 0xDFFF]
    assert text_of(code_points(text)) == text


@pytest.mark.parametrize(("lengths", "offset"), [([], [0]), ([0], [0, 0]), ([2, 0, 3], [0, 2, 2, 5])])
def test_offsets_of_lengths(lengths: list[int], offset: list[int]) -> None:
    assert offsets_of(lengths).tolist() == offset
    assert offsets_of(np.array(lengths, np.int64)).dtype == np.int64


def test_offsets_of_an_iterable() -> None:
    assert offsets_of(len(text) for text in ("ab", "c")).tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [([], [], []), ([5], [0], []), ([10, 3, 7], [2, 0, 3], [10, 11, 7, 8, 9]), ([0, 0], [2, 2], [0, 1, 0, 1])],
)
def test_ranges(start: list[int], length: list[int], expected: list[int]) -> None:
    assert ranges(np.array(start, np.int64), np.array(length, np.int64)).tolist() == expected


@pytest.mark.parametrize(
    ("text", "folded", "before"),
    [
        ("", "", [0]),
        ("Dog 2", "dog2", [0, 1, 2, 3, 3, 4]),
        ("Café", "cafe", [0, 1, 2, 3, 4]),
        ("Cafe\u0301", "cafe", [0, 1, 2, 3, 4, 4]),
        ("Straße", "strasse", [0, 1, 2, 3, 4, 6, 7]),
        ("STRASSE", "strasse", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("½ ﬁn", "12fin", [0, 2, 2, 4, 5]),
        ("日本 犬", "日本犬", [0, 1, 2, 2, 3]),
        ("a😀b", "ab", [0, 1, 1, 2]),
        ("don't ``x''", "dontx", [0, 1, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5]),
        ("\u0130x", "ix", [0, 1, 2]),
        ("ΟΔΟΣ ος", "οδοσοσ", [0, 1, 2, 3, 4, 4, 5, 6]),
        ("가", "\u1100\u1161", [0, 2]),
        ("Ａ１①Ⅷ", "a11viii", [0, 1, 2, 3, 7]),
        ("\u0301\u0327", "", [0, 0, 0]),
    ],
    ids=ascii,
)
def test_folding_by_hand(text: str, folded: str, before: list[int]) -> None:
    code, position = fold(code_points(text))
    assert text_of(code) == folded
    assert position.tolist() == before
    assert code.dtype == np.uint32


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.one_of(texts, tricky))
def test_folding_is_what_it_says(text: str) -> None:
    code, before = fold(code_points(text))
    assert text_of(code) == stream(text)
    assert before.tolist() == [len("".join(map(stream, text[:end]))) for end in range(len(text) + 1)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.one_of(texts, tricky), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_composed_and_decomposed_text_folds_alike(text: str, form: str) -> None:
    folded, _ = fold(code_points(text))
    again, _ = fold(code_points(unicodedata.normalize(form, text)))  # type: ignore[arg-type]
    assert again.tolist() == folded.tolist()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.one_of(texts, tricky))
def test_folding_twice_changes_nothing(text: str) -> None:
    once, _ = fold(code_points(text))
    assert fold(once)[0].tolist() == once.tolist()
