"""A scoring in parts, each a process somewhere, and the whole made of what they left.

A part is scored as everything is, over a run of the images. The whole is scored as everything is, too, but for the
sums of its blocks, which come from the parts: so it is what one process gives, to the last bit.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attneval._version import __version__
from attneval.config.options import Options
from attneval.config.protocol import Protocol
from attneval.errors import DataError, MismatchError, ResultError, first_of
from attneval.evaluation.caption_lifts import CaptionLifts
from attneval.evaluation.one_part import KEPT_OPTIONS
from attneval.evaluation.score_block import BlockSums
from attneval.evaluation.sum_items import Statistics
from attneval.evaluation.targetless import Targetless
from attneval.evaluation.weight_reader import MEAN
from attneval.groundtruth.annotation_files import AnnotationFiles
from attneval.matching.mismatches import Mismatches
from attneval.results.merge import merge as merge_results
from attneval.storage.addresses import located
from attneval.storage.digests import partial_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from attneval.results.part import Part
    from attneval.results.result import Result
    from attneval.results.scores import Input

GIVEN = ("attn", "boxes", "detections", "similarity", "split", "relevance", "caption_ids", "image_ids")
"""Files that were given, beside the annotations."""
DERIVED = ("items", "unreachable")
"""Counts that follow from sums."""


def merge(parts: Sequence[Result], *, name: str | None = None, across_regions: bool = False) -> Result:
    """Put results of different images together.

    Results that were scored in parts (`--part`) become the one that scoring everything at once gives, to the last bit;
    for that the files that were scored are opened again, though no map is read. Others are put together from their
    sums, see `attneval.results.merge`.

    Args:
        parts: The results.
        name: The whole's name; the first part's by default.
        across_regions: See `attneval.results.merge`.

    Raises:
        MismatchError: Parts are missing, there twice, or of different scorings; or see `attneval.results.merge`.
        DataError: A file that was scored cannot be read, or has changed.
        NothingToScoreError: There is no part.
    """
    pieces = [result for result in parts if result.part is not None]
    others = [result for result in parts if result.part is None]
    if not pieces:
        return merge_results(parts, name=name, across_regions=across_regions)
    whole = _whole(pieces, name)
    return merge_results([whole, *others], name=name, across_regions=across_regions) if others else whole


def _whole(pieces: Sequence[Result], name: str | None) -> Result:
    from attneval.evaluation.score import score

    ordered = sorted(pieces, key=lambda piece: _part(piece).number)
    first = _part(ordered[0])
    _check_complete(ordered)
    for piece in ordered[1:]:
        _check_alike(ordered[0], piece)
    if ordered[0].version != __version__:
        raise MismatchError(
            f"{first} was scored by attneval {ordered[0].version}, and this is {__version__}",
            hint="merge with the version that scored the parts",
        )
    _check_files(ordered[0].inputs)
    engine = _Stored(ordered)
    try:
        given = {key: first.arguments[key] for key in GIVEN}
        kept = {key: first.arguments["options"][key] for key in KEPT_OPTIONS}
        _check_kinds(given, kept)
        gt, protocol = first.arguments["gt"], Protocol.from_dict(first.arguments["protocol"])
        options = Options(**kept, jobs=1, cache=False, engine=engine)
        annotations = None if gt is None else AnnotationFiles.from_dict(gt)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultError(f"{ordered[0].name} does not say what it was scored of ({error!r})") from error
    options = options if name is None else replace(options, name=name)
    return score(gt=annotations, **given, protocol=protocol, channel=ordered[0].channel or None, options=options)


def _check_kinds(given: dict[str, Any], kept: dict[str, Any]) -> None:
    """Refuse arguments of other kinds than those that are written.

    Raises:
        TypeError: There is one.
    """
    lists = [given[key] for key in GIVEN if isinstance(given[key], list)]
    texts = [text for one in lists for text in one]
    texts += [one for one in (*given.values(), kept["name"]) if one is not None and not isinstance(one, list)]
    whole = [kept["resamples"], kept["seed"], *([] if kept["limit"] is None else [kept["limit"]])]
    if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in whole):
        raise TypeError(f"{given} and {kept} are no arguments")


class _Stored:
    """An engine that scores nothing: the sums of its blocks are those of parts."""

    def __init__(self, pieces: Sequence[Result]) -> None:
        self._pieces = pieces

    def __call__(
        self,
        blocks: Sequence[Any],  # noqa: ARG002 - the interface of engines
        scorer: Callable[[Any], Any],  # noqa: ARG002
        jobs: int,  # noqa: ARG002
    ) -> AbstractContextManager[Iterator[BlockSums]]:
        return nullcontext(map(_sums_of, self._pieces))


def _sums_of(piece: Result) -> BlockSums:
    """The sums of a part, as those of one block."""
    part, scores = _part(piece), piece.scores
    measured, seen = {}, dict.fromkeys(piece.protocol.directions, MEAN)
    for key, channel in piece.channels.items():
        # Of each direction the mean comes first, and then its channels in their order; of many there are no sums here.
        direction = key.rpartition("/")[2]
        if channel.has_sums:
            measured[seen[direction], direction] = channel
            seen[direction] += 1
    measured = measured or {(MEAN, piece.protocol.directions[0]): scores}
    stored = piece.channel_sums
    return BlockSums(
        scores.sums.image_id,
        {name: bytes.fromhex(digest) for name, digest in part.digests.items()},
        {key: Statistics(one.sums.columns, one.totals, one.sums.by) for key, one in measured.items()},
        {name: count for name, count in piece.counts.items() if name not in DERIVED},
        Mismatches(**part.mismatches),
        piece.items,
        regions=piece.regions,
        targetless=Targetless(**part.targetless),
        by_channel={} if stored is None else stored.table.columns,
        sizes={name: (size[0], size[1]) for name, size in part.sizes.items()},
        lifts=CaptionLifts.from_dict(part.lifts),
    )


def _check_complete(ordered: Sequence[Result]) -> None:
    """Refuse parts that are not all of a scoring, each once.

    Raises:
        MismatchError: They are not.
    """
    parts = [_part(piece) for piece in ordered]
    of = parts[0].of
    other = next((part for part in parts if part.of != of), None)
    if other is not None:
        raise MismatchError(f"{parts[0]} and {other} are no parts of one scoring")
    numbers = [part.number for part in parts]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise MismatchError(f"parts {first_of(twice)} of {of} are there twice", hint="name every part once")
    missing = sorted(set(range(1, of + 1)) - set(numbers))
    if missing:
        raise MismatchError(
            f"{len(missing)} of {of} parts are missing: {first_of(missing)}",
            hint=f"score them: attneval score ... --part {missing[0]}/{of}",
        )


def _check_alike(first: Result, other: Result) -> None:
    """Refuse parts that were not scored alike, of the same files.

    Raises:
        MismatchError: They were not.
    """
    one, two = _part(first), _part(other)
    names = dict.fromkeys((*one.arguments, *two.arguments))
    differ = [name for name in names if one.arguments.get(name) != two.arguments.get(name)]
    differ += ["the channel"] if first.channel != other.channel else []
    differ += ["the version of attneval"] if first.version != other.version else []
    differ += ["the regions"] if first.region_kind != other.region_kind else []
    files = [{item.path: item.sha256 for item in piece.inputs if item.is_partial} for piece in (first, other)]
    differ += [f"the content of {path}" for path, digest in files[0].items() if files[1].get(path) != digest]
    if differ:
        raise MismatchError(
            f"{one} and {two} are parts of different scorings: they differ in {', '.join(differ)}",
            hint="score all parts alike, of files that stay as they are",
        )


def _check_files(inputs: Sequence[Input]) -> None:
    """Refuse files that changed since the parts were scored.

    Raises:
        DataError: One did, or cannot be read.
    """
    for item in inputs:
        if item.is_partial and partial_digest(located(item.path)) != item.sha256:
            raise DataError(f"{item.path} has changed since its parts were scored", hint="score all parts again")


def _part(piece: Result) -> Part:
    if piece.part is None:
        raise ValueError(f"{piece.name} is no part")
    return piece.part
