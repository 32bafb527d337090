"""One table: laws that hold for every metric of the registry, on random worlds.

A metric that is added to the registry is in every result of these tests, and so under every law.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import box_reference
import item_reference
import numpy as np
import pytest
import reference_inputs
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from worlds import (
    UNASKED,
    Scene,
    World,
    cases,
    differences,
    make_world,
    numbers,
    scored,
    scored_if_any,
    scored_in_shards,
)

from attneval import Protocol, Result
from attneval.cli.explain import explain
from attneval.config.thresholds import Threshold
from attneval.evaluation import item_hits as scoring
from attneval.evaluation import plan_blocks as blocks
from attneval.geometry import box_groups
from attneval.metrics import ranks as retrieval
from attneval.metrics.declaration import ATTENTION, GROUPS, Metric
from attneval.metrics.registry import REGISTRY, metrics
from attneval.results.merge import merge

METRICS = metrics()
QUICK = settings(max_examples=15, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**31)


def every_metric(result: Result) -> Result:
    """A result that has all metrics of the registry, so that a law that holds for it holds for all of them."""
    assert set(result.metrics) == set(REGISTRY) - UNASKED
    return result


def defined(result: Result, name: str) -> float:
    value = result[name]
    assert value is not None
    return value


# ---------------------------------------------------------------- declarations


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_says_what_it_is(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z0-9@_]+", metric.name)
    assert metric.group in GROUPS
    assert metric.title
    assert metric.title != metric.name
    assert metric.definition.endswith(".")
    assert len(metric.definition.split()) > 6
    # A source with a year or a place to look it up, or a definition that stands on its own.
    if metric.citation:
        assert re.search(r"(19|20)\d\d|scikit-learn", metric.citation)
    else:
        assert metric.name in {"best_f1", "entropy", "coverage", "specificity", "f1_lift", "ap_lift"}
    if metric.group == "faithfulness":
        assert (metric.lower, metric.upper) == (-math.inf, math.inf)
    else:
        assert (metric.lower, metric.name in {"specificity", "f1_lift", "ap_lift"}) in {(0, False), (-1, True)}
    assert metric.upper > 0
    assert metric.unit in {"share", "rank", "nats"}


def test_titles_are_no_two_metrics() -> None:
    assert len({metric.title for metric in METRICS}) == len(METRICS) == len(REGISTRY)


def test_the_names_are_those_of_the_documents() -> None:
    named = (
        "precision recall f1 micro_precision micro_recall micro_f1 ap best_f1 pointing r@1 r@5 r@10 mass "
        "rank_accuracy entropy coverage specificity f1_lift ap_lift area_mass auc spatial_entropy "
        "class_precision class_recall class_f1 class_pointing "
        "map_iou map_precision map_recall box_accuracy function_specificity map_function_f1 "
        "i2t_r@1 i2t_r@5 i2t_r@10 i2t_medr i2t_meanr t2i_r@1 t2i_r@5 "
        "t2i_r@10 t2i_medr t2i_meanr rsum deletion_gap insertion_gap"
    )
    assert set(named.split()) == set(REGISTRY)


def test_groups_stay_together() -> None:
    order = [GROUPS.index(metric.group) for metric in METRICS]
    assert order == sorted(order)
    assert [m.name for m in metrics("ceiling")] == [m.name for m in METRICS if m.group == "ceiling"]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_can_be_explained(metric: Metric) -> None:
    done = CliRunner().invoke(explain, [metric.name])
    assert done.exit_code == 0
    words = done.output.split()
    assert " ".join(words).startswith(f"{metric.name}: {metric.title} (")
    for text in (metric.definition, metric.citation):
        assert text in " ".join(words)
    assert f"{'higher' if metric.higher_is_better else 'lower'} is better" in " ".join(words)


def test_specificity_is_not_said_to_start_at_0() -> None:
    assert "0 to 1" not in CliRunner().invoke(explain, ["specificity"]).output


# ---------------------------------------------------------------- what does not matter


def in_another_order(world: World, protocol: Protocol, random: np.random.Generator) -> Result:
    return scored(world.reordered(random), protocol)


def with_objects_in_another_order(world: World, protocol: Protocol, _: np.random.Generator) -> Result:
    return scored(world, protocol, backwards=True)


def with_regions_in_another_order(world: World, protocol: Protocol, random: np.random.Generator) -> Result:
    return scored(world.with_regions_permuted(random), protocol)


def with_tokens_as_spans(world: World, protocol: Protocol, _: np.random.Generator) -> Result:
    return scored(world, protocol, layout="spanned")


def cut_into_small_pieces(world: World, protocol: Protocol, _: np.random.Generator) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (blocks, "IMAGES_AT_ONCE"),
            (blocks, "BLOCK_BYTES"),
            (scoring, "CHUNK"),
            (box_groups, "PAIRS_AT_ONCE"),
            (retrieval, "BLOCK_BYTES"),
        ):
            patch.setattr(module, name, 1)
        return scored(world, protocol)


# To the last bit: images are summed in the order of their ids, and never split.
SAME = (in_another_order, with_tokens_as_spans, cut_into_small_pieces)
# But for rounding: what is added up within an image has another order.
NEARLY_THE_SAME = (with_objects_in_another_order, with_regions_in_another_order)


@given(cases(), SEEDS)
@QUICK
def test_orders_and_the_ways_of_writing_and_working(case: tuple[World, Protocol], seed: int) -> None:
    world, protocol = case
    one = numbers(every_metric(scored_if_any(world, protocol)))
    for change in (*SAME, *NEARLY_THE_SAME):
        other = numbers(change(world, protocol, np.random.default_rng(seed)))
        assert not differences(one, other), change.__name__
        assert change in NEARLY_THE_SAME or one == other, change.__name__


@given(cases(back=False, fields={"normalize": "sum"}), SEEDS)
@QUICK
def test_the_scale_of_weights(case: tuple[World, Protocol], seed: int) -> None:
    world, protocol = case
    # Powers of two scale single precision exactly.
    factors = [float(2.0**k) for k in np.random.default_rng(seed).integers(-10, 10, len(world.shown))]
    one = every_metric(scored_if_any(world, protocol))
    assert not differences(numbers(one), numbers(scored(world.scaled(factors), protocol)))


@given(cases(back=False, ties=True), st.sampled_from(["softmax", "minmax"]))
@QUICK
def test_what_is_added_to_all_weights(case: tuple[World, Protocol], normalize: str) -> None:
    world, protocol = case
    protocol = dataclasses.replace(protocol, normalize=normalize)
    assume(protocol.pool != "sum")  # what is added to several tokens adds up, but to every key the same
    shifted = dataclasses.replace(
        world, shown=[dataclasses.replace(own, maps=own.maps + np.float32(2)) for own in world.shown]
    )
    one = every_metric(scored_if_any(world, protocol))
    assert not differences(numbers(one), numbers(scored(shifted, protocol)))


@given(cases(channels=1))
@QUICK
def test_the_layout_of_the_file(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    # Of other kinds nothing has to sum to one, so that padding may be anything in either direction.
    world = dataclasses.replace(world, kind="relevance")
    one = every_metric(scored_if_any(world, protocol))
    assert numbers(one) == numbers(scored(world, protocol, layout="padded"))


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_regions_without_an_area_need_no_weights(layout: str) -> None:
    """A padding region never counts, so nothing has to be said of the words it attends to."""
    world = make_world(2, back=True)
    padding = {image: [box_reference.area(box) <= 0 for box in s.regions] for image, s in world.scenes.items()}
    assert any(itertools.chain.from_iterable(padding.values()))
    shown = []
    for own in world.shown:
        assert own.back is not None
        back = own.back.copy()
        back[:, :, padding[own.image]] = 0
        shown.append(dataclasses.replace(own, back=back))
    protocol = Protocol(direction="i2t")
    expected = numbers(scored(world, protocol))
    assert numbers(scored(dataclasses.replace(world, shown=shown), protocol, layout=layout)) == expected


@given(cases(), st.integers(1, 2**12 - 2))
@QUICK
def test_files_and_their_order(case: tuple[World, Protocol], mask: int) -> None:
    """Shards of one export, split anywhere between captions, in any order."""
    world, protocol = case
    whole = scored_if_any(world.attention_alone(), protocol)
    chosen = {(own.image, own.index) for number, own in enumerate(world.shown) if mask >> number & 1}
    parts = [
        world.with_captions(lambda own: (own.image, own.index) in chosen),
        world.with_captions(lambda own: (own.image, own.index) not in chosen),
    ]
    assume(all(part.shown for part in parts))
    assert numbers(scored_in_shards(parts, protocol)) == numbers(whole)
    assert numbers(scored_in_shards(parts[::-1], protocol)) == numbers(whole)


@given(cases(images=4))
@QUICK
def test_parts_of_the_images(case: tuple[World, Protocol]) -> None:
    """Parts that are scored alone, each with something to score, and then merged."""
    world, protocol = case
    whole = scored_if_any(world.attention_alone(), protocol)
    first, *rest = list(world.scenes)
    groups = [{first, rest[0]}, set(rest[1:])]
    assume(all(own.shown for own in (world.with_images(group.__contains__) for group in groups)))
    parts = [scored_if_any(world.with_images(group.__contains__), protocol) for group in groups]
    for order in (parts, parts[::-1]):
        merged = dataclasses.replace(merge(order), name=whole.name)
        assert numbers(merged) == numbers(whole)


def test_how_the_work_is_cut_where_an_image_has_no_captions() -> None:
    world = make_world(5, images=2, captions=2)
    first, second = world.scenes
    world = world.with_captions(lambda own: own.image == first)
    assert second in world.scenes
    one = scored(world, Protocol(missing="zero"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "IMAGES_AT_ONCE", 1)
        assert numbers(one) == numbers(scored(world, Protocol(missing="zero")))


# ---------------------------------------------------------------- what values can be


def lifts_are_differences(_: Protocol, result: Result) -> None:
    """To even attention, in every table that has both."""
    uniform = result.scores.baselines["uniform"]
    for name in ("f1", "ap"):
        for table in (result.metrics, *(result.scores.baselines[floor] for floor in result.scores.baselines)):
            if f"{name}_lift" in table:
                lift, value, even = table[f"{name}_lift"].value, table[name].value, uniform[name].value
                assert (lift is None) == (value is None)
                if lift is not None and value is not None and even is not None:
                    assert lift == pytest.approx(value - even, abs=1e-9)
    for kind, groups in result.scores.by.items():
        for group, table in groups.items():
            even = result.scores.by_baselines[kind][group]["uniform"]["f1"].value
            lift, value = table["f1_lift"].value, table["f1"].value
            if lift is not None and value is not None and even is not None:
                assert lift == pytest.approx(value - even, abs=1e-9)


def groups_count_their_images(_: Protocol, result: Result) -> None:
    for kind, groups in result.scores.by_images.items():
        for group, images in groups.items():
            rows = result.scores.sums.by[kind][group]
            assert images == len(rows.row) <= len(result.scores.sums.image_id)
            found = float(rows.columns["items"].sum())
            assert found == result.scores.by[kind][group]["coverage"].n


def ranges(_: Protocol, result: Result) -> None:
    scores = result.scores
    groups = [table for kind in scores.by.values() for table in kind.values()]
    for table in (scores.metrics, *scores.baselines.values(), *groups):
        for name, measured in table.items():
            upper = REGISTRY[name].upper
            # Ranks count from 1.
            lower = {"rank": 1.0}.get(REGISTRY[name].unit, REGISTRY[name].lower)
            if measured.value is not None:
                assert lower - 1e-9 <= measured.value <= upper + 1e-9, name
                assert math.isfinite(measured.value)
                assert measured.n > 0
            else:
                # Undefined is only a mean over nothing, or a difference with one.
                assert measured.n == 0 or name == "specificity", name


def recalls_rise_to_coverage(_: Protocol, result: Result) -> None:
    rising = [defined(result, name) for name in ("r@1", "r@5", "r@10", "r@all")]
    assert rising == sorted(rising)
    assert result["r@all"] == result["coverage"]
    parts = {direction: [defined(result, f"{direction}_r@{k}") for k in (1, 5, 10)] for direction in ("i2t", "t2i")}
    assert all(rising == sorted(rising) for rising in parts.values())
    assert defined(result, "rsum") == pytest.approx(sum(map(sum, parts.values())))


def the_curve_holds_the_protocols_own_threshold(protocol: Protocol, result: Result) -> None:
    curve = result.scores.curve
    if curve is None:
        assert result["f1"] is None
        return
    assert curve.rule == protocol.rule.rule
    own = curve.parameter.index(protocol.rule.value)
    for name in ("precision", "recall", "f1"):
        assert getattr(curve, name)[own] == pytest.approx(defined(result, name), abs=1e-9)
    assert defined(result, "best_f1") == pytest.approx(max(curve.f1), abs=1e-12)
    assert defined(result, "best_f1") >= defined(result, "f1") - 1e-9


def looser_thresholds_find_no_less(_: Protocol, result: Result) -> None:
    curve = result.scores.curve
    if curve is not None:
        recall = curve.recall if curve.rule in {"top", "mass"} else curve.recall[::-1]
        assert all(after >= before - 1e-9 for before, after in itertools.pairwise(recall))


def specificity_is_a_difference(_: Protocol, result: Result) -> None:
    shuffled = result.scores.baselines["shuffled"]["f1"].value
    if result["f1"] is None or shuffled is None:
        assert result["specificity"] is None
    else:
        assert defined(result, "specificity") == pytest.approx(defined(result, "f1") - shuffled, abs=1e-9)


def per_image_sums_reproduce_the_values(_: Protocol, result: Result) -> None:
    sums = result.scores.sums
    total = {name: np.asarray(math.fsum(column)) for name, column in sums.columns.items()}
    for direction, table in sums.ranks.items():
        total[f"{direction}_medr"] = np.asarray(np.median(table.rank))
    for metric in METRICS:
        if metric.resampled and metric.name not in UNASKED:
            value = float(metric.value(total))
            expected = result[metric.name]
            assert (None if math.isnan(value) else pytest.approx(value, abs=1e-12)) == expected, metric.name
            assert result.metrics[metric.name].n == round(float(total[metric.per]))


def micro_is_of_summed_counts(_: Protocol, result: Result) -> None:
    columns = result.scores.sums.columns
    tp, attended, relevant = (math.fsum(columns[name]) for name in ("tp", "attended", "relevant"))
    if result.metrics["micro_f1"].n:
        # Nothing attended is a precision of 0.
        assert defined(result, "micro_precision") == pytest.approx(tp / attended if attended else 0)
        assert defined(result, "micro_recall") == pytest.approx(tp / relevant if relevant else 0)
        whole = attended + relevant
        assert defined(result, "micro_f1") == pytest.approx(2 * tp / whole if whole else 0)


def groups_are_parts_of_the_whole(protocol: Protocol, result: Result) -> None:
    whole = result.metrics
    for groups in result.scores.by.values():
        for table in groups.values():
            assert set(table) == {metric.name for metric in metrics(*ATTENTION) if metric.resampled} - UNASKED
            assert 0 <= table["coverage"].n <= whole["coverage"].n
    if protocol.directions[0] == "t2i":
        # Every item has one area and one length; a phrase may have several types.
        for kind in ("area", "length"):
            parts = result.scores.by[kind].values()
            assert sum(table["f1"].n for table in parts) == whole["f1"].n
            weighted = sum((table["f1"].value or 0) * table["f1"].n for table in parts)
            assert weighted == pytest.approx((result["f1"] or 0) * whole["f1"].n, abs=1e-7)


LAWS = (
    ranges,
    recalls_rise_to_coverage,
    the_curve_holds_the_protocols_own_threshold,
    looser_thresholds_find_no_less,
    specificity_is_a_difference,
    per_image_sums_reproduce_the_values,
    micro_is_of_summed_counts,
    groups_are_parts_of_the_whole,
    lifts_are_differences,
    groups_count_their_images,
)


@given(cases())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_laws_of_a_result(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    result = every_metric(scored_if_any(world, protocol))
    for law in LAWS:
        law(protocol, result)


# ---------------------------------------------------------------- baselines


def with_weights(world: World, weights: dict[str, list[float]]) -> World:
    """Every token of an image attending in the same way."""
    return dataclasses.replace(
        world,
        shown=[
            dataclasses.replace(own, maps=np.broadcast_to(np.array(weights[own.image], np.float32), own.maps.shape))
            for own in world.shown
        ],
    )


COMPARABLE = [metric.name for metric in metrics(*ATTENTION) if metric.baseline and metric.name not in UNASKED]


@given(cases(back=False, missing=False, fields={"normalize": "sum", "pointing": "region"}))
@QUICK
def test_uniform_is_what_even_attention_scores(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    even = with_weights(world, {image: [0.5] * len(scene.regions) for image, scene in world.scenes.items()})
    one, other = scored_if_any(world, protocol), scored_if_any(even, protocol)
    # Nothing is above what it is.
    for lift in ("f1_lift", "ap_lift"):
        assert one.scores.baselines["uniform"][lift].value == (0 if one.metrics["f1"].n else None)
        assert other[lift] == (0 if other.metrics["f1"].n else None)
    for name in COMPARABLE:
        baseline = one.scores.baselines["uniform"][name]
        assert differences({name: baseline.value}, {name: other[name]}) == {}
        assert baseline.n == other.metrics[name].n


@given(cases(back=False, missing=False, fields={"normalize": "sum", "pool": "mean"}))
@QUICK
def test_center_is_what_attending_to_the_centre_scores(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    assume(protocol.pointing == "region")

    def in_the_middle(scene: Scene) -> list[float]:
        real = [r for r, region in enumerate(scene.regions) if box_reference.area(region) > 0]
        row = box_reference.center_row([scene.regions[r] for r in real], (scene.width, scene.height))
        return [row[real.index(r)] if r in real else 0.25 for r in range(len(scene.regions))]

    middle = with_weights(world, {image: in_the_middle(scene) for image, scene in world.scenes.items()})
    one, other = scored_if_any(world, protocol), scored_if_any(middle, protocol)
    for name in COMPARABLE:
        baseline = one.scores.baselines["center"][name]
        if baseline.value is None or other[name] is None:
            assert baseline.value == other[name]
        else:
            assert baseline.value == pytest.approx(defined(other, name), abs=1e-6), name


@given(cases(back=False, missing=False, fields={"threshold": "abs:0", "pointing": "region", "unreachable": "skip"}))
@QUICK
def test_the_oracle_finds_whatever_can_be_found(case: tuple[World, Protocol]) -> None:
    result = scored_if_any(*case)
    oracle = result.scores.baselines["oracle"]
    if not result.metrics["f1"].n:
        return
    for name, measured in oracle.items():
        per_item = REGISTRY[name].per == "items"
        if name in {"f1_lift", "ap_lift"}:
            even = result.scores.baselines["uniform"][name.removesuffix("_lift")].value
            assert even is not None
            assert measured.value == pytest.approx(1 - even, abs=1e-9), name
        elif not measured.n:
            assert (name, measured.value) == ("auc", None)  # all keys are relevant
        else:
            assert measured.value == pytest.approx(defined(result, "coverage") if per_item else 1), name
        assert measured.n == result.metrics[name].n
    assert set(oracle) == set(COMPARABLE) - {"entropy", "area_mass"}


@given(cases(back=False, missing=False, fields={"threshold": "abs:0", "pointing": "region", "normalize": "sum"}), SEEDS)
@QUICK
def test_a_perfect_map_scores_its_oracle_exactly(case: tuple[World, Protocol], seed: int) -> None:
    """Weight on relevant regions alone, on all of them and as it comes; each word of a caption means the same thing."""
    world, protocol = case
    protocol = dataclasses.replace(protocol, unreachable="skip", direction="t2i")
    random = np.random.default_rng(seed)
    p = protocol.to_dict()
    scenes, shown = {}, []
    for image, scene in world.scenes.items():
        # One thing in each image, so that every row has the same relevant regions.
        chains = [chain for chain, boxes in scene.boxes.items() if boxes][:1]
        boxes = {chain: scene.boxes[chain] for chain in chains}
        scenes[image] = dataclasses.replace(scene, boxes=boxes)
        edges = [
            reference_inputs.in_image((x1, y1, x2, y2), protocol.edges, (scene.width, scene.height))
            for x1, y1, x2, y2 in itertools.chain.from_iterable(boxes.values())
        ]
        real = [r for r, region in enumerate(scene.regions) if box_reference.area(region) > 0]
        overlap_ = {"auto": "iou"}.get(protocol.overlap, protocol.overlap)
        near = item_reference.reaching([scene.regions[r] for r in real], edges, overlap_, p) if edges else frozenset()
        for own in world.shown:
            if own.image == image:
                row = np.zeros(len(scene.regions), np.float32)
                for place in near:
                    row[real[place]] = random.choice([0.1, 0.3, 0.7])
                maps = np.broadcast_to(row, own.maps.shape)
                shown.append(dataclasses.replace(own, maps=maps))
    perfect = dataclasses.replace(world.attention_alone(), scenes=scenes, shown=shown)
    result = scored_if_any(perfect, protocol)
    if not result.metrics["f1"].n:
        return
    names = ("precision", "recall", "f1", "micro_precision", "micro_recall", "micro_f1")
    for name in (*names, "ap", "pointing", "mass", "rank_accuracy"):
        assert result[name] == 1, name
        assert result.scores.baselines["oracle"][name].value == 1, name
    assert result["auc"] in {1, None}
    for name in ("r@1", "r@5", "r@10"):
        assert result[name] == result["coverage"] == result.scores.baselines["oracle"][name].value


def test_the_oracle_of_summed_counts() -> None:
    world = make_world(14, images=4)
    result = scored(world, Protocol(unreachable="zero"))
    assert 0 < defined(result, "coverage") < 1
    assert [result.scores.baselines["oracle"][f"micro_{n}"].value for n in ("precision", "recall", "f1")] == [1, 1, 1]


def test_pointing_at_centres_where_nothing_is_reached() -> None:
    world = make_world(3, images=1, captions=1)
    (name,) = world.scenes
    scene = dataclasses.replace(world.scenes[name], regions=[(0.0, 0.0, 1.0, 1.0)])
    shown = [dataclasses.replace(own, maps=own.maps[:, :, :1]) for own in world.shown]
    world = dataclasses.replace(world, scenes={name: scene}, shown=shown)
    assert scored(world, Protocol(overlap="iou", iou=1.0))["coverage"] == 0
    assert scored(world, Protocol(overlap="iou", iou=1.0, pointing="center"))["f1"] is None


# ---------------------------------------------------------------- what is left out, or scores 0


@pytest.mark.parametrize("regions", [[], [(0.0, 0.0, 0.0, 0.0)]], ids=["none", "padding"])
@pytest.mark.parametrize("normalize", ["sum", "softmax", "minmax", "none"])
def test_images_in_which_nothing_was_detected(regions: list[tuple[float, float, float, float]], normalize: str) -> None:
    """Their items are there, and no region reaches them."""
    world = make_world(5, images=3)
    first, second, third = world.scenes
    bare = dataclasses.replace(
        world,
        scenes={**world.scenes, second: dataclasses.replace(world.scenes[second], regions=regions)},
        shown=[
            dataclasses.replace(own, maps=own.maps[:, :, : len(regions)]) if own.image == second else own
            for own in world.shown
        ],
    )
    protocol = Protocol(normalize=normalize)
    whole, others = scored(world, protocol), scored(world.with_images({first, third}.__contains__), protocol)
    found = scored(bare, protocol)
    assert found["f1"] == others["f1"]
    assert found.metrics["coverage"].n == whole.metrics["coverage"].n > others.metrics["coverage"].n
    assert defined(found, "coverage") * found.metrics["coverage"].n == pytest.approx(others.metrics["f1"].n)


MEANS = ("precision", "recall", "f1", "ap", "mass", "rank_accuracy", "best_f1")


@given(cases(fields={"unreachable": "skip", "pointing": "region"}))
@QUICK
def test_items_that_no_region_reaches(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    skip = every_metric(scored_if_any(world, protocol))
    zero = scored(world, dataclasses.replace(protocol, unreachable="zero"))
    assert zero.metrics["f1"].n == zero.metrics["coverage"].n == skip.metrics["coverage"].n
    for name in (*MEANS, "pointing"):
        expected = (skip[name] or 0) * skip.metrics[name].n / zero.metrics[name].n
        assert defined(zero, name) == pytest.approx(expected, abs=1e-9), name
    for name in ("coverage", "r@1", "r@5", "r@10"):
        assert zero[name] == skip[name]


@given(cases(missing=True, fields={"missing": "skip", "direction": "t2i"}))
@QUICK
def test_words_without_attention(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    skip = every_metric(scored_if_any(world, protocol))
    zero = scored(world, dataclasses.replace(protocol, missing="zero"))
    assert zero.metrics["f1"].n >= skip.metrics["f1"].n
    for name in (*MEANS, "pointing", "r@1", "r@5", "r@10"):
        if zero.metrics[name].n:
            expected = (skip[name] or 0) * skip.metrics[name].n / zero.metrics[name].n
            assert defined(zero, name) == pytest.approx(expected, abs=1e-9), name
    assert (zero["entropy"], zero.metrics["entropy"].n) == (skip["entropy"], skip.metrics["entropy"].n)


@given(cases(missing=False))
@QUICK
def test_where_nothing_is_missing_it_does_not_matter_what_would_be_done(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    found = [scored_if_any(world, dataclasses.replace(protocol, missing=what)) for what in ("error", "skip", "zero")]
    assert numbers(found[0]) == numbers(found[1]) == numbers(found[2])


# ---------------------------------------------------------------- thresholds, directions, channels


@given(cases(fields={"unreachable": "skip"}), st.integers(1, 10))
@QUICK
def test_metrics_without_a_threshold_do_not_have_one(case: tuple[World, Protocol], k: int) -> None:
    world, protocol = case
    one = scored_if_any(world, protocol)
    other = scored(world, dataclasses.replace(protocol, threshold=str(Threshold("top", k))))
    free = {"ap", "pointing", "r@1", "r@5", "r@10", "mass", "rank_accuracy", "entropy", "coverage"}
    free |= {metric.name for metric in metrics("retrieval")}
    assert {name: one[name] for name in free} == {name: other[name] for name in free}


@given(cases(back=True, fields={"direction": "t2i,i2t"}))
@QUICK
def test_each_direction_is_what_it_is_alone(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    both = scored_if_any(world, protocol)
    for direction in ("t2i", "i2t"):
        alone = scored_if_any(world, dataclasses.replace(protocol, direction=direction))
        part = both.channels[f"all/{direction}"]
        assert {n: m for n, m in alone.metrics.items() if n in part.metrics} == part.metrics
    assert {n: m for n, m in both.metrics.items() if n in part.metrics} == both.channels["all/t2i"].metrics


@given(cases(channels=2, back=False, fields={"direction": "t2i"}))
@QUICK
def test_each_channel_is_what_it_is_alone(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    both = scored_if_any(world, protocol)
    assert set(both.channels) == {"all/t2i", "L0H0/t2i", "L0H1/t2i"}
    for channel, name in enumerate(("L0H0/t2i", "L0H1/t2i")):
        shown = [dataclasses.replace(own, maps=own.maps[channel : channel + 1]) for own in world.shown]
        alone = scored(dataclasses.replace(world, shown=shown, channels=[(-1, -1)]), protocol)
        part = both.channels[name]
        assert {n: m for n, m in alone.metrics.items() if n in part.metrics} == part.metrics
