"""Token texts of every kind of tokeniser, as spans of one text per caption."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.arrays.ragged import offsets_of
from attneval.arrays.strings import Strings
from attneval.export.read.tokens import spans_of_tokens


@dataclass
class Read:
    """What became of the tokens of one caption."""

    text: str
    spans: list[tuple[int, int]]
    unknown: list[bool]


def read(*captions: list[str]) -> list[Read]:
    tokens = [token for caption in captions for token in caption]
    offset = offsets_of([len(caption) for caption in captions])
    text, same, span, unknown = spans_of_tokens(Strings.from_texts(tokens), offset)
    assert same.tolist() == offset.tolist()
    assert len(text) == len(captions)
    assert span.shape == (len(tokens), 2)
    spans = [(start, stop) for start, stop in span.tolist()]
    bounds = list(itertools.pairwise(offset.tolist()))
    flags = unknown.tolist()
    return [Read(own, spans[a:b], flags[a:b]) for own, (a, b) in zip(text, bounds, strict=True)]


def one(caption: list[str]) -> Read:
    (only,) = read(caption)
    return only


def pieces(caption: Read) -> list[str | None]:
    """What each token stands for."""
    return [None if span == (-1, -1) else caption.text[slice(*span)] for span in caption.spans]


# ---------------------------------------------------------------- words


def test_words_are_joined() -> None:
    assert one(["a", "café", "😀", "dog"]) == Read(
        "acafé😀dog", [(0, 1), (1, 5), (5, 6), (6, 9)], [False, False, False, False]
    )


def test_every_caption_has_its_own_text() -> None:
    first, empty, second = read(["a", "dog"], [], ["two", "cats"])
    assert first == Read("adog", [(0, 1), (1, 4)], [False, False])
    assert empty == Read("", [], [])
    assert second == Read("twocats", [(0, 3), (3, 7)], [False, False])


def test_no_captions() -> None:
    assert read() == []
    assert read([], []) == [Read("", [], []), Read("", [], [])]


def test_quotes_of_nltk_stay() -> None:
    caption = one(["``", "stop", "''", "says", "the", "man", "'s", "sign", "."])
    assert pieces(caption) == ["``", "stop", "''", "says", "the", "man", "'s", "sign", "."]
    assert caption.text == "``stop''saystheman'ssign."


@pytest.mark.parametrize(
    "token",
    [
        *("<start>", "<end>", "<s>", "</s>", "<pad>", "<image>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>"),
        *("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[unused12]", "<0x4>", "<0xGG>"),
    ],
)
def test_special_tokens_stand_for_no_text(token: str) -> None:
    caption = one([token, "a", token, "dog", token])
    assert caption.text == "adog"
    assert caption.spans == [(-1, -1), (0, 1), (-1, -1), (1, 4), (-1, -1)]
    assert caption.unknown == [False] * 5


def test_empty_tokens_are_special() -> None:
    assert one(["", "a", "", "dog"]) == Read("adog", [(-1, -1), (0, 1), (-1, -1), (1, 4)], [False] * 4)
    assert one([""]) == Read("", [(-1, -1)], [False])


@pytest.mark.parametrize("token", ["<unk>", "<UNK>", "[UNK]", "[unk]", "<unknown>", "<|unk|>", "[ UNK ]"])
def test_unknown_words_are_special_and_known_to_be(token: str) -> None:
    caption = one(["a", token, "dog"])
    assert caption == Read("adog", [(0, 1), (-1, -1), (1, 4)], [False, True, False])


@pytest.mark.parametrize("token", ["<unkempt>", "<trunk>", "[unknowns]", "<start>", "unk", "<unk"])
def test_other_tokens_are_not_unknown(token: str) -> None:
    assert one(["a", token, "dog"]).unknown == [False, False, False]


@pytest.mark.parametrize(
    "token", ["<", "[", ">", "]", "<3", "[a", "<>", "[]", "<-", "a<b>", "<b>c", "x[1]", "[1]a", "<a<b>", "[[x]]", "<<"]
)
def test_brackets_that_are_text_stay(token: str) -> None:
    caption = one(["a", token, "dog"])
    assert pieces(caption) == ["a", token, "dog"]
    assert caption.text == f"a{token}dog"


# ---------------------------------------------------------------- pieces of words


def test_word_pieces_keep_their_marks() -> None:
    caption = one(["[CLS]", "sk", "##ate", "##boarding", "dog", "[SEP]"])
    assert caption.text == "sk##ate##boardingdog"
    assert pieces(caption) == [None, "sk", "##ate", "##boarding", "dog", None]


def test_ends_of_words_are_taken_off() -> None:
    caption = one(["<|startoftext|>", "a</w>", "skate", "boarding</w>", "café</w>", "</w>dog", "<|endoftext|>"])
    assert caption.text == "askateboardingcafé</w>dog"
    assert caption.spans == [(-1, -1), (0, 1), (1, 6), (6, 14), (14, 18), (18, 25), (-1, -1)]


@pytest.mark.parametrize("token", ["/w>", "w>", "a/w>", "a<w>", "a</W>", "a</w"])
def test_other_endings_stay(token: str) -> None:
    assert one([token, "x"]).text == f"{token}x"


def test_sentence_pieces_keep_their_marks() -> None:
    caption = one(["<s>", "▁a", "▁skate", "board", "▁", "dog", "</s>"])
    assert caption.text == "▁a▁skateboard▁dog"
    assert pieces(caption) == [None, "▁a", "▁skate", "board", "▁", "dog", None]


# ---------------------------------------------------------------- bytes


def test_byte_fallback_of_sentence_pieces() -> None:
    caption = one(["▁caf", "<0xC3>", "<0xA9>", "▁", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "<0x21>", "▁dog"])
    assert caption.text == "▁café▁😀!▁dog"
    assert caption.spans == [(0, 4), (4, 5), (4, 5), (5, 6), (6, 7), (6, 7), (6, 7), (6, 7), (7, 8), (8, 12)]


def test_byte_fallback_in_small_letters() -> None:
    assert one(["<0xc3>", "<0xa9>"]) == Read("é", [(0, 1), (0, 1)], [False, False])


def test_byte_fallback_beside_special_tokens_and_ends_of_words() -> None:
    caption = one(["<s>", "caf", "<0xC3>", "<0xA9>", "", "dog</w>", "<unk>", "</s>"])
    assert caption.text == "cafédog"
    assert caption.spans == [(-1, -1), (0, 3), (3, 4), (3, 4), (-1, -1), (4, 7), (-1, -1), (-1, -1)]
    assert caption.unknown == [False] * 6 + [True, False]


def test_bytes_in_one_caption_leave_the_others_alone() -> None:
    first, second, third = read(["naïve", "Ã©"], ["<0xC3>", "<0xA9>"], ["Ãŀ", "dog"])
    assert first == Read("naïveÃ©", [(0, 5), (5, 7)], [False, False])
    assert second == Read("é", [(0, 1), (0, 1)], [False, False])
    assert third == Read("Ãŀdog", [(0, 2), (2, 5)], [False, False])


def test_byte_level_tokens_are_decoded() -> None:
    caption = one(["<|endoftext|>", "A", "Ġman", "Ġat", "Ġa", "ĠcafÃ©", "Ġ:", ")", "Ċ", "<|endoftext|>"])
    assert caption.text == "A man at a café :)\n"
    assert pieces(caption) == [None, "A", " man", " at", " a", " café", " :", ")", "\n", None]


def test_two_byte_level_tokens_of_one_character_have_its_span() -> None:
    caption = one(["Ġcaf", "Ã", "©", "Ġdog"])
    assert caption == Read(" café dog", [(0, 4), (4, 5), (4, 5), (5, 9)], [False] * 4)


def test_a_byte_level_token_that_ends_in_the_middle_of_a_character_covers_it() -> None:
    # 😀 is F0 9F 98 80, written ðŁĺĢ
    caption = one(["Hi", "ĠðŁĺ", "Ģ", "!"])
    assert caption == Read("Hi 😀!", [(0, 2), (2, 4), (3, 4), (4, 5)], [False] * 4)


@pytest.mark.parametrize("tokens", [["a", "ĠcafÃ"], ["a", "Ġcaf", "Ã"], ["a", "Ġcaf", "<0xC3>"]], ids=" ".join)
def test_a_caption_that_is_cut_inside_a_character(tokens: list[str]) -> None:
    first, second = read(tokens, ["the", "Ġdog"])
    assert first.text[:5] == "a caf"
    assert len(first.text) == 6  # the lone byte is one character of its own
    assert first.spans[-1][1] == 6
    assert second == Read("the dog", [(0, 3), (3, 7)], [False, False])


def test_characters_of_every_number_of_bytes() -> None:
    ends = ["\x7f", "\x80", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff"]
    caption = one(["<0x61>", *ends, "<0x62>"])
    assert caption.text == f"a{''.join(ends)}b"
    assert caption.spans == [(k, k + 1) for k in range(9)]


def test_bytes_that_are_no_utf8_are_a_character_each() -> None:
    caption = one(["<0xFF>", "<0xC3>", "a", "<0xF0>", "<0x9F>", "b"])
    assert len(caption.text) == 6
    assert caption.spans == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)]
    assert caption.text[2] + caption.text[5] == "ab"


def test_characters_do_not_grow_together_across_captions() -> None:
    # One caption is cut after the first byte of a character, the next begins with a byte that would continue it.
    first, second = read(["a", "Ġ", "Ã"], ["©", "Ġb"])
    assert len(first.text) == 3
    assert first.spans == [(0, 1), (1, 2), (2, 3)]
    assert len(second.text) == 3
    assert second.spans == [(0, 1), (1, 3)]


def test_a_byte_level_caption_with_text_beyond_the_alphabet() -> None:
    # Characters that no byte is written as can only be text, and added tokens are.
    caption = one(["Ġa", "日本", "Ġdog"])
    assert caption.text == " a日本 dog"
    assert caption.spans == [(0, 2), (2, 4), (4, 8)]


def test_surrogates_survive_both_ways() -> None:
    for tokens in (["a\ud800", "b"], ["a\ud800", "<0x62>"]):
        caption = one(tokens)
        assert caption.spans[-1] == (len(caption.text) - 1, len(caption.text))
        assert caption.text.endswith("b")


# ---------------------------------------------------------------- vocabularies of bytes


def in_bytes(text: str) -> list[str]:
    """Words as CLIP's vocabulary has them."""
    return [f"{byte_level(word.encode())}</w>" for word in text.split()]


@pytest.mark.parametrize("text", ["un café très chaud", "男人 站在 红色 汽车 旁边", "žluťoučký kůň", "naïve 😀"])
def test_bytes_without_a_leading_space(text: str) -> None:
    """CLIP marks ends of words, and Chinese has no spaces: no token begins with the mark of a space."""
    caption = one(in_bytes(text))
    assert caption.text == text.replace(" ", "")
    assert pieces(caption) == text.split()


def test_the_vocabulary_is_decided_by_all_captions() -> None:
    """The first word of a caption has no space before it in RoBERTa's vocabulary."""
    first, second = read(["CafÃ©"], ["a", "Ġdog"])
    assert pieces(first) == ["Café"]
    assert pieces(second) == ["a", " dog"]
    assert [pieces(own) for own in read(["un", "cafÃ©</w>"], ["deux"])] == [["un", "café"], ["deux"]]


@pytest.mark.parametrize("text", ["un café très chaud", "zażółć gęślą jaźń", "příliš", "þetta er ís", "ą ę", "č"])
def test_letters_are_no_bytes(text: str) -> None:
    """Plain words: letters of the alphabet of bytes, but no UTF-8 if read as such."""
    assert pieces(one(text.split())) == text.split()


def test_most_captions_decide() -> None:
    plain = [["été"], ["déjà"], ["Ã©"]]
    assert [pieces(own) for own in read(*plain)] == plain
    assert [pieces(own) for own in read(in_bytes("été"), in_bytes("déjà"), ["é"])][:2] == [["été"], ["déjà"]]


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_pieces_of_a_file_are_decided_together(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attneval.export.read.byte_level.TOKENS_AT_ONCE", at_once)
    captions = [["a", "man"], [], ["cafÃ©"], ["the", "dog"], ["plain"]]
    assert [own.text for own in read(*captions)] == ["aman", "", "café", "thedog", "plain"]
    assert read([], [])[0].text == ""


# ---------------------------------------------------------------- laws

# Without what may be special, or mark a caption of bytes.
text = st.text(st.characters(exclude_characters="<[Ġ\0", exclude_categories=["Cs"]), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.lists(text, max_size=5), max_size=4))
def test_plain_tokens_are_their_spans(captions: list[list[str]]) -> None:
    for caption, found in zip(captions, read(*captions), strict=True):
        assert found.text == "".join(caption)
        assert pieces(found) == caption


def byte_level(data: bytes) -> str:
    """GPT-2's rule: printable bytes stand for themselves, the others follow from U+0100 on."""
    others = [b for b in range(256) if b <= 0x20 or 0x7F <= b <= 0xA0 or b == 0xAD]
    return "".join(chr(0x100 + others.index(byte)) if byte in others else chr(byte) for byte in data)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(text, st.sets(st.integers(1, 20))), min_size=1, max_size=3),
    st.booleans(),
)
def test_bytes_cut_anywhere_cover_their_characters(parts: list[tuple[str, set[int]]], fallback: bool) -> None:
    captions = []
    for whole, cuts in parts:
        data = f" {whole}".encode()
        if fallback:
            captions.append([data[k : k + 1] for k in range(len(data))])
        else:
            ends = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
            captions.append([data[a:b] for a, b in itertools.pairwise(ends)])
    write = (lambda piece: f"<0x{piece.hex().upper()}>") if fallback else byte_level
    found = read(*([write(piece) for piece in caption] for caption in captions))
    for (whole, _), caption, own in zip(parts, captions, found, strict=True):
        assert own.text == f" {whole}"
        owner = [k for k, character in enumerate(own.text) for _ in character.encode()]
        ends = np.cumsum([0, *map(len, caption)]).tolist()
        assert own.spans == [(owner[a], owner[b - 1] + 1) for a, b in itertools.pairwise(ends)]
