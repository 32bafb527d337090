"""A perfect map scores its oracle exactly, whatever its ties: each sum is divided once, and last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import Phrase, Scene, Shown, World, scored

from attneval import Protocol
from attneval.arrays.index_sets import IndexSets
from attneval.config.thresholds import Threshold
from attneval.metrics.declaration import ATTENTION
from attneval.metrics.hits import Hits
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.registry import columns, metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERFECT: tuple[str, ...] = ("precision", "recall", "f1", "micro_precision", "micro_recall", "micro_f1")
PERFECT += ("ap", "pointing", "mass", "rank_accuracy", "auc", "r@1", "r@5", "r@10")
RULES = ("uniform", "abs:0", "max:1")
RAW = ("uniform", "none")


def scores(weight: NDArray[np.float64], relevant: NDArray[np.int64], rule: str, normalize: str) -> dict[str, float]:
    """The columns of one row held against one set, and what they are divided by."""
    rows = Rows.rank(normalised(weight[None], normalize), Threshold.parse(rule))
    sets = IndexSets(np.array([0, len(relevant)]), relevant, np.ones(len(relevant)))
    hits = Hits(rows, np.zeros(1, np.int64), sets, np.zeros(1, np.int64))
    sums = {name: column.values(hits) for name, column in columns(*ATTENTION).items() if not column.needs}
    sums |= {"scored": np.ones(1), "items": np.ones(1), "reached": np.ones(1)}
    found = {}
    for metric in metrics(*ATTENTION):
        if metric.name in PERFECT:
            found[metric.name] = float(metric.value(sums)[0])
    assert set(found) == set(PERFECT)
    return found


@pytest.mark.parametrize(
    ("rule", "normalize"),
    # Weights that are no shares need not be above 1/n.
    [(rule, normalize) for rule in RULES for normalize in ("sum", "minmax", "none") if (rule, normalize) != RAW],
)
@pytest.mark.parametrize("tied", [1, 2, 3, 7, 10, 49, 99, 100, 101, 196, 576, 1000, 4096, 9999, 10_000])
def test_of_one_row(tied: int, rule: str, normalize: str) -> None:
    """So many equal weights on so many relevant keys, nothing on as many others and one more."""
    relevant = np.sort(np.random.default_rng(tied).permutation(2 * tied + 1)[:tied])
    for single in (1.0, 0.1, 1 / 3, 1 / tied):
        weight = np.zeros(2 * tied + 1)
        weight[relevant] = np.float32(single)
        assert scores(weight, relevant, rule, normalize) == dict.fromkeys(PERFECT, 1.0)


@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(1, 300), st.integers(1, 5))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_of_any_weights_on_relevant_keys_alone(seed: int, inside: int, outside: int, levels: int) -> None:
    """Few different weights or many, of any size: the set of what has weight is right."""
    random = np.random.default_rng(seed)
    relevant = np.sort(random.permutation(inside + outside)[:inside])
    weight = np.zeros(inside + outside)
    weight[relevant] = random.choice(random.random(levels) + 1e-3, inside).astype(np.float32)
    assert scores(weight, relevant, "abs:0", "sum") == dict.fromkeys(PERFECT, 1.0)


@pytest.mark.parametrize(("rows", "columns_"), [(1, 2), (3, 3), (10, 10), (14, 14), (24, 24), (100, 200)])
def test_of_whole_results(rows: int, columns_: int) -> None:
    """Grids whose left half is the thing, in several images and words: means of ones are one."""
    width, height = 4 * columns_, 4 * rows
    half = columns_ // 2
    cells = [(4.0 * c, 4.0 * r, 4.0 * c + 4, 4.0 * r + 4) for r in range(rows) for c in range(columns_)]
    thing = Phrase("1", ("people",), ("a", "man"))
    scene = Scene(width, height, {"1": [(1, 1, 4 * half, height)]}, [[thing]], cells, (rows, columns_))
    even = np.zeros((rows, columns_), np.float32)
    even[:, :half] = 1 / (rows * half)
    maps = np.stack([even.ravel(), even.ravel() * np.float32(0.3)])[None]
    count = 7 if rows < 100 else 2
    scenes = {str(k): scene for k in range(count)}
    world = World(scenes, [Shown(image, 0, ["a", "man"], maps) for image in scenes], None, kind="relevance")
    for protocol in (Protocol(), Protocol(unit="phrase", pointing="center"), Protocol(average="micro")):
        result = scored(world, protocol)
        assert result.protocol.overlap == "iof"
        assert {name: result[name] for name in PERFECT} == dict.fromkeys(PERFECT, 1.0)
        assert result["area_mass"] == pytest.approx(1, abs=1e-12)
    enlarged = scored(world, Protocol(pointing="upsampled"))
    assert enlarged["pointing"] == 1
    oracle = result.scores.baselines["oracle"]
    assert {name: oracle[name].value for name in PERFECT} == dict.fromkeys(PERFECT, 1.0)
