"""Only like is compared with like: results know their regions, and different ones are refused unless told otherwise."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import attneval
from exports import assert_says
from results import image_sums, made
from six_boxes import largest_boxes
from worlds import make_world

from attneval import Options, Protocol, Result, compare, gate, merge, score
from attneval.errors import ConfigError, MismatchError
from attneval.report.compare import compare_dict, compare_page
from attneval.report.plain import render_plain
from attneval.results.all_items import over_all_items
from attneval.results.notes import COVERAGE

if TYPE_CHECKING:
    from attneval.results.comparison import Comparison

FIXTURES = Path(__file__).parents[2] / "fixtures"
ENTITIES = FIXTURES / "entities"
QUICK = Options(resamples=20)
FAST: dict[str, Any] = {"resamples": 20, "trials": 500}


@pytest.fixture(scope="module")
def good() -> Result:
    return score(FIXTURES / "good.npz", ENTITIES, options=QUICK)


@pytest.fixture(scope="module")
def few_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return largest_boxes(FIXTURES / "good.npz", tmp_path_factory.mktemp("few") / "few.npz", keep=3)


@pytest.fixture(scope="module")
def few(few_path: Path) -> Result:
    return score(few_path, ENTITIES, options=QUICK)


def values_of(comparison: Comparison) -> dict[str, tuple[float | None, ...]]:
    return {line.metric: line.values for line in comparison.lines}


# ---------------------------------------------------------------- what a result keeps


def test_a_result_keeps_the_regions_of_every_image(good: Result, few: Result) -> None:
    assert set(good.regions) == set(good.scores.sums.image_id)
    assert {text.partition(":")[0] for text in good.regions.values()} == {"12"}
    assert {text.partition(":")[0] for text in few.regions.values()} == {"3"}
    assert all(good.regions[name] != few.regions[name] for name in few.regions)
    assert (good.region_kind, good.auto) == ("boxes", ("overlap",))
    reachable = good.counts["items"] - good.counts["unreachable"]
    assert reachable == good.scores.sums.columns["reached"].sum()


def test_another_model_over_the_same_regions_has_the_same(good: Result) -> None:
    assert score(FIXTURES / "noisy.npz", ENTITIES, options=QUICK).regions == good.regions


def test_the_file_has_them(good: Result, tmp_path: Path) -> None:
    good.save(tmp_path / "r.json")
    values = json.loads((tmp_path / "r.json").read_text())
    assert values["regions"] == good.regions
    assert (values["auto"], values["region_kind"]) == (["overlap"], "boxes")
    again = Result.load(tmp_path / "r.json")
    assert (again.regions, again.auto, again.region_kind) == (good.regions, good.auto, good.region_kind)


def test_overlap_that_was_asked_for_is_not_auto() -> None:
    assert score(FIXTURES / "good.npz", ENTITIES, protocol=Protocol(overlap="iou"), options=QUICK).auto == ()


def test_a_grid_is_its_boxes(tmp_path: Path) -> None:
    world = make_world(4, images=3, grid=True).attention_alone()
    truth = world.entities(tmp_path / "truth")
    grid = world.packed(tmp_path / "a.npz")
    with np.load(grid) as data:
        members = {name: data[name] for name in data if name != "grid_shape"}
    boxes = [scene.regions for scene in world.scenes.values()]
    members["region_offset"] = np.cumsum([0, *map(len, boxes)])
    members["region_box"] = np.array([box for regions in boxes for box in regions], np.float32)
    np.savez(tmp_path / "b.npz", **members)
    cells, written = (score(path, truth, options=QUICK) for path in (grid, tmp_path / "b.npz"))
    assert len(cells.regions) == 3
    assert cells.regions == written.regions


def test_windows_of_captions_count(tmp_path: Path) -> None:
    """The same boxes under a window that begins one region earlier are other regions."""
    world = make_world(4, images=4, windows=True).attention_alone()
    assert [own.window for own in world.shown if own.image == "1000"] == [(3, 3), (1, 1)]
    truth = world.entities(tmp_path / "truth")
    result = score(world.packed(tmp_path / "a.npz"), truth, options=QUICK)
    # Regions without an area are none.
    boxes = world.scenes["1000"].regions
    real = [box for start, count in ((3, 3), (1, 1)) for box in boxes[start : start + count] if box[0] < box[2]]
    assert result.regions["1000"].startswith(f"{len(real)}:")
    with np.load(tmp_path / "a.npz") as data:
        members = dict(data)
    members["caption_region"][0, 0] -= 1
    np.savez(tmp_path / "b.npz", **members)
    moved = score(tmp_path / "b.npz", truth, options=QUICK)
    assert [name for name in result.regions if result.regions[name] != moved.regions[name]] == ["1000"]
    with pytest.raises(MismatchError, match=r"1 of 4 images \(first: 1000,"):
        compare([result, moved], **FAST)


def test_jobs_do_not_matter(good: Result) -> None:
    assert score(FIXTURES / "good.npz", ENTITIES, options=Options(resamples=0, jobs=2)).regions == good.regions


# ---------------------------------------------------------------- compare


def test_other_regions_are_refused_with_a_number_and_an_example(good: Result, few: Result) -> None:
    with pytest.raises(MismatchError) as caught:
        compare([good, few], **FAST)
    first = few.scores.sums.image_id[0]
    assert_says(str(caught.value), "good and few have different regions in 60 of 60 images", f"first: {first}")
    assert_says(str(caught.value), "12 against 3", "--across-regions")


def test_one_image_with_another_box_is_enough(good: Result) -> None:
    other = dataclasses.replace(good, name="other", regions=good.regions | {"700037": "12:0123456789abcdef"})
    with pytest.raises(MismatchError, match=r"in 1 of 60 images \(first: 700037, 12 others\)"):
        compare([good, other], **FAST)
    with pytest.raises(MismatchError, match="in 1 of 60 images"):
        gate(other, "f1 drops by at most 0.5", good)


def test_across_regions_all_items_count(good: Result, few: Result) -> None:
    comparison = compare([good, few], across_regions=True, **FAST)
    values = values_of(comparison)
    for column, result in enumerate((good, few)):
        sums = {name: float(values.sum()) for name, values in result.scores.sums.columns.items()}
        for metric in ("precision", "recall", "f1", "ap", "pointing"):
            assert values[metric][column] == pytest.approx(sums[metric] / sums["items"]), metric
        assert values["f1_lift"][column] == pytest.approx((sums["f1"] - sums["uniform_f1"]) / sums["items"])
        assert values["coverage"][column] == result["coverage"]
        assert values["specificity"][column] is None
    assert {line.n for line in comparison.lines if line.metric == "f1"} == {(1342, 1342)}


def test_what_sums_of_scored_items_cannot_give_is_a_dash(good: Result, few: Result) -> None:
    names = ["micro_precision", "micro_recall", "micro_f1", "entropy", "auc", "area_mass", "r@1"]
    comparison = compare([good, few], names=names, across_regions=True, **FAST)
    values = values_of(comparison)
    for name in ("micro_precision", "micro_f1", "entropy", "auc"):
        assert values[name] == (None, None), name
    for name in ("micro_recall", "area_mass", "r@1"):
        assert values[name] == pytest.approx((good[name], few[name])), name
    assert " - " in render_plain(compare_page(comparison))


@pytest.mark.parametrize("name", ["good", "uniform"])
def test_all_items_is_what_scoring_all_items_gives(name: str) -> None:
    """A scoring under `unreachable=zero` is the reference: it looks at every item."""
    path = FIXTURES / f"{name}.npz"
    skipping = score(path, ENTITIES, options=QUICK)
    zero = score(path, ENTITIES, protocol=Protocol(unreachable="zero"), options=QUICK)
    every = over_all_items(skipping)
    for metric, measured in every.metrics.items():
        if measured.value is not None:
            assert measured.value == pytest.approx(zero[metric], abs=1e-12), metric
            assert measured.n == zero.metrics[metric].n, metric
    assert over_all_items(zero) is zero
    assert every["f1"] is not None


def test_regions_as_queries_have_no_items_in_common(tmp_path: Path) -> None:
    world = make_world(3, back=True, images=4).attention_alone()
    truth = world.entities(tmp_path / "truth")
    result = score(world.packed(tmp_path / "a.npz"), truth, protocol=Protocol(direction="i2t"), options=QUICK)
    other = dataclasses.replace(result, regions=dict.fromkeys(result.regions, "1:0123456789abcdef"))
    with pytest.raises(MismatchError, match="whose items are regions"):
        compare([result, other], across_regions=True, **FAST)


def test_an_overlap_that_both_took_from_auto_may_differ(good: Result, few: Result) -> None:
    cells = dataclasses.replace(few, name="cells", protocol=dataclasses.replace(few.protocol, overlap="iof"))
    with pytest.raises(MismatchError, match="overlap iou against iof"):
        compare([good, cells], **FAST)
    comparison = compare([good, cells], across_regions=True, **FAST)
    assert "overlap was taken from auto: iou for good, iof for cells" in comparison.notes
    text = render_plain(compare_page(comparison))
    assert "overlap:iou" in text
    assert "signature of b: " + cells.signature in text
    for asked in (dataclasses.replace(good, auto=()), dataclasses.replace(cells, auto=())):
        pair = [asked, cells] if asked.name == "good" else [good, asked]
        with pytest.raises(MismatchError, match="overlap iou against iof"):
            compare(pair, across_regions=True, **FAST)


def test_lifts_have_letters_only_across_regions(good: Result, few: Result) -> None:
    noisy = score(FIXTURES / "noisy.npz", ENTITIES, options=QUICK)
    alike = compare([good, noisy], resamples=0)
    lines = {line.metric: line for line in alike.lines}
    assert lines["f1"].better_than == ((1,), ())
    assert lines["f1_lift"].better_than == ((), ())
    assert lines["f1_lift"].differences[1] is not None
    assert lines["f1_lift"].differences[1].p_holm is None
    assert lines["f1_lift"].differences[1].p == lines["f1"].differences[1].p  # type: ignore[union-attr]
    across = compare([good, few], across_regions=True, resamples=0)
    lines = {line.metric: line for line in across.lines}
    assert lines["f1_lift"].better_than == ((1,), ())
    assert {"f1_lift", "ap_lift"} <= set(across.family)
    # Named, the metrics are the family, and what stands beside them is not.
    named = compare([good, few], names=["f1"], across_regions=True, resamples=0)
    assert [line.metric for line in named.lines] == ["f1", "f1_lift", "coverage"]
    assert named.family == ("f1",)


def test_coverage_and_n_are_shown_where_they_differ(good: Result) -> None:
    base = {"f1": [1.0, 1.0], "scored": [2.0, 2.0], "items": [4.0, 4.0], "reached": [2.0, 2.0]}
    a, b = made("a", image_sums(base)), made("b", image_sums(base | {"scored": [3.0, 2.0], "reached": [3.0, 2.0]}))
    comparison = compare([a, b], names=["f1"], **FAST)
    assert [line.metric for line in comparison.lines] == ["f1", "coverage"]
    text = render_plain(compare_page(comparison))
    assert "n: a 4, b 5 (f1)" in text
    assert compare_dict(comparison)["metrics"]["f1"]["n"] == {"a": 4, "b": 5}
    assert [line.metric for line in compare([a, a], names=["f1"], **FAST).lines] == ["f1"]
    assert "\nn: " not in render_plain(compare_page(compare([good, good], names=["f1"], **FAST)))


def test_results_without_fingerprints_are_compared_with_a_note(good: Result, few: Result) -> None:
    old = dataclasses.replace(few, name="old", regions={})
    comparison = compare([good, old], **FAST)
    (note,) = (note for note in comparison.notes if "fingerprint" in note)
    assert note.startswith("old was scored by an attneval that kept no fingerprint")
    assert any("fingerprint" in note for note in gate(old, "f1 drops by at most 0.9", good).notes)


# ---------------------------------------------------------------- gate


def test_a_gate_refuses_a_baseline_with_other_regions(good: Result, few: Result) -> None:
    with pytest.raises(MismatchError) as caught:
        gate(few, "f1 drops by at most 0.9", good)
    assert_says(str(caught.value), "different regions in 60 of 60", "--update-baseline", "--across-regions")
    # Values of its own decide without a baseline.
    assert gate(few, "f1 >= 0.1", good).passed


def test_a_gate_across_regions_measures_drops_over_all_items(good: Result, few: Result) -> None:
    for only_significant in (False, True):
        verdict = gate(
            few,
            ["f1 >= 0.1", "f1 drops by at most 0.01"],
            good,
            across_regions=True,
            only_significant=only_significant,
        )
        own, drop = verdict.outcomes
        assert own.value == few["f1"]
        assert (drop.value, drop.baseline) == (over_all_items(few)["f1"], over_all_items(good)["f1"])
        assert not verdict.passed
        assert any("over all items" in note for note in verdict.notes)
    with pytest.raises(MismatchError, match="micro_f1 is undefined"):
        gate(few, "micro_f1 drops by at most 0.01", good, across_regions=True)


# ---------------------------------------------------------------- merge


def parts(tmp_path: Path, protocol: Protocol) -> list[Result]:
    """An image with boxes and another one with the cells of a grid."""
    made_parts = []
    for seed, grid in ((4, False), (5, True)):
        world = make_world(seed, images=2, captions=6, grid=grid).attention_alone()
        folder = tmp_path / str(grid)
        folder.mkdir(exist_ok=True)
        ids = list(world.scenes)
        kept = ids[int(grid)]
        one = world.with_images(kept.__eq__)
        export = one.packed(folder / "maps.npz")
        made_parts.append(score(export, world.entities(folder / "truth"), protocol=protocol, options=QUICK))
    return made_parts


def test_parts_with_another_kind_of_regions_are_refused(tmp_path: Path) -> None:
    boxes, cells = parts(tmp_path, Protocol(overlap="iof"))
    assert (boxes.region_kind, cells.region_kind) == ("boxes", "cells")
    with pytest.raises(MismatchError, match="different kinds of regions: maps has boxes, maps has cells"):
        merge([boxes, cells])
    with pytest.raises(MismatchError, match="score all parts with --across-regions"):
        merge([boxes, cells], across_regions=True)


def test_parts_over_all_items_may_be_merged_across_regions(tmp_path: Path) -> None:
    both = parts(tmp_path, Protocol(overlap="iof", unreachable="zero"))
    whole = merge(both, across_regions=True)
    assert whole.region_kind == "mixed"
    assert whole.regions == both[0].regions | both[1].regions
    assert sum("different kinds of regions" in note for note in whole.notes) == 1
    whole.save(tmp_path / "whole.json")
    assert Result.load(tmp_path / "whole.json").region_kind == "mixed"


def test_an_image_twice_with_unequal_regions(good: Result) -> None:
    other = dataclasses.replace(good, regions=good.regions | {"700037": "12:0123456789abcdef"})
    with pytest.raises(MismatchError, match=r"1 images are in several parts with different regions \(first: 700037\)"):
        merge([good, other])


def test_retrieval_alone_joins_maps_over_cells(tmp_path: Path) -> None:
    """Without maps nothing settles overlap, and what was settled by the other's regions is no difference."""
    world = make_world(4, images=5, grid=True)
    truth = world.entities(tmp_path / "truth")
    maps = score(world.attention_alone().packed(tmp_path / "maps.npz"), truth, options=QUICK)
    ranks = score(similarity=[world.packed(tmp_path / "all.npz")], options=QUICK)
    assert (maps.protocol.overlap, ranks.protocol.overlap) == ("iof", "iou")
    for order in ([maps, ranks], [ranks, maps]):
        whole = merge(order)
        assert whole.protocol == maps.protocol
        assert whole.auto == ("overlap",)


# ---------------------------------------------------------------- the commands


def test_the_commands(good: Result, few: Result, tmp_path: Path) -> None:
    good.save(tmp_path / "good.json")
    few.save(tmp_path / "few.json")
    refused = attneval("compare", "good.json", "few.json", cwd=tmp_path)
    assert refused.code == 2
    assert_says(refused.err, "different regions in 60 of 60 images")
    done = attneval("compare", "good.json", "few.json", "--across-regions", "-f", "json", cwd=tmp_path)
    assert done.code == 0, done.err
    values = json.loads(done.out)
    assert values["across_regions"] is True
    assert values["metrics"]["coverage"]["value"]["few"] == few["coverage"]
    rule = ("gate", "few.json", "--baseline", "good.json", "--max-drop", "f1=0.9")
    assert attneval(*rule, cwd=tmp_path).code == 2
    assert attneval(*rule, "--across-regions", cwd=tmp_path).code == 0
    assert attneval("merge", "good.json", "few.json", "--across-regions", cwd=tmp_path).code == 2


def test_score_across_regions_is_unreachable_zero(few_path: Path, tmp_path: Path) -> None:
    flags = ("score", few_path, "--gt", ENTITIES, "--resamples", "0", "-q", "--across-regions")
    assert attneval(*flags, "-o", tmp_path / "r.json").code == 0
    assert Result.load(tmp_path / "r.json").protocol.unreachable == "zero"
    contradiction = attneval(*flags, "--unreachable", "skip")
    assert contradiction.code == ConfigError.exit_code
    assert_says(contradiction.err, "--across-regions", "--unreachable skip")


# ---------------------------------------------------------------- coverage


def test_low_coverage_is_said_everywhere(few_path: Path, tmp_path: Path) -> None:
    flags = ("score", few_path, "--gt", ENTITIES, "--resamples", "0", "--iou", "0.9")
    done = attneval(*flags, "-o", tmp_path / "r.json", cwd=tmp_path)
    assert_says(done.err, "note: only", "have a relevant region")
    assert_says(done.out, "note: only", "have a relevant region")
    assert attneval(*flags, "-q", cwd=tmp_path).err == ""
    result = Result.load(tmp_path / "r.json")
    assert [note for note in result.notes if note.kind == COVERAGE]
    gated = attneval("gate", "r.json", "--min", "f1=0", "-o", "v.json", cwd=tmp_path)
    assert gated.code == 0
    assert_says(gated.err, "note: only")
    assert_says(gated.out, "note: only")
    assert "have a relevant region" in json.loads((tmp_path / "v.json").read_text())["notes"][0]
    compared = compare([result, dataclasses.replace(result, name="b")], **FAST)
    assert sum("have a relevant region" in note for note in compared.notes) == 2


# ---------------------------------------------------------------- the example


@pytest.mark.realdata
def test_random_weights_over_large_boxes_beat_no_real_model(shared: Path, tmp_path: Path) -> None:
    """They score 37.3 % against 16.4 over the items that each reaches, of which there are 3,972 and 7,592 of 9,144."""
    truth = shared / "flickr8k_entities.zip"
    real = score(shared / "f8k285_regions.npz", truth, options=QUICK)
    six = score(largest_boxes(shared / "f8k285_regions.npz", tmp_path / "six.npz"), truth, options=QUICK)
    for result, reachable in ((real, 7592), (six, 3972)):
        assert result.counts["items"] - result.counts["unreachable"] == reachable
    assert (six["f1"] or 0) > 2 * (real["f1"] or 0)
    with pytest.raises(MismatchError, match=r"285 of 285 images \(first: 1015118661, 36 against 6\)"):
        compare([real, six])
    with pytest.raises(MismatchError, match="different regions"):
        gate(six, "f1 drops by at most 0.01", real)
    across = compare([real, six], across_regions=True, resamples=0)
    lines = {line.metric: line for line in across.lines}
    assert lines["coverage"].values == pytest.approx((7592 / 9144, 3972 / 9144))
    # What they have above even attention over their own regions is what tells them apart.
    for lift in ("f1_lift", "ap_lift"):
        assert lines[lift].better_than == ((1,), ()), lift
    assert (lines["f1_lift"].values[1] or 0) < 0 < (lines["f1_lift"].values[0] or 0)
    assert np.isclose(real["f1"] or 0, 0.164038630536005)
