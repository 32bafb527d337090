"""Options that several commands share, and where their output goes."""

from __future__ import annotations

import dataclasses
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from attneval.cli import stdout_written
from attneval.cli.values import FILE, BoxesType, FieldType, PresetType
from attneval.config.presets import preset
from attneval.config.protocol import Protocol
from attneval.config.settings import BOX_RULES
from attneval.errors import AttnevalError, ConfigError, DataError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from attneval.report.table import Page

Command = TypeVar("Command", bound="Callable[..., Any]")

PREFIX = "ATTNEVAL"
SETTINGS = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX}
"""Every command's context: a flag `--some-flag` is also the variable ATTNEVAL_SOME_FLAG.

Click asks for the parameter's name, so every option's parameter is named as its flag.
"""

SCORING = ("split", "boxes_file", "preset", *(field.name for field in dataclasses.fields(Protocol)))
"""Parameters that say how an export is scored, and nothing else."""

SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".tex": "latex", ".txt": "plain", ".xml": "junit"}
"""Formats by the suffix of an output file."""


def protocol_options(command: Command) -> Command:
    """One flag for each field of the protocol, in the protocol's order."""
    for field in reversed(dataclasses.fields(Protocol)):
        if field.name == "boxes":
            command = click.option(
                "--boxes",
                type=BoxesType(),
                multiple=True,
                metavar=f"[{'|'.join(BOX_RULES)}|FILE]",
                help=f"{field.metadata['help']}  [default: {field.default}]; or a FILE of region boxes (.tsv, .npz, "
                ".npy) for an export without any. Give it twice for both.",
            )(command)
            continue
        choices = field.metadata.get("choices")
        command = click.option(
            f"--{field.name.replace('_', '-')}",
            type=click.Choice(choices) if choices else FieldType(field),
            default=None,
            metavar=None
            if choices
            else field.metadata["form"].upper()
            if len(field.metadata["form"]) < 12
            else "VALUE",
            help=f"{field.metadata['help']}  [default: {field.default}]",
        )(command)
    return command


def protocol_from(values: dict[str, Any]) -> Protocol:
    """Take the protocol's fields out of a command's parameters; a file of boxes is left as `boxes_file`.

    Raises:
        ProtocolError: They contradict each other.
    """
    names = [field.name for field in dataclasses.fields(Protocol)]
    given = {name: values.pop(name) for name in names}
    rules = [value for value in given["boxes"] if isinstance(value, str)]
    files = [value for value in given["boxes"] if isinstance(value, Path)]
    if len(rules) > 1 or len(files) > 1:
        raise ProtocolError(f"--boxes is given {len(given['boxes'])} times", hint="give one rule and one file at most")
    given["boxes"] = rules[0] if rules else None
    values["boxes_file"] = files[0] if files else values["boxes_file"]
    name = values.pop("preset", None)
    base = Protocol() if name is None else preset(name).protocol
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})


def scoring_options(command: Command) -> Command:
    """What scoring needs beside the protocol."""
    for option in reversed(
        (
            click.option(
                "--gt", type=FILE, help="Annotations: Flickr30k Entities directory or zip, or grounding JSON."
            ),
            click.option(
                "--gt-format", type=click.Choice(("auto", "entities", "mdetr")), default="auto", help="Force a format."
            ),
            click.option("--split", type=FILE, help="A list of image ids: only these count, and all must be there."),
            click.option(
                "--boxes-file", type=FILE, help="A file of region boxes; what --boxes FILE names takes its place."
            ),
            click.option(
                "--preset", type=PresetType(), help="A named protocol to start from; see attneval explain --presets."
            ),
            click.option(
                "--resamples", type=click.IntRange(0), default=1000, show_default=True, help="Behind each interval."
            ),
            click.option(
                "--seed", type=click.IntRange(0), default=12345, show_default=True, help="Of resamples and trials."
            ),
        )
    ):
        command = option(command)
    return command


def output_options(*formats: str) -> Callable[[Command], Command]:
    """`-f`, `-o`, `--digits`, `--color`, `-q` and `-v`."""

    def decorate(command: Command) -> Command:
        known = ", ".join(suffix for suffix, name in SUFFIXES.items() if name in formats)
        for option in reversed(
            (
                click.option(
                    "-f",
                    "--format",
                    type=click.Choice(formats),
                    default=None,
                    help="What goes to stdout: table on a terminal, plain elsewhere, unless you say.",
                ),
                click.option(
                    "-o",
                    "--output",
                    type=FILE,
                    metavar="FILE",
                    multiple=True,
                    help=f"Also write a file, whole or not at all; its suffix is its format ({known}). Repeatable.",
                ),
                click.option("--digits", type=click.IntRange(0, 15), default=1, show_default=True, help="Of tables."),
                click.option(
                    "--color",
                    type=click.Choice(("auto", "always", "never")),
                    default="auto",
                    help="Colours and weights in tables; NO_COLOR is heeded.",
                ),
                quiet_option,
                verbose_option,
            )
        ):
            command = option(command)
        return command

    return decorate


@contextmanager
def torch_needed() -> Iterator[None]:
    """Say what to install where PyTorch is missing; around the imports that need it.

    Raises:
        ConfigError: It is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ConfigError("this needs PyTorch, which is not installed", hint="pip install 'attneval[train]'") from error


quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="A traceback for internal errors.")


def flags_given(names: Iterable[str]) -> list[str]:
    """Those of some parameters that were typed on the command line, as flags."""
    context = click.get_current_context()
    typed = (name for name in names if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE)
    return [f"--{name.replace('_', '-')}" for name in typed]


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse, before anything is worked on, what would fail or do harm after it.

    Raises:
        ConfigError: An output is also read, or named twice.
        DataError: The directory of an output does not exist.
    """
    taken = dict.fromkeys(map(os.path.realpath, inputs), "is read as well, and would be gone")
    for path in outputs:
        if path.is_dir() or not path.parent.is_dir():
            flaw = "it is a directory" if path.is_dir() else f"there is no directory {path.parent}"
            raise DataError(f"{path} cannot be written: {flaw}")
        flaw = taken.setdefault(os.path.realpath(path), "")
        if flaw:
            raise ConfigError(f"-o {path} {flaw}", hint="name another file")
        taken[os.path.realpath(path)] = "is named twice"


def _paths(values: dict[str, Any]) -> Iterator[Path]:
    """The files among a command's parameters."""
    for value in values.values():
        yield from (own for own in (value if isinstance(value, tuple) else (value,)) if isinstance(own, Path))


class Output:
    """Where a command's text goes: stdout in one format, files in others.

    Args:
        values: The command's parameters; those of `output_options` are taken out.
        formats: The formats the command offers.
        inputs: What it reads, beside the files that are among its parameters.

    Raises:
        AttnevalError: A file has no format's suffix, cannot be made, or is read as well.
    """

    def __init__(self, values: dict[str, Any], *formats: str, inputs: Iterable[Path] = ()) -> None:
        self.style: str | None = values.pop("format")
        self.digits: int = values.pop("digits")
        self.color = {"auto": None, "always": True, "never": False}[values.pop("color")]
        self.quiet: bool = values.pop("quiet")
        values.pop("verbose")
        self._files = []
        outputs = values.pop("output")
        for path in outputs:
            name = SUFFIXES.get(path.suffix)
            if name not in formats:
                known = ", ".join(suffix for suffix, known_name in SUFFIXES.items() if known_name in formats)
                raise AttnevalError(f"-o {path}: no format has the suffix {path.suffix!r}", hint=f"use {known}")
            self._files.append((path, name))
        check_outputs(outputs, [*inputs, *_paths(values)])
        if self.style is None:
            self.style = "table" if sys.stdout.isatty() else "plain"

    def files(self, style: str) -> list[Path]:
        """The files of one format."""
        return [path for path, name in self._files if name == style]

    def emit(
        self,
        data: Callable[[str], str | None],
        page: Callable[[], Page],
        *,
        before: Callable[[], str] | None = None,
    ) -> None:
        """Write the files, then stdout.

        Args:
            data: The text in a format of data (json, csv, ...); None for formats that show the page.
            page: The page.
            before: A text above the page where it is shown as text.
        """
        from attneval.storage.whole_files import write_text

        def text_in(style: str) -> str:
            own = data(style)
            if own is not None:
                return own
            if style == "markdown":
                from attneval.report.markdown import render_markdown as render
            elif style == "latex":
                from attneval.report.latex import render_latex as render
            else:
                from attneval.report.plain import render_plain as render
            above = before() + "\n" if before and style == "plain" else ""
            return above + render(page())

        # What cannot be said in one format is found out before another is written.
        texts = [(path, text_in(name)) for path, name in self._files]
        for path, text in texts:
            write_text(path, text)
        if self.style == "table":
            from attneval.report.terminal import print_terminal

            if before:
                say(before() + "\n")
            shown = page()
            with stdout_written():
                print_terminal(shown, sys.stdout, color=self.color)
        else:
            say(text_in(self.style or "plain"))


def say(text: str) -> None:
    """Write to stdout; what its encoding lacks is spelled out."""
    encoding = sys.stdout.encoding or "ascii"
    with stdout_written():
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
