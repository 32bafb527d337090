"""The protocol: every choice that changes a number, in one frozen object.

Two results can be compared when their protocols agree. The protocol is therefore printed beside every number as a
*signature* (`Protocol.signature`) that parses back to an equal protocol (`Protocol.parse`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from attneval.config import map_boxes, thresholds
from attneval.config.signature import SIGNATURE_VERSION, parsed_signature, signature_line
from attneval.errors import ProtocolError, suggestion

DIRECTIONS = ("t2i", "i2t")


def _choice(default: str, *others: str, **texts: str) -> Any:
    """A field with choices; `help` is what the command line says of it, and `brief` where that is too long."""
    return field(default=default, metadata={"choices": (default, *others), **texts})


def _free(default: Any, **texts: str) -> Any:
    """A field with values of some `form`."""
    return field(default=default, metadata=texts)


BYTES = "bilinear-8bit"
"""How pictures of 8 bits are enlarged."""


@dataclass(frozen=True)
class Protocol:
    """Every choice that changes a number. Field names are the command line's flags.

    Raises:
        ProtocolError: A field has a value that does not exist.
    """

    unit: str = _choice("word", "phrase", help="what one item is: an annotated word, or a phrase mention")
    direction: str = _free(
        "t2i",
        form="t2i, i2t, or both as t2i,i2t",
        help="t2i: words attend to regions; i2t: regions attend to words; with both, the first is the headline",
    )
    iou: float = _free(0.5, form="0 < number <= 1", help="a region is relevant when its overlap reaches this value")
    overlap: str = _choice(
        "auto",
        "iou",
        "iof",
        "center",
        help="iou: intersection over union; iof: intersection over the region's own area, for patch grids; "
        "center: the region's centre lies in the box; auto: iof for grids and boxes that are tiles, else iou",
        brief="how a region meets a box; iof is for patch grids",
    )
    boxes: str = _choice(
        "any",
        "merged",
        "union",
        help="a phrase with several boxes: any of them, their enclosing box, or the union of their areas",
        brief="how several boxes of a phrase count; or a FILE of region boxes",
    )
    threshold: str = _free(
        "uniform",
        form=thresholds.FORM,
        help=f"which weights count as attended: {thresholds.MEANING}",
        brief="which weights count as attended; see attneval explain threshold",
    )
    normalize: str = _choice(
        "sum",
        "softmax",
        "minmax",
        "none",
        help="what is done to an item's row of weights before anything is measured",
    )
    pool: str = _choice("mean", "max", "sum", "last", help="how several tokens of a word become one row")
    unreachable: str = _choice("skip", "zero", help="an item that no region reaches is left out, or scores 0")
    average: str = _choice(
        "macro",
        "micro",
        "class",
        help="which precision, recall and F1 are the headline: mean over items, summed counts, or mean over classes",
    )
    pointing: str = _choice(
        "region",
        "center",
        "upsampled",
        help="the top region is relevant; its centre lies in a box of the phrase; or the top pixel of the map enlarged "
        "to the image does",
    )
    undefined: str = _choice(
        "skip", "zero", "error", help="rows without any mass on the regions: leave out, score 0, or refuse"
    )
    ties: str = _choice("expected", "worst", "best", help="how equal similarities are ranked in retrieval")
    folds: int = _free(1, form="whole number >= 1", help="retrieval is averaged over this many consecutive folds")
    missing: str = _choice(
        "error", "skip", "zero", help="annotated words without attention: refuse, leave out, or score 0"
    )
    min_area: float = _free(
        0.0,
        form="0 <= number < 1",
        help="phrases whose enclosing box covers a smaller share of the image are left out",
    )
    edges: str = _choice(
        "pixel",
        "raw",
        "corner",
        help="Flickr30k Entities boxes: pixel: the last pixel is inside (xmin-1, ymin-1, xmax, ymax); "
        "raw: coordinates as they stand; corner: all minus 1",
    )
    extent: str = _choice(
        "edge",
        "pixel",
        help="lengths in overlaps: edge: continuous, from edge to edge; pixel: pixels are counted, both ends included",
    )
    border: str = _choice("inside", "outside", help="a point on the edge of a box is inside, or outside")
    geometry: str = _choice(
        "box",
        "mask",
        help="what an annotation covers: its box, or its mask, which belongs with grids and overlap iof",
    )
    crowd: str = _choice(
        "include",
        "ignore",
        "drop",
        help="shapes around groups of things count as others do, leave their phrase without a shape, or are dropped",
    )
    expression: str = _choice(
        "whole", "head", help="what of a referring expression is the phrase: all of it, or its head noun"
    )
    mentions: str = _choice(
        "present", "all", help="words that name a category: only if the image has it, or all, the others without a box"
    )
    category_words: str = _choice(
        "list", "chair", help="words that name a category: those of the list, or with CHAIR's exceptions as well"
    )

    enlarge: str = _choice(
        "none",
        "nearest",
        "bilinear",
        "bicubic",
        BYTES,
        help="maps of grids are held against shapes pixel by pixel, enlarged to the image in one of these ways, which "
        "gives map_iou, map_precision and map_recall; none: they are not",
        brief="maps of grids enlarged to the image, for map_iou",
    )
    box_from: str = _free(
        "none",
        form=map_boxes.FORM,
        help="the box of an enlarged map, for box_accuracy: none; around the largest connected part of the pixels that "
        "reach f times the largest; or of the boxes of --detections the one with the largest sum over area^a",
        brief="the box of an enlarged map, for box_accuracy",
    )
    function_words: str = _choice(
        "none",
        "english",
        help="articles, pronouns, conjunctions and their like, whose maps should stay below those of annotated words, "
        "which gives function_specificity; none: they are not looked at",
        brief="words whose maps should be faint, for function_specificity",
    )

    definitions: int = field(default=SIGNATURE_VERSION, metadata={"internal": True})
    """The version of the definitions, as the signature's head says; no choice of a user's."""

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            choices = spec.metadata.get("choices")
            if choices and value not in choices:
                raise ProtocolError(f"{spec.name} {value!r} does not exist", hint=f"use {' or '.join(choices)}")
        parts = self.direction.split(",")
        if not parts or len(set(parts)) != len(parts) or not set(parts) <= set(DIRECTIONS):
            raise ProtocolError(f"direction {self.direction!r} does not exist", hint="use t2i, i2t or both: t2i,i2t")
        if not 0 < self.iou <= 1:
            raise ProtocolError(f"iou {self.iou:g} is out of range", hint="use a number in (0, 1]")
        if not 0 <= self.min_area < 1:
            raise ProtocolError(f"min_area {self.min_area:g} is out of range", hint="use a share in [0, 1)")
        if self.folds < 1:
            raise ProtocolError(f"folds {self.folds} is out of range", hint="use 1 or more")
        # One spelling of a rule, so that equal protocols compare equal.
        object.__setattr__(self, "threshold", str(self.rule))
        object.__setattr__(self, "box_from", str(self.map_box or "none"))

    def check_together(self) -> None:
        """Refuse fields that are of enlarged maps without any, and rules that say nothing of pixels.

        A protocol is made field by field, too, and is therefore asked before it is used.

        Raises:
            ProtocolError: Fields contradict each other.
        """
        for name in ("box_from", "function_words"):
            if self.enlarge == "none" and getattr(self, name) != "none":
                raise ProtocolError(
                    f"{name} {getattr(self, name)} is of enlarged maps, and enlarge is none",
                    hint="pass --enlarge bilinear as well",
                )
        if self.enlarge == BYTES and self.rule.rule in {"uniform", "abs"}:
            raise ProtocolError(
                f"threshold {self.threshold} is of weights, and enlarge {BYTES} stretches them to pictures of 0 to 255",
                hint="use --threshold otsu, max or mass, or --enlarge bilinear",
            )
        if self.enlarge == BYTES and self.box_from.startswith(map_boxes.DETECTIONS):
            raise ProtocolError(
                f"box_from {self.box_from} sums up maps as they are, and enlarge {BYTES} rounds them",
                hint="pass --enlarge bilinear",
            )
        if self.enlarge != "none" and thresholds.RULES[self.rule.rule].pixels is None:
            raise ProtocolError(
                f"threshold {self.threshold} counts cells, and enlarge {self.enlarge} makes pixels of them",
                hint="use --threshold otsu, uniform, abs, max or mass",
            )

    @property
    def rule(self) -> thresholds.Threshold:
        """The parsed threshold."""
        return thresholds.Threshold.parse(self.threshold)

    @property
    def map_box(self) -> map_boxes.MapBoxes | None:
        """The parsed rule of `box_from`; None where no box is taken from maps."""
        return map_boxes.MapBoxes.parse(self.box_from)

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions to score, the headline first."""
        return tuple(self.direction.split(","))

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        values = dataclasses.asdict(self)
        del values["definitions"]
        return values

    @classmethod
    def choices(cls) -> tuple[dataclasses.Field[Any], ...]:
        """The fields that a user chooses, in the order of the command line."""
        return tuple(spec for spec in dataclasses.fields(cls) if "internal" not in spec.metadata)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Protocol:
        """Build from plain values, converting text where a field is a number.

        Raises:
            ProtocolError: A field does not exist or its value cannot be used.
        """
        known = {spec.name: spec for spec in cls.choices()}
        converted: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                hint = suggestion(name, known, f"the fields are {', '.join(known)}")
                raise ProtocolError(f"{name!r} is no field of the protocol", hint=hint)
            try:
                converted[name] = _converted(value, type(known[name].default))
            except (TypeError, ValueError):
                form = known[name].metadata.get("form") or " or ".join(known[name].metadata["choices"])
                raise ProtocolError(f"{name} {value!r} cannot be read", hint=f"use {form}") from None
        return cls(**converted)

    def signature(self) -> str:
        """The whole protocol on one line, every field spelled out: ``attneval:2|unit:word|...``."""
        return signature_line(self.definitions, self.to_dict())

    def short_signature(self, **settings: Any) -> str:
        """The fields that differ from the defaults, and settings that change no value: ``attneval:2|iou:0.6|seed:1``.

        Args:
            settings: Some of `attneval.config.signature.SETTINGS` with their values.
        """
        defaults = Protocol().to_dict()
        values = {name: value for name, value in self.to_dict().items() if value != defaults[name]}
        return signature_line(self.definitions, values | settings)

    @classmethod
    def parse(cls, text: str) -> Protocol:
        """Read a signature back, a whole or a short one.

        Fields that it does not name have their defaults, which are what was true before there were such fields.

        Raises:
            ProtocolError: It is not a signature, or one of a later version.
        """
        version, values = parsed_signature(text)
        return dataclasses.replace(cls.from_dict(values), definitions=version)

    def differences(self, other: Protocol) -> dict[str, tuple[Any, Any]]:
        """The fields in which two protocols differ, with both values."""
        first, second = self.to_dict(), other.to_dict()
        fields = {name: (first[name], second[name]) for name in first if first[name] != second[name]}
        if self.definitions != other.definitions:
            fields["signature version"] = (self.definitions, other.definitions)
        return fields


def _converted(value: Any, kind: type) -> Any:
    """A value as a field's type; a number may come as text, but is never cut and no truth value.

    Raises:
        TypeError: It is of another type.
        ValueError: It cannot be read as that.
    """
    if isinstance(value, bool) or (kind is int and isinstance(value, float) and not value.is_integer()):
        raise TypeError(value)
    return kind(value)
