"""The door to annotation formats: one line a format, recognised by content.

The table is read by the command line, so nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from attneval.arrays.records import record
from attneval.errors import GroundTruthError, ProtocolError, suggestion
from attneval.groundtruth import recognition as is_
from attneval.groundtruth.reading import Reading
from attneval.groundtruth.recognition import Candidate
from attneval.storage.addresses import located

if TYPE_CHECKING:
    from attneval.groundtruth.columns import Source
    from attneval.groundtruth.roles import Files

Detect = Callable[[Candidate], bool]


@record
class Format:
    """An annotation format: the tests that recognise its files, and the reader of them.

    Attributes:
        reader: `module:function`, from the files by role and a `Reading` to a `Source`.
        needs: For each file of the format, its role and what recognises it.
        also: The same for files that may be added.
        title: What the page of a result calls it; its name by default.
    """

    reader: str
    needs: dict[str, Detect]
    also: dict[str, Detect] = field(default_factory=dict)
    title: str = ""

    def role(self, candidate: Candidate) -> str | None:
        """The role of a file in this format; None if it has none."""
        roles = chain(self.needs.items(), self.also.items())
        return next((role for role, detect in roles if detect(candidate)), None)


_HERE = "attneval.groundtruth"
TABLE: dict[str, Format] = {
    "entities": Format(
        f"{_HERE}.entities:open_entities", {"release": is_.entities_release}, title="Flickr30k Entities"
    ),
    "mdetr": Format(f"{_HERE}.mdetr:open_mdetr", {"grounding": is_.grounding}, title="grounding JSON (MDETR, GLIP)"),
    "coco": Format(f"{_HERE}.coco:open_coco", {"captions": is_.captions, "instances": is_.instances}, title="COCO"),
    "refer": Format(
        f"{_HERE}.refer:open_refer",
        {"references": is_.references, "instances": is_.instances},
        {"sizes": is_.sizes},
        title="RefCOCO",
    ),
    "coco-entities": Format(
        f"{_HERE}.coco_entities:open_coco_entities",
        {"entities": is_.caption_entities},
        {"captions": is_.captions, "texts": is_.raw_captions, "sizes": is_.sizes},
        title="COCO Entities",
    ),
    "png": Format(
        f"{_HERE}.panoptic_narratives:open_png",
        {"narratives": is_.narratives, "panoptic": is_.panoptic},
        {"label images": is_.folder_of_pngs},
        title="Panoptic Narrative Grounding",
    ),
    "odvg": Format(f"{_HERE}.odvg:open_odvg", {"lines": is_.grounding_lines}, title="grounding lines (ODVG)"),
    "rec": Format(f"{_HERE}.rec:open_rec", {"expressions": is_.expressions}, title="referring expressions (JSON)"),
    "gcg": Format(
        f"{_HERE}.gcg:open_gcg",
        {"captions": is_.caption_masks},
        {"sizes": is_.sizes},
        title="grounded conversations (GCG)",
    ),
    "phrasecut": Format(
        f"{_HERE}.phrasecut:open_phrasecut", {"phrases": is_.phrase_masks}, {"sizes": is_.sizes}, title="PhraseCut"
    ),
    "gqa": Format(f"{_HERE}.gqa:open_gqa", {"questions": is_.questions, "scene graphs": is_.scene_graphs}, title="GQA"),
    "visual-genome": Format(
        f"{_HERE}.visual_genome:open_visual_genome",
        {"regions": is_.regions},
        {"sizes": is_.sizes},
        title="Visual Genome",
    ),
}
"""Every format by its name. A format is a file and a line here."""

UNREAD: tuple[tuple[Detect, str], ...] = (
    (
        is_.traces,
        "Localized Narratives, whose traces of a pointer have no extent: no region is relevant to a moving point",
    ),
    (is_.detections, "results of a detector in COCO's layout, which are regions and no annotations"),
    (is_.video_entities, "ActivityNet-Entities, of which the images are frames of videos"),
)
"""What is recognised and cannot be scored, and why."""

FORMATS = tuple(TABLE)
"""The names that `--gt-format` takes beside `auto`."""


def title_of(name: str) -> str:
    """Title a format for the page of a result; the name itself for one that this attneval does not know."""
    known = TABLE.get(name)
    return known.title if known is not None and known.title else name


def open_ground_truth(
    paths: str | Path | Sequence[str | Path],
    format: str = "auto",  # noqa: A002 - the word of the command line
    edges: str = "pixel",
    *,
    reading: Reading | None = None,
) -> Source:
    """Open annotations, finding out their format by what the files hold.

    Args:
        paths: A file or directory, or several that belong together, such as captions and instances of COCO.
        format: The name of a format to force it, `auto` to look.
        edges: How Flickr30k Entities coordinates become edges, see `Protocol.edges`; ignored where `reading` is given.
        reading: How the files are read.

    Raises:
        GroundTruthError: The files are of no format, or cannot be read.
        ProtocolError: There is no such format.
    """
    if format != "auto" and format not in TABLE:
        hint = suggestion(format, TABLE, f"the formats are {', '.join(TABLE)}")
        raise ProtocolError(f"there is no annotation format {format!r}", hint=hint)
    listed = [located(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
    candidates = list(chain.from_iterable(is_.candidates(path) for path in listed))
    name, files = _recognised(listed, candidates, TABLE if format == "auto" else {format: TABLE[format]})
    module, _, function = TABLE[name].reader.partition(":")
    source: Source = getattr(import_module(module), function)(files, reading or Reading(edges=edges))
    return source


def _recognised(paths: Sequence[Path], candidates: Sequence[Candidate], table: dict[str, Format]) -> tuple[str, Files]:
    """The format of some files, and the files by their role in it."""
    whole: dict[str, Files] = {}
    partly: dict[str, list[str]] = {}
    for name, format_ in table.items():
        files: Files = {}
        strangers = []
        for candidate in candidates:
            role = format_.role(candidate)
            if role is None:
                strangers.append(candidate)
            else:
                files.setdefault(role, []).append(candidate)
        if len(table) == 1 and len(format_.needs) == 1 and not files:
            # The format is forced: its reader says what is wrong with the file.
            return name, {next(iter(format_.needs)): strangers}
        lacking = [role for role in format_.needs if role not in files]
        if not lacking and not any(stranger.named for stranger in strangers):
            whole[name] = files
        elif any(role in files for role in format_.needs):
            partly[name] = lacking
    text = ", ".join(map(str, paths))
    if len(whole) == 1:
        return next(iter(whole.items()))
    for candidate in candidates:
        why = next((why for detect, why in UNREAD if candidate.named and detect(candidate)), None)
        if why is not None:
            raise GroundTruthError(f"{candidate.path} cannot be scored against: it holds {why}")
    if whole:
        raise GroundTruthError(
            f"{text} holds annotations of several formats: {', '.join(whole)}",
            hint="name the files of one of them, or force it with --gt-format",
        )
    lacking_of = [f"{name} also needs {' and '.join(lacking)}" for name, lacking in partly.items() if lacking]
    raise GroundTruthError(
        f"{text} holds no ground truth of a known format" + (f" ({'; '.join(lacking_of)})" if lacking_of else ""),
        hint="give --gt once for each file"
        if lacking_of
        else "it takes a directory with Annotations/ and Sentences/, "
        f"annotations.zip, or JSON files of one of the formats {', '.join(TABLE)}",
    )
