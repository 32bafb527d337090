"""`attneval explain`: what a name or a word of a table means."""

from __future__ import annotations

import json
import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS
from attneval.cli.streams import say
from attneval.cli.values import WordType
from attneval.config.presets import PRESETS
from attneval.config.protocol import Protocol
from attneval.config.thresholds import RULES
from attneval.errors import ProtocolError, suggestion
from attneval.report.glossary import GLOSSARY, OTHER_FORMS, folded, meaning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attneval.config.presets import Preset
    from attneval.metrics.declaration import Metric


WIDEST = 88
LONG = 21
"""Columns of long names, which the text follows."""


@click.command(cls=Command, context_settings=SETTINGS, examples=("attneval explain f1", "attneval explain threshold"))
@click.argument("name", nargs=-1, type=WordType())
@option("--presets", is_flag=True, help="List the presets and what each reproduces.")
@option("--schema", is_flag=True, help="Print the JSON Schema of result files.")
def explain(name: tuple[str, ...], *, presets: bool, schema: bool) -> None:
    """Say what NAME means: a metric, a field of the protocol or its value, a preset, any word of a table.

    Without NAME, list all.
    """
    if schema:
        from attneval.results.schema import result_schema

        say(json.dumps(result_schema(), indent=2) + "\n")
    elif presets:
        say("\n\n".join(_paragraphs(_preset(preset)) for preset in PRESETS.values()) + "\n")
    elif not name:
        say(_everything())
    else:
        asked = [part.strip() for part in " ".join(name).split(",") if part.strip()] or [" ".join(name)]
        said = [text for one in asked for text in _explained(one)]
        say("\n\n".join(said) + "\n")


def _everything() -> str:
    from attneval.metrics.registry import families, metrics

    lines = ["Metrics", *(_line(metric.name, metric.title) for metric in metrics())]
    for family in families():
        lines += ["", f"Metrics of relevance sets, {family.example} being a set's name, as cxc"]
        lines += [_line(example.name, example.title, LONG) for example in family.examples()]
    lines += ["", "Fields of the protocol", *(_line(field.name, field.default) for field in Protocol.choices())]
    lines += ["", "Presets", *(_line(preset.name, preset.source) for preset in PRESETS.values())]
    words = textwrap.fill(", ".join([*GLOSSARY, *_terms()]), _width() - 2, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([*lines, "", "Words of tables", words]) + "\n"


def _explained(name: str) -> list[str]:
    """Every meaning of a name.

    Raises:
        ProtocolError: It has none.
    """
    from attneval.metrics.names import meant_by
    from attneval.metrics.registry import metrics

    said = [*_meanings(name)]
    if said:
        return said
    table = [metric.name for metric in metrics()]
    aliases = [alias for metric in metrics() for alias in metric.aliases]
    fields = [field.name for field in Protocol.choices()]
    meant = " or ".join(meant_by(name, table))
    known = [*table, *aliases, *fields, *PRESETS, *GLOSSARY, *_terms(), *OTHER_FORMS]
    hint = f"did you mean {meant}?" if meant else suggestion(name, known, "attneval explain lists all")
    raise ProtocolError(f"there is no metric, protocol field, preset or word {name!r}", hint=hint)


def _meanings(name: str) -> Iterator[str]:
    """What a name means as a metric, a field, a preset, a word and a value of a field, in this order."""
    if (metric := _metric_called(name)) is not None:
        yield _paragraphs(_metric(metric))
    fields = {field.name: field for field in Protocol.choices()}
    field = fields.get(name.lower().replace("-", "_").replace(" ", "_"))
    if field is not None:
        form = " | ".join(field.metadata.get("choices", ())) or field.metadata["form"]
        head = f"{field.name}: {form} (default {field.default})"
        yield "\n".join([_paragraphs([head, f"{field.metadata['help'].capitalize()}."]), *_forms(field.name)])
    if name in PRESETS:
        yield _paragraphs(_preset(PRESETS[name]))
    if metric is None and (word := meaning(name)) is not None:
        yield _paragraphs([f"{word[0]}: {word[1]}"])
    terms = {folded(term.replace("_", " ")): term for term in _terms()}
    if metric is None and (term := terms.get(folded(name.replace("_", " ")))) is not None:
        yield _paragraphs([f"{term}: {_terms()[term]}"])
    if metric is None and name in RULES:
        lines = [_line(*pair) for pair in RULES[name].attended]
        yield "\n".join([_paragraphs([f"{name}: a threshold rule (threshold={name}): which weights count."]), *lines])
    for other in fields.values():
        if metric is None and name.lower() in other.metadata.get("choices", ()):
            text = f"{name.lower()}: a value of {other.name} (default {other.default}). {other.metadata['help']}."
            yield _paragraphs([text])


def _terms() -> dict[str, str]:
    """Words that name no metric, but parts of the joint view and of faithfulness."""
    from attneval.metrics.faithfulness import TERMS as OF_FAITHFULNESS
    from attneval.results.joint import TERMS as OF_JOINT

    return {**OF_JOINT, **OF_FAITHFULNESS}


def _metric_called(name: str) -> Metric | None:
    """A metric by its name, an alias, or what a table calls it."""
    from attneval.metrics.registry import find_metric, metrics

    if (metric := find_metric(name) or find_metric(name.lower())) is not None:
        return metric
    called = {folded(text): metric for metric in reversed(metrics()) for text in (metric.label, metric.title)}
    return called.get(folded(name))


def _forms(field: str) -> list[str]:
    """A line for each form of a threshold rule; other fields say all in their help."""
    return [_line(*pair) for rule in RULES.values() for pair in rule.attended] if field == "threshold" else []


def _metric(metric: Metric) -> list[str]:
    better = "higher is better" if metric.higher_is_better else "lower is better"
    bounds = (
        "no bounds"
        if metric.lower == -float("inf")
        else "no upper bound"
        if metric.upper == float("inf")
        else f"{metric.lower:g} to {metric.upper:g}"
    )
    parts = [f"{metric.name}: {metric.title} ({bounds}, {better})", metric.definition]
    if metric.aliases:
        parts.append(f"Also found as {', '.join(metric.aliases)}.")
    return parts + ([f"Source: {metric.citation}."] if metric.citation else [])


def _preset(preset: Preset) -> list[str]:
    changes = preset.protocol.differences(Protocol())
    fields = ", ".join(f"{name}={value}" for name, (value, _) in changes.items()) or "all fields at their defaults"
    return [f"{preset.name}: {preset.source}", fields, preset.reproduces]


def _line(name: str, text: object, column: int = 16) -> str:
    indent = (column + 2) * " "
    return textwrap.fill(f"  {name:<{column - 1}} {text}", _width(), subsequent_indent=indent, break_on_hyphens=False)


def _paragraphs(parts: list[str]) -> str:
    return "\n".join(textwrap.fill(part, _width()) for part in parts)


def _width() -> int:
    """Columns of the terminal, or fewer where lines would be hard to read."""
    return min(WIDEST, shutil.get_terminal_size((WIDEST, 1)).columns)
