"""`attneval export`: from checkpoints to an attention export."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from attneval.cli import extra_needed
from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, check_outputs, quiet_option, verbose_option
from attneval.cli.values import FILE
from attneval.errors import ConfigError
from attneval.training.choices import ModelName


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=(
        "attneval export runs/scan/best.pt -o maps.npz",
        "attneval export sgr.pt saf.pt --data f30k_precomp --split testall -o maps.npz",
    ),
)
@click.argument("checkpoints", type=FILE, nargs=-1, required=True)
@option("--data", type=FILE, group="Input", help="Folder in the precomputed layout.  [default: the one trained on]")
@option("--split", default="test", show_default=True, group="Input", help="Which part of it: test, dev, testall, ...")
@option("--vocab", type=FILE, group="Input", help="Vocabulary JSON; checkpoints of attneval train bring theirs.")
@option(
    "--model",
    type=click.Choice(get_args(ModelName)),
    group="Input",
    help="For authors' checkpoints that do not tell.",
)
@option(
    "--bottom-up",
    type=FILE,
    multiple=True,
    group="Input",
    help="TSV with boxes and, if need be, features; repeatable.",
)
@option("-o", "--output", type=FILE, required=True, group="Output", help="The .npz to write, whole or not at all.")
@option(
    "--maps/--no-maps",
    default=True,
    show_default=True,
    group="Output",
    help="Attention of captions and their own images.",
)
@option(
    "--similarity/--no-similarity",
    default=True,
    show_default=True,
    group="Output",
    help="Scores of all images x captions.",
)
@option("--device", default="auto", show_default=True, group="Process", help="auto, cpu, cuda, cuda:1, ...")
@quiet_option
@verbose_option
def export(
    checkpoints: tuple[Path, ...],
    data: Path | None,
    split: str,
    output: Path,
    *,
    vocab: Path | None,
    model: str | None,
    bottom_up: tuple[Path, ...],
    maps: bool,
    similarity: bool,
    device: str,
    quiet: bool,
    verbose: bool,  # noqa: ARG001
) -> None:
    """Write what CHECKPOINTS do on a split as one attention export; several are averaged, as SGRAF is SGR and SAF."""
    check_outputs([output], [*checkpoints, *bottom_up, *([] if vocab is None else [vocab])])
    with extra_needed("train"):
        from attneval.extraction.checkpoints import export_models, load_trained
    from attneval.cli.progress import progress
    from attneval.training.data.precomputed import open_split

    trained = [load_trained(path, vocabulary=vocab, name=model or "", device=device) for path in checkpoints]
    first = trained[0]
    folder = data or (Path(first.data) if first.data else None)
    if folder is None:
        raise ConfigError(f"{checkpoints[0]}: does not say what it was trained on", hint="name the folder with --data")
    opened = open_split(folder, split, bottom_up=bottom_up or [Path(path) for path in first.bottom_up])
    with progress("exported captions", quiet=quiet) as on_progress:
        export_models(trained, opened, output, maps=maps, similarity=similarity, tell=on_progress)
