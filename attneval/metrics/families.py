"""Metrics that are declared once for things of any name, such as relevance sets."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from attneval.arrays.records import record

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

    from attneval.metrics.declaration import Metric

FAMILIES: list[Family] = []


@record
class Family:
    """Metrics that are declared once for things of any name, which begins the metric's.

    Attributes:
        kinds: By the metric's name without that of the thing, what makes the metric of a thing; in the order of tables.
        name: The form of a thing's name.
        example: What stands for the name where the family is explained.
        made: The metrics that were asked for so far, by name, each with its place in tables.
    """

    kinds: Mapping[str, Callable[[str], Metric]]
    name: re.Pattern[str]
    example: str
    made: dict[str, tuple[tuple[str, int], Metric]] = field(default_factory=dict)

    def find(self, name: str) -> Metric | None:
        """Make the metric of a name; None if it is none of the family's."""
        if name not in self.made:
            for place, (kind, make) in enumerate(self.kinds.items()):
                thing = name.removesuffix(f"_{kind}")
                if thing != name and self.name.fullmatch(thing):
                    self.made[name] = (thing, place), make(thing)
        return self.made[name][1] if name in self.made else None

    def examples(self) -> list[Metric]:
        """Make the metrics of what stands for a name."""
        return [make(self.example) for make in self.kinds.values()]


def register_family(family: Family) -> Family:
    """Add a family to the table."""
    FAMILIES.append(family)
    return family


def family_members(family: Family, thing: str) -> list[Metric]:
    """List all metrics of a family for one thing, in the order of tables."""
    return [metric for kind in family.kinds if (metric := family.find(f"{thing}_{kind}")) is not None]
