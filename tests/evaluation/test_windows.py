"""Captions with regions of their own: each is as if it stood alone, with an image that has these regions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from here import Here
from worlds import World, make_world

import attneval
from attneval.evaluation.pictures import read_pictures
from attneval.export.read.reader import open_export
from attneval.groundtruth import open_ground_truth
from attneval.results.items import ItemTable
from attneval.results.join_items import join_items

if TYPE_CHECKING:
    from pathlib import Path

PROTOCOL = attneval.Protocol(overlap="iof", iou=0.3, missing="skip")
WINDOWED = range(3, 9)
"""Seeds of worlds with windows."""


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


def windowed(seed: int) -> World:
    return make_world(seed, images=3, captions=3, windows=True, missing=True).attention_alone()


def items_of(world: World, folder: Path) -> ItemTable:
    options = attneval.Options(items=True, resamples=0, cache=False)
    maps, gt = world.packed(folder / "maps.npz"), world.entities(folder / "gt")
    table = attneval.score(maps, gt, protocol=PROTOCOL, options=options).items
    assert table is not None
    return table


def alone(world: World, place: int) -> World:
    """The world with one caption, whose window is what its image has of regions."""
    shown = world.shown[place]
    assert shown.window is not None
    first, count = shown.window
    scene = world.scenes[shown.image]
    scene = replace(scene, regions=scene.regions[first : first + count])
    return replace(world, scenes={**world.scenes, shown.image: scene}, shown=[replace(shown, window=None)])


@pytest.mark.parametrize("seed", WINDOWED)
def test_each_caption_is_as_if_it_stood_alone(tmp_path: Path, seed: int) -> None:
    world = windowed(seed)
    table = items_of(world, tmp_path)
    names = [str(name) for name in table.image_id]
    seen = 0
    for place, shown in enumerate(world.shown):
        (tmp_path / str(place)).mkdir()
        try:
            one = items_of(alone(world, place), tmp_path / str(place))
        except attneval.AttnevalError:  # there is no annotated word in it
            continue
        rows = [
            item
            for item in range(len(table))
            if names[table.image_of(item)] == shown.image
            and table.caption_index[table.item_caption[item]] == shown.index
        ]
        assert len(rows) == len(one)
        seen += len(rows)
        for column in ("item_span", "item_kind", "item_scores", "item_top", "item_other", "item_types", "scored"):
            assert np.array_equal(getattr(table, column)[rows], getattr(one, column)), column
        for mine, other in enumerate(rows):
            assert np.array_equal(table.regions(other), one.regions(mine))
            for bits in ("attended", "relevant"):
                assert np.array_equal(table.members(other, getattr(table, bits)), one.members(mine, getattr(one, bits)))
    assert seen == len(table) > 0


def test_windows_of_all_regions_are_no_windows(tmp_path: Path) -> None:
    world = make_world(5, images=3, captions=3).attention_alone()
    whole = replace(
        world,
        shown=[replace(shown, window=(0, len(world.scenes[shown.image].regions))) for shown in world.shown],
    )
    for name in ("plain", "whole"):
        (tmp_path / name).mkdir()
    plain, table = items_of(world, tmp_path / "plain"), items_of(whole, tmp_path / "whole")
    assert plain.caption_group is None
    assert table.caption_group is not None
    assert np.array_equal(plain.attended, table.attended)
    assert np.array_equal(plain.relevant, table.relevant)
    assert np.array_equal(plain.item_scores, table.item_scores)
    assert all(np.array_equal(plain.regions(item), table.regions(item)) for item in range(len(plain)))


@pytest.mark.parametrize("seed", WINDOWED)
def test_tables_with_windows_are_kept_taken_and_joined(tmp_path: Path, seed: int) -> None:
    table = items_of(windowed(seed), tmp_path)
    table.save(tmp_path / "a.items.npz")
    again = ItemTable.load(tmp_path / "a.items.npz")
    assert again.sha256() == table.sha256()
    world = make_world(seed, images=2).attention_alone()
    (tmp_path / "other").mkdir()
    other = items_of(replace(world, scenes=world.scenes), tmp_path / "other")
    joined = join_items([other, table, other])
    kept = joined.take(np.arange(len(joined)))
    for start, part in ((0, other), (len(other), table), (len(other) + len(table), other)):
        for item in range(len(part)):
            assert np.array_equal(kept.regions(start + item), part.regions(item))
            assert np.array_equal(kept.members(start + item, kept.attended), part.members(item, part.attended))


@pytest.mark.parametrize("group", [-1, 99])
def test_groups_beyond_the_table_are_damage(tmp_path: Path, group: int) -> None:
    table = items_of(windowed(3), tmp_path)
    assert table.caption_group is not None
    groups = table.caption_group.copy()
    groups[0] = group
    replace(table, caption_group=groups).save(tmp_path / "bad.npz")
    with pytest.raises(attneval.AttnevalError, match="caption_group names rows beyond"):
        ItemTable.load(tmp_path / "bad.npz")


def test_pictures_have_the_weights_of_the_window(tmp_path: Path) -> None:
    world = windowed(4)
    maps, gt = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "gt")
    shown = read_pictures(open_export(maps), open_ground_truth(gt), PROTOCOL)
    stored = items_of(world, tmp_path)
    assert np.array_equal(shown.table.item_scores, stored.item_scores)
    for item in range(len(shown.table)):
        assert len(shown.weight[item]) in {0, len(shown.table.regions(item))}
        top, weight = shown.table.item_top[item].tolist()
        if top >= 0:
            assert shown.weight[item][int(top)] == pytest.approx(weight)
    # The shapes drawn are those of the item's own entity: what is relevant overlaps them.
    for item in range(len(shown.table)):
        for region in shown.table.members(item, shown.table.relevant).tolist():
            box, shapes = shown.table.regions(item)[region], shown.shapes[item]
            low, high = np.maximum(shapes[:, :2], box[:2]), np.minimum(shapes[:, 2:], box[2:])
            assert (high > low).all(axis=1).any()


def test_the_command_line_shows_them(here: Here, tmp_path: Path) -> None:
    world = windowed(4)
    world.packed(tmp_path / "maps.npz")
    world.entities(tmp_path / "gt")
    flags = ("--gt", "gt", "--overlap", "iof", "--iou", "0.3", "--missing", "skip", "-q")
    done = here("score", "maps.npz", *flags, "--items", "--resamples", "0", "-o", "r.json")
    assert done.code == 0, done.err
    listed = json.loads(here("inspect", "r.json", "-n", "1", "-f", "json").out)
    image = listed[0]["caption"].partition("#")[0]
    assert here("show", "maps.npz", "--image", image, *flags[:-1], "-o", "x.svg").code == 0
    assert "<svg" in (tmp_path / "x.svg").read_text("utf-8")
    for drawn in ((), ("--attn", "maps.npz", "--gt", "gt")):
        done = here("report", "r.json", "-o", "x.html", *drawn)
        assert done.code == 0, done.err
        page = (tmp_path / "x.html").read_text("utf-8")
        _, _, rest = page.partition('<script type="application/json" id="data">')
        gallery = json.loads(rest.partition("</script>")[0])["gallery"]
        table = ItemTable.load(tmp_path / "r.items.npz")
        counts = {len(table.regions(item)) for item in range(len(table))}
        assert {len(caption[4]) for caption in gallery["captions"]} <= counts
        assert all(image["boxes"] == [] for image in gallery["images"])
    done = here("score", "maps.npz", *flags, "--direction", "i2t", "--normalize", "sum", "--resamples", "0")
    assert done.code == 2  # there are no region-to-word maps in this file
    assert "no region-to-word maps" in done.err
