"""The fields of a result file: one table that the reader and the JSON Schema take them from, and checks of single ones.

Whatever is written has a row here, and what every file has the reader asks for. Forms are fragments of JSON Schema, in
which `#/$defs/NAME` is a form of `FORMS` or `OTHER_FORMS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.metrics.sweep import CURVES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.results.scores import Scores


_FINGERPRINT = re.compile(r"\d{1,18}:[0-9a-f]{16}")


REGION_KINDS = ("", "boxes", "cells", "mixed")
"""Kinds of regions: none, boxes, cells of grids and tiles, or several kinds in a merged result."""


AUTO_FIELDS = ("overlap",)
"""Fields of the protocol that may be settled from `auto`."""

NUMBERS = (int, float)
"""Types of numbers in JSON: a truth value is none, nor a text of digits."""

_DIGEST = "[0-9a-f]{64}"


@dataclass(frozen=True)
class ResultField:
    """A field of a JSON object.

    Attributes:
        name: Its key.
        form: What its value is, as JSON Schema.
        meaning: A sentence about it.
        always: False where files may be without it: older ones, or those that it says nothing of.
    """

    name: str
    form: dict[str, Any]
    meaning: str
    always: bool = True


def _of(name: str) -> dict[str, Any]:
    """The form of that name."""
    return {"$ref": f"#/$defs/{name}"}


def _listed(form: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": form}


def _named(form: dict[str, Any], depth: int = 1) -> dict[str, Any]:
    """An object whose values are of a form, under names that are data; `depth` of them within each other."""
    return {"type": "object", "additionalProperties": form if depth == 1 else _named(form, depth - 1)}


def _or_null(form: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [form, {"type": "null"}]}


_TEXT, _NUMBER, _FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}
_SHA256 = {"type": "string", "pattern": f"^{_DIGEST}$"}

FLOOR_GAP = (
    ResultField("floor", _TEXT, "The name of the highest floor."),
    ResultField("difference", _NUMBER, "The value minus that floor's, over the items that have it."),
    ResultField("ci", _of("interval"), "The 95 % interval of the difference, paired by image."),
)
MEASURED = (
    ResultField("value", {"type": ["number", "null"]}, "Unrounded; shares from 0 to 1; null where it is undefined."),
    ResultField("ci", _of("interval"), "The 95 % interval; null where there is none."),
    ResultField("n", _COUNT, "The number of items, queries or captions that it is a mean over."),
    ResultField("higher_is_better", _FLAG, "The direction of what is good."),
    ResultField("above_floor", _of("floor_gap"), "The difference to the highest floor.", always=False),
)
CURVE = (
    ResultField("rule", _TEXT, "The threshold rule that is swept."),
    ResultField("parameter", _listed(_NUMBER), "The thresholds, ascending."),
    *(ResultField(name, _listed(_NUMBER), "The mean over items at each threshold.") for name in CURVES),
)
INPUT = (
    ResultField("role", _TEXT, "What it was: attn, gt, similarity, boxes, split, ..."),
    ResultField("path", _TEXT, "As it was given."),
    ResultField(
        "sha256",
        {"type": "string", "pattern": f"^(partial:)?{_DIGEST}$"},
        "Of its bytes; for a directory, of the lines that sha256sum prints; partial: where it was not read whole.",
    ),
)
BOOTSTRAP = (
    ResultField("resamples", _COUNT, "Resamples of images behind each interval; 0 for none."),
    ResultField("seed", _COUNT, "Their seed."),
    ResultField("confidence", _NUMBER, "The intervals' confidence.", always=False),
)
HOLDS = (
    ResultField("metrics", _listed(_TEXT), "The names of all metrics."),
    ResultField("columns", _listed(_TEXT), "The names of all columns of per_image."),
)
CHANNEL_SUMS_FIELDS = (ResultField("sha256", _SHA256, "The digest of the sums in the file beside this one."),)
SCORES = (
    ResultField("metrics", _of("table"), "The headline's metrics by name."),
    ResultField("baselines", _named(_of("table")), "Metrics of each floor and of the oracle."),
    ResultField("by", _named(_of("table"), 2), "Metrics by breakdown and group."),
    ResultField("by_baselines", _named(_of("table"), 3), "Metrics by breakdown, group and floor.", always=False),
    ResultField("by_images", _named(_COUNT, 2), "Images by breakdown and group.", always=False),
    ResultField("curve", _or_null(_of("curve")), "The sweep of the threshold; null without attention maps."),
    ResultField("per_image", _of("per_image"), "The sums that metrics and intervals follow from."),
    ResultField("totals", {"type": "object"}, "Sums that are not kept per image, as whole multiples of 2^-32."),
)
"""The fields of scores, which stand in the result itself and in each channel."""


def result_fields(protocol: dict[str, Any]) -> tuple[ResultField, ...]:
    """List the fields of a result, in the order in which they are written.

    Args:
        protocol: The form of the protocol.
    """
    return (
        ResultField("schema", {"const": 1}, "Raised when those who read files have to change."),
        ResultField("attneval", _TEXT, "The version that wrote it."),
        ResultField("name", _TEXT, "The system's name."),
        ResultField("signature", {"type": "string", "pattern": r"^attneval:\d+\|"}, "The protocol on one line."),
        ResultField("protocol", protocol, "Every choice that changes a number."),
        ResultField("ground_truth", _TEXT, "The format of the annotations; empty without any."),
        ResultField("auto", _listed({"enum": list(AUTO_FIELDS)}), "Fields settled from auto.", always=False),
        ResultField("partial", _FLAG, "True if only some images were scored."),
        ResultField("part", {"type": "object"}, "Of a part of a scoring, what the whole needs of it.", always=False),
        ResultField("channel", _TEXT, "The channel that was asked for; absent for all.", always=False),
        ResultField("averaged", _listed(_TEXT), "The channels whose mean that is.", always=False),
        ResultField("model", {"type": "object"}, "What the export says of its model."),
        ResultField("inputs", _listed(_of("input")), "The files that went into it."),
        ResultField("counts", _named(_COUNT), "Numbers of images, captions, phrases, items, and what was left out."),
        ResultField("region_kind", {"enum": list(REGION_KINDS)}, "The kind of the regions.", always=False),
        ResultField(
            "regions",
            _named({"type": "string", "pattern": f"^{_FINGERPRINT.pattern}$"}),
            "The fingerprint of each image's regions.",
            always=False,
        ),
        ResultField("relevance", _named(_SHA256), "A digest of each relevance set.", always=False),
        ResultField("bootstrap", _of("bootstrap"), "What the intervals were made with."),
        ResultField("notes", _listed(_TEXT), "What a reader of the numbers has to know."),
        ResultField("items_sha256", _or_null(_SHA256), "The digest of the items beside it.", always=False),
        ResultField("holds", _of("holds"), "What a reader holds the file against.", always=False),
        *SCORES,
        ResultField("joint", {"type": "object"}, "Whether attending right goes with retrieving right.", always=False),
        ResultField(
            "channels",
            _named(_of("channel")),
            "Every direction and channel where there are several; of many channels the metrics alone.",
        ),
        ResultField("channel_sums", _of("channel_sums"), "What stands beside it of many channels.", always=False),
    )


FORMS: dict[str, tuple[ResultField, ...]] = {
    "floor_gap": FLOOR_GAP,
    "measured": MEASURED,
    "curve": CURVE,
    "input": INPUT,
    "bootstrap": BOOTSTRAP,
    "holds": HOLDS,
    "channel_sums": CHANNEL_SUMS_FIELDS,
}
"""Objects with fields, by the name of their form."""

OTHER_FORMS: dict[str, dict[str, Any]] = {
    "interval": _or_null({"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}),
    "table": _named(_of("measured")),
    "per_image": {
        "type": "object",
        "required": ["image_id"],
        "properties": {"image_id": _listed(_TEXT), "by": _named(_named(_listed(_NUMBER)), 2)},
        "additionalProperties": _listed({"anyOf": [_NUMBER, _listed(_NUMBER)]}),
    },
}
"""Forms that are no objects with fields of their own."""


def lacking(values: dict[str, Any]) -> list[str]:
    """List the fields that every result has, and these values have not."""
    return [field.name for field in result_fields({}) if field.always and field.name not in values]


def check_regions(regions: Any, scores: Scores) -> dict[str, str]:
    """Refuse fingerprints of regions that are none, or of images that have no sums.

    Raises:
        ValueError: They are no fingerprints of the scores' images.
    """
    known = set(scores.sums.image_id)
    for image_id, text in regions.items():
        if image_id not in known or not isinstance(text, str) or not _FINGERPRINT.fullmatch(text):
            raise ValueError(f"regions {image_id} is {text!r}")
    return dict(regions)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Take a value that is one of a few.

    Raises:
        ValueError: It is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name} is {value!r}")
    return str(value)


def check_digest(value: Any) -> str:
    """Take the SHA-256 of a result's items, empty where it has none.

    Raises:
        ValueError: It is neither.
    """
    if value is not None and not (isinstance(value, str) and re.fullmatch(_DIGEST, value)):
        raise ValueError(f"items_sha256 is {value!r}")
    return value or ""


def check_digests(name: str, values: Any) -> dict[str, str]:
    """Take a table of SHA-256 by name.

    Raises:
        ValueError: It is none.
    """
    for key, value in values.items():
        if not (isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)):
            raise ValueError(f"{name} {key} is {value!r}")
    return dict(values)


def check_whole(name: str, value: Any) -> int:
    """Take a whole number that is not negative.

    Raises:
        ValueError: It is none.
    """
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{name} is {value!r}, and no whole number from 0")
    return value


def check_numbers(name: str, values: Any) -> NDArray[np.float64]:
    """Take a list of finite numbers as f8[n].

    Raises:
        ValueError: It is none.
    """
    if not isinstance(values, list) or not set(map(type, values)) <= set(NUMBERS):
        raise ValueError(f"{name} is no list of numbers")
    numbers = np.array(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} has entries that are no numbers")
    return numbers
