"""Detected boxes from a file of their own, among which one is chosen by a heat map."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.errors import ExportError, first_of
from attneval.export.image_ids import did_you_mean
from attneval.export.read.boxfile import by_name, coco_number, read_boxes
from attneval.export.read.content import Detections
from attneval.storage.json_text import parse_json
from attneval.storage.read_files import open_to_read, reading

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport

_FORMS = "expected {image id: [[x, y, width, height, ...], ...]}, or COCO results [{image_id, bbox}, ...]"


def with_detections(export: AttentionExport, path: Path) -> AttentionExport:
    """The export with the detected boxes of a file.

    Args:
        export: An export.
        path: A `.json` of x, y, width and height by image id, or of COCO results; or a file of region boxes, see
            `attneval.export.read.boxfile.with_boxes`. Results may have no box of an image; other files have an entry
            for each.

    Raises:
        ExportError: The file cannot be read or lacks images.
    """
    boxes, complete = _from_json(path) if path.suffix == ".json" else (read_boxes(export, path)[0], True)
    lacking = [image_id for image_id in export.image_id if image_id not in boxes]
    if lacking and (complete or len(lacking) == len(export.image_id)):
        raise ExportError(
            f"{path} has no boxes for {len(lacking)} of {len(export.image_id)} images (first: {first_of(lacking)})"
            f"{did_you_mean(lacking, boxes)}",
            hint="image ids must be the export's; COCO_val2014_000000000042 also counts as 42",
        )
    nothing = np.zeros((0, 4))
    chosen = [np.asarray(boxes.get(image_id, nothing), np.float64) for image_id in export.image_id]
    for image_id, box in zip(export.image_id, chosen, strict=True):
        if not np.isfinite(box).all():
            raise ExportError(f"{path}: a box of image {image_id} is not finite")
    return replace(export, detections=Detections(offsets_of(map(len, chosen)), np.concatenate(chosen)))


def _from_json(path: Path) -> tuple[dict[str, NDArray[Any]], bool]:
    """Boxes by image id, and whether an image without an entry is a mistake."""
    with open_to_read(path, error=ExportError) as file, reading(path, error=ExportError):
        content = file.read()
    data = parse_json(content, str(path), error=ExportError)
    if isinstance(data, dict):
        read = {name: [_box(path, name, box) for box in _list(path, name, boxes)] for name, boxes in data.items()}
        return by_name(path, ((name, _array(boxes)) for name, boxes in read.items())), True
    listed: dict[str, list[list[float]]] = {}
    for number, entry in enumerate(_list(path, "the file", data)):
        where = f"entry {number}"
        image_id = entry.get("image_id") if isinstance(entry, dict) else None
        if isinstance(image_id, bool) or not isinstance(image_id, int | str):
            raise ExportError(f"{path}: {where} has no image_id", hint=_FORMS)
        listed.setdefault(coco_number(str(image_id)), []).append(_box(path, where, entry.get("bbox")))
    return by_name(path, ((name, _array(boxes)) for name, boxes in listed.items())), False


def _list(path: Path, where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ExportError(f"{path}: {where} is no list of boxes", hint=_FORMS)
    return value


def _box(path: Path, where: str, value: Any) -> list[float]:
    """The edges of a box x, y, width, height; numbers behind them are a detector's scores."""
    numbers = value[:4] if isinstance(value, list) else []
    usable = len(numbers) == 4 and all(
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) for number in numbers
    )
    if not usable or min(numbers[2:]) < 0:
        raise ExportError(f"{path}: a box of {where} is not x, y, width and height: {str(value)[:60]}", hint=_FORMS)
    x, y, width, height = map(float, numbers)
    return [x, y, x + width, y + height]


def _array(boxes: list[list[float]]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)
