"""`attneval explain`: what a name means."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS
from attneval.cli.streams import say
from attneval.config.protocol import Protocol
from attneval.config.thresholds import RULES
from attneval.errors import ProtocolError, suggestion

if TYPE_CHECKING:
    from attneval.config.presets import Preset
    from attneval.metrics.registry import Metric


WIDEST = 88


@click.command(cls=Command, context_settings=SETTINGS, examples=("attneval explain f1", "attneval explain threshold"))
@click.argument("name", required=False)
@option("--presets", is_flag=True, help="List the presets and what each reproduces.")
@option("--schema", is_flag=True, help="Print the JSON Schema of result files.")
def explain(name: str | None, *, presets: bool, schema: bool) -> None:
    """Say what NAME means, a metric, a field of the protocol or a preset; without NAME, list all."""
    from attneval.config.presets import PRESETS
    from attneval.metrics.names import meant_by
    from attneval.metrics.registry import find_metric, metrics

    if schema:
        import json

        from attneval.results.schema import result_schema

        say(json.dumps(result_schema(), indent=2) + "\n")
        return
    table = {metric.name: metric for metric in metrics()}
    fields = {field.name: field for field in Protocol.choices()}
    if presets:
        say("\n\n".join(_paragraphs(_preset(preset)) for preset in PRESETS.values()) + "\n")
        return
    if name is None:
        lines = ["Metrics", *(_line(metric.name, metric.title) for metric in table.values())]
        lines += ["", "Fields of the protocol", *(_line(field.name, field.default) for field in fields.values())]
        lines += ["", "Presets", *(_line(preset.name, preset.source) for preset in PRESETS.values())]
        say("\n".join(lines) + "\n")
    elif (metric := find_metric(name)) is not None:
        say(_paragraphs(_metric(metric)) + "\n")
    elif name.replace("-", "_") in fields:
        field = fields[name.replace("-", "_")]
        form = " | ".join(field.metadata.get("choices", ())) or field.metadata["form"]
        head = f"{field.name}: {form} (default {field.default})"
        say("\n".join([_paragraphs([head, f"{field.metadata['help'].capitalize()}."]), *_forms(field.name)]) + "\n")
    elif name in PRESETS:
        say(_paragraphs(_preset(PRESETS[name])) + "\n")
    else:
        meant = " or ".join(meant_by(name, table))
        aliases = [alias for metric in table.values() for alias in metric.aliases]
        others = suggestion(name, [*table, *aliases, *fields, *PRESETS], "attneval explain lists all")
        hint = f"did you mean {meant}?" if meant else others
        raise ProtocolError(f"there is no metric, protocol field or preset {name!r}", hint=hint)


def _forms(field: str) -> list[str]:
    """A line for each form of a threshold rule; other fields say all in their help."""
    return [_line(*pair) for rule in RULES.values() for pair in rule.attended] if field == "threshold" else []


def _metric(metric: Metric) -> list[str]:
    better = "higher is better" if metric.higher_is_better else "lower is better"
    bounds = "no upper bound" if metric.upper == float("inf") else f"{metric.lower:g} to {metric.upper:g}"
    parts = [f"{metric.name}: {metric.title} ({bounds}, {better})", metric.definition]
    if metric.aliases:
        parts.append(f"Also found as {', '.join(metric.aliases)}.")
    return parts + ([f"Source: {metric.citation}."] if metric.citation else [])


def _preset(preset: Preset) -> list[str]:
    changes = preset.protocol.differences(Protocol())
    fields = ", ".join(f"{name}={value}" for name, (value, _) in changes.items()) or "all fields at their defaults"
    return [f"{preset.name}: {preset.source}", fields, preset.reproduces]


def _line(name: str, text: object) -> str:
    return textwrap.fill(f"  {name:<16}{text}", _width(), subsequent_indent=18 * " ", break_on_hyphens=False)


def _paragraphs(parts: list[str]) -> str:
    return "\n".join(textwrap.fill(part, _width()) for part in parts)


def _width() -> int:
    """Columns of the terminal, or fewer where lines would be hard to read."""
    return min(WIDEST, shutil.get_terminal_size((WIDEST, 1)).columns)
