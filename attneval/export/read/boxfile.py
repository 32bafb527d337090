"""Region boxes from a file of their own, for features that were released without them."""

from __future__ import annotations

import base64
import binascii
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.errors import ExportError, first_of
from attneval.export.image_ids import did_you_mean
from attneval.export.problems import FileProblems
from attneval.export.read.columns import Columns
from attneval.export.read.regions import Regions
from attneval.storage.archive import Archive
from attneval.storage.npy import map_npy
from attneval.storage.read_files import open_to_read, reading

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport

    Boxes = dict[str, NDArray[np.floating]]
    Sizes = dict[str, tuple[int, int]]

Value = TypeVar("Value")

LONGEST_SIDE = 2**31
"""Pixels of an image's width and height, which are kept in 32 bits."""

# Columns of the two layouts of bottom-up features, without the features at the end.
_LXMERT = ("id", "height", "width", "objects", "objects", "attributes", "attributes", "count", "boxes")
_BOTTOM_UP = ("id", "width", "height", "count", "boxes")


def with_boxes(export: AttentionExport, path: Path) -> AttentionExport:
    """The export with the region boxes of a file.

    Args:
        export: An export; boxes of its own are replaced.
        path: A bottom-up-attention TSV (`image_id, image_w, image_h, num_boxes, boxes`, or LXMERT's ten columns); an
            `.npz` with `image_ids` and `boxes` f[I, R, 4], or f[sum R, 4] with `box_offset`; or an `.npy` f[I, R, 4]
            in the export's order of images.

    Raises:
        ExportError: The file cannot be read, lacks an image, or has another number of boxes than the maps have
            regions.
    """
    boxes, sizes = read_boxes(export, path)
    lacking = [image_id for image_id in export.image_id if image_id not in boxes]
    if lacking:
        raise ExportError(
            f"{path} has no boxes for {len(lacking)} of {len(export.image_id)} images (first: {first_of(lacking)})"
            f"{did_you_mean(lacking, boxes)}",
            hint="image ids must be the export's; COCO_val2014_000000000042 also counts as 42",
        )
    chosen = [boxes[image_id] for image_id in export.image_id]
    count = np.array([len(box) for box in chosen], np.int64)
    used = np.zeros(len(chosen), np.bool_)
    used[export.caption_image[np.diff(export.token_offset) > 0]] = True
    differs = np.flatnonzero(used & (count != np.diff(export.regions.offset)))
    if len(differs):
        i = int(differs[0])
        raise ExportError(
            f"{path} has {count[i]} boxes for image {export.image_id[i]}, but its maps have "
            f"{int(np.diff(export.regions.offset)[i])} regions ({len(differs)} such images)",
            hint="boxes must be those of the features that the model saw, in the same order",
        )
    size = export.image_size
    if size is None and sizes.keys() >= set(export.image_id):
        size = np.array([sizes[image_id] for image_id in export.image_id], np.int64)
    # Images without captions keep as many boxes as they have; no map refers to them.
    regions = Regions(offsets_of(count), box=np.concatenate(chosen), member=f"boxes of {path}")
    return replace(export, regions=regions, image_size=size)


def read_boxes(export: AttentionExport, path: Path) -> tuple[Boxes, Sizes]:
    """Read the boxes of images by id, and their widths and heights if the file has them.

    Args:
        export: The export whose order of images an `.npy` has.
        path: See `with_boxes`.

    Raises:
        ExportError: The file cannot be read.
    """
    if path.suffix == ".npy":
        return _from_npy(export, path), {}
    return (_from_npz(path), {}) if path.suffix == ".npz" else _from_tsv(path)


def _from_npy(export: AttentionExport, path: Path) -> Boxes:
    array = map_npy(path)
    if array.ndim != 3 or array.shape[2] != 4 or len(array) != len(export.image_id) or array.dtype.kind not in "fiu":
        raise ExportError(
            f"{path} holds {array.dtype}{list(array.shape)}, expected boxes [{len(export.image_id)}, R, 4] in the "
            "export's order of images"
        )
    return dict(zip(export.image_id, np.asarray(array, np.float32), strict=True))


def _from_npz(path: Path) -> Boxes:
    archive = Archive(path)
    names = set(archive.names)
    if not {"boxes", "image_ids"} <= names or archive.dtype("image_ids").kind not in "Uu":
        raise ExportError(f"{path} needs the members boxes and image_ids (strings); it has {', '.join(archive.names)}")
    kinds = {"boxes": "fi", "box_offset": "i", "image_ids": "bU", "image_ids_offset": "i"}
    image_ids = list(Columns(archive, FileProblems(path), kinds).texts("image_ids", None))
    boxes = archive.array("boxes")
    offset = archive.array("box_offset") if "box_offset" in names and boxes.ndim == 2 else None
    if offset is None:
        fits = boxes.ndim == 3 and len(boxes) == len(image_ids)
    else:
        fits = offset.shape == (len(image_ids) + 1,)
        fits = (
            fits
            and offset.max(initial=0) <= len(boxes)
            and offset[0] == 0
            and offset[-1] == len(boxes)
            and bool((offset[1:] >= offset[:-1]).all())
        )
    if not fits or boxes.shape[-1] != 4:
        raise ExportError(
            f"{path}: boxes has shape {boxes.shape}, expected [{len(image_ids)}, R, 4], or [n, 4] and box_offset "
            f"[{len(image_ids) + 1}] that rises from 0 to n"
        )
    pieces = list(boxes) if offset is None else [boxes[a:b] for a, b in itertools.pairwise(offset.tolist())]
    return by_name(path, zip(image_ids, pieces, strict=True))


def _from_tsv(path: Path) -> tuple[Boxes, Sizes]:
    rows: list[tuple[str, NDArray[np.floating], tuple[int, int]]] = []
    with open_to_read(path, error=ExportError, pipes=True) as file, reading(path, error=ExportError):
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_row(f"{path} line {number}", line))
    boxes = by_name(path, ((image_id, box) for image_id, box, _ in rows))
    return boxes, by_name(path, ((image_id, size) for image_id, _, size in rows))


def _row(where: str, line: bytes) -> tuple[str, NDArray[np.floating], tuple[int, int]]:
    """The id, the boxes f4[R, 4] and the width and height in a line of bottom-up features."""
    fields = line.rstrip(b"\r\n").split(b"\t")
    names = _LXMERT if len(fields) == len(_LXMERT) + 1 else _BOTTOM_UP
    try:
        row = dict(zip(names, fields, strict=False))
        # A negative count would leave the number of boxes to numpy.
        count = max(int(row["count"]), 0)
        box = np.frombuffer(base64.b64decode(row["boxes"], validate=True), np.float32).reshape(count, 4)
        return row["id"].decode("utf-8"), box, (_side(row["width"]), _side(row["height"]))
    except (KeyError, ValueError, binascii.Error) as error:
        raise ExportError(
            f"{where} is no row of bottom-up features ({error})",
            hint="expected tab-separated image_id, image_w, image_h, num_boxes, boxes (base64 float32), ...",
        ) from error


def _side(digits: bytes) -> int:
    side = int(digits)
    if side >= LONGEST_SIDE:
        raise ValueError(f"an image of more than {LONGEST_SIDE} pixels across")
    return side


def coco_number(image_id: str) -> str:
    """The number in the name of a COCO file, as `COCO_val2014_000000000042`; any other id as it stands."""
    head, _, number = image_id.rpartition("_")
    is_coco = head.startswith("COCO_") and number.isascii() and number.isdigit()
    return (number.lstrip("0") or "0") if is_coco else image_id


def by_name(path: Path, pairs: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """Values of images, each under its id and, for a COCO file name, under the number in it.

    Raises:
        ExportError: Two are of one image.
    """
    chosen: dict[str, Value] = {}
    for image_id, value in pairs:
        for name in {image_id, coco_number(image_id)}:
            if name in chosen:
                raise ExportError(f"{path} has image {name} twice", hint="keep one of its rows")
            chosen[name] = value
    return chosen
