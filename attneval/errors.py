"""The errors of attneval, as one tree.

    AttnevalError            anything attneval refuses on purpose; exit code 2
    ├── ProtocolError        a choice that does not exist or contradicts another
    ├── ConfigError          a configuration file that cannot be used
    │   └── MissingPackageError  a package of an extra is not installed; an ImportError, too
    ├── DataError            a file that cannot be used
    │   ├── ExportError      an attention export
    │   ├── GroundTruthError annotations
    │   └── ResultError      a result file
    ├── AlignmentError       tokens, captions or images that do not fit the annotations
    ├── MismatchError        results that must not be compared
    ├── MetricError          a metric that a result does not have; a KeyError, too
    └── NothingToScoreError  valid input that leaves no number to compute

Exit code 1 is kept for one meaning, a gate that failed; no exception carries it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EXIT_OK = 0
EXIT_GATE_FAILED = 1
EXIT_CANNOT_EVALUATE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class AttnevalError(Exception):
    """A refusal that names what, where and, in `hint`, the way out.

    Args:
        message: What is wrong and where, with the file, the member, ids and numbers.
        hint: What the user can do about it; empty if the message says it all.
    """

    exit_code = EXIT_CANNOT_EVALUATE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class ProtocolError(AttnevalError):
    """A protocol field has a value that does not exist, or two fields contradict each other."""


class ConfigError(AttnevalError):
    """A configuration file cannot be read or holds a setting that does not exist."""


class MissingPackageError(ConfigError, ImportError):
    """A package that an extra brings is not installed."""


class DataError(AttnevalError):
    """A file cannot be used."""


class ExportError(DataError):
    """An attention export breaks the format."""


class GroundTruthError(DataError):
    """Annotations cannot be read."""


class ResultError(DataError):
    """A result file cannot be read."""


class AlignmentError(AttnevalError):
    """Images, captions or tokens of an export do not fit the annotations."""


class MismatchError(AttnevalError):
    """Results that were made under different protocols or on different data."""


class MetricError(AttnevalError, KeyError):
    """A result does not have a metric."""


class NothingToScoreError(AttnevalError):
    """The input is valid but holds nothing that can be scored."""


def suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    """``did you mean f1?`` for a name that is nearly a known one, else another hint."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else otherwise


def amount(count: int, noun: str) -> str:
    """Write how many there are: ``1 image``, ``2 images``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def first_of(items: Sequence[object] | Iterable[object], total: int | None = None, show: int = 5) -> str:
    """Render the first few ids of many: ``a, b, c and 9 more``.

    Args:
        items: The ids; only the first `show` are looked at when `total` is given.
        total: How many there are in all, when `items` holds only the first of them.
        show: How many to name.
    """
    listed = list(items)
    count = len(listed) if total is None else total
    text = ", ".join(str(item) for item in listed[:show])
    rest = count - min(show, len(listed))
    return f"{text} and {rest} more" if rest > 0 else text
