"""Array passes in torch give what those in numpy give."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torchmetrics")

import torch

from attneval.config.thresholds import Threshold
from attneval.integrations.captured_maps import CapturedMaps
from attneval.integrations.device_channels import count_on_device, normalised_on_device
from attneval.metrics.fast_channels import KeySets, count_channels
from attneval.metrics.rankings import normalised

ITEMS, CHANNELS, KEYS = 7, 40, 12


def tied_weights(seed: int) -> np.ndarray:
    """Rows with ties, even rows, rows of zeros, and rows with all weight on one key or on the relevant ones."""
    random = np.random.default_rng(seed)
    weight = random.integers(0, 5, (ITEMS, CHANNELS, KEYS)).astype(np.float64)
    weight[:, 0], weight[:, 1], weight[:, 2] = 0.0, 3.0, 0.0
    weight[:, 2, 0] = 1.0
    weight[:, 3] = random.random((ITEMS, KEYS))
    weight[:, 4] = 0.1 * (1 + 1e-14 * random.random((ITEMS, KEYS)))
    weight[:, 5] = random.random((ITEMS, KEYS)) * (np.arange(KEYS) % 3 == 0)
    return weight


def sets() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    relevant = (np.arange(KEYS) % 3 == 0) * np.ones((ITEMS, 1))
    relevant[0], relevant[1] = 0, 1
    relevant[2:5] = random.random((3, KEYS)) < 0.4
    return {
        "relevant": relevant,
        "pointing": random.random((ITEMS, KEYS)).round(),
        "area": random.random((ITEMS, KEYS)),
    }


@pytest.mark.parametrize("rule", ["uniform", "uniform:2", "abs:0.1", "abs:0"])
@pytest.mark.parametrize("method", ["sum", "none", "softmax", "minmax"])
@pytest.mark.parametrize("with_area", [True, False])
def test_as_in_numpy(rule: str, method: str, *, with_area: bool) -> None:
    chosen = {kind: values for kind, values in sets().items() if with_area or kind != "area"}
    for seed in range(3):
        weight, threshold = tied_weights(seed), Threshold.parse(rule)
        expected = count_channels(weight.copy(), KeySets.stacked(chosen), threshold, method).columns()
        on_device = {kind: torch.from_numpy(values) for kind, values in chosen.items()}
        made = count_on_device(torch.from_numpy(weight), on_device, threshold, method).columns()
        assert sorted(made) == sorted(expected)
        for name, values in made.items():
            if name in {"mass", "area_mass"}:
                assert np.abs(values - expected[name]).max() < 1e-14, name
            elif method == "softmax":
                # Exponentials are rounded by each library in its own way, which decides the ties of nearly even rows.
                assert np.delete(values == expected[name], 4, axis=1).all(), name
            else:
                assert (values == expected[name]).all(), name


@pytest.mark.parametrize("method", ["sum", "none", "softmax", "minmax"])
def test_normalised_as_in_numpy(method: str) -> None:
    weight = np.concatenate([tied_weights(0).reshape(-1, KEYS), -np.ones((1, KEYS)), np.zeros((1, KEYS))])
    made = normalised_on_device(torch.from_numpy(weight), method).numpy()
    assert np.abs(made - normalised(weight, method)).max() < 1e-15


def test_rows_are_those_that_would_be_written() -> None:
    """Divided by their sums, rounded to the file's type; of some channels, in layers with different heads."""
    random = torch.Generator().manual_seed(0)
    layers = (torch.rand(3, 2, 5, 7, generator=random), torch.rand(3, 4, 5, 7, generator=random))
    layers[0][1, 1, 2] = 0
    whole = torch.cat(layers, 1).numpy().astype(np.float64)
    caption, token = np.array([1, 0, 1]), np.array([2, 4, 2])
    maps = CapturedMaps(layers, normalised=True, dtype=torch.float16)
    mass = maps.masses()
    assert mass.shape == (3, 6, 5)
    assert np.abs(mass - whole.sum(-1)).max() < 1e-6
    share = np.divide(whole, mass[..., None], out=np.zeros_like(whole), where=mass[..., None] > 0)
    stored = share.astype(np.float32).astype(np.float16).astype(np.float64)[caption, :, token]
    place = torch.from_numpy(caption), torch.from_numpy(token)
    for low in range(6):
        for high in range(low + 1, 7):
            assert (maps.rows(*place, low, high).numpy() == stored[:, low:high]).all()
    assert (maps.summed_rows(*place).numpy() == stored.sum(axis=1)).all()
    as_they_are = CapturedMaps(layers, normalised=False, dtype=None)
    assert (as_they_are.rows(*place, 0, 6).numpy() == whole[caption, :, token]).all()
