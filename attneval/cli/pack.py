"""`attneval pack`: exports of any layout and container to one packed file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, quiet_option, verbose_option
from attneval.cli.output import check_outputs
from attneval.cli.streams import tell
from attneval.cli.values import FILE

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=("attneval pack maps.pt -o maps.npz", "attneval pack shard-*.npz -o maps.npz"),
)
@click.argument("files", type=FILE, nargs=-1, required=True)
@option("-o", "--output", type=FILE, required=True, group="Output", help="The .npz to write, whole or not at all.")
@quiet_option
@verbose_option
def pack(files: tuple[Path, ...], output: Path, *, quiet: bool, verbose: bool) -> None:  # noqa: ARG001
    """Turn FILES, padded or packed, .npz, .safetensors or .pt, into one packed export; several are its shards."""
    from attneval.export.pack import pack as run

    check_outputs([output], files)
    for note in run(files, output):
        if not quiet:
            tell(f"note: {note}")
