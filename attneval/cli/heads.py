"""`attneval heads`: which layers and heads attend right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, flags_given, jobs_option, limit_option, name_option, scoring_options
from attneval.cli.output import Output, output_options
from attneval.cli.protocol_options import SCORING, protocol_from, protocol_options
from attneval.cli.scoring import options_from, read_beside
from attneval.cli.settings import config_option
from attneval.cli.values import FILE, MetricType, WholeNumber
from attneval.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.results.heads import HeadRanking


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=(
        "attneval heads maps.npz --gt flickr30k_entities.zip --top 10",
        "attneval heads result.json -m pointing -o heads.csv",
    ),
)
@click.argument("sources", type=FILE, nargs=-1, required=True)
@scoring_options
@limit_option
@protocol_options
@output_options("heads")
@option(
    "-m",
    "--metric",
    type=MetricType(),
    default="f1_lift",
    show_default=True,
    metavar="M",
    group="Output",
    help="What heads are ranked by.",
)
@option(
    "--top", type=WholeNumber(1), metavar="K", group="Output", help="Also score the mean of the best K as one system."
)
@name_option
@jobs_option
@config_option
def heads(sources: tuple[Path, ...], **values: Any) -> None:
    """Rank the layers and heads of an export, or of a result of one: SOURCES is a RESULT, or an EXPORT with --gt.

    Heads are chosen on one half of the images and reported on the other, with intervals; their optimism is what they
    lose from one to the other.
    """
    from attneval.report.figures import draw
    from attneval.report.heads import heads_dict, heads_lines, heads_page

    output = Output(values, "heads", inputs=sources)
    results = [path for path in sources if path.suffix == ".json"]
    ranking = _of_result(sources, values) if results else _of_export(sources, values, quiet=output.quiet)
    output.emit(
        {
            "page": lambda: heads_page(ranking, output.digits),
            "values": lambda: heads_dict(ranking),
            "lines": lambda: heads_lines(ranking),
            "figure": lambda: draw("heads", ranking, output.digits),
        }
    )


def _of_result(sources: tuple[Path, ...], values: dict[str, Any]) -> HeadRanking:
    from attneval.results.heads import rank_heads
    from attneval.results.result import Result

    if len(sources) > 1:
        raise ConfigError(f"{len(sources)} files are named", hint="name one result, or an export and its shards")
    idle = flags_given(("gt", "limit", "jobs", "name", *SCORING))
    if idle:
        raise ConfigError(
            f"{', '.join(idle)} would change nothing: {sources[0]} is a result, which was scored before",
            hint="leave it out, or name the export",
        )
    if values["top"] is not None:
        raise ConfigError(
            f"--top takes the mean of maps, and {sources[0]} is a result, which holds none",
            hint="name the export with --gt",
        )
    return rank_heads(Result.load(sources[0]), values["metric"])


def _of_export(sources: tuple[Path, ...], values: dict[str, Any], *, quiet: bool) -> HeadRanking:
    from attneval.cli.progress import progress
    from attneval.evaluation.score_heads import score_heads

    protocol = protocol_from(values)
    if values["gt"] is None:
        raise DataError(f"{sources[0]} is no result file", hint="pass --gt to score it now")
    with progress("scored images", quiet=quiet) as on_progress:
        return score_heads(
            sources,
            values["gt"],
            metric=values["metric"],
            top=values["top"] or 0,
            protocol=protocol,
            options=options_from(values, progress=on_progress),
            **read_beside(values),
        )
