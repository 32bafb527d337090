"""Scores of many channels at once equal those of ranked rows, channel by channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from attneval.arrays.index_sets import IndexSets
from attneval.config.thresholds import Threshold
from attneval.metrics.declaration import ATTENTION
from attneval.metrics.fast_channels import COLUMNS, KeySets, count_channels, joined
from attneval.metrics.hits import Hits
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.registry import columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

ITEMS, CHANNELS, KEYS = 7, 40, 12


def tied_weights(seed: int) -> NDArray[np.float64]:
    """Rows with ties, even rows, rows of zeros, and rows with all weight on the first key."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(0, 5, (ITEMS, CHANNELS, KEYS)).astype(np.float64)
    weight[:, 0], weight[:, 1], weight[:, 2] = 0.0, 3.0, 0.0
    weight[:, 2, 0] = 1.0
    weight[:, 3] = rng.random((ITEMS, KEYS))
    weight[:, 4] = 0.1 * (1 + 1e-14 * rng.random((ITEMS, KEYS)))
    return weight


def dense(sets: IndexSets) -> NDArray[np.float64]:
    rows = np.zeros((ITEMS, KEYS))
    for item in range(ITEMS):
        members = sets.member[sets.offset[item] : sets.offset[item + 1]]
        rows[item, members] = 1.0 if sets.value is None else sets.value[sets.offset[item] : sets.offset[item + 1]]
    return rows


@pytest.fixture
def sets() -> dict[str, IndexSets]:
    rng = np.random.default_rng(3)

    def some(share: float, *, valued: bool = False) -> IndexSets:
        chosen = rng.random((ITEMS, KEYS)) < share
        chosen[0], chosen[1], chosen[2] = False, True, np.arange(KEYS) == 0
        size = chosen.sum(axis=1)
        value = rng.random(int(size.sum())) if valued else None
        return IndexSets(np.concatenate(([0], np.cumsum(size))), np.nonzero(chosen)[1], value)

    return {"relevant": some(0.3), "pointing": some(0.5), "area": some(0.6, valued=True)}


@pytest.mark.parametrize("rule", ["uniform", "uniform:2", "abs:0.1", "abs:0"])
@pytest.mark.parametrize("method", ["sum", "none", "softmax", "minmax"])
@pytest.mark.parametrize("seed", range(3))
def test_equal_to_ranked_rows(sets: dict[str, IndexSets], rule: str, method: str, seed: int) -> None:
    weight = tied_weights(seed)
    threshold, specs = Threshold.parse(rule), columns(*ATTENTION)
    in_rows = KeySets.stacked({kind: dense(one) for kind, one in sets.items()})
    scores = count_channels(weight.copy(), in_rows, threshold, method).columns()
    assert tuple(sorted(scores)) == tuple(sorted(COLUMNS))
    every = np.arange(ITEMS)
    for channel in range(CHANNELS):
        rows = Rows.rank(normalised(weight[:, channel].copy(), method), threshold)
        hits = {kind: Hits(rows, every, one, every) for kind, one in sets.items()}
        for name, values in scores.items():
            alone = specs[name].values(hits[specs[name].against])
            if name in {"mass", "area_mass"}:
                assert np.abs(values[:, channel] - alone).max() < 1e-14
            else:
                assert values[:, channel].tolist() == alone.tolist(), (name, channel)


def test_hand_worked() -> None:
    weight = np.array([[[0.6, 0.2, 0.2, 0.0], [0.25, 0.25, 0.25, 0.25], [0.4, 0.4, 0.1, 0.1]]])
    sets = {"relevant": np.array([[1.0, 0, 0, 1.0]])}
    sets |= {"pointing": sets["relevant"], "area": np.array([[0.5, 0, 0, 1.0]])}
    scores = count_channels(weight, KeySets.stacked(sets), Threshold.parse("uniform"), "sum").columns()
    assert scores["precision"].tolist() == [[1.0, 0.5, 0.5]]
    assert scores["recall"].tolist() == [[0.5, 1.0, 0.5]]
    assert scores["pointing"].tolist() == [[1.0, 0.5, 0.5]]
    assert scores["mass"][0].tolist() == pytest.approx([0.6, 0.5, 0.5])
    assert scores["area_mass"][0].tolist() == pytest.approx([0.3, 0.375, 0.3])


def test_all_weight_inside_is_a_mass_of_exactly_one() -> None:
    rng = np.random.default_rng(0)
    relevant = np.zeros((1, 1000))
    relevant[0, ::3] = 1.0
    weight = rng.random((1, 50, 1000)) * relevant[:, None]
    sets = {"relevant": relevant, "pointing": relevant}
    scores = count_channels(weight, KeySets.stacked(sets), Threshold.parse("uniform"), "sum").columns()
    assert (scores["mass"] == 1).all()
    assert "area_mass" not in scores


def test_counts_of_some_channels_are_put_together() -> None:
    rng = np.random.default_rng(4)
    weight, relevant = rng.integers(0, 4, (2, 9, 6)).astype(np.float64), rng.integers(0, 2, (2, 6)).astype(np.float64)
    sets = KeySets.stacked({"relevant": relevant, "pointing": relevant, "area": rng.random((2, 6))})
    rule = Threshold.parse("uniform")
    whole = count_channels(weight.copy(), sets, rule, "sum").columns()
    # Rows that do not stand one after the other in memory are read alike.
    turned = np.asfortranarray(weight)
    parts = [count_channels(turned[:, low : low + 4], sets, rule, "sum") for low in range(0, 9, 4)]
    for name, values in joined(parts).columns().items():
        # Of masses the order of adding may differ.
        assert np.abs(values - whole[name]).max() <= (1e-15 if name in {"mass", "area_mass"} else 0)
