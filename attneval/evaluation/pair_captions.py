"""Captions with both a lift and a rank: what the joint view is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.matching.alignment import ABSENT
from attneval.metrics.ranks import TEXT_TO_IMAGE
from attneval.results.joint import Pairing, tied

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.evaluation.add_up import RunSums
    from attneval.evaluation.rank_queries import RankedQueries
    from attneval.statistics.image_sums import ImageSums


@record
class PairedCaptions:
    """The lifts and ranks of all annotated captions, image by image.

    Attributes:
        lift: f8[C], NaN where nothing is scored.
        rank: f8[C], from 1, NaN where there is none.
        pairing: Those that have both, with the rows of their images in a result.
    """

    lift: NDArray[np.float64]
    rank: NDArray[np.float64]
    pairing: Pairing


def pair_captions(sums: RunSums, ranked: RankedQueries, of_result: ImageSums) -> PairedCaptions | None:
    """Find the rank of each annotated caption's image; None where nothing was ranked beside an export.

    Args:
        sums: The sums of all images, with the lifts of their captions.
        ranked: What retrieval gave.
        of_result: The sums of the result, whose rows are those of pairings.
    """
    if ranked.export_row is None:
        return None
    lifts, lift = sums.lifts, tied(sums.lifts.lift)
    rows = int(max(ranked.export_row.max(initial=ABSENT), lifts.export_row.max(initial=ABSENT))) + 1
    rank_of = np.full(rows, np.nan)
    known = ranked.export_row != ABSENT
    rank_of[ranked.export_row[known]] = ranked.ranks[TEXT_TO_IMAGE].rank[known]
    rank = np.full(len(lifts.export_row), np.nan)
    there = lifts.export_row != ABSENT
    rank[there] = rank_of[lifts.export_row[there]]
    row_of = {name: row for row, name in enumerate(of_result.image_id)}
    image = np.array([row_of[name] for name in sums.image_id], np.int64)[lifts.image]
    both = np.flatnonzero(np.isfinite(lift) & np.isfinite(rank))
    # In the order of the images' ids, so that permutations are the same whatever the order of the export.
    both = both[np.argsort(image[both], kind="stable")]
    return PairedCaptions(lift, rank, Pairing(image[both], lift[both], rank[both]))
