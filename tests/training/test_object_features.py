"""The script of docs/experiments that makes features which know objects."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attneval.training.data.precomputed import open_split
from training.toy import FEATURES, REGIONS, write_toy

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]


def test_features_that_the_network_has_not_seen_name_things(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Regions of one thing resemble one another more in the new features than in the old, on images new to it."""
    data, out = write_toy(tmp_path / "toy", train=330, dev=30), tmp_path / "out"
    noise = np.random.default_rng(0)
    for split in ("train", "dev", "test"):  # most of a region's numbers say nothing of what it shows
        features = np.load(data / f"{split}_ims.npy")
        np.save(
            data / f"{split}_ims.npy",
            np.concatenate([features, noise.normal(0, 2, (*features.shape[:2], 4 * FEATURES)).astype("f4")], axis=2),
        )
    script = ROOT / "docs" / "experiments" / "object_features.py"
    sizes = ["--teach", "300", "--hidden", "32", "--epochs", "80", "--min-count", "2"]
    subprocess.run(
        [sys.executable, str(script), str(data), str(data / "entities"), str(out), *sizes],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert capfd.readouterr().out.count("epoch") == 80
    train, test = open_split(out, "train"), open_split(out, "test")
    assert (train.images, test.images, train.feature_shape) == (30, 30, (REGIONS, 32))
    assert train.image_ids is not None
    assert train.image_ids[0] == "train300"
    assert train.captions == open_split(data, "train").part(300, 330).captions
    assert train.regions.boxes(0) is not None
    boxes = data / "entities" / "Annotations"
    whole = np.load(out / "train_ims.npy")
    np.testing.assert_allclose(whole.mean(axis=(0, 1)), 0, atol=1e-4)
    assert likeness(out, boxes) > likeness(data, boxes) + 0.1
    assert np.load(data / "test_ims.npy").shape[2] == 5 * FEATURES


def likeness(folder: Path, annotations: Path) -> float:
    """Mean cosine of two test regions that show the same thing, less that of two that show different ones."""
    features = np.load(folder / "test_ims.npy")
    shown = [
        re.findall(r"<name>(\d+)</name>", (annotations / f"test{image}.xml").read_text(encoding="utf-8"))
        for image in range(len(features))
    ]
    things = np.array(shown).ravel()  # the first regions of an image, in order
    regions = features[:, : len(shown[0])].reshape(len(things), -1)
    unit = regions / np.linalg.norm(regions, axis=1, keepdims=True)
    cosine, same = unit @ unit.T, things[:, None] == things[None, :]
    return float(cosine[same & ~np.eye(len(things), dtype=bool)].mean() - cosine[~same].mean())
