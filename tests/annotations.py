"""Annotations to be read, written as their owners write them, and what was read of them."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

from attneval.groundtruth import GroundTruth, open_ground_truth

if TYPE_CHECKING:
    from pathlib import Path

PixelBox = tuple[int, int, int, int]


def thing(names: str, box: PixelBox | None = None, scene: int = 0) -> str:
    """An `object` element of several names, with a box or without."""
    named = "".join(f"<name>{name}</name>" for name in names.split())
    if box is None:
        return f"<object>{named}<scene>{scene}</scene><nobndbox>1</nobndbox></object>"
    edges = "".join(
        f"<{edge}>{value}</{edge}>" for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object>{named}<bndbox>{edges}</bndbox></object>"


def annotation(*objects: str, width: object = 100, height: object = 80) -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>x.jpg</filename>{size}{''.join(objects)}</annotation>"


def write_entities(root: Path, images: dict[str, tuple[str, str]]) -> Path:
    """Write images, each with the text of its two files."""
    for folder in ("Annotations", "Sentences"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for image_id, (boxes, sentences) in images.items():
        (root / f"Annotations/{image_id}.xml").write_text(boxes, encoding="utf-8")
        (root / f"Sentences/{image_id}.txt").write_bytes(sentences.encode("utf-8"))
    return root


def japanese_release(shared: Path, root: Path) -> Path:
    """Write the real Japanese lines with boxes that are made up for their chains; the porch has none."""
    lines = (shared / "annotation_formats/flickr30k_jp/Sentences/1000268201.txt").read_bytes().decode("utf-8")
    stairs = (thing("20", (1, 41, 100, 60)), thing("20", (1, 61, 100, 80)))
    child = (thing("18", (11, 11, 50, 60)), thing("19", (16, 31, 45, 60)))
    return write_entities(root, {"1000268201": (annotation(*child, *stairs, thing("21", (41, 1, 90, 70))), lines)})


def write_zip(path: Path, folder: Path, prefix: str = "", extra: tuple[str, ...] = ()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in extra:
            archive.writestr(name, b"\0")
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, prefix + str(file.relative_to(folder)))
    return path


def read(root: Path, *image_ids: str, edges: str = "pixel") -> GroundTruth:
    source = open_ground_truth(root, edges=edges)
    return source.read(image_ids or source.image_ids())


def phrases(truth: GroundTruth, caption: int = 0) -> list[tuple[list[str], int]]:
    """The texts of the spans of each phrase of a caption, and its entity."""
    text = truth.text[caption]
    found = []
    for phrase in range(*truth.phrase_offset[caption : caption + 2].tolist()):
        spans = truth.span[slice(*truth.span_offset[phrase : phrase + 2].tolist())].tolist()
        found.append(([text[start:stop] for start, stop in spans], int(truth.phrase_entity[phrase])))
    return found


def boxes_of(truth: GroundTruth, entity: int) -> list[list[float]]:
    return [[float(edge) for edge in box] for box in truth.box[slice(*truth.box_offset[entity : entity + 2].tolist())]]


def types_of(truth: GroundTruth) -> list[list[str]]:
    return [[name for bit, name in enumerate(truth.types) if int(bits) >> bit & 1] for bits in truth.phrase_types]


TWO_IMAGES = {
    "20": (
        annotation(thing("1", (11, 21, 50, 60)), thing("1 2", (1, 1, 100, 80))),
        "[/EN#1/people A man] in [/EN#2/clothing/other a red hat] .\nNothing here .\n",
    ),
    "3": (
        annotation(thing("7", (2, 3, 4, 5)), width=10, height=20),
        "[/EN#7/animals The dog]\n[/EN#8/scene outside]\n",
    ),
}


def caption_entry(number: int, caption: str, spans: list[list[list[int]]] | None, **given: object) -> dict[str, Any]:
    entry = {
        "id": number,
        "file_name": "36979.jpg",
        "width": "100",  # strings, as in MDETR's own files
        "height": "80",
        "caption": caption,
        "original_img_id": 36979,
        "sentence_id": number % 10,
    }
    return entry | ({} if spans is None else {"tokens_positive_eval": spans}) | given


def box_entry(number: int, image: int, bbox: list[float], positive: list[list[int]]) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "area": bbox[2] * bbox[3],
        "bbox": bbox,
        "tokens_positive": positive,
    }


#                1         2
#      0123456789012345678901234567
DOGS = "A dog and two dogs run , wow"


def write_json(path: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> Path:
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def write_dogs(path: Path, spans: list[list[list[int]]] | None) -> Path:
    images = [
        caption_entry(10, DOGS, spans),
        caption_entry(12, "A dog", spans and [[[0, 5]]]),
        caption_entry(20, "Elsewhere", spans and [[[0, 9]]], original_img_id="7", width=640, height=480),
    ]
    annotations = [
        box_entry(1, 10, [1.5, 2, 10, 20], [[0, 5]]),
        box_entry(2, 10, [30, 30, 5, 5], [[6, 9], [10, 18]]),
        box_entry(3, 10, [20, 20, 5, 5], [[10, 18]]),
        box_entry(4, 12, [1.5, 2, 10, 20], [[0, 5]]),
    ]
    return write_json(path, images, annotations)
