"""`attneval export`: from checkpoints, or from a model of transformers and images, to an attention export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attneval.cli import extra_needed
from attneval.cli.base_models import data_option, model_option
from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, flags_given, gt_format_option, quiet_option, verbose_option
from attneval.cli.output import check_outputs
from attneval.cli.streams import say, tell
from attneval.cli.values import FILE, WholeNumber
from attneval.errors import ConfigError
from attneval.report.table import safe

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKPOINTS, TRANSFORMERS = "Checkpoints", "Models of transformers"
"""Headings of options that belong to one kind of model alone; the rest belong to both."""
OF_ANNOTATIONS = ("gt", "gt_format")
"""Those of transformers that checkpoints take as well where words have to be annotated."""


def checkpoint_option(*flags: str, **named: Any) -> Callable[[Any], Any]:
    """An option of checkpoints alone."""
    return option(*flags, group=CHECKPOINTS, **named)


def transformers_option(*flags: str, **named: Any) -> Callable[[Any], Any]:
    """An option of models of transformers alone."""
    return option(*flags, group=TRANSFORMERS, **named)


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=(
        "attneval export runs/scan/best.pth.tar -o maps.npz",
        "attneval export llava-hf/llava-1.5-7b-hf --images flickr30k-images \\",
        "    --gt flickr30k_entities -o maps.npz",
    ),
)
@click.argument("models", type=FILE, nargs=-1, required=True, metavar="MODEL...")
@option("-o", "--output", type=FILE, required=True, group="Output", help="The .npz to write, whole or not at all.")
@option(
    "--split",
    group="Input",
    help="Checkpoints: which part of the data  [default: test]; else a file of image ids, one a line.",
)
@option(
    "--gt",
    type=FILE,
    multiple=True,
    group="Input",
    help="Annotations, whose captions are exported; of checkpoints, whose words --perturb goes by. Repeatable.",
)
@gt_format_option(rare=False)
@option(
    "--perturb",
    type=WholeNumber(2),
    metavar="K",
    group="Input",
    help="Also remove regions in K steps, the most attended first and at random, and write what the score became.",
)
@data_option(CHECKPOINTS, "Folder in the precomputed layout.  [default: the one trained on]")
@checkpoint_option("--vocab", type=FILE, help="Vocabulary JSON; checkpoints of attneval train bring theirs.")
@model_option(CHECKPOINTS, "For authors' checkpoints that do not tell.")
@checkpoint_option(
    "--bottom-up", type=FILE, multiple=True, help="TSV with boxes and, if need be, features; repeatable."
)
@checkpoint_option(
    "--maps/--no-maps", default=True, show_default=True, help="Attention of captions and their own images."
)
@checkpoint_option(
    "--similarity/--no-similarity", default=True, show_default=True, help="Scores of all images x captions."
)
@transformers_option("--images", type=FILE, help="Folder of images, found by the ids of the annotations.")
@transformers_option("--limit", type=WholeNumber(1), help="The first so many images alone.")
@transformers_option("--prompt", help="Text with {caption} in it, or a chat model's instruction.")
@transformers_option(
    "--rows", type=click.Choice(("token", "predict")), default="token", show_default=True, help="Row read."
)
@transformers_option("--layers", default="all", show_default=True, help="all, 8-24 or 14,20.")
@transformers_option(
    "--heads", default="mean", show_default=True, help="mean, max, all, or LAYER.HEAD of each: 14.3,16.7."
)
@transformers_option(
    "--over-layers", type=click.Choice(("none", "mean")), default="none", show_default=True, help="One map over them."
)
@transformers_option(
    "--weights",
    type=click.Choice(("attention", "similarity", "detector", "gradcam")),
    help="What weighs regions.  [default: what the model has]",
)
@transformers_option("--boxes", type=FILE, help="TSV of boxes and features, for models that are given regions.")
@transformers_option("--adapter", help="module:Class, for a model that no family serves.")
@transformers_option("--trust-remote-code", is_flag=True, help="Run code that comes with the model.")
@transformers_option("--revision", help="Branch, tag or commit of the hub.")
@transformers_option(
    "--errors",
    type=click.Choice(("stop", "skip")),
    default="stop",
    show_default=True,
    help="Images and captions that cannot be exported.",
)
@transformers_option("--check/--no-check", default=True, show_default=True, help="Try the maps out on the first image.")
@transformers_option("--dry-run", is_flag=True, help="Say what would be written, and stop.")
@transformers_option("--yes", is_flag=True, help="Write however much it is.")
@transformers_option(
    "--batch-size", type=WholeNumber(1), default=8, show_default=True, help="Captions of an image at once."
)
@transformers_option(
    "--dtype",
    type=click.Choice(("auto", "bfloat16", "float16", "float32")),
    default="auto",
    show_default=True,
    help="Of the model; auto is its own on a GPU, float32 on a CPU.",
)
@transformers_option(
    "--shard-images", type=WholeNumber(1), default=50, show_default=True, help="Images written at a time."
)
@option("--device", default="auto", show_default=True, group="Process", help="auto, cpu, cuda, cuda:1, ...")
@quiet_option
@verbose_option
def export(
    models: tuple[Path, ...],
    output: Path,
    *,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 - heeded where errors are shown
    **values: Any,
) -> None:
    """Write what models do as one attention export.

    MODEL is a checkpoint of attneval train or of the originals' authors (several are averaged, as SGRAF is SGR and
    SAF), or a folder or hub name that transformers loads, with --images and --gt.
    """
    from attneval.extraction.kinds import is_transformers

    others = [model for model in models if is_transformers(model)]
    if others and len(models) > 1:
        raise ConfigError(f"{others[0]} is a model of transformers, which is exported alone")
    foreign = under_heading(CHECKPOINTS if others else TRANSFORMERS)
    if not others and values["perturb"] is None:
        foreign += OF_ANNOTATIONS
    refuse_others(foreign, models[0], transformers=bool(others))
    if others:
        _export_transformers(models[0], output, values, quiet=quiet)
    else:
        _export_checkpoints(models, output, values, quiet=quiet)


def under_heading(heading: str) -> tuple[str, ...]:
    """Names of the command's parameters that stand under a heading of its help."""
    parameters = click.get_current_context().command.params
    return tuple(str(each.name) for each in parameters if getattr(each, "group", "") == heading)


def refuse_others(names: tuple[str, ...], model: Path, *, transformers: bool) -> None:
    """Refuse flags that belong to the other kind of model.

    Raises:
        ConfigError: There are some.
    """
    given = flags_given(names)
    if not given:
        return
    belong = f"{', '.join(given)} {'belongs' if len(given) == 1 else 'belong'} to"
    if transformers:
        raise ConfigError(f"{model} is a model of transformers: {belong} checkpoints")
    there = "is a checkpoint" if model.exists() else "does not exist"
    hint = "" if model.exists() else "a folder that transformers loads has config.json in it"
    raise ConfigError(f"{model} {there}: {belong} models of transformers", hint=hint)


def _export_checkpoints(checkpoints: tuple[Path, ...], output: Path, values: dict[str, Any], *, quiet: bool) -> None:
    with extra_needed("train"):
        from attneval.extraction.checkpoints import export_models
        from attneval.extraction.trained import load_trained
    from attneval.cli.progress import progress
    from attneval.groundtruth import open_ground_truth
    from attneval.training.data.precomputed import open_split

    vocab, bottom_up = values["vocab"], values["bottom_up"]
    check_outputs([output], [*checkpoints, *bottom_up, *values["gt"], *([] if vocab is None else [vocab])])
    trained = [
        load_trained(path, vocabulary=vocab, name=values["model"] or "", device=values["device"])
        for path in checkpoints
    ]
    first = trained[0]
    folder = values["data"] or (Path(first.data) if first.data else None)
    if folder is None:
        raise ConfigError(f"{checkpoints[0]}: does not say what it was trained on", hint="name the folder with --data")
    opened = open_split(
        folder, values["split"] or "test", bottom_up=bottom_up or [Path(path) for path in first.bottom_up]
    )
    source = open_ground_truth(list(values["gt"]), values["gt_format"]) if values["gt"] else None
    with progress("exported captions", quiet=quiet) as on_progress:
        export_models(
            trained,
            opened,
            output,
            **{name: values[name] for name in ("maps", "similarity", "perturb")},
            gt=source,
            on_progress=on_progress,
        )


def _export_transformers(name: Path, output: Path, values: dict[str, Any], *, quiet: bool) -> None:
    from attneval.cli.progress import progress
    from attneval.extraction import transformers as hf
    from attneval.extraction.transformers.boxfiles import open_regions
    from attneval.extraction.transformers.load import load

    if values["images"] is None or not values["gt"]:
        raise ConfigError(f"{name} is a model of transformers: name its images with --images and captions with --gt")
    boxes, split = values["boxes"], values["split"]
    inputs = [path for path in (boxes, *values["gt"], None if split is None else Path(split)) if path is not None]
    check_outputs([output], inputs)
    hf.Choices.checked(**{key: values[key] for key in ("prompt", "rows", "layers", "heads", "over_layers", "weights")})
    # What is missing is known before a model is loaded, which may take minutes.
    pairs = hf.pairs(values["images"], values["gt"], split=split, limit=values["limit"], gt_format=values["gt_format"])
    regions = None if boxes is None else open_regions(boxes)
    model, processor = load(
        name,
        device=values["device"],
        dtype=values["dtype"],
        trust_remote_code=values["trust_remote_code"],
        revision=values["revision"],
    )
    with progress("exported captions", quiet=quiet, rate="captions/s") as on_progress:
        done = hf.export(
            model,
            processor,
            pairs,
            output,
            boxes=regions,
            limit=None if values["yes"] else hf.LIMIT,
            say=_speaker(quiet=quiet and not values["dry_run"], data=values["dry_run"]),
            tell=on_progress,
            about={"checkpoint": str(name)},
            **{
                key: values[key]
                for key in (
                    "prompt",
                    "rows",
                    "layers",
                    "heads",
                    "over_layers",
                    "weights",
                    "adapter",
                    "batch_size",
                    "perturb",
                    "shard_images",
                    "errors",
                    "check",
                    "dry_run",
                )
            },
        )
    for line in done.skipped:
        tell(f"skipped: {line}")


def _speaker(*, quiet: bool, data: bool) -> Callable[[str], None] | None:
    """Where lines go: a dry run's are what was asked for, others are remarks."""
    if quiet:
        return None
    return (lambda line: say(f"{safe(line)}\n")) if data else tell
