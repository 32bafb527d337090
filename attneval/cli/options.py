"""Options that several commands share, and where their output goes."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from attneval.cli.command import option
from attneval.cli.streams import say, stdout_written
from attneval.cli.summaries import append_summary, is_appended
from attneval.cli.values import FILE, BoxesType, ChannelType, FieldType, PresetType, RuleType, WholeNumber
from attneval.config.options import MOST_RESAMPLES, RESAMPLES, SEED
from attneval.config.presets import preset
from attneval.config.protocol import Protocol
from attneval.config.settings import BOX_RULES
from attneval.errors import AttnevalError, ConfigError, DataError, ProtocolError
from attneval.groundtruth.registry import FORMATS as ANNOTATION_FORMATS
from attneval.report.formats import FORMATS, PAPERS, PIPE, TERMINAL, by_suffix, printed_by
from attneval.storage.addresses import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from attneval.report.formats import ReportFormat, Sources

Command = TypeVar("Command", bound="Callable[..., Any]")

PREFIX = "ATTNEVAL"
SETTINGS = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX}
"""Every command's context: a flag `--some-flag` is also the variable ATTNEVAL_SOME_FLAG.

Click asks for the parameter's name, so every option's parameter is named as its flag.
"""

SCORING = ("split", "boxes_file", "detections", "preset", *(field.name for field in Protocol.choices()))
"""Parameters that say how an export is scored, and nothing else."""


COMMON = ("unit", "iou", "overlap", "boxes", "threshold")
"""Fields of the protocol that `--help` shows; `--help-all` shows the others, too."""


def protocol_options(command: Command) -> Command:
    """One flag for each field of the protocol, in the protocol's order."""
    for field in reversed(Protocol.choices()):
        command = _protocol_option(field)(command)
    return option("--preset", type=PresetType(), group="Protocol", help=PRESET_HELP)(command)


PRESET_HELP = "A named protocol to start from; see attneval explain --presets."


def _protocol_option(field: dataclasses.Field[Any]) -> Callable[[Command], Command]:
    """The flag of a field."""
    shown = f"{field.metadata['help']}  [default: {field.default}]"
    named: dict[str, Any] = {"group": "Protocol", "rare": field.name not in COMMON}
    if "brief" in field.metadata:
        named["brief"] = f"{field.metadata['brief']}  [default: {field.default}]"
    if field.name == "boxes":
        metavar = f"[{'|'.join(BOX_RULES)}|FILE]"
        shown += "; or a FILE of region boxes (.tsv, .npz, .npy) for an export without any. Give it twice for both."
        return option("--boxes", type=BoxesType(), multiple=True, metavar=metavar, help=shown, **named)
    flag, form = f"--{field.name.replace('_', '-')}", field.metadata.get("form", "")
    if "choices" in field.metadata:
        return option(flag, type=click.Choice(field.metadata["choices"]), default=None, help=shown, **named)
    metavar = form.upper() if len(form) < LONGEST_FORM else "VALUE"
    return option(flag, type=FieldType(field), default=None, metavar=metavar, help=shown, **named)


LONGEST_FORM = 12
"""Characters of a value's form that stand beside its flag."""


def protocol_from(values: dict[str, Any]) -> Protocol:
    """Take the protocol's fields out of a command's parameters; a file of boxes is left as `boxes_file`.

    Raises:
        ProtocolError: They contradict each other.
    """
    names = [field.name for field in Protocol.choices()]
    given = {name: values.pop(name) for name in names}
    rules = [value for value in given["boxes"] if isinstance(value, str)]
    files = [value for value in given["boxes"] if isinstance(value, Path)]
    if len(rules) > 1 or len(files) > 1:
        raise ProtocolError(f"--boxes is given {len(given['boxes'])} times", hint="give one rule and one file at most")
    given["boxes"] = rules[0] if rules else None
    values["boxes_file"] = files[0] if files else values["boxes_file"]
    name = values.pop("preset", None)
    base = Protocol() if name is None else preset(name).protocol
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})


def together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Several options as one decorator, in this order."""

    def decorate(command: Command) -> Command:
        for one in reversed(options):
            command = one(command)
        return command

    return decorate


GT_FORMATS = ("auto", *ANNOTATION_FORMATS)
"""Values of `--gt-format`: annotation formats, or `auto` to recognise the format by its content."""

gt_format_option = option(
    "--gt-format",
    type=click.Choice(GT_FORMATS),
    default="auto",
    metavar="FORMAT",
    group="Input",
    rare=True,
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
        gt_format_option,
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
quiet_option = option("-q", "--quiet", is_flag=True, group="Output", help="No progress and no notes on stderr.")
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


def _label(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what LaTeX would not take for a label."""
    if value is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:._-]*", value):
        raise click.BadParameter(f"{value!r} is no label: use letters, digits and : . _ -", ctx, param)
    return value


paper_options = together(
    option(
        "--caption",
        metavar="TEXT",
        group="Output",
        rare=True,
        help="Of the first table in .tex and .md, in place of its title.",
    ),
    option(
        "--label",
        metavar="NAME",
        group="Output",
        rare=True,
        callback=_label,
        help="Of the first table in .tex; further ones are NAME-2, NAME-3, ...",
    ),
)
"""What papers call a table."""
CAPTIONED = {"caption": ("latex", "markdown"), "label": ("latex",)}
"""The formats that have a use for each."""


def output_options(name: str) -> Callable[[Command], Command]:
    """`-f`, `-o`, `--digits`, `--color`, `-q` and `-v` of a command, which offers the formats of the table."""
    return together(
        option(
            "-f",
            "--format",
            type=click.Choice(tuple(printed_by(name))),
            default=None,
            group="Output",
            help="For stdout.  [default: table, or plain]",
        ),
        option(
            "-o",
            "--output",
            type=FILE,
            metavar="FILE",
            multiple=True,
            group="Output",
            help=f"Also write a file as its suffix says: {', '.join(by_suffix(name))}.",
        ),
        option(
            "--digits",
            type=click.IntRange(0, 15),
            default=1,
            show_default=True,
            group="Output",
            rare=True,
            help="Of tables.",
        ),
        option(
            "--color",
            type=click.Choice(("auto", "always", "never")),
            default="auto",
            group="Output",
            rare=True,
            help="Colours in tables; NO_COLOR is heeded.",
        ),
        *([paper_options] if name in PAPERS else []),
        quiet_option,
        verbose_option,
    )


def flags_given(names: Iterable[str]) -> list[str]:
    """Flags of the parameters that were typed on the command line, among some."""
    context = click.get_current_context()
    typed = (name for name in names if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE)
    return [f"--{name.replace('_', '-')}" for name in typed]


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse, before anything is worked on, what would fail or do harm after it.

    Raises:
        ConfigError: An output is also read, or named twice.
        DataError: The directory of an output does not exist.
    """
    taken = dict.fromkeys(map(os.path.realpath, inputs), "is read as well, and would be gone")
    for path in outputs:
        if is_remote(path):
            raise DataError(
                f"-o {path} is an address, and files are written on this machine", hint="copy it there then"
            )
        if path.is_dir() or not path.parent.is_dir():
            reason = "it is a directory" if path.is_dir() else f"there is no directory {path.parent}"
            raise DataError(f"{path} cannot be written: {reason}")
        harm = taken.setdefault(os.path.realpath(path), "")
        if harm:
            raise ConfigError(f"-o {path} {harm}", hint="name another file")
        taken[os.path.realpath(path)] = "is named twice"


def _paths(values: dict[str, Any]) -> Iterator[Path]:
    """The files among a command's parameters."""
    for value in values.values():
        # Annotations are files of their own kind.
        listed = getattr(value, "paths", value)
        yield from (one for one in (listed if isinstance(listed, tuple) else (listed,)) if isinstance(one, Path))


def _write(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


SUMMARIES = ".md"
"""The suffix whose format step summaries have."""


class Output:
    """A command's output: stdout in one format, files in others, step summaries growing.

    Args:
        values: The command's parameters; those of `output_options` are taken out.
        command: The command's name, which says which formats it offers.
        inputs: What it reads, beside the files that are among its parameters.

    Raises:
        AttnevalError: A file has no format's suffix, cannot be made, or is read as well.
    """

    def __init__(self, values: dict[str, Any], command: str, *, inputs: Iterable[Path] = ()) -> None:
        self.style: str = values.pop("format") or (TERMINAL if sys.stdout.isatty() else PIPE)
        self.digits: int = values.pop("digits")
        self.color = {"auto": None, "always": True, "never": False}[values.pop("color")]
        self.quiet: bool = values.pop("quiet")
        values.pop("verbose")
        self.command = command
        self._files: list[tuple[Path, ReportFormat]] = []
        self._appended: list[Path] = []
        outputs, known = values.pop("output"), by_suffix(command)
        for path in outputs:
            if is_appended(path) and SUMMARIES in known:
                self._appended.append(path)
                continue
            if path.suffix not in known:
                hint = f"use {', '.join(known)}"
                raise AttnevalError(f"-o {path}: no format has the suffix {path.suffix!r}", hint=hint)
            self._files.append((path, known[path.suffix]))
        styles = {self.style, *(line.name for _, line in self._files)}
        self._captioned = {name: values.pop(name, None) or "" for name in CAPTIONED}
        for name, formats in CAPTIONED.items():
            if self._captioned[name] and not styles.intersection(formats) and flags_given([name]):
                raise ConfigError(f"--{name} is for {' and '.join(formats)}", hint="add -f latex or -o FILE.tex")
        if any(line.is_figure for _, line in self._files):
            from attneval.report.figures import load_matplotlib

            load_matplotlib()
        check_outputs(outputs, [*inputs, *_paths(values)])

    def files(self, style: str) -> list[Path]:
        """The files of one format."""
        return [path for path, line in self._files if line.name == style]

    def shows(self, kind: str) -> bool:
        """Tell whether stdout or a file shows something, see `attneval.report.formats`."""
        return any(line.shows == kind for line in (FORMATS[self.style], *(line for _, line in self._files)))

    def appends_to(self, path: Path) -> bool:
        """Tell whether a file is among those that Markdown is appended to."""
        return os.path.realpath(path) in map(os.path.realpath, self._appended)

    def emit(self, sources: Sources, beside: Iterable[tuple[Path, Callable[[IO[bytes]], object]]] = ()) -> None:
        """Write the files, then stdout.

        All files are written before the first one takes its place. JSON comes last, which others belong to; what is
        appended to step summaries comes after all of them.

        Args:
            sources: What the command can show, by kind; made when a format asks for it.
            beside: Files that belong to the JSON, each with what writes it.
        """
        from attneval.storage.whole_files import write_together

        if any(self._captioned.values()):
            page = sources["page"]
            sources = {**sources, "page": lambda: dataclasses.replace(page(), **self._captioned)}

        # What cannot be said in one format is found out before another is written.
        ordered = sorted(self._files, key=lambda file: file[1].name == "json")
        contents = [(path, partial(_write, line.data(sources))) for path, line in ordered]
        summary = by_suffix(self.command)[SUMMARIES].text(sources) if self._appended else ""
        write_together([*beside, *contents])
        for path in self._appended:
            append_summary(path, summary)
        line = FORMATS[self.style]
        if self.style == TERMINAL:
            page = sources[line.shows]()
            with stdout_written():
                line.load()(page, sys.stdout, color=self.color)
        else:
            say(line.text(sources))
