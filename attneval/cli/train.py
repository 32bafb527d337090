"""`attneval train`: a base model, with or without the constraints, on precomputed features."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click

from attneval.cli import extra_needed
from attneval.cli.base_models import data_option, model_option
from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, quiet_option, verbose_option
from attneval.cli.streams import say, tell
from attneval.cli.values import FILE
from attneval.errors import ConfigError
from attneval.training.run.config import ConstraintConfig, ModelConfig, TrainConfig, from_dict, to_dict

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from attneval.cli.options import Command as Decorated

CONSTRAINTS = ("none", "ccr", "ccs", "ccr,ccs", "supervised")
CONFIGS: dict[str, type[ModelConfig | ConstraintConfig | TrainConfig]] = {
    "model": ModelConfig,
    "constraints": ConstraintConfig,
    "run": TrainConfig,
}
"""Parts of a run's configuration."""


def run_options(command: Decorated) -> Decorated:
    """One flag for each choice of a run; what is not given stays None, so that defaults have one home."""
    for kind in reversed(CONFIGS.values()):
        hints = get_type_hints(kind)
        for field in reversed(_flags(kind)):
            flag, hint = field.name.replace("_", "-"), hints[field.name]
            default = "the model's own" if field.metadata["by_model"] else field.default
            shown = "" if default in {"", ()} else f"  [default: {str(default).lower() if hint is bool else default}]"
            command = click.option(
                f"--{flag}/--no-{flag}" if hint is bool else f"--{flag}",
                field.name,
                type=_type(hint),
                multiple=get_origin(hint) is tuple,
                default=None,
                help=field.metadata["help"] + shown,
            )(command)
    return command


def _flags(kind: type[ModelConfig | ConstraintConfig | TrainConfig]) -> list[dataclasses.Field[Any]]:
    """The fields that are flags."""
    return [field for field in dataclasses.fields(kind) if "help" in field.metadata]


def _type(hint: Any) -> Any:
    """The type of a flag's value, or of each of several."""
    if get_origin(hint) is Literal:
        return click.Choice(get_args(hint))
    return get_args(hint)[0] if get_origin(hint) is tuple else hint


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=(
        "attneval train --model scan-t2i --data f30k_precomp -o runs/scan",
        "attneval train --like runs/scan/best.pth.tar --constraints ccr -o runs/ccr",
    ),
)
@model_option("Input", "The base model.")
@data_option("Input", "Folder with train and dev in the precomputed layout (docs/training.md).")
@option(
    "--gt",
    type=FILE,
    group="Input",
    help="Annotations to score the attention of dev against after each epoch, and to supervise with.",
)
@option(
    "--like",
    type=FILE,
    group="Input",
    help="A checkpoint whose recorded choices are taken where no flag says otherwise.",
)
@option(
    "--constraints",
    type=click.Choice(CONSTRAINTS),
    help="Losses on its attention: CCR, CCS, or supervision with the annotations of --gt.  [default: none]",
)
@option(
    "-o",
    "--output",
    type=FILE,
    required=True,
    group="Output",
    help="Folder of the run; one that is there is gone on with.",
)
@run_options
@quiet_option
@verbose_option
def train(output: Path, *, quiet: bool, verbose: bool, **values: Any) -> None:  # noqa: ARG001
    """Train an image-text matching model and keep its best epoch; prints the path of that checkpoint.

    A run that was interrupted goes on when the same command is given again, and ends as if it never had been. The log,
    log.jsonl, has one JSON object a line.
    """
    with extra_needed("train"):
        from attneval.extraction.annotated import attention_scores, relevant_regions
        from attneval.report.table import safe
        from attneval.training.run.loop import train as run
    config = _config(values)
    with View(config.epochs, quiet=quiet) as view:
        result = run(
            config,
            output,
            attention_scores=partial(attention_scores, Path(config.gt)) if config.gt else None,
            relevant_regions=partial(relevant_regions, Path(config.gt)) if config.gt else None,
            listener=view,
        )
    say(f"{safe(str(result.best))}\n")


def _config(values: dict[str, Any]) -> TrainConfig:
    """The configuration: the flags over what a checkpoint recorded, over the defaults.

    Raises:
        ConfigError: A choice is missing, not allowed or without effect, or the checkpoint records none.
    """
    from attneval.training.models.table import model_config
    from attneval.training.run.checkpoint import read_checkpoint

    settings: dict[str, Any] = {"constraints": {}}
    if values["like"] is not None:
        recorded = read_checkpoint(values["like"]).config
        if recorded is None:
            raise ConfigError(f"{values['like']}: records no choices; it is no checkpoint of attneval")
        settings = to_dict(recorded)
    if values["model"] is not None:
        defaults = to_dict(model_config(values["model"], 0))
        model = settings.setdefault("model", defaults)
        if model["name"] != defaults["name"]:
            # What each model has a default of its own for means something else in another.
            model |= {field.name: defaults[field.name] for field in _flags(ModelConfig) if field.metadata["by_model"]}
            model["name"] = defaults["name"]
    for key in ("data", "gt"):
        if values[key] is not None:
            settings[key] = str(values[key])
    for key in ("model", "data"):
        if key not in settings:
            raise click.UsageError(f"--{key} is missing; only --like can take its place")
    if values["constraints"] is not None:
        settings["constraints"]["use"] = [name for name in values["constraints"].split(",") if name != "none"]
    used = settings["constraints"].get("use", ())
    for part, kind in CONFIGS.items():
        given = [field for field in _flags(kind) if values[field.name] not in {None, ()}]
        if idle := [field for field in given if field.metadata["constraint"] not in {None, *used}]:
            flags = ", ".join(f"--{field.name.replace('_', '-')}" for field in idle)
            raise ConfigError(f"this run does not use the constraint of {flags}", hint="name it with --constraints")
        (settings if part == "run" else settings[part]).update({field.name: values[field.name] for field in given})
    return from_dict(TrainConfig, settings, "train")


class View:
    """View of a run for a person, on stderr: a line an epoch and, on a terminal, a bar.

    Args:
        epochs: Of the run.
        quiet: Show nothing.
    """

    def __init__(self, epochs: int, *, quiet: bool) -> None:
        self._epochs, self._quiet = epochs, quiet
        self._stage = ""
        self._bar = ExitStack()
        self._advance_bar: Callable[[int, int], None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show an event of the log."""
        if self._quiet:
            return
        if event["event"] in {"tick", "validating"}:
            doing = "training" if event["event"] == "tick" else "validation"
            self._advance(f"epoch {event['epoch'] + 1}/{self._epochs}, {doing}", event["step"], event["of"])
        elif event["event"] == "epoch":
            self._line(f"epoch {event['epoch']}/{self._epochs}  loss {event['loss']:.3f}  {scores_line(event)}")
        elif event["event"] == "start" and event["untrained"]:
            self._line(f"untrained  {scores_line(event['untrained'])}")
        elif event["event"] == "resume":
            self._line(f"going on after epoch {event['epoch']}, step {event['step']}")

    def _advance(self, stage: str, done: int, of: int) -> None:
        """Move the bar; each stage has its own."""
        from attneval.cli.progress import progress

        if stage != self._stage:
            self._bar.close()
            self._stage, self._advance_bar = stage, self._bar.enter_context(progress(stage, quiet=self._quiet))
        if self._advance_bar is not None:
            self._advance_bar(done, of)

    def _line(self, text: str) -> None:

        self._bar.close()
        self._stage = ""
        tell(text.rstrip())


def scores_line(scores: dict[str, Any]) -> str:
    """Retrieval and attention in percent, as far as they are there."""
    parts = []
    if "rsum" in scores:
        both = (" ".join(f"{100 * scores[f'{way}_r@{k}']:.1f}" for k in (1, 5, 10)) for way in ("i2t", "t2i"))
        parts.append("R@1/5/10 i2t {}  t2i {}".format(*both) + f"  rsum {100 * scores['rsum']:.1f}")
    if "f1" in scores:
        parts.append(f"attention F1 {100 * scores['f1']:.1f}  AP {100 * scores['ap']:.1f}")
    return "  ".join([*parts, *(["best"] if scores.get("best") else [])])
