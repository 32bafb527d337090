"""`attneval export`: from checkpoints to an attention export."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from attneval.cli import extra_needed
from attneval.cli.options import SETTINGS, check_outputs, quiet_option, verbose_option
from attneval.cli.values import FILE
from attneval.errors import ConfigError
from attneval.training.choices import ModelName


@click.command(context_settings=SETTINGS)
@click.argument("checkpoints", type=FILE, nargs=-1, required=True)
@click.option("--data", type=FILE, help="Folder in the precomputed layout.  [default: the one trained on]")
@click.option("--split", default="test", show_default=True, help="Which part of it: test, dev, testall, ...")
@click.option("-o", "--output", type=FILE, required=True, help="The .npz to write, whole or not at all.")
@click.option("--vocab", type=FILE, help="Vocabulary JSON; checkpoints of attneval train bring theirs.")
@click.option("--model", type=click.Choice(get_args(ModelName)), help="For authors' checkpoints that do not tell.")
@click.option("--bottom-up", type=FILE, multiple=True, help="TSV with boxes and, if need be, features; repeatable.")
@click.option("--maps/--no-maps", default=True, show_default=True, help="Attention of captions and their own images.")
@click.option("--similarity/--no-similarity", default=True, show_default=True, help="Scores of all images x captions.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ...")
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
        export_models(trained, opened, output, maps=maps, similarity=similarity, on_progress=on_progress)
