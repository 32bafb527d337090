"""Comparability: the results that may be compared, and the images on which."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import MismatchError, NothingToScoreError, first_of
from attneval.statistics.image_sums import ImageSums

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attneval.results.result import Result

SHOWN = 12
"""Characters of a digest in a message."""


def distinct(names: Sequence[str], otherwise: Sequence[str] = ()) -> list[str]:
    """Make names that tell systems apart.

    Args:
        names: Their names.
        otherwise: Names for all of them where two have the same, such as their files'.
    """
    if otherwise and len(set(names)) < len(names):
        names = otherwise
    given: dict[str, None] = {}
    for name in names:
        numbered = (f"{name} ({number})" for number in range(2, len(names) + 2))
        given[next(candidate for candidate in chain((name,), numbered) if candidate not in given)] = None
    return list(given)


def check_protocols(
    results: Sequence[tuple[str, Result]],
    *,
    allow_mismatch: bool = False,
    across_regions: bool = False,
    way_out: str = "score both alike",
) -> list[str]:
    """Compare the protocols of results with the first one's.

    Args:
        results: Results and the names of their systems.
        allow_mismatch: Note differences instead of refusing them.
        across_regions: Allow for another overlap where it was settled from `auto`.
        way_out: What the user can do about a refusal.

    Returns:
        Notes on the differences.

    Raises:
        MismatchError: A result was made under another protocol or on another kind of annotations.
    """
    first, base = results[0]
    notes = []
    for name, result in results:
        if result.partial:
            notes.append(f"{name} is PARTIAL: only some images were scored")
        fields = base.protocol.differences(result.protocol)
        for field in {*base.auto, *result.auto} & fields.keys():
            both = field in base.auto and field in result.auto
            # Without maps there is nothing that it was settled by.
            if both and not (base.scores.has_attention and result.scores.has_attention):
                del fields[field]
            elif both and across_regions:
                a, b = fields.pop(field)
                notes.append(f"{field} was taken from auto: {a} for {first}, {b} for {name}")
        if base.ground_truth and result.ground_truth and base.ground_truth != result.ground_truth:
            fields["ground_truth"] = (base.ground_truth, result.ground_truth)
        for held in sorted(base.relevance.keys() & result.relevance.keys()):
            a, b = base.relevance[held], result.relevance[held]
            if a != b:
                fields[f"relevance set {held}"] = (a[:SHOWN], b[:SHOWN])
        if not fields:
            continue
        text = ", ".join(f"{field} {a} against {b}" for field, (a, b) in fields.items())
        if not allow_mismatch:
            raise MismatchError(
                f"{first} and {name} were scored under different protocols: {text}",
                hint=way_out,
            )
        notes.append(f"different protocols, {first} against {name}: {text}")
    return list(dict.fromkeys(notes))


def check_regions(
    results: Sequence[tuple[str, Result]],
    image_id: Sequence[str],
    *,
    across_regions: bool = False,
    way_out: str = "export both over the same regions, or pass --across-regions to compare on all items",
) -> list[str]:
    """Compare the regions of results with the first one's.

    Args:
        results: Results and the names of their systems.
        image_id: The images that they are compared on.
        across_regions: Note differences instead of refusing them.
        way_out: What the user can do about a refusal.

    Returns:
        Notes on the differences, and on results that do not say what their regions were.

    Raises:
        MismatchError: Systems attended to different regions.
    """
    attending = [(name, result) for name, result in results if result.scores.has_attention]
    known = [(name, result) for name, result in attending if result.regions]
    notes = []
    if 1 < len(attending) != len(known):
        unknown = list(dict.fromkeys(name for name, result in attending if not result.regions))
        notes.append(
            f"{first_of(unknown)} was scored by an attneval that kept no fingerprint of regions: whether all attend to "
            "the same regions is not known"
        )
    for name, result in known[1:]:
        first, base = known[0]
        both = [i for i in image_id if i in base.regions and i in result.regions]
        differing = [i for i in both if base.regions[i] != result.regions[i]]
        if not differing:
            continue
        a, b = (regions[differing[0]].partition(":")[0] for regions in (base.regions, result.regions))
        numbers = f"{a} against {b}" if a != b else f"{a} others"
        text = f"{first} and {name} have different regions in {len(differing)} of {len(both)} images"
        text += f" (first: {differing[0]}, {numbers})"
        if not across_regions:
            raise MismatchError(text, hint=way_out)
        notes.append(text)
    return list(dict.fromkeys(notes))


def common_images(lists: Iterable[list[str]], *, intersect: bool) -> tuple[list[str], list[str]]:
    """Find the images that all results were scored on, with notes on the others.

    Raises:
        MismatchError: The lists differ and may not be intersected.
        NothingToScoreError: They have nothing in common.
    """
    first, *others = lists
    if all(image_id == first for image_id in others):
        return first, []
    common, every = set(first).intersection(*others), set(first).union(*others)
    kept = [name for name in first if name in common]
    if not intersect:
        rest = sorted(every - common)
        raise MismatchError(
            f"the results were scored on different images: {len(rest)} of {len(every)} are not in all of them "
            f"(first: {first_of(rest)})",
            hint="score the same images, or pass --intersect to compare on the ones that all have",
        )
    if not kept:
        raise NothingToScoreError("the systems have no image in common", hint="score the same images")
    return kept, [f"compared on the {len(kept)} images that all have; {len(every) - len(kept)} were left out"]


def restricted(sums: ImageSums, image_id: list[str]) -> ImageSums:
    """Take the sums of some of the images, in that order."""
    if sums.image_id == image_id:
        return sums
    row = {name: i for i, name in enumerate(sums.image_id)}
    rows = np.array([row[name] for name in image_id], np.int64)
    place = np.full(len(sums.image_id), -1)
    place[rows] = np.arange(len(rows))
    ranks = {}
    for direction, table in sums.ranks.items():
        kept = place[table.image] >= 0
        ranks[direction] = type(table)(place[table.image[kept]], table.rank[kept], table.fold[kept])
    return ImageSums(image_id, {name: column[rows] for name, column in sums.columns.items()}, ranks)
