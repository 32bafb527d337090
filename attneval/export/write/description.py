"""The description of a model in an export that is being written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attneval._version import __version__
from attneval.errors import ExportError
from attneval.export.read.content import KINDS, NORMALISED_OVER
from attneval.export.read.header import FIRST_VERSION, FORMAT_VERSION
from attneval.export.weight_checks import SUM_TOLERANCE, coarsest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Description:
    """The member `format`: the keys that the format knows, and whatever else is to be said.

    Args:
        path: The file, for messages.
        kind: One of `KINDS`.
        normalised_over: One of `NORMALISED_OVER`.

    Raises:
        ExportError: There is no such kind or axis.
    """

    def __init__(self, path: Path, kind: str, normalised_over: str) -> None:
        if kind not in KINDS or normalised_over not in NORMALISED_OVER:
            raise ExportError(
                f"kind {kind!r} with normalised_over {normalised_over!r} does not exist",
                hint=f"kind is {', '.join(KINDS)}; normalised_over is {', '.join(NORMALISED_OVER)}",
            )
        self._path = path
        self._fixed: dict[str, Any] = {"format": "attneval", "version": list(FIRST_VERSION)}
        self._fixed |= {"kind": kind, "normalised_over": normalised_over}
        self._about: dict[str, Any] = {"writer": f"attneval {__version__}"}

    def use_version_1_1(self) -> None:
        """Say that the file holds what version 1.0 had not."""
        self._fixed["version"] = list(FORMAT_VERSION)

    def note_dtype(self, dtype: str) -> None:
        """Remember the type of some weights: the coarsest is said, if it is coarser than single precision."""
        if dtype in SUM_TOLERANCE:
            self._fixed["weights_dtype"] = coarsest([dtype, self._fixed.get("weights_dtype", "")])
            self.use_version_1_1()

    def add(self, about: Mapping[str, Any]) -> None:
        """Say more.

        Raises:
            ExportError: A key is one of the format's own, or its value cannot be written as JSON.
        """
        for key, value in about.items():
            if key in self._fixed:
                raise ExportError(f"{self._path}: {key} is {self._fixed[key]!r}, which nothing else may be called")
            try:
                json.dumps({key: value})
            except (TypeError, ValueError, RecursionError) as error:
                raise ExportError(f"{self._path}: {key} cannot be written as JSON ({error})") from error
        self._about |= about

    def encoded(self) -> bytes:
        """All of it as JSON in UTF-8."""
        return json.dumps(self._fixed | self._about).encode("utf-8")
