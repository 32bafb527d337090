"""Classes of phrases by their last word, for annotations without categories or under a list of the user's."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import GroundTruthError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attneval.groundtruth.columns import GroundTruth, Source

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


def read_classes(path: Path) -> dict[str, str]:
    """Read a list of classes: a line a class, its name and then its words, separated by commas.

    Args:
        path: The file.

    Returns:
        The class of each word, in lower case; the name of a class is a word of it, too.

    Raises:
        GroundTruthError: The file cannot be read, or a word stands for two classes.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise GroundTruthError(f"{path} cannot be read ({error})") from error
    classes: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = [word.strip() for word in line.split(",") if word.strip()]
        for word in words:
            known = classes.setdefault(word.lower(), words[0])
            if known != words[0]:
                raise GroundTruthError(
                    f"{path} line {number}: {word!r} is of class {known!r} and of class {words[0]!r}"
                )
    if not classes:
        raise GroundTruthError(
            f"{path} has no classes", hint="a line is a class: its name, then its words, with commas"
        )
    return classes


def with_last_words(truth: GroundTruth, classes: dict[str, str] | None = None) -> GroundTruth:
    """Make categories of the last words of phrases.

    Args:
        truth: Annotations.
        classes: The class of each word; None for a class of each word of its own.

    Returns:
        The same with these categories; phrases whose last word has no class are of none.
    """
    texts = list(truth.text)
    caption = np.repeat(np.arange(len(texts)), np.diff(truth.phrase_offset)).tolist()
    start, stop = truth.span[truth.span_offset[1:] - 1].T if len(truth.span) else np.zeros((2, len(caption)), np.int64)
    stop = np.where(np.diff(truth.span_offset) > 0, stop, start)  # a phrase without a span has no text
    spoken = [texts[row][a:b] for row, a, b in zip(caption, start.tolist(), stop.tolist(), strict=True)]
    # Many phrases are said again and again.
    named = {text: _class_of(text, classes) for text in dict.fromkeys(spoken)}
    known = {name for name in named.values() if name is not None}
    place: dict[str | None, int] = {name: number for number, name in enumerate(sorted(known))}
    row_of = {text: place.get(name, -1) for text, name in named.items()}
    return replace(
        truth,
        phrase_category=np.array([row_of[text] for text in spoken], np.int64),
        categories=tuple(sorted(known)),
        category_groups=("",) * len(known),
        category_things=np.full(len(known), -1, np.int64),
    )


def _class_of(text: str, classes: dict[str, str] | None) -> str | None:
    """The class of a phrase's last word; None without any."""
    words = _WORD.findall(text)
    word = words[-1].lower() if words else None
    return word if classes is None or word is None else classes.get(word)


class ClassedSource:
    """Annotations whose categories are classes of words.

    Args:
        source: Where they are read from.
        path: The list of classes.
    """

    def __init__(self, source: Source, path: Path) -> None:
        self._source = source
        self._classes = read_classes(path)

    @property
    def format(self) -> str:
        """The name of the format."""
        return self._source.format

    @property
    def changed_ns(self) -> int:
        """See `Source`."""
        return self._source.changed_ns

    def image_ids(self) -> list[str]:
        """All annotated images."""
        return self._source.image_ids()

    def missing(self, image_ids: Sequence[str]) -> list[str]:
        """Those of the ids that are not annotated."""
        return self._source.missing(image_ids)

    def state(self, image_ids: Sequence[str]) -> str | None:
        """Give something that changes when the annotations of these images, or the classes do."""
        state = self._source.state(image_ids)
        text = repr(sorted(self._classes.items()))
        return None if state is None else f"{state} {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"

    def read(self, image_ids: Sequence[str]) -> GroundTruth:
        """The annotations of some images, in that order."""
        return with_last_words(self._source.read(image_ids), self._classes)
