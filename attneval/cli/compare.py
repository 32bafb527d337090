"""`attneval compare`: systems against a base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.channels import of_channel
from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, across_regions_option, channel_option, flags_given, scoring_options
from attneval.cli.output import Output, output_options
from attneval.cli.protocol_options import SCORING, protocol_from, protocol_options
from attneval.cli.scoring import read_beside
from attneval.cli.settings import config_option
from attneval.cli.values import FILE, MetricType, WholeNumber
from attneval.config.options import ALPHA, TRIALS
from attneval.errors import ConfigError

if TYPE_CHECKING:
    from attneval.config.protocol import Protocol
    from attneval.results.comparison import Comparison, System
    from attneval.results.result import Result


NAMES = ("group", "systems")
TYPED = "attneval.typed"
"""Where the order of systems and groups is kept."""


class InTypedOrder(Command):
    """A command that knows the order in which systems and groups of them were typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, and keep which of them were systems and groups, in their order."""
        ctx.meta[TYPED] = self._typed(ctx, list(args))
        return super().parse_args(ctx, args)

    def _typed(self, ctx: click.Context, args: list[str]) -> list[bool]:
        """For each system and group typed, whether it is a group."""
        parser = self.make_parser(ctx)
        parser.allow_interspersed_args = False
        typed: list[bool] = []
        end = args.index("--") if "--" in args else len(args)
        before, after = args[:end], args[end + 1 :]
        while before:
            try:
                options, _, _ = parser.parse_args(list(before))
            except click.UsageError:
                return []  # it is said when the arguments are read for good
            # What was not typed may be a mark of click's.
            groups, systems = (value if isinstance(value := options.get(name), list | tuple) else () for name in NAMES)
            typed += [True] * len(groups)
            typed += [False] * bool(systems)
            before = list(systems[1:])
        return typed + [False] * len(after)


@click.command(
    cls=InTypedOrder,
    context_settings=SETTINGS,
    examples=(
        "attneval compare base.json candidate.json -m f1 -m rsum",
        "attneval compare base.npz candidate.npz --gt flickr30k_entities.zip -f latex",
    ),
)
@click.argument("systems", type=FILE, nargs=-1)
@option("--group", multiple=True, metavar="NAME=A,B", group="Input", help="Several results of one system (seeds).")
@option("--intersect", is_flag=True, group="Input", help="Compare on the images that all systems have.")
@option("--allow-mismatch", is_flag=True, group="Input", help="Compare under different protocols; fields are shown.")
@channel_option(rare=True)
@across_regions_option
@scoring_options
@protocol_options
@output_options("compare")
@option("-m", "--metric", type=MetricType(), multiple=True, metavar="M", group="Output", help="Only these. Repeatable.")
@option(
    "--trials",
    type=WholeNumber(1),
    show_default=f"{TRIALS}, more for many tests",
    group="Process",
    help="Behind each p-value.",
)
@option(
    "--alpha",
    type=click.FloatRange(0, 1),
    default=ALPHA,
    show_default=True,
    group="Process",
    help="Level of significance.",
)
@config_option
@click.pass_context
def compare(ctx: click.Context, /, systems: tuple[Path, ...], **values: Any) -> None:
    """Compare SYSTEMS, the first one typed being the base: result files, or exports that are scored with --gt.

    Shows each metric with its interval, the change against the base with its paired interval, p-values of paired
    randomization by image with Holm's adjustment, and on how many images a system wins, ties and loses.
    """
    from attneval.results.compare import compare as run

    groups = _groups(values["group"])
    files = [*systems, *(path for _, paths in groups for path in paths)]
    output = Output(values, "compare", inputs=files)
    _refuse_idle(flags_given(SCORING), files)
    protocol = protocol_from(values)
    comparison = run(
        _systems(systems, groups, protocol, values, typed=ctx.meta.get(TYPED, [])),
        names=values["metric"],
        intersect=values["intersect"],
        allow_mismatch=values["allow_mismatch"],
        across_regions=values["across_regions"],
        resamples=values["resamples"],
        trials=values["trials"],
        seed=values["seed"],
        alpha=values["alpha"],
    )
    _emit(comparison, output)


def _refuse_idle(flags: list[str], paths: list[Path]) -> None:
    """Refuse flags that say how exports are scored where there are only results, which keep what they were made by."""
    if flags and all(map(is_result, paths)):
        raise ConfigError(
            f"{', '.join(flags)} would change nothing: all systems are results, which were scored before",
            hint="leave it out, or name exports",
        )


def _groups(texts: tuple[str, ...]) -> list[tuple[str, list[Path]]]:
    """Read `--group`: systems, and the files of each."""
    groups = []
    for text in texts:
        name, _, files = text.partition("=")
        parts = files.split(",")
        if not name or not all(parts):
            raise ConfigError(f"--group {text!r} is no group", hint="write NAME=a.json,b.json")
        groups.append((name, list(map(Path, parts))))
    return groups


def _systems(
    paths: tuple[Path, ...],
    groups: list[tuple[str, list[Path]]],
    protocol: Protocol,
    values: dict[str, Any],
    *,
    typed: list[bool],
) -> list[System]:
    """Load the systems, in the order in which they were typed: the first one is the base.

    Groups that were not typed, but come from the environment or a file, are the last.
    """
    from attneval.results.comparability import distinct
    from attneval.results.comparison import System

    systems = []
    for path in paths:
        result = load_or_score(path, protocol, values)
        systems.append(System(result.name, (result,)))
    for name, files in groups:
        systems.append(System(name, tuple(load_or_score(path, protocol, values) for path in files)))
    # Results of one model in several directories are told apart by the directories.
    paths_of = [*map(str, paths), *(name for name, _ in groups)]
    names = distinct([system.name for system in systems], paths_of)
    systems = [System(name, system.runs) for name, system in zip(names, systems, strict=True)]
    if (typed.count(False), typed.count(True)) != (len(paths), len(groups)):
        return systems
    single, grouped = iter(systems[: len(paths)]), iter(systems[len(paths) :])
    return [next(grouped if is_group else single) for is_group in typed]


def is_result(path: Path) -> bool:
    """Tell whether a path stands for a result, and not for an export."""
    return path.suffix == ".json" or not path.exists()


def load_or_score(path: Path, protocol: Protocol, values: dict[str, Any]) -> Result:
    """A result file, or an export scored on the fly."""
    from attneval.config.options import Options
    from attneval.errors import DataError
    from attneval.evaluation.score import score
    from attneval.results.result import Result

    if is_result(path):
        return of_channel(Result.load(path), values["channel"])
    if values["gt"] is None:
        raise DataError(f"{path} is no result file", hint="score it first, or pass --gt to score it now")
    return score(
        path,
        values["gt"],
        protocol=protocol,
        channel=values["channel"],
        options=Options(resamples=0, seed=values["seed"]),
        **read_beside(values),
    )


def _emit(comparison: Comparison, output: Output) -> None:
    from attneval.report.compare import compare_dict, compare_lines, compare_page
    from attneval.report.figures import draw

    output.emit(
        {
            "page": lambda: compare_page(comparison, output.digits),
            "values": lambda: compare_dict(comparison),
            "lines": lambda: compare_lines(comparison),
            "figure": lambda: draw("compare", comparison, output.digits),
        }
    )
