"""`attneval score`: the main job."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import Command, option
from attneval.cli.github import github_option, tell_github
from attneval.cli.options import (
    SETTINGS,
    boxes_file_option,
    channel_option,
    detections_option,
    flags_given,
    gt_options,
    jobs_option,
    limit_option,
    name_option,
    resamples_option,
    rule_option,
    seed_option,
    split_option,
)
from attneval.cli.output import Output, output_options
from attneval.cli.protocol_options import protocol_from, protocol_options
from attneval.cli.scoring import options_from, read_beside
from attneval.cli.settings import config_option
from attneval.cli.streams import tell
from attneval.cli.values import FILE, PartType
from attneval.errors import ConfigError
from attneval.evaluation.engines import ENGINES

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.config.protocol import Protocol
    from attneval.results.result import Result


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=(
        "attneval score maps.npz --gt flickr30k_entities.zip -o result.json",
        "attneval score maps.npz --gt annotations/ --overlap iof --min f1=0.3",
    ),
)
@click.argument("exports", type=FILE, nargs=-1)
@gt_options()
@option("--attn", type=FILE, group="Input", help="The attention export; the same as the argument.")
@option("--similarity", type=FILE, multiple=True, group="Input", help="Scores or ranked lists for retrieval.")
@option(
    "--relevance",
    type=FILE,
    multiple=True,
    group="Input",
    help="A relevance set for retrieval (CxC, ECCV Caption, ...); once for each file.",
)
@option(
    "--caption-ids",
    type=FILE,
    group="Input",
    rare=True,
    help="Ids of captions: an .npy in the order of columns, or a captions JSON of COCO.",
)
@option("--image-ids", type=FILE, group="Input", rare=True, help="Ids of a bare matrix's rows.")
@split_option
@limit_option
@option(
    "--part",
    type=PartType(),
    metavar="K/N",
    group="Input",
    rare=True,
    help="Only part K of N of the images, as one of N jobs; attneval merge makes the whole of all parts.",
)
@boxes_file_option
@detections_option
@channel_option(rare=True)
@option(
    "--across-regions",
    is_flag=True,
    group="Protocol",
    rare=True,
    help="Score all items, unreachable ones as 0 (--unreachable zero), to stand beside systems with other regions.",
)
@protocol_options
@output_options("score")
@option("--items", is_flag=True, group="Output", help="Keep items beside .json, for inspect.")
@name_option
@rule_option("min", "Exit with 1 if metric M is below V.")
@rule_option("max", "Exit with 1 if metric M is above V.")
@github_option(rare=True)
@jobs_option
@option(
    "--engine",
    type=click.Choice(("auto", *ENGINES)),
    default="auto",
    show_default=True,
    group="Process",
    rare=True,
    help="What runs the work.",
)
@option(
    "--scheduler",
    metavar="ADDRESS",
    default="",
    group="Process",
    rare=True,
    help="A scheduler's address, tcp://HOST:PORT, for --engine dask; without it there is a cluster of this machine.",
)
@option(
    "--cache/--no-cache", default=True, show_default=True, group="Process", rare=True, help="Keep annotations parsed."
)
@resamples_option
@seed_option
@config_option
def score(exports: tuple[Path, ...], attn: Path | None, **values: Any) -> int:
    """Score attention EXPORTS against annotations; several are shards of one.

    Prints Attention Precision, Recall and F1 with their companions, floors and ceilings, and retrieval Recall@K where
    the export has similarities.
    """
    from attneval.cli.progress import progress
    from attneval.evaluation.score import score as run

    if attn is not None and exports not in {(), (attn,)}:
        raise click.UsageError(f"--attn {attn} stands beside {', '.join(map(str, exports))}")
    output = Output(values, "score", inputs=exports or (() if attn is None else (attn,)))
    if values["items"] and not output.files("json"):
        raise ConfigError("--items needs a result to stand beside", hint="add -o result.json")
    rules = [*values["min"], *values["max"]]
    protocol = _over_all_items(protocol_from(values)) if values["across_regions"] else protocol_from(values)
    with progress("scored images", quiet=output.quiet) as on_progress:
        result = run(
            exports or attn,
            values["gt"],
            protocol=protocol,
            similarity=values["similarity"],
            relevance=values["relevance"],
            caption_ids=values["caption_ids"],
            image_ids=values["image_ids"],
            channel=values["channel"],
            options=options_from(values, digests=output.shows("values"), progress=on_progress),
            **read_beside(values),
        )
    verdict = None
    if rules:
        from attneval.results.gate import gate

        verdict = gate(result, rules)  # rules that cannot be decided are refused before anything is written
    emit_result(result, output)
    if verdict is None:
        return 0
    for outcome in verdict.outcomes:
        if not (output.quiet and outcome.passed):
            tell(str(outcome), passed=outcome.passed)
    tell_github(verdict, values["github"], output)
    return verdict.exit_code


def _over_all_items(protocol: Protocol) -> Protocol:
    """The protocol that scores all items, whichever of them regions reach."""
    if flags_given(["unreachable"]) and protocol.unreachable != "zero":
        raise ConfigError("--across-regions scores unreachable items 0, which --unreachable skip leaves out")
    return dataclasses.replace(protocol, unreachable="zero")


def emit_result(result: Result, output: Output) -> None:
    """Write a result in the formats asked for, and its items and the sums of its channels beside each JSON file."""
    from attneval.report.delimited import result_lines
    from attneval.report.figures import draw
    from attneval.report.score import score_page
    from attneval.results.channel_sums import channels_path
    from attneval.results.notes import COVERAGE, LINT
    from attneval.results.result import items_path

    files = output.files("json")
    # What is none of this result's is that of the result that was here before.
    stale = [] if result.items is not None else list(map(items_path, files))
    stale += [] if result.channel_sums is not None else list(map(channels_path, files))
    beside = [part for path in files for part in result.beside(path)]
    if result.items is not None:
        beside += [(path, result.items.write) for path in map(items_path, files)]
    output.emit(
        {
            "page": lambda: score_page(result, output.digits),
            "values": result.to_dict,
            "lines": lambda: result_lines(result),
            "figure": lambda: draw("score", result, output.digits),
        },
        beside=beside,
    )
    for path in stale:
        path.unlink(missing_ok=True)
    for note in result.notes:
        if note.kind in {COVERAGE, LINT} and not output.quiet:
            tell(f"note: {note}")
