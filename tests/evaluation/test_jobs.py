"""Work that is shared by processes or spread over files comes out the same to the last bit."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import attneval
from worlds import World, make_world

from attneval import Options, Protocol, open_export, score
from attneval.errors import AlignmentError, AttnevalError, ExportError
from attneval.evaluation import block_scorer, plan_blocks
from attneval.evaluation.engines import choose_jobs, processes
from attneval.evaluation.plan_blocks import bytes_of_images
from attneval.evaluation.score_block import score_block as original_score_block
from attneval.evaluation.select_images import Selection
from attneval.groundtruth import index as cache

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).parents[2] / "fixtures"
ENTITIES = FIXTURES / "entities"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def scored(path: Path, truth: Path, *flags: str, tmp_path: Path) -> dict[str, Any]:
    """What the command writes."""
    out = tmp_path / "result.json"
    out.unlink(missing_ok=True)
    done = attneval("score", path, "--gt", truth, "--resamples", "200", "-q", "-o", out, *flags)
    assert (done.code, done.err) == (0, "")
    values: dict[str, Any] = json.loads(out.read_text())
    return values


def difference(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The keys whose values differ, compared as text so that every bit counts."""
    return [key for key in one | other if json.dumps(one.get(key)) != json.dumps(other.get(key))]


@pytest.mark.parametrize("jobs", ["2", "3", "7"])
def test_processes_change_nothing(tmp_path: Path, jobs: str) -> None:
    alone = scored(FIXTURES / "good.npz", ENTITIES, tmp_path=tmp_path)
    shared = scored(FIXTURES / "good.npz", ENTITIES, "--jobs", jobs, tmp_path=tmp_path)
    assert difference(alone, shared) == []


def test_processes_change_nothing_of_channels_and_directions(tmp_path: Path) -> None:
    world = make_world(3, images=40, captions=3, channels=2, back=True, ties=True)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "annotations.zip")
    flags = ("--direction", "t2i,i2t", "--missing", "skip")
    alone = scored(maps, truth, *flags, tmp_path=tmp_path)
    assert len(alone["channels"]) == 6
    assert difference(alone, scored(maps, truth, *flags, "--jobs", "2", tmp_path=tmp_path)) == []


def test_processes_change_nothing_of_items_and_notes(tmp_path: Path) -> None:
    world = make_world(4, images=30, captions=3, missing=True)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    protocol = Protocol(missing="zero")
    one, two = (
        score(maps, truth, protocol=protocol, options=Options(resamples=0, items=True, jobs=jobs)) for jobs in (1, 2)
    )
    assert one.notes == two.notes
    assert any("scored 0" in note for note in one.notes)
    paths = tmp_path / "one.npz", tmp_path / "two.npz"
    for result, path in zip((one, two), paths, strict=True):
        assert result.items is not None
        result.items.save(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("flags", [(), ("--jobs", "2")])
def test_an_index_of_annotations_changes_nothing(tmp_path: Path, flags: tuple[str, ...]) -> None:
    world = make_world(5, images=220, captions=1)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    plain = scored(maps, truth, "--missing", "skip", "--no-cache", tmp_path=tmp_path)
    assert not (tmp_path / "cache").exists()
    first = scored(maps, truth, "--missing", "skip", *flags, tmp_path=tmp_path)
    assert len(list((tmp_path / "cache" / "attneval").iterdir())) == 1
    again = scored(maps, truth, "--missing", "skip", *flags, tmp_path=tmp_path)
    assert difference(plain, first) == difference(plain, again) == []


def test_images_that_only_the_split_has_are_read_beside_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SMALLEST", 2)
    world = make_world(5, images=12, captions=1)
    truth, names = world.entities(tmp_path / "entities"), list(world.scenes)
    maps = world.with_images(lambda image: image not in names[:3]).packed(tmp_path / "maps.npz")
    split = tmp_path / "split.txt"
    split.write_text("\n".join(names), "utf-8")
    zero, skip = (Protocol(missing=missing) for missing in ("zero", "skip"))
    bare: dict[str, dict[str, Any]] = {}
    for cached in (False, True, True):
        options = Options(resamples=0, cache=cached)
        for name, result in (
            ("zero", score(maps, truth, protocol=zero, split=split, options=options)),
            ("skip", score(maps, truth, protocol=skip, options=options)),
        ):
            values = result.to_dict()
            assert difference(bare.setdefault(name, values), values) == []
    assert [values["counts"]["images"] for values in bare.values()] == [12, 9]


def test_flaws_of_annotations_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SMALLEST", 2)
    truth = tmp_path / "entities"
    shutil.copytree(ENTITIES, truth)
    with (truth / "Sentences" / "700037.txt").open("a", encoding="utf-8") as file:
        file.write("[/EN#1/people never closed\n")
    for jobs in (1, 2, 3):
        options = Options(resamples=0, jobs=jobs, cache=True)
        notes = score(FIXTURES / "good.npz", truth, protocol=Protocol(missing="skip"), options=options).notes
        assert len([note for note in notes if "is never closed" in note]) == 1


def shards(world: World, folder: Path, cuts: list[int]) -> Iterator[Path]:
    """The captions of a world in several files, each with its images alone."""
    bounds = [0, *cuts, len(world.shown)]
    for number, (first, last) in enumerate(itertools.pairwise(bounds)):
        chosen = {(own.image, own.index) for own in world.shown[first:last]}
        part = world.with_captions(lambda own, chosen=chosen: (own.image, own.index) in chosen)  # type: ignore[misc]
        yield part.packed(folder / f"maps-{number}.npz")


@pytest.mark.parametrize("flags", [(), ("--jobs", "2")])
def test_shards_are_one_export(tmp_path: Path, flags: tuple[str, ...]) -> None:
    world = make_world(6, images=12, captions=3, channels=2).attention_alone()
    truth = world.entities(tmp_path / "entities")
    whole = scored(world.packed(tmp_path / "whole.npz"), truth, "--missing", "skip", tmp_path=tmp_path)
    # Cuts within an image: its captions are in two files.
    list(shards(world, tmp_path, [7, 8, 20]))
    out = tmp_path / "result.json"
    names = [path.name for path in sorted(tmp_path.glob("maps-*.npz"))]
    assert len(names) == 4
    common = ("--gt", truth, "--missing", "skip", "--resamples", "200", "-q", "-o", out)
    done = attneval("score", *names, *common, *flags, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert set(difference(whole, json.loads(out.read_text()))) == {"name", "inputs"}


def test_a_caption_in_two_shards_is_refused(tmp_path: Path) -> None:
    path = FIXTURES / "good.npz"
    copy = tmp_path / "copy.npz"
    copy.write_bytes(path.read_bytes())
    done = attneval("score", path, copy, "--gt", ENTITIES)
    assert done.code == 2
    assert f"{copy}: caption 700037#0 is in an earlier shard too (300 such captions)" in done.err


def test_what_goes_wrong_in_another_process_is_said_as_here(tmp_path: Path) -> None:
    with np.load(FIXTURES / "good.npz") as data:
        members: dict[str, Any] = dict(data)
    members["attention"] = members["attention"].copy()
    members["attention"][20_000] = np.nan
    np.savez(tmp_path / "nan.npz", **members)
    texts = []
    for jobs in (1, 2):
        with pytest.raises(ExportError, match="NaN") as caught:
            score(tmp_path / "nan.npz", ENTITIES, options=Options(resamples=0, jobs=jobs))
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_hints_come_back_from_another_process() -> None:
    import pickle

    error = AlignmentError("what", hint="way out")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), str(again)) == (AlignmentError, "what; way out")


def test_a_process_that_is_killed_is_no_internal_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when memory runs out."""

    parent, score_block = os.getpid(), original_score_block

    def killed(*arguments: Any, **options: Any) -> Any:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return score_block(*arguments, **options)

    monkeypatch.setattr(block_scorer, "score_block", killed)
    # Threads that other tests have left would make it a process anew, which knows nothing of what is patched here.
    monkeypatch.setattr(processes, "can_fork", lambda: True)
    with pytest.raises(AttnevalError, match=r"one of several processes was killed.*--jobs") as caught:
        score(FIXTURES / "good.npz", ENTITIES, options=Options(resamples=0, jobs=2))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("processors", "forks", "jobs"), [(4, True, 2), (1, True, 1), (4, False, 1)])
def test_two_processes_by_default_where_that_pays(
    monkeypatch: pytest.MonkeyPatch, processors: int, forks: bool, jobs: int
) -> None:
    monkeypatch.setattr(processes, "processors", lambda: processors)
    monkeypatch.setattr(processes, "can_fork", lambda: forks)
    export = open_export(FIXTURES / "good.npz")
    size = bytes_of_images(export, np.arange(len(export.image_id)))
    assert size == sum(int((maps.size * maps.itemsize).sum()) for maps in export.maps.values())
    assert choose_jobs(None, size) == 1  # too little to share
    monkeypatch.setattr(processes, "SHARED_BYTES", 1)
    assert choose_jobs(None, size) == jobs
    assert choose_jobs(3, size) == 3


@pytest.mark.parametrize("at_once", [1, 7, 30, 1024])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_processes_get_equally_many_blocks(monkeypatch: pytest.MonkeyPatch, at_once: int, jobs: int) -> None:
    monkeypatch.setattr(plan_blocks, "IMAGES_AT_ONCE", at_once)
    export = open_export(FIXTURES / "good.npz")
    images = np.arange(len(export.image_id))
    planned = plan_blocks.plan_blocks(export, Selection(images), jobs)
    assert np.concatenate([block.images for block in planned]).tolist() == images.tolist()
    assert max(map(len, planned)) <= at_once
    assert at_once == 1 or len(planned) % jobs == 0
    if jobs == 1:
        assert max(map(len, planned)) - min(map(len, planned)) <= 1
    # The first block of this process is smaller, since it ranks the queries, too.
    others = [len(block) for number, block in enumerate(planned) if jobs == 1 or number != jobs - 1]
    assert max(others) - min(others) <= 1
    for block in planned:
        assert sorted(block.captions.tolist()) == np.flatnonzero(np.isin(export.caption_image, block.images)).tolist()


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_processes_get_equally_many_blocks_of_maps_that_are_large(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """Blocks that bytes bound are as many for each process, and as large."""
    export = open_export(FIXTURES / "good.npz")
    images = np.arange(len(export.image_id))
    size = np.array([bytes_of_images(export, images[[k]]) for k in images.tolist()])
    for parts in (2.3, 4.0, 7.9):
        limit = size.sum() / parts
        monkeypatch.setattr(plan_blocks, "BLOCK_BYTES", limit * jobs)
        planned = plan_blocks.plan_blocks(export, Selection(images), jobs)
        assert np.concatenate([block.images for block in planned]).tolist() == images.tolist()
        assert len(planned) % jobs == 0
        assert parts <= len(planned) <= parts + jobs + 1
        assert max(size[block.images].sum() for block in planned) <= plan_blocks.UNEVEN * limit + size.max()
    # Images that have more than others are split off.
    monkeypatch.setattr(plan_blocks, "BLOCK_BYTES", 1)
    assert [block.images.tolist() for block in plan_blocks.plan_blocks(export, Selection(images), jobs)] == [
        [k] for k in images.tolist()
    ]


def test_processes_that_are_started_anew_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(7, images=220, captions=1)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    protocol = Protocol(missing="skip")
    whole = score(maps, truth, protocol=protocol, options=Options(resamples=0)).to_json()
    monkeypatch.setattr("attneval.evaluation.engines.processes.can_fork", lambda: False)
    for cached in (False, True):  # the run before has left an index
        options = Options(resamples=0, jobs=2, cache=cached)
        assert score(maps, truth, protocol=protocol, options=options).to_json() == whole


def test_a_fork_inflates_members_for_itself(tmp_path: Path) -> None:
    world = make_world(8, images=40, captions=3, channels=2)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "annotations.zip")
    with np.load(maps) as data:
        np.savez_compressed(maps, **data)
    alone, shared = (scored(maps, truth, "--missing", "skip", "--jobs", jobs, tmp_path=tmp_path) for jobs in ("1", "4"))
    assert difference(alone, shared) == []


def test_retrieval_that_fails_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ranked while other processes score the maps."""
    world = make_world(9, images=40, captions=2)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    np.save(tmp_path / "similarity.npy", np.full((3, 3), np.nan))
    monkeypatch.chdir(tmp_path)
    done = attneval(
        "score", maps, "--gt", truth, "--missing", "skip", "--jobs", "3", "--similarity", tmp_path / "similarity.npy"
    )
    assert done.code == 2
    assert done.err.count("\n") == 1
