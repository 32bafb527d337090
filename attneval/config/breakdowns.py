"""The groups of items that breakdowns tell apart."""

from __future__ import annotations

TYPES = ("people", "clothing", "bodyparts", "animals", "vehicles", "instruments", "scene", "other")
"""The phrase types of Flickr30k Entities, in the order of its paper."""


NOT_VISUAL = "notvisual"
"""The type of phrases that name nothing to be seen; they are no phrases here."""


AREAS = ("small", "medium", "large")


AREA_EDGES = (0.05, 0.25)
"""A phrase is small or large when its enclosing box covers less than 5 % or at least 25 % of the image."""


LENGTHS = ("1", "2", "3", "4+")
"""Words of a phrase."""
