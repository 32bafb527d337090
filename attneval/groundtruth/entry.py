"""The one reader of values in annotation files: what is there is checked, never converted."""

from __future__ import annotations

import math
import reprlib
from typing import TYPE_CHECKING, Any, NoReturn

from attneval.errors import GroundTruthError

if TYPE_CHECKING:
    Box = tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels, continuous edges."""
    Span = tuple[int, int]
    """Half-open code points."""
    Size = tuple[int, int]
    """Width and height; (0, 0) if they are not known."""

LARGEST_SIZE = 2**20
"""Pixels of an image's side, at most."""
LARGEST = 2**63 - 1
"""Ids and counts, at most."""
UNKNOWN_SIZE = (0, 0)
LONGEST_SHOWN = 160
"""Characters of a value in a message."""


class Entry:
    """One entry of a file, whose values are asked for by name.

    Every method raises a GroundTruthError that names the file, the entry and the field.

    Args:
        place: The file, as it is named in messages.
        kind: What the entry is: `annotation`, `image`, `line`.
        label: Its id or its place in the file.
        values: What it holds; anything but a dictionary is refused.
    """

    __slots__ = ("_kind", "label", "place", "values")

    def __init__(self, place: object, kind: str, label: object, values: Any) -> None:
        self.place, self._kind, self.label, self.values = place, kind, label, values
        if not isinstance(values, dict):
            self.fail(f"it is {_shown(values)}, and no object with names")

    def fail(self, why: str) -> NoReturn:
        """Refuse the entry."""
        raise GroundTruthError(f"{self.place}: {self} cannot be read: {why}")

    def __str__(self) -> str:
        return f"{self._kind} {_shown(self.label)}"

    def __contains__(self, field: str) -> bool:
        return field in self.values

    def value(self, field: str) -> Any:
        """The value of a field, whatever it is."""
        try:
            return self.values[field]
        except KeyError:
            self.fail(f"it has no {field!r}")

    def text(self, field: str) -> str:
        """A text."""
        value = self.value(field)
        if not isinstance(value, str):
            self.fail(f"{field} is {_shown(value)}, and no text")
        return value

    def items(self, field: str) -> list[Any]:
        """A list."""
        return self.as_list(self.value(field), field)

    def as_list(self, value: Any, field: str) -> list[Any]:
        """A list that stands somewhere in a field."""
        if not isinstance(value, (list, tuple)):
            self.fail(f"{field} is {_shown(value)}, and no list")
        return list(value)

    def key(self, field: str) -> str:
        """An id, which may be a whole number or a text; numbers are the same either way."""
        return self.as_key(self.value(field), field)

    def as_key(self, value: Any, field: str) -> str:
        """An id that stands somewhere in a field."""
        if type(value) is int and -LARGEST <= value <= LARGEST:
            return str(value)
        if isinstance(value, str):
            text = value.strip()
            digits = text.removeprefix("-")
            if not (digits.isascii() and digits.isdigit()):
                return text
            if len(digits) > 19 or int(digits) > LARGEST:
                self.fail(f"{field} is {_shown(value)}, which is out of range")
            return str(int(text))
        return str(self.as_whole(value, field, -LARGEST))

    def whole(self, field: str, low: int = 0, high: int = LARGEST) -> int:
        """A whole number."""
        return self.as_whole(self.value(field), field, low, high)

    def as_whole(self, value: Any, field: str, low: int = 0, high: int = LARGEST) -> int:
        """A whole number that stands somewhere in a field; one without a fraction may be written as 3.0 or "3"."""
        number = value
        if isinstance(value, str) and value.isascii() and value.strip().removeprefix("-").isdigit():
            number = int(value) if len(value) <= 40 else high + 1
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if type(number) is not int:
            self.fail(f"{field} is {_shown(value)}, and no whole number")
        if not low <= number <= high:
            self.fail(f"{field} is {_shown(value)}, which is out of range")
        return number

    def flag(self, field: str) -> bool:
        """Yes or no, written as such or as 1 or 0; no if it is absent."""
        value = self.values.get(field, False)
        if value not in (0, 1):
            self.fail(f"{field} is {_shown(value)}, and neither 0 nor 1")
        return bool(value)

    def numbers(self, value: Any, field: str, count: int) -> list[float]:
        """Finite numbers, so many of them."""
        values = self.as_list(value, field)
        if len(values) != count:
            self.fail(f"{field} holds {len(values)} numbers instead of {count}")
        return [self.as_number(number, field) for number in values]

    def as_number(self, value: Any, field: str) -> float:
        """A finite number that stands somewhere in a field."""
        if type(value) is float or (type(value) is int and -LARGEST <= value <= LARGEST):
            number = float(value)
        else:
            self.fail(f"{field} holds {_shown(value)}, and no number that can be used")
        if not math.isfinite(number):
            self.fail(f"{field} holds {number}, and no finite number")
        return number

    def size(self, width: str = "width", height: str = "height") -> Size:
        """The size of an image, at least one pixel either way."""
        return self.whole(width, 1, LARGEST_SIZE), self.whole(height, 1, LARGEST_SIZE)

    def corner_box(self, value: Any, field: str, size: Size) -> Box | None:
        """A box given as x, y, width, height, see `box`."""
        x, y, width, height = self.numbers(value, field, 4)
        if width < 0 or height < 0:
            self.fail(f"{field} {_shown(value)} has a negative width or height")
        return self.clipped((x, y, x + width, y + height), value, field, size)

    def edge_box(self, value: Any, field: str, size: Size) -> Box | None:
        """A box given as x1, y1, x2, y2, see `box`."""
        x1, y1, x2, y2 = self.numbers(value, field, 4)
        if x2 < x1 or y2 < y1:
            self.fail(f"{field} {_shown(value)} ends before it begins")
        return self.clipped((x1, y1, x2, y2), value, field, size)

    def clipped(self, box: Box, value: Any, field: str, size: Size) -> Box | None:
        """The part of a box that lies in its image; None if it has no area, refused if all of it lies outside."""
        x1, y1, x2, y2 = box
        if x1 == x2 or y1 == y2:
            return None
        if size == UNKNOWN_SIZE:
            return box
        width, height = size
        low, high = (max(x1, 0.0), max(y1, 0.0)), (min(x2, float(width)), min(y2, float(height)))
        if low[0] >= high[0] or low[1] >= high[1]:
            self.fail(f"{field} {_shown(value)} lies outside its image of {width} x {height}")
        return (*low, *high)

    def spans(self, value: Any, field: str, text: str) -> list[Span]:
        """Spans of a text, each with a first character and the one after the last."""
        pairs = self.as_list(value, field)
        if len(pairs) == 2 and all(type(number) is int for number in pairs):
            pairs = [pairs]  # some writers leave out the list around a single span
        spans = []
        for pair in pairs:
            bounds = self.as_list(pair, field)
            if len(bounds) != 2:
                self.fail(f"{field} holds {_shown(pair)}, and no first and last character")
            start, stop = (self.as_whole(bound, field, -LARGEST) for bound in bounds)
            if not 0 <= start < stop <= len(text):
                self.fail(f"{field}: span [{start}, {stop}) lies outside a caption of {len(text)} characters")
            spans.append((start, stop))
        return spans


def entries(place: object, kind: str, values: Any, field: str = "id") -> list[Entry]:
    """The entries of a list, each named by one of its fields, or by its place.

    Raises:
        GroundTruthError: It is no list, or one of its values is no dictionary.
    """
    if not isinstance(values, list):
        raise GroundTruthError(f"{place}: the {kind} entries are {_shown(values)}, and no list")
    return [
        Entry(place, kind, value.get(field, number) if isinstance(value, dict) else number, value)
        for number, value in enumerate(values)
    ]


def _shown(value: Any) -> str:
    try:
        text = _SHORT.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of too many digits"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
