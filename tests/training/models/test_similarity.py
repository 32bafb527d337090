from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from training.toy import FEATURES, REGIONS, small_model

from attneval.errors import DataError
from attneval.training.data.captions import EncodedCaptions
from attneval.training.data.precomputed import Split, open_split
from attneval.training.data.vocabulary import Vocabulary
from attneval.training.models.attention import Pairs
from attneval.training.models.similarity import CaptionMap, MatchedMaps, evaluating, mean_maps, similarity_matrix
from attneval.training.models.table import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from attneval.training.data.batches import CaptionBatch, ImageBatch
    from attneval.training.models.matching import MatchingModel

TEXTS = ("a", "a dog near the cat and a man .", "the tree", "dog", "a ball . a boat . a bird", "a car near a house")


def ragged(toy: Path, images: int = 3, captions: int = 6) -> tuple[Split, EncodedCaptions]:
    """Images with captions of very different lengths."""
    split = open_split(toy, "dev").part(0, images)
    split = Split(
        split.source,
        TEXTS[:captions],
        np.arange(captions) % images,
        split.image_ids,
        split.rows,
        split.regions,
    )
    vocabulary = Vocabulary.build(TEXTS, 1)
    return split, EncodedCaptions.from_texts(split.captions, vocabulary)


def model_for(name: str) -> MatchingModel:
    return small_model(name, image_dim=FEATURES, regions=REGIONS)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("images", "captions"), [(3, 6), (1, 6), (3, 1), (1, 1)])
@pytest.mark.parametrize("max_numbers", [1, 40_000])
@torch.no_grad()
def test_equal_to_one_pair_at_a_time(
    toy: Path, name: str, images: int, captions: int, max_numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attneval.training.models.similarity.IMAGE_BLOCK", 2)
    monkeypatch.setattr("attneval.training.models.similarity.CAPTION_BLOCK", 4)
    split, encoded = ragged(toy, images, captions)
    model = model_for(name)
    found = similarity_matrix(model, split, encoded, max_numbers=max_numbers)
    assert found.shape == (images, captions)
    for image in range(images):
        for caption in range(captions):
            regions = model.encode_images(split.batch(np.array([image]), positions=True))
            words = model.encode_captions(encoded.batch(np.array([caption])))
            pairs = Pairs(regions, words)
            alone = model.similarity(pairs, model.attend(pairs)).item()
            assert found[image, caption] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("name", ["scan-t2i", "sgr"])
def test_encodes_everything_once_and_stays_in_bounds(toy: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    split = open_split(toy, "dev")
    encoded = EncodedCaptions.from_texts(split.captions, Vocabulary.build(split.captions, 1))
    model = model_for(name)
    seen = {"images": 0, "captions": 0, "largest": 0}
    encode_images, encode_captions, similarity = model.encode_images, model.encode_captions, model.similarity

    def count_images(images: ImageBatch) -> object:
        seen["images"] += len(images.features)
        return encode_images(images)

    def count_captions(captions: CaptionBatch) -> object:
        seen["captions"] += len(captions.ids)
        return encode_captions(captions)

    def measure(pairs: Pairs, maps: object) -> object:
        seen["largest"] = max(seen["largest"], pairs.scores.numel())
        return similarity(pairs, maps)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "encode_images", count_images)
    monkeypatch.setattr(model, "encode_captions", count_captions)
    monkeypatch.setattr(model, "similarity", measure)
    limit = 200_000
    similarity_matrix(model, split, encoded, max_numbers=limit)
    assert (seen["images"], seen["captions"]) == (20, 100)
    assert 0 < seen["largest"] <= limit


def test_maps_encode_the_image_of_several_captions_once(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = open_split(toy, "dev")
    encoded = EncodedCaptions.from_texts(split.captions, Vocabulary.build(split.captions, 1))
    model = model_for("scan-t2i")
    seen = []
    encode_images = model.encode_images

    def count_images(images: ImageBatch) -> object:
        seen.append(len(images.features))
        return encode_images(images)

    monkeypatch.setattr(model, "encode_images", count_images)
    assert len(list(MatchedMaps(model, split, encoded, size=35))) == 100
    assert seen == [7, 7, 6]  # five captions an image


@pytest.mark.parametrize("name", MODELS)
def test_maps_of_matched_pairs(toy: Path, name: str) -> None:
    split, encoded = ragged(toy)
    model = model_for(name)
    maps = list(MatchedMaps(model, split, encoded, size=4))
    assert [each.caption for each in maps] == list(range(6))
    directions = MODELS[name].directions
    for each in maps:
        assert each.tokens == encoded.tokens[each.caption]
        assert tuple(d for d, m in (("t2i", each.t2i), ("i2t", each.i2t)) if m is not None) == directions
        shape = (len(each.tokens), REGIONS)
        if each.t2i is not None:
            assert each.t2i.shape == shape
            np.testing.assert_allclose(each.t2i.sum(1), 1, atol=1e-6)
        if each.i2t is not None:
            assert each.i2t.shape == shape
            np.testing.assert_allclose(each.i2t.sum(0), 1, atol=1e-6)
    alone = next(iter(MatchedMaps(model, split, encoded, size=1)))
    for direction in directions:
        np.testing.assert_allclose(getattr(alone, direction), getattr(maps[0], direction), atol=1e-5)


def test_mean_of_maps() -> None:
    first = CaptionMap(0, ("a", "b"), np.array([[0.5, 0.5], [1, 0]], np.float32), None)
    second = CaptionMap(0, ("a", "b"), np.array([[1, 0], [0, 1]], np.float32), None)
    (mean,) = mean_maps([first], [second])
    assert mean.t2i is not None
    assert mean.t2i.tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert mean.i2t is None
    with pytest.raises(DataError, match="caption 0: the models see different tokens"):
        list(mean_maps([first], [CaptionMap(0, ("a",), first.t2i, None)]))
    with pytest.raises(DataError, match="caption 0: the models' maps are"):
        list(mean_maps([first], [CaptionMap(0, ("a", "b"), None, None)]))


@pytest.mark.parametrize("use", [similarity_matrix, MatchedMaps])
def test_refuses_other_data_than_the_models(toy: Path, use: Callable[..., object]) -> None:
    split, encoded = ragged(toy)
    with pytest.raises(DataError, match="has features of 16 numbers; this scan-t2i was made for 10"):
        use(small_model("scan-t2i"), split, encoded)
    few = small_model("scan-t2i", image_dim=FEATURES, vocab_size=9)
    with pytest.raises(DataError, match=r"has a word of id [0-9]+, but this scan-t2i knows 9 words"):
        use(few, split, encoded)
    with pytest.raises(DataError, match="has 6 captions, but 1 were encoded"):
        use(model_for("scan-t2i"), split, EncodedCaptions.from_texts(TEXTS[:1], Vocabulary.build(TEXTS, 1)))


def test_evaluation_leaves_training_as_it_was(toy: Path) -> None:
    split, encoded = ragged(toy)
    model = model_for("saf").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    similarity_matrix(model, split, encoded)
    list(MatchedMaps(model, split, encoded))
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    with evaluating(model) as device:
        assert device == torch.device("cpu")
        assert not model.training
