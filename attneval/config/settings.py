"""Settings from a file: the nearest `attneval.toml`, or `pyproject.toml` with a table `[tool.attneval]`.

The nearest file wins and nothing is merged. Paths are relative to the file. Keys are the long flags of the commands.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from attneval.arrays.records import record
from attneval.config.protocol import Protocol
from attneval.errors import ConfigError, suggestion

BOX_RULES = next(field for field in Protocol.choices() if field.name == "boxes").metadata["choices"]
PATHS = ("gt", "gt-sizes", "synonyms", "classes", "split", "boxes-file", "baseline")
"""Settings that are paths."""
LISTS_OF_PATHS = ("gt", "gt-sizes")
"""Settings that may be several paths."""
GATE = ("baseline", "min", "max", "max-drop", "only-significant", "github")
"""Settings of the table `gate`."""
TABLES_OF_NUMBERS = ("min", "max", "max-drop")
TOP = (
    *("gt", "gt-format", "gt-sizes", "synonyms", "classes", "split-name", "split", "boxes-file", "preset"),
    *(field.name.replace("_", "-") for field in Protocol.choices()),
    *("resamples", "seed", "trials", "alpha", "metric", "format", "digits", "color", "jobs", "cache"),
)
"""Settings of the file itself."""


@record
class Config:
    """The settings of one file.

    Attributes:
        path: The file; None where there is none.
        top: Settings that several commands share, by flag name.
        gate: Settings of the gate.
    """

    path: Path | None
    top: dict[str, Any]
    gate: dict[str, Any]


NOTHING = Config(None, {}, {})


def find(start: Path | None = None) -> Path | None:
    """The nearest configuration file in a directory, by default the working directory, or one above it.

    A directory that is gone or may not be entered has none.
    """
    if start is None:
        try:
            start = Path.cwd()
        except OSError:
            return None
    for folder in (start, *start.parents):
        file, project = folder / "attneval.toml", folder / "pyproject.toml"
        if os.path.isfile(file):  # noqa: PTH113 - unlike the method of paths it never raises
            return file
        if os.path.isfile(project) and _tool_table(_read(project)) is not None:  # noqa: PTH113
            return project
    return None


def _tool_table(values: dict[str, Any]) -> Any:
    """The settings under `tool.attneval` of a project's file; None where it has none."""
    tool = values.get("tool")
    return tool.get("attneval") if isinstance(tool, dict) else None


def load(path: Path | None) -> Config:
    """Read and check a configuration file; None is no settings.

    Raises:
        ConfigError: It cannot be read, or a key does not exist.
    """
    if path is None:
        return NOTHING
    values = _read(path)
    if path.name == "pyproject.toml":
        values = _tool_table(values) or {}
        if not isinstance(values, dict):
            hint = "write [tool.attneval] and its settings below it"
            raise ConfigError(f"{path}: tool.attneval must be a table", hint=hint)
    gate = values.pop("gate", {})
    if not isinstance(gate, dict):
        raise ConfigError(f"{path}: gate must be a table", hint="write [gate] and its settings below it")
    return Config(path, _with_boxes_file(path, _checked(path, values, TOP, "")), _checked(path, gate, GATE, "gate."))


def _with_boxes_file(path: Path, top: dict[str, Any]) -> dict[str, Any]:
    """As the flag, `boxes` may name a file of region boxes instead of a rule, or both; the file gets its own setting.

    Raises:
        ConfigError: Two files are named.
    """
    boxes = top.get("boxes", [])
    named = boxes if isinstance(boxes, list) else [boxes]
    files = [one for one in named if isinstance(one, str) and one not in BOX_RULES]
    if len(files) + ("boxes-file" in top) > 1:
        raise ConfigError(f"{path}: boxes = {boxes!r} names a second file of region boxes", hint="name one of them")
    if files:
        top = top | {"boxes-file": _path(path, "boxes", files[0])}
        top["boxes"] = [one for one in named if one not in files]
    return top


def _path(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {key} = {value!r} is no path", hint=f'write {key} = "PATH"')
    return str(path.parent / value)


def _read(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply to be read") from error
    except ValueError as error:  # not TOML, no UTF-8, or a number of too many digits
        raise ConfigError(f"{path} is not TOML ({error})") from error
    return values


def _checked(path: Path, values: dict[str, Any], known: tuple[str, ...], prefix: str) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("_", "-")
        if name not in known:
            hint = suggestion(name, known, f"the settings are {', '.join(known)}")
            raise ConfigError(f"{path}: there is no setting {prefix}{key}", hint=hint)
        if name in TABLES_OF_NUMBERS:
            if not isinstance(value, dict):
                raise ConfigError(f"{path}: {prefix}{key} must be a table", hint=f"write {key} = {{ f1 = 0.3 }}")
            value = [f"{metric}={bound}" for metric, bound in value.items()]  # noqa: PLW2901
        elif isinstance(value, dict):
            raise ConfigError(f"{path}: {prefix}{key} must be a plain value, not a table")
        elif name in PATHS:
            named = value if isinstance(value, list) and name in LISTS_OF_PATHS else [value]
            paths = [_path(path, f"{prefix}{key}", one) for one in named]
            value = paths if isinstance(value, list) else paths[0]  # noqa: PLW2901
        checked[name] = value
    return checked
