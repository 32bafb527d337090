"""Reading named columns while noting everything that is wrong with them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import ExportError, first_of
from attneval.export.read.strings import StringColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from attneval.arrays.strings import Strings
    from attneval.export.problems import FileProblems
    from attneval.storage.archive import Members


LARGEST = np.iinfo(np.int64).max
"""The largest number of a column; larger ones would become negative."""


class Columns:
    """Typed access to the members of a file. Whatever cannot be used is noted, and a stand-in is returned.

    Args:
        members: The members.
        report: Where problems go.
        kinds: What each member may hold, by name: f(loats), i(ntegers), U(nicode strings), b(ytes as u1).
    """

    def __init__(self, members: Members, report: FileProblems, kinds: dict[str, str]) -> None:
        self.members = members
        self.report = report
        for name in members.names:
            if name in kinds and not _is_kind(members.dtype(name), kinds[name]):
                wanted = " or ".join(_KIND_NAMES[kind] for kind in kinds[name])
                report.problem(name, f"holds {members.dtype(name)}, expected {wanted}")
        unknown = [name for name in members.names if name not in kinds and not name.startswith("x_")]
        if unknown:
            report.warn(f"{members.path}: unknown members are ignored: {first_of(unknown)}")
        report.stop_if_broken()

    def __contains__(self, name: str) -> bool:
        return name in self.members.names

    def require(self, *names: str) -> None:
        """Note the members that are missing, and stop if any is.

        Raises:
            ExportError: A member is missing.
        """
        for name in names:
            if name not in self:
                self.report.problem(name, "is missing")
        self.report.stop_if_broken()

    def shaped(self, name: str, *expected: Sequence[int | None]) -> bool:
        """Test for one of the expected shapes, None standing for any length, and note the lack of it."""
        shape = self.members.shape(name)
        fits = any(
            len(shape) == len(wanted) and all(w is None or w == s for s, w in zip(shape, wanted, strict=True))
            for wanted in expected
        )
        if not fits:
            texts = [f"({', '.join('any' if w is None else str(w) for w in wanted)})" for wanted in expected]
            self.report.problem(name, f"has shape {shape}, expected {' or '.join(texts)}")
        return fits

    def integers(self, name: str, *shape: int | None) -> NDArray[np.int64]:
        """An integer member as i8, zeros if its shape is wrong."""
        if not self.shaped(name, shape):
            return np.zeros([0 if length is None else length for length in shape], np.int64)
        values = self.members.array(name)
        if values.dtype.kind == "u" and values.max(initial=0) > LARGEST:
            self.report.problem(name, f"holds {values.max()}, which is more than {LARGEST}")
            return np.zeros(values.shape, np.int64)
        return np.array(values, np.int64)

    def offsets(
        self, name: str, count: int, total: int | None = None, called: Callable[[int], object] = str
    ) -> NDArray[np.int64]:
        """Offsets i8[count+1] that start at 0, never fall and end at `total`; zeros if they do not.

        Args:
            name: The member.
            count: How many pieces there are.
            total: Where the last one ends, if that is known.
            called: How a piece is called in messages; its index by default.
        """
        if not self.shaped(name, (count + 1,)):
            return np.zeros(count + 1, np.int64)
        offset = self.integers(name, count + 1)
        if offset[0] != 0:
            self.report.problem(name, f"starts at {offset[0]}, expected 0")
        # Differences of numbers of any size might overflow.
        falls = np.flatnonzero(offset[1:] < offset[:-1])
        if len(falls):
            row = int(falls[0])
            self.report.problem(
                name, f"falls from {offset[row]} to {offset[row + 1]} at entry {row + 1}, the end of {called(row)}"
            )
        elif total is not None and offset[-1] != total:
            self.report.problem(name, f"ends at {offset[-1]}, expected {total}")
        else:
            return offset
        return np.zeros(count + 1, np.int64)

    def strings(
        self, name: str, *shape: int | None, called: Callable[[int], object] = "entry {}".format
    ) -> StringColumn:
        """A column of strings, as `U` array or as UTF-8 bytes with offsets, whose texts are decoded when they are read.

        Args:
            name: The member.
            shape: Of the `U` array; bytes hold the same entries one after the other. None stands for any length.
            called: How an entry is called in messages.

        Raises:
            ExportError: The member has another shape, or its offsets do not fit.
        """
        members = self.members
        if members.dtype(name).kind == "U":
            self.shaped(name, shape)
            self.report.stop_if_broken()
            return StringColumn(members, name, math.prod(members.shape(name)), None, called)
        offset_name = f"{name}_offset"
        self.require(offset_name)
        self.shaped(name, (None,))
        self.shaped(offset_name, (None,))
        self.report.stop_if_broken()
        length = members.shape(offset_name)[0] - 1
        count = math.prod([max(length, 0) if axis is None else axis for axis in shape])
        offset = self.offsets(offset_name, count, members.shape(name)[0], called)
        self.report.stop_if_broken()
        return StringColumn(members, name, count, offset, called)

    def texts(self, name: str, *shape: int | None) -> Strings:
        """All strings of a small column.

        Raises:
            ExportError: The member has another shape, or holds what is no text.
        """
        column = self.strings(name, *shape)
        return self.decoded(column, np.arange(column.count))

    def decoded(self, column: StringColumn, rows: NDArray[np.int64]) -> Strings:
        """The strings of a column in rows i8[k].

        Raises:
            ExportError: One of the column's strings is no text; all of those are noted.
        """
        try:
            return column.take(rows)
        except ExportError:
            column.check(self.report)
            self.report.stop_if_broken()
            raise


_KIND_NAMES = {"f": "floats", "i": "integers", "U": "unicode strings", "b": "UTF-8 bytes (u1)"}


def _is_kind(dtype: np.dtype[Any], kinds: str) -> bool:
    tests = {"f": dtype.kind == "f", "i": dtype.kind in "iu", "U": dtype.kind == "U", "b": dtype == np.uint8}
    return any(tests[kind] for kind in kinds)
