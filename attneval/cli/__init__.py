"""The command line: a lazy group, so that help and completion load nothing but click."""

from __future__ import annotations

import gc
import importlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from attneval._version import __version__
from attneval.errors import EXIT_CANNOT_EVALUATE, DataError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMANDS = {
    "score": "Score an attention export against annotations.",
    "compare": "Compare systems with a base: differences, intervals, significance.",
    "gate": "Judge a result by rules, for CI.",
    "curve": "Show precision, recall and F1 over thresholds.",
    "inspect": "Show the worst items, and what each kind of error costs.",
    "show": "Show one item over its image.",
    "report": "Write results as one page: charts, comparison, items with their maps.",
    "validate": "List every problem of an export.",
    "pack": "Turn exports into one packed file.",
    "merge": "Put results of parts together to the result of the whole.",
    "explain": "Say what a metric, a protocol field or a preset means.",
    "train": "Train a base model, with or without the constraints.",
    "export": "Turn checkpoints into an attention export.",
    "config": "Show each setting and where it comes from.",
}
"""Commands by name, with what `--help` says of each; a command's module is imported when it is run."""
TRAINING = ("train", "export")
"""Those that run models."""


LARGEST_KEPT = 31 * 2**20
"""Bytes: just below the 32 MiB from which glibc never keeps a block."""

OBJECTS_BETWEEN_COLLECTIONS = 50_000


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """The commands, in the order in which one uses them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in TRAINING:
            # Matrix products are few and small: more threads would wait for each other, and for other processes.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            # After a block of this size has been freed, glibc keeps what is freed for the next arrays; before that,
            # every array of some size comes from the system and goes back to it, page by page.
            bytes(LARGEST_KEPT)
            # Much is made here that holds no cycles: columns, lists of numbers, trees of annotations.
            gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
        command = getattr(importlib.import_module(f"attneval.cli.{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, suggesting near names for one that does not exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = suggestion(args[0], COMMANDS, f"the commands are {', '.join(COMMANDS)}")
            ctx.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Data goes to stdout, everything else to stderr. Exit codes: 0 done or gate passed, 1 gate failed, "
    "2 could not evaluate, 130 interrupted.",
)
@click.version_option(__version__, prog_name="attneval")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Measure what image-text models attend to: Attention Precision, Recall and F1, and retrieval Recall@K."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(EXIT_CANNOT_EVALUATE)


@contextmanager
def stdout_written() -> Iterator[None]:
    """Turn what the system says while stdout is written into a refusal.

    Raises:
        DataError: The disk that it leads to is full, for instance; that nobody reads it any more is no error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"stdout cannot be written ({error.strerror or error})") from error


def run(arguments: Sequence[str] | None = None) -> Any:
    """Run the command line and raise what goes wrong."""
    return cli.main(args=None if arguments is None else list(arguments), prog_name="attneval", standalone_mode=False)
