from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from attneval.errors import DataError
from attneval.training.data.vocabulary import SPECIALS, Vocabulary, query_words, tokenize, wrap

if TYPE_CHECKING:
    from pathlib import Path

CAPTIONS = ["A dog runs.", "A dog sits.", "the DOG barks, barks"]


def published(words: list[str]) -> dict[str, object]:
    index = {word: position for position, word in enumerate(words)}
    return {"idx2word": {str(p): w for w, p in index.items()}, "word2idx": index, "idx": len(words)}


def test_build_by_hand() -> None:
    assert Vocabulary.build(CAPTIONS, 2).words == (*SPECIALS, ".", "a", "barks", "dog")
    assert Vocabulary.build(CAPTIONS, 3).words == (*SPECIALS, "dog")
    assert Vocabulary.build(["<start> <unk> a"], 1).words.count("<unk>") == 1


def test_encode_by_hand() -> None:
    vocabulary = Vocabulary((*SPECIALS, "a", "dog"))
    tokens = wrap(tokenize("A dog barks"))
    assert tokens == ["<start>", "a", "dog", "barks", "<end>"]
    assert vocabulary.encode(tokens) == [1, 4, 5, 3, 2]


def test_wrap_cuts_words_not_the_end() -> None:
    assert wrap(["a", "b", "c"], 4) == ["<start>", "a", "b", "<end>"]
    assert wrap(["a"], 4) == ["<start>", "a", "<end>"]


def test_reads_what_it_writes(tmp_path: Path) -> None:
    vocabulary = Vocabulary((*SPECIALS, "``", "chaîne"))
    vocabulary.write(tmp_path / "v.json")
    assert Vocabulary.read(tmp_path / "v.json") == vocabulary
    content = json.loads((tmp_path / "v.json").read_text(encoding="utf-8"))
    assert content == published(list(vocabulary.words))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "has no word2idx"),
        ('{"word2idx": {"<pad>": 0, "<start>": 2}}', "do not have the ids 0 to 1"),
        (json.dumps(published(["a", "b", "c", "d"])), "begins with <pad>"),
        (json.dumps({**published([*SPECIALS, "a"]), "idx2word": {"4": "b"}}), "not the inverse"),
        (json.dumps({**published([*SPECIALS, "a"]), "idx2word": {"x": "b"}}), "not the inverse"),
    ],
)
def test_refuses(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        Vocabulary.read(path)
    assert str(path) in str(caught.value)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file or directory"):
        Vocabulary.read(tmp_path / "none.json")


def test_refuses_words_with_two_ids() -> None:
    with pytest.raises(DataError, match="1 words have several ids in this vocabulary: a"):
        Vocabulary((*SPECIALS, "a", "a"))


def test_query_words() -> None:
    vocabulary = Vocabulary((*SPECIALS, "a", "dog", ".", "10"))
    assert query_words(vocabulary, content_only=False).tolist() == [False] * 3 + [True] * 5
    assert query_words(vocabulary, content_only=True).tolist() == [False] * 3 + [True, False, True, False, True]
