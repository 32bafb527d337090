"""Types of flags beyond plain text and numbers; values that cannot be read are refused in the library's words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attneval.config.presets import PRESETS, preset
from attneval.config.protocol import Protocol
from attneval.config.settings import BOX_RULES
from attneval.errors import ProtocolError
from attneval.storage.addresses import located

if TYPE_CHECKING:
    import dataclasses
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem


class FileType(click.Path):
    """A path. Nothing, as a variable of the shell that is not set leaves it, is none: it would be this directory."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse nothing."""
        if value == "":
            self.fail("it is empty, and names no file.", param, ctx)
        if isinstance(value, str) and "\0" in value:
            self.fail("it holds a null character, and names no file.", param, ctx)
        return located(value) if isinstance(value, str) else super().convert(value, param, ctx)


FILE = FileType()


MOST_PARTS = 1_000_000
"""Parts of a scoring, at most."""
LARGEST = 2**31 - 1
"""The largest whole number that a flag takes; counts beyond it are mistakes, and no machine word for some."""


class WholeNumber(click.IntRange):
    """A whole number that is not below some other, and fits 32 bits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Refuse what is too large."""
        number = int(click.INT.convert(value, param, ctx))
        if number > LARGEST:
            self.fail(f"{number if number < 10**30 else 'it'} is more than {LARGEST}.", param, ctx)
        return int(super().convert(number, param, ctx))


def checked_metric(flag: str, name: str, example: str) -> None:
    """Refuse several metrics in one, and name the metric that another spelling stands for.

    Args:
        flag: The flag.
        name: What stands for the metric.
        example: The flag with a metric's place as `{}`.

    Raises:
        ProtocolError: Either is so; other unknown names are left to those who know what a result holds.
    """
    from attneval.metrics.names import meant_by
    from attneval.metrics.registry import metrics

    known = [metric.name for metric in metrics()]
    if "," in name:
        each = " ".join(example.format(part.strip()) for part in name.split(",") if part.strip())
        raise ProtocolError(f"{flag} {name!r} names several metrics", hint=f"give the flag once for each: {each}")
    if name not in known and (meant := meant_by(name, known)):
        raise ProtocolError(f"there is no metric {name!r}", hint=f"did you mean {' or '.join(meant)}?")


class MetricType(click.ParamType):  # type: ignore[type-arg]
    """The name of a metric."""

    name = "metric"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Leave a name as it is, but for near misses."""
        checked_metric("--metric", value, "-m {}")
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The metrics whose names begin so."""
        return completions(metric_names(), incomplete)


class WordType(click.ParamType):  # type: ignore[type-arg]
    """Whatever `attneval explain` explains."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The metrics, fields, presets and words that begin so; words of several are left out."""
        from attneval.report.glossary import GLOSSARY

        fields = [field.name for field in Protocol.choices()]
        return completions([*metric_names(), *fields, *PRESETS, *GLOSSARY], incomplete)


class PartType(click.ParamType):  # type: ignore[type-arg]
    """One of several parts, as ``3/16``."""

    name = "part"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read number and count."""
        if isinstance(value, tuple):
            return value
        number, _, of = str(value).partition("/")
        texts = number.isascii() and number.isdigit() and of.isascii() and of.isdigit() and len(str(value)) < 20
        if not texts or not 1 <= int(number) <= int(of) <= MOST_PARTS:
            self.fail(f"{value!r} is no part: write --part 3/16, from 1/16 to 16/16.", param, ctx)
        return int(number), int(of)


class FieldType(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.4
    """The value of a field of the protocol, which says itself what it may be.

    Args:
        field: The field.
    """

    def __init__(self, field: dataclasses.Field[Any]) -> None:
        self.field, self.kind = field, type(field.default)
        self.name = field.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Read it as the protocol does."""
        return getattr(Protocol.from_dict({self.name: value}), self.name)


class PresetType(click.ParamType):  # type: ignore[type-arg]
    """The name of a preset."""

    name = "preset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Look it up."""
        return preset(value).name

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The presets whose names begin so."""
        return completions(PRESETS, incomplete)


class RuleType(click.ParamType):  # type: ignore[type-arg]
    """A rule of the gate.

    Args:
        kind: `min`, `max` or `max-drop`.
    """

    def __init__(self, kind: str) -> None:
        self.name = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Read ``METRIC=VALUE``."""
        from attneval.results.gate import Rule

        if isinstance(value, str) and "=" in value:
            metric, _, bound = value.partition("=")
            checked_metric(f"--{self.name}", metric, f"--{self.name} {{}}={bound.replace('{', '').replace('}', '')}")
        return value if isinstance(value, Rule) else Rule.parse(self.name, value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The metrics whose names begin so, with the sign that a bound follows."""
        return completions([f"{name}=" for name in metric_names()], incomplete)


class BoxesType(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.4
    """`--boxes` names the protocol's rule for phrases with several boxes, or a file of region boxes."""

    name = "boxes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | Path:  # noqa: ARG002
        """A rule stays a word; anything else is a path."""
        return value if value in BOX_RULES else located(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The rules that begin so, else files."""
        return completions(BOX_RULES, incomplete) or FILE.shell_complete(ctx, param, incomplete)


class ChannelType(click.ParamType):  # type: ignore[type-arg]
    """A channel of what was typed before, or several."""

    name = "channel"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The channels of the results on the line whose names begin so, and those that every export with layers has."""
        return completions([*_channels_of(ctx), "all", "top:10@half"], incomplete)


def _channels_of(ctx: click.Context) -> list[str]:
    """Names of channels of the results on an unfinished line; of files that cannot be read, none."""
    import json
    from contextlib import suppress

    names: dict[str, None] = {}
    # Arguments are not read yet while an option is completed.
    typed = [*ctx.args, *(one for value in ctx.params.values() if isinstance(value, tuple) for one in value)]
    for path in (Path(one) for one in typed if str(one).endswith(".json")):
        with suppress(OSError, ValueError, AttributeError):
            listed = json.loads(path.read_bytes()).get("channels", {})
            names |= {key.partition("/")[0]: None for key in listed}
    return list(names)


def metric_names() -> list[str]:
    """The names of all metrics."""
    from attneval.metrics.registry import list_metrics

    return list_metrics()


def completions(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The names that begin with what was typed, as the shell takes them: a space would end the word."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete) and " " not in name]
