"""`attneval explain`: what a name means."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING

import click

from attneval.cli.options import SETTINGS, say
from attneval.errors import ProtocolError, suggestion
from attneval.protocol import Protocol

if TYPE_CHECKING:
    from attneval.metrics.registry import Metric
    from attneval.presets import Preset


@click.command(context_settings=SETTINGS)
@click.argument("name", required=False)
@click.option("--presets", is_flag=True, help="List the presets and what each reproduces.")
def explain(name: str | None, *, presets: bool) -> None:
    """Say what NAME means, a metric, a field of the protocol or a preset; without NAME, list all."""
    from attneval.metrics.registry import metrics
    from attneval.presets import PRESETS

    table = {metric.name: metric for metric in metrics()}
    fields = {field.name: field for field in dataclasses.fields(Protocol)}
    if presets:
        say("\n\n".join(_paragraphs(_preset(preset)) for preset in PRESETS.values()) + "\n")
        return
    if name is None:
        lines = ["Metrics"]
        lines += [f"  {metric.name:<16}{metric.title}" for metric in table.values()]
        lines += ["", "Fields of the protocol"]
        lines += [f"  {field.name:<16}{field.default}" for field in fields.values()]
        lines += ["", "Presets", *(f"  {preset.name:<16}{preset.source}" for preset in PRESETS.values())]
        say("\n".join(lines) + "\n")
    elif name in table:
        say(_paragraphs(_metric(table[name])) + "\n")
    elif name.replace("-", "_") in fields:
        field = fields[name.replace("-", "_")]
        form = " | ".join(field.metadata.get("choices", ())) or field.metadata["form"]
        head = f"{field.name}: {form} (default {field.default})"
        say(_paragraphs([head, f"{field.metadata['help'].capitalize()}."]) + "\n")
    elif name in PRESETS:
        say(_paragraphs(_preset(PRESETS[name])) + "\n")
    else:
        hint = suggestion(name, [*table, *fields, *PRESETS], "attneval explain lists all")
        raise ProtocolError(f"there is no metric, protocol field or preset {name!r}", hint=hint)


def _metric(metric: Metric) -> list[str]:
    better = "higher is better" if metric.higher_is_better else "lower is better"
    bounds = "no upper bound" if metric.upper == float("inf") else f"{metric.lower:g} to {metric.upper:g}"
    parts = [f"{metric.name}: {metric.title} ({bounds}, {better})", metric.definition]
    return parts + ([f"Source: {metric.citation}."] if metric.citation else [])


def _preset(preset: Preset) -> list[str]:
    changes = preset.protocol.differences(Protocol())
    fields = ", ".join(f"{name}={own}" for name, (own, _) in changes.items()) or "all fields at their defaults"
    return [f"{preset.name}: {preset.source}", fields, preset.reproduces]


def _paragraphs(parts: list[str]) -> str:
    return "\n".join(textwrap.fill(part, 88) for part in parts)
