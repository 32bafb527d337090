"""Retrieval from ranked lists: what the matrix says, as far as lists tell it, and refusals of all else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import relevance_reference as reference
from relevance_world import FAST, World, of_set, ranked, write

from attneval import AttnevalError, Options, Protocol, Result, gate, score
from attneval.errors import MismatchError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("form", ["json", "npz", "two files"])
@pytest.mark.parametrize("depth", [1, 3, 5, 10, 99])
def test_lists_tell_what_the_matrix_does(world: World, depth: int, form: str) -> None:
    lists = ranked(world, depth)
    paths = [world.folder / "lists.json"]
    if form == "json":
        write(paths[0], lists)
    elif form == "npz":
        paths = [world.folder / "lists.npz"]
        members = {d: np.array(list(of.values())) for d, of in lists.items()}
        members |= {f"{d}_query": np.array(list(of)).astype(np.int64) for d, of in lists.items()}
        np.savez(paths[0], **members)  # type: ignore[arg-type]
    else:
        paths = [write(world.folder / f"{d}.json", {d: of}) for d, of in lists.items()]
    files = [*world.set(), *world.original()]
    whole = world.score(relevance=files)
    result = world.score(relevance=files, similarity=paths, caption_ids=None, image_ids=None)
    i2t, t2i = (99 if depth >= size else depth for size in (18, 6))
    known = {f"i2t_r@{k}" for k in (1, 5, 10) if k <= i2t} | {f"t2i_r@{k}" for k in (1, 5, 10) if k <= t2i}
    known |= {"rsum"} if len(known) == 6 else set()
    for name, most in (("made", (4, 2)), ("original", (3, 1))):
        for direction, end, count in (("i2t", i2t, most[0]), ("t2i", t2i, most[1])):
            known |= {f"{name}_{direction}_r@{k}" for k in (1, 5, 10) if k <= end}
            known |= {f"{name}_{direction}_{kind}" for kind in ("r_precision", "map@r") if count <= end}
    assert set(result.metrics) == known
    for name in known:
        assert result.metrics[name].value == pytest.approx(whole.metrics[name].value, abs=1e-12), name
        assert result.metrics[name].n == whole.metrics[name].n
    assert any("do not tell" in note for note in result.notes) == (depth < 99)
    path = world.folder / "result.json"
    result.save(path)
    assert Result.load(path).to_dict() == result.to_dict()


def test_four_queries_by_hand(tmp_path: Path) -> None:
    lists = {"q1": [5, 3, 9, 1, 7], "q2": [2, 4, 6, 8, 10], "q3": [11, 12, 13, 14, 15], "q4": [1, 2, 3, 4, 5]}
    relevant = {"q1": [3, 5, 100], "q2": [10], "q3": [11, 13, 15], "q4": [4, 5]}
    captions = [{"id": c, "image_id": f"q{1 + c % 4}", "caption": "a"} for c in range(1, 51)]
    result = score(
        similarity=[write(tmp_path / "lists.json", {"i2t": lists})],
        relevance=[write(tmp_path / "toy_image_to_caption.json", relevant)],
        caption_ids=write(tmp_path / "captions.json", {"annotations": captions}),
        options=FAST,
    )
    assert result["toy_i2t_r@1"] == 0.5
    assert result["toy_i2t_r@5"] == 1
    assert result["toy_i2t_r_precision"] == pytest.approx(0.333333, abs=1e-6)
    assert result["toy_i2t_map@r"] == pytest.approx(0.305556, abs=1e-6)
    assert "toy_i2t_r@10" not in result.metrics


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
def test_lists_of_one_direction(world: World, direction: str) -> None:
    lists = ranked(world, 99)
    path = write(world.folder / "lists.json", {direction: lists[direction]})
    other = "t2i" if direction == "i2t" else "i2t"
    result = world.score(similarity=[path], relevance=[*world.set(), *world.original()])
    whole = world.score()
    assert {name for name in result.metrics if other in name} == set()
    assert result[f"{direction}_r@1"] == pytest.approx(whole[f"{direction}_r@1"])
    assert result[f"made_{direction}_map@r"] == pytest.approx(whole[f"made_{direction}_map@r"])
    assert f"has no ranked lists for made {other}, original {other}: left out" in " ".join(result.notes)


@pytest.mark.parametrize("missing", ["error", "skip", "zero"])
def test_queries_without_a_list(world: World, missing: str) -> None:
    lists = ranked(world, 99)
    del lists["i2t"][world.image[2]]
    given = {
        "similarity": [write(world.folder / "lists.json", lists)],
        "relevance": [*world.set(), *world.original()],
        "protocol": Protocol(missing=missing),
    }
    if missing == "error":
        with pytest.raises(AttnevalError, match="1 of 4 i2t queries of made have no ranked list"):
            world.score(**given)
        return
    result = world.score(**given)
    if missing == "skip":
        del world.relevant["i2t"][2]
        assert of_set(result) == pytest.approx(world.expected(), abs=1e-12)
    else:
        alone = dict(world.relevant, i2t={i: r for i, r in world.relevant["i2t"].items() if i != 2})
        rest = reference.relevance(world.scores.tolist(), world.owner, alone)
        assert result["made_i2t_map@r"] == pytest.approx(rest["i2t_map@r"] * 3 / 4)
        assert result.metrics["made_i2t_map@r"].n == 4


# ---------------- refusals

BAD_LISTS: list[tuple[object, str]] = [
    ([], "it is no object"),
    ({"t2t": {}}, "it has t2t in place of i2t and t2i"),
    ({"i2t": []}, "i2t is no object with queries"),
    ({"i2t": {}}, "i2t has no queries"),
    ({"i2t": {"100": []}}, "the list of i2t query 100 is empty"),
    ({"i2t": {"100": [101, "101"]}}, "the list of i2t query 100 holds 101 twice"),
    ({"i2t": {"100": [1.5]}}, "the list of i2t query 100 holds 1.5, and no id"),
    ({"i2t": {"100": [101], "0100": [101]}}, "a query of i2t is there twice, in two spellings"),
    ({"i2t": {"100": [7777]}}, "1 answers of i2t are not in the gallery of 6 images and 18 captions (first: 7777)"),
    ({"i2t": {"4": [101]}}, "1 queries of i2t are not in the gallery"),
]


@pytest.mark.parametrize(("values", "text"), BAD_LISTS)
def test_lists_that_are_none(world: World, values: object, text: str) -> None:
    path = write(world.folder / "lists.json", values)
    with pytest.raises(AttnevalError) as caught:
        world.score(similarity=[path], relevance=[*world.set(), *world.original()])
    assert text in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_lists_cannot_tell_is_refused(world: World) -> None:
    path = write(world.folder / "lists.json", ranked(world, 2))
    (world.folder / "split.txt").write_text(world.image[0])
    files = [*world.set(), *world.original()]
    given = {"similarity": [path], "relevance": files}
    for changes, flag in (
        ({"protocol": Protocol(folds=2)}, "--folds"),
        ({"split": world.folder / "split.txt"}, "--split"),
        ({"options": Options(limit=2)}, "--limit"),
    ):
        with pytest.raises(AttnevalError, match=f"what {flag} would leave of them cannot be told"):
            world.score(**(given | changes))
    with pytest.raises(AttnevalError, match=r"holds ranked lists and .* a matrix"):
        world.score(**(given | {"similarity": [path, world.matrix]}))
    with pytest.raises(AttnevalError, match="both have ranked lists i2t"):
        world.score(**(given | {"similarity": [path, path]}))
    with pytest.raises(AttnevalError, match="nothing says which captions are whose"):
        world.score(similarity=[path], image_ids=None)
    with pytest.raises(MismatchError, match="made_i2t_map@r was not measured"):
        gate(world.score(**given), "made_i2t_map@r >= 0.1")
