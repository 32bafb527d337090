"""Channels one by one: their sums, their choice by name and by rank, and what a result keeps of many of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import reference
import reference_inputs
from hypothesis import given, settings
from pages import many_headed
from worlds import Phrase, Scene, Shown, World, cases, make_world

import attneval
from attneval import Options, Protocol, Result
from attneval.errors import AttnevalError, MetricError, NothingToScoreError, ProtocolError, ResultError
from attneval.evaluation.score_heads import score_heads
from attneval.metrics.registry import in_table
from attneval.results.channel_choice import with_channel
from attneval.results.channel_sums import ChannelTable, channels_path
from attneval.results.heads import rank_heads
from attneval.results.merge import merge
from attneval.statistics.halves import in_half

if TYPE_CHECKING:
    from pathlib import Path

USUAL = tuple(metric.name for metric in in_table("heads"))
QUICK = Options(resamples=0)


def files(world: World, root: Path) -> tuple[Path, Path]:
    return world.packed(root / "maps.npz"), world.entities(root / "annotations.zip")


def two_heads() -> World:
    """Four images of two halves each, with a dog on the left: head 0 sees it but in image 4, head 1 never.

    The digests of 2 and 3 begin with d4 and 4e, those of 1 and 4 with 6b and 4b.
    """
    sees, errs = [0.75, 0.25], [0.25, 0.75]
    scene = Scene(
        100,
        50,
        {"1": [(1, 1, 50, 50)]},
        [[Phrase("1", ("animals",), ("dog",))]],
        [(0, 0, 50, 50), (50, 0, 100, 50)],
        (1, 2),
    )
    shown = [
        Shown(image, 0, ["dog"], np.array([[errs if image == "4" else sees], [errs]], np.float32), None)
        for image in ("1", "2", "3", "4")
    ]
    return World(dict.fromkeys(("1", "2", "3", "4"), scene), shown, None, [(5, 0), (5, 1)], "attention")


def test_the_halves_are_those_of_the_digests() -> None:
    names = ["1", "2", "3", "4"]
    assert [hashlib.sha256(name.encode()).hexdigest()[:2] for name in names] == ["6b", "d4", "4e", "4b"]
    assert in_half(names, "even").tolist() == [False, True, True, False]
    assert in_half(names, "odd").tolist() == [True, False, False, True]
    assert in_half(names[::-1], "odd").tolist() == [True, False, False, True]


def test_the_head_that_attends_right_is_first_and_its_optimism_is_shown(tmp_path: Path) -> None:
    ranking = score_heads(*files(two_heads(), tmp_path), top=1)
    first, second = ranking.heads
    assert (first.name, first.layer, first.head, second.name) == ("L5H0", 5, 0, "L5H1")
    assert (ranking.chosen_on, ranking.reported_on) == (2, 2)
    # As a set even attention is both halves: precision 1/2, recall 1, F1 2/3.
    assert first.chosen.value == pytest.approx(1 - 2 / 3)
    assert first.reported.value == pytest.approx(1 / 2 - 2 / 3)
    assert first.optimism == pytest.approx(1 / 2)
    assert first.metrics["f1"].value == 0.5
    assert first.metrics["pointing"].value == 0.5
    assert first.metrics["area_mass"].value == 0.5
    assert second.chosen.value == second.reported.value == pytest.approx(-2 / 3)
    assert second.optimism == 0
    # One blob each.
    assert first.metrics["spatial_entropy"].value == 0
    assert ranking.system is not None
    assert ranking.system.metrics["f1_lift"].value == first.reported.value
    assert ranking.system_chosen is not None
    assert ranking.system_chosen.value == first.chosen.value


def test_intervals_are_those_of_the_odd_half(tmp_path: Path) -> None:
    export, gt = files(two_heads(), tmp_path)
    ranking = score_heads(export, gt)
    split = tmp_path / "odd.txt"
    split.write_text("1\n4\n")
    alone = attneval.score(export, gt, split=split).channels["L5H0/t2i"]
    for name in USUAL:
        assert ranking.heads[0].metrics[name].ci == pytest.approx(alone.metrics[name].ci)


def half_of(name: str) -> str:
    """The half by the second digit of the digest."""
    return "odd" if hashlib.sha256(name.encode()).hexdigest()[1] in "13579bdf" else "even"


@pytest.mark.parametrize("metric", ["f1", "precision", "ap", "pointing", "mass"])
def test_a_slow_reference_ranks_alike(tmp_path: Path, metric: str) -> None:
    world = make_world(11, images=9, captions=2, channels=5)
    # Weights that are all different: what even rows attend to is tested elsewhere.
    random = np.random.default_rng(1)
    shown = [replace(own, maps=random.random(own.maps.shape).astype(np.float32)) for own in world.shown]
    world = replace(world, shown=shown)
    export, gt = files(world, tmp_path)
    protocol = Protocol(overlap="iof")
    ranking = score_heads(export, gt, metric=metric, protocol=protocol, options=QUICK)
    truth = reference_inputs.read_entities(gt, list(world.scenes))
    read = reference_inputs.read_export(export)
    expected: dict[str, list[Any]] = {}
    for half in ("even", "odd"):
        own = {name: image for name, image in truth.items() if half_of(name) == half}
        expected[half] = [reference.score(own, read, protocol.to_dict(), a).values[metric] for a in range(5)]
    order = sorted(range(5), key=lambda a: -expected["even"][a])
    assert [head.name for head in ranking.heads] == [f"L{a // 2}H{a % 2}" for a in order]
    for head, a in zip(ranking.heads, order, strict=True):
        assert head.chosen.value == pytest.approx(expected["even"][a], abs=1e-12)
        assert head.reported.value == pytest.approx(expected["odd"][a], abs=1e-12)
        assert head.optimism == pytest.approx(expected["even"][a] - expected["odd"][a], abs=1e-12)


@given(cases(channels=3))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_sums_of_channels_are_those_of_scoring_each_alone(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol]
) -> None:
    world, protocol = case
    export, gt = files(world, tmp_path_factory.getbasetemp())
    options = replace(QUICK, channel_metrics=(*USUAL, "ap"))
    try:
        result = attneval.score(export, gt, protocol=protocol, options=options)
    except AttnevalError:
        return
    assert result.channel_sums is not None
    table = result.channel_sums.table
    for direction in protocol.directions:
        for row, name in enumerate(table.name):
            alone = result.channels[f"{name}/{direction}"].sums
            sums = table.sums(direction, row)
            rows = [alone.image_id.index(image) for image in sums.image_id]
            for column, values in sums.columns.items():
                # Of masses the order of adding may differ, and with it the last bits.
                assert np.allclose(values, alone.columns[column][rows], rtol=1e-12, atol=1e-12), column


def with_mass(path: Path) -> Path:
    """Two channels: the first row of channel 0 is undefined in image 1, and channel 1 has mass of its own."""
    with attneval.ExportWriter(path, channels=[(0, 0), (0, 1)], normalised_over="regions") as out:
        for image, mass in (("1", [[0.0], [0.5]]), ("2", [[0.25], [0.75]]), ("3", [[0.5], [0.25]])):
            maps = np.array([[[0.9, 0.1]], [[0.2, 0.8]]], np.float32)
            maps *= np.array(mass, np.float32)[:, :, None] > 0
            out.add_image(image, size=(100, 50), grid=(1, 2))
            out.add_caption(image, maps, index=0, text="dog", spans=[(0, 3)], mass=np.array(mass, np.float32))
    return path


def test_image_mass_counts_undefined_rows_and_scores_leave_them_out(tmp_path: Path) -> None:
    export, gt = with_mass(tmp_path / "maps.npz"), two_heads().entities(tmp_path / "gt.zip")
    options = replace(QUICK, channel_metrics=USUAL)
    result = attneval.score(export, gt, options=options)
    assert result.channel_sums is not None
    table = result.channel_sums.table.columns["t2i"]
    assert table["image_mass"].tolist() == [[0.0, 0.25, 0.5], [0.5, 0.75, 0.25]]
    assert table["image_mass_n"].tolist() == [[1.0, 1.0, 1.0]]
    assert table["items"].tolist() == [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    for row, name in enumerate(("L0H0", "L0H1")):
        for column, values in result.channel_sums.table.sums("t2i", row).columns.items():
            if not column.startswith("image_mass"):
                alone = result.channels[f"{name}/t2i"].sums.columns[column]
                assert values.tolist() == pytest.approx(alone.tolist(), rel=1e-12, abs=1e-12)
    ranking = rank_heads(result, "mass")
    # Image 1 alone is in the odd half.
    assert [head.image_mass for head in ranking.heads] == [0.0, 0.5]
    assert ranking.heads[0].reported.value is None


def test_images_that_the_export_lacks_are_zero_in_every_channel(tmp_path: Path) -> None:
    world = make_world(4, images=6, captions=1, channels=2)
    gt = world.entities(tmp_path / "annotations.zip")
    ids = list(world.scenes)
    export = world.with_images(lambda image: image != ids[2]).packed(tmp_path / "maps.npz")
    split = tmp_path / "all.txt"
    split.write_text("\n".join(ids))
    options = replace(QUICK, channel_metrics=USUAL)
    result = attneval.score(export, gt, split=split, protocol=Protocol(missing="zero"), options=options)
    assert result.channel_sums is not None
    assert ids[2] in result.channel_sums.table.image_id
    for row, name in enumerate(("L0H0", "L0H1")):
        for column, values in result.channel_sums.table.sums("t2i", row).columns.items():
            alone = result.channels[f"{name}/t2i"].sums.columns[column]
            assert values.tolist() == pytest.approx(alone.tolist(), rel=1e-12, abs=1e-12)


@pytest.mark.realdata
def test_the_less_noisy_head_is_first_on_real_maps(shared: Path, tmp_path: Path) -> None:
    export = many_headed(tmp_path / "maps.npz", shared / "f8k285_regions.npz", [(3, 0), (0, 0), (1, 0)])
    ranking = score_heads(export, shared / "flickr8k_entities.zip", options=QUICK)
    assert [head.name for head in ranking.heads] == ["L0H0", "L1H0", "L3H0"]
    assert ranking.chosen_on + ranking.reported_on == 285
    # On so many images the halves differ by little, and the order is the same on both.
    reported = [head.reported.value or 0.0 for head in ranking.heads]
    assert reported == sorted(reported, reverse=True)


# ---------------------------------------------------------------- by name


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, World]:
    """Forty channels, no similarities."""
    root = tmp_path_factory.mktemp("many")
    world = make_world(5, images=12, captions=2, channels=40, grid=True).attention_alone()
    return *files(world, root), world


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_channel_of_a_result_is_that_of_the_export(many: tuple[Path, Path, World], jobs: int) -> None:
    export, gt, _ = many
    result = with_channel(attneval.score(export, gt), "L3H1")
    alone = attneval.score(export, gt, channel="L3H1", options=Options(jobs=jobs))
    assert set(result.metrics) <= set(alone.metrics)
    for name, measured in result.metrics.items():
        assert (measured.value, measured.ci, measured.n) == (
            alone.metrics[name].value,
            alone.metrics[name].ci,
            alone.metrics[name].n,
        )
    assert alone.scores.curve is not None
    assert alone.channel == result.channel == "L3H1"
    assert alone.channels == {}
    assert any("channel L3H1 alone, one of 40" in note for note in alone.notes)


def test_a_layer_is_the_mean_of_its_maps(many: tuple[Path, Path, World], tmp_path: Path) -> None:
    export, gt, world = many
    mean = [replace(own, maps=((own.maps[6:7] + own.maps[7:8]) / 2).astype(np.float32)) for own in world.shown]
    averaged = replace(world, shown=mean, channels=[(-1, -1)]).packed(tmp_path / "mean.npz")
    layer = attneval.score(export, gt, channel="L3", options=QUICK)
    assert layer["f1"] == attneval.score(averaged, gt, options=QUICK)["f1"]
    assert layer.averaged == ("L3H0", "L3H1")


def test_the_best_half_is_chosen_on_even_and_reported_on_odd(many: tuple[Path, Path, World], tmp_path: Path) -> None:
    export, gt, world = many
    ranking = score_heads(export, gt, top=3)
    best = attneval.score(export, gt, channel="top:3@half")
    assert best.averaged == tuple(head.name for head in ranking.heads[:3])
    assert all(half_of(name) == "odd" for name in best.scores.sums.image_id)
    assert ranking.system is not None
    assert best["f1_lift"] == ranking.system["f1_lift"]
    # The same by hand: the mean of those maps on the odd half.
    rows = [
        2 * head.layer + head.head for head in ranking.heads[:3] if head.layer is not None and head.head is not None
    ]
    mean = [
        replace(own, maps=np.asarray(own.maps[rows], np.float64).mean(axis=0, keepdims=True).astype(np.float32))
        for own in world.shown
    ]
    odd = replace(world, shown=mean, channels=[(-1, -1)]).with_images(lambda image: half_of(image) == "odd")
    assert best["mass"] == pytest.approx(attneval.score(odd.packed(tmp_path / "odd.npz"), gt)["mass"], abs=1e-6)
    stored = with_channel(attneval.score(export, gt), "top:1@half")
    assert stored.averaged == (ranking.heads[0].name,)
    assert stored["f1_lift"] == ranking.heads[0].reported.value
    assert stored.metrics["f1_lift"].ci == ranking.heads[0].reported.ci


def test_unknown_channels_name_near_ones_and_how_many_there_are(many: tuple[Path, Path, World]) -> None:
    export, gt, _ = many
    result = attneval.score(export, gt, options=QUICK)
    near = r"'L33H1' is none of the 40 .* did you mean L3H1 or"
    with pytest.raises(ProtocolError, match=near):
        attneval.score(export, gt, channel="L33H1", options=QUICK)
    with pytest.raises(ProtocolError, match=near):
        with_channel(result, "L33H1")
    with pytest.raises(ProtocolError, match="write top:4@half"):
        attneval.score(export, gt, channel="top:4")
    with pytest.raises(ProtocolError, match="none"):
        attneval.score(export, gt, channel="top:0@half")
    with pytest.raises(ProtocolError, match=r"mean of the maps of 2 channels, and .* holds no maps"):
        with_channel(result, "L3")
    with pytest.raises(ProtocolError, match=r"mean of the maps of 4 channels, and .* holds no maps"):
        with_channel(result, "top:4@half")
    with pytest.raises(ProtocolError, match="was scored of channel 'L3H1' alone"):
        with_channel(with_channel(result, "L3H1"), "L3H0")
    assert with_channel(result, "all") is result


def test_names_are_text_whatever_they_hold(tmp_path: Path) -> None:
    names = ["top:1@half", "<b>step 10</b>/t2i", "[red]décoder[/red]", "=1+1", "L0"]
    path = tmp_path / "maps.npz"
    places = [(0, a) for a in range(5)]
    with attneval.ExportWriter(path, channels=places, channel_names=names) as out:
        for image in ("1", "2", "3", "4"):
            out.add_image(image, size=(100, 50), grid=(1, 2))
            maps = np.linspace(0.1, 0.9, 5)[:, None, None] * np.array([1.0, 0.5])
            out.add_caption(image, maps, index=0, text="dog", spans=[(0, 3)])
    gt = two_heads().entities(tmp_path / "gt.zip")
    result = attneval.score(path, gt, options=replace(QUICK, channel_metrics=USUAL))
    assert [f"{name}/t2i" for name in ("all", *names)] == list(result.channels)
    for name in names[1:]:
        assert attneval.score(path, gt, channel=name, options=QUICK).averaged == (name,)
        assert with_channel(result, name).channel == name
    # By its place, too; a name comes before a layer.
    assert attneval.score(path, gt, channel="L0H2", options=QUICK).averaged == (names[2],)
    assert {head.name for head in rank_heads(result).heads} == set(names)


def test_one_channel_is_nothing_to_choose_among(tmp_path: Path) -> None:
    export, gt = files(make_world(3, images=4), tmp_path)
    with pytest.raises(NothingToScoreError, match="one channel"):
        score_heads(export, gt)
    with pytest.raises(NothingToScoreError, match="one channel"):
        attneval.score(export, gt, channel="top:1@half")
    with pytest.raises(NothingToScoreError, match="one channel"):
        rank_heads(attneval.score(export, gt, options=QUICK))


def test_a_half_without_images_is_refused(tmp_path: Path) -> None:
    world = two_heads().with_images(lambda image: image in {"2", "3"})
    export, gt = files(world, tmp_path)
    with pytest.raises(NothingToScoreError, match="none in the odd half"):
        score_heads(export, gt)
    with pytest.raises(NothingToScoreError, match="odd half"):
        attneval.score(export, gt, channel="top:1@half")


def test_metrics_that_channels_do_not_have_are_refused(many: tuple[Path, Path, World]) -> None:
    export, gt, _ = many
    with pytest.raises(MetricError, match=r"specificity is not measured of single channels; use .*f1_lift"):
        score_heads(export, gt, metric="specificity")
    result = attneval.score(export, gt, options=QUICK)
    with pytest.raises(MetricError, match="'ap' was not measured"):
        rank_heads(result, "ap")
    assert rank_heads(result, "f1").metric == "f1"


# ---------------------------------------------------------------- what is kept


def saved(many: tuple[Path, Path, World], folder: Path) -> tuple[Result, Path]:
    result = attneval.score(many[0], many[1], options=QUICK)
    result.save(folder / "r.json")
    return result, folder / "r.json"


def test_a_result_and_its_channels_come_back(many: tuple[Path, Path, World], tmp_path: Path) -> None:
    result, path = saved(many, tmp_path)
    again = Result.load(path)
    assert again.to_json() == result.to_json()
    assert result.channel_sums is not None
    assert again.channel_sums is not None
    assert again.channel_sums.table.digest == result.channel_sums.table.digest
    assert rank_heads(again) == replace(rank_heads(result), result=again)
    values = json.loads(path.read_text())
    assert set(values["channels"]) == {f"L{a // 2}H{a % 2}/t2i" for a in range(40)}
    assert set(values["channels"]["L3H1/t2i"]["metrics"]) == set(USUAL)
    assert set(USUAL) == {"precision", "recall", "f1", "f1_lift", "mass", "area_mass", "pointing"}
    # A result of one channel that takes its place leaves nothing behind.
    attneval.score(many[0], many[1], channel="L3H1", options=QUICK).save(path)
    assert not channels_path(path).exists()
    assert Result.load(path).channel == "L3H1"


def test_jobs_and_shards_change_no_bit(many: tuple[Path, Path, World], tmp_path: Path) -> None:
    export, gt, world = many
    images = list(world.scenes)
    shards = []
    for number in (0, 1):
        own = set(images[number::2])
        shards.append(world.with_images(own.__contains__).packed(tmp_path / f"{number}.npz"))
    digests = set()
    for attn, jobs in ((export, 1), (export, 2), (shards, 1)):
        result = attneval.score(attn, gt, options=Options(resamples=0, jobs=jobs))
        assert result.channel_sums is not None
        digests.add(result.channel_sums.sha256)
    assert len(digests) == 1


def test_parts_merge_to_the_whole(many: tuple[Path, Path, World], tmp_path: Path) -> None:
    export, gt, world = many
    parts = []
    for number, half in enumerate((list(world.scenes)[::2], list(world.scenes)[1::2])):
        split = tmp_path / f"{number}.txt"
        split.write_text("\n".join(half))
        parts.append(attneval.score(export, gt, split=split, options=QUICK))
    whole, merged = attneval.score(export, gt, options=QUICK), merge(parts)
    assert whole.channel_sums is not None
    assert merged.channel_sums is not None
    assert merged.channel_sums.sha256 == whole.channel_sums.sha256
    assert {k: s.metrics for k, s in merged.channels.items()} == {k: s.metrics for k, s in whole.channels.items()}


def test_a_thousand_channels_are_less_than_two_megabytes(tmp_path: Path) -> None:
    world = make_world(2, images=3, captions=1, channels=1024)
    export, gt = files(world, tmp_path)
    result = attneval.score(export, gt)
    assert len(result.channels) == 1024
    result.save(tmp_path / "r.json")
    assert (tmp_path / "r.json").stat().st_size < 2 * 2**20


def damaged(path: Path, **changes: Any) -> None:
    beside = channels_path(path)
    with np.load(beside) as stored:
        members = {name: stored[name] for name in stored.files}
    members |= changes
    np.savez(beside, **{name: value for name, value in members.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"t2i_f1": None}, "another result"),
        ({"t2i_items": None}, "t2i has no items"),
        ({"t2i_f1": np.zeros((40, 3))}, "t2i_f1 is"),
        ({"t2i_f1": np.zeros((3, 12))}, "3 rows for 40 channels"),
        ({"t2i_f1": np.full((40, 12), np.nan)}, "no sums"),
        ({"t2i_f1": np.full((40, 12), -1.0)}, "no sums"),
        ({"t2i_f1": np.full((40, 12), 1e6)}, "t2i_f1 is more than scored"),
        ({"t2i_f1": np.zeros((40, 12))}, "another result"),
        ({"channel": np.zeros((3, 2), np.int32)}, "channel is"),
        ({"channel_name_offset": np.array([0, 5, 3])}, "does not ascend"),
        ({"direction": None}, "direction"),
        ({"image_id": np.frombuffer(b"\xff\xfe", np.uint8)}, "image_id"),
    ],
)
def test_a_damaged_file_of_channels_is_refused(
    many: tuple[Path, Path, World], tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    _, path = saved(many, tmp_path)
    damaged(path, **changes)
    with pytest.raises(ResultError, match=said) as refused:
        rank_heads(Result.load(path))
    assert str(channels_path(path)) in str(refused.value)


def test_a_file_of_channels_that_is_no_file_of_channels_is_refused(
    many: tuple[Path, Path, World], tmp_path: Path
) -> None:
    _, path = saved(many, tmp_path)
    beside = channels_path(path)
    beside.unlink()
    with pytest.raises(ResultError, match="does not exist"):
        rank_heads(Result.load(path))
    for content in (b"", b"PK nothing", beside.name.encode() * 99):
        beside.write_bytes(content)
        with pytest.raises(ResultError, match="damaged file of channels"):
            rank_heads(Result.load(path))
    np.savez(beside, channel=np.array([None], object))
    with pytest.raises(ResultError, match="damaged file of channels"):
        ChannelTable.load(beside)
