"""Files as they should be: small exports, annotations, results and models, to be damaged."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.export.write.writer import ExportWriter
from attneval.groundtruth import open_ground_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from attneval.groundtruth import GroundTruth

    from .server import Outcome

    Run = Callable[..., Outcome]

IMAGES = {"36979": (120, 90), "4711": (100, 80), "20": (64, 48)}
"""Ids and sizes of images."""
MANY = {str(number): (64, 48) for number in range(210)}
"""Images of which an index is kept."""
CELLS = (3, 4)


def write_entities(folder: Path, images: Mapping[str, tuple[int, int]] = IMAGES) -> Path:
    """Write images, by default three, in the layout of Flickr30k Entities."""
    for name in ("Annotations", "Sentences"):
        (folder / name).mkdir(parents=True)
    for image, (width, height) in images.items():
        boxes = [(1, 1, width // 2, height // 2), (width // 2 + 1, 1, width, height), (5, height // 2, 40, height)]
        things = "".join(
            f"<object><name>{k}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
            "</object>\n"
            for k, (a, b, c, d) in enumerate(boxes, 1)
        )
        things += "<object><name>4</name><scene>1</scene><nobndbox>0</nobndbox></object>\n"
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        xml = f"<annotation>\n<filename>{image}.jpg</filename>{size}\n{things}</annotation>\n"
        (folder / "Annotations" / f"{image}.xml").write_text(xml, "utf-8")
        text = (
            "[/EN#1/people A man] with [/EN#2/clothing/other a red hat] sees [/EN#3/animals two dogs] .\n"
            "[/EN#3/animals The café dog] runs in [/EN#4/scene the park] to [/EN#1/people a man] .\n"
        )
        (folder / "Sentences" / f"{image}.txt").write_text(text, "utf-8")
    return folder


def write_export(
    path: Path,
    truth: GroundTruth,
    *,
    grid: bool = False,
    channels: int = 1,
    names: bool = False,
    mass: bool = False,
    windows: bool = False,
    back: bool = False,
    similarity: bool = True,
) -> None:
    """Write maps of all captions of some annotations, whose words are the tokens."""
    random = np.random.default_rng(3)
    rows, columns = CELLS
    count = rows * columns
    listed = [(-1, -1)] if channels == 1 else [(a // 3, a % 3) for a in range(channels)]
    titles = [f"step {a}" for a in range(channels)] if names else None
    captions = 0
    with ExportWriter(path, normalised_over="regions", channels=listed, channel_names=titles, model="m") as out:
        for row, name in enumerate(truth.image_id):
            width, height = truth.image_size[row].tolist() if truth.image_size[row].all() else (640, 640)
            x, y = np.linspace(0, width, columns + 1), np.linspace(0, height, rows + 1)
            boxes = np.array([[x[c], y[r], x[c + 1], y[r + 1]] for r in range(rows) for c in range(columns)])
            if grid:
                out.add_image(name, size=(width, height), grid=CELLS)
            else:
                out.add_image(name, size=(width, height), boxes=boxes)
            for caption in range(*truth.caption_offset[row : row + 2].tolist()):
                words = truth.text[caption].split() or ["."]
                window = (int(random.integers(0, 4)), 8) if windows else None
                shape = (channels, len(words), window[1] if window else count)
                weights = random.dirichlet(np.full(shape[2], 0.3), shape[:2]).astype(np.float32)
                given: dict[str, Any] = {}
                if back:
                    raw = random.random(shape)
                    given["attention_i2t"] = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
                if mass:
                    given["mass"] = random.random(shape[:2]).astype(np.float32) + np.float32(0.1)
                index = int(truth.caption_index[caption])
                out.add_caption(name, weights, index=index, tokens=words, window=window, **given)
                captions += 1
        if similarity:
            out.set_similarity(random.random((len(truth.image_id), captions)).astype(np.float32))


def truth_of(*files: Path) -> GroundTruth:
    """All of some annotations."""
    source = open_ground_truth(list(files))
    return source.read(source.image_ids())


def world(folder: Path, images: Mapping[str, tuple[int, int]] = IMAGES, *, bare: str = "", **kind: Any) -> None:
    """Write `entities/` and `maps.npz`; at times with one more image, which has no captions."""
    entities = write_entities(folder / "entities", {**images, **({bare: (64, 48)} if bare else {})})
    if bare:
        (entities / "Sentences" / f"{bare}.txt").write_text("", "utf-8")
    write_export(folder / "maps.npz", truth_of(entities), **kind)


def padded(folder: Path) -> None:
    """Write `entities/`, and `maps.npz` in the padded layout without boxes beside files of boxes."""
    truth = truth_of(write_entities(folder / "entities"))
    random, (rows, columns) = np.random.default_rng(5), CELLS
    words = [text.split() for text in truth.text]
    longest, regions = max(map(len, words)), rows * columns
    attention = np.zeros((len(words), longest, regions), np.float32)
    ids = []
    for row in range(len(truth.image_id)):
        for caption in range(*truth.caption_offset[row : row + 2].tolist()):
            tokens = len(words[caption])
            attention[caption, :tokens] = random.dirichlet(np.full(regions, 0.3), tokens)
            ids.append(f"{truth.image_id[row]}#{truth.caption_index[caption]}")
    boxes = np.zeros((len(truth.image_id), regions, 4), np.float32)
    for row, (width, height) in enumerate(truth.image_size.tolist()):
        low = random.uniform(0, 0.5, (regions, 2)) * [width, height]
        boxes[row] = np.concatenate([low, low + random.uniform(0.2, 0.5, (regions, 2)) * [width, height]], axis=1)
    members = {
        "attn": attention,
        "words": np.array([own + [""] * (longest - len(own)) for own in words]),
        "caption_ids": np.array(ids),
        "image_ids": np.array(truth.image_id),
        "similarity": random.random((len(truth.image_id), len(words))).astype(np.float32),
        "meta": np.array(json.dumps({"kind": "attention", "normalised_over": "regions"})),
    }
    np.savez(folder / "bare.npz", **members)  # type: ignore[arg-type]
    np.savez(folder / "maps.npz", **members, boxes=boxes)  # type: ignore[arg-type]
    np.savez(folder / "boxes.npz", image_ids=members["image_ids"], boxes=boxes)
    np.save(folder / "boxes.npy", boxes)
    np.save(folder / "scores.npy", members["similarity"])
    lines = [
        f"{name}\t{width}\t{height}\t{regions}\t{base64.b64encode(box.tobytes()).decode()}\t"
        for name, (width, height), box in zip(truth.image_id, truth.image_size.tolist(), boxes, strict=True)
    ]
    (folder / "boxes.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "split.txt").write_text("".join(f"{name}\n" for name in truth.image_id), "utf-8")


def results(folder: Path, run: Run) -> None:
    """Write an export, two results with items and sums of channels, and the export's photographs."""
    from PIL import Image

    world(folder, channels=18, similarity=True)
    world_of_other(folder)
    for name in ("r", "base"):
        maps = "maps.npz" if name == "r" else "other.npz"
        arguments = ("score", maps, "--gt", "entities", "-q", "--items", "--resamples", "50", "-o", f"{name}.json")
        done = run(folder, (*arguments, "--overlap", "iof"))
        assert done.code == 0, done.err
    (folder / "photos").mkdir()
    for number, (name, size) in enumerate(IMAGES.items()):
        colours = np.random.default_rng(number).integers(0, 255, (*size[::-1], 3), np.uint8)
        Image.fromarray(colours).save(folder / "photos" / f"{name}.{('png', 'jpg', 'gif')[number]}")
    shutil.rmtree(folder / "cache", ignore_errors=True)


def world_of_other(folder: Path) -> None:
    """Write `other.npz`, of even weights, for the annotations that are there."""
    with np.load(folder / "maps.npz") as held:
        members = dict(held)
    members["attention"] = np.full_like(members["attention"], 1 / (CELLS[0] * CELLS[1]))
    np.savez(folder / "other.npz", **members)


SETTINGS = """\
gt = "entities"
overlap = "iof"
threshold = "top:3"
iou = 0.5
min-area = 0
resamples = 20
seed = 5
digits = 2
format = "json"
jobs = 1

[gate]
baseline = "base.json"
min = { f1 = 0.01, ap = 0.01 }
max-drop = { f1 = 0.9 }
only-significant = false
"""


def settings(folder: Path, run: Run) -> None:
    """Write a result, its baseline and settings."""
    results(folder, run)
    (folder / "attneval.toml").write_text(SETTINGS, "utf-8")


def models(folder: Path, run: Run) -> None:
    """Write data in the precomputed layout and a run of two steps on it."""
    random = np.random.default_rng(0)
    for split, images in (("train", 4), ("dev", 3), ("test", 3)):
        np.save(folder / f"{split}_ims.npy", random.normal(size=(images, 4, 6)).astype(np.float32))
        boxes = np.tile(np.array([0, 0, 50, 40], np.float32), (images, 4, 1))
        np.save(folder / f"{split}_boxes.npy", boxes + random.uniform(0, 9, boxes.shape).astype(np.float32))
        np.save(folder / f"{split}_sizes.npy", np.tile(np.array([120, 80], np.int32), (images, 1)))
        (folder / f"{split}_caps.txt").write_text("A dog near the cat .\n" * 5 * images, "utf-8")
        (folder / f"{split}_ids.txt").write_text("".join(f"{split}{k}\n" for k in range(images)), "utf-8")
    done = run(folder, ("train", "-o", "run", *TRAIN))
    assert done.code == 0, done.err


TRAIN = (
    *("--model", "scan-t2i", "--data", ".", "--epochs", "1", "--embed-dim", "8", "--word-dim", "6"),
    *("--batch-size", "4", "--min-count", "1", "-q"),
)
