"""Results of parts of the images, put together to exactly the result of the whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import MismatchError, NothingToScoreError, first_of
from attneval.metrics.totals import add_totals
from attneval.results.comparability import check_protocols
from attneval.results.notes import unreached
from attneval.results.result import Result
from attneval.results.summary import summarise
from attneval.statistics.image_sums import ImageSums
from attneval.statistics.ranks import RankTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.metrics.totals import Totals
    from attneval.results.scores import Scores

RETRIEVAL = ("i2t_", "t2i_")
"""How columns of retrieval begin."""
COUNTS = (
    *("images", "captions", "phrases", "phrases_without_box", "words", "regions"),
    *("retrieval_images", "retrieval_captions", "items", "unreachable"),
)
"""What is counted, in the order in which scoring does."""
_SETTINGS = {"version": "the version of attneval", "resamples": "--resamples", "seed": "--seed"}
"""What parts must have in common beside the protocol, so that the whole could have been made in one go."""


def merge(parts: Sequence[Result], *, name: str | None = None) -> Result:
    """Put results of different images together.

    Every score is computed again from the parts' sums: per-image sums are the same whichever part an image is in, and
    totals are exact, so the result is that of scoring all images at once, to the last bit. Retrieval is no sum over
    parts, since each ranks among its own images only: at most one part may have it, for all images together.

    Args:
        parts: The results.
        name: How the whole is called; as the first part by default.

    Raises:
        MismatchError: The parts were made under different protocols, by different versions or with different
            bootstraps, share images, or several have retrieval.
        NothingToScoreError: There is no part.
    """
    if not parts:
        raise NothingToScoreError("there is nothing to merge")
    first = parts[0]
    check_protocols([(part.name, part) for part in parts])
    partial = [part.name for part in parts if part.partial]
    if partial:
        raise MismatchError(f"{partial[0]} is PARTIAL (--limit) and cannot be merged", hint="score all its images")
    for what in ("version", "resamples", "seed"):
        for part in parts:
            mine, other = getattr(first, what), getattr(part, what)
            if mine != other:
                raise MismatchError(
                    f"{first.name} and {part.name} differ in {_SETTINGS[what]}: {mine} against {other}",
                    hint="score all parts alike",
                )
    with_maps = [part for part in parts if "items" in part.scores.sums.columns]
    names = list(with_maps[0].channels) if with_maps else []
    if any(list(part.channels) != names for part in with_maps):
        odd = next(part for part in with_maps if list(part.channels) != names)
        raise MismatchError(
            f"{with_maps[0].name} and {odd.name} have different channels or directions: "
            f"{', '.join(names) or 'one'} against {', '.join(odd.channels) or 'one'}",
            hint="export and score the parts alike",
        )
    scores = _merged([(part.scores, part.counts.get("images", 0)) for part in parts], first)
    counted = Counter[str]()
    for part in parts:
        counted.update(part.counts)
    counts = {key: counted[key] for key in (*COUNTS, *counted) if key in counted}
    return Result(
        name=name or first.name,
        protocol=first.protocol,
        scores=scores,
        counts=counts,
        channels={
            key: _merged([(part.channels[key], part.counts["images"]) for part in with_maps], first) for key in names
        },
        inputs=list(dict.fromkeys(item for part in parts for item in part.inputs)),
        model=next((part.model for part in parts if part.model), {}),
        notes=_notes(parts, scores) + unreached(counts, first.protocol),
        ground_truth=next((part.ground_truth for part in parts if part.ground_truth), ""),
        resamples=first.resamples,
        seed=first.seed,
        version=first.version,
    )


def _notes(parts: Sequence[Result], scores: Scores) -> list[str]:
    """The parts' notes, without those that say of a part what need not be so of the whole."""
    notes: dict[str, None] = {}
    for part in parts:
        alone = unreached(part.counts, part.protocol)
        notes |= dict.fromkeys(note for note in part.notes if note not in alone)
    lacking = {"attention was not scored": "items", "retrieval was not scored": "i2t_n"}
    had = tuple(text for text, column in lacking.items() if column in scores.sums.columns)
    return [note for note in notes if not note.startswith(had)]


def _merged(parts: Sequence[tuple[Scores, int]], first: Result) -> Scores:
    """Scores from the sums of parts, each with the number of images whose attention was judged."""
    everyone = [part.sums for part, _ in parts]
    retrieval = [sums for sums in everyone if "i2t_n" in sums.columns]
    if len(retrieval) > 1:
        raise MismatchError(
            "several parts have retrieval, each ranked among its own images only",
            hint="score the parts from exports without similarity, and the whole similarity by itself",
        )
    judged = [(part.sums, _judged(part.sums, images)) for part, images in parts if "items" in part.sums.columns]
    everything = Counter(sums.image_id[i] for sums, rows in judged for i in rows.tolist())
    twice = sorted(image_id for image_id, count in everything.items() if count > 1)
    if twice:
        raise MismatchError(
            f"{len(twice)} images are in several parts (first: {first_of(twice)})",
            hint="score every image in one part only, as with --split",
        )
    image_ids = sorted({image_id for sums in everyone for image_id in sums.image_id})
    row = {image_id: i for i, image_id in enumerate(image_ids)}
    columns: dict[str, NDArray[np.float64]] = {}
    ranks: dict[str, RankTable] = {}
    ranked = [(sums, np.arange(len(sums.image_id))) for sums in retrieval]
    for of_retrieval, group in ((False, judged), (True, ranked)):
        for sums, rows in group:
            place = np.array([row[sums.image_id[i]] for i in rows.tolist()], np.int64)
            for column, values in sums.columns.items():
                if column.startswith(RETRIEVAL) == of_retrieval:
                    columns.setdefault(column, np.zeros(len(image_ids)))[place] = values[rows]
            if of_retrieval:
                ranks = {d: RankTable(place[table.image], table.rank, table.fold) for d, table in sums.ranks.items()}
    totals: Totals = {}
    for part, _ in parts:
        totals = add_totals(totals, part.totals)
    return summarise(
        ImageSums(image_ids, columns, ranks), totals, first.protocol, resamples=first.resamples, seed=first.seed
    )


def _judged(sums: ImageSums, images: int) -> NDArray[np.int64]:
    """The rows of the images whose attention was judged, of which there are so many.

    Where these are not all, the others have retrieval alone and zeros for attention. So has an image without items,
    which adds nothing wherever it is.
    """
    return np.arange(images) if images == len(sums.image_id) else np.flatnonzero(sums.columns["items"])
