"""The joint view of whole scorings: against a slow reference, under the laws of results, and one by hand."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import joint_reference as slow
import numpy as np
import pytest
import reference_inputs
from hypothesis import given, settings
from worlds import World, cases, make_world, scored, scored_if_any

from attneval import Options, Protocol, score
from attneval.errors import AttnevalError
from attneval.results.joint import CELLS, SIDES, Joint
from attneval.results.merge import merge
from attneval.results.result import Result
from attneval.statistics.bootstrap import bootstrap_repeats

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Options(resamples=0, cache=False)


def view(result: Result) -> Joint:
    assert result.joint is not None
    return result.joint


def expected_pairs(world: World, protocol: Protocol, root: Path) -> dict[str, list[tuple[float, float]]]:
    truth = reference_inputs.read_entities(world.entities(root / "truth.zip"), list(world.scenes), edges=protocol.edges)
    export = reference_inputs.read_export(world.packed(root / "maps.npz"))
    return slow.pairs(truth, export, protocol.to_dict(), list(world.scenes))


@given(cases(images=4, back=False, missing=True))
@settings(max_examples=25, deadline=None)
def test_random_worlds_say_what_the_reference_says(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol]
) -> None:
    world, protocol = case
    result = scored_if_any(world, protocol)
    expected = expected_pairs(world, protocol, tmp_path_factory.mktemp("joint"))
    if result.joint is None:
        assert not expected["captions"]
        return
    for name, side in result.joint.sides.items():
        pairs = expected[name]
        assert side.rho.n == len(pairs)
        rho = slow.spearman([lift for lift, _ in pairs], [-rank for _, rank in pairs])
        assert side.rho.value == rho or side.rho.value == pytest.approx(rho, abs=1e-9)
        assert {cell: share.value for cell, share in side.table.items()} == pytest.approx(slow.table(pairs))


@given(cases(images=4))
@settings(max_examples=20, deadline=None)
def test_laws_of_every_view(case: tuple[World, Protocol]) -> None:
    world, protocol = case
    result = scored_if_any(world, protocol)
    if result.joint is None:
        return
    for name in SIDES:
        side = result.joint.sides[name]
        assert sum(share.value or 0 for share in side.table.values()) == pytest.approx(1)
        assert {share.n for share in side.table.values()} == {side.rho.n}
        assert side.rho.value is None or -1 - 1e-12 <= side.rho.value <= 1 + 1e-12
        assert (side.rho.value is None) == (side.p is None)
        counts = np.sum([*side.per_image.values()], axis=0)
        assert counts.sum() == side.rho.n
        assert counts.max() <= (1 if name == "images" else math.inf)
        assert side.p is None or 0 < side.p <= 1


def test_nothing_depends_on_the_order_of_the_export() -> None:
    world, random = make_world(4, images=6, captions=3), np.random.default_rng(0)
    one = scored(world, Protocol())
    other = scored(world.reordered(random), Protocol())
    assert json.dumps(one.to_dict()["joint"]) == json.dumps(other.to_dict()["joint"])


def test_only_with_maps_and_similarities(tmp_path: Path) -> None:
    world = make_world(4, images=6, captions=3)
    assert scored(world.attention_alone(), Protocol()).joint is None
    assert "joint" not in scored(world.attention_alone(), Protocol()).to_dict()
    assert score(world.packed(tmp_path / "maps.npz"), options=QUICK).joint is None


def test_intervals_resample_images() -> None:
    world = make_world(12, images=8, captions=3)
    result = scored(world, Protocol())
    # Scored again with intervals, from files.
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        options = Options(resamples=60, cache=False)
        result = score(world.packed(root / "m.npz"), world.entities(root / "t.zip"), options=options)
        pairs = expected_of_images(world, root)
    images = sorted(world.scenes)
    for name in SIDES:
        drawn, shares = [], []
        for times in bootstrap_repeats(len(images), 60, result.seed).tolist():
            chosen = [pair for image, n in zip(images, times, strict=True) for pair in pairs[image][name] * int(n)]
            drawn.append(slow.spearman([lift for lift, _ in chosen], [-rank for _, rank in chosen]))
            shares.append(slow.table(chosen)["both_right"] if chosen else math.nan)
        side = view(result).sides[name]
        known = [value for value in drawn if value is not None]
        assert side.rho.ci == pytest.approx(tuple(np.quantile(known, [0.025, 0.975])), abs=1e-9)
        assert side.table["both_right"].ci == pytest.approx(tuple(np.nanquantile(shares, [0.025, 0.975])), abs=1e-9)


def expected_of_images(world: World, root: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    truth = reference_inputs.read_entities(root / "t.zip", list(world.scenes))
    export = reference_inputs.read_export(root / "m.npz")
    return {
        image: slow.pairs({image: truth[image]}, export, Protocol().to_dict(), list(world.scenes)) for image in truth
    }


def test_lifts_and_ranks_stand_in_the_items_file(tmp_path: Path) -> None:
    world = make_world(12, images=5, captions=3, missing=True)
    options = dataclasses.replace(QUICK, items=True)
    result = score(
        world.packed(tmp_path / "m.npz"),
        world.entities(tmp_path / "t.zip"),
        protocol=Protocol(missing="skip"),
        options=options,
    )
    table = result.items
    assert table is not None
    assert table.caption_lift is not None
    assert table.caption_rank is not None
    both = np.isfinite(table.caption_lift) & np.isfinite(table.caption_rank)
    assert both.sum() == view(result).sides["captions"].rho.n
    pairs = expected_pairs(world, Protocol(missing="skip"), tmp_path)["captions"]
    found = zip(table.caption_lift[both].tolist(), table.caption_rank[both].tolist(), strict=True)
    assert sorted(found) == [pytest.approx(pair, abs=1e-6) for pair in sorted(pairs)]
    exported = {(own.image, own.index) for own in world.shown}
    names = [
        (table.image_id[image], index)
        for image, index in zip(table.caption_image.tolist(), table.caption_index.tolist(), strict=True)
    ]
    assert [name in exported for name in names] == np.isfinite(table.caption_rank).tolist()


@pytest.mark.parametrize("kind", ["npy", "export", "other order"])
def test_similarities_of_another_file(tmp_path: Path, kind: str) -> None:
    world = make_world(7, images=6, captions=3)
    expected = json.dumps(scored(world, Protocol()).to_dict()["joint"])
    maps, truth = world.attention_alone().packed(tmp_path / "m.npz"), world.entities(tmp_path / "t.zip")
    other = tmp_path / ("s.npy" if kind == "npy" else "s.npz")
    if kind == "npy":
        assert world.similarity is not None
        np.save(other, world.similarity)
    elif kind == "export":
        world.packed(other)
    else:
        world.reordered(np.random.default_rng(1)).packed(other)
    result = score(maps, truth, similarity=[other], options=QUICK)
    assert json.dumps(result.to_dict()["joint"]) == expected


def test_folds_are_galleries_of_their_own(tmp_path: Path) -> None:
    world = make_world(7, images=6, captions=2)
    result = scored(world, Protocol(folds=2))
    assert world.similarity is not None
    options = dataclasses.replace(QUICK, items=True)
    maps, truth = world.packed(tmp_path / "m.npz"), world.entities(tmp_path / "t.zip")
    table = score(maps, truth, protocol=Protocol(folds=2), options=options).items
    assert table is not None
    assert table.caption_rank is not None
    images = list(world.scenes)
    for caption, own in enumerate(world.shown):
        row = images.index(own.image)
        fold = range(3) if row < 3 else range(3, 6)
        scores = [float(world.similarity[i][caption]) for i in fold]
        rank = 1 + sum(value > float(world.similarity[row][caption]) for value in scores)
        place = [
            k
            for k, (i, index) in enumerate(zip(table.caption_image.tolist(), table.caption_index.tolist(), strict=True))
            if (table.image_id[i], index) == (own.image, own.index)
        ]
        assert table.caption_rank[place].tolist() == [rank]
    assert view(result).sides["captions"].rho.n <= len(world.shown)


def test_images_that_the_export_lacks_have_no_rank(tmp_path: Path) -> None:
    world = make_world(7, images=6, captions=2)
    first = next(iter(world.scenes))
    some = world.with_images(lambda image: image != first)
    similarity = world.similarity
    assert similarity is not None
    rows = [row for row, image in enumerate(world.scenes) if image != first]
    columns = [column for column, own in enumerate(world.shown) if own.image != first]
    some = dataclasses.replace(some, similarity=similarity[rows][:, columns])
    split = tmp_path / "split.txt"
    split.write_text("".join(f"{image}\n" for image in world.scenes), "utf-8")
    options = dataclasses.replace(QUICK, items=True)
    result = score(
        some.packed(tmp_path / "m.npz"),
        world.entities(tmp_path / "t.zip"),
        split=split,
        protocol=Protocol(missing="zero"),
        options=options,
    )
    assert result.items is not None
    assert result.items.caption_rank is not None
    of_first = [result.items.image_id[row] == first for row in result.items.caption_image.tolist()]
    assert any(of_first)
    assert np.isnan(result.items.caption_rank[of_first]).all()


# ---------------------------------------------------------------- files


def changed(path: Path, change: Any) -> Path:
    values = json.loads(path.read_text("utf-8"))
    change(values["joint"])
    path.write_text(json.dumps(values), "utf-8")
    return path


def test_a_view_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = scored(make_world(12, images=8, captions=3), Protocol())
    result.save(tmp_path / "r.json")
    again = Result.load(tmp_path / "r.json")
    assert again.to_dict() == result.to_dict()
    assert list(again.to_dict()["joint"]["captions"]["table"]) == list(CELLS)


CHANGES = {
    "rho of images": lambda joint: joint["images"]["rho"].update(value=0.123),
    "rho that is none": lambda joint: joint["captions"]["rho"].update(value=1.5),
    "an interval that is none": lambda joint: joint["captions"]["rho"].update(ci=[0.5, 0.1]),
    "a count": lambda joint: joint["captions"]["rho"].update(n=1),
    "a share": lambda joint: joint["captions"]["table"]["both_right"].update(value=0.99),
    "counts of images": lambda joint: joint["images"]["per_image"]["both_right"].__setitem__(0, 3),
    "counts that are none": lambda joint: joint["captions"]["per_image"]["both_right"].__setitem__(0, 0.5),
    "counts that are negative": lambda joint: joint["captions"]["per_image"]["both_right"].__setitem__(0, -1),
    "a column less": lambda joint: joint["captions"]["per_image"].pop("both_right"),
    "an image less": lambda joint: joint["captions"]["per_image"]["both_right"].pop(),
    "a side less": lambda joint: joint.pop("images"),
    "something else": lambda joint: joint.update(other=1),
    "a p that is none": lambda joint: joint["captions"].update(p=0),
    "a p that is text": lambda joint: joint["captions"].update(p="0.5"),
    "trials": lambda joint: joint.update(trials=-1),
    "no table": lambda joint: joint["captions"].pop("table"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_view_that_contradicts_itself_is_refused(tmp_path: Path, name: str) -> None:
    scored(make_world(12, images=8, captions=3), Protocol()).save(tmp_path / "r.json")
    with pytest.raises(AttnevalError, match="damaged result"):
        Result.load(changed(tmp_path / "r.json", CHANGES[name]))


def test_merging_leaves_it_out_and_says_so() -> None:
    world = make_world(5, images=4)
    first, *rest = world.scenes
    whole = merge([scored(world.with_images({first}.__contains__), Protocol()), scored(world, Protocol())][:1])
    assert whole.joint is None
    part = scored(world, Protocol())
    assert part.joint is not None
    merged = merge([part])
    assert merged.joint is None
    assert any("the joint view of parts" in note for note in merged.notes)
    assert rest
