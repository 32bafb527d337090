"""The command line: a lazy group, so that help and completion load nothing but click."""

from __future__ import annotations

import importlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from attneval._version import __version__
from attneval.cli import process
from attneval.cli.command import show_help
from attneval.cli.streams import say
from attneval.config.extras import to_install
from attneval.errors import EXIT_CANNOT_EVALUATE, ConfigError, MissingPackageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXTRAS = {"train": ("torch", "PyTorch")}
"""Extras of the package that commands need: the module that shows whether one is installed, and its name."""


class CommandRow(NamedTuple):
    """A row of the commands' table.

    Attributes:
        help: What `attneval --help` says of it.
        target: "module:command", imported when it is looked up.
        extra: The extra of the package that it needs, which runs models; empty where it needs none.
    """

    help: str
    target: str
    extra: str = ""

    def load(self) -> click.Command:
        """Import the command."""
        module, _, name = self.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


COMMANDS = {
    "score": CommandRow("Score an attention export against annotations.", "attneval.cli.score:score"),
    "compare": CommandRow(
        "Compare systems with a base: differences, intervals, significance.", "attneval.cli.compare:compare"
    ),
    "heads": CommandRow("Rank layers and heads: chosen on half of the images.", "attneval.cli.heads:heads"),
    "gate": CommandRow("Judge a result by rules, for CI.", "attneval.cli.gate:gate"),
    "curve": CommandRow("Show precision, recall and F1 over thresholds.", "attneval.cli.curve:curve"),
    "inspect": CommandRow("Show the worst items, and what each kind of error costs.", "attneval.cli.inspect:inspect"),
    "show": CommandRow("Show one item over its image.", "attneval.cli.show:show"),
    "report": CommandRow(
        "Write results as one page: charts, comparison, items with their maps.", "attneval.cli.report:report"
    ),
    "validate": CommandRow("List every problem of an export.", "attneval.cli.validate:validate"),
    "pack": CommandRow("Turn exports into one packed file.", "attneval.cli.pack:pack"),
    "merge": CommandRow("Put results of parts together to the result of the whole.", "attneval.cli.merge:merge"),
    "explain": CommandRow("Say what a metric, a protocol field or a preset means.", "attneval.cli.explain:explain"),
    "train": CommandRow(
        "Train a base model, with or without the constraints.", "attneval.cli.train:train", extra="train"
    ),
    "export": CommandRow("Turn checkpoints into an attention export.", "attneval.cli.export:export", extra="train"),
    "config": CommandRow("Show each setting and where it comes from.", "attneval.cli.config:config"),
    "doctor": CommandRow("Show versions, extras, devices, cache and terminal.", "attneval.cli.doctor:doctor"),
}
"""Commands by name, in the order in which one uses them."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """The commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; nothing of the process changes."""
        return COMMANDS[cmd_name].load() if cmd_name in COMMANDS else None

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """The option that shows the help, which says where stdout cannot be written."""
        made = super().get_help_option(ctx)
        if made is not None:
            made.callback = show_help
        return made

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, suggesting near names for one that does not exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = suggestion(args[0], COMMANDS, f"the commands are {', '.join(COMMANDS)}")
            ctx.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: FBT001, ARG001
    """Show the version and leave."""
    if value and not ctx.resilient_parsing:
        say(f"attneval, version {__version__}\n")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Data goes to stdout, everything else to stderr. Exit codes: 0 done or gate passed, 1 gate failed, "
    "2 could not evaluate, 130 interrupted.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Measure what image-text models attend to: Attention Precision, Recall and F1, and retrieval Recall@K."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(EXIT_CANNOT_EVALUATE)
    elif not COMMANDS[ctx.invoked_subcommand].extra:
        process.ready_for_scoring()


@contextmanager
def extra_needed(extra: str) -> Iterator[None]:
    """Say what to install where an extra is missing; around the imports that need it.

    Raises:
        MissingPackageError: It is missing.
    """
    module, name = EXTRAS[extra]
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingPackageError(f"this needs {name}, which is not installed", hint=to_install(extra)) from error


def run(arguments: Sequence[str] | None = None) -> Any:
    """Run the command line and raise what goes wrong.

    Raises:
        ConfigError: It is asked to complete a line for a shell and is not told which.
    """
    if "_ATTNEVAL_COMPLETE" in os.environ:
        _check_completion()
    return cli.main(args=None if arguments is None else list(arguments), prog_name="attneval", standalone_mode=False)


def _check_completion() -> None:
    """Refuse to complete a line that the environment does not hold."""
    asked = os.environ.get("_ATTNEVAL_COMPLETE", "")
    if asked.endswith("_complete") and not {"COMP_WORDS", "COMP_CWORD"} <= os.environ.keys():
        raise ConfigError(
            f"_ATTNEVAL_COMPLETE={asked} is for shells, which set COMP_WORDS and COMP_CWORD as well", hint="unset it"
        )
