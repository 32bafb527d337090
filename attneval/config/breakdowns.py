"""Breakdowns: the groups of items that are scored apart, what they are called and where they begin.

One table that matching, evaluation, results and reports read.
"""

from __future__ import annotations

from dataclasses import field

from attneval.arrays.records import record

TYPES = ("people", "clothing", "bodyparts", "animals", "vehicles", "instruments", "scene", "other")
"""The phrase types of Flickr30k Entities, in the order of its paper; annotations may have others."""

NOT_VISUAL = "notvisual"
"""The type of phrases that name nothing to be seen; they are no phrases here."""

AREAS = ("small", "medium", "large")
"""Sizes of a phrase."""

AREA_EDGES = (0.05, 0.25)
"""A phrase is small or large when its enclosing box covers less than 5 % or at least 25 % of the image."""

LENGTHS = ("1", "2", "3", "4+")
"""Words of a phrase."""

THINGS = ("things", "stuff")
"""What panoptic annotations tell apart."""

NUMBERS = ("singular", "plural")
"""The number of a phrase's words."""

INSTANCES = ("1", "several")
"""Shapes of a phrase's entity."""

ALWAYS = ("type", "area", "length")
"""Breakdowns that every result has; the others are those of annotations with categories."""


@record
class Breakdown:
    """One way to tell items apart.

    Attributes:
        name: Its key in results.
        title: The title of its table, without the unit.
        header: What its column of groups is called.
        groups: Its groups, in the order of tables; others follow in the order of their names.
        labels: What groups are called in tables, where that is not their name.
    """

    name: str
    title: str
    header: str
    groups: tuple[str, ...]
    labels: dict[str, str] = field(default_factory=dict)

    def label(self, group: str) -> str:
        """The name of a group in tables."""
        return self.labels.get(group, group)

    def ordered(self, groups: set[str]) -> list[str]:
        """Some groups in the order of tables."""
        return [*(name for name in self.groups if name in groups), *sorted(groups - set(self.groups))]


BREAKDOWNS = {
    breakdown.name: breakdown
    for breakdown in (
        Breakdown("type", "By phrase type", "Phrase type", TYPES),
        Breakdown(
            "area",
            "By the share of the image that the phrase's box covers",
            "Box area",
            AREAS,
            {
                "small": f"small (< {100 * AREA_EDGES[0]:.0f} %)",
                "large": f"large (>= {100 * AREA_EDGES[1]:.0f} %)",
            },
        ),
        Breakdown("length", "By words in the phrase", "Words", LENGTHS),
        Breakdown("category", "By category", "Category", ()),
        Breakdown("supercategory", "By supercategory", "Supercategory", ()),
        Breakdown("thing", "Things and stuff", "Kind", THINGS),
        Breakdown("number", "By the number of the words", "Number", NUMBERS),
        Breakdown("instances", "By instances of the phrase's category or target", "Instances", INSTANCES),
    )
}
"""Breakdowns by name, in the order of reports."""
