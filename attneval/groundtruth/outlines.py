"""Outlines in annotations: polygons, run lengths and compressed run lengths, as what makes a mask of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attneval.groundtruth.entry import LARGEST_SIZE

if TYPE_CHECKING:
    from attneval.groundtruth.entry import Entry, Size
    from attneval.groundtruth.records import Rasterise


def outline(entry: Entry, field: str) -> Rasterise | None:
    """Choose the maker of a mask from a field; None if it holds no outline."""
    value = entry.values.get(field)
    return partial(rasterised, entry, field, value) if value else None


def rasterised(entry: Entry, field: str, value: Any, size: Size) -> bytes:
    """Make a mask of an outline.

    Args:
        entry: Where it stands.
        field: Its name there.
        value: Polygons; or run lengths with the size of the image, compressed or not.
        size: Of the image.

    Raises:
        GroundTruthError: It is none of these, or does not fit the image.
    """
    from attneval.geometry.masks import from_compressed, from_polygons, from_runs

    try:
        if not isinstance(value, dict):
            polygons = [_numbers(entry, field, polygon) for polygon in entry.as_list(value, field)]
            return from_polygons(polygons, size)
        width, height = outline_size(entry, field, value)
        if (width, height) != size:
            entry.fail(f"{field} is of an image of {width} x {height}, and this one is {size[0]} x {size[1]}")
        counts = value.get("counts")
        if isinstance(counts, str):
            return from_compressed(counts.encode("ascii", "replace"), size)
        if isinstance(counts, bytes):
            return from_compressed(counts, size)
        return from_runs([entry.as_whole(run, field) for run in entry.as_list(counts, field)], size)
    except (ValueError, OverflowError) as error:
        entry.fail(f"{field}: {error}")


def outline_size(entry: Entry, field: str, value: dict[str, Any]) -> Size:
    """The width and height of the image that run lengths are of.

    Raises:
        GroundTruthError: They do not tell it.
    """
    sides = entry.as_list(value.get("size"), field)
    if len(sides) != 2:
        entry.fail(f"{field} has a size of {len(sides)} numbers instead of height and width")
    height, width = (entry.as_whole(side, field, 1, LARGEST_SIZE) for side in sides)
    return width, height


def _numbers(entry: Entry, field: str, polygon: Any) -> list[float]:
    values = entry.as_list(polygon, field)
    if set(map(type, values)) <= {int, float}:
        return values  # what is too large or not finite is refused with the polygon
    return [entry.as_number(number, field) for number in values]
