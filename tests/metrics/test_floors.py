"""What knows nothing of the words scores: by hand, image by image, and held against exports of such maps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from results import FIXTURES
from worlds import Phrase, Scene, Shown, World, scored

import attneval
from attneval import Protocol
from attneval.metrics.declaration import ATTENTION
from attneval.metrics.floors import (
    FLOORS,
    floor_bounds,
    floor_column,
    floor_sums,
    floored_columns,
    highest_floor,
    paired_column,
)
from attneval.metrics.registry import metric_named, metrics
from attneval.results.notes import FLOOR

if TYPE_CHECKING:
    from attneval.results.result import Result

# Four regions in a row, the image's middle between the second and the third; a man on the first and the second, a dog
# on the fourth.
REGIONS = [(0.0, 0.0, 10.0, 10.0), (10.0, 0.0, 20.0, 10.0), (20.0, 0.0, 30.0, 10.0), (30.0, 0.0, 40.0, 10.0)]
MAN, DOG = Phrase("1", ("people",), ("man",)), Phrase("2", ("animals",), ("dog",))
BOXES = {"1": [(1, 1, 10, 10), (11, 1, 20, 10)], "2": [(31, 1, 40, 10)]}


def world(*rows: list[float], boxes: dict[str, list[tuple[int, int, int, int]]] | None = None) -> World:
    """An image with the caption `man dog`, of which each word has a row; further rows are of further such images."""
    pairs = [rows[k : k + 2] for k in range(0, len(rows), 2)]
    scenes = {str(k + 1): Scene(40, 10, boxes or BOXES, [[MAN, DOG]], REGIONS) for k in range(len(pairs))}
    shown = [Shown(str(k + 1), 0, ["man", "dog"], np.array(pair, np.float32)[None]) for k, pair in enumerate(pairs)]
    return World(scenes, shown, None, kind="relevance")


EXACT = 1e-9
"""Floors are totals in whole multiples of 2**-32."""
RIGHT, LEFT_DOG = [0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def result() -> Result:
    """The man is right; the dog looks at the man's first region."""
    return scored(world(RIGHT, LEFT_DOG), Protocol(overlap="iou"))


def floor(result: Result, name: str, metric: str) -> float | None:
    return result.scores.baselines[name][metric].value


def test_even_attention_by_hand(result: Result) -> None:
    # Of four keys two are the man's and one is the dog's. As a set: P 1/2 and 1/4, recall 1, F1 2/3 and 2/5.
    expected = {"precision": 3 / 8, "recall": 1, "f1": (2 / 3 + 2 / 5) / 2, "micro_precision": 3 / 8, "micro_recall": 1}
    # As a ranking all keys are tied: the share of those that are relevant.
    expected |= {"ap": 3 / 8, "pointing": 3 / 8, "mass": 3 / 8, "rank_accuracy": 3 / 8, "auc": 1 / 2, "entropy": 1}
    # Each region lies wholly inside or outside.
    expected |= {"area_mass": 3 / 8, "r@1": 3 / 8, "r@5": 1, "f1_lift": 0, "ap_lift": 0}
    for name, value in expected.items():
        assert floor(result, "uniform", name) == pytest.approx(value, abs=EXACT), name


def test_the_middle_by_hand(result: Result) -> None:
    # The second and the third region are equally near, and attended: half right for the man, wrong for the dog.
    expected = {"precision": 1 / 4, "recall": 1 / 4, "f1": 1 / 4, "pointing": 1 / 4, "mass": 1 / 4, "area_mass": 1 / 4}
    # The man's first region ties with the dog's behind them: precision at it is 2/4, and at his second 1/2. The dog's
    # is 1/4.
    expected |= {"ap": ((2 / 4 + 1 / 2) / 2 + 1 / 4) / 2}
    # Of the man's four pairs of a relevant and another key one is right, two tie and one is wrong; of the dog's three
    # one ties.
    expected |= {"auc": (1 / 2 + 1 / 6) / 2}
    expected |= {"f1_lift": 1 / 4 - (2 / 3 + 2 / 5) / 2, "ap_lift": 3 / 8 - 3 / 8}
    for name, value in expected.items():
        assert floor(result, "center", name) == pytest.approx(value, abs=EXACT), name


def test_other_entities_by_hand(result: Result) -> None:
    # The man's row against the dog finds nothing; the dog's against the man has precision 1 and recall 1/2.
    expected = {"precision": 1 / 2, "recall": 1 / 4, "f1": 1 / 3, "pointing": 1 / 2, "mass": 1 / 2, "area_mass": 1 / 2}
    # The dog's region ties with the third in the man's row; the man's second ties with two others in the dog's row.
    expected |= {"ap": (1 / 4 + (1 + 2 / 4) / 2) / 2, "auc": ((0 + 0 + 1 / 2) / 3 + (1 + 1 + 1 / 2 + 1 / 2) / 4) / 2}
    for name, value in expected.items():
        assert floor(result, "shuffled", name) == pytest.approx(value, abs=EXACT), name
    assert {"f1_lift", "ap_lift"}.isdisjoint(result.scores.baselines["shuffled"])


def test_the_model_and_its_lifts_by_hand(result: Result) -> None:
    assert result["f1"] == 1 / 2
    assert result["ap"] == pytest.approx((1 + 1 / 4) / 2)
    assert result["f1_lift"] == pytest.approx(1 / 2 - (2 / 3 + 2 / 5) / 2, abs=1e-15)
    assert result["ap_lift"] == pytest.approx(5 / 8 - 3 / 8, abs=1e-15)
    assert result["specificity"] == pytest.approx(1 / 2 - 1 / 3)
    assert result["auc"] == pytest.approx((1 + 1 / 3) / 2)  # of the dog's three pairs two tie


def test_the_oracle_by_hand(result: Result) -> None:
    oracle = {name: measured.value for name, measured in result.scores.baselines["oracle"].items()}
    for name in ("precision", "recall", "f1", "ap", "pointing", "mass", "rank_accuracy", "auc"):
        assert oracle[name] == 1, name
    assert oracle["f1_lift"] == pytest.approx(1 - (2 / 3 + 2 / 5) / 2, abs=1e-15)
    assert {"entropy", "area_mass"}.isdisjoint(oracle)


def test_the_highest_floor(result: Result) -> None:
    gap = result.metrics["f1"].above_floor
    assert gap is not None
    assert gap.floor == "uniform"
    assert gap.difference == pytest.approx(1 / 2 - 8 / 15, abs=1e-15)
    gap = result.metrics["precision"].above_floor
    assert gap is not None
    assert gap.floor == "shuffled"
    assert gap.difference == 0
    for name in ("f1_lift", "auc", "entropy", "coverage", "area_mass"):
        assert result.metrics[name].above_floor is None, name


def test_the_difference_is_over_the_items_that_have_the_floor() -> None:
    """A second image, of one entity alone, has no shuffled attention and does not count beside it."""
    alone = Scene(40, 10, {"1": BOXES["1"]}, [[MAN]], REGIONS)
    # The row held against the other entity is right, against its own it is not; the lone man is right.
    both = world([0.0, 0.0, 0.0, 1.0], LEFT_DOG)
    shown = [*both.shown, Shown("2", 0, ["man"], np.array([[RIGHT]], np.float32))]
    made = replace(both, scenes={**both.scenes, "2": alone}, shown=shown)
    result = scored(made, Protocol(overlap="iou"))
    assert result.metrics["precision"].n == 3
    assert result["precision"] == pytest.approx(1 / 3)
    assert result.scores.baselines["shuffled"]["precision"].n == 2
    gap = result.metrics["precision"].above_floor
    assert gap is not None
    assert (gap.floor, gap.difference) == ("shuffled", -1)


def test_keys_without_an_area_do_not_count() -> None:
    padded = [*REGIONS, (0.0, 0.0, 0.0, 0.0)]
    made = world([*RIGHT, 0.0], [*LEFT_DOG, 0.0])
    made = replace(made, scenes={"1": replace(made.scenes["1"], regions=padded)})
    result = scored(made, Protocol(overlap="iou"))
    assert floor(result, "uniform", "precision") == 3 / 8
    assert floor(result, "uniform", "mass") == 3 / 8


def test_an_image_with_one_region() -> None:
    made = world([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0])
    only = replace(
        made,
        scenes={"1": replace(made.scenes["1"], regions=[(0.0, 0.0, 20.0, 10.0)])},
        shown=[replace(made.shown[0], maps=np.ones((1, 2, 1), np.float32))],
    )
    result = scored(only, Protocol(boxes="merged", overlap="iou"))
    assert [floor(result, "uniform", name) for name in ("f1", "mass", "pointing")] == [1, 1, 1]
    assert (result["f1"], result["f1_lift"], result["auc"]) == (1, 0, None)


# ---------------------------------------------------------------- under every rule


@pytest.mark.parametrize("threshold", ["uniform", "uniform:3", "abs:0.9", "max:1", "top:1", "mass:0.1"])
def test_as_a_set_even_attention_is_every_key_under_every_rule(threshold: str) -> None:
    result = scored(world(RIGHT, LEFT_DOG), Protocol(overlap="iou", threshold=threshold))
    assert floor(result, "uniform", "recall") == 1
    assert floor(result, "uniform", "precision") == 3 / 8


# ---------------------------------------------------------------- columns


def test_every_floored_column_is_kept_by_image(result: Result) -> None:
    columns = result.scores.sums.columns
    for name in floored_columns():
        assert paired_column(name) in columns
        for base in FLOORS:
            assert floor_column(base, name) in columns
    assert set(floor_bounds()) <= set(columns)
    assert {metric.name for metric in metrics(*ATTENTION) if metric.floored} == {
        *("precision", "recall", "f1", "ap", "pointing", "mass"),
        *("micro_precision", "micro_recall", "micro_f1"),
    }


def test_floors_of_sums() -> None:
    f1, auc = metric_named("f1"), metric_named("auc")
    sums = {
        name: np.asarray(value)
        for name, value in {
            "f1": 3.0,
            "scored": 4.0,
            "uniform_f1": 1.0,
            "center_f1": 2.0,
            "shuffled_f1": 1.5,
            "shuffled_n": 2.0,
            "paired_f1": 2.0,
        }.items()
    }
    # The means are 1/4, 2/4 and 1.5/2.
    assert highest_floor(f1, sums) == "shuffled"
    pair = floor_sums(f1, "shuffled", sums)
    assert pair is not None
    assert [float(f1.value(part)) for part in pair] == [1, 0.75]
    pair = floor_sums(f1, "center", sums)
    assert pair is not None
    assert [float(f1.value(part)) for part in pair] == [0.75, 0.5]
    # Without a centre, and where nothing else is there to be held against.
    fewer = {name: value for name, value in sums.items() if name != "center_f1"} | {"shuffled_n": np.asarray(0.0)}
    assert floor_sums(f1, "center", fewer) is None
    assert highest_floor(f1, fewer) == "uniform"
    assert highest_floor(auc, sums) is None


def test_lifts_are_of_the_group_of_attention() -> None:
    assert [m.name for m in metrics(*ATTENTION) if m.name.endswith("_lift")] == ["f1_lift", "ap_lift"]


@pytest.mark.parametrize(
    ("average", "noted"), [("micro", {"f1", "ap", "pointing", "micro_f1"}), ("macro", {"f1", "ap", "pointing"})]
)
def test_micro_scores_are_held_against_their_floors_by_image(average: str, noted: set[str]) -> None:
    """Even attention is its own floor, also where all keys are counted together."""
    protocol = attneval.Protocol(average=average)
    result = attneval.score(
        FIXTURES / "uniform.npz", FIXTURES / "entities", protocol=protocol, options=attneval.Options(resamples=200)
    )
    for name in ("micro_precision", "micro_recall", "micro_f1"):
        gap = result.metrics[name].above_floor
        assert gap is not None
        floors = [table[name].value for floor, table in result.scores.baselines.items() if floor in FLOORS]
        value = result[name]
        assert value is not None
        assert value - gap.difference == pytest.approx(max(v for v in floors if v is not None), abs=1e-9)
        assert gap.ci is not None
        assert gap.ci[0] <= gap.difference <= gap.ci[1]
    assert {str(note).split()[0] for note in result.notes if note.kind == FLOOR} == noted
