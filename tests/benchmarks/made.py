"""Inputs of any size: annotations copied from real ones or made up, and exports of an imagined model."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import numpy as np

from attneval import ExportWriter, open_ground_truth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.groundtruth import GroundTruth

SENTENCES = 5
"""Captions of an image."""
BASES = 1000
"""Different images that are made up; larger sets repeat them under other names."""
AT_ONCE = 128
"""Captions that are written together."""
DISTINCT_ROWS = 512
"""Rows of weights that the imagined model knows."""
WORDS = ["a", "the", "man", "woman", "two", "dogs", "red", "shirt", "is", "running", "in", "with", "street", "park"]
TYPES = ["people", "clothing", "bodyparts", "animals", "vehicles", "other"]

Files = tuple[bytes, bytes]
"""The annotation and the sentences of an image."""


def base(source: Path | None) -> list[Files]:
    """The images of a directory in the layout of Flickr30k Entities, or made-up ones."""
    if source is None:
        return [made_up(np.random.default_rng(seed)) for seed in range(BASES)]
    stems = sorted(path.stem for path in (source / "Annotations").glob("*.xml"))
    return [
        ((source / f"Annotations/{stem}.xml").read_bytes(), (source / f"Sentences/{stem}.txt").read_bytes())
        for stem in stems
    ]


def made_up(random: np.random.Generator) -> Files:
    """An image with eight boxes and five captions of a dozen words, as the real ones have on average."""
    chains = [str(200 + k) for k in range(8)]
    objects = []
    for chain in chains:
        x, y = (int(corner) for corner in random.integers(1, 300, 2))
        w, h = (int(side) for side in random.integers(20, 190, 2))
        edges = {"xmin": x, "ymin": y, "xmax": x + w, "ymax": y + h}
        lines = "\n".join(f"\t\t\t<{name}>{value}</{name}>" for name, value in edges.items())
        objects.append(f"\t<object>\n\t\t<name>{chain}</name>\n\t\t<bndbox>\n{lines}\n\t\t</bndbox>\n\t</object>\n")
    size = "\t<size>\n\t\t<width>500</width>\n\t\t<height>500</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    sentences = []
    for _ in range(SENTENCES):
        pieces = []
        for _ in range(3):
            plain, phrase = (" ".join(random.choice(WORDS, 2)) for _ in range(2))
            pieces.append(f"{plain} [/EN#{random.choice(chains)}/{random.choice(TYPES)} {phrase}]")
        sentences.append(" ".join(pieces) + " .\n")
    return f"<annotation>\n{size}{''.join(objects)}</annotation>\n".encode(), "".join(sentences).encode()


def write_entities(folder: Path, images: int, source: Path | None) -> list[str]:
    """Write Flickr30k Entities of some images.

    Returns:
        The images' ids.
    """
    for part in ("Annotations", "Sentences"):
        (folder / part).mkdir(parents=True)
    names = [f"{number:07d}" for number in range(images)]
    for name, (boxes, sentences) in zip(names, itertools.cycle(base(source)), strict=False):
        (folder / f"Annotations/{name}.xml").write_bytes(boxes)
        (folder / f"Sentences/{name}.txt").write_bytes(sentences)
    return names


def write_export(
    path: Path,
    truth: Path,
    image_ids: Sequence[str],
    *,
    regions: int = 36,
    grid: tuple[int, int] | None = None,
    channels: int = 1,
    similarity: bool = False,
    sentences: int = SENTENCES,
    dtype: str = "float32",
) -> None:
    """Write what an imagined model did on annotated images: softmax attention of every word over regions or cells."""
    random = np.random.default_rng(0)
    source = open_ground_truth(truth)
    cells = regions if grid is None else grid[0] * grid[1]
    rows = _softmax(random.normal(0, 2, (DISTINCT_ROWS, cells)))
    layers = [(-1, -1)] if channels == 1 else [(0, head) for head in range(channels)]
    with ExportWriter(path, normalised_over="regions", channels=layers, model="imagined", dtype=dtype) as out:
        captions = 0
        for first in range(0, len(image_ids), 1000):
            part = source.read(image_ids[first : first + 1000])
            for image, image_id in enumerate(part.image_id):
                width, height = part.image_size[image].tolist()
                boxes = None if grid else near(random, part, image, regions)
                out.add_image(image_id, size=(width, height), boxes=boxes, grid=grid)
            captions += _add_captions(out, random, part, rows, channels, sentences)
        if similarity:
            scores = random.standard_normal((len(image_ids), captions), np.float32)
            scores[np.repeat(np.arange(len(image_ids)), SENTENCES)[:captions], np.arange(captions)] += 3
            out.set_similarity(scores)


def _add_captions(
    out: ExportWriter,
    random: np.random.Generator,
    truth: GroundTruth,
    rows: NDArray[np.float32],
    channels: int,
    sentences: int,
) -> int:
    kept = np.flatnonzero(truth.caption_index < sentences).tolist()
    texts = [truth.text[row] for row in kept]
    spans = [np.array([match.span() for match in re.finditer(r"\S+", text)]) for text in texts]
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.caption_offset))[kept].tolist()
    number = truth.caption_index[kept].tolist()
    at_once = max(AT_ONCE // channels, 1)
    for first in range(0, len(texts), at_once):
        batch = slice(first, first + at_once)
        longest = max(map(len, spans[batch]))
        chosen = random.integers(0, len(rows), (len(texts[batch]), channels, longest))
        maps = rows[chosen]
        maps[np.broadcast_to(np.arange(longest) >= np.array([[[len(own)]] for own in spans[batch]]), chosen.shape)] = 0
        out.add_captions(
            [truth.image_id[i] for i in image[batch]],
            maps,
            indices=number[batch],
            texts=texts[batch],
            spans=spans[batch],
        )
    return len(texts)


def near(random: np.random.Generator, truth: GroundTruth, image: int, regions: int) -> NDArray[np.float32]:
    """Regions f4[n, 4] of an image: first its annotated boxes, then others anywhere."""
    size = truth.image_size[image]
    first, last = truth.box_offset[truth.entity_offset[image : image + 2]].tolist()
    own = np.clip(truth.box[first:last][:regions], 0, np.tile(size, 2))
    low = random.random((regions - len(own), 2)) * 0.7
    high = low + 0.05 + random.random(low.shape) * 0.25
    return np.concatenate((own, np.concatenate((low * size, high * size), axis=1))).astype(np.float32)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    power = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True), np.float32)
