"""Channels of an export, picked before it is scored: by name, or as the best on half of the images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from attneval.errors import NothingToScoreError, ProtocolError
from attneval.metrics.registry import RANKED_BY
from attneval.results.channel_choice import ALL, chosen_by_name, chosen_by_rank, top_of
from attneval.results.notes import MANY_CHANNELS, Note
from attneval.statistics.halves import EVEN

if TYPE_CHECKING:
    from attneval.config.options import Options
    from attneval.config.protocol import Protocol
    from attneval.evaluation.manifest import Manifest
    from attneval.export.read.content import AttentionExport
    from attneval.results.channel_choice import ChosenChannels
    from attneval.results.result import Result


def with_maps(text: str, export: AttentionExport | None) -> AttentionExport:
    """Refuse an export without attention maps.

    Args:
        text: See `attneval.results.channel_choice.named_channels`, or `top:K@half`.
        export: The export, if there is one.

    Raises:
        AttnevalError: There are none to take a channel of.
    """
    if export is None or not export.maps:
        raise NothingToScoreError(f"there are no attention maps to take channel {text} of", hint="name an export")
    return export


def looking_for(text: str, export: AttentionExport, options: Options) -> Options | None:
    """Choose the options of the scoring that looks for the best channels; None for channels that have a name.

    The best ones are looked for on the even half of the images.

    Args:
        text: See `attneval.results.channel_choice.named_channels`, or `top:K@half`.
        export: The export.
        options: Those of the scoring itself.

    Raises:
        AttnevalError: The export has no channels to choose among.
    """
    if not top_of(text):
        return None
    if options.part is not None:
        raise ProtocolError(
            f"channel {text} is chosen by the scores of all images, of which a part has its own",
            hint="choose it first, with attneval heads, and score the parts by its name: --channel L3H5",
        )
    if len(export.channel) < 2:
        raise NothingToScoreError(
            f"{export.path} has one channel, and nothing to choose among",
            hint="export the maps of layers and heads one by one",
        )
    return replace(options, half=EVEN, resamples=0, items=False, channel_metrics=(RANKED_BY,))


def pick_channels(text: str, export: AttentionExport, protocol: Protocol, ranked: Result | None) -> ChosenChannels:
    """Pick channels by their name, or the best ones of a result.

    Args:
        text: See `looking_for`.
        export: The export.
        protocol: How it is scored.
        ranked: What was scored to look for the best ones; None for channels that have a name.

    Raises:
        AttnevalError: There are no such channels, or none was scored.
    """
    if ranked is None:
        return chosen_by_name(text, export.channel_names, export.channel.tolist(), str(export.path))
    if ranked.channel_sums is None:
        raise NothingToScoreError(f"no channel of {export.path} was scored", hint="pass annotations with --gt")
    choice = chosen_by_rank(text, ranked.channel_sums.table, protocol.directions[0])
    if top_of(text) > len(export.channel):
        note = Note(f"{choice.note}; there are no more than {len(export.channel)} channels")
        return replace(choice, note=note)
    return choice


def narrowed(text: str, choice: ChosenChannels, manifest: Manifest, options: Options) -> tuple[Manifest, Options]:
    """Narrow a scoring down to the channels that were picked, and to the half that they are reported on."""
    # The mean of all channels is scored with each of them beside it.
    rows = None if text == ALL else choice.rows
    chosen = replace(manifest, paths=replace(manifest.paths, channels=rows))
    name = options.name or f"{manifest.stem} {text}"
    return chosen, replace(options, half=choice.half or options.half, name=name)


def named(text: str, choice: ChosenChannels, result: Result) -> Result:
    """Say in a result which channels it is of."""
    notes = [choice.note, *(note for note in result.notes if note.kind != MANY_CHANNELS)]
    return replace(result, channel=text, averaged=choice.names, notes=notes)
