from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import attneval
from attneval.errors import ConfigError, DataError
from attneval.extraction.checkpoints import export_models, write_export
from attneval.extraction.trained import load_trained
from attneval.training.data.captions import EncodedCaptions
from attneval.training.data.precomputed import Split, open_split
from attneval.training.data.vocabulary import Vocabulary
from attneval.training.models.similarity import MatchedMaps, similarity_matrix
from attneval.training.models.table import MODELS
from attneval.training.run.checkpoint import Checkpoint, write_checkpoint
from attneval.training.run.config import ConstraintConfig, TrainConfig, from_dict
from training.authors import V, author_checkpoint
from training.toy import FEATURES, HEIGHT, REGIONS, WIDTH, small_model, write_toy, write_tsv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attneval.training.models.similarity import CaptionMap


def trained(toy: Path, path: Path, name: str, *, seed: int = 0) -> Path:
    """A checkpoint of a run that never took a step."""
    words = Vocabulary.build(open_split(toy, "train").captions, 1)
    model = small_model(name, seed=seed, vocab_size=len(words), image_dim=FEATURES, regions=REGIONS)
    config = TrainConfig(model.config, str(toy), ConstraintConfig(use=("ccs",)), seed=seed)
    write_checkpoint(path, Checkpoint(str(path), model.state_dicts(), 3, 0.0, 0, None, config, words))
    return path


def header_of(path: Path) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(np.load(path)["format"].tobytes())
    return header


@pytest.mark.parametrize("name", MODELS)
def test_maps_and_scores_are_the_models(toy: Path, tmp_path: Path, name: str) -> None:
    one = load_trained(trained(toy, tmp_path / "a.tar", name))
    split = open_split(toy, "test")
    export_models([one], split, tmp_path / "maps.npz")
    captions = EncodedCaptions.from_texts(split.captions, one.vocabulary)
    with np.load(tmp_path / "maps.npz") as found:
        np.testing.assert_allclose(found["similarity"], similarity_matrix(one.model, split, captions), atol=1e-6)
        for each in MatchedMaps(one.model, split, captions):
            block = slice(*found["attention_offset"][each.caption : each.caption + 2])
            main = each.i2t if each.t2i is None else each.t2i
            assert main is not None
            np.testing.assert_allclose(found["attention"][block], main.ravel(), atol=1e-6)
            if each.t2i is not None and each.i2t is not None:
                np.testing.assert_allclose(found["attention_i2t"][block], each.i2t.ravel(), atol=1e-6)
        assert ("attention_i2t" in found) == (len(one.directions) == 2)
        np.testing.assert_array_equal(found["region_box"], np.load(toy / "test_boxes.npy").reshape(-1, 4))
        assert found["image_size"].tolist() == [[WIDTH, HEIGHT]] * 20
        assert found["caption_index"].tolist() == [0, 1, 2, 3, 4] * 20
    export = attneval.open_export(tmp_path / "maps.npz")
    assert export.header.normalised_over == ("regions" if "t2i" in one.directions else "tokens")
    assert export.image_id == [f"test{image}" for image in range(20)]
    assert not export.warnings


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if "i2t" in kind.directions])
def test_region_to_word_maps_are_scored_as_such(toy: Path, tmp_path: Path, name: str) -> None:
    export_models([load_trained(trained(toy, tmp_path / "a.tar", name))], open_split(toy, "dev"), tmp_path / "maps.npz")
    both = attneval.score(tmp_path / "maps.npz", toy / "entities", protocol=attneval.Protocol(direction="t2i,i2t"))
    alone = attneval.score(tmp_path / "maps.npz", toy / "entities", protocol=attneval.Protocol(direction="i2t"))
    assert set(both.channels) == {"all/t2i", "all/i2t"}
    assert both.channels["all/i2t"].metrics["f1"].value == alone["f1"]
    assert alone["f1"] != both["f1"]


def test_the_header_says_whose_maps_they_are(toy: Path, tmp_path: Path) -> None:
    path = trained(toy, tmp_path / "a.tar", "scan-t2i", seed=4)
    export_models([load_trained(path)], open_split(toy, "dev"), tmp_path / "maps.npz", similarity=False)
    header = header_of(tmp_path / "maps.npz")
    assert header["model"] == "scan-t2i"
    assert header["checkpoint"] == str(path)
    assert header["checkpoint_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (header["epoch"], header["constraints"], header["aggregation"]) == ("3", "ccs", "none")
    assert header["preprocess"].startswith("captions in lower case")
    (training,) = header["training"]
    assert from_dict(TrainConfig, training).seed == 4
    result = attneval.score(tmp_path / "maps.npz", toy / "entities")
    assert result.model["checkpoint_sha256"] == header["checkpoint_sha256"]


def test_several_are_averaged(toy: Path, tmp_path: Path) -> None:
    split = open_split(toy, "dev")
    models = [load_trained(trained(toy, tmp_path / f"{name}.tar", name)) for name in ("sgr", "saf")]
    for chosen, target in ((models[:1], "sgr"), (models[1:], "saf"), (models, "both")):
        export_models(chosen, split, tmp_path / f"{target}.npz")
    sgr, saf, both = (np.load(tmp_path / f"{target}.npz") for target in ("sgr", "saf", "both"))
    for member in ("attention", "similarity"):
        np.testing.assert_allclose(both[member], (sgr[member] + saf[member]) / 2, atol=1e-6)
    assert not np.allclose(sgr["similarity"], saf["similarity"])
    header = header_of(tmp_path / "both.npz")
    assert header["model"] == "sgr + saf"
    assert header["constraints"] == "ccs"
    assert header["aggregation"] == "mean of the maps and scores of 2 models"
    assert [each["model"]["name"] for each in header["training"]] == ["sgr", "saf"]


@pytest.mark.parametrize("other", ["scan-i2t", "bfan-equal"])
def test_maps_of_different_directions_are_not_averaged(toy: Path, tmp_path: Path, other: str) -> None:
    split, target = open_split(toy, "dev"), tmp_path / "maps.npz"
    models = [load_trained(trained(toy, tmp_path / f"{name}.tar", name)) for name in ("scan-t2i", other)]
    with pytest.raises(DataError, match=rf"scan-t2i\.tar has t2i, .*{other}\.tar has .*i2t; .* --no-maps"):
        export_models(models, split, target)
    assert not target.exists()
    scores = []
    for chosen in ([models[0]], [models[1]], models):
        export_models(chosen, split, target, maps=False)
        scores.append(np.load(target)["similarity"])
    np.testing.assert_allclose(scores[2], (scores[0] + scores[1]) / 2, atol=1e-6)


@pytest.mark.parametrize(("maps", "similarity", "total"), [(True, True, 200), (True, False, 100), (False, True, 100)])
def test_parts_and_progress(toy: Path, tmp_path: Path, *, maps: bool, similarity: bool, total: int) -> None:
    told: list[tuple[int, int]] = []
    one = load_trained(trained(toy, tmp_path / "a.tar", "scan-i2t"))
    split = open_split(toy, "dev")
    target = tmp_path / "maps.npz"
    export_models([one], split, target, maps=maps, similarity=similarity, on_progress=lambda *done: told.append(done))
    with np.load(target) as found:
        assert ("attention" in found, "similarity" in found) == (maps, similarity)
    assert told[-1] == (total, total)
    assert told == sorted(told)


def test_no_score_is_computed_for_what_cannot_be_written(toy: Path, tmp_path: Path) -> None:
    split = open_split(toy, "dev")
    one = load_trained(trained(toy, tmp_path / "a.tar", "scan-t2i"))
    maps = MatchedMaps(one.model, split, EncodedCaptions.from_texts(split.captions, one.vocabulary))

    def never() -> np.ndarray[Any, np.dtype[np.float32]]:
        raise AssertionError

    with pytest.raises(DataError, match=r"nowhere/maps\.npz cannot be written"):
        write_export(tmp_path / "nowhere" / "maps.npz", split, maps, never, directions=("t2i",), about={})


def bare(toy: Path, tmp_path: Path, *leaving_out: str) -> Path:
    """The toy set without some of its files."""
    folder = write_toy(tmp_path / "bare", train=4, dev=3)
    for name in leaving_out:
        (folder / name).unlink()
    return folder


def test_refuses(toy: Path, tmp_path: Path) -> None:
    one = load_trained(trained(toy, tmp_path / "a.tar", "scan-t2i"))
    target = tmp_path / "maps.npz"
    folder = bare(toy, tmp_path, "test_ids.txt", "dev_boxes.npy")
    with pytest.raises(DataError, match=r"has no image ids; put them into \{split\}_ids\.txt"):
        export_models([one], open_split(folder, "test"), target)
    with pytest.raises(DataError, match=r"image dev0 has no boxes, and maps need them; give .* --no-maps"):
        export_models([one], open_split(folder, "dev"), target)
    assert not target.exists()
    export_models([one], open_split(folder, "dev"), target, maps=False)
    with np.load(target) as found:
        assert found["similarity"].shape == (3, 15)
        assert "attention" not in found
    with pytest.raises(ConfigError, match="nothing to export"):
        export_models([one], open_split(folder, "dev"), target, maps=False, similarity=False)


def test_boxes_outside_their_image_are_refused_first(toy: Path, tmp_path: Path) -> None:
    """The tolerance is that of the reader: a hundredth of a pixel."""
    one = load_trained(trained(toy, tmp_path / "a.tar", "scan-t2i"))
    folder, target = bare(toy, tmp_path), tmp_path / "maps.npz"
    boxes = np.load(folder / "dev_boxes.npy")
    boxes[1, 2] = [0, 0, WIDTH + 0.005, 5]
    np.save(folder / "dev_boxes.npy", boxes)
    export_models([one], open_split(folder, "dev"), target)
    assert not attneval.open_export(target).warnings

    target.unlink()
    boxes[1, 2, 2] = WIDTH + 0.02
    np.save(folder / "dev_boxes.npy", boxes)
    split = open_split(folder, "dev")

    def no_maps() -> Iterator[CaptionMap]:
        raise AssertionError
        yield

    with pytest.raises(DataError, match=r"dev_boxes\.npy: .* outside their image, .*first: dev1 region 2 "):
        write_export(target, split, no_maps(), directions=("t2i",), about={})
    assert not target.exists()
    (folder / "dev_sizes.npy").unlink()
    export_models([one], open_split(folder, "dev"), target)


def test_boxes_from_a_bottom_up_file(toy: Path, tmp_path: Path) -> None:
    folder = bare(toy, tmp_path, "dev_boxes.npy", "dev_sizes.npy")
    features = np.load(folder / "dev_ims.npy")
    tsv = write_tsv(tmp_path / "dev.tsv", {f"dev{image}": features[image] for image in range(3)})
    one = load_trained(trained(toy, tmp_path / "a.tar", "scan-t2i"))
    export_models([one], open_split(folder, "dev", bottom_up=[tsv]), tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz") as found:
        assert found["region_box"][:2].tolist() == [[0, 0, 10, 40], [10, 0, 20, 40]]
        assert found["image_size"].tolist() == [[WIDTH, HEIGHT]] * 3


def test_an_authors_checkpoint_needs_its_vocabulary(tmp_path: Path) -> None:
    path, words = tmp_path / "scan.tar", tmp_path / "words.json"
    torch.save(author_checkpoint("bfan-equal"), path)
    with pytest.raises(ConfigError, match="brings no vocabulary"):
        load_trained(path)
    Vocabulary(("<pad>", "<start>", "<end>", "<unk>", "dog")).write(words)
    with pytest.raises(DataError, match=rf"has 5 words, but the bfan-equal of .*scan\.tar knows {V}"):
        load_trained(path, vocabulary=words)
    Vocabulary(("<pad>", "<start>", "<end>", "<unk>", *map(str, range(V - 4)))).write(words)
    one = load_trained(path, vocabulary=words, name="bfan-equal")
    assert (one.about["constraints"], one.data) == ("unknown", "")
    with pytest.raises(ConfigError, match="there is no device 'abacus'"):
        load_trained(path, vocabulary=words, device="abacus")


def test_a_split_of_repeated_images_counts_their_captions(toy: Path, tmp_path: Path) -> None:
    """Rows of features that repeat an id, as in layouts with one row a caption."""
    split = open_split(toy, "dev")
    one = load_trained(trained(toy, tmp_path / "a.tar", "scan-t2i"))
    own = Split(split.source, split.captions[:4], np.array([0, 1, 0, 1]), split.image_ids, split.rows, split.regions)
    export_models([one], own.part(0, 2), tmp_path / "maps.npz", similarity=False)
    with np.load(tmp_path / "maps.npz") as found:
        assert found["caption_image"].tolist() == [0, 1, 0, 1]
        assert found["caption_index"].tolist() == [0, 0, 1, 1]
