"""Which tokens make up which words, whatever tokeniser and whatever happened to the caption."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pytest
import word_reference
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attneval.arrays.ragged import offsets_of
from attneval.arrays.strings import Strings
from attneval.export.read.content import TokenBlock
from attneval.export.read.tokens import spans_of_tokens
from attneval.groundtruth import GroundTruth, open_ground_truth
from attneval.matching.alignment import ABSENT, Alignment, align
from attneval.matching.words import Words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Found = list[tuple[str, list[str]]]
"""Words of a caption that hold a letter or digit, each with the texts of its tokens."""


def truth_of(*images: Sequence[str], index: Sequence[int] | None = None) -> GroundTruth:
    """Annotations of captions without any phrase."""
    count = [len(captions) for captions in images]
    captions = [caption for image in images for caption in image]
    number = [k for captions_of in count for k in range(captions_of)] if index is None else list(index)
    nothing = np.zeros(0, np.int64)
    return GroundTruth(
        image_id=[str(100 + k) for k in range(len(images))],
        image_size=np.full((len(images), 2), 100),
        caption_offset=offsets_of(count),
        caption_index=np.array(number, np.int64),
        text=Strings.from_texts(captions),
        phrase_offset=np.zeros(len(captions) + 1, np.int64),
        phrase_entity=nothing,
        phrase_types=nothing,
        span_offset=np.zeros(1, np.int64),
        span=np.zeros((0, 2), np.int64),
        entity_offset=np.zeros(len(images) + 1, np.int64),
        box_offset=np.zeros(1, np.int64),
        box=np.zeros((0, 4)),
    )


@dataclass
class Case:
    """An alignment, with texts at hand."""

    truth: GroundTruth
    tokens: list[list[str]]
    found: Alignment

    @cached_property
    def flat(self) -> list[tuple[int, str]]:
        """All tokens, each with the caption it is of."""
        return [(row, token) for row, own in enumerate(self.tokens) for token in own]

    def words(self, caption: int = 0) -> Found:
        words, text, row = self.found.words, self.truth.text[caption], int(self.found.row[caption])
        out = []
        for word in range(*words.caption_offset[caption : caption + 2].tolist()):
            entries = self.found.token[slice(*self.found.token_offset[word : word + 2].tolist())].tolist()
            # Tokens of a word are those of the row that the caption was found in.
            assert {self.flat[entry][0] for entry in entries} <= {row}
            assert entries == sorted(entries)
            out.append((text[slice(*words.span[word].tolist())], [self.flat[entry][1] for entry in entries]))
        return out


def run(
    truth: GroundTruth,
    tokens: Sequence[Sequence[str]],
    image: Sequence[int] | None = None,
    index: Sequence[int] | None = None,
) -> Case:
    """Align captions given as token texts; by default they are those of the first image, in order."""
    listed = [list(own) for own in tokens]
    block = TokenBlock(
        *spans_of_tokens(
            Strings.from_texts([token for own in listed for token in own]), offsets_of(list(map(len, listed)))
        )
    )
    images = np.array(image if image is not None else [0] * len(listed), np.int64)
    indices = np.array(index if index is not None else range(len(listed)), np.int64)
    return Case(truth, listed, align(truth, block, images, indices))


def one(caption: str, tokens: Sequence[str], index: int = 0) -> Found:
    """The words of one caption that must be found whole."""
    case = run(truth_of([caption]), [tokens], index=[index])
    assert case.found.row.tolist() == [0]
    assert case.found.unaligned == case.found.disagreeing == []
    return case.words()


# ---------------------------------------------------------------- words


def test_words_split_at_white_space() -> None:
    words = Words.from_texts(Strings.from_texts([" A  man 's\that . ", "", "« — »", "x-ray , 3 \u00a0 \u2028y"]))
    # A word without a letter or digit is no word.
    assert words.caption_offset.tolist() == [0, 4, 4, 4, 7]
    assert words.span.tolist() == [[1, 2], [4, 7], [8, 10], [11, 14], [0, 5], [8, 9], [13, 14]]
    assert words.stream_offset.tolist() == [0, 8, 8, 8, 14]
    assert "".join(map(chr, words.stream.tolist())) == "amanshatxray3y"
    assert words.stream_word.tolist() == [0, 1, 1, 1, 2, 3, 3, 3, 4, 4, 4, 4, 5, 6]


def test_captions_side_by_side_do_not_touch() -> None:
    words = Words.from_texts(Strings.from_texts(["ab", "cd", "e f"]))
    assert words.caption_offset.tolist() == [0, 1, 2, 4]
    assert words.span.tolist() == [[0, 2], [0, 2], [0, 1], [2, 3]]


def test_no_captions_at_all() -> None:
    words = Words.from_texts(Strings.from_texts([]))
    assert (len(words.span), words.caption_offset.tolist()) == (0, [0])
    assert run(truth_of(["a"]), []).found.row.tolist() == [ABSENT]


def test_images_without_captions() -> None:
    assert run(truth_of([]), [["a"]]).found.unaligned == [0]


# ---------------------------------------------------------------- tokenisers

NFD = unicodedata.normalize("NFD", "Café")
TOKENISERS: dict[str, tuple[str, list[str], Found]] = {
    "white space": (
        "A man 's hat .",
        ["A", "man", "'s", "hat", "."],
        [("A", ["A"]), ("man", ["man"]), ("'s", ["'s"]), ("hat", ["hat"])],
    ),
    "nltk's quotation marks": (
        'A sign reads " stop " .',
        ["a", "sign", "reads", "``", "stop", "''", "."],
        [("A", ["a"]), ("sign", ["sign"]), ("reads", ["reads"]), ("stop", ["stop"])],
    ),
    "nltk splits what the annotation keeps whole": (
        "It isn't a dog.",
        ["it", "is", "n't", "a", "dog", "."],
        [("It", ["it"]), ("isn't", ["is", "n't"]), ("a", ["a"]), ("dog.", ["dog"])],
    ),
    "special tokens": (
        "A dog",
        ["<start>", "[CLS]", "<|startoftext|>", "", "a", "</s>", "dog", "[SEP]", "<end>", "<pad>", "[PAD]"],
        [("A", ["a"]), ("dog", ["dog"])],
    ),
    "word pieces": (
        "A skateboarder plays",
        ["[CLS]", "a", "skate", "##board", "##er", "plays", "[SEP]"],
        [("A", ["a"]), ("skateboarder", ["skate", "##board", "##er"]), ("plays", ["plays"])],
    ),
    "sentence pieces": (
        "A player , 2 dogs",
        ["▁A", "▁play", "er", "▁", ",", "▁2", "▁dog", "s"],
        [("A", ["▁A"]), ("player", ["▁play", "er"]), ("2", ["▁2"]), ("dogs", ["▁dog", "s"])],
    ),
    "fairseq's continuation marks": (
        "A player runs",
        ["A", "play@@", "er", "runs"],
        [("A", ["A"]), ("player", ["play@@", "er"]), ("runs", ["runs"])],
    ),
    "CLIP": (
        "A man 's skateboard",
        ["<|startoftext|>", "a</w>", "man</w>", "'s</w>", "skate", "board</w>", "<|endoftext|>"],
        [("A", ["a</w>"]), ("man", ["man</w>"]), ("'s", ["'s</w>"]), ("skateboard", ["skate", "board</w>"])],
    ),
    "byte-level BPE": (
        "A café outside",
        ["A", "ĠcafÃ©", "Ġout", "side"],
        [("A", ["A"]), ("café", ["ĠcafÃ©"]), ("outside", ["Ġout", "side"])],
    ),
    "byte-level BPE, two tokens for one character": (
        "A café x",
        ["A", "ĠcafÃ", "©", "Ġx"],
        [("A", ["A"]), ("café", ["ĠcafÃ", "©"]), ("x", ["Ġx"])],
    ),
    "byte-level BPE, one character in three tokens beside an emoji": (
        "A 犬 🐶 x",
        ["A", "Ġç", "Ĭ", "¬", "ĠðŁĲ", "¶", "Ġx"],
        [("A", ["A"]), ("犬", ["Ġç", "Ĭ", "¬"]), ("x", ["Ġx"])],
    ),
    "byte fallback": (
        "A 犬 x",
        ["▁A", "▁", "<0xE7>", "<0x8A>", "<0xAC>", "▁x"],
        [("A", ["▁A"]), ("犬", ["<0xE7>", "<0x8A>", "<0xAC>"]), ("x", ["▁x"])],
    ),
    "cut inside a character": (
        "A café",
        ["A", "ĠcafÃ"],
        [("A", ["A"]), ("café", ["ĠcafÃ"])],
    ),
    "characters": (
        "A dog",
        list("a dog"),
        [("A", ["a"]), ("dog", ["d", "o", "g"])],
    ),
    "punctuation dropped": (
        'A " big " dog , running - fast !',
        ["a", "big", "dog", "running", "fast"],
        [(word, [word.lower()]) for word in ("A", "big", "dog", "running", "fast")],
    ),
    "punctuation within words dropped": (
        "A t-shirt that reads 9-11 O'Neil",
        ["a", "tshirt", "that", "reads", "911", "oneil"],
        [
            ("A", ["a"]),
            ("t-shirt", ["tshirt"]),
            ("that", ["that"]),
            ("reads", ["reads"]),
            ("9-11", ["911"]),
            ("O'Neil", ["oneil"]),
        ],
    ),
    "a hyphenated word in pieces": (
        "A t-shirt",
        ["a", "t", "-", "shirt"],
        [("A", ["a"]), ("t-shirt", ["t", "-", "shirt"])],
    ),
    "punctuation within words, and at their edges": (
        "A man 's O'Neil hat, 9-11.",
        ["a", "man", "'", "s", "o", "'", "##neil", "hat", ",", "9", "-", "<sep>", "", "11", "."],
        [
            ("A", ["a"]),
            ("man", ["man"]),
            ("'s", ["s"]),
            ("O'Neil", ["o", "'", "##neil"]),
            ("hat,", ["hat"]),
            ("9-11.", ["9", "-", "11"]),
        ],
    ),
    "other punctuation than the annotation has": (
        "A t-shirt ok",
        ["a", "t", "\u2013", "shirt", "``", "ok"],
        [("A", ["a"]), ("t-shirt", ["t", "\u2013", "shirt"]), ("ok", ["ok"])],
    ),
    "accents stripped": (
        "Un élève à Noël",
        ["un", "eleve", "a", "noel"],
        [("Un", ["un"]), ("élève", ["eleve"]), ("à", ["a"]), ("Noël", ["noel"])],
    ),
    "composed and decomposed": (
        f"Café {NFD} é",
        [NFD, "café", "é"],
        [("Café", [NFD]), (NFD, ["café"]), ("é", ["é"])],
    ),
    "decomposed in two tokens": (
        "Café x",
        ["Cafe", "\u0301", "x"],
        [("Café", ["Cafe"]), ("x", ["x"])],
    ),
    "compatibility characters and case": (
        "ﬁve STRASSE \uff12 x²",
        ["FI", "VE", "straße", "2", "X2"],
        [("ﬁve", ["FI", "VE"]), ("STRASSE", ["straße"]), ("\uff12", ["2"]), ("x²", ["X2"])],
    ),
    "a token for two words": (
        "An ice cream cone",
        ["an", "icecream", "cone"],
        [("An", ["an"]), ("ice", ["icecream"]), ("cream", ["icecream"]), ("cone", ["cone"])],
    ),
    "a token with a space in it, and one across a border": (
        "An ice cream cone here",
        ["an ice", "cr", "eam co", "ne", "here"],
        [
            ("An", ["an ice"]),
            ("ice", ["an ice"]),
            ("cream", ["cr", "eam co"]),
            ("cone", ["eam co", "ne"]),
            ("here", ["here"]),
        ],
    ),
}


@pytest.mark.parametrize("index", [0, -1])
@pytest.mark.parametrize("name", TOKENISERS)
def test_tokenisers(name: str, index: int) -> None:
    caption, tokens, expected = TOKENISERS[name]
    assert one(caption, tokens, index) == expected


WORDS = st.text("abcdefgxyzéÉßñ09", min_size=1, max_size=7)


@st.composite
def tokenised(draw: st.DrawFn) -> tuple[str, list[str], Found]:
    """A caption, and tokens that some tokeniser might have made of it: cut, marked, folded, without punctuation."""
    caption, tokens, expected = [], [], []
    for word in draw(st.lists(WORDS, min_size=1, max_size=8)):
        cuts = sorted(draw(st.sets(st.integers(1, max(len(word) - 1, 1)), max_size=2)) - {len(word)})
        pieces = [word[a:b] for a, b in itertools.pairwise([0, *cuts, len(word)])]
        pieces = [draw(st.sampled_from([piece, f"##{piece}", f"▁{piece}", f"{piece}@@"])) for piece in pieces]
        pieces = [
            draw(st.sampled_from([piece, piece.lower(), unicodedata.normalize("NFD", piece)])) for piece in pieces
        ]
        mark = draw(st.sampled_from(["", "", ",", '"', "'"]))
        caption += [word, mark] if mark else [word]
        tokens += pieces + draw(st.sampled_from([[], [mark], ["[SEP]"], [""]]))
        expected.append((word, pieces))
    return " ".join(caption), tokens, expected


@given(tokenised(), st.sampled_from([0, -1]))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_any_tokeniser(case: tuple[str, list[str], Found], index: int) -> None:
    caption, tokens, expected = case
    assert one(caption, tokens, index) == expected


# ---------------------------------------------------------------- spans


def spanned(truth: GroundTruth, texts: list[str], spans: list[list[tuple[int, int]]]) -> Case:
    """Align captions given as spans into their text."""
    flat = np.array([span for own in spans for span in own], np.int64).reshape(-1, 2)
    offset = offsets_of(list(map(len, spans)))
    block = TokenBlock(Strings.from_texts(texts), offset, flat, np.zeros(len(flat), np.bool_))
    named = [[text[a:b] if a >= 0 else "special" for a, b in own] for text, own in zip(texts, spans, strict=True)]
    return Case(truth, named, align(truth, block, np.zeros(len(texts), np.int64), np.arange(len(texts))))


def test_spans() -> None:
    # The second token is special, the third empty, as some tokenisers give for specials, the last one a full stop.
    spans = [(0, 1), (-1, -1), (0, 0), (2, 5), (5, 7), (8, 9)]
    case = spanned(truth_of(["A player ."]), ["a player ."], [spans])
    assert case.words() == [("A", ["a"]), ("player", ["pla", "ye"])]


def test_spans_need_not_cover_the_text_nor_be_in_order() -> None:
    case = spanned(truth_of(["A big dog"]), ["a big dog"], [[(6, 9), (0, 1), (0, 5), (3, 8)]])
    assert case.words() == [("A", ["a", "a big"]), ("big", ["a big", "ig do"]), ("dog", ["dog", "ig do"])]


def test_spans_count_code_points() -> None:
    case = spanned(truth_of(["🐶🐶 A café"]), ["🐶🐶 a café"], [[(0, 2), (3, 4), (5, 9)]])
    assert case.words() == [("A", ["a"]), ("café", ["café"])]


# ---------------------------------------------------------------- what happens to captions


@pytest.mark.parametrize("index", [0, -1])
@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["a", "skate"], [("A", ["a"]), ("skateboarder", ["skate"]), ("runs", [])]),
        (["<start>", "a", "<end>"], [("A", ["a"]), ("skateboarder", []), ("runs", [])]),
        (["a", "skateboarder", "."], [("A", ["a"]), ("skateboarder", ["skateboarder"]), ("runs", [])]),
    ],
)
def test_captions_that_the_model_cuts(tokens: list[str], expected: Found, index: int) -> None:
    assert one("A skateboarder runs .", tokens, index) == expected


@pytest.mark.parametrize("index", [0, -1])
@pytest.mark.parametrize(
    "tokens",
    [
        ["a", "photo", "of", "A", "dog", "runs", "."],
        ["A", "dog", "runs", ",", "a", "photo", "."],
        ["[CLS]", "it", "shows", ":", "A", "dog", "runs", "in", "high", "quality", "[SEP]"],
    ],
)
def test_a_prompt_around_the_caption(tokens: list[str], index: int) -> None:
    assert one("A dog runs .", tokens, index) == [("A", ["A"]), ("dog", ["dog"]), ("runs", ["runs"])]


def test_a_token_that_reaches_over_the_border_of_a_prompt() -> None:
    assert one("A dog runs .", ["photo of a", "dog", "runs today"]) == [
        ("A", ["photo of a"]),
        ("dog", ["dog"]),
        ("runs", ["runs today"]),
    ]


@pytest.mark.parametrize("index", [0, -1])
@pytest.mark.parametrize(
    ("caption", "tokens", "expected", "repeated"),
    [
        ("cat", ["Locate", "the", "cat"], [("cat", ["cat"])], False),
        ("cat", ["Locate", "the", "cat", "!"], [("cat", ["cat"])], False),
        ("cat", ["lo", "##cat", "##e", "a", "cat"], [("cat", ["cat"])], False),
        ("C", ["Is", "this", "right", ":", "C", "?", "Yes", ":", "C"], [("C", ["C"])], True),
        ("a dog", ["a", "dog", "?", "a", "dog", "."], [("a", ["a"]), ("dog", ["dog"])], True),
        ("红色 汽车", ["请", "描述", "红色", "汽车"], [("红色", ["红色"]), ("汽车", ["汽车"])], False),
        ("cat", ["find:cat in it"], [("cat", ["find:cat in it"])], False),
    ],
)
def test_a_caption_stands_between_borders_and_last(
    caption: str, tokens: list[str], expected: Found, repeated: bool, index: int
) -> None:
    case = run(truth_of([caption]), [tokens], index=[index])
    assert case.words() == expected
    assert case.found.repeated == ([0] if repeated else [])


def test_the_last_place_is_that_of_the_last_tokens() -> None:
    case = run(truth_of(["C"]), [["C", "?", "Yes", ":", "C"]], index=[-1])
    assert case.found.token.tolist() == [4]


@pytest.mark.parametrize("tokens", [["Locate"], ["lo", "##cat", "##e"], ["Locate", "it"], ["the", "cats"]])
def test_a_caption_inside_another_word_is_none(tokens: list[str]) -> None:
    case = run(truth_of(["cat"]), [tokens], index=[-1])
    assert case.found.unaligned == [0]


def test_two_captions_with_the_same_text() -> None:
    truth = truth_of(["A dog .", "Two cats .", "a dog"])
    tokens = [["A", "dog", "."], ["two", "cats"], ["a", "do", "g"]]
    for index in ([0, 1, 2], [-1, -1, -1], [0, -1, -1]):
        case = run(truth, tokens, index=index)
        assert case.found.row.tolist() == [0, 1, 2]
        assert case.words(0) == [("A", ["A"]), ("dog", ["dog"])]
        assert case.words(2) == [("a", ["a"]), ("dog", ["do", "g"])]
        assert case.found.unaligned == case.found.disagreeing == []
    # The last one knows which it is, so the first one is the other.
    case = run(truth, tokens, index=[-1, -1, 0])
    assert case.found.row.tolist() == [2, 1, 0]
    assert case.found.disagreeing == []


def test_captions_are_matched_by_text_where_the_index_is_unknown() -> None:
    truth = truth_of(["A dog runs", "A dog", "Two cats"])
    case = run(truth, [["two", "cats"], ["a", "dog"], ["a", "dog", "runs"]], index=[-1, -1, -1])
    # A whole caption goes before the beginning of another.
    assert case.found.row.tolist() == [2, 1, 0]
    assert case.found.disagreeing == []


def test_captions_are_matched_by_text_where_the_index_is_wrong() -> None:
    truth = truth_of(["A dog", "Two cats", "Three men"])
    case = run(truth, [["two", "cats"], ["a", "dog"], ["three", "men"]], index=[0, 1, 2])
    assert case.found.row.tolist() == [1, 0, 2]
    assert case.found.disagreeing == [0, 1]
    assert case.words(1) == [("Two", ["two"]), ("cats", ["cats"])]
    # An index that no caption of the image has is wrong as well.
    case = run(truth, [["two", "cats"]], index=[7])
    assert case.found.row.tolist() == [ABSENT, 0, ABSENT]
    assert case.found.disagreeing == [0]


def test_annotated_captions_have_the_numbers_they_have() -> None:
    truth = truth_of(["A dog", "A dog"], index=[3, 1])
    assert run(truth, [["a", "dog"], ["a", "dog"]], index=[1, 3]).found.row.tolist() == [1, 0]


def test_the_text_of_another_images_caption() -> None:
    truth = truth_of(["A dog", "Two cats"], ["Three men", "A bus"])
    case = run(truth, [["a", "bus"], ["two", "cats"], ["a", "bus"]], image=[0, 0, 1], index=[0, 1, 1])
    assert case.found.unaligned == [0]
    assert case.found.disagreeing == []
    assert case.found.row.tolist() == [ABSENT, 1, ABSENT, 2]
    assert case.words(3) == [("A", ["a"]), ("bus", ["bus"])]
    assert case.words(0) == [("A", []), ("dog", [])]


@pytest.mark.parametrize("tokens", [[], ["<start>", "<end>"], [".", "``"], ["", ""]])
@pytest.mark.parametrize("index", [0, -1])
def test_captions_without_any_text(tokens: list[str], index: int) -> None:
    case = run(truth_of(["A dog", "Two cats"]), [tokens, ["two", "cats"]], index=[index, 1])
    assert case.found.unaligned == [0]
    assert case.found.row.tolist() == [ABSENT, 1]


@pytest.mark.parametrize("tokens", [["<start>", "-", "."], ["- ."], ["🐶"]])
@pytest.mark.parametrize("index", [1, -1])
def test_captions_of_punctuation_are_captions_without_a_word(tokens: list[str], index: int) -> None:
    case = run(truth_of(["A dog", "- ."]), [["a", "dog"], tokens], index=[0, index])
    assert case.found.unaligned == case.found.disagreeing == []
    assert case.found.row.tolist() == [0, 1]
    assert case.words(1) == []


@pytest.mark.parametrize(
    "tokens",
    [["a", "cat"], ["dog", "a"], ["the", "dog", "runs"], ["a", "dogs"], ["adog", "x"]],
)
def test_text_that_is_no_caption(tokens: list[str]) -> None:
    case = run(truth_of(["A dog runs"]), [tokens])
    assert case.found.unaligned == [0]
    assert case.found.row.tolist() == [ABSENT]
    assert case.words() == [("A", []), ("dog", []), ("runs", [])]


def test_of_two_exports_of_a_caption_the_first_counts() -> None:
    case = run(truth_of(["A dog", "Two cats"]), [["a", "dog"], ["a", "do", "g"]], index=[0, 1])
    assert case.found.row.tolist() == [0, ABSENT]
    assert case.words() == [("A", ["a"]), ("dog", ["dog"])]
    assert case.found.disagreeing == [1]


def test_many_images_at_once() -> None:
    captions = [[f"image {i} caption {k}" for k in range(1 + i % 3)] for i in range(9)]
    rows = [(i, k) for i, own in enumerate(captions) for k in range(len(own))][::-1]
    case = run(
        truth_of(*captions),
        [captions[i][k].split() for i, k in rows],
        image=[i for i, _ in rows],
        index=[-1 if i % 2 else k for i, k in rows],
    )
    assert case.found.row.tolist() == list(range(len(rows)))[::-1]
    for caption, text in enumerate(case.truth.text):
        assert case.words(caption) == [(word, [word]) for word in text.split()]


# ---------------------------------------------------------------- words outside the vocabulary

UNKNOWN: dict[str, tuple[str, list[str], Found]] = {
    "a single one": (
        "A skateboarder runs",
        ["<start>", "a", "<unk>", "runs", "<end>"],
        [("A", ["a"]), ("skateboarder", ["<unk>"]), ("runs", ["runs"])],
    ),
    "at the beginning": (
        "Skateboarders run",
        ["<unk>", "run"],
        [("Skateboarders", ["<unk>"]), ("run", ["run"])],
    ),
    "at the end": (
        "A dog frolics",
        ["a", "dog", "<unk>"],
        [("A", ["a"]), ("dog", ["dog"]), ("frolics", ["<unk>"])],
    ),
    "at the end, before punctuation": (
        "A dog frolics .",
        ["a", "dog", "[UNK]", "."],
        [("A", ["a"]), ("dog", ["dog"]), ("frolics", ["[UNK]"])],
    ),
    "adjacent": (
        "A jolly skateboarder frolics here",
        ["a", "<unk>", "<UNK>", "<unk>", "here"],
        [("A", ["a"]), ("jolly", ["<unk>"]), ("skateboarder", ["<UNK>"]), ("frolics", ["<unk>"]), ("here", ["here"])],
    ),
    "adjacent at the end": (
        "A dog frolics jollily",
        ["a", "dog", "<unk>", "<unk>"],
        [("A", ["a"]), ("dog", ["dog"]), ("frolics", ["<unk>"]), ("jollily", ["<unk>"])],
    ),
    "for punctuation alone": (
        "A dog ; a cat",
        ["a", "dog", "<unk>", "a", "cat"],
        [("A", ["a"]), ("dog", ["dog"]), ("a", ["a"]), ("cat", ["cat"])],
    ),
    "for punctuation at the end": (
        "A dog !",
        ["a", "dog", "<unk>"],
        [("A", ["a"]), ("dog", ["dog"])],
    ),
    "one for two words": (
        "A hot dog runs",
        ["a", "<unk>", "runs"],
        [("A", ["a"]), ("hot", ["<unk>"]), ("dog", ["<unk>"]), ("runs", ["runs"])],
    ),
    "in place of a part of a word": (
        "A t-shirt here",
        ["a", "<unk>", "shirt", "here"],
        [("A", ["a"]), ("t-shirt", ["<unk>", "shirt"]), ("here", ["here"])],
    ),
    "the word after it occurs twice": (
        "Rover the dog , the cat",
        ["<unk>", "the", "dog", ",", "the", "cat"],
        [("Rover", ["<unk>"]), ("the", ["the"]), ("dog", ["dog"]), ("the", ["the"]), ("cat", ["cat"])],
    ),
    "the letters after it occur inside it": (
        "A carat a day",
        ["a", "<unk>", "a", "day"],
        [("A", ["a"]), ("carat", ["<unk>"]), ("a", ["a"]), ("day", ["day"])],
    ),
    "before a cut": (
        "A jolly dog runs fast",
        ["a", "<unk>", "dog"],
        [("A", ["a"]), ("jolly", ["<unk>"]), ("dog", ["dog"]), ("runs", []), ("fast", [])],
    ),
    "at a cut": (
        "A jolly dog runs",
        ["a", "<unk>"],
        [("A", ["a"]), ("jolly", ["<unk>"]), ("dog", []), ("runs", [])],
    ),
    "everything": (
        "Skateboarders frolic",
        ["<unk>", "<unk>"],
        [("Skateboarders", ["<unk>"]), ("frolic", ["<unk>"])],
    ),
}


@pytest.mark.parametrize("index", [0, -1])
@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_words(name: str, index: int) -> None:
    caption, tokens, expected = UNKNOWN[name]
    assert one(caption, tokens, index) == expected


@pytest.mark.parametrize(
    ("caption", "tokens", "expected"),
    [
        (
            "two donkeys : one black",
            ["two", "<unk>", "<unk>", "one", "black"],
            [("two", ["two"]), ("donkeys", ["<unk>"]), ("one", ["one"]), ("black", ["black"])],
        ),
        (
            "by Architects & Engineers here",
            ["by", "<unk>", "[unk]", "<UNK>", "here"],
            [("by", ["by"]), ("Architects", ["<unk>"]), ("Engineers", ["<UNK>"]), ("here", ["here"])],
        ),
        (  # known punctuation takes its place as well
            "two donkeys , - zebras here",
            ["two", "<unk>", ",", "<unk>", "[unk]", "here"],
            [("two", ["two"]), ("donkeys", ["<unk>"]), ("zebras", ["[unk]"]), ("here", ["here"])],
        ),
        (  # but stands for no word: nobody knows which of the unknown ones is which
            "two donkeys zebras - , oxen here",
            ["two", "<unk>", ",", "<unk>", "[unk]", "<UNK>", "here"],
            [("two", ["two"]), ("donkeys", []), ("zebras", []), ("oxen", []), ("here", ["here"])],
        ),
        (  # at the end either side may have punctuation that the other lacks
            "for the light-hearted !",
            ["for", "the", "<unk>", "[unk]", "."],
            [("for", ["for"]), ("the", ["the"]), ("light-hearted", ["<unk>"])],
        ),
        (
            "two & donkeys ! !",
            ["two", "[unk]", "<unk>"],
            [("two", ["two"]), ("donkeys", ["<unk>"])],
        ),
    ],
)
def test_unknown_words_beside_unknown_punctuation(caption: str, tokens: list[str], expected: Found) -> None:
    assert one(caption, tokens) == expected


def test_unknown_words_in_several_captions() -> None:
    truth = truth_of(["A dog runs", "A cat runs", "A dog sleeps"])
    case = run(truth, [["a", "<unk>", "runs"], ["a", "<unk>", "runs"], ["a", "dog", "<unk>"]], index=[-1, -1, -1])
    assert sorted(case.found.row.tolist()) == [0, 1, 2]
    assert case.found.row.tolist()[2] == 2
    # The claimed caption is tried first.
    case = run(truth, [["a", "<unk>", "runs"]], index=[1])
    assert case.found.row.tolist() == [ABSENT, 0, ABSENT]
    assert case.found.disagreeing == []


def test_known_words_that_do_not_fit() -> None:
    case = run(truth_of(["A dog runs", "A cat sleeps"]), [["two", "<unk>", "runs"], ["a", "<unk>", "sleeps"]])
    assert case.found.unaligned == [0]
    assert case.found.row.tolist() == [ABSENT, 1]


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.sampled_from([0, -1]))
@settings(max_examples=80, deadline=None, derandomize=True)
@example([True], 0)
@example([False, True, True, False], 0)
def test_unknown_words_anywhere(unknown: list[bool], index: int) -> None:
    """Whichever words are unknown, each gets its token: no word here is part of another."""
    words = [f"{chr(ord('a') + k) * 2}{k}x" for k in range(len(unknown))]
    tokens = ["<unk>" if hidden else word for word, hidden in zip(words, unknown, strict=True)]
    assert one(" ".join(words), tokens, index) == [(w, [t]) for w, t in zip(words, tokens, strict=True)]


# ---------------------------------------------------------------- real captions


@pytest.fixture(scope="module")
def karpathy(shared: Path) -> tuple[GroundTruth, list[list[str]]]:
    """The Entities annotations of the Karpathy test images, and the released captions as a vocabulary reads them."""
    rows = (shared / "retrieval/f30k_karpathy_test_ids.tsv").read_text("utf-8").splitlines()[1:]
    captions = (shared / "retrieval/f30k_karpathy_test_caps.txt").read_text("utf-8").splitlines()
    truth = open_ground_truth(shared / "flickr30k_entities").read([row.split("\t")[1] for row in rows])
    return truth, [f"<start> {caption.lower()} <end>".split() for caption in captions]


def five_each(truth: GroundTruth, tokens: list[list[str]], index: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Case:
    return run(truth, tokens, image=(np.arange(len(tokens)) // 5).tolist(), index=index.tolist())


@pytest.mark.realdata
@pytest.mark.parametrize("with_index", [True, False])
def test_karpathy_captions_align_completely(karpathy: tuple[GroundTruth, list[list[str]]], with_index: bool) -> None:
    truth, tokens = karpathy
    assert len(truth.text) == len(tokens) == 5000
    index = np.arange(5000) % 5 if with_index else np.full(5000, -1)
    case = five_each(truth, tokens, index)
    assert case.found.unaligned == case.found.disagreeing == []
    assert sorted(case.found.row.tolist()) == list(range(5000))
    if with_index:
        assert case.found.row.tolist() == list(range(5000))
    # Word by word, against the letter-by-letter alignment of the reference.
    for caption in range(0, 5000, 7):
        words = truth.text[caption].split()
        row = int(case.found.row[caption])
        expected = word_reference.tokens_of_words(tokens[row], words)
        assert case.words(caption) == [
            (word, [tokens[row][t] for t in found])
            for word, found in zip(words, expected, strict=True)
            if word_reference.letters(word)
        ]
    assert np.diff(case.found.token_offset).min() == 1


@pytest.mark.realdata
@pytest.mark.parametrize("rarer_than", [2, 4, 10])
def test_karpathy_captions_with_rare_words_unknown(
    karpathy: tuple[GroundTruth, list[list[str]]], rarer_than: int
) -> None:
    truth, tokens = karpathy
    frequency = Counter(token for own in tokens for token in own)
    masked = [[token if frequency[token] >= rarer_than else "<unk>" for token in own] for own in tokens]
    assert sum(own.count("<unk>") for own in masked) > 1000
    whole = five_each(truth, tokens, np.arange(5000) % 5).found
    found = five_each(truth, masked, np.arange(5000) % 5).found
    assert found.unaligned == found.disagreeing == []
    assert found.row.tolist() == whole.row.tolist()
    # Every word has the token that it had before, also where unknown words stand beside unknown punctuation.
    assert (np.diff(whole.token_offset) == 1).all()
    assert np.count_nonzero(np.diff(found.token_offset) != 1) == 0
    assert np.count_nonzero(found.token != whole.token) == 0
