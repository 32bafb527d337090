"""Reading named columns while noting everything that is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import ExportError, first_of
from attneval.export.content import StringColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.archive import Members


class Report:
    """The problems and the warnings of one file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._found: dict[str, tuple[int, list[str]]] = {}

    @property
    def problems(self) -> list[str]:
        """What was noted, each kind of problem once."""
        return [
            f"{text} (first: {first_of(names, total=total)})" if total else text
            for text, (total, names) in self._found.items()
        ]

    def problem(self, member: str, text: str) -> None:
        """Note that a member breaks the format."""
        self._found[f"{member}: {text}"] = (0, [])

    def rows(self, member: str, bad: NDArray[np.bool_], text: str, name: Callable[[int], object] = str) -> bool:
        """Note the rows that are bad, if there are any; calls for several blocks of rows add up.

        Args:
            member: The member they are rows of.
            bad: b[n], the rows to report.
            text: What is wrong with them.
            name: How a row is called; its index by default.

        Returns:
            Whether any was bad.
        """
        rows = np.flatnonzero(bad)
        if len(rows):
            total, names = self._found.get(f"{member}: {text}", (0, []))
            names += [str(name(row)) for row in rows[: 5 - len(names)].tolist()]
            self._found[f"{member}: {text}"] = (total + len(rows), names)
        return bool(len(rows))

    def warn(self, text: str) -> None:
        """Note something that is allowed but probably not meant."""
        self.warnings.append(text)

    def stop_if_broken(self) -> None:
        """Raise what was noted so far.

        Raises:
            ExportError: There was at least one problem.
        """
        if not self._found:
            return
        more = len(self._found) - 1
        hint = f"{more} more problem{'s' * (more > 1)}, all listed by: attneval validate {self.path}" if more else ""
        raise ExportError(f"{self.path}: {self.problems[0]}", hint=hint)


class Columns:
    """Typed access to the members of a file. Whatever cannot be used is noted, and a stand-in is returned.

    Args:
        members: The members.
        report: Where problems go.
        kinds: What each member may hold, by name: f(loats), i(ntegers), U(nicode strings), b(ytes as u1).
    """

    def __init__(self, members: Members, report: Report, kinds: dict[str, str]) -> None:
        self.members = members
        self.report = report
        for name in members.names:
            if name in kinds and not _is_kind(members.dtype(name), kinds[name]):
                wanted = " or ".join(_KIND_NAMES[kind] for kind in kinds[name])
                report.problem(name, f"holds {members.dtype(name)}, expected {wanted}")
        strange = [name for name in members.names if name not in kinds and not name.startswith("x_")]
        if strange:
            report.warn(f"{members.path}: unknown members are ignored: {first_of(strange)}")
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
        """Whether a member has one of the expected shapes, None standing for any length."""
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
        return np.array(self.members.array(name), np.int64)

    def offsets(self, name: str, count: int, total: int | None = None) -> NDArray[np.int64]:
        """Offsets i8[count+1] that start at 0, never fall and end at `total`; zeros if they do not."""
        offset = self.integers(name, count + 1)
        if offset[0] != 0:
            self.report.problem(name, f"starts at {offset[0]}, expected 0")
        falls = np.flatnonzero(np.diff(offset) < 0)
        if len(falls):
            row = int(falls[0])
            self.report.problem(name, f"falls from {offset[row]} to {offset[row + 1]} at entry {row + 1}")
        elif total is not None and offset[-1] != total:
            self.report.problem(name, f"ends at {offset[-1]}, expected {total}")
        else:
            return offset
        return np.zeros(count + 1, np.int64)

    def strings(self, name: str, count: int | None = None) -> tuple[StringColumn, int]:
        """A column of strings and its length, as `U` array or as UTF-8 bytes with offsets."""
        if self.members.dtype(name).kind == "U":
            self.shaped(name, [count])
            return StringColumn(self.members, name, None), self.members.shape(name)[0]
        offset_name = f"{name}_offset"
        self.require(offset_name)
        if count is None:
            count = max(self.members.shape(offset_name)[0] - 1, 0) if len(self.members.shape(offset_name)) else 0
        offset = self.offsets(offset_name, count, self.members.shape(name)[0])
        return StringColumn(self.members, name, offset), count


_KIND_NAMES = {"f": "floats", "i": "integers", "U": "unicode strings", "b": "UTF-8 bytes (u1)"}


def _is_kind(dtype: np.dtype[Any], kinds: str) -> bool:
    tests = {"f": dtype.kind == "f", "i": dtype.kind in "iu", "U": dtype.kind == "U", "b": dtype == np.uint8}
    return any(tests[kind] for kind in kinds)
