"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from attneval.cli.command import option
from attneval.cli.values import FILE, ChannelType, RuleType, WholeNumber
from attneval.config.options import MOST_RESAMPLES, RESAMPLES, SEED
from attneval.groundtruth.registry import FORMATS as ANNOTATION_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Command = TypeVar("Command", bound="Callable[..., Any]")

PREFIX = "ATTNEVAL"
SETTINGS = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX}
"""Every command's context: a flag `--some-flag` is also the variable ATTNEVAL_SOME_FLAG.

Click asks for the parameter's name, so every option's parameter is named as its flag.
"""


def together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Several options as one decorator, in this order."""

    def decorate(command: Command) -> Command:
        for one in reversed(options):
            command = one(command)
        return command

    return decorate


GT_FORMATS = ("auto", *ANNOTATION_FORMATS)
"""Values of `--gt-format`: annotation formats, or `auto` to recognise the format by its content."""


def gt_format_option(*, rare: bool) -> Callable[[Command], Command]:
    """`--gt-format`: the format of annotations."""
    return option(
        "--gt-format",
        type=click.Choice(GT_FORMATS),
        default="auto",
        metavar="FORMAT",
        group="Input",
        rare=rare,
        help=f"Force a format: {', '.join(GT_FORMATS)}.",
    )


def gt_options(
    help: str = "Annotations, in any format of docs/ground-truth.md; once for each file.",  # noqa: A002 - see option
    *,
    required: bool = False,
) -> Callable[[Command], Command]:
    """`--gt` and what belongs to it; the command gets all of it as `gt`, see `Command.invoke`."""
    return together(
        option("--gt", type=FILE, multiple=True, required=required, group="Input", help=help),
        gt_format_option(rare=True),
        option(
            "--gt-sizes",
            type=FILE,
            multiple=True,
            group="Input",
            rare=True,
            help="Image sizes for annotations without: JSON with images, or image_data.json.",
        ),
        option(
            "--synonyms",
            type=FILE,
            group="Input",
            rare=True,
            help="Names of COCO categories in captions, a line a category.  [default: NeuralBabyTalk's list]",
        ),
        option(
            "--split-name", metavar="NAME", group="Input", rare=True, help="The split of annotations that hold several."
        ),
        option(
            "--classes",
            type=FILE,
            group="Input",
            rare=True,
            help="Classes of phrases by their last word, a line a class: its name, then words.",
        ),
    )


split_option = option(
    "--split", type=FILE, group="Input", help="A list of image ids: only these count, and all must be there."
)
boxes_file_option = option(
    "--boxes-file",
    type=FILE,
    group="Input",
    rare=True,
    help="A file of region boxes; what --boxes FILE names takes its place.",
)

detections_option = option(
    "--detections",
    type=FILE,
    group="Input",
    rare=True,
    help="Detected boxes that --box-from detections:a chooses among: a JSON by image id, COCO results, or as --boxes.",
)


def channel_option(*, rare: bool = False) -> Callable[[Command], Command]:
    """`--channel`: the maps of a channel, or the mean of several, in place of the mean of all."""
    return option("--channel", type=ChannelType(), metavar="NAME", group="Input", rare=rare, help=CHANNEL_HELP)


CHANNEL_HELP = (
    "L14H3 or a channel's name; L14, the mean of a layer; all; top:10@half, the best on half of the images, reported "
    "on the other."
)

limit_option = option("--limit", type=WholeNumber(1), group="Input", help="Only the first so many images.")
name_option = option("--name", group="Output", help="How the system is called in tables.")
jobs_option = option(
    "--jobs",
    type=WholeNumber(1),
    show_default="2 where that pays",
    group="Process",
    help="Processes that share images.",
)
resamples_option = option(
    "--resamples",
    type=WholeNumber(0, MOST_RESAMPLES),
    metavar="N",
    default=RESAMPLES,
    show_default=True,
    group="Process",
    help="Behind each interval.",
)
seed_option = option(
    "--seed",
    type=WholeNumber(0),
    default=SEED,
    show_default=True,
    group="Process",
    rare=True,
    help="Of resamples and trials.",
)
across_regions_option = option(
    "--across-regions",
    is_flag=True,
    group="Input",
    help="Allow for different regions: all items count, unreachable ones as 0.",
)
quiet_option = option("-q", "--quiet", is_flag=True, group="Output", help="Neither progress nor notes; stdout stays.")
verbose_option = option("-v", "--verbose", is_flag=True, group="Process", help="A traceback for internal errors.")


scoring_options = together(
    gt_options(), split_option, boxes_file_option, detections_option, resamples_option, seed_option
)
"""Options of scoring beside the protocol."""


def rule_option(
    kind: str,
    help: str,  # noqa: A002 - the word of every option
    *,
    metavar: str = "M=V",
    group: str = "Output",
) -> Callable[[Command], Command]:
    """`--min`, `--max` or `--max-drop`: a rule of the gate."""
    return option(f"--{kind}", type=RuleType(kind), multiple=True, metavar=metavar, group=group, help=help)


def flags_given(names: Iterable[str]) -> list[str]:
    """Flags of the parameters that were typed on the command line, among some."""
    context = click.get_current_context()
    typed = (name for name in names if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE)
    return [f"--{name.replace('_', '-')}" for name in typed]
