"""Text as columns of code points, and the folding under which differently tokenised texts agree.

A tokeniser may change case, accents, spacing and punctuation; it keeps letters and digits in their order. Two texts
are therefore compared as *streams*: compatibility-decomposed, case-folded, letters and digits only.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


@record
class Strings:
    """Many strings as one array of code points.

    Attributes:
        code: u4[n], the code points of all strings, one after the other.
        offset: i8[S+1], where each string starts; the last entry is n.
    """

    code: NDArray[np.uint32]
    offset: NDArray[np.int64]

    @classmethod
    def from_texts(cls, strings: Sequence[str]) -> Strings:
        """Build from Python strings."""
        lengths = np.fromiter(map(len, strings), np.int64, len(strings))
        return cls(code_points("".join(strings)), offsets_of(lengths))

    @classmethod
    def from_unicode(cls, array: NDArray[np.str_]) -> Strings:
        """Build from a numpy array of texts, U[n].

        Raises:
            ValueError: It holds what is no code point.
        """
        width = max(array.dtype.itemsize // 4, 1)
        table = np.ascontiguousarray(array.astype(f"=U{width}")).view(np.uint32).reshape(len(array), width)
        used = table != 0
        # Zeros fill a text up; those before its last character are characters.
        lengths = np.where(used.any(axis=1), width - used[:, ::-1].argmax(axis=1), 0).astype(np.int64)
        code = table[np.arange(width) < lengths[:, None]]
        if code.max(initial=0) > sys.maxunicode:
            raise ValueError(f"code point {code.max():#x} does not exist")
        return cls(code, offsets_of(lengths))

    @classmethod
    def from_utf8(cls, data: NDArray[np.uint8], offset: NDArray[np.int64]) -> Strings:
        """Build from UTF-8 bytes u1[b] and byte offsets i8[n+1].

        Raises:
            UnicodeDecodeError: The bytes are not UTF-8.
            ValueError: An offset points into the middle of a character.
        """
        code = code_points(data.tobytes().decode("utf-8"))
        if len(code) == len(data):
            return cls(code, offset)
        continues = (data & 0xC0) == 0x80
        inside = np.flatnonzero(continues[offset[offset < len(data)]])
        if len(inside):
            raise ValueError(f"offset {inside[0]} points into the middle of a character")
        characters_before = np.concatenate(([0], np.cumsum(~continues)))
        return cls(code, characters_before[offset])

    def to_utf8(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The bytes and byte offsets that `from_utf8` reads."""
        data = np.frombuffer(text_of(self.code).encode("utf-8"), np.uint8)
        width = 1 + (self.code > 0x7F).astype(np.int64) + (self.code > 0x7FF) + (self.code > 0xFFFF)
        return data, np.concatenate(([0], np.cumsum(width)))[self.offset]

    def __len__(self) -> int:
        return len(self.offset) - 1

    def __getitem__(self, index: int) -> str:
        return text_of(self.code[self.offset[index] : self.offset[index + 1]])

    def __iter__(self) -> Iterator[str]:
        text = text_of(self.code)
        return (text[start:end] for start, end in itertools.pairwise(self.offset.tolist()))

    def take(self, rows: NDArray[np.intp]) -> Strings:
        """The strings of the given rows i8[k], in that order."""
        start, stop = self.offset[rows], self.offset[rows + 1]
        if len(rows) and (np.diff(rows) == 1).all():
            return Strings(self.code[start[0] : stop[-1]], self.offset[rows[0] : rows[-1] + 2] - start[0])
        return Strings(self.code[ranges(start, stop - start)], offsets_of(stop - start))


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text as u4[len(text)]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)


def text_of(code: NDArray[np.uint32]) -> str:
    """The text of code points u4[n]."""
    return code.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")
