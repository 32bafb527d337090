"""What is damaged, how, and which commands read it then: a row of the table a target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from annotations import write_zip
from format_worlds import World
from worlds import make_world

from . import inputs
from .aimed import boxes_without_numbers, channels_of_one_name, many_types, overwritten_values, vast_grids
from .damage import CANARY, HARM, SECRET, TEXTS
from .oracles import alike_types, values_follow_from_sums
from .ways import Damage, of_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from random import Random

    from .aimed import Aim
    from .inputs import Run
    from .server import Outcome

Line = tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """Files that are damaged.

    Attributes:
        build: Write what is damaged, and what stands beside it, into an empty folder.
        damage: Change it.
        lines: Commands that read it, of which a case takes one.
        heavy: Whether they run models.
        aims: Changes that are drawn more often than chance would.
        oracle: What it must agree on, beside what holds of every command.
    """

    build: Callable[[Path, Run], object]
    damage: Aim
    lines: tuple[Line, ...]
    heavy: bool = False
    aims: tuple[Aim, ...] = ()
    oracle: Callable[[Run, Path, Damage, Outcome], Iterator[str]] | None = None


def command(text: str) -> Line:
    """The arguments of a command that is written as for a shell, without quotes."""
    return tuple(text.split())


def commands(*texts: str) -> tuple[Line, ...]:
    return tuple(map(command, texts))


# ---------------------------------------------------------------- annotations

QUICK = "-q --resamples 0"
SCORES = (
    f"score maps.npz --gt {{}} -f json {QUICK} --overlap iof",
    f"score maps.npz --gt {{}} -f csv {QUICK} --overlap iof --items -o r.json",
    f"score maps.npz --gt {{}} {QUICK} -o r.md -o r.txt",
    "validate maps.npz --gt {}",
)


def annotated(folder: Path, _: Run) -> None:
    inputs.world(folder)
    (folder / "secret.txt").write_text(SECRET, "utf-8")
    (folder / "entities" / "Annotations" / "secret.txt").write_text(SECRET, "utf-8")


def zipped(folder: Path, run: Run) -> None:
    annotated(folder, run)
    write_zip(folder / "release.zip", folder / "entities")


def format_world(name: str, folder: Path, _: Run) -> None:
    """Write the annotations of a format, and maps for them."""
    files = getattr(World(99, 5), name)(folder)
    inputs.write_export(folder / "maps.npz", inputs.truth_of(*files))
    (folder / "files").write_text(" ".join(f"--gt {path.name}" for path in files), "utf-8")


def grounding(folder: Path, _: Run) -> None:
    """Write grounding JSON as MDETR's converter does for Flickr30k Entities, and maps for it."""
    make_world(8, images=3).grounding(folder / "flickr.json")
    inputs.write_export(folder / "maps.npz", inputs.truth_of(folder / "flickr.json"))


FORMATS = {
    "coco": "captions.json instances.json",
    "lvis": "captions.json instances.json",
    "refer": "refs(unc).p instances.json",
    "mdetr": "grounding.json",
    "coco_entities": "entities.json raw.json sizes.json",
    "png": "png.json panoptic.json labels",
    "odvg": "odvg.jsonl",
    "rec": "rec.json",
    "gcg": "gcg.json",
    "phrasecut": "refer.json image_data.json",
    "visual_genome": "region_descriptions.json image_data.json",
    "gqa": "questions.json sceneGraphs.json",
}
"""Annotation formats beside Flickr30k Entities, each with its files."""
MASKS = ("coco", "lvis", "refer", "png", "gcg", "phrasecut")
"""Those with masks."""


def annotation_target(name: str) -> Target:
    files = FORMATS[name].split()
    gt = " --gt ".join(files)
    lines = [text.format(gt) for text in SCORES]
    masks = "--geometry mask" if name in MASKS else "--boxes union"
    lines.append(f"score maps.npz --gt {gt} -f json {QUICK} --overlap iof --unit phrase {masks}")
    patterns = [f"{file}/**/*.png" if "." not in file else file for file in files]
    held = [file for file in files if file.endswith((".json", ".jsonl"))]
    aims = () if name == "gcg" else (boxes_without_numbers(*held),)  # that one has masks alone
    return Target(partial(format_world, name), of_files(*patterns), commands(*lines), aims=aims)


def lists(folder: Path, run: Run) -> None:
    """Write COCO annotations with lists of synonyms and classes, and a split."""
    format_world("coco", folder, run)
    (folder / "synonyms.txt").write_text("person, man, woman\ndog, puppies\nbus, minibus\n", "utf-8")
    (folder / "classes.txt").write_text("one: man people children\ntwo: dog dogs bus\n", "utf-8")
    (folder / "split.txt").write_text("1\n2\n", "utf-8")


# ---------------------------------------------------------------- arguments

VALUES = ["99999999999999999999", "-1", "nan", "1e999", "0", "0.5", "1e-320", "top:99999999999999999999", "mass:nan"]
VALUES += ["abs:inf", "max:-1", "f1=nan", "f1=1e999%", "f1=0.1", "=", "L0H1", "top:2@half", "L99999999999999999999H1"]
VALUES += ["all", "x" * 256, "y" * 5000, "/dev/null", "/dev/zero", ".", "..", "~", "entities", "maps.npz", "r.json"]
VALUES += ["pipe", "nowhere/x.json", "locked", "loop", *TEXTS[1:]]
FLAGS = ["--jobs", "--limit", "--resamples", "--seed", "--threshold", "--iou", "--min-area", "--min", "--max", "--name"]
FLAGS += ["--gt", "--split", "--boxes", "--boxes-file", "--similarity", "--channel", "--preset", "--folds", "-o", "-f"]
FLAGS += ["--digits", "--config", "--attn", "--baseline", "--max-drop", "-m", "--trials", "--alpha", "--group", "--top"]
FLAGS += ["--image", "--caption", "--word", "--images", "--worst", "--type", "--kind", "--cards", "--synonyms"]


def files_of_all_kinds(folder: Path, run: Run) -> None:
    """Write a result and what it is made from, and paths that are no files."""
    import os

    inputs.results(folder, run)
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")


def arguments(folder: Path, draw: Random) -> Damage:
    """A command whose values are hostile, or whose files are in each other's places."""
    starts = ["score maps.npz --gt entities -q --resamples 0", "gate r.json --min f1=0", "compare r.json base.json"]
    starts += ["inspect r.json", "curve r.json", "heads r.json", "merge r.json", "report r.json", "pack maps.npz"]
    starts += ["show maps.npz --gt entities --image 20", "validate maps.npz", "explain", "config", "doctor"]
    line = [*command(draw.choice(starts))]
    harmless = [text.replace("\x00", "").replace("\ud800", "") for text in VALUES]
    for _ in range(draw.randint(1, 2)):
        if draw.random() < 0.3 and len(line) > 1:
            line[draw.randrange(1, len(line))] = draw.choice(harmless)
        else:
            line += [draw.choice(FLAGS), draw.choice(harmless)]
    del folder
    return Damage((), repr(line)[:300], line=tuple(line))


def renamed(folder: Path, draw: Random) -> Damage:
    """Files whose names are hostile."""
    old = draw.choice(["r.json", "maps.npz", "entities", "photos/20.gif"])
    texts = [text for text in TEXTS if "\x00" not in text and "\ud800" not in text and "/" not in text and text]
    new = draw.choice([text[:60] for text in texts]) + (".json" if old == "r.json" else "")
    if old == "maps.npz":
        new += ".npz"
    (folder / old).rename(folder / new)
    names = {"maps.npz": "maps.npz", "r.json": "r.json", "entities": "entities"} | {old: new}
    lines = [
        ["score", names["maps.npz"], "--gt", names["entities"], "-q", "--resamples", "0", "-f"],
        ["gate", names["r.json"], "--min", "f1=0", "-f"],
        ["compare", names["r.json"], "base.json", "--across-regions", "-f"],
        ["heads", names["r.json"], "-f"],
    ]
    line = [*draw.choice(lines), draw.choice(["plain", "json", "markdown"])]
    update = ["gate", "base.json", "--baseline", names["r.json"], "--update-baseline"]
    report = ["report", names["r.json"], "--images", "photos", "-o", "x.html"]
    return Damage((), f"{old} is called {new!r}", line=tuple(draw.choice([line, line, update, report])))


# ---------------------------------------------------------------- the table

READ_EXPORT = commands(
    "score maps.npz --gt entities -f json -q --resamples 20",
    "score maps.npz --gt entities -q --resamples 20 -o r.json -o r.csv -o r.md --items --threshold max:0.5",
    "validate maps.npz --gt entities",
    "validate maps.npz",
    "pack maps.npz -o packed.npz",
    "show maps.npz --gt entities --image 4711 -o x.svg",
)
BACK = command("score maps.npz --gt entities -f json -q --resamples 0 --direction i2t --overlap iof")
HEADS = commands(
    "heads maps.npz --gt entities -f json --resamples 0",
    "score maps.npz --gt entities -f json -q --resamples 0 --channel L0H1",
    "score maps.npz --gt entities -q --resamples 0 --channel L1 -o r.json",
)
READ_RESULT = commands(
    "gate r.json --min f1=0.0001 --max precision=0.9999 -f json",
    "gate r.json --min f1=0.1 --min recall=0.1 --min ap=0.1 --min pointing=0.1 --min mass=0.1 --max entropy=1 "
    "--min micro_f1=0.1 --min best_f1=0.1 --min r@1=0.1 --min i2t_r@1=0 --min t2i_r@5=0 --min rsum=0.1 -f json",
    "gate r.json --baseline base.json --max-drop f1=50% --across-regions -f json",
    "gate r.json --min f1=0.1 --channel L1H1 -f json",
    "compare base.json r.json -f json --resamples 20 --trials 50",
    "compare base.json r.json -f markdown --resamples 0 --trials 20",
    "curve r.json -f json",
    "heads r.json -f json --resamples 20",
    "merge r.json -f json",
    "merge r.json -o merged.json -o merged.csv",
    "inspect r.json -f json",
    "inspect r.json --diff base.json",
    "inspect r.json -o shown --images photos --attn maps.npz --gt entities",
    "report r.json base.json -o x.html",
    "report r.json -o x.html --attn maps.npz --gt entities --images photos --cards 3",
)


def export_target(*more: Line, aims: tuple[Aim, ...] = (), **kind: Any) -> Target:
    build = partial(_world, kind)
    return Target(build, of_files("maps.npz"), (*READ_EXPORT, *more), aims=aims)


def _world(kind: dict[str, Any], folder: Path, _: Run) -> None:
    inputs.world(folder, **kind)


TARGETS: dict[str, Target] = {
    "packed": export_target(BACK, back=True),
    "grid": export_target(grid=True, bare="77", aims=(vast_grids,)),
    "newer": export_target(mass=True, windows=True, names=True, channels=2, aims=(channels_of_one_name,)),
    "heads": export_target(*HEADS, channels=6, similarity=False, aims=(channels_of_one_name,)),
    "padded": Target(lambda folder, _: inputs.padded(folder), of_files("maps.npz"), READ_EXPORT),
    "beside": Target(
        lambda folder, _: inputs.padded(folder),
        of_files("boxes.npz", "boxes.npy", "boxes.tsv", "scores.npy", "split.txt"),
        commands(
            *(f"score bare.npz --gt entities -f json {QUICK} --boxes boxes.{kind}" for kind in ("npz", "npy", "tsv")),
            f"score maps.npz --gt entities -f json {QUICK} --similarity scores.npy --split split.txt",
            "validate bare.npz --boxes boxes.tsv --split split.txt",
        ),
    ),
    "entities": Target(
        annotated,
        of_files("entities/Annotations/*.xml", "entities/Sentences/*.txt"),
        commands(*(text.format("entities") for text in SCORES)),
        aims=(many_types,),
        oracle=alike_types,
    ),
    "entities-zip": Target(zipped, of_files("release.zip"), commands(*(text.format("release.zip") for text in SCORES))),
    "grounding": Target(
        grounding,
        of_files("flickr.json"),
        commands(*(text.format("flickr.json") for text in SCORES)),
        aims=(boxes_without_numbers("flickr.json"),),
    ),
    **{name: annotation_target(name) for name in FORMATS},
    "lists": Target(
        lists,
        of_files("synonyms.txt", "classes.txt", "split.txt"),
        commands(
            f"score maps.npz --gt captions.json --gt instances.json --synonyms synonyms.txt -f json {QUICK}",
            f"score maps.npz --gt captions.json --gt instances.json --classes classes.txt -f json {QUICK}",
            f"score maps.npz --gt captions.json --gt instances.json --split split.txt -f json {QUICK}",
        ),
    ),
    "result": Target(
        inputs.results,
        of_files("r.json", nudge=True),
        READ_RESULT,
        aims=(overwritten_values,),
        oracle=values_follow_from_sums,
    ),
    "items": Target(inputs.results, of_files("r.items.npz"), READ_RESULT),
    "channels": Target(inputs.results, of_files("r.channels.npz"), READ_RESULT),
    "photographs": Target(
        inputs.results,
        of_files("photos/*"),
        commands(
            "inspect r.json -o shown --images photos --attn maps.npz --gt entities",
            "report r.json -o x.html --attn maps.npz --gt entities --images photos",
            "show maps.npz --gt entities --image 4711 --images photos -o x.png",
            "show maps.npz --gt entities --image 20 --images photos -o x.svg",
        ),
    ),
    "settings": Target(
        inputs.settings,
        of_files("attneval.toml"),
        commands("score maps.npz", "gate r.json", "config", "compare base.json r.json", "explain f1"),
    ),
    "arguments": Target(files_of_all_kinds, arguments, ()),
    "names": Target(inputs.results, renamed, ()),
    "models": Target(
        inputs.models,
        of_files("run/*.tar", "run/vocabulary.json", "run/*.jsonl", "test_*", "train_*", "dev_*"),
        (
            command("export run/best.pth.tar -o maps.npz -q"),
            command("export run/last.pth.tar -o maps.npz -q --split dev"),
            ("train", "-o", "run", *inputs.TRAIN),
            ("train", "-o", "new", *inputs.TRAIN),
        ),
        heavy=True,
    ),
}
"""What is damaged, by name."""

__all__ = ["CANARY", "HARM", "SECRET", "TARGETS", "Damage", "Target"]
