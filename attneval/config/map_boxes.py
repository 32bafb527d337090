"""Rules by which one box is taken from a heat map."""

from __future__ import annotations

import math
from dataclasses import dataclass

from attneval.config.thresholds import shortest
from attneval.errors import ProtocolError

COMPONENT, DETECTIONS = "component", "detections"
FORM = "none | component:f | detections:a"
"""All forms, as a flag's values are listed."""


@dataclass(frozen=True)
class MapBoxes:
    """A rule with its parameter.

    Attributes:
        rule: `component`: the box around the largest connected part (8 neighbours) of the pixels that reach the share
            `value` of the largest; `detections`: of given boxes the one with the largest sum over area^`value`.
        value: Its parameter.
    """

    rule: str
    value: float

    @classmethod
    def parse(cls, text: str) -> MapBoxes | None:
        """Read `component:f` or `detections:a`; None for `none`.

        Raises:
            ProtocolError: The rule does not exist or its parameter is out of range.
        """
        if text == "none":
            return None
        rule, _, raw = text.partition(":")
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if not {COMPONENT: 0 < value <= 1, DETECTIONS: 0 <= value < math.inf}.get(rule, False):
            raise ProtocolError(
                f"box_from {text!r} is not a rule",
                hint="use none, component:f with f in (0, 1], or detections:a with a >= 0",
            )
        return cls(rule, value)

    def __str__(self) -> str:
        return f"{self.rule}:{shortest(self.value)}"
