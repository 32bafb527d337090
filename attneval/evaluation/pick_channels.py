"""Channels of an export, picked before it is scored: by name, or as the best on half of the images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from attneval.errors import NothingToScoreError
from attneval.evaluation.score import score_files
from attneval.metrics.registry import RANKED_BY
from attneval.results.channel_choice import ALL, chosen_by_name, chosen_by_rank, top_of
from attneval.results.notes import MANY_CHANNELS, Note
from attneval.statistics.halves import EVEN

if TYPE_CHECKING:
    from attneval.config.options import Options
    from attneval.config.protocol import Protocol
    from attneval.evaluation.manifest import Manifest
    from attneval.results.channel_choice import ChosenChannels
    from attneval.results.result import Result


def score_channel(text: str, manifest: Manifest, protocol: Protocol, options: Options) -> Result:
    """Score the mean of the channels that were asked for.

    Args:
        text: See `attneval.results.channel_choice.named_channels`, or `top:K@half`.
        manifest: The files.
        protocol: How they are scored.
        options: What changes no number.

    Raises:
        AttnevalError: There is no such channel, or the files cannot be scored.
    """
    choice = pick_channels(text, manifest, protocol, options)
    # The mean of all channels is scored with each of them beside it.
    rows = None if text == ALL else choice.rows
    chosen = replace(manifest, paths=replace(manifest.paths, channels=rows))
    name = options.name or f"{manifest.stem} {text}"
    result = score_files(chosen, protocol, replace(options, half=choice.half or options.half, name=name))
    notes = [choice.note, *(note for note in result.notes if note.kind != MANY_CHANNELS)]
    return replace(result, channel=text, averaged=choice.names, notes=notes)


def pick_channels(text: str, manifest: Manifest, protocol: Protocol, options: Options) -> ChosenChannels:
    """Pick channels; the best ones are looked for while the weights of the even half are read."""
    top = top_of(text)
    export = manifest.paths.open_export()
    if export is None or not export.maps:
        raise NothingToScoreError(f"there are no attention maps to take channel {text} of", hint="name an export")
    if not top:
        return chosen_by_name(text, export.channel_names, export.channel.tolist(), str(export.path))
    if len(export.channel) < 2:
        raise NothingToScoreError(
            f"{export.path} has one channel, and nothing to choose among",
            hint="export the maps of layers and heads one by one",
        )
    looking = replace(options, half=EVEN, resamples=0, items=False, channel_metrics=(RANKED_BY,))
    found = score_files(manifest, protocol, looking)
    if found.channel_sums is None:
        raise NothingToScoreError(f"no channel of {export.path} was scored", hint="pass annotations with --gt")
    choice = chosen_by_rank(text, found.channel_sums.table, protocol.directions[0])
    if top > len(export.channel):
        note = Note(f"{choice.note}; there are no more than {len(export.channel)} channels")
        return replace(choice, note=note)
    return choice
