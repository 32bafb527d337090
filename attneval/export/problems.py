"""Everything that is wrong with one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import ExportError, amount, first_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


class FileProblems:
    """The problems and the warnings of one file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._rows_by_text: dict[str, tuple[int, list[str]]] = {}

    @property
    def problems(self) -> list[str]:
        """The problems that were noted, each kind once."""
        return [
            f"{text} (first: {first_of(names, total=total)})" if total else text
            for text, (total, names) in self._rows_by_text.items()
        ]

    def problem(self, member: str, text: str) -> None:
        """Note that a member breaks the format."""
        self._rows_by_text[f"{member}: {text}"] = (0, [])

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
            total, names = self._rows_by_text.get(f"{member}: {text}", (0, []))
            names += [str(name(row)) for row in rows[: 5 - len(names)].tolist()]
            self._rows_by_text[f"{member}: {text}"] = (total + len(rows), names)
        return bool(len(rows))

    def warn(self, text: str) -> None:
        """Note something that is allowed but probably not meant."""
        self.warnings.append(text)

    def stop_if_broken(self) -> None:
        """Raise what was noted so far.

        Raises:
            ExportError: There was at least one problem.
        """
        if not self._rows_by_text:
            return
        more = len(self._rows_by_text) - 1
        hint = f"{amount(more, 'more problem')}, all listed by: attneval validate {self.path}" if more else ""
        raise ExportError(f"{self.path}: {self.problems[0]}", hint=hint)
