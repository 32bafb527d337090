"""A command's output: stdout in one format, files in others, step summaries that grow."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from attneval.cli.command import option
from attneval.cli.options import flags_given, quiet_option, together, verbose_option
from attneval.cli.streams import say, stdout_written
from attneval.cli.summaries import append_summary, is_appended
from attneval.cli.values import FILE
from attneval.errors import AttnevalError, ConfigError, DataError
from attneval.report.formats import FORMATS, PAPERS, PIPE, TERMINAL, by_suffix, printed_by
from attneval.storage.addresses import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from attneval.cli.options import Command
    from attneval.report.formats import ReportFormat, Sources


def _label(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what LaTeX would not take for a label."""
    if value is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:._-]*", value):
        raise click.BadParameter(f"{value!r} is no label: use letters, digits and : . _ -", ctx, param)
    return value


paper_options = together(
    option(
        "--caption",
        metavar="TEXT",
        group="Output",
        rare=True,
        help="Of the first table in .tex and .md, in place of its title.",
    ),
    option(
        "--label",
        metavar="NAME",
        group="Output",
        rare=True,
        callback=_label,
        help="Of the first table in .tex; further ones are NAME-2, NAME-3, ...",
    ),
)
"""What papers call a table."""
CAPTIONED = {"caption": ("latex", "markdown"), "label": ("latex",)}
"""The formats that have a use for each."""


def output_options(name: str) -> Callable[[Command], Command]:
    """`-f`, `-o`, `--digits`, `--color`, `-q` and `-v` of a command, which offers the formats of the table."""
    return together(
        option(
            "-f",
            "--format",
            type=click.Choice(tuple(printed_by(name))),
            default=None,
            group="Output",
            help="For stdout.  [default: table, or plain]",
        ),
        option(
            "-o",
            "--output",
            type=FILE,
            metavar="FILE",
            multiple=True,
            group="Output",
            help=f"Also write a file as its suffix says: {', '.join(by_suffix(name))}.",
        ),
        option(
            "--digits",
            type=click.IntRange(0, 15),
            default=1,
            show_default=True,
            group="Output",
            rare=True,
            help="Of tables.",
        ),
        option(
            "--color",
            type=click.Choice(("auto", "always", "never")),
            default="auto",
            group="Output",
            rare=True,
            help="Colours in tables; NO_COLOR is heeded.",
        ),
        *([paper_options] if name in PAPERS else []),
        quiet_option,
        verbose_option,
    )


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse, before anything is worked on, what would fail or do harm after it.

    Raises:
        ConfigError: An output is also read, or named twice.
        DataError: The directory of an output does not exist.
    """
    taken = dict.fromkeys(map(os.path.realpath, inputs), "is read as well, and would be gone")
    for path in outputs:
        if is_remote(path):
            raise DataError(
                f"-o {path} is an address, and files are written on this machine", hint="copy it there then"
            )
        if path.is_dir() or not path.parent.is_dir():
            reason = "it is a directory" if path.is_dir() else f"there is no directory {path.parent}"
            raise DataError(f"{path} cannot be written: {reason}")
        harm = taken.setdefault(os.path.realpath(path), "")
        if harm:
            raise ConfigError(f"-o {path} {harm}", hint="name another file")
        taken[os.path.realpath(path)] = "is named twice"


def _paths(values: dict[str, Any]) -> Iterator[Path]:
    """The files among a command's parameters."""
    for value in values.values():
        # Annotations are files of their own kind.
        listed = getattr(value, "paths", value)
        yield from (one for one in (listed if isinstance(listed, tuple) else (listed,)) if isinstance(one, Path))


def _write(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


SUMMARIES = ".md"
"""The suffix whose format step summaries have."""


class Output:
    """A command's output: stdout in one format, files in others, step summaries growing.

    Args:
        values: The command's parameters; those of `output_options` are taken out.
        command: The command's name, which says which formats it offers.
        inputs: What it reads, beside the files that are among its parameters.

    Raises:
        AttnevalError: A file has no format's suffix, cannot be made, or is read as well.
    """

    def __init__(self, values: dict[str, Any], command: str, *, inputs: Iterable[Path] = ()) -> None:
        self.style: str = values.pop("format") or (TERMINAL if sys.stdout.isatty() else PIPE)
        self.digits: int = values.pop("digits")
        self.color = {"auto": None, "always": True, "never": False}[values.pop("color")]
        self.quiet: bool = values.pop("quiet")
        values.pop("verbose")
        self.command = command
        self._files: list[tuple[Path, ReportFormat]] = []
        self._appended: list[Path] = []
        outputs, known = values.pop("output"), by_suffix(command)
        for path in outputs:
            if is_appended(path) and SUMMARIES in known:
                self._appended.append(path)
                continue
            if path.suffix not in known:
                hint = f"use {', '.join(known)}"
                raise AttnevalError(f"-o {path}: no format has the suffix {path.suffix!r}", hint=hint)
            self._files.append((path, known[path.suffix]))
        styles = {self.style, *(line.name for _, line in self._files)}
        self._captioned = {name: values.pop(name, None) or "" for name in CAPTIONED}
        for name, formats in CAPTIONED.items():
            if self._captioned[name] and not styles.intersection(formats) and flags_given([name]):
                raise ConfigError(f"--{name} is for {' and '.join(formats)}", hint="add -f latex or -o FILE.tex")
        if any(line.is_figure for _, line in self._files):
            from attneval.report.figures import load_matplotlib

            load_matplotlib()
        check_outputs(outputs, [*inputs, *_paths(values)])

    def files(self, style: str) -> list[Path]:
        """The files of one format."""
        return [path for path, line in self._files if line.name == style]

    def shows(self, kind: str) -> bool:
        """Tell whether stdout or a file shows something, see `attneval.report.formats`."""
        return any(line.shows == kind for line in (FORMATS[self.style], *(line for _, line in self._files)))

    def appends_to(self, path: Path) -> bool:
        """Tell whether a file is among those that Markdown is appended to."""
        return os.path.realpath(path) in map(os.path.realpath, self._appended)

    def emit(self, sources: Sources, beside: Iterable[tuple[Path, Callable[[IO[bytes]], object]]] = ()) -> None:
        """Write the files, then stdout.

        All files are written before the first one takes its place. JSON comes last, which others belong to; what is
        appended to step summaries comes after all of them.

        Args:
            sources: What the command can show, by kind; made when a format asks for it.
            beside: Files that belong to the JSON, each with what writes it.
        """
        from attneval.storage.whole_files import write_together

        if any(self._captioned.values()):
            page = sources["page"]
            sources = {**sources, "page": lambda: dataclasses.replace(page(), **self._captioned)}

        # What cannot be said in one format is found out before another is written.
        ordered = sorted(self._files, key=lambda file: file[1].name == "json")
        contents = [(path, partial(_write, line.data(sources))) for path, line in ordered]
        summary = by_suffix(self.command)[SUMMARIES].text(sources) if self._appended else ""
        write_together([*beside, *contents])
        for path in self._appended:
            append_summary(path, summary)
        line = FORMATS[self.style]
        if self.style == TERMINAL:
            page = sources[line.shows]()
            with stdout_written():
                line.load()(page, sys.stdout, color=self.color)
        else:
            say(line.text(sources))
