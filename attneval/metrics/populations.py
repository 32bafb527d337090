"""Populations: which items count in which mean. The one place where that is decided.

- `items`: all items that count at all, those whose words have attention; under `missing=zero` those without, too;
- `scored`: of these the ones with a relevant key; under `unreachable=zero` all of them;
- `reached`: of the first the ones with a relevant key, whatever the protocol makes of the others;
- `shuffled_n`: the scored items that have another entity to be held against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.metrics.totals import Table

ITEMS, SCORED, REACHED = "items", "scored", "reached"
SHUFFLED, SHUFFLED_F1 = "shuffled_n", "shuffled_f1"
"""The items that shuffled attention has a score for, and the sum of those scores."""
POPULATIONS = (ITEMS, SCORED)
"""What a column can be summed over."""
COUNTED: dict[str, tuple[str, ...]] = {
    ITEMS: (),
    SCORED: (ITEMS,),
    REACHED: (ITEMS,),
    SHUFFLED: (SCORED,),
    SHUFFLED_F1: (SHUFFLED,),
}
"""Columns that scoring sums beside those that metrics declare, each with the columns that it cannot exceed."""


def counted(
    given: NDArray[np.bool_], protocol: Protocol, undefined: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Mark the items that count at all.

    Args:
        given: b[m], the items whose words have attention.
        protocol: Its fields `missing` and `undefined` say what becomes of the others.
        undefined: b[m], the items that have rows, all of them without mass; None for none.

    Returns:
        b[m].
    """
    if undefined is None:
        return given | (protocol.missing == "zero")
    lacking = ~given & ~undefined & (protocol.missing == "zero")
    return given | lacking | (undefined & (protocol.undefined == "zero"))


def scored(reachable: NDArray[np.bool_], protocol: Protocol) -> NDArray[np.bool_]:
    """Mark the items that enter means over scored items, if they count at all.

    Args:
        reachable: b[m], the items with a relevant key.
        protocol: Its field `unreachable` says what becomes of the others.

    Returns:
        b[m].
    """
    return reachable | (protocol.unreachable == "zero")


def populations(
    given: NDArray[np.bool_],
    reachable: NDArray[np.bool_],
    protocol: Protocol,
    undefined: NDArray[np.bool_] | None = None,
) -> Table:
    """Count each item 0 or 1 times in each population of `POPULATIONS`: f8[m] by name.

    Args:
        given: b[m], the items whose words have attention.
        reachable: b[m], the items with a relevant key.
        protocol: What becomes of the others.
        undefined: b[m], the items whose rows all are without mass; None for none.
    """
    present = counted(given, protocol, undefined)
    return {ITEMS: present.astype(np.float64), SCORED: (present & scored(reachable, protocol)).astype(np.float64)}


def has_attention(columns: Mapping[str, object]) -> bool:
    """Tell whether sums are of attention maps, by their columns."""
    return ITEMS in columns


def item_counts(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, int]:
    """Count the items, and those that no relevant key can be reached of, from sums f8[I] of I images."""
    items, reached = (int(columns[name].sum()) for name in (ITEMS, REACHED))
    return {"items": items, "unreachable": items - reached}
