"""Words and their ids, in the JSON layout of the published vocabularies."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import DataError, first_of
from attneval.storage.json_text import parse_json
from attneval.storage.read_files import read_bytes
from attneval.storage.whole_files import write_text
from attneval.training.data.tokens import word_tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

PAD, START, END, UNK = "<pad>", "<start>", "<end>", "<unk>"
SPECIALS = (PAD, START, END, UNK)

# Closed-class English words: what they say is not in any region.
FUNCTION_WORDS = frozenset(
    """
    'd 'll 'm 're 's 've a about above across after against all along also although am among an and another
    any are around as at be because been before behind being below beside besides between both but by can
    could did do does down during each every for from had has have having he her here hers herself him
    himself his i if in inside into is it its itself just may me might must my n't near next no nor not of
    off on one ones only onto or other our out outside over per shall she should so some than that the their
    theirs them themselves then there these they this those though through to too toward towards under up
    upon us very via was we were what when where whereas which while who whom whose will with within without
    would yet you your
    """.split()  # noqa: SIM905 (a list of quoted words is no easier to read)
)


@dataclass(frozen=True)
class Vocabulary:
    """Words by id; <pad>, <start>, <end>, <unk> are the first four.

    Args:
        words: Word of each id.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.words[: len(SPECIALS)] != SPECIALS:
            raise DataError(f"a vocabulary begins with {', '.join(SPECIALS)}, not with {first_of(self.words, show=4)}")
        if len(self.index) != len(self.words):
            twice = [word for word, count in Counter(self.words).items() if count > 1]
            raise DataError(f"{len(twice)} words have several ids in this vocabulary: {first_of(twice)}")

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def index(self) -> dict[str, int]:
        """Id of each word."""
        return {word: position for position, word in enumerate(self.words)}

    @classmethod
    def build(cls, captions: Iterable[str], min_count: int = 4) -> Vocabulary:
        """All tokens seen at least `min_count` times, in the order of the alphabet."""
        counts = Counter(token for caption in captions for token in tokenize(caption))
        frequent = sorted(token for token, count in counts.items() if count >= min_count)
        return cls((*SPECIALS, *(token for token in frequent if token not in SPECIALS)))

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Read a published or written vocabulary.

        Raises:
            DataError: It is no such file, or its two tables disagree.
        """
        content = parse_json(read_bytes(path), str(path))
        if not isinstance(content, dict) or not isinstance(content.get("word2idx"), dict):
            raise DataError(f"{path}: has no word2idx", hint="a vocabulary holds word2idx, idx2word and idx")
        index: dict[str, Any] = content["word2idx"]
        by_id = {position: word for word, position in index.items() if isinstance(position, int)}
        if sorted(by_id) != list(range(len(index))):
            raise DataError(f"{path}: the {len(index)} words do not have the ids 0 to {len(index) - 1}")
        reverse = content.get("idx2word", {})
        names = {str(position): word for position, word in by_id.items()}
        if not isinstance(reverse, dict) or any(names.get(key) != word for key, word in reverse.items()):
            raise DataError(f"{path}: idx2word is not the inverse of word2idx")
        try:
            return cls(tuple(by_id[position] for position in range(len(by_id))))
        except DataError as error:
            raise DataError(f"{path}: {error.message}") from error

    def write(self, path: Path) -> None:
        """Write the published layout."""
        content = {
            "word2idx": self.index,
            "idx2word": {str(position): word for position, word in enumerate(self.words)},
            "idx": len(self.words),
        }
        write_text(path, json.dumps(content, ensure_ascii=False))

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens; unknown ones get that of <unk>."""
        unknown = self.index[UNK]
        return [self.index.get(token, unknown) for token in tokens]


def query_words(vocabulary: Vocabulary, *, content_only: bool) -> NDArray[np.bool_]:
    """Mark the ids that take part in the constraints as queries.

    Args:
        vocabulary: The words.
        content_only: Leave out function words and tokens without a letter or digit.

    Returns:
        [V] true for all words but <pad>, <start> and <end>, or for content words only.
    """
    words = vocabulary.words
    takes_part = np.array([not content_only or _is_content(word) for word in words])
    takes_part[[vocabulary.index[special] for special in (PAD, START, END)]] = False
    return takes_part


def _is_content(word: str) -> bool:
    return word == UNK or (word not in FUNCTION_WORDS and any(map(str.isalnum, word)))


def tokenize(caption: str) -> list[str]:
    """A caption's tokens as the originals make them: lower case, Treebank words, without <start> and <end>."""
    return word_tokenize(caption.lower())


def wrap(tokens: Iterable[str], limit: int = 0) -> list[str]:
    """<start> ... <end>, cut at `limit` tokens in all; 0 never cuts."""
    kept = list(tokens)
    if limit:
        kept = kept[: max(limit - 2, 0)]
    return [START, *kept, END]
