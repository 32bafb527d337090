"""A generated data set: things with a look and a name, in places, with captions that name them."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.training.data.batches import CaptionBatch, ImageBatch
from attneval.training.models.table import build_model, model_config

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.training.models.attention import Fragments
    from attneval.training.models.matching import MatchingModel

THINGS = ("dog", "cat", "man", "tree", "car", "ball", "boat", "horse", "bird", "house")
REGIONS, FEATURES, WIDTH, HEIGHT = 6, 16, 120, 80


def write_toy(folder: Path, *, train: int = 60, dev: int = 20, seed: int = 0) -> Path:
    """Write `{split}_*.npy` and `{split}_*.txt`; region r shows the r-th thing that the captions name, then noise.

    What is where is annotated in `entities/`, in the layout of Flickr30k Entities.
    """
    random = np.random.default_rng(seed)
    looks = random.normal(size=(len(THINGS), FEATURES)) * 2
    for name in ("Annotations", "Sentences"):
        (folder / "entities" / name).mkdir(parents=True, exist_ok=True)
    for split, images in (("train", train), ("dev", dev), ("test", dev)):
        features = random.normal(size=(images, REGIONS, FEATURES)) * 0.5
        sentences: list[list[str]] = []
        things = []
        for image in range(images):
            shown = random.choice(len(THINGS), size=3, replace=False)
            features[image, :3] += looks[shown]
            things.append(shown)
            sentences.append([])
            for _ in range(5):
                first, second, third = random.permutation(shown).tolist()
                end = f" and {_phrase('a', third)}" if random.random() < 0.5 else ""
                sentences[-1].append(f"{_phrase('A', first)} near {_phrase('the', second)}{end} .")
        corner = random.uniform(0, 0.6, size=(images, REGIONS, 2))
        extent = random.uniform(0.1, 0.4, size=(images, REGIONS, 2))
        size = np.array([WIDTH, HEIGHT])
        boxes = np.concatenate([corner * size, (corner + extent) * size], axis=-1)
        np.save(folder / f"{split}_ims.npy", features.astype(np.float32))
        np.save(folder / f"{split}_boxes.npy", boxes.astype(np.float32))
        np.save(folder / f"{split}_sizes.npy", np.tile(size, (images, 1)).astype(np.int32))
        captions = [re.sub(r"\[\S+ |\]", "", sentence) for own in sentences for sentence in own]
        (folder / f"{split}_caps.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
        ids = [f"{split}{image}" for image in range(images)]
        (folder / f"{split}_ids.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
        for image_id, shown, own, where in zip(ids, things, sentences, boxes, strict=True):
            (folder / "entities" / "Sentences" / f"{image_id}.txt").write_text("\n".join(own) + "\n", encoding="utf-8")
            xml = _annotation(dict(zip(shown.tolist(), where.round().astype(int).tolist(), strict=False)))
            (folder / "entities" / "Annotations" / f"{image_id}.xml").write_text(xml, encoding="utf-8")
    return folder


def _phrase(article: str, thing: int) -> str:
    return f"[/EN#{thing + 1}/other {article} {THINGS[thing]}]"


def _annotation(boxes: dict[int, list[int]]) -> str:
    """A box file; the first pixel is 1, the last one is inside."""
    objects = "".join(
        f"<object><name>{thing + 1}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for thing, (left, top, right, bottom) in boxes.items()
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return f"<annotation>{size}{objects}</annotation>\n"


def write_tsv(path: Path, images: dict[str, np.ndarray], *, lxmert: bool = False) -> Path:
    """Write region features [R, F] of images as a bottom-up TSV, with boxes that are tenths of the image."""
    lines = []
    for image_id, features in images.items():
        count = len(features)
        left = np.arange(count) * 10
        boxes = np.stack([left, left * 0, left + 10, left * 0 + 40], axis=1).astype("<f4")
        box_text = base64.b64encode(boxes.tobytes()).decode()
        feature_text = base64.b64encode(features.astype("<f4").tobytes()).decode()
        if lxmert:
            columns = [image_id, HEIGHT, WIDTH, "", "", "", "", count, box_text, feature_text]
        else:
            columns = [image_id, WIDTH, HEIGHT, count, box_text, feature_text]
        lines.append("\t".join(map(str, columns)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def small_model(name: str, *, seed: int = 0, **overrides: Any) -> MatchingModel:
    """A tiny model in evaluation mode."""
    torch.manual_seed(seed)
    sizes = {"image_dim": 10, "regions": 5, "embed_dim": 8, "word_dim": 6, "sim_dim": 7}
    vocab_size = overrides.pop("vocab_size", 30)
    return build_model(model_config(name, vocab_size, **{**sizes, **overrides})).eval()


def small_images(count: int, *, regions: int = 5, seed: int = 0) -> ImageBatch:
    """Random images for `small_model`."""
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 257, (count, regions, 15), generator=random)
    weights = torch.rand((count, regions, 15), generator=random) / 15
    features = torch.randn((count, regions, 10), generator=random)
    return ImageBatch(features, torch.ones(count, regions, dtype=torch.bool), ids, weights)


def small_captions(lengths: list[int], *, seed: int = 0) -> CaptionBatch:
    """Random captions for `small_model`, padded to the longest."""
    random = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    ids = torch.randint(1, 30, mask.shape, generator=random).masked_fill(~mask, 0)
    return CaptionBatch(ids, mask)


def real(fragments: Fragments, row: int) -> np.ndarray:
    """The real vectors of one image or caption, in double precision."""
    vectors = fragments.vectors[row][fragments.mask[row]]
    return vectors.detach().double().numpy()
