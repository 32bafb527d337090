"""The channel that was asked for, of results that were scored before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attneval.errors import ConfigError

if TYPE_CHECKING:
    from attneval.results.result import Result


def of_channel(result: Result, channel: str | None) -> Result:
    """Take the channel of a result that was asked for, if one was."""
    if channel is None:
        return result
    from attneval.results.channel_choice import with_channel

    return with_channel(result, channel)


def scored_now(result: Result, channel: str, values: dict[str, Any], *, items: bool = False) -> Result:
    """Score a channel of the export that a result was made of, under its protocol: what results of many do not keep.

    Args:
        result: The result.
        channel: The channel.
        values: The command's parameters: `attn`, `gt` and `boxes_file`.
        items: Whether items are wanted.

    Raises:
        ConfigError: There are no annotations.
    """
    from attneval.config.options import Options
    from attneval.evaluation.score import score

    if values["gt"] is None:
        raise ConfigError("--attn and --gt go together: maps are scored against what was annotated")
    options = Options(resamples=0, seed=result.seed, items=items, name=f"{result.name} {channel}".strip())
    return score(
        values["attn"],
        values["gt"],
        protocol=result.protocol,
        boxes=values["boxes_file"],
        channel=channel,
        options=options,
    )
