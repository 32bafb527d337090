"""`attneval score`: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attneval.cli.options import (
    SETTINGS,
    Output,
    output_options,
    protocol_from,
    protocol_options,
    scoring_options,
)
from attneval.cli.settings import config_option
from attneval.cli.streams import tell
from attneval.cli.values import FILE, RuleType
from attneval.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.results.result import Result


@click.command(context_settings=SETTINGS)
@click.argument("exports", type=FILE, nargs=-1)
@click.option("--attn", type=FILE, help="The attention export; the same as the argument.")
@click.option("--similarity", type=FILE, multiple=True, help="Scores for retrieval; several files are averaged.")
@click.option("--name", help="How the system is called in tables.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many images; the result is marked PARTIAL.")
@click.option(
    "--jobs", type=click.IntRange(1), show_default="2 where that pays", help="Processes that share the images."
)
@click.option("--cache/--no-cache", default=True, show_default=True, help="Keep an index of parsed annotations.")
@click.option("--items", is_flag=True, help="Keep items one by one beside each .json output, for attneval inspect.")
@click.option("--min", type=RuleType("min"), multiple=True, metavar="M=V", help="Exit with 1 if metric M is below V.")
@click.option("--max", type=RuleType("max"), multiple=True, metavar="M=V", help="Exit with 1 if metric M is above V.")
@scoring_options
@protocol_options
@output_options("score")
@config_option
def score(exports: tuple[Path, ...], attn: Path | None, **values: Any) -> int:
    """Score attention EXPORTS against annotations; several are shards of one.

    Prints Attention Precision, Recall and F1 with their companions, floors and ceilings, and retrieval Recall@K where
    the export has similarities.
    """
    from attneval.cli.progress import progress
    from attneval.config.options import Options
    from attneval.evaluation.score import score as run

    if attn is not None and exports not in {(), (attn,)}:
        raise click.UsageError(f"--attn {attn} stands beside {', '.join(map(str, exports))}")
    output = Output(values, "score", inputs=exports or (() if attn is None else (attn,)))
    if values["items"] and not output.files("json"):
        raise ConfigError("--items needs a result to stand beside", hint="add -o result.json")
    rules = [*values["min"], *values["max"]]
    protocol = protocol_from(values)
    with progress("scored images", quiet=output.quiet) as on_progress:
        result = run(
            exports or attn,
            values["gt"],
            protocol=protocol,
            boxes=values["boxes_file"],
            similarity=values["similarity"],
            split=values["split"],
            gt_format=values["gt_format"],
            options=Options(
                resamples=values["resamples"],
                seed=values["seed"],
                limit=values["limit"],
                name=values["name"],
                items=values["items"],
                jobs=values["jobs"],
                cache=values["cache"],
                progress=on_progress,
            ),
        )
    emit_result(result, output)
    if not rules:
        return 0
    from attneval.results.gate import judge

    verdict = judge(result, rules)
    for outcome in verdict.outcomes:
        if not (output.quiet and outcome.passed):
            tell(str(outcome))
    return verdict.exit_code


def emit_result(result: Result, output: Output) -> None:
    """Write a result in the formats asked for, and its items beside each JSON file."""
    from attneval.report.delimited import result_lines
    from attneval.report.score import score_page
    from attneval.results.result import items_path

    for path in map(items_path, output.files("json")):
        if result.items is not None:
            result.items.save(path)
        elif path.exists():
            # They are those of the result that was here before.
            path.unlink()

    output.emit(
        {
            "page": lambda: score_page(result, output.digits),
            "values": result.to_dict,
            "lines": lambda: result_lines(result),
        }
    )
