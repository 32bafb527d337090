"""`attneval doctor`: what there is on this machine, for whoever asks why something does not work."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import click

from attneval._version import __version__
from attneval.cli.command import Command
from attneval.cli.options import SETTINGS
from attneval.cli.output import Output, output_options
from attneval.config.extras import to_install

if TYPE_CHECKING:
    from collections.abc import Iterable

CORE = ("click", "numpy", "pycocotools", "rich")
EXTRA_PACKAGES = {
    "dask": ("distributed",),
    "remote": ("aiohttp", "fsspec", "gcsfs", "s3fs"),
    "train": ("torch",),
    "hf": ("torch", "transformers", "pillow"),
    "report": ("jinja2", "pillow"),
    "plot": ("matplotlib",),
    "frames": ("pandas",),
    "torchmetrics": ("torchmetrics",),
    "lightning": ("lightning", "torchmetrics"),
}
"""The packages of each extra that a user asks for."""


class Finding(NamedTuple):
    """A line of the table.

    Attributes:
        about: The part of the machine that it is about.
        name: What was looked at.
        value: What is there.
        hint: What to do where something is missing; empty where nothing is.
    """

    about: str
    name: str
    value: str
    hint: str = ""


@click.command(cls=Command, context_settings=SETTINGS, examples=("attneval doctor", "attneval doctor -f json"))
@output_options("doctor")
def doctor(**values: object) -> None:
    """Show versions, extras, devices, the cache and the terminal: what a report of a fault should have with it.

    Nothing is changed and nothing is sent.
    """
    from attneval.report.table import Cell, Page, Row, Table

    output = Output(values, "doctor", inputs=[])
    findings = [*_versions(), *_extras(), *_devices(), *_cache(), *_terminal()]
    hints = [f"{one.name}: {one.hint}" for one in findings if one.hint]
    rows = [Row([Cell(text) for text in one[:3]]) for one in findings]
    output.emit(
        {
            "page": lambda: Page([Table("What there is", ["part", "name", "value"], rows, texts=3)], hints),
            "values": lambda: {"findings": [one._asdict() for one in findings]},
            "lines": lambda: (list(Finding._fields), [list(one) for one in findings]),
        }
    )


def _versions() -> Iterable[Finding]:
    yield Finding("attneval", "version", __version__)
    yield Finding("attneval", "python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("attneval", "system", platform.platform())
    yield Finding("attneval", "processors", str(os.cpu_count() or 1))
    for name in CORE:
        yield Finding("core", name, _version(name) or "missing")


def _extras() -> Iterable[Finding]:
    for extra, packages in EXTRA_PACKAGES.items():
        versions = {name: _version(name) for name in packages}
        lacking = [name for name, version in versions.items() if version is None]
        text = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
        yield Finding("extra", extra, text, to_install(extra) if lacking else "")


def _devices() -> Iterable[Finding]:
    if find_spec("torch") is None:
        return [Finding("device", "torch", "not installed")]
    from attneval.extraction.devices import devices

    return [Finding("device", name, what) for name, what in devices().items()]


def _cache() -> Iterable[Finding]:
    from attneval.groundtruth.index import cache_folder

    folder = cache_folder()
    if folder is None:
        return [Finding("cache", "indexes of annotations", "none: there is no home folder")]
    files = [path for path in folder.glob("*") if path.is_file()] if folder.is_dir() else []
    size = sum(path.stat().st_size for path in files)
    return [Finding("cache", "indexes of annotations", f"{len(files)} files, {size / 1e6:.1f} MB in {folder}")]


def _terminal() -> Iterable[Finding]:
    yield Finding("terminal", "columns", str(shutil.get_terminal_size().columns))
    yield Finding("terminal", "encoding", sys.stdout.encoding or "unknown")
    yield Finding("terminal", "stdout", "a terminal" if sys.stdout.isatty() else "no terminal")
    yield Finding("terminal", "colour", "off: NO_COLOR is set" if os.environ.get("NO_COLOR") else "as stdout allows")
    if find_spec("PIL") is not None:
        from attneval.report.overlay.terminal import way_of

        yield Finding("terminal", "pictures", way_of(os.environ))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
