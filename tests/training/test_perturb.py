"""Base models write what their scores become when regions are removed."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import attneval
from attneval.__main__ import main
from attneval.errors import ConfigError, DataError
from attneval.export.read.reader import find_problems
from attneval.extraction.checkpoints import caption_numbers, export_models
from attneval.extraction.perturbed_pairs import PerturbedPairs, Words, without
from attneval.extraction.removals import Removals
from attneval.extraction.trained import load_trained
from attneval.groundtruth import open_ground_truth
from attneval.metrics.faithfulness import CURVES
from attneval.training.data.batches import ImageBatch
from attneval.training.data.captions import EncodedCaptions
from attneval.training.data.precomputed import open_split
from attneval.training.models.attention import Pairs
from attneval.training.models.similarity import MatchedMaps
from attneval.training.models.table import MODELS
from training.test_export import header_of, trained

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.training.data.precomputed import Split
    from attneval.training.models.matching import MatchingModel

STEPS = 3


def few(toy: Path) -> Split:
    return open_split(toy, "dev").part(0, 3)


def score_of(
    model: MatchingModel, split: Split, words: EncodedCaptions, caption: int, removed: NDArray[np.bool_]
) -> float:
    """One pair, one image at a time: features that are gone are the mean of all."""
    batch = split.batch(split.caption_image[caption : caption + 1], positions=model.needs_positions)
    features = batch.features.clone()
    for region in np.flatnonzero(removed).tolist():
        features[0, region] = batch.features[0].mean(0)
    with torch.no_grad():
        regions = model.encode_images(dataclasses.replace(batch, features=features))
        pairs = Pairs(regions, model.encode_captions(words.batch(np.array([caption]))))
        return float(model.similarity(pairs, model.attend(pairs))[0, 0])


@pytest.mark.parametrize("name", MODELS)
def test_curves_are_the_models_scores(toy: Path, tmp_path: Path, name: str) -> None:
    one, split = load_trained(trained(toy, tmp_path / "a.tar", name)), few(toy)
    target = tmp_path / "maps.npz"
    export_models([one], split, target, perturb=STEPS, gt=open_ground_truth([toy / "entities"]))
    problems, export = find_problems(target)
    assert problems == []
    assert export is not None
    assert export.warnings == ()
    words = EncodedCaptions.from_texts(split.captions, one.vocabulary)
    regions = split.feature_shape[0]
    everything, nothing = np.zeros(regions, np.bool_), np.ones(regions, np.bool_)
    one.model.eval()
    for each in MatchedMaps(one.model, split, words):
        caption = each.caption
        whole, empty = (score_of(one.model, split, words, caption, gone) for gone in (everything, nothing))
        for curve in CURVES:
            ends = [whole, empty] if curve.startswith("deletion") else [empty, whole]
            np.testing.assert_allclose(export.curves[curve][caption, [0, -1]], ends, atol=1e-5)
        rows = each.i2t if each.t2i is None else each.t2i
        assert rows is not None
        weight = mean_of_annotated(toy, split, caption, each.tokens, rows)
        order = np.argsort(-weight)
        if len(np.unique(weight)) < regions:
            continue
        for step in range(1, STEPS):
            count = int(step * regions / STEPS + 0.5)
            gone = everything.copy()
            gone[order[:count]] = True
            expected = score_of(one.model, split, words, caption, gone)
            np.testing.assert_allclose(export.curves["deletion"][caption, step], expected, atol=1e-5)
            kept = everything.copy()
            kept[order[regions - int((STEPS - step) * regions / STEPS + 0.5) :]] = True
            expected = score_of(one.model, split, words, caption, kept)
            np.testing.assert_allclose(export.curves["insertion"][caption, step], expected, atol=1e-5)


def mean_of_annotated(
    toy: Path, split: Split, caption: int, tokens: tuple[str, ...], rows: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The mean of the normalised rows of words inside marked phrases, from the Sentences file itself."""
    assert split.image_ids is not None
    image = split.image_ids[int(split.caption_image[caption])]
    line = (toy / "entities" / "Sentences" / f"{image}.txt").read_text("utf-8").splitlines()
    marked = line[caption_numbers(split.caption_image)[caption]]
    inside, flags = False, []
    for piece in marked.split():
        if piece.startswith("["):
            inside = True
            continue
        flags.append(inside)
        if piece.endswith("]"):
            inside = False
    assert len(flags) == len(tokens) - 2
    chosen = [rows[1 + place].astype(float) for place, flag in enumerate(flags) if flag] or list(
        rows[1:-1].astype(float)
    )
    return np.asarray(np.mean([row / row.sum() for row in chosen if row.sum() > 0], axis=0))


def test_several_models_have_their_mean(toy: Path, tmp_path: Path) -> None:
    split = few(toy)
    models = [load_trained(trained(toy, tmp_path / f"{name}.tar", name)) for name in ("sgr", "saf")]
    export_models(models, split, tmp_path / "both.npz", similarity=False, perturb=2)
    curves = attneval.open_export(tmp_path / "both.npz").curves
    captions = [EncodedCaptions.from_texts(split.captions, one.vocabulary) for one in models]
    whole = np.zeros(split.feature_shape[0], np.bool_)
    for one in models:
        one.model.eval()
    scores = [
        [score_of(one.model, split, words, caption, whole) for caption in range(len(words))]
        for one, words in zip(models, captions, strict=True)
    ]
    np.testing.assert_allclose(curves["deletion"][:, 0], np.mean(scores, axis=0), atol=1e-5)


def test_all_words_where_nothing_is_annotated(toy: Path, tmp_path: Path) -> None:
    one, split = load_trained(trained(toy, tmp_path / "a.tar", "scan-t2i")), few(toy)
    export_models([one], split, tmp_path / "all.npz", similarity=False, perturb=2)
    export_models(
        [one],
        split,
        tmp_path / "gt.npz",
        similarity=False,
        perturb=2,
        gt=open_ground_truth([toy / "entities"]),
    )
    headers = [header_of(tmp_path / name)["perturbed"] for name in ("all.npz", "gt.npz")]
    assert headers[0]["order"].startswith("mean map of all words")
    assert headers[1]["order"].startswith("mean map of the annotated words")
    assert headers[0]["score"] == "similarity of the caption and its own image"
    assert headers[0]["removed"] == "features replaced by the mean feature of the image"
    assert Words.of_captions(["A dog , runs"]).span == (((0, 1), (2, 5), (8, 12)),)


def test_what_is_not_annotated_is_refused(toy: Path, tmp_path: Path) -> None:
    source = open_ground_truth([toy / "entities"])
    with pytest.raises(DataError, match="1 of 2 images are not annotated: nothing"):
        Words.of_annotations(source, ["dev0", "nothing"], [0, 0])
    with pytest.raises(DataError, match="1 of 2 captions are not annotated: dev0#77"):
        Words.of_annotations(source, ["dev0", "dev0"], [0, 77])
    one = load_trained(trained(toy, tmp_path / "a.tar", "scan-t2i"))
    with pytest.raises(ConfigError, match="in the order of the maps"):
        export_models([one], few(toy), tmp_path / "maps.npz", maps=False, perturb=2)
    with pytest.raises(ConfigError, match="perturb is 1"):
        export_models([one], few(toy), tmp_path / "maps.npz", perturb=1)
    assert not (tmp_path / "maps.npz").exists()


def test_positions_stay_where_they_are() -> None:
    features = torch.arange(12.0).reshape(1, 3, 4)
    blocks = torch.arange(45).reshape(1, 3, 15)
    batch = ImageBatch(features, torch.ones(1, 3, dtype=torch.bool), blocks, blocks.float())
    made = without(batch, torch.tensor([[False, True, False], [True, True, True]]))
    assert made.features[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert made.features[1].tolist() == [[4, 5, 6, 7]] * 3
    assert made.block_ids is not None
    assert torch.equal(made.block_ids, blocks.expand(2, -1, -1))
    first = without(batch, torch.tensor([[True, False, False]]))
    assert first.features[0].tolist() == [[4, 5, 6, 7], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_a_faithful_map_has_a_gap(toy: Path, tmp_path: Path) -> None:
    """Regions ordered by what removing each alone costs: better than random order by far."""
    one, split = load_trained(trained(toy, tmp_path / "a.tar", "scan-t2i")), few(toy)
    words = EncodedCaptions.from_texts(split.captions, one.vocabulary)
    regions = split.feature_shape[0]
    names = [f"{caption}#0" for caption in range(len(words))]
    pairs = PerturbedPairs([one.model], split, [words], 4, names, Words.of_captions(split.captions))
    found = {"deletion_gap": [], "insertion_gap": []}  # type: dict[str, list[float]]
    for caption in range(5):
        single = np.eye(regions, dtype=np.bool_)
        cost = -pairs._scores(caption, single)
        removals = Removals.from_weights(cost, 4, names[caption])
        curves = removals.curves(pairs._scores(caption, removals.removed))
        if curves["deletion"][0] < curves["deletion"][-1]:
            continue
        found["deletion_gap"].append(float((curves["deletion_random"] - curves["deletion"]).sum()))
        found["insertion_gap"].append(float((curves["insertion"] - curves["insertion_random"]).sum()))
    assert found["deletion_gap"]
    assert np.mean(found["deletion_gap"]) > 0
    assert np.mean(found["insertion_gap"]) > 0


def test_the_command_writes_what_score_reads(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: Any) -> tuple[int, str, str]:
        code = main(list(map(str, arguments)))
        return (code, *capsys.readouterr())

    path, target = trained(toy, tmp_path / "a.tar", "scan-t2i"), tmp_path / "maps.npz"
    arguments = ["export", path, "-o", target, "--split", "dev", "--no-similarity", "-q"]
    code, _, err = run(*arguments, "--gt", toy / "entities")
    assert code == 2
    assert "--gt belongs to models of transformers" in err
    assert run(*arguments, "--perturb", 1)[0] == 2
    assert not target.exists()
    assert run(*arguments, "--perturb", 2, "--gt", toy / "entities")[0] == 0
    code, out, _ = run("score", target, "--gt", toy / "entities", "-f", "json")
    assert code == 0
    values: dict[str, Any] = json.loads(out)
    assert values["metrics"]["deletion_gap"]["n"] > 0
    assert values["metrics"]["deletion_gap"]["ci"] is not None
    assert values["model"]["perturbed"]["steps"] == 2
