"""Inputs that are wrong in one way each, and exactly what `validate --gt` and `score` say looks wrong in them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import assert_says
from here import Here
from worlds import Phrase, Scene, World

from attneval import ExportWriter, Options, Protocol, score
from attneval.errors import AttnevalError
from attneval.evaluation.fit import look_at_fit
from attneval.export.read.reader import find_problems
from attneval.geometry.grids import orientations
from attneval.results.notes import COVERAGE, LINT, UNREACHED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from worlds import Sentence

    Floats = NDArray[np.float64]

IMAGES, CAPTIONS, REGIONS, SIDE = 30, 3, 12, 14
SIZES = ((500, 375), (375, 500), (600, 480))
NAMES = {"1": "man", "2": "dog", "3": "car", "4": "hat"}
SENTENCES = [("1", "near", "2"), ("3", "with", "4"), ("1", "and", "3")]

MARKS = {
    "boxes-relative": "boxes look relative to the image's size",
    "boxes-of-the-input": "boxes look as if they were in pixels of an input",
    "boxes-of-a-smaller-image": "boxes look as if they were of a smaller image",
    "boxes-from-1": "boxes look counted from 1",
    "x-y-width-height": "they look like x, y, width, height",
    "ids-of-files": "image ids look like names of files",
    "ids-alike": "image ids look like one and the same image",
    "ids-near": "did you mean",
    "ids-of-other-data": "the release, the split or the form of the ids does not match",
    "rows-sum-to-anything": "rows sum to anything",
    "rows-without-weight": "of the rows have no weight at all",
    "weight-beyond-tokens": "weight behind the last token",
    "signed": "negative weights",
    "signed-maps": "maps are signed",
    "regions-without-boxes": "look like 14 x 14 patches",
    "captions-unmatched": "are no caption of their image",
    "tokens-decoded": "tokens hold U+FFFD",
    "similarity-is-a-distance": "similarity looks like a distance",
    "images-repeated": "repeated",
    "maps-shuffled": "maps look as if they were shuffled",
    "grid-turned": "the grid looks",
    "coverage": "have a relevant region, and scores are of those alone",
    "unreached": "items has a relevant region",
}
"""What every remark holds, and no other, by its kind."""


@dataclass(frozen=True)
class Given:
    """What is written, right unless something in it is replaced."""

    sizes: tuple[tuple[int, int], ...] = SIZES
    ids: Callable[[str], str] = str
    annotated: Callable[[str], str] = str
    boxes: Callable[[Floats, NDArray[np.int64]], Floats] = lambda box, size: box  # noqa: ARG005
    maps: Callable[[Floats], Floats] = lambda weights: weights
    grid: bool = False
    known_sizes: bool = True
    kind: str = "attention"
    tokens: Callable[[list[str]], list[str]] = list
    similarity: Callable[[Floats], Floats] | None = None
    members: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    same_weights: bool = False


def annotated_scenes(given: Given) -> dict[str, Scene]:
    """Images with four things each, some of which reach the right and the lower edge."""
    random = np.random.default_rng(5)
    scenes = {}
    for row in range(IMAGES):
        size = np.array(given.sizes[row % len(given.sizes)])
        low = random.uniform(0, 0.6, (4, 2))
        high = np.minimum(low + random.uniform(0.2, 0.5, (4, 2)), 1)
        low[0], high[1] = 0, 1
        edges = np.rint(np.concatenate((low * size + 1, high * size), axis=1)).astype(int)
        boxes = {chain: [(x1, y1, x2, y2)] for chain, (x1, y1, x2, y2) in zip(NAMES, edges.tolist(), strict=True)}
        pieces: list[Sentence] = [
            [Phrase(p, ("other",), (NAMES[p],)) if p in NAMES else p for p in own] for own in SENTENCES
        ]
        name = given.annotated(f"{1000 + row}")
        scenes[name] = Scene(int(size[0]), int(size[1]), boxes, pieces, [])
    return scenes


def written(folder: Path, given: Given) -> tuple[Path, Path]:
    """An export of maps that mostly lie on what words mean, and the annotations."""
    scenes = annotated_scenes(given)
    truth = World(scenes, [], None).entities(folder / "truth.zip")
    random, path = np.random.default_rng(7), folder / "maps.npz"
    columns = SIDE * SIDE if given.grid else REGIONS
    weights = np.zeros((IMAGES, CAPTIONS, 3, columns))
    places = []
    for row, scene in enumerate(scenes.values()):
        size = np.array((scene.width, scene.height))
        own = np.array([scene.boxes[chain][0] for chain in NAMES], float) - (1, 1, 0, 0)
        low = random.uniform(0, 0.7, (REGIONS - 4, 2)) * size
        rest = np.concatenate((low, np.minimum(low + random.uniform(0.05, 0.3, low.shape) * size, size)), axis=1)
        places.append(np.concatenate((own, rest)))
        for caption, sentence in enumerate(SENTENCES):
            for word, name in enumerate(sentence):
                weights[row, caption, word] = random.dirichlet(np.ones(columns))
                if name in NAMES:
                    chosen = int(name) - 1
                    share = _cells(own[chosen], size) if given.grid else np.eye(columns)[chosen]
                    weights[row, caption, word] = 0.4 * weights[row, caption, word] + 0.6 * share
    sizes = np.array([(scene.width, scene.height) for scene in scenes.values()])
    placed = given.boxes(np.stack(places), sizes)
    ids = [given.ids(f"{1000 + row}") for row in range(IMAGES)]
    if given.same_weights:
        weights[:] = 1 / columns
    weights = given.maps(weights)
    with ExportWriter(path, kind=given.kind, normalised_over="none", check=False) as out:
        for row in range(IMAGES):
            width, height = sizes[row].tolist()
            size_given = (width, height) if given.known_sizes else None
            out.add_image(
                ids[row], size=size_given, **({"grid": (SIDE, SIDE)} if given.grid else {"boxes": placed[row]})
            )
            for caption, sentence in enumerate(SENTENCES):
                tokens = given.tokens([NAMES.get(word, word) for word in sentence])
                out.add_caption(ids[row], weights[row, caption], index=caption, tokens=tokens)
        if given.similarity is not None:
            scores = random.normal(0, 1, (IMAGES, IMAGES * CAPTIONS)) + 3 * np.repeat(np.eye(IMAGES), CAPTIONS, axis=1)
            out.set_similarity(given.similarity(scores))
    if given.members is not None:
        with np.load(path) as data:
            members = given.members(dict(data) | {"weights": weights, "boxes": placed, "ids": np.array(ids)})
        np.savez(path, **members)
    return path, truth


def _cells(box: Floats, size: NDArray[np.int64]) -> Floats:
    """How even weight on a box falls on the cells of a grid."""
    x, y = np.linspace(0, size[0], SIDE + 1), np.linspace(0, size[1], SIDE + 1)
    wide = np.clip(np.minimum(x[1:], box[2]) - np.maximum(x[:-1], box[0]), 0, None)
    high = np.clip(np.minimum(y[1:], box[3]) - np.maximum(y[:-1], box[1]), 0, None)
    share = np.outer(high, wide).ravel()
    return np.asarray(share / share.sum())


def padded(*, boxes: bool = True, beyond: float = 0.0) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The same in the padded layout, without boxes, or with weight behind the last token of each caption."""

    def members(made: dict[str, Any]) -> dict[str, Any]:
        weights = made["weights"].reshape(IMAGES * CAPTIONS, 3, -1)
        words = [[NAMES.get(word, word) for word in sentence] + [""] for sentence in SENTENCES] * IMAGES
        names = [f"{name}#{caption}" for name in made["ids"] for caption in range(CAPTIONS)]
        found = {
            "attn": np.concatenate((weights, np.full_like(weights[:, :1], beyond)), axis=1),
            "words": np.array(words),
            "caption_ids": np.array(names),
        }
        return found | ({"boxes": np.repeat(made["boxes"], CAPTIONS, axis=0)} if boxes else {})

    return members


def of_input(side: int) -> Callable[[Floats, NDArray[np.int64]], Floats]:
    return lambda box, size: np.asarray(box / np.tile(size, 2)[:, None] * side)


def turned(name: str) -> Callable[[Floats], Floats]:
    """Weights as a file holds them whose cells stand in another order."""

    def change(weights: Floats) -> Floats:
        stored = np.empty_like(weights)
        stored[..., orientations(SIDE, SIDE)[name]] = weights
        return stored

    return change


def zero_rows(weights: Floats) -> Floats:
    weights[::2, 0, 1] = 0
    return weights


def sides(box: Floats, size: NDArray[np.int64]) -> Floats:
    return np.asarray(np.concatenate((box[..., :2], box[..., 2:] - box[..., :2]), axis=2))


def elsewhere(box: Floats, size: NDArray[np.int64]) -> Floats:
    """Boxes of which those of three things in four lie where nothing is."""
    moved: Floats = box.copy()
    moved[:, :3] = np.tile(size, 2)[:, None] * (0.0, 0.97, 0.03, 1.0)
    return moved


@dataclass(frozen=True)
class Case:
    """What is given, and the kinds of remarks that it gets."""

    given: Given
    validate: set[str] = field(default_factory=set)
    score: set[str] | None = None  # the same as of validate unless said
    refused: bool = False
    says: tuple[str, ...] = ()


LARGE = ((1280, 960), (960, 1280))
FILES, OTHERS = {"ids-of-files"}, {"ids-near", "ids-of-other-data"}
TWINS = {"ids-alike", "ids-near"}
CASES = {
    "right, boxes": Case(Given()),
    "right, sizes unknown": Case(Given(known_sizes=False)),
    "right, grid": Case(Given(grid=True)),
    "right, padded": Case(Given(members=padded())),
    "right, similarity": Case(Given(similarity=lambda scores: scores)),
    "right, relevance": Case(Given(kind="relevance", maps=lambda weights: weights**2)),
    "boxes 0..1": Case(Given(boxes=of_input(1)), {"boxes-relative", "unreached"}),
    "boxes of 224": Case(Given(boxes=of_input(224)), {"boxes-of-the-input", "coverage"}),
    "boxes of 336": Case(Given(boxes=of_input(336)), {"boxes-of-the-input", "coverage"}),
    "boxes of 384": Case(Given(boxes=of_input(384), sizes=LARGE), {"boxes-of-the-input", "coverage"}),
    "boxes of 448": Case(Given(boxes=of_input(448), sizes=LARGE), {"boxes-of-the-input", "unreached"}),
    "boxes of 640": Case(Given(boxes=of_input(640), sizes=LARGE), {"boxes-of-the-input", "coverage"}),
    "boxes of half the size": Case(Given(boxes=lambda b, s: b / 2), {"boxes-of-a-smaller-image", "coverage"}),  # noqa: ARG005
    "the same, sizes unknown": Case(
        Given(boxes=lambda b, s: b / 2, known_sizes=False),  # noqa: ARG005
        {"boxes-of-a-smaller-image", "coverage"},
    ),
    "boxes from 1": Case(Given(boxes=lambda b, s: np.maximum(np.rint(b), 1)), {"boxes-from-1"}),  # noqa: ARG005
    "x, y, width, height": Case(Given(boxes=sides), {"x-y-width-height"}, refused=True),
    "boxes where nothing is": Case(Given(boxes=elsewhere), {"coverage"}),
    "grid transposed": Case(Given(grid=True, maps=turned("transposed")), {"grid-turned"}, set(), says=("transposed",)),
    "grid flipped, x": Case(
        Given(grid=True, maps=turned("flipped left to right")), {"grid-turned"}, set(), says=("left to right",)
    ),
    "grid flipped, y": Case(
        Given(grid=True, maps=turned("flipped upside down")), {"grid-turned"}, set(), says=("upside down",)
    ),
    "maps of other captions": Case(Given(maps=lambda w: np.roll(w, 1, axis=1)), {"maps-shuffled"}, set()),
    "maps of other words": Case(Given(maps=lambda w: w[:, :, ::-1]), {"maps-shuffled"}, set()),
    "even maps": Case(Given(same_weights=True), {"maps-shuffled"}, set()),
    "even maps, grid": Case(Given(same_weights=True, grid=True), {"maps-shuffled"}, set()),
    "sigmoids": Case(Given(maps=lambda w: w**0.5), {"rows-sum-to-anything"}, says=("sigmoids",)),
    "scores before a softmax": Case(Given(maps=lambda w: 20 * w**0.5), {"rows-sum-to-anything"}, says=("softmax",)),
    "many zero rows": Case(Given(maps=zero_rows), {"rows-without-weight"}),
    "logits as attention": Case(Given(maps=np.log), {"signed"}, refused=True),
    "logits": Case(Given(maps=np.log, kind="logit"), {"signed-maps"}, {"signed"}, refused=True),
    "weight beyond the tokens": Case(Given(members=padded(beyond=0.1)), {"weight-beyond-tokens"}, refused=True),
    "patches without a grid": Case(
        Given(grid=True, members=padded(boxes=False)), {"regions-without-boxes"}, refused=True
    ),
    "tokens decoded": Case(
        Given(tokens=lambda own: [own[0], "\ufffd", own[2]]),
        {"tokens-decoded", "captions-unmatched"},
        {"captions-unmatched"},
        refused=True,
    ),
    "distances": Case(Given(similarity=lambda scores: -scores), {"similarity-is-a-distance"}),
    "repeated images": Case(Given(similarity=lambda s: np.repeat(s[::3], 3, axis=0)), {"images-repeated"}),
    "ids .jpg": Case(
        Given(ids="{}.jpg".format), FILES | OTHERS, OTHERS, refused=True, says=("did you mean '1000' for '1000.jpg'?",)
    ),
    "ids in folders": Case(Given(ids="flickr/{}".format), FILES | OTHERS, OTHERS, refused=True),
    "ids with zeros": Case(Given(ids="000{}".format), OTHERS, refused=True),
    "ids with separators": Case(Given(ids="img-{}".format, annotated="img_{}".format), OTHERS, refused=True),
    "ids twice in two forms": Case(
        Given(ids=lambda name: "01000" if name == "1001" else name), TWINS, {"ids-near"}, refused=True
    ),
    "one id with a byte order mark": Case(
        Given(ids=lambda name: f"\ufeff{name}" if name == "1000" else name), {"ids-near"}, refused=True
    ),
    "ids of other data": Case(Given(ids="9{}".format), {"ids-of-other-data"}, refused=True),
}


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


def kinds(remarks: list[str]) -> set[str]:
    """The kinds of remarks, each of which has one at least."""
    found = [{kind for kind, mark in MARKS.items() if mark in remark} for remark in remarks]
    assert all(found), remarks
    return {kind for named in found for kind in named}


@pytest.mark.parametrize("name", CASES)
def test_what_is_said(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    path, truth = written(tmp_path, case.given)
    problems, opened = find_problems(path)
    assert opened is not None
    fit = look_at_fit(path, truth, maps=not problems)
    remarks = [*problems, *fit.problems, *fit.warnings]
    assert kinds(remarks) == case.validate, remarks
    assert_says("; ".join(remarks), *case.says)
    expected = case.validate if case.score is None else case.score
    if case.refused:
        with pytest.raises(AttnevalError) as caught:
            score(path, truth, options=Options(resamples=0))
        assert kinds([str(caught.value)]) == expected
        return
    result = score(path, truth, options=Options(resamples=0))
    assert kinds([note for note in result.notes if note.kind in {LINT, COVERAGE, UNREACHED}]) == expected


def test_every_remark_is_in_the_table() -> None:
    assert set().union(*(case.validate | (case.score or set()) for case in CASES.values())) == set(MARKS)


def test_a_bare_matrix_of_repeated_images(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(0, 1, (IMAGES, 5 * IMAGES)) + 3 * np.repeat(np.eye(IMAGES), 5, axis=1)
    np.save(tmp_path / "scores.npy", scores)
    right = score(similarity=[tmp_path / "scores.npy"], options=Options(resamples=0))
    assert [note for note in right.notes if note.kind == LINT] == []
    np.save(tmp_path / "scores.npy", np.repeat(scores, 5, axis=0))
    with pytest.raises(AttnevalError) as caught:
        score(similarity=[tmp_path / "scores.npy"], options=Options(resamples=0))
    assert_says(str(caught.value), "(150, 150)", "5 times", "[::5]")
    np.save(tmp_path / "scores.npy", -scores)
    (note,) = [n for n in score(similarity=[tmp_path / "scores.npy"]).notes if n.kind == LINT]
    assert kinds([note]) == {"similarity-is-a-distance"}


@pytest.mark.parametrize("ties", ["expected", "worst", "best"])
@pytest.mark.parametrize("folds", [1, 5])
def test_equal_similarities_are_no_distance(tmp_path: Path, ties: str, folds: int) -> None:
    np.save(tmp_path / "scores.npy", np.zeros((IMAGES, 5 * IMAGES)))
    result = score(
        similarity=[tmp_path / "scores.npy"], protocol=Protocol(ties=ties, folds=folds), options=Options(resamples=0)
    )
    assert [note for note in result.notes if note.kind == LINT] == []


def test_score_says_it_on_stderr_in_the_table_and_in_the_result(tmp_path: Path, here: Here) -> None:
    path, truth = written(tmp_path, Given(boxes=lambda b, s: b / 2))  # noqa: ARG005
    done = here("score", path, "--gt", truth, "-o", tmp_path / "r.json", "-o", tmp_path / "r.md", "--resamples", "0")
    said = MARKS["boxes-of-a-smaller-image"]
    assert done.code == 0
    assert f"note: {said}" in done.err
    assert said in (tmp_path / "r.md").read_text("utf-8")
    assert sum(said in note for note in json.loads((tmp_path / "r.json").read_text("utf-8"))["notes"]) == 1
    assert said not in here("score", path, "--gt", truth, "--quiet", "--resamples", "0").err


def test_validate_lists_everything_at_once(tmp_path: Path, here: Here) -> None:
    def broken(weights: Floats) -> Floats:
        weights[3, 1, 0, 5] = np.nan
        return weights

    wrong = Given(ids=lambda name: f"{name}.jpg" if name < "1003" else name, maps=broken)
    path, truth = written(tmp_path, wrong)
    done = here("validate", path, "--gt", truth)
    assert done.code == 2
    assert_says(done.out, "NaN", "3 of 30 images", "did you mean '1000' for '1000.jpg'?", "2 problems")
    assert "--missing" not in done.out


def test_validate_reads_signed_maps(tmp_path: Path, here: Here) -> None:
    path, truth = written(tmp_path, Given(maps=lambda w: np.log(np.roll(w, 1, axis=1)), kind="similarity"))
    done = here("validate", path, "--gt", truth)
    assert done.code == 0
    assert_says(done.out, "warning: maps are signed (similarity)", "--normalize softmax", "warning: maps look as if")


def test_uniform_attention_is_shuffled_and_other_fixtures_look_right(fixtures: Path) -> None:
    for name, expected in (("good", set()), ("noisy", set()), ("twin", set()), ("uniform", {"maps-shuffled"})):
        fit = look_at_fit(fixtures / f"{name}.npz", fixtures / "entities")
        assert (fit.problems, kinds(fit.warnings)) == ([], expected)
        result = score(fixtures / f"{name}.npz", fixtures / "entities", options=Options(resamples=0))
        assert [note for note in result.notes if note.kind == LINT] == []


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["f8k285_regions", "f8k285_grid"])
def test_real_exports_look_right(shared: Path, name: str) -> None:
    fit = look_at_fit(shared / f"{name}.npz", shared / "flickr8k_entities.zip")
    assert (fit.problems, fit.warnings) == ([], [])
    result = score(shared / f"{name}.npz", shared / "flickr8k_entities.zip", options=Options(resamples=0))
    assert [note for note in result.notes if note.kind == LINT] == []


@pytest.mark.realdata
@pytest.mark.parametrize("turn", list(orientations(1, 1)))
def test_a_real_grid_that_is_turned(shared: Path, tmp_path: Path, turn: str) -> None:
    with np.load(shared / "f8k285_grid.npz") as data:
        members = dict(data)
    shape = members["attn"].shape
    stored = np.empty((*shape[:2], SIDE * SIDE), members["attn"].dtype)
    stored[..., orientations(SIDE, SIDE)[turn]] = members["attn"].reshape(*shape[:2], -1)
    members["attn"] = stored.reshape(shape)
    np.savez(tmp_path / "turned.npz", **members)
    fit = look_at_fit(tmp_path / "turned.npz", shared / "flickr8k_entities.zip")
    assert (fit.problems, kinds(fit.warnings)) == ([], {"grid-turned"})
    assert_says(fit.warnings[0], turn)


def test_boxes_and_a_split_are_looked_at_without_annotations(tmp_path: Path, here: Here) -> None:
    path, _ = written(tmp_path, Given(members=padded(boxes=False)))
    sizes = np.array([SIZES[row % len(SIZES)] for row in range(IMAGES)])
    box = np.tile(np.concatenate((sizes * 0, sizes), axis=1)[:, None], (1, REGIONS, 1)).astype(np.float32)
    np.savez(tmp_path / "boxes.npz", image_ids=np.array([str(1000 + row) for row in range(IMAGES)]), boxes=box / 1000)
    (tmp_path / "split.txt").write_text("1000 1001.jpg 7\n", "utf-8")
    assert here("validate", path).code == 0
    done = here("validate", path, "--boxes", tmp_path / "boxes.npz")
    assert done.code == 0
    assert_says(done.out, MARKS["boxes-relative"])
    done = here("validate", path, "--split", tmp_path / "split.txt")
    assert done.code == 2
    assert_says(done.out, "2 of 3 images of the split", "did you mean '1001' for '1001.jpg'?", "1 problem")
