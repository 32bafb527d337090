"""The choices that reading annotations may need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.arrays.records import record

if TYPE_CHECKING:
    from pathlib import Path


@record
class Reading:
    """The choices under which annotations become columns.

    Attributes:
        edges: How 1-based inclusive pixels become edges: `pixel` (xmin-1, ymin-1, xmax, ymax), `raw` (as they stand)
            or `corner` (minus 1).
        masks: Whether outlines are rasterised; boxes alone are read much faster.
        expression: What of a referring expression is the phrase: the `whole` text or its `head` noun.
        mentions: Which words that name a category are phrases: those of categories that the image has (`present`), or
            `all`, the others without a box.
        synonyms: A list of category names, a line a category; None for the list that is shipped.
        category_words: Words that name a category: those of the `list`, or with the exceptions of the `chair` metric.
        sizes: Files that hold image sizes, for formats that have none.
        split_name: The split of a file that holds several; None for all.
    """

    edges: str = "pixel"
    masks: bool = False
    expression: str = "whole"
    mentions: str = "present"
    synonyms: Path | None = None
    category_words: str = "list"
    sizes: tuple[Path, ...] = ()
    split_name: str | None = None
