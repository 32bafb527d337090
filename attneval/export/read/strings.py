"""Columns of strings that are decoded piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.arrays.strings import Strings
from attneval.export.problems import FileProblems

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from attneval.storage.archive import Members

_STRINGS_AT_ONCE = 2**16


@record
class StringColumn:
    """A column of strings that is decoded piece by piece.

    Attributes:
        members: Where it is stored.
        name: A `U` member of strings, or a member of UTF-8 bytes.
        count: How many strings it has.
        offset: i8[S+1], byte offsets; None for a `U` member.
        called: How an entry is called in messages.
    """

    members: Members
    name: str
    count: int
    offset: NDArray[np.int64] | None
    called: Callable[[int], object]

    def take(self, rows: NDArray[np.int64]) -> Strings:
        """Decode the strings of rows i8[k], in that order.

        Raises:
            ExportError: One of them is no text.
        """
        try:
            return self._decoded(rows)
        except ValueError:
            report = FileProblems(self.members.path)
            self._note(report, rows)
            report.stop_if_broken()
            raise

    def check(self, report: FileProblems) -> bool:
        """Note the strings that are no text, and return whether there was any."""
        any_bad = False
        for start in range(0, self.count, _STRINGS_AT_ONCE):
            rows = np.arange(start, min(start + _STRINGS_AT_ONCE, self.count))
            try:
                self._decoded(rows)
            except ValueError:
                self._note(report, rows)
                any_bad = True
        return any_bad

    def filled(self) -> NDArray[np.bool_]:
        """b[S], which strings are not empty."""
        if self.offset is None:
            return np.asarray(self.members.array(self.name).reshape(-1) != "")
        return np.diff(self.offset) > 0

    def _decoded(self, rows: NDArray[np.int64]) -> Strings:
        if self.offset is None:
            return Strings.from_unicode(self.members.array(self.name).reshape(-1)[rows])
        start, stop = self.offset[rows], self.offset[rows + 1]
        if len(rows) and np.array_equal(start[1:], stop[:-1]):
            data = self.members.window(self.name, int(start[0]), int(stop[-1]))
        else:
            data = self.members.array(self.name)[ranges(start, stop - start)]
        return Strings.from_utf8(data, offsets_of(stop - start))

    def _note(self, report: FileProblems, rows: NDArray[np.int64]) -> None:
        """Decode some strings one by one, to say which of them are no text."""
        reasons = [self._reason(rows[k : k + 1]) for k in range(len(rows))]
        bad = np.array([bool(reason) for reason in reasons], np.bool_)
        report.rows(
            self.name, bad, "is not UTF-8 text in some entries", lambda k: f"{self.called(int(rows[k]))}: {reasons[k]}"
        )

    def _reason(self, row: NDArray[np.int64]) -> str:
        try:
            self._decoded(row)
        except UnicodeDecodeError as error:
            first = error.object[error.start]
            cut = error.end == len(error.object) if error.reason == "unexpected end of data" else first & 0xC0 == 0x80
            return "begins or ends in the middle of a character" if cut else f"byte 0x{first:02x} at {error.start}"
        except ValueError as error:
            return str(error)
        return ""
