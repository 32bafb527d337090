"""Retrieval with relevance sets, from files to a result: names, splits, folds, refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import relevance_reference as reference
from commands import attneval
from relevance_world import EACH, FAST, IMAGES, World, of_set, ranked, write

from attneval import AttnevalError, Options, Protocol, Result, compare, gate, merge, open_export, score
from attneval.errors import MismatchError
from attneval.report.delimited import render_csv, result_lines
from attneval.report.markdown import render_markdown
from attneval.report.plain import render_plain
from attneval.report.score import score_page

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("r@1", "r@5", "r@10", "r_precision", "map@r")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# ---------------- from files


@pytest.mark.parametrize("ties", ["expected", "worst", "best"])
@pytest.mark.parametrize("folds", [1, 2, 3])
def test_a_matrix_with_ids(world: World, ties: str, folds: int) -> None:
    result = world.score(protocol=Protocol(ties=ties, folds=folds))
    assert of_set(result) == pytest.approx(world.expected(ties, folds), abs=1e-12)
    assert result.metrics["made_i2t_r@1"].n == 4
    assert result.metrics["made_t2i_map@r"].n == 9
    assert result.scores.sums.image_id == sorted(world.image)
    assert set(result.relevance) == {"made"}
    # What belongs together is scored as without sets.
    plain = score(similarity=[world.matrix], protocol=Protocol(ties=ties, folds=folds), options=FAST)
    assert {name: result.metrics[name].value for name in plain.metrics} == pytest.approx(
        {name: m.value for name, m in plain.metrics.items()}
    )


def test_the_original_pair_names_the_rows(world: World) -> None:
    files = [*world.set(), *world.original()]
    result = world.score(relevance=files, image_ids=None)
    assert of_set(result) == pytest.approx(world.expected(), abs=1e-12)
    for kind in ("r@1", "r@5", "r@10"):
        for direction in ("i2t", "t2i"):
            assert result[f"original_{direction}_{kind}"] == pytest.approx(result[f"{direction}_{kind}"])
    # So does either file of it alone, as ids of images.
    for part in world.original():
        assert of_set(world.score(image_ids=part)) == of_set(result)


def test_ids_from_a_captions_file(world: World) -> None:
    entries = [
        {"id": int(world.caption[c]), "image_id": int(world.image[world.owner[c]]), "caption": "a"}
        for c in range(IMAGES * EACH)
    ]
    # A caption beyond those that were scored, and an image that was not.
    entries += [{"id": 9999, "image_id": int(world.image[0]), "caption": "b"}, {"id": 1, "image_id": 1, "caption": "c"}]
    np.random.default_rng(0).shuffle(entries)
    path = write(world.folder / "captions.json", {"images": [], "annotations": entries})
    assert of_set(world.score(caption_ids=path)) == pytest.approx(world.expected(), abs=1e-12)


def test_captions_of_an_export_are_called_by_their_numbers(world: World) -> None:
    relevant = {f"{world.image[0]}#1": [world.image[0], world.image[4]]}
    path = write(world.folder / "numbered.json", relevant)
    result = world.score(relevance=[path], caption_ids=None)
    expected = reference.relevance(world.scores.tolist(), world.owner, {"t2i": {1: [0, 4]}})
    assert of_set(result, "numbered") == pytest.approx(expected, abs=1e-12)


def test_a_split_takes_queries_and_gallery_away(world: World) -> None:
    kept = [0, 2, 3]
    (world.folder / "split.txt").write_text("\n".join(world.image[i] for i in kept))
    result = world.score(split=world.folder / "split.txt")
    captions = [c for c in range(IMAGES * EACH) if world.owner[c] in kept]
    relevant = {
        "i2t": {
            kept.index(i): [captions.index(c) if c in captions else f"gone {c}" for c in answers]
            for i, answers in world.relevant["i2t"].items()
            if i in kept
        },
        "t2i": {
            captions.index(c): [kept.index(i) if i in kept else f"gone {i}" for i in answers]
            for c, answers in world.relevant["t2i"].items()
            if c in captions
        },
    }
    part = world.scores[np.ix_(kept, captions)].tolist()
    expected = reference.relevance(part, [kept.index(world.owner[c]) for c in captions], relevant)
    assert of_set(result) == pytest.approx(expected, abs=1e-12)
    assert any("they count in R and cannot be found" in note for note in result.notes)
    # Ceilings say the same: what is not there cannot be ranked.
    oracle = result.scores.baselines["oracle"]["made_i2t_map@r"].value
    shares = [sum(isinstance(a, int) for a in answers) / len(answers) for answers in relevant["i2t"].values()]
    assert oracle == pytest.approx(sum(shares) / len(shares))


def test_answers_that_are_nowhere_count_in_r(world: World) -> None:
    world.relevant["i2t"][0] = [0, 1, "999", "998"]
    result = world.score()
    assert of_set(result) == pytest.approx(world.expected(), abs=1e-12)
    assert "made i2t: 2 of 16 listed captions are not in the gallery (first: 999, 998)" in " ".join(result.notes)
    assert result.scores.baselines["oracle"]["made_i2t_r_precision"].value == pytest.approx(3.5 / 4)
    assert result.scores.baselines["oracle"]["made_i2t_r@1"].value == 1


def test_perfect_scores_are_exactly_one(world: World) -> None:
    relevant = {"i2t": {i: [c for c in range(18) if c % IMAGES == i] for i in range(IMAGES)}}
    relevant["t2i"] = {c: [c % IMAGES] for c in range(18)}
    np.save(world.matrix, (np.arange(18)[None] % IMAGES == np.arange(IMAGES)[:, None]).astype(np.float32))
    result = world.score(relevance=world.set("right", relevant))
    assert {name: m.value for name, m in result.metrics.items() if name.startswith("right_")} == {
        f"right_{d}_{kind}": 1.0 for d in ("i2t", "t2i") for kind in KINDS
    }
    gap = result.metrics["right_i2t_map@r"].above_floor
    assert gap is not None
    assert (gap.floor, gap.ci is not None) == ("chance", True)


# ---------------- results


def test_results_come_back_whole(world: World) -> None:
    result = world.score()
    path = world.folder / "result.json"
    result.save(path)
    assert Result.load(path).to_dict() == result.to_dict()
    values = json.loads(path.read_text())
    assert set(values["relevance"]) == {"made"}
    assert "made_i2t_map@r" in values["holds"]["metrics"]
    assert {"made_i2t_map@r", "chance_made_i2t_map@r", "made_t2i_n"} <= set(values["holds"]["columns"])
    assert [item["role"] for item in values["inputs"]] == [
        *("similarity", "relevance", "relevance", "caption_ids", "image_ids")
    ]
    merged = merge([Result.load(path)])
    assert merged.to_dict()["metrics"] == values["metrics"]
    assert merged.relevance == result.relevance


@pytest.mark.parametrize("column", ["made_i2t_map@r", "chance_made_t2i_r@1", "made_i2t_in_gallery"])
def test_a_file_that_was_changed_is_refused(world: World, column: str) -> None:
    path = world.folder / "result.json"
    world.score().save(path)
    values = json.loads(path.read_text())
    values["per_image"][column][0] += 0.25
    path.write_text(json.dumps(values))
    with pytest.raises(AttnevalError, match="damaged"):
        Result.load(path)


def test_tables_and_lines_have_every_number(world: World) -> None:
    result = world.score()
    page = score_page(result, 2)
    for text in (render_plain(page), render_markdown(page)):
        assert "Retrieval with the relevance set made" in text
        assert "chance" in text
        for kind in KINDS:
            assert f"{100 * (result[f'made_i2t_{kind}'] or 0):.2f}" in text
    lines = render_csv(result_lines(result))
    assert "made_t2i_map@r" in lines
    assert "baseline:chance,made_t2i_map@r" in lines


def test_comparison_and_gate(world: World) -> None:
    first = world.score()
    np.save(world.matrix, np.random.default_rng(9).normal(size=world.scores.shape))
    second = world.score()
    lines = {line.metric: line for line in compare([first, second], trials=100, resamples=20).lines}
    assert lines["made_i2t_map@r"].values == (first["made_i2t_map@r"], second["made_i2t_map@r"])
    assert lines["made_i2t_map@r"].n == (4, 4)
    assert gate(first, "made_t2i_r_precision >= 0").passed
    assert not gate(first, "made_t2i_r_precision >= 1").passed
    with pytest.raises(MismatchError, match="other_t2i_map@r was not measured"):
        gate(first, "other_t2i_map@r >= 0.5")


def test_other_contents_under_one_name_are_not_compared(world: World) -> None:
    first = world.score()
    reordered = {d: dict(reversed(queries.items())) for d, queries in world.relevant.items()}
    assert world.score(relevance=world.set("made", reordered)).relevance == first.relevance
    world.relevant["i2t"][0].pop()
    second = world.score()
    with pytest.raises(MismatchError, match=r"different protocols: relevance set made [0-9a-f]{12} against"):
        compare([first, second])
    assert compare([first, second], allow_mismatch=True, trials=100, resamples=20).notes


# ---------------- refusals

BAD_SETS: list[tuple[object, str]] = [
    ([1, 2], "holds no object with queries"),
    ({}, "lists no relevant answer for any query"),
    ({"100": []}, "lists no relevant answer for any query"),
    ({"100": 101}, "query 100 is 101, and no list"),
    ({"100": [101, "101"]}, "query 100 lists 101 twice"),
    ({"100": [101.5]}, "query 100 is 101.5, and no whole number"),
    ({"100": [None]}, "query 100 is None"),
    ({"100": [101], "0100": [102]}, "query 100 is there twice"),
    ({"7": [8]}, "none has the id of an image or a caption"),
    ({"100": [107]}, "as many have ids of images as of captions"),
]


@pytest.mark.parametrize(("values", "text"), BAD_SETS)
def test_sets_that_are_none(world: World, values: object, text: str) -> None:
    path = write(world.folder / "bad_image_to_caption.json", values)
    with pytest.raises(AttnevalError) as caught:
        world.score(relevance=[path])
    assert text in str(caught.value)
    assert str(path) in str(caught.value)


def test_names_of_sets(world: World) -> None:
    content = world.set()[0].read_text()
    for stem, name in (("My Set_image_to_caption", "my_set"), ("cxc-i2t", "cxc"), ("a.b.c", "a.b.c"), ("é5", "5")):
        path = world.folder / f"{stem}.json"
        path.write_text(content)
        assert f"{name}_i2t_map@r" in world.score(relevance=[path]).metrics
    for stem in ("image_to_caption", "é", "x" * 40, "chance_x"):
        path = world.folder / f"{stem}.json"
        path.write_text(content)
        with pytest.raises(AttnevalError, match="gives its relevance set no name"):
            world.score(relevance=[path])
    twins = [world.folder / "same_image_to_caption.json", world.folder / "same-i2t.json"]
    for path in twins:
        path.write_text(content)
    with pytest.raises(AttnevalError, match="are both the i2t part of relevance set same"):
        world.score(relevance=twins)


def test_queries_that_are_unknown(world: World) -> None:
    world.relevant["i2t"] |= {"901": [0]}  # type: ignore[dict-item]
    result = world.score()
    assert "1 of 5 queries of" in " ".join(result.notes)
    assert result.metrics["made_i2t_r@1"].n == 4
    world.relevant["i2t"] |= {str(900 + i): [0] for i in range(9)}  # type: ignore[misc]
    with pytest.raises(AttnevalError, match=r"9 of 13 queries .* are not among the images \(first: 901, 900"):
        world.score()
    assert world.score(protocol=Protocol(missing="skip")).metrics["made_i2t_r@1"].n == 4


def test_empty_queries_are_noted(world: World) -> None:
    path = write(world.folder / "made_i2t.json", {"100": [101, 102], "107": []})
    result = world.score(relevance=[path])
    assert result.metrics["made_i2t_r@1"].n == 1
    assert "lists nothing for 1 queries (first: 107): left out" in " ".join(result.notes)


def test_names_that_do_not_fit(world: World) -> None:
    np.save(world.folder / "few.npy", np.arange(17))
    np.save(world.folder / "twice.npy", np.array([*range(17), 3]))
    np.save(world.folder / "floats.npy", np.arange(18.0))
    (world.folder / "few.txt").write_text("1 2 3")
    (world.folder / "twice.txt").write_text("1 2 3 4 5 1")
    nothing = write(world.folder / "nothing.json", {"annotations": []})
    cases: list[tuple[dict[str, Any], str]] = [
        ({"caption_ids": world.folder / "few.npy"}, "has 17 ids of captions, but .* scores 18 captions"),
        ({"caption_ids": world.folder / "twice.npy"}, "id 3 is there twice, as number 3 and 17"),
        ({"caption_ids": world.folder / "floats.npy"}, "expected one row of ids"),
        ({"caption_ids": nothing}, "holds no ids of captions"),
        ({"image_ids": world.folder / "few.txt"}, "has 3 ids of images, but .* scores 6 images"),
        ({"image_ids": world.folder / "twice.txt"}, "image 1 names rows 0 and 5"),
        ({"image_ids": None}, "nothing names its 6 images"),
        ({"image_ids": None, "caption_ids": None}, "nothing names its 6 images"),
        ({"similarity": []}, "there are no similarities to hold relevance sets against"),
    ]
    for changes, text in cases:
        with pytest.raises(AttnevalError, match=text):
            world.score(**changes)


def test_captions_in_another_order_are_noticed(world: World) -> None:
    np.save(world.caption_ids, np.array(world.caption)[::-1].astype(np.int64)[np.arange(18) % 17])
    with pytest.raises(AttnevalError, match="is there twice"):
        world.score()
    np.save(world.caption_ids, np.roll(np.array(world.caption).astype(np.int64), 1))
    with pytest.raises(AttnevalError, match=r"column 1 of .* is a caption of image 100, but the others of row 0"):
        world.score(image_ids=None, relevance=[*world.set(), *world.original()])


# ---------------- real sets


@pytest.mark.realdata
def test_the_seeded_matrix_over_coco(shared: Path, tmp_path: Path) -> None:
    coco = shared / "coco"
    random = np.random.default_rng(7)
    images, noise = random.standard_normal((5000, 32)), random.standard_normal((25000, 32))
    matrix = images @ (np.repeat(images, 5, axis=0) + 1.5 * noise).T
    np.save(tmp_path / "scores.npy", matrix.astype(np.float32))
    files = [coco / f"{name}_{sides}.json" for name in ("original", "cxc", "eccv") for sides in SIDES]
    given: dict[str, Any] = {
        "similarity": [tmp_path / "scores.npy"],
        "relevance": files,
        "options": Options(resamples=0),
    }
    result = score(caption_ids=coco / "coco_test_ids.npy", **given)
    for name, both in SEEDED.items():
        for direction, expected in zip(("i2t", "t2i"), both, strict=True):
            for kind, value in expected.items():
                assert result[f"{name}{direction}_{kind}"] == pytest.approx(value, abs=2e-6), (name, direction, kind)
    counts = {name: m.n for name, m in result.metrics.items() if name.endswith("r@1")}
    assert counts == {
        "i2t_r@1": 5000,
        "t2i_r@1": 25000,
        "original_i2t_r@1": 5000,
        "original_t2i_r@1": 25000,
        "cxc_i2t_r@1": 5000,
        "cxc_t2i_r@1": 24972,
        "eccv_i2t_r@1": 1261,
        "eccv_t2i_r@1": 1332,
    }
    assert "eccv i2t: 2 of 22550 listed captions are not in the gallery (first: 144675, 467259)" in " ".join(
        result.notes
    )
    in_folds = score(caption_ids=coco / "coco_test_ids.npy", protocol=Protocol(folds=5), **given)
    for direction, expected in zip(("i2t", "t2i"), FOLDED, strict=True):
        for k, value in expected.items():
            for name in ("", "original_"):
                assert in_folds[f"{name}{direction}_{k}"] == pytest.approx(value, abs=1e-9)


SIDES = ("image_to_caption", "caption_to_image")
SEEDED: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "": (
        {"r@1": 0.4996, "r@5": 0.7632, "r@10": 0.8488},
        {"r@1": 0.27868, "r@5": 0.49076, "r@10": 0.5864},
    ),
    "cxc_": (
        {"r@1": 0.4990, "r@5": 0.7632, "r@10": 0.8486, "r_precision": 0.233562, "map@r": 0.174100},
        {"r@1": 0.278672, "r@5": 0.490910, "r@10": 0.586697, "r_precision": 0.245172, "map@r": 0.237291},
    ),
    "eccv_": (
        {"r@1": 0.497224, "r@5": 0.755749, "r@10": 0.841396, "r_precision": 0.132864, "map@r": 0.080877},
        {"r@1": 0.292042, "r@5": 0.503754, "r@10": 0.599099, "r_precision": 0.074340, "map@r": 0.050398},
    ),
    "original_": (
        {"r@1": 0.4996, "r_precision": 0.2778, "map@r": 0.218591},
        {"r@1": 0.27868, "r_precision": 0.27868, "map@r": 0.27868},
    ),
}
"""Values of eccv-caption's evaluator on the same matrix."""
FOLDED = (
    {"r@1": 0.6982, "r@5": 0.9250, "r@10": 0.9632},
    {"r@1": 0.44648, "r@5": 0.70036, "r@10": 0.7944},
)
"""Its values in five folds."""


# ---------------- damaged files


@pytest.mark.parametrize("role", ["relevance", "caption_ids", "image_ids", "similarity"])
def test_damaged_files_are_refused_or_read(world: World, role: str) -> None:
    """Bytes that were changed, cut off or put in make an error that names the file, or another result: nothing else."""
    random = np.random.default_rng(sum(map(ord, role)))
    entries = [
        {"id": int(c), "image_id": int(world.image[o]), "caption": "a"}
        for c, o in zip(world.caption, world.owner, strict=True)
    ]
    whole = {
        "relevance": world.set()[0],
        "caption_ids": write(world.folder / "captions.json", {"annotations": entries}),
        "image_ids": world.original()[0],
        "similarity": write(world.folder / "lists.json", ranked(world, 3)),
    }[role]
    content, path = whole.read_bytes(), world.folder / f"damaged_{whole.name}"
    refused: list[str] = []
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(int(random.integers(1, 4))):
            place = int(random.integers(0, len(damaged)))
            kind = int(random.integers(0, 4))
            if kind == 0:
                damaged[place] = int(random.integers(0, 256))
            elif kind == 1:
                del damaged[place : place + int(random.integers(1, 9))]
            elif kind == 2:
                damaged[place:place] = random.choice([b"[", b"null", b"1e999", b'"', b"-", b"NaN", b"9" * 400])
            else:
                damaged[place:place] = damaged[: int(random.integers(1, 40))]
        path.write_bytes(bytes(damaged))
        changes: dict[str, Any] = {role: path if role.endswith("ids") else [path]}
        if role == "similarity":
            changes |= {"relevance": world.original(), "caption_ids": None, "image_ids": None}
        try:
            world.score(**changes)
        except AttnevalError as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert all(path.name in text for text in refused)


def test_files_that_are_none_of_their_kind(world: World) -> None:
    contents = {
        "empty.json": b"",
        "pickle.npy": b"\x80\x04K\x01.",
        "cut.npy": world.caption_ids.read_bytes()[:-3],
        "text.json": b"\xff\xfe",
        "deep.json": b"[" * 100_000,
    }
    for name, content in contents.items():
        path = world.folder / name
        path.write_bytes(content)
        for role in ("relevance", "caption_ids", "image_ids"):
            with pytest.raises(AttnevalError, match=name):
                world.score(**{role: [path] if role == "relevance" else path})
    np.savez(world.folder / "half.npz", i2t=np.zeros((2, 2), np.int64))
    np.savez(world.folder / "floats.npz", i2t=np.zeros((2, 2)), i2t_query=np.arange(2))
    np.savez(world.folder / "twice.npz", i2t=np.arange(4).reshape(2, 2), i2t_query=np.array([100, 100]))
    for name, text in (("half", "has i2t, but no i2t_query"), ("floats", "expected ids"), ("twice", "has 100 twice")):
        with pytest.raises(AttnevalError, match=rf"{name}\.npz.*{text}"):
            world.score(similarity=[world.folder / f"{name}.npz"])


# ---------------- with attention


def numbered_set(folder: Path, export: Path) -> Path:
    """A set over an export, in which an image's neighbour is relevant as well."""
    opened = open_export(export)
    images = opened.image_id
    pairs = zip(opened.caption_image.tolist(), opened.caption_index.tolist(), strict=True)
    relevant = {f"{images[row]}#{index}": [images[row], images[row - 1]] for row, index in pairs}
    return write(folder / "near_caption_to_image.json", relevant)


def test_beside_attention_and_through_merge(fixtures: Path, tmp_path: Path) -> None:
    export, near = fixtures / "good.npz", numbered_set(tmp_path, fixtures / "good.npz")
    whole = score(export, fixtures / "entities", relevance=[near], options=FAST)
    maps = score(export, fixtures / "entities", options=Options(resamples=20, similarity=False))
    ranks = score(export, relevance=[near], options=FAST)
    merged = merge([maps, ranks])
    assert merged.metrics == whole.metrics
    assert merged.scores.baselines == whole.scores.baselines
    assert merged.relevance == whole.relevance
    # Floors and ceilings of attention are as they are without a set.
    plain = score(export, fixtures / "entities", options=FAST)
    for name, table in plain.scores.baselines.items():
        assert {metric: whole.scores.baselines[name][metric] for metric in table} == table
    with np.load(export) as stored:
        scores, owner = stored["similarity"], stored["caption_image"].tolist()
    relevant = {"t2i": {c: [image, (image - 1) % len(scores)] for c, image in enumerate(owner)}}
    expected = reference.relevance(scores.tolist(), owner, relevant)
    assert of_set(whole, "near") == pytest.approx(expected, abs=1e-12)


def test_captions_of_an_export_by_a_captions_file(fixtures: Path, tmp_path: Path) -> None:
    opened = open_export(fixtures / "good.npz")
    pairs = list(zip(opened.caption_image.tolist(), opened.caption_index.tolist(), strict=True))
    number = {pair: 10 * pair[0] + pair[1] for pair in pairs}
    entries = [{"id": number[row, k], "image_id": opened.image_id[row], "caption": "a"} for row, k in pairs]
    captions = write(tmp_path / "captions.json", {"annotations": entries[::-1]})
    relevant = {number[row, k]: [opened.image_id[row], opened.image_id[row - 1]] for row, k in pairs}
    near = write(tmp_path / "near_caption_to_image.json", relevant)
    by_number = score(fixtures / "good.npz", relevance=[near], caption_ids=captions, options=FAST)
    by_name = score(fixtures / "good.npz", relevance=[numbered_set(tmp_path, fixtures / "good.npz")], options=FAST)
    assert by_number.metrics == by_name.metrics
    write(captions, {"annotations": entries[1:]})
    with pytest.raises(
        AttnevalError, match=r"captions\.json has no id for 1 of 300 captions of .*good\.npz \(first: 7"
    ):
        score(fixtures / "good.npz", relevance=[near], caption_ids=captions, options=FAST)
    with pytest.raises(AttnevalError, match=r"names its images, and .* would name them again"):
        score(fixtures / "good.npz", relevance=[near], image_ids=captions, options=FAST)


def test_the_command(world: World) -> None:
    files: list[str | Path] = [flag for path in world.set() for flag in ("--relevance", path)]
    ids: list[str | Path] = ["--caption-ids", world.caption_ids, "--image-ids", world.image_ids]
    done = attneval("score", "--similarity", world.matrix, *files, *ids, "-f", "json")
    assert done.code == 0, done.err
    values = json.loads(done.out)
    for name, value in world.expected().items():
        if not name.startswith("chance"):
            assert values["metrics"][f"made_{name}"]["value"] == pytest.approx(value, abs=1e-12)
    done = attneval("score", "--similarity", world.matrix, *files, *ids, "--min", "made_i2t_r@1=1.0")
    assert done.code in {0, 1}
    assert "made_i2t_r@1" in done.err
    done = attneval("explain", "cxc_i2t_map@r")
    assert "the relevance set cxc" in " ".join(done.out.split())
    done = attneval("score", "--similarity", world.matrix, *files)
    assert done.code == 2
    assert "nothing names its 6 images; name rows with --image-ids FILE" in done.err
