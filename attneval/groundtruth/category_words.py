"""Words of captions that name a category: lists of names, singular and plural, the longest match first."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attneval.errors import GroundTruthError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attneval.groundtruth.entry import Span

SHIPPED = Path(__file__).parent / "data" / "coco_names.txt"
"""Names of COCO's categories, from NeuralBabyTalk (MIT, see the notice beside it)."""
LONGEST = 3
"""Words of a name that are matched, at most."""

_WORD = re.compile(r"[^\W_]+")
_IRREGULAR = {
    "person": "people",
    "child": "children",
    "grandchild": "grandchildren",
    "mouse": "mice",
    "goose": "geese",
    "ox": "oxen",
    "knife": "knives",
    "calf": "calves",
    "wolf": "wolves",
    "loaf": "loaves",
    "shelf": "shelves",
    "bookshelf": "bookshelves",
    "scarf": "scarves",
    "leaf": "leaves",
    "thief": "thieves",
    "foot": "feet",
    "tooth": "teeth",
    "sheep": "sheep",
    "deer": "deer",
    "fish": "fish",
    "aircraft": "aircraft",
}
# The words of CHAIR's exceptions (Rohrbach et al., 2018).
_YOUNG_AND_OLD = ("baby", "adult")
_ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub")
_CARRIERS = ("jet", "train")
_SEAT, _TOILET = "seat", "toilet"


@dataclass(frozen=True)
class Match:
    """Words of a text that name a category.

    Attributes:
        span: The words, half-open code points.
        category: Index into the categories.
        plural: Whether the words are a plural.
    """

    span: Span
    category: int
    plural: bool


class CategoryWords:
    """Names of categories, to be looked for in texts.

    Args:
        names: For each category its names, in the order of the list; of a name that several have, the last one wins.
        exceptions: Whether CHAIR's exceptions hold: "baby elephant" is an elephant, "toilet seat" a toilet.
    """

    def __init__(self, names: Sequence[tuple[int, Sequence[str]]], *, exceptions: bool = False) -> None:
        self._known: dict[str, tuple[int, bool]] = {}
        self._exceptions = exceptions
        listed = [(category, _words(name)) for category, group in names for name in group]
        forms = {(category, form) for category, name in listed for form in plurals(name)}
        for category, name in listed:
            self._known |= {form: (category, True) for form in plurals(name) if form != name}
            if name.endswith("s") and not name.endswith("ss"):
                self._known[name[:-1]] = (category, False)
        for category, name in listed:
            # "lemons" beside "lemon" is a plural; "scissors" and "bus" stand for themselves.
            self._known[name] = (category, (category, name) in forms and plurals(name) != [name])
        if exceptions:
            self._add_exceptions()
        # Most words begin no name: looking at those alone is three times as fast.
        self._longest: dict[str, int] = {}
        for name in self._known:
            first, count = name.partition(" ")[0], name.count(" ") + 1
            self._longest[first] = max(self._longest.get(first, 0), min(count, LONGEST))

    def _add_exceptions(self) -> None:
        pairs = [(first, second) for first in _YOUNG_AND_OLD for second in _ANIMALS]
        pairs += [("passenger", second) for second in _CARRIERS] + [("bow", "tie"), (_TOILET, _SEAT)]
        for first, second in pairs:
            last = _TOILET if second == _SEAT else second
            for form in (last, *plurals(last)):
                meaning = self._known.get(form, (-1, False))
                self._known[f"{first} {second if second == _SEAT else form}"] = meaning

    def find(self, text: str) -> Iterator[Match]:
        """Look for names in a text, from its beginning; words of a longer name are not looked at again.

        Args:
            text: A caption.
        """
        words = [(match[0], match.span()) for match in _WORD.finditer(text.lower())]
        if len(text.lower()) != len(text):
            # A letter may be longer in lower case; then only letters of one form are folded.
            folded = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
            words = [(match[0], match.span()) for match in _WORD.finditer(folded)]
        has_toilet = self._exceptions and any(word == _TOILET for word, _ in words)
        place = 0
        while place < len(words):
            for count in range(min(self._longest.get(words[place][0], 0), len(words) - place), 0, -1):
                part = words[place : place + count]
                start, stop = part[0][1][0], part[-1][1][1]
                known = self._known.get(" ".join(word for word, _ in part))
                if known is not None and _adjacent(text, [span for _, span in part]):
                    if known[0] >= 0 and not (has_toilet and part[0][0] == _SEAT):
                        yield Match((start, stop), *known)
                    place += count - 1
                    break
            place += 1


def _adjacent(text: str, spans: Sequence[Span]) -> bool:
    """Tell whether nothing but white space or a hyphen stands between words."""
    return all(text[a[1] : b[0]].strip() in {"", "-"} for a, b in itertools.pairwise(spans))


def _words(name: str) -> str:
    """A name as its words are looked up: lower case, one blank between words, without what is in brackets."""
    return " ".join(_WORD.findall(re.sub(r"\([^)]*\)", " ", name).lower()))


def plurals(name: str) -> list[str]:
    """The plurals of a name, of which the last word changes.

    Args:
        name: Words in lower case, single blanks between them.
    """
    head, _, last = name.rpartition(" ")
    before = f"{head} " if head else ""
    if last in _IRREGULAR:
        forms = [_IRREGULAR[last]]
    elif last.endswith("man"):
        forms = [f"{last[:-3]}men"]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        forms = [f"{last}es"]
    elif last.endswith("y") and last[-2:-1] not in {"", *"aeiou"}:
        forms = [f"{last[:-1]}ies"]
    elif last.endswith("o"):
        forms = [f"{last}s", f"{last}es"]
    else:
        forms = [f"{last}s"]
    return [before + form for form in forms]


def read_names(path: Path, categories: Sequence[str]) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """Read a list of names: a line a category, names separated by commas, the category's own among them.

    Args:
        path: The file.
        categories: The names of the categories.

    Returns:
        For each category its names, and the lines that name no category.

    Raises:
        GroundTruthError: The file cannot be read, or no line names a category.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise GroundTruthError(f"{path} cannot be read ({error})") from error
    row = {_words(name): number for number, name in enumerate(categories)}
    names, unknown = [], []
    for line in lines:
        group = [name for name in (part.strip() for part in line.split(",")) if name]
        category = next((row[_words(name)] for name in group if _words(name) in row), None)
        if category is not None:
            names.append((category, group))
        elif group:
            unknown.append(group[0])
    if not names:
        raise GroundTruthError(
            f"no line of {path} names a category of the annotations",
            hint="a line begins with a category's name; its other names follow, separated by commas",
        )
    return names, unknown
