"""Lines of values as data frames of pandas or polars, neither of which is needed for anything else."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from attneval.config.extras import to_install
from attneval.errors import ConfigError, MissingPackageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attneval.report.delimited import Lines


def frame(lines: Lines, library: str | None = None) -> Any:
    """Make a data frame; what is undefined is missing in it.

    Args:
        lines: A header and lines of values.
        library: `pandas` or `polars`; None for the one that is installed, pandas where both are.

    Raises:
        ConfigError: The library is not installed, or is another.
    """
    name = _library(library)
    header, rows = lines
    listed = [list(row) for row in rows]
    columns = {name: [row[place] for row in listed] for place, name in enumerate(header)}
    return LIBRARIES[name](importlib.import_module(name), columns)


def _library(library: str | None) -> str:
    if library is not None and library not in LIBRARIES:
        hint = suggestion(library, LIBRARIES, f"use {' or '.join(LIBRARIES)}")
        raise ConfigError(f"there are no data frames of {library!r}", hint=hint)
    wanted = LIBRARIES if library is None else (library,)
    there = next((name for name in wanted if find_spec(name) is not None), None)
    if there is None:
        raise MissingPackageError(
            f"a data frame needs {' or '.join(wanted)}, which is not installed",
            hint="pip install polars" if library == "polars" else to_install("frames"),
        )
    return there


def _kind(values: Sequence[object]) -> str:
    """The kind of a column's values, of which None is of every kind."""
    known = [value for value in values if value is not None]
    for kind, types in (("truth", bool), ("text", str), ("whole", int)):
        if known and all(isinstance(value, types) for value in known):
            return kind
    return "number"


def _pandas(pandas: Any, columns: dict[str, list[object]]) -> Any:
    types = {"truth": "boolean", "text": "string", "whole": "Int64", "number": "float64"}
    return pandas.DataFrame({name: pandas.array(c, dtype=types[_kind(c)]) for name, c in columns.items()})


def _polars(polars: Any, columns: dict[str, list[object]]) -> Any:
    types = {"truth": polars.Boolean, "text": polars.String, "whole": polars.Int64, "number": polars.Float64}
    return polars.DataFrame([polars.Series(name, c, dtype=types[_kind(c)]) for name, c in columns.items()])


LIBRARIES: dict[str, Callable[[Any, dict[str, list[object]]], Any]] = {"pandas": _pandas, "polars": _polars}
"""What makes a frame of columns, by library; the first one that is installed is taken."""
