"""Faithfulness: gaps worked by hand, against exact fractions, and in whole scorings."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import faithfulness_reference as slow
import numpy as np
import pytest
from click.testing import CliRunner
from exports import packed, padded, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import make_world, numbers, scored, scored_in_shards

import attneval
from attneval import Options, Protocol, score
from attneval.cli.explain import explain
from attneval.errors import ExportError, MismatchError
from attneval.metrics.faithfulness import CURVES, faithfulness_columns, gaps, has_faithfulness
from attneval.results.compare import compare
from attneval.results.gate import gate
from attneval.results.merge import merge
from attneval.results.result import Result

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Options(resamples=200, cache=False)
SCORES = st.integers(-64, 64).map(lambda value: value / 8)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[list[float]], list[list[float]]]:
    """Two curves of each of some captions."""
    captions, points = draw(st.integers(1, 5)), draw(st.integers(2, 6))
    row = st.lists(SCORES, min_size=points, max_size=points)
    table = st.lists(row, min_size=captions, max_size=captions)
    return draw(table), draw(table)


def test_gaps_by_hand() -> None:
    # Ordered falls at once, random order evenly: areas 2.5 and 5 of a fall of 10.
    ordered, random = np.array([[10.0, 0, 0]]), np.array([[10.0, 5, 0]])
    assert gaps(ordered, random, falling=True).tolist() == [0.25]
    # Kept in order, all is there after half of the regions: areas 7.5 and 5.
    kept, at_random = np.array([[0.0, 10, 10]]), np.array([[0.0, 5, 10]])
    assert gaps(kept, at_random, falling=False).tolist() == [0.25]
    # A score that rises as regions are removed has a range as well, and no range is no gap.
    assert gaps(np.array([[0.0, 0, 4]]), np.array([[0.0, 2, 4]]), falling=True).tolist() == [0.25]
    assert np.isnan(gaps(np.array([[3.0, 1, 3]]), np.array([[3.0, 2, 3]]), falling=True)).all()


@given(pairs())
@settings(max_examples=200, deadline=None)
def test_gaps_are_those_of_the_reference(pair: tuple[list[list[float]], list[list[float]]]) -> None:
    ordered, random = pair
    for falling, reference in ((True, slow.deletion_gap), (False, slow.insertion_gap)):
        found = gaps(np.array(ordered, np.float32), np.array(random, np.float32), falling=falling).tolist()
        for value, a, b in zip(found, ordered, random, strict=True):
            expected = reference(a, b)
            assert np.isnan(value) if expected is None else value == pytest.approx(float(expected), abs=1e-12)


@given(pairs(), st.sampled_from([0.25, -2.0, 8.0]), SCORES)
@settings(max_examples=50, deadline=None)
def test_the_unit_of_a_score_does_not_matter(
    pair: tuple[list[list[float]], list[list[float]]], factor: float, shift: float
) -> None:
    """Times a number and plus another; a negative one turns good into bad."""
    ordered, random = (np.array(table) for table in pair)
    one = gaps(ordered, random, falling=True)
    other = gaps(ordered * factor + shift, random * factor + shift, falling=True)
    np.testing.assert_allclose(other * np.sign(factor), one, atol=1e-12)


@given(pairs())
@settings(max_examples=50, deadline=None)
def test_random_order_has_no_gap_and_orders_exchanged_have_its_negative(
    pair: tuple[list[list[float]], list[list[float]]],
) -> None:
    ordered, random = (np.array(table) for table in pair)
    random[:, [0, -1]] = ordered[:, [0, -1]]
    defined = ordered[:, 0] != ordered[:, -1]
    assert not gaps(ordered, ordered, falling=True)[defined].any()
    np.testing.assert_array_equal(gaps(ordered, random, falling=True), -gaps(ordered, random, falling=False))
    np.testing.assert_allclose(gaps(random, ordered, falling=True), -gaps(ordered, random, falling=True), atol=1e-12)


def test_only_curves_that_are_there_are_summed() -> None:
    curves = {"deletion": np.array([[1.0, 0]]), "deletion_random": np.array([[1.0, 0]])}
    table = faithfulness_columns(curves, np.array([1]), 2)
    assert {name: column.tolist() for name, column in table.items()} == {
        "deletion_gap": [0, 0],
        "deletion_gap_n": [0, 1],
    }
    assert has_faithfulness(table)
    assert not has_faithfulness({"items": 1})


# ---------------------------------------------------------------- in a scoring


@pytest.mark.parametrize("seed", range(6))
def test_a_scoring_says_what_the_reference_says(seed: int) -> None:
    world = make_world(seed, images=4, captions=3)
    result = scored(world, Protocol())
    for first, reference in ((0, slow.deletion_gap), (2, slow.insertion_gap)):
        curves = [own.curves.tolist() for own in world.shown if own.curves is not None]
        each = [reference(own[first], own[first + 1]) for own in curves]
        expected, name = slow.mean(each), f"{CURVES[first // 2]}_gap"
        value = result[name]
        assert (value is None) == (expected is None)
        if expected is not None:
            assert value == pytest.approx(float(expected), abs=1e-12)
        assert result.metrics[name].n == sum(value is not None for value in each)
    assert result.counts["perturbed_captions"] == len(world.shown)


def with_curves(**curves: Any) -> dict[str, Any]:
    """Curves of the three captions of `exports.packed`."""
    table = {
        "deletion": [[4, 0, 0], [2, 2, 0], [1, 1, 1]],
        "deletion_random": [[4, 2, 0], [2, 1, 0], [1, 2, 1]],
    }
    return {name: np.array(value, np.float32) for name, value in (table | curves).items() if value is not None}


@pytest.mark.parametrize("layout", [packed, padded])
def test_an_export_is_enough(tmp_path: Path, layout: Any) -> None:
    """Without annotations and similarities: gaps .25 and -.25, and one that is undefined."""
    result = score(saved(tmp_path / "maps.npz", layout(**with_curves())), options=QUICK)
    assert set(result.metrics) == {"deletion_gap"}
    measured = result.metrics["deletion_gap"]
    assert (measured.value, measured.n) == (0, 2)
    assert measured.ci == (-0.25, 0.25)
    assert result.scores.sums.columns["deletion_gap"].tolist() == [0.25, -0.25]
    assert "1 of 3 captions have no deletion gap: their score is the same with all regions and with none" in (
        list(map(str, result.notes))
    )
    result.save(tmp_path / "result.json")
    again = Result.load(tmp_path / "result.json")
    assert again.to_dict() == result.to_dict()


def test_only_the_first_images(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", packed(**with_curves()))
    result = score(path, options=dataclasses.replace(QUICK, limit=1))
    assert (result["deletion_gap"], result.metrics["deletion_gap"].n, result.partial) == (0.25, 1, True)


def test_an_export_without_curves_has_none() -> None:
    world = make_world(3)
    bare = dataclasses.replace(world, shown=[dataclasses.replace(own, curves=None) for own in world.shown])
    with_and_without = scored(world, Protocol()), scored(bare, Protocol())
    a, b = (numbers(result) for result in with_and_without)
    rest = {place for place in a if "gap" in place or "perturbed" in place}
    assert rest
    assert {place: value for place, value in a.items() if place not in rest} == b


def test_scores_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    curves = with_curves(deletion=[[4, np.nan, 0], [2, 2, 0], [1, 1, 1]])
    with pytest.raises(ExportError, match=r"deletion: NaN or infinite scores \(first: 36979#0 has nan at step 1\)"):
        score(saved(tmp_path / "maps.npz", packed(**curves)), options=QUICK)


def test_a_channel_has_no_faithfulness_of_its_own() -> None:
    world = make_world(1, images=3, channels=2)
    result = scored(world, Protocol())
    assert result.channels
    assert all("deletion_gap" not in scores.metrics for scores in result.channels.values())


def test_parts_that_lack_it_leave_it_out_of_the_whole() -> None:
    world = make_world(5, images=4).attention_alone()
    first, *rest = world.scenes
    one, two = world.with_images({first}.__contains__), world.with_images(set(rest).__contains__)
    bare = dataclasses.replace(two, shown=[dataclasses.replace(own, curves=None) for own in two.shown])
    whole = merge([scored(one, Protocol()), scored(bare, Protocol())])
    assert "deletion_gap" not in whole.metrics
    assert any("left out of the whole" in note and "deletion_gap" in note for note in whole.notes)
    with pytest.raises(MismatchError, match="images are in several parts"):
        merge([scored(one, Protocol()), scored(one, Protocol())])


def test_shards_with_and_without_do_not_fit() -> None:
    world = make_world(5, images=2, captions=2).attention_alone()
    bare = dataclasses.replace(world, shown=[dataclasses.replace(own, curves=None) for own in world.shown[:1]])
    rest = dataclasses.replace(world, shown=world.shown[1:])
    with pytest.raises(ExportError, match="perturbations and their steps differ"):
        scored_in_shards([rest, bare], Protocol())


def test_it_is_compared_and_gated() -> None:
    world = make_world(8, images=6)
    turned = [
        dataclasses.replace(own, curves=own.curves[[1, 0, 3, 2]]) for own in world.shown if own.curves is not None
    ]
    one, two = scored(world, Protocol()), scored(dataclasses.replace(world, shown=turned), Protocol())
    lines = {line.metric: line for line in compare([one, two]).lines}
    for name in ("deletion_gap", "insertion_gap"):
        assert lines[name].values == (one[name], two[name])
        (_, difference) = lines[name].differences
        assert difference is not None
        assert difference.p_holm is None
    limit = max(float(one["deletion_gap"] or 0), 0.0) + 1
    assert not gate(one, f"deletion_gap >= {limit}").passed
    assert gate(one, f"deletion_gap <= {limit}").passed


@pytest.mark.parametrize("name", ["deletion_gap", "insertion_gap_n"])
def test_a_result_that_contradicts_itself_is_refused(tmp_path: Path, name: str) -> None:
    world = make_world(8, images=6)
    path = tmp_path / "result.json"
    scored(world, Protocol()).save(path)
    values = json.loads(path.read_text("utf-8"))
    values["per_image"][name][0] = 1e6
    path.write_text(json.dumps(values), "utf-8")
    with pytest.raises(attneval.AttnevalError, match="damaged result"):
        Result.load(path)


def test_explain_says_where_it_comes_from() -> None:
    out = " ".join(CliRunner().invoke(explain, ["deletion_gap"]).output.split())
    assert "deletion_gap: Deletion gap (no bounds, higher is better)" in out
    assert "Petsiuk" in out
