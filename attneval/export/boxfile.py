"""Region boxes from a file of their own, for features that were released without them."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import ExportError, first_of
from attneval.export.archive import Archive
from attneval.export.regions import Regions
from attneval.text import offsets_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.content import AttentionExport

    Boxes = dict[str, NDArray[np.floating]]
    Sizes = dict[str, tuple[int, int]]

# Columns of the two layouts of bottom-up features, without the features at the end.
_LXMERT = ("id", "height", "width", "objects", "objects", "attributes", "attributes", "count", "boxes")
_BOTTOM_UP = ("id", "width", "height", "count", "boxes")
_COCO = re.compile(r"COCO_\w+_0*(\d+)")


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
    sizes: Sizes = {}
    if path.suffix == ".npy":
        boxes = _from_npy(export, path)
    elif path.suffix == ".npz":
        boxes = _from_npz(path)
    else:
        boxes, sizes = _from_tsv(path)
    lacking = [image_id for image_id in export.image_id if image_id not in boxes]
    if lacking:
        raise ExportError(
            f"{path} has no boxes for {len(lacking)} of {len(export.image_id)} images (first: {first_of(lacking)})",
            hint="image ids must be the export's; COCO_val2014_000000000042 also counts as 42",
        )
    found = [boxes[image_id] for image_id in export.image_id]
    count = np.array([len(box) for box in found], np.int64)
    used = np.zeros(len(found), np.bool_)
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
    return replace(export, regions=Regions(offsets_of(count), box=np.concatenate(found)), image_size=size)


def _from_npy(export: AttentionExport, path: Path) -> Boxes:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ExportError(f"{path} is no .npy array ({error})") from error
    if array.ndim != 3 or array.shape[2] != 4 or len(array) != len(export.image_id) or array.dtype.kind not in "fiu":
        raise ExportError(
            f"{path} holds {array.dtype}{list(array.shape)}, expected boxes [{len(export.image_id)}, R, 4] in the "
            "export's order of images"
        )
    return dict(zip(export.image_id, np.asarray(array, np.float32), strict=True))


def _from_npz(path: Path) -> Boxes:
    archive = Archive(path)
    names = set(archive.names)
    if not {"boxes", "image_ids"} <= names or archive.dtype("image_ids").kind != "U":
        raise ExportError(f"{path} needs the members boxes and image_ids (strings); it has {', '.join(archive.names)}")
    boxes, image_ids = archive.array("boxes"), archive.array("image_ids").tolist()
    if "box_offset" in names and boxes.ndim == 2:
        offset = archive.array("box_offset").tolist()
        fits = (
            len(offset) == len(image_ids) + 1
            and offset == sorted(offset)
            and [offset[0], offset[-1]] == [0, len(boxes)]
        )
        pieces = [boxes[a:b] for a, b in itertools.pairwise(offset)]
    else:
        fits, pieces = boxes.ndim == 3 and len(boxes) == len(image_ids), list(boxes)
    if not fits or boxes.shape[-1] != 4:
        raise ExportError(
            f"{path}: boxes has shape {boxes.shape}, expected [{len(image_ids)}, R, 4], or [n, 4] and box_offset"
        )
    return dict(zip(image_ids, pieces, strict=True))


def _from_tsv(path: Path) -> tuple[Boxes, Sizes]:
    boxes: Boxes = {}
    sizes: Sizes = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            fields = line.rstrip(b"\r\n").split(b"\t")
            names = _LXMERT if len(fields) == len(_LXMERT) + 1 else _BOTTOM_UP
            try:
                row = dict(zip(names, fields, strict=False))
                image_id = row["id"].decode("utf-8")
                data = base64.b64decode(row["boxes"], validate=True)
                box = np.frombuffer(data, np.float32).reshape(int(row["count"]), 4)
                size = (int(row["width"]), int(row["height"]))
            except (KeyError, ValueError, binascii.Error) as error:
                raise ExportError(
                    f"{path} line {number} is no row of bottom-up features ({error})",
                    hint="expected tab-separated image_id, image_w, image_h, num_boxes, boxes (base64 float32), ...",
                ) from error
            match = _COCO.fullmatch(image_id)
            for name in (image_id, match[1]) if match else (image_id,):
                boxes[name], sizes[name] = box, size
    return boxes, sizes
