#!/usr/bin/env python3
"""Make region features that know objects, of region features that do not.

    python object_features.py DATA GT OUT --teach 3000

DATA is a folder in the precomputed layout (docs/training.md) with pixel boxes and sizes, GT annotations of its training
images. A small network learns on the first training images alone which words of annotated phrases a region shows: those
whose box it covers, as the metrics decide it (IoU of at least 0.5). It sees a region's features, the mean of its
image's features, and the region's place. What its last hidden layer gives for a region, standardised, is the region's
new feature. OUT gets the other training images, dev and test, all new to the network, so that a model trained on OUT
sees features as good as those that it is tested on.
"""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from attneval.extraction.annotated import relevant_regions
from attneval.training import EncodedCaptions, Vocabulary, open_split
from attneval.training.data.vocabulary import query_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.training.data.precomputed import Split

IMAGES_AT_A_TIME = 256


def inputs(split: Split, images: Sequence[int]) -> Tensor:
    """Input of the network: f4[n, R, 2 F + 5] of some images."""
    features = np.stack(split.regions.features(split.rows[list(images)])).astype(np.float32)
    places = []
    for row in split.rows[list(images)].tolist():
        box, size = split.regions.boxes(row), split.regions.size(row)
        if box is None or size is None:
            raise SystemExit(f"{split.source}: pixel boxes and sizes of images are needed")
        share = box / np.array([*size, *size], np.float32)
        area = (share[:, 2] - share[:, 0]) * (share[:, 3] - share[:, 1])
        places.append(np.concatenate([share, area[:, None]], axis=1))
    mean = np.repeat(features.mean(axis=1, keepdims=True), features.shape[1], axis=1)
    return torch.from_numpy(np.concatenate([features, mean, np.stack(places)], axis=2).astype(np.float32))


def labels(split: Split, gt: Path, *, words: int, min_count: int) -> Tensor:
    """The frequent content words that each region shows: f4[n, R, W], 1 where it shows one."""
    vocabulary = Vocabulary.build(split.captions, 1)
    captions = EncodedCaptions.from_texts(split.captions, vocabulary)
    relevant = relevant_regions(gt, split, captions)
    caption = np.repeat(np.arange(len(captions)), np.diff(relevant.offset))
    word = np.array([captions.ids[row][token] for row, token in zip(caption, relevant.token, strict=True)], np.int64)
    content = query_words(vocabulary, content_only=True)
    counts = Counter(word[content[word]].tolist())
    kept = [each for each, count in counts.most_common(words) if count >= min_count]
    column = np.full(len(vocabulary), -1)
    column[kept] = np.arange(len(kept))
    shown = np.zeros((split.images, split.feature_shape[0], len(kept)), np.float32)
    chosen = np.flatnonzero(column[word] >= 0)
    row, region = np.nonzero(relevant.regions[chosen])
    shown[split.caption_image[caption[chosen[row]]], region, column[word[chosen[row]]]] = 1
    return torch.from_numpy(shown)


def teach(seen: Tensor, shown: Tensor, *, hidden: int, epochs: int) -> nn.Sequential:
    """Train the network; gives it without its last layer."""
    network = nn.Sequential(
        *(nn.Linear(seen.shape[-1], 2 * hidden), nn.ReLU(), nn.Dropout(0.4)),
        *(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Dropout(0.4), nn.Linear(hidden, shown.shape[-1])),
    )
    seen, shown = seen.flatten(0, 1), shown.flatten(0, 1)
    steps = epochs * -(-len(seen) // 1024)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(epochs):
        losses = []
        for rows in torch.split(torch.randperm(len(seen)), 1024):
            loss = nn.functional.binary_cross_entropy_with_logits(network(seen[rows]), shown[rows], reduction="sum")
            loss = loss / len(rows)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}", flush=True)  # noqa: T201
    return nn.Sequential(*list(network)[:5]).eval()


@torch.no_grad()
def features(network: nn.Sequential, split: Split) -> NDArray[np.float32]:
    """The hidden layer's numbers: f4[I, R, H]."""
    starts = range(0, split.images, IMAGES_AT_A_TIME)
    blocks = (range(start, min(start + IMAGES_AT_A_TIME, split.images)) for start in starts)
    return np.concatenate([network(inputs(split, block)).numpy() for block in blocks])


def main() -> None:
    """Read, teach, write."""
    parser = argparse.ArgumentParser(description="Make region features that know objects.")
    parser.add_argument("data", type=Path)
    parser.add_argument("gt", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--teach", type=int, default=3000, help="training images that the network learns from")
    parser.add_argument("--words", type=int, default=600, help="at most so many words")
    parser.add_argument("--min-count", type=int, default=13, help="only words annotated so often")
    parser.add_argument("--hidden", type=int, default=512, help="numbers of a new feature")
    parser.add_argument("--epochs", type=int, default=9)
    given = parser.parse_args()
    torch.manual_seed(0)
    train = open_split(given.data, "train")
    known, new = train.part(0, given.teach), train.part(given.teach, train.images)
    shown = labels(known, given.gt, words=given.words, min_count=given.min_count)
    network = teach(inputs(known, range(known.images)), shown, hidden=given.hidden, epochs=given.epochs)
    given.out.mkdir(parents=True)
    mean = deviation = None
    for name, split, first in (
        ("train", new, known.images),
        ("dev", open_split(given.data, "dev"), 0),
        ("test", open_split(given.data, "test"), 0),
    ):
        made = features(network, split)
        if mean is None or deviation is None:
            mean, deviation = made.mean(axis=(0, 1)), made.std(axis=(0, 1)) + 1e-3
        np.save(given.out / f"{name}_ims.npy", (made - mean) / deviation)
        for kind in ("boxes", "sizes"):
            np.save(given.out / f"{name}_{kind}.npy", np.load(given.data / f"{name}_{kind}.npy")[first:])
        if first:
            (given.out / f"{name}_caps.txt").write_text("\n".join(split.captions) + "\n", encoding="utf-8")
            (given.out / f"{name}_ids.txt").write_text("\n".join(split.image_ids or ()) + "\n", encoding="utf-8")
        else:
            for kind in ("caps", "ids"):
                shutil.copy(given.data / f"{name}_{kind}.txt", given.out)


if __name__ == "__main__":
    main()
