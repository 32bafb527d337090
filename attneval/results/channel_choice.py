"""The channel that is asked for: by its name, the mean of a layer, of all, or of the best on half the images."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attneval.errors import ProtocolError, first_of
from attneval.metrics.registry import RANKED_BY
from attneval.results.channel_sums import key_of
from attneval.results.heads import best_channels, channel_table
from attneval.results.notes import MANY_CHANNELS, Note
from attneval.results.summary import summarise
from attneval.statistics.halves import EVEN, ODD, in_half

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.results.channel_sums import ChannelTable
    from attneval.results.result import Result

ALL = "all"
"""The name of the mean of all channels."""
NEAR = 3
"""How many near names an error lists."""
_TOP = re.compile(r"top:(\d{1,6})(@half)?")
_PLACE = re.compile(r"L(\d{1,9})(?:H(\d{1,9}))?")


def top_of(text: str) -> int:
    """Read how many channels `top:K@half` asks for; 0 for what asks for channels by name.

    Raises:
        ProtocolError: It would choose on the images that it reports on, or chooses none.
    """
    parts = _TOP.fullmatch(text)
    if parts is None:
        return 0
    count = int(parts[1])
    if not parts[2]:
        raise ProtocolError(
            f"channel {text} would be chosen on the images that it is reported on, and its value be too high",
            hint=f"write {text}@half: chosen on one half of the images, reported on the other",
        )
    if not count:
        raise ProtocolError(f"channel {text} is none", hint="write top:1@half or more")
    return count


def named_channels(text: str, names: Sequence[str], places: Sequence[Sequence[int]], where: str) -> list[int]:
    """Find the channels that a name stands for.

    Args:
        text: The name of a channel; `L3H5` for layer 3 and head 5; `L3` for all of layer 3; or `all`.
        names: The channels' names.
        places: Layer and head of each channel, -1 where reduced over.
        where: What has the channels, for messages.

    Returns:
        Their rows.

    Raises:
        ProtocolError: There is no such channel.
    """
    if text in names:
        return [list(names).index(text)]
    if text == ALL:
        return list(range(len(names)))
    parts = _PLACE.fullmatch(text)
    if parts:
        layer, head = int(parts[1]), None if parts[2] is None else int(parts[2])
        rows = [row for row, (at, number) in enumerate(places) if at == layer and head in {None, number}]
        if rows:
            return rows
    near = difflib.get_close_matches(text, names, n=NEAR, cutoff=0.5)
    shown = f"did you mean {' or '.join(near)}?" if near else f"they are {first_of(names)}"
    raise ProtocolError(f"channel {text!r} is none of the {len(names)} of {where}", hint=shown)


@dataclass(frozen=True)
class ChosenChannels:
    """Channels that were chosen, with what a reader has to know.

    Attributes:
        text: What was asked for.
        rows: The channels whose mean is scored.
        names: Their names.
        half: The half of the images that they are reported on; empty for all images.
        note: How they were chosen.
    """

    text: str
    rows: tuple[int, ...]
    names: tuple[str, ...]
    half: str
    note: Note


def chosen_by_name(text: str, names: Sequence[str], places: Sequence[Sequence[int]], where: str) -> ChosenChannels:
    """Choose channels by name.

    Args:
        text: See `named_channels`; so are the others.
        names: See `text`.
        places: See `text`.
        where: See `text`.

    Raises:
        ProtocolError: There is no such channel.
    """
    rows = named_channels(text, names, places, where)
    if len(rows) == 1:
        said = f"channel {text} alone, one of {len(names)}"
    else:
        said = f"channel {text}: the mean of the maps of {len(rows)} of {len(names)} channels"
    return ChosenChannels(text, tuple(rows), tuple(names[row] for row in rows), "", Note(said))


def chosen_by_rank(text: str, table: ChannelTable, direction: str) -> ChosenChannels:
    """Choose the best channels on the even half of the images.

    Args:
        text: `top:K@half`.
        table: The sums of the even half.
        direction: The direction they are chosen in.
    """
    rows = best_channels(table, direction, top_of(text))
    names = [table.name[row] for row in rows]
    mean = "the channel" if len(rows) == 1 else f"the mean of the maps of the {len(rows)} channels"
    chosen = f"with the best {RANKED_BY} on the {len(table.image_id)} images of the even half"
    listed = first_of(names, show=10)
    said = f"channel {text}: {mean} of {len(table.name)} {chosen}, reported on the odd half: {listed}"
    return ChosenChannels(text, tuple(rows), tuple(names), ODD, Note(said))


def with_channel(result: Result, text: str) -> Result:
    """Take a channel of a result as the headline.

    Args:
        result: The result.
        text: The channel, see `named_channels`, or `top:1@half`. A result that was scored with this very choice is
            returned as it is.

    Raises:
        ProtocolError: It has no such channel.
        NothingToScoreError: It has but one.
    """
    top = top_of(text)
    direction = result.protocol.directions[0]
    if key_of(text, direction) not in result.channels:
        # The key of a channel in a result stands for it as well.
        text = text.removesuffix(f"/{direction}")
    if result.channel == text:
        return result
    if result.channel:
        raise ProtocolError(
            f"{result.name} was scored of channel {result.channel!r} alone, and has no {text!r}",
            hint=f"score the export with --channel {text}",
        )
    if text == ALL:
        return result
    table = channel_table(result)
    if top:
        even = in_half(table.image_id, EVEN)
        choice = chosen_by_rank(text, table.taken(even), direction)
        table = table.taken(~even)
    else:
        choice = chosen_by_name(text, table.name, table.channel.tolist(), result.name)
    if len(choice.rows) > 1:
        raise ProtocolError(
            f"{text} is the mean of the maps of {len(choice.rows)} channels, and {result.name} holds no maps",
            hint=f"score the export with --channel {text} -o, and name that result",
        )
    row = choice.rows[0]
    key = key_of(table.name[row], direction)
    scores = result.channels.get(key)
    if scores is None or not scores.has_sums or choice.half:
        scores = summarise(
            table.sums(direction, row), {}, result.protocol, resamples=result.resamples, seed=result.seed
        )
    return replace(
        result,
        name=f"{result.name} {text}".strip(),
        scores=scores,
        channels={},
        channel=text,
        averaged=choice.names,
        channel_sums=None,
        items=None,
        items_sha256="",
        regions={name: result.regions[name] for name in scores.sums.image_id if name in result.regions},
        notes=[choice.note, *(note for note in result.notes if note.kind != MANY_CHANNELS)],
    )
