"""Notes: what a reader of the numbers has to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attneval.config.protocol import Protocol


REACHING = "boxes must be in pixels of the original image, and small patches need --overlap iof"
"""What may help where no region reaches a phrase."""


def unreached(counts: Mapping[str, int], protocol: Protocol) -> list[str]:
    """The note that no region is relevant to anything, if there are items and none is."""
    if not counts.get("items") or counts["unreachable"] < counts["items"]:
        return []
    found = f"none of the {counts['items']} items has a relevant region"
    under = f"overlap={protocol.overlap} and iou={protocol.iou:g}"
    return [f"{found} under {under}: {REACHING}"]
