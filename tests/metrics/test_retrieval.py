"""Retrieval: ranks by hand, ties by writing out every order, folds, and the reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import retrieval_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from similarities import TIES, Array, drawn_matrices, matrix, orders_of

from attneval import Options, Protocol, score
from attneval.errors import ExportError
from attneval.metrics import ranks as module
from attneval.metrics.ranks import Ranks, retrieval_ranks
from attneval.metrics.registry import metrics
from attneval.metrics.retrieval import retrieval_columns
from attneval.statistics.image_sums import ImageSums
from attneval.statistics.ranks import RankTable

if TYPE_CHECKING:
    from pathlib import Path


def ranks(
    scores: Any, caption_image: list[int], ties: str = "expected", folds: int = 1, dtype: Any = np.float64
) -> dict[str, Ranks]:
    return retrieval_ranks(Array(scores, dtype), np.array(caption_image, np.int64), ties=ties, folds=folds)


def values(found: dict[str, Ranks], images: int) -> dict[str, float]:
    """Every metric of retrieval, without rounding."""
    tables = {name: RankTable(r.image, r.rank(), r.fold) for name, r in found.items()}
    sums = ImageSums([str(i) for i in range(images)], retrieval_columns(found, images), tables).total()
    return {metric.name: float(metric.value(sums)) for metric in metrics("retrieval")}


# ---------------------------------------------------------------- by hand

#            captions of image 0, 0, 1, 1, 2, 2
BY_HAND = [
    [0.9, 0.1, 0.2, 0.3, 0.4, 0.5],
    [0.8, 0.2, 0.1, 0.7, 0.9, 0.0],
    [0.7, 0.3, 0.6, 0.5, 0.1, 0.2],
]


def test_ranks_by_hand() -> None:
    found = ranks(BY_HAND, [0, 0, 1, 1, 2, 2])
    assert found["i2t"].image.tolist() == [0, 1, 2]
    # Image 1's best caption is its second, 0.7: behind 0.9 and 0.8. Image 2's is 0.2, behind 0.7, 0.6, 0.5, 0.3.
    assert found["i2t"].rank().tolist() == [1, 3, 5]
    assert found["t2i"].image.tolist() == [0, 0, 1, 1, 2, 2]
    # By columns: 0.9 is the best of its; 0.1 is below 0.2 and 0.3; and so on.
    assert found["t2i"].rank().tolist() == [1, 3, 3, 1, 3, 2]
    scores = values(found, 3)
    assert scores == {
        "i2t_r@1": pytest.approx(1 / 3),
        "i2t_r@5": 1,
        "i2t_r@10": 1,
        "i2t_medr": 3,
        "i2t_meanr": 3,
        "t2i_r@1": pytest.approx(1 / 3),
        "t2i_r@5": 1,
        "t2i_r@10": 1,
        "t2i_medr": 2.5,
        "t2i_meanr": pytest.approx(13 / 6),
        "rsum": pytest.approx(1 / 3 + 1 + 1 + 1 / 3 + 1 + 1),
    }


@pytest.mark.parametrize("order", [[5, 3, 1, 0, 2, 4], [2, 4, 0, 5, 1, 3]])
def test_captions_in_any_order(order: list[int]) -> None:
    caption_image = [0, 0, 1, 1, 2, 2]
    shuffled = np.array(BY_HAND)[:, order]
    found = ranks(shuffled, [caption_image[c] for c in order])
    straight = ranks(BY_HAND, caption_image)
    assert found["i2t"].rank().tolist() == straight["i2t"].rank().tolist()
    assert found["t2i"].rank().tolist() == straight["t2i"].rank()[order].tolist()
    assert values(found, 3) == pytest.approx(values(straight, 3))


def test_images_with_unequally_many_captions() -> None:
    # Image 1 has none and is no query, but is in the way of others.
    found = ranks([[0.1, 0.9, 0.3], [0.5, 0.2, 0.4], [0.0, 0.0, 0.8]], [0, 2, 0])
    assert found["i2t"].image.tolist() == [0, 2]
    assert found["i2t"].rank().tolist() == [2, 1 + 1 + 0.5]  # 0.3 is behind 0.9; 0.0 is behind 0.8 and beside 0.0
    assert found["t2i"].image.tolist() == [0, 2, 0]
    assert found["t2i"].rank().tolist() == [2, 3, 3]
    assert values(found, 3)["i2t_r@1"] == 0
    assert values(found, 3)["t2i_meanr"] == pytest.approx(8 / 3)


# ---------------------------------------------------------------- ties


@pytest.mark.parametrize(("images", "each"), [(5, 1), (20, 5), (300, 2)])
def test_a_constant_matrix_scores_chance(images: int, each: int) -> None:
    caption_image = [c // each for c in range(images * each)]
    constant = np.full((images, images * each), 0.25)
    expected = values(ranks(constant, caption_image), images)
    captions = images * each
    for k in (1, 5, 10):
        drawn = min(k, captions)
        # None of an image's own captions among k drawn at random.
        miss = math.comb(captions - each, drawn) / math.comb(captions, drawn)
        assert expected[f"i2t_r@{k}"] == pytest.approx(1 - miss, abs=1e-12)
        assert expected[f"t2i_r@{k}"] == pytest.approx(min(k / images, 1), abs=1e-12)
    assert [expected["i2t_meanr"], expected["i2t_medr"]] == pytest.approx([(captions + 1) / (each + 1)] * 2)
    assert expected["t2i_meanr"] == expected["t2i_medr"] == (images + 1) / 2
    worst = values(ranks(constant, caption_image, "worst"), images)
    assert [worst[f"t2i_r@{k}"] for k in (1, 5, 10)] == [float(k >= images) for k in (1, 5, 10)]
    assert worst["i2t_meanr"] == captions - each + 1
    assert worst["t2i_medr"] == images
    best = values(ranks(constant, caption_image, "best"), images)
    assert best["rsum"] == 6
    assert best["i2t_meanr"] == best["t2i_medr"] == 1


def by_enumeration(scores: list[float], right: set[int], ties: str) -> dict[str, float]:
    """Rank the answers in every order in which none stands before one with a larger score."""
    ranked = [min(order.index(answer) for answer in right) + 1 for order in orders_of(scores)]
    if ties != "expected":
        # The right answers stand together, behind or before all others with their score.
        best = max(scores[answer] for answer in right)
        others = [score == best for answer, score in enumerate(scores) if answer not in right]
        ranked = [1 + sum(score > best for score in scores) + (sum(others) if ties == "worst" else 0)]
    return {
        "rank": sum(ranked) / len(ranked),
        **{f"r@{k}": sum(rank <= k for rank in ranked) / len(ranked) for k in (1, 5, 10)},
    }


def answered(found: Ranks, query: int) -> dict[str, float]:
    return {"rank": float(found.rank()[query]), **{f"r@{k}": float(found.hit(k)[query]) for k in (1, 5, 10)}}


@given(st.integers(0, 10**6), st.sampled_from(TIES))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_ties_by_enumeration(seed: int, ties: str) -> None:
    random = np.random.default_rng(seed)
    images, captions = 4, 6
    caption_image = [*range(images), *random.integers(0, images, captions - images).tolist()]
    scores = random.integers(0, 3, (images, captions)).astype(np.float64)
    found = ranks(scores, caption_image, ties)
    for i in range(images):
        right = {c for c in range(captions) if caption_image[c] == i}
        assert answered(found["i2t"], i) == pytest.approx(by_enumeration(scores[i].tolist(), right, ties))
    for c in range(captions):
        expected = by_enumeration(scores[:, c].tolist(), {caption_image[c]}, ties)
        assert answered(found["t2i"], c) == pytest.approx(expected)


def test_ties_by_hand() -> None:
    # Image 0 has two of three captions that share the first place; caption 2 has the same score everywhere.
    scores, caption_image = [[0.5, 0.5, 0.5, 0.1], [0.9, 0.2, 0.5, 0.3]], [0, 0, 1, 1]
    expected = ranks(scores, caption_image)
    assert float(expected["i2t"].rank()[0]) == pytest.approx(1 + 1 / 3)
    assert float(expected["i2t"].hit(1)[0]) == pytest.approx(2 / 3)
    assert expected["t2i"].rank().tolist() == [2, 1, 1.5, 1]
    assert expected["t2i"].hit(1).tolist() == [0, 1, 0.5, 1]
    assert ranks(scores, caption_image, "worst")["i2t"].rank().tolist() == [2, 2]
    assert ranks(scores, caption_image, "worst")["t2i"].rank().tolist() == [2, 1, 2, 1]
    assert ranks(scores, caption_image, "best")["i2t"].rank().tolist() == [1, 2]
    assert ranks(scores, caption_image, "best")["t2i"].rank().tolist() == [2, 1, 1, 1]


# ---------------------------------------------------------------- folds


def test_folds_by_hand() -> None:
    # Two folds of two images; outside their blocks stand scores that would be in the way.
    scores = np.full((4, 4), 9.0)
    scores[:2, :2] = [[0.9, 0.1], [0.2, 0.8]]
    scores[2:, 2:] = [[0.1, 0.9], [0.8, 0.2]]
    found = ranks(scores, [0, 1, 2, 3], folds=2)
    assert found["i2t"].fold.tolist() == [0, 0, 1, 1]
    assert found["i2t"].image.tolist() == [0, 1, 2, 3]
    assert found["i2t"].rank().tolist() == [1, 1, 2, 2]
    assert found["t2i"].rank().tolist() == [1, 1, 2, 2]
    assert values(found, 4)["i2t_r@1"] == 0.5
    # The median is taken within each fold.
    assert values(found, 4)["t2i_medr"] == 1.5
    assert values(ranks(scores, [0, 1, 2, 3]), 4)["i2t_r@1"] == 0


def test_folds_count_the_same_however_many_captions_they_have() -> None:
    # The first fold has a caption per image, both found; the second has three captions of one image, none found.
    scores = np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 1, 1]], np.float64)
    found = ranks(scores, [0, 1, 2, 2, 2], folds=2)
    assert found["t2i"].rank().tolist() == [1, 1, 2, 2, 2]
    assert found["t2i"].weight().tolist() == pytest.approx([5 / 4, 5 / 4, 5 / 6, 5 / 6, 5 / 6])
    assert values(found, 4)["t2i_r@1"] == pytest.approx(0.5)
    assert values(found, 4)["t2i_meanr"] == pytest.approx(1.5)


def test_folds_of_captions_that_are_not_in_order() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(6, 12))
    caption_image = random.permutation(np.arange(12) // 2)
    straight = np.argsort(caption_image, kind="stable")
    found = values(ranks(scores, caption_image.tolist(), folds=3), 6)
    assert found == pytest.approx(values(ranks(scores[:, straight], [c // 2 for c in range(12)], folds=3), 6))
    assert found == pytest.approx(retrieval_reference.retrieval(scores, caption_image.tolist(), folds=3))


@pytest.mark.parametrize(("images", "folds"), [(5, 2), (4, 5), (1, 2)])
def test_images_that_do_not_divide_into_folds(images: int, folds: int) -> None:
    with pytest.raises(ValueError, match=f"{images} images do not divide into {folds} folds of equal size"):
        ranks(np.zeros((images, images)), list(range(images)), folds=folds)


# ---------------------------------------------------------------- the reference


@drawn_matrices
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_reference_agrees(seed: int, images: int, levels: int, ties: str, folds: int, dtype: Any) -> None:
    random = np.random.default_rng(seed)
    images *= folds
    scores, caption_image = matrix(random, images, levels, dtype)
    found = ranks(scores, caption_image, ties, folds, dtype)
    slow = retrieval_reference.retrieval(scores, caption_image, ties, folds)
    assert values(found, images) == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("images", "each"), [(256, 1), (600, 1), (255, 3)])
def test_more_rows_than_a_byte_counts(images: int, each: int, dtype: Any) -> None:
    """Counts by column are added up in bytes, of blocks of rows: the worst case is all rows ahead or equal."""
    captions = images * each
    caption_image = [c // each for c in range(captions)]
    own = np.arange(images)[:, None] == np.array(caption_image)
    behind = values(ranks(np.where(own, 0.0, 1.0), caption_image, dtype=dtype), images)
    assert behind["t2i_meanr"] == images
    assert behind["i2t_meanr"] == pytest.approx(captions - each + 1)
    assert (
        values(ranks(np.ones((images, captions)), caption_image, "worst", dtype=dtype), images)["t2i_meanr"] == images
    )


def test_how_the_work_is_cut_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    scores = random.integers(0, 5, (30, 60)).astype(np.float32)
    caption_image = random.permutation(np.arange(60) // 2).tolist()
    whole = values(ranks(scores, caption_image, folds=2), 30)
    for size in (1, 700):
        monkeypatch.setattr(module, "BLOCK_BYTES", size)
        assert values(ranks(scores, caption_image, folds=2), 30) == whole


# ---------------------------------------------------------------- precision and refusals


def test_half_precision_is_compared_as_it_is_stored() -> None:
    scores = np.array([[0.5, 0.50001], [0.4, 0.5]])
    # In half precision both scores of image 0 are 0.5.
    assert ranks(scores, [0, 1], dtype=np.float64)["i2t"].rank().tolist() == [2, 1]
    assert ranks(scores, [0, 1], dtype=np.float16)["i2t"].rank().tolist() == [1.5, 1]


def test_double_precision_is_not_cut_to_single() -> None:
    scores = np.array([[1.0, 1.0 + 1e-12], [0.0, 2.0]])
    assert ranks(scores, [0, 1])["i2t"].rank().tolist() == [2, 1]


def test_huge_scores_are_finite() -> None:
    big = float(np.finfo(np.float32).max)
    assert ranks([[big, -big], [big, big]], [0, 1], dtype=np.float32)["i2t"].rank().tolist() == [1, 1.5]
    half = float(np.finfo(np.float16).max)
    assert ranks(np.full((40, 40), half), list(range(40)), dtype=np.float16)["t2i"].rank()[0] == 20.5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 7), (5, 11)])
def test_scores_that_are_not_finite(dtype: Any, bad: float, row: int, column: int) -> None:
    scores = np.zeros((6, 12))
    scores[row, column] = bad
    for folds in (1, 3):
        with pytest.raises(ValueError, match=f"the score of image {row} with caption {column} is {bad}"):
            ranks(scores, [c // 2 for c in range(12)], folds=folds, dtype=dtype)


def test_the_position_is_said_of_the_file(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(size=(6, 12)).astype(np.float32)
    scores[3, 7] = math.nan
    np.save(tmp_path / "scores.npy", scores)
    with pytest.raises(ExportError, match=r"scores\.npy: similarity\[3, 7\] of image 3 is nan"):
        score(similarity=[tmp_path / "scores.npy"])


def test_the_position_is_said_of_the_file_under_a_split(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(size=(6, 12)).astype(np.float32)
    scores[3, 7] = math.nan
    np.save(tmp_path / "scores.npy", scores)
    (tmp_path / "split.txt").write_text("2 3 5\n")
    with pytest.raises(ExportError, match=r"scores\.npy: similarity\[3, 7\] of image 3 is nan"):
        score(similarity=[tmp_path / "scores.npy"], split=tmp_path / "split.txt")


# ---------------------------------------------------------------- from a file


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_files_of_any_precision(tmp_path: Path, dtype: Any) -> None:
    random = np.random.default_rng(1)
    scores = random.normal(size=(12, 24)).astype(dtype)
    np.save(tmp_path / "scores.npy", scores)
    for ties, folds in (("expected", 1), ("worst", 3)):
        result = score(
            similarity=[tmp_path / "scores.npy"],
            protocol=Protocol(ties=ties, folds=folds),
            options=Options(resamples=0),
        )
        expected = retrieval_reference.retrieval(scores, [c // 2 for c in range(24)], ties, folds)
        assert {name: measured.value for name, measured in result.metrics.items()} == pytest.approx(expected, abs=1e-12)
        assert result.metrics["i2t_r@1"].n == 12
        assert result.metrics["t2i_r@1"].n == 24


@pytest.mark.realdata
def test_the_real_matrix(shared: Path) -> None:
    with np.load(shared / "f8k285_grid.npz") as file:
        scores = file["similarity"]
    result = score(shared / "f8k285_grid.npz", options=Options(resamples=0))
    expected = retrieval_reference.retrieval(scores, [c // 5 for c in range(scores.shape[1])])
    assert {name: measured.value for name, measured in result.metrics.items()} == pytest.approx(expected, abs=1e-12)
