"""`attneval validate`: every problem of an export at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, gt_options, quiet_option, verbose_option
from attneval.cli.streams import say
from attneval.cli.values import FILE
from attneval.errors import EXIT_CANNOT_EVALUATE, EXIT_OK, amount

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.groundtruth.annotation_files import AnnotationFiles


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=("attneval validate maps.npz", "attneval validate maps.npz --gt flickr30k_entities.zip"),
)
@click.argument("export", type=FILE)
@gt_options("Also check ids, captions and tokens against annotations.")
@option("--boxes", type=FILE, group="Input", help="Region boxes for an export without any.")
@option("--split", type=FILE, group="Input", help="A list of image ids that must be there.")
@quiet_option
@verbose_option
def validate(export: Path, gt: AnnotationFiles | None, boxes: Path | None, split: Path | None, **_: bool) -> int:
    """List every problem of an EXPORT, reading all of it; exit with 2 if there is one."""
    from attneval.evaluation.fit import look_at_fit
    from attneval.export.read.reader import find_problems
    from attneval.report.table import safe, scored_amounts

    problems, opened = find_problems(export)
    warnings: list[str] = [] if opened is None else [*opened.warnings]
    counts: dict[str, int] = {}
    if opened is not None and (gt, boxes, split) != (None, None, None):
        fit = look_at_fit(export, gt, boxes=boxes, split=split, maps=not problems)
        problems, warnings, counts = [*problems, *fit.problems], fit.warnings, fit.counts
    for problem in problems:
        say(f"{safe(problem)}\n")
    if opened is not None:
        say("".join(f"warning: {safe(warning)}\n" for warning in dict.fromkeys(warnings)))
        maps = "maps none"
        if opened.maps:
            tokens, channels = amount(int(opened.token_offset[-1]), "token"), amount(len(opened.channel), "channel")
            maps = f"{tokens}, {channels}, maps {' and '.join(opened.maps)}"
        steps = next((scores.shape[1] - 1 for scores in opened.curves.values()), 0)
        removed = f", {' and '.join(opened.curves)} in {amount(steps, 'step')}" if opened.curves else ""
        say(
            f"{safe(str(export))}: {amount(len(opened.image_id), 'image')}, "
            f"{amount(len(opened.caption_image), 'caption')}, {maps}, "
            f"similarity {'none' if opened.similarity is None else 'x'.join(map(str, opened.similarity.shape))}"
            f"{removed}\n"
        )
    if counts:
        # The file may hold more captions than have phrases that are scored.
        say(f"scored of these: {scored_amounts(counts)}\n")
    say(f"{amount(len(problems), 'problem')}\n")
    return EXIT_CANNOT_EVALUATE if problems else EXIT_OK
