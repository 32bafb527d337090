"""Options that several commands share, and where their output goes."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from attneval.config import BOX_RULES
from attneval.errors import AttnevalError, ConfigError, ProtocolError
from attneval.presets import PRESETS, preset
from attneval.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.shell_completion import CompletionItem

    from attneval.config import Config
    from attneval.report.table import Page

_FILE = click.Path(path_type=Path)
Command = TypeVar("Command", bound="Callable[..., Any]")

PREFIX = "ATTNEVAL"
SETTINGS = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX}
"""Every command's context: a flag `--some-flag` is also the variable ATTNEVAL_SOME_FLAG.

Click asks for the parameter's name, so every option's parameter is named as its flag.
"""

SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".tex": "latex", ".txt": "plain", ".xml": "junit"}
"""Formats by the suffix of an output file."""


class FieldType(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.4
    """The value of a field of the protocol, which says itself what it may be.

    Args:
        field: The field.
    """

    def __init__(self, field: dataclasses.Field[Any]) -> None:
        self.field, self.kind = field, type(field.default)
        self.name = field.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Read it as the protocol does."""
        return getattr(Protocol.from_dict({self.name: value}), self.name)


class PresetType(click.ParamType):  # type: ignore[type-arg]
    """The name of a preset."""

    name = "preset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Look it up."""
        return preset(value).name

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The presets whose names begin so."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in PRESETS if name.startswith(incomplete)]


class RuleType(click.ParamType):  # type: ignore[type-arg]
    """A rule of the gate.

    Args:
        kind: `min`, `max` or `max-drop`.
    """

    def __init__(self, kind: str) -> None:
        self.name = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Read ``METRIC=VALUE``."""
        from attneval.gate import Rule

        return value if isinstance(value, Rule) else Rule.parse(self.name, value)


class BoxesOption(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.4
    """`--boxes` names the protocol's rule for phrases with several boxes, or a file of region boxes."""

    name = "boxes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | Path:  # noqa: ARG002
        """A rule stays a word; anything else is a path."""
        return value if value in BOX_RULES else Path(value)


def protocol_options(command: Command) -> Command:
    """One flag for each field of the protocol, in the protocol's order."""
    for field in reversed(dataclasses.fields(Protocol)):
        if field.name == "boxes":
            command = click.option(
                "--boxes",
                type=BoxesOption(),
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
                "--gt", type=_FILE, help="Annotations: Flickr30k Entities directory or zip, or grounding JSON."
            ),
            click.option(
                "--gt-format", type=click.Choice(("auto", "entities", "mdetr")), default="auto", help="Force a format."
            ),
            click.option("--split", type=_FILE, help="A list of image ids: only these count, and all must be there."),
            click.option(
                "--boxes-file", type=_FILE, help="A file of region boxes; what --boxes FILE names takes its place."
            ),
            click.option(
                "--preset", type=PresetType(), help="A named protocol to start from; see attneval explain --presets."
            ),
            click.option(
                "--resamples", type=click.IntRange(0), default=1000, show_default=True, help="Behind each interval."
            ),
            click.option("--seed", type=int, default=12345, show_default=True, help="Of resamples and trials."),
        )
    ):
        command = option(command)
    return command


def config_option(command: Command) -> Command:
    """`--config`, read before the other options so that it can give their defaults."""

    def apply(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001
        found = configuration(value)
        settings = found.top | (found.gate if ctx.info_name == "gate" else {})
        defaults = {
            str(own.name): setting_default(found, own, name, settings[name])
            for own in ctx.command.params
            for name in (flag.lstrip("-") for flag in own.opts)
            if name in settings
        }
        ctx.default_map = {**(ctx.default_map or {}), **defaults}
        return value

    return click.option(
        "--config", metavar="FILE|none", is_eager=True, expose_value=False, callback=apply, help="A configuration file."
    )(command)


def configuration(value: str | None) -> Config:
    """The configuration that `--config` names: a file, `none`, or without it the nearest one."""
    from attneval.config import NOTHING, find, load

    return NOTHING if value == "none" else load(Path(value) if value else find(Path.cwd()))


def setting_default(found: Config, param: click.Parameter, name: str, value: Any) -> Any:
    """A setting as the default of a parameter, held against what the flag takes.

    Raises:
        ConfigError: The flag does not take that.
    """
    values = value if param.multiple and isinstance(value, list) else [value]
    for own in values:
        flaw = _flaw(param.type, own)
        if flaw:
            raise ConfigError(f"{found.path}: {name} = {own!r} cannot be used: {flaw.rstrip('.')}")
    return values if param.multiple else value


def _flaw(kind: click.ParamType, value: Any) -> str:  # type: ignore[type-arg]
    """What keeps a flag from taking a value of a file; empty if nothing does."""
    kinds = _kinds(kind)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return f"expected {' or '.join(_KIND_NAMES[own] for own in kinds)}"
    try:
        kind.convert(value, None, None)
    except (click.BadParameter, AttnevalError) as error:
        return str(error)
    return ""


_KIND_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _kinds(kind: click.ParamType) -> tuple[type, ...]:  # type: ignore[type-arg]
    """The types of TOML that a flag takes."""
    if isinstance(kind, type(click.BOOL)):
        return (bool,)
    if isinstance(kind, type(click.INT)) or getattr(kind, "kind", None) is int:
        return (int,)
    if isinstance(kind, type(click.FLOAT)) or getattr(kind, "kind", None) is float:
        return (float, int)
    return (str,)


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
                    type=click.Path(path_type=Path, dir_okay=False),
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


class Output:
    """Where a command's text goes: stdout in one format, files in others.

    Args:
        values: The command's parameters; those of `output_options` are taken out.
        formats: The formats the command offers.
    """

    def __init__(self, values: dict[str, Any], *formats: str) -> None:
        self.style: str | None = values.pop("format")
        self.digits: int = values.pop("digits")
        self.color = {"auto": None, "always": True, "never": False}[values.pop("color")]
        self.quiet: bool = values.pop("quiet")
        values.pop("verbose")
        self._files = []
        for path in values.pop("output"):
            name = SUFFIXES.get(path.suffix)
            if name not in formats:
                known = ", ".join(suffix for suffix, known_name in SUFFIXES.items() if known_name in formats)
                raise AttnevalError(f"-o {path}: no format has the suffix {path.suffix!r}", hint=f"use {known}")
            self._files.append((path, name))
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
        from attneval.files import write_text

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

        for path, name in self._files:
            write_text(path, text_in(name))
        if self.style == "table":
            from attneval.report.terminal import print_terminal

            if before:
                say(before() + "\n")
            print_terminal(page(), sys.stdout, color=self.color)
        else:
            say(text_in(self.style or "plain"))


def say(text: str) -> None:
    """Write to stdout; what its encoding lacks is spelled out."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
