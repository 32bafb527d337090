"""Retrieval with relevance sets: by hand, over every order of ties, and against a slow reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import relevance_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from similarities import TIES, Array, drawn_matrices, matrix, orders_of

from attneval.errors import ProtocolError
from attneval.metrics import answer_places as module
from attneval.metrics.answer_places import BEYOND, Pairs, Places, answer_places
from attneval.metrics.registry import find_metric, list_metrics, metric_named, metrics
from attneval.metrics.relevance import relevance_columns
from attneval.metrics.relevant_answers import RankedAnswers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


KINDS = ("r@1", "r@5", "r@10", "r_precision", "map@r")


def of_lists(lists: Sequence[Sequence[int]], relevant: Sequence[set[int]], gallery: int) -> RankedAnswers:
    """Queries whose answers are in strict order."""
    pairs = [
        (query, ranked.index(answer) if answer in ranked else BEYOND)
        for query, (ranked, answers) in enumerate(zip(lists, relevant, strict=True))
        for answer in sorted(answers)
        if answer < gallery
    ]
    query, ahead = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    zeros = np.zeros(len(lists), np.int64)
    return RankedAnswers(
        np.arange(len(lists)),
        zeros,
        np.array([len(answers) for answers in relevant]),
        zeros + gallery,
        query,
        Places(ahead, np.ones(len(ahead), np.int64)),
        "expected",
    )


def ranked_in(
    scores: Any,
    caption_image: Sequence[int],
    direction: str,
    relevant: Mapping[int, Sequence[int]],
    ties: str = "expected",
    folds: int = 1,
    dtype: Any = np.float64,
) -> RankedAnswers:
    """Queries of one direction in a matrix; answers beyond it are listed and nowhere."""
    images = len(scores)
    owner = np.array(caption_image, np.int64)
    fold = np.arange(images) // (images // folds)
    asked = list(relevant)
    image = np.array([row if direction == "i2t" else owner[row] for row in asked], np.int64)
    size = len(owner) if direction == "i2t" else images
    pairs = [(place, answer) for place, row in enumerate(asked) for answer in relevant[row] if answer < size]
    fold_of = fold[owner] if direction == "i2t" else fold
    pairs = [(place, answer) for place, answer in pairs if fold_of[answer] == fold[image[place]]]
    query = np.array([place for place, _ in pairs], np.int64)
    answer = np.array([one for _, one in pairs], np.int64)
    listed = np.array([len(relevant[row]) for row in asked])
    rows = np.array(asked, np.int64)[query]
    depth = np.maximum(listed, 10)[query]
    nothing = Pairs(*(np.zeros(0, np.int64) for _ in range(3)))
    i2t, t2i = (Pairs(rows, answer, depth), nothing) if direction == "i2t" else (nothing, Pairs(answer, rows, depth))
    places = answer_places(Array(scores, dtype), fold[owner], fold, i2t, t2i)[direction]
    in_fold = np.bincount(fold[owner] if direction == "i2t" else fold)
    return RankedAnswers(image, fold[image], listed, in_fold[fold[image]], query, places, ties)


def values(ranked: RankedAnswers, direction: str, images: int) -> dict[str, float]:
    """Every metric, as the registry computes it, and of chance."""
    columns = relevance_columns("made", direction, ranked, images, KINDS)
    sums = {name: np.asarray(column.sum()) for name, column in columns.items()}
    found = {kind: float(metric_named(f"made_{direction}_{kind}").value(sums)) for kind in KINDS}
    count = float(sums[f"made_{direction}_n"])
    chance = {f"chance {kind}": float(sums[f"chance_made_{direction}_{kind}"]) / count for kind in KINDS}
    return found | chance


# ---------------------------------------------------------------- by hand


def test_four_queries_by_hand() -> None:
    lists = [(5, 3, 9, 1, 7), (2, 4, 6, 8, 10), (11, 12, 13, 14, 15), (1, 2, 3, 4, 5)]
    relevant = [{3, 5, 100}, {10}, {11, 13, 15}, {4, 5}]
    ranked = of_lists(lists, relevant, gallery=50)
    assert ranked.hit(1).tolist() == [1, 0, 1, 0]
    assert [float(ranked.hit(k).mean()) for k in (1, 3, 5)] == [0.5, 0.5, 1]
    assert ranked.r_precision() == pytest.approx([2 / 3, 0, 2 / 3, 0])
    assert ranked.r_precision().mean() == pytest.approx(0.333333, abs=1e-6)
    assert ranked.map_at_r() == pytest.approx([2 / 3, 0, 5 / 9, 0])
    assert ranked.map_at_r().mean() == pytest.approx(0.305556, abs=1e-6)
    # 100 is nowhere: two of three can be reached at best.
    assert ranked.share_in_gallery() == pytest.approx([2 / 3, 1, 1, 1])


def test_a_tie_by_hand() -> None:
    # Captions 1, 2 and 3 share the places 2 to 4; 0 and 2 are relevant, and 9 is nowhere.
    ranked = ranked_in([[0.9, 0.5, 0.5, 0.5, 0.1]], [0] * 5, "i2t", {0: (0, 2, 9)})
    assert ranked.places.ahead.tolist() == [0, 1]
    assert ranked.places.tied.tolist() == [1, 3]
    # Of the places 1 to 3 the first is right, and two of the tie's three places are there.
    assert ranked.r_precision() == pytest.approx([(1 + 2 / 3) / 3])
    assert ranked.map_at_r() == pytest.approx([(1 + (1 / 3) * (2 / 2) + (1 / 3) * (2 / 3)) / 3])
    by_ties = {ties: ranked_in([[0.9, 0.5, 0.5, 0.5, 0.1]], [0] * 5, "i2t", {0: (0, 2, 9)}, ties) for ties in TIES}
    assert by_ties["best"].map_at_r() == pytest.approx([2 / 3])
    assert by_ties["worst"].map_at_r() == pytest.approx([1 / 3])
    assert by_ties["worst"].r_precision() == pytest.approx([1 / 3])


# ---------------------------------------------------------------- ties: every order


def in_order(order: Sequence[int], relevant: set[int]) -> dict[str, float]:
    listed = len(relevant)
    hits = [answer in relevant for answer in order]
    precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    return {
        **{f"r@{k}": float(any(hits[:k])) for k in (1, 5, 10)},
        "r_precision": sum(hits[:listed]) / listed,
        "map@r": sum(p for p, hit in list(zip(precision, hits, strict=True))[:listed] if hit) / listed,
    }


@given(st.integers(0, 10**6), st.sampled_from(TIES))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_ties_by_enumeration(seed: int, ties: str) -> None:
    random = np.random.default_rng(seed)
    captions = 6
    scores = random.integers(0, 3, (1, captions)).astype(np.float64)
    relevant = set(random.choice(captions + 2, int(random.integers(1, 6)), replace=False).tolist())
    orders = orders_of(scores[0])
    if ties != "expected":
        late = 1 if ties == "worst" else -1
        orders = [tuple(sorted(range(captions), key=lambda c: (-scores[0][c], late * (c in relevant))))]
    scored = [in_order(order, relevant) for order in orders]
    expected = {kind: sum(one[kind] for one in scored) / len(scored) for kind in KINDS}
    found = values(ranked_in(scores, [0] * captions, "i2t", {0: sorted(relevant)}, ties), "i2t", 1)
    assert {kind: found[kind] for kind in KINDS} == pytest.approx(expected)


# ---------------------------------------------------------------- the reference


@drawn_matrices
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_reference_agrees(seed: int, images: int, levels: int, ties: str, folds: int, dtype: Any) -> None:
    random = np.random.default_rng(seed)
    images *= folds
    scores, caption_image = matrix(random, images, levels, dtype)
    captions = len(caption_image)
    for direction, queries, answers in (("i2t", images, captions), ("t2i", captions, images)):
        asked = random.choice(queries, int(random.integers(1, queries + 1)), replace=False).tolist()
        relevant = {
            row: random.choice(answers + 2, int(random.integers(1, answers + 2)), replace=False).tolist()
            for row in asked
        }
        found = values(ranked_in(scores, caption_image, direction, relevant, ties, folds, dtype), direction, images)
        expected = reference.relevance(scores.tolist(), caption_image, {direction: relevant}, ties, folds)
        for kind in KINDS:
            assert found[kind] == pytest.approx(expected[f"{direction}_{kind}"], abs=1e-12), kind
            assert found[f"chance {kind}"] == pytest.approx(expected[f"chance_{direction}_{kind}"], abs=1e-12), kind


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
def test_how_the_work_is_cut_does_not_matter(monkeypatch: pytest.MonkeyPatch, direction: str) -> None:
    random = np.random.default_rng(4)
    scores = random.integers(0, 5, (300, 600)).astype(np.float32)
    caption_image = random.permutation(np.arange(600) // 2).tolist()
    relevant = {row: random.choice(250, 4, replace=False).tolist() for row in range(0, 300, 3)}
    whole = values(ranked_in(scores, caption_image, direction, relevant, folds=2), direction, 300)
    for size in (1, 7000):
        monkeypatch.setattr(module, "BLOCK_BYTES", size)
        assert values(ranked_in(scores, caption_image, direction, relevant, folds=2), direction, 300) == whole


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("direction", ["i2t", "t2i"])
def test_perfect_scores_are_exactly_one(ties: str, direction: str, *, tied: bool) -> None:
    random = np.random.default_rng(3)
    images, captions = 7, 35
    queries, answers = (images, captions) if direction == "i2t" else (captions, images)
    relevant = {
        row: random.choice(answers, int(random.integers(1, 7)), replace=False).tolist() for row in range(queries)
    }
    scores = random.random((queries, answers)) * 0.5
    for row, listed in relevant.items():
        scores[row, listed] = 1.0 if tied else 1 + random.random(len(listed))
    matrix = scores if direction == "i2t" else scores.T
    found = values(ranked_in(matrix, [c // 5 for c in range(captions)], direction, relevant, ties), direction, images)
    assert [found[kind] for kind in KINDS] == [1.0] * 5


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
def test_a_constant_matrix_scores_chance(direction: str) -> None:
    random = np.random.default_rng(5)
    queries, answers = (6, 30) if direction == "i2t" else (30, 6)
    relevant = {
        row: random.choice(answers, int(random.integers(1, 6)), replace=False).tolist() for row in range(queries)
    }
    found = values(ranked_in(np.zeros((6, 30)), [c // 5 for c in range(30)], direction, relevant), direction, 6)
    for kind in KINDS:
        assert found[kind] == pytest.approx(found[f"chance {kind}"], abs=1e-15)
    share = [len(listed) / answers for listed in relevant.values()]
    assert found["r@1"] == pytest.approx(sum(share) / len(share))
    assert found["r_precision"] == pytest.approx(sum(share) / len(share))


def test_numbers_do_not_depend_on_the_order_of_answers() -> None:
    random = np.random.default_rng(6)
    scores = random.integers(0, 6, (10, 20)).astype(np.float64)
    relevant = {row: random.choice(20, 5, replace=False).tolist() for row in range(10)}
    owner = [c // 2 for c in range(20)]
    whole = values(ranked_in(scores, owner, "i2t", relevant), "i2t", 10)
    turned = {row: relevant[row][::-1] for row in reversed(relevant)}
    assert values(ranked_in(scores, owner, "i2t", turned), "i2t", 10) == pytest.approx(whole, abs=1e-15)


# ---------------------------------------------------------------- declarations


def test_metrics_of_sets_are_found_by_name() -> None:
    metric = metric_named("my_own.set_t2i_map@r")
    assert (metric.relevance, metric.direction, metric.group) == ("my_own.set", "t2i", "relevance")
    assert metric in metrics("relevance")
    assert "my_own.set_t2i_map@r" not in list_metrics()
    for name in ("i2t_map@r", "_i2t_map@r", "Set_i2t_map@r", "chance_x_i2t_r@1", "x_i2t_r@2", f"{'x' * 33}_i2t_r@1"):
        assert find_metric(name) is None
        with pytest.raises(ProtocolError, match="does not exist"):
            metric_named(name)


def test_metrics_of_sets_stand_by_name_and_kind() -> None:
    for name in ("zz_i2t_r@1", "aa_t2i_map@r", "aa_i2t_r@5"):
        metric_named(name)
    listed = [m.name for m in metrics("relevance") if m.relevance in {"aa", "zz"}]
    assert listed == ["aa_i2t_r@5", "aa_t2i_map@r", "zz_i2t_r@1"]
