"""Selection of the images that count, and of those that are missing on either side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.errors import AlignmentError, NothingToScoreError, first_of
from attneval.export.image_ids import did_you_mean
from attneval.results.notes import NO_ANNOTATIONS, NO_MAPS, Note, left_out, scored_zero
from attneval.statistics.halves import in_half

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import Source
    from attneval.groundtruth.annotation_files import AnnotationFiles


@record
class Shortfall:
    """Something that is missing, which `missing` of the protocol decides about.

    Attributes:
        text: What is missing of what, with numbers and ids.
        hint: The way out.
        others: Whether so much is missing that it seems to be of other data, and the hint offers to leave nothing out.
    """

    text: str
    hint: str
    others: bool = False

    def __str__(self) -> str:
        return f"{self.text}; {self.hint}" if self.others else self.text

    def note(self, missing: str) -> Note:
        """Note what became of it.

        Args:
            missing: `Protocol.missing`.

        Raises:
            AlignmentError: It is not allowed for.
        """
        if missing == "error":
            raise AlignmentError(self.text, hint=self.hint)
        return left_out(self.text) if missing == "skip" else scored_zero(self.text)


@record
class Selection:
    """The images whose maps are scored.

    Attributes:
        rows: i8[k], their rows in the export, ascending.
        absent: Ids of annotated images that the export lacks and that are scored 0.
        partial: Whether images were left out only to be done sooner.
        shortfalls: What is missing.
        reason: Why nothing is scored; None if it is.
    """

    rows: NDArray[np.int64]
    absent: tuple[str, ...] = ()
    partial: bool = False
    shortfalls: tuple[Shortfall, ...] = ()
    reason: Note | None = None

    def ids_in(self, export: AttentionExport | None) -> list[str]:
        """The ids of the images that the export has."""
        return [] if export is None else [export.image_id[row] for row in self.rows.tolist()]


def select_images(
    export: AttentionExport | None,
    source: Source | None,
    split: list[str] | None,
    protocol: Protocol,
    *,
    gt: AnnotationFiles | None,
    limit: int | None = None,
) -> Selection:
    """Hold the images of an export against annotations and a split.

    Args:
        export: The export.
        source: Its annotations.
        split: The images that count; None for all.
        protocol: Its `missing` says what becomes of images that the export lacks.
        gt: Where the annotations are, for messages.
        limit: Only the first so many images; None for all.

    Raises:
        AlignmentError: Images are missing, and the protocol does not allow for that.
        NothingToScoreError: No image of the split is there.
    """
    if export is None or source is None:
        return Selection(np.zeros(0, np.int64), reason=NO_ANNOTATIONS if gt is None else NO_MAPS)
    rows, partial = choose_images(export.image_id, split, limit)
    shortfalls = []
    unknown = set(source.missing([export.image_id[i] for i in rows.tolist()]))
    if unknown:
        shortfalls.append(_unknown(export, len(rows), unknown, gt, source))
        rows = rows[[export.image_id[i] not in unknown for i in rows.tolist()]]
    absent = absent_images(export, None if partial else split)
    if split is not None and absent:
        shortfalls.append(absent_of_split(export, split, absent))
    kept = absent if protocol.missing == "zero" else []
    never_annotated = source.missing(kept)
    for shortfall in shortfalls:
        shortfall.note(protocol.missing)
    if never_annotated:
        raise AlignmentError(
            f"{len(never_annotated)} images of the split are not in {gt} (first: {first_of(never_annotated)})"
        )
    return Selection(rows, tuple(kept), partial, tuple(shortfalls))


def images_of_part(selection: Selection, part: tuple[int, int] | None) -> Selection:
    """The images of one part of a selection: a run of them, as many as any other part has or one more.

    Images that the export lacks are in the last part.

    Args:
        selection: All images.
        part: Which part of how many, from 1; None for all images.

    Raises:
        NothingToScoreError: There are fewer images than parts.
    """
    if part is None:
        return selection
    number, of = part
    if selection.reason is not None:
        raise NothingToScoreError(f"there is nothing to score in parts: {selection.reason}")
    if of > len(selection.rows):
        raise NothingToScoreError(
            f"part {number} of {of} would have no image: there are {len(selection.rows)}",
            hint=f"use {len(selection.rows)} parts or fewer",
        )
    rows = np.array_split(selection.rows, of)[number - 1]
    return replace(selection, rows=rows, absent=selection.absent if number == of else ())


def absent_images(export: AttentionExport, split: list[str] | None) -> list[str]:
    """List the ids of a split, if there is one, that an export lacks."""
    exported = set(export.image_id)
    return [name for name in split or () if name not in exported]


def halved(ids: list[str] | None, export: AttentionExport | None, half: str) -> list[str] | None:
    """Restrict a split, or the images of an export, to one half of the images.

    Args:
        ids: The ids of the split; None without one.
        export: The export.
        half: `even` or `odd`; empty for all images.
    """
    if not half or export is None:
        return ids
    listed = export.image_id if ids is None else ids
    kept = [name for name, inside in zip(listed, in_half(listed, half).tolist(), strict=True) if inside]
    if not kept:
        raise NothingToScoreError(
            f"none of the {len(listed)} images is in the {half} half",
            hint="channels are chosen on one half of the images and reported on the other: score more images",
        )
    return kept


def choose_images(
    image_id: Sequence[str], split: list[str] | None, limit: int | None
) -> tuple[NDArray[np.int64], bool]:
    """The rows of the images that count, ascending, and whether a limit left any out.

    Raises:
        NothingToScoreError: No image of the split is there.
    """
    keep = np.arange(len(image_id))
    if split is not None:
        listed = set(split)
        keep = np.array([i for i, name in enumerate(image_id) if name in listed], np.int64)
        if not len(keep):
            text = f"none of the {len(split)} images of the split are among the {len(image_id)}"
            raise NothingToScoreError(
                text + did_you_mean(split, image_id),
                hint=_other_ids(_either(split, "split", image_id, "export")),
            )
    if limit is not None and limit < len(keep):
        return keep[:limit], True
    return keep, False


def _unknown(
    export: AttentionExport, count: int, unknown: set[str], gt: AnnotationFiles | None, source: Source
) -> Shortfall:
    first = sorted(unknown)
    hint = (
        "image ids are the annotation files' names without suffix, or COCO ids; "
        "pass --split to name the images that count, or --missing skip to leave the others out"
    )
    annotated = list(source.image_ids())
    text = f"{len(unknown)} of {count} images of {export.path} are not annotated in {gt} (first: {first_of(first)})"
    text += did_you_mean(first, annotated)
    if mostly(len(unknown), count):
        return Shortfall(text, _other_ids(_either(first, "export", annotated, "annotations")), others=True)
    return Shortfall(text, hint)


def absent_of_split(export: AttentionExport, split: list[str], absent: list[str]) -> Shortfall:
    """Say which images of a split an export lacks."""
    hint = "pass --missing skip to leave them out, or --missing zero to score them 0"
    text = f"{len(absent)} of {len(split)} images of the split are not in {export.path} (first: {first_of(absent)})"
    text += did_you_mean(absent, export.image_id)
    if mostly(len(absent), len(split)):
        return Shortfall(text, _other_ids(_either(absent, "split", export.image_id, "export")), others=True)
    return Shortfall(text, hint)


def mostly(missing: int, count: int) -> bool:
    """Tell whether so much is missing that leaving it out would hide a mistake."""
    return 2 * missing > count


def _either(missing: Sequence[str], here: str, known: Sequence[str], there: str) -> str:
    """Name an id of either side."""
    other = f"{known[0]!r} in the {there}" if known else f"there is none in the {there}"
    return f"{missing[0]!r} in the {here}, {other}"


def _other_ids(example: str) -> str:
    return f"most ids are unknown, so the release, the split or the form of the ids does not match: {example}"
