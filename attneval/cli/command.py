"""Commands whose help groups its options and ends with examples, and which know near misses of their options."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.streams import say
from attneval.errors import suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = ("Input", "Protocol", "Output", "Process")
"""Headings of options, in the order of `--help`; a command's other ones stand in their midst, and none comes last."""
OTHER_NAMES = {
    "--ground-truth": "--gt",
    "--annotations": "--gt",
    "--groundtruth": "--gt",
    "--attention": "--attn",
    "--maps": "--attn",
    "--export": "--attn",
    "--sim": "--similarity",
    "--scores": "--similarity",
    "--regions": "--boxes",
    "--workers": "--jobs",
    "--processes": "--jobs",
    "--threads": "--jobs",
    "--bootstrap": "--resamples",
    "--iterations": "--trials",
    "--out": "--output",
    "--json": "--format",
    "--csv": "--format",
    "--silent": "--quiet",
    "--fail-under": "--min",
    "--tolerance": "--max-drop",
    "--reference": "--baseline",
    "--level": "--alpha",
}
"""Options by the names that other programs give them."""


GT_COMPANIONS = {
    "gt_format": "format",
    "gt_sizes": "sizes",
    "synonyms": "synonyms",
    "split_name": "split_name",
    "classes": "classes",
}
"""Parameters that belong to `gt`, and what they are called in annotation files."""


class GroupedOption(click.Option):
    """An option that stands under a heading of the help.

    Args:
        group: Its heading: one of `GROUPS`, another, or none.
        rare: Show it with `--help-all` alone.
        brief: What `--help` says of it; all of `help` without.
        arguments: Those of `click.Option`.
    """

    def __init__(self, *arguments: Any, group: str = "", rare: bool = False, brief: str = "", **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.group, self.rare, self.brief = group, rare, brief

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The line of the help: the flag and a text."""
        record = super().get_help_record(ctx)
        return record if record is None or not self.brief or ctx.meta.get("help_all") else (record[0], self.brief)


option = partial(click.option, cls=GroupedOption)
"""`click.option` with a group."""


class Command(click.Command):
    """A command with grouped options and examples.

    Args:
        examples: Command lines that end its help.
        arguments: Those of `click.Command`.
    """

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.examples = examples
        if any(getattr(param, "rare", False) for param in self.params):
            show_all = click.Option(
                ["--help-all"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=show_help,
                help="Show this message with every option.",
            )
            self.params.append(show_all)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, which gets annotations and what belongs to them as one value, None if there are none."""
        if "gt_sizes" in ctx.params:
            from attneval.groundtruth.annotation_files import AnnotationFiles

            beside = {name: ctx.params.pop(flag) for flag, name in GT_COMPANIONS.items()}
            ctx.params["gt"] = AnnotationFiles(ctx.params["gt"], **beside) if ctx.params["gt"] else None
        return super().invoke(ctx)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """The option that shows the help, which says where stdout cannot be written."""
        made = super().get_help_option(ctx)
        if made is not None:
            made.callback = show_help
        return made

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in ("", *GROUPS[:2])}
        for param in self.get_params(ctx):
            record = None if isinstance(param, click.Argument) else param.get_help_record(ctx)
            if record is not None and (ctx.meta.get("help_all") or not getattr(param, "rare", False)):
                groups.setdefault(getattr(param, "group", ""), []).append(record)
        last = groups.pop("")
        groups |= {name: groups.pop(name) for name in GROUPS[2:] if name in groups}
        for name, records in (*groups.items(), ("Options" if not any(groups.values()) else "Other", last)):
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':>{formatter.current_indent}}{line}\n" for line in self.examples))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, naming the option that a near miss stands for."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = [flag for param in self.get_params(ctx) for flag in (*param.opts, *param.secondary_opts)]
            name = error.option_name
            meant = OTHER_NAMES.get(name, "")
            hint = f"did you mean {meant}?" if meant in known else suggestion(name, known, "")
            message = f"there is no option {name}" + (f"; {hint}" if hint else "")
            raise click.UsageError(message, ctx) from error


def show_help(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's interface
    """Show the help and leave."""
    if value and not ctx.resilient_parsing:
        ctx.meta["help_all"] = param.name == "help_all"
        say(f"{ctx.get_help()}\n")
        ctx.exit()
