"""Choosing items to look at: the worst, or those where two systems differ most."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import MismatchError, NothingToScoreError, ProtocolError, ResultError, suggestion
from attneval.metrics.populations import SCORED
from attneval.metrics.ranks import TEXT_TO_IMAGE
from attneval.metrics.set_scores import F1
from attneval.results.items import KINDS
from attneval.results.joint import attends_right, retrieves_right

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.results.items import ItemTable
    from attneval.results.result import Result

SINGLE = 1e-6
"""By how much a score may differ that was stored in single precision."""


def belong(table: ItemTable, result: Result) -> bool:
    """Tell whether items are those of a result, by the digest that its file has of them.

    Those of a file that has none can be: if they are of its images and, where words attend, with its F1.
    """
    if result.items_sha256 is not None:
        return table.sha256() == result.items_sha256
    sums = result.scores.sums
    if not set(table.image_id) <= set(sums.image_id):
        return False
    if result.protocol.directions[0] != TEXT_TO_IMAGE:
        return True
    count, total = int(table.scored.sum()), float(table.score(F1)[table.scored].sum())
    same_count = SCORED in sums.columns and count == sums.columns[SCORED].sum()
    return same_count and abs(total - float(sums.columns[F1].sum())) <= SINGLE * (1 + count)


def paired(base: ItemTable, other: ItemTable) -> tuple[ItemTable, ItemTable]:
    """Take the items that two systems both have, row for row.

    Raises:
        MismatchError: They have none in common.
    """
    rows = {key: row for row, key in enumerate(_keys(other))}
    pairs = [(row, rows[key]) for row, key in enumerate(_keys(base)) if key in rows]
    if not pairs:
        raise MismatchError("the two results have no item in common", hint="score the same captions with the same unit")
    rows_of_base, rows_of_other = np.array(pairs, np.int64).T
    return base.take(rows_of_base), other.take(rows_of_other)


def _keys(table: ItemTable) -> list[tuple[str, int, int, int, int]]:
    """What tells items apart: image, caption, words, and which of the phrases that share these words."""
    images = list(table.image_id)
    image, index = table.caption_image[table.item_caption], table.caption_index[table.item_caption]
    spans = table.item_span.tolist()
    seen: Counter[tuple[str, int, int, int]] = Counter()
    keys = []
    for i, k, (start, stop) in zip(image.tolist(), index.tolist(), spans, strict=True):
        words = (images[i], k, start, stop)
        keys.append((*words, seen[words]))
        seen[words] += 1
    return keys


def choose(
    table: ItemTable,
    count: int,
    *,
    other: ItemTable | None = None,
    type_name: str | None = None,
    word: str | None = None,
    image: str | None = None,
    kind: str | None = None,
) -> list[int]:
    """Choose rows of items, worst first; against another system those that lost most first.

    Args:
        table: The items.
        count: The largest number of rows.
        other: Another system's items, row for row.
        type_name: Only items of this phrase type.
        word: Only items with this word, whatever its case.
        image: Only items of this image.
        kind: Only items with this kind of error.

    Raises:
        ProtocolError: There is no such type or kind.
        NothingToScoreError: No item is left.
    """
    keep = passing(table, type_name=type_name, word=word, image=image, kind=kind)
    f1 = table.score(F1)
    if other is None and kind is None:
        # What no attention could have got right is no example of bad attention.
        keep &= table.scored
    order = f1 if other is None else f1 - other.score(F1)
    rows_kept = np.flatnonzero(keep)
    if not len(rows_kept):
        raise NothingToScoreError("no item is left by these filters", hint="leave out one of them")
    return [int(row) for row in rows_kept[np.argsort(order[rows_kept], kind="stable")][:count]]


def choose_captions(table: ItemTable, **filters: str | None) -> list[int]:
    """Choose rows of captions that are retrieved right but attended wrong, the smallest lift first; perhaps none.

    Args:
        table: The items, with the lifts and ranks of their captions.
        filters: As of `passing`: only captions with such an item.

    Raises:
        ResultError: There are no ranks.
        ProtocolError: There is no such type or kind.
    """
    if table.caption_lift is None or table.caption_rank is None:
        raise ResultError(
            "the items know no ranks of captions, which need maps and similarities",
            hint="score an export that has both, or pass --similarity, with --items",
        )
    wrong = np.isfinite(table.caption_lift) & ~attends_right(table.caption_lift)
    keep = wrong & retrieves_right(table.caption_rank)
    keep &= np.bincount(table.item_caption[passing(table, **filters)], minlength=len(keep)) > 0
    rows = np.flatnonzero(keep)
    return [int(row) for row in rows[np.argsort(table.caption_lift[rows], kind="stable")]]


def passing(
    table: ItemTable,
    *,
    type_name: str | None = None,
    word: str | None = None,
    image: str | None = None,
    kind: str | None = None,
) -> NDArray[np.bool_]:
    """Mark the items that filters let through: b[m]; see `choose`.

    Raises:
        ProtocolError: There is no such type or kind.
    """
    keep = np.ones(len(table), np.bool_)
    if kind is not None:
        keep &= table.item_kind == _number(kind, KINDS, "kind")
    if type_name is not None:
        keep &= (table.item_types >> _number(type_name, tuple(table.types), "phrase type") & 1) > 0
    if image is not None:
        rows = [row for row, name in enumerate(table.image_id) if name == image]
        keep &= np.isin(table.caption_image[table.item_caption], rows)
    if word is not None:
        keep &= _has_word(table, word)
    return keep


def _number(name: str, known: tuple[str, ...], what: str) -> int:
    if name not in known:
        hint = suggestion(name, known, f"use {', '.join(known)}")
        raise ProtocolError(f"there is no {what} {name!r}", hint=hint)
    return known.index(name)


def _has_word(table: ItemTable, word: str) -> NDArray[np.bool_]:
    texts = list(table.caption_text)
    wanted = word.casefold()
    spans = zip(table.item_caption.tolist(), table.item_span.tolist(), strict=True)
    # Folding may change lengths: spans are those of the text as it stands.
    return np.fromiter((wanted in texts[c][a:b].casefold().split() for c, (a, b) in spans), np.bool_, len(table))
