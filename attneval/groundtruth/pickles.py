"""Pickles of plain values; nothing in them is ever called."""

from __future__ import annotations

import io
import pickle
from typing import Any, NoReturn

from attneval.errors import GroundTruthError


class Plain(pickle._Unpickler):  # noqa: SLF001 - documented below
    """An unpickler of lists, dictionaries, numbers and texts alone.

    The one written in Python keeps its memo in a dictionary: a file cannot make it reserve memory that it does not
    fill, as it can with the one written in C. 150,000 expressions take 2.5 s instead of 1.
    """

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse to look anything up."""
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def unpickled(content: bytes, name: str) -> Any:
    """Read a pickle of lists, dictionaries, numbers and texts.

    Args:
        content: The pickle.
        name: What it is called in messages.

    Raises:
        GroundTruthError: It holds anything else, or is damaged.
    """
    error: Exception | None = None
    for encoding in ("utf-8", "latin-1"):  # Python 2 wrote bytes where it meant text
        try:
            return Plain(io.BytesIO(content), encoding=encoding).load()
        except UnicodeDecodeError as undecodable:  # noqa: PERF203 - twice at most
            error = undecodable
        except Exception as refused:  # noqa: BLE001 - a damaged pickle raises anything
            error = refused
            break
    raise GroundTruthError(
        f"{name} is no pickle of plain lists, dictionaries, numbers and texts ({error})",
        hint="nothing else is ever read from a pickle, since it could run a program",
    ) from error
