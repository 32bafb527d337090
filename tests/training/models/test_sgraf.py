from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn
from training import reference
from training.toy import real, small_captions, small_images, small_model

from attneval.errors import ConfigError, DataError
from attneval.training.data.batches import ImageBatch
from attneval.training.models.attention import Fragments, Pairs
from attneval.training.models.sgraf import CaptionBatchNorm, SimilarityEncoder

if TYPE_CHECKING:
    from attneval.training.models.matching import MatchingModel

State = dict[str, np.ndarray]


def arrays(model: MatchingModel) -> State:
    return {name: value.double().numpy() for name, value in model.parts[2].state_dict().items()}


def linear(state: State, name: str, values: np.ndarray) -> np.ndarray:
    mapped: np.ndarray = values @ state[f"{name}.weight"].T + state[f"{name}.bias"]
    return mapped


def batch_norm(state: State, name: str, values: np.ndarray, axis: int) -> np.ndarray:
    """Evaluation mode, channels on `axis`."""
    shape = [1] * values.ndim
    shape[axis] = -1
    mean, var = (state[f"{name}.{key}"].reshape(shape) for key in ("running_mean", "running_var"))
    scale, shift = (state[f"{name}.{key}"].reshape(shape) for key in ("weight", "bias"))
    return (values - mean) / np.sqrt(var + 1e-5) * scale + shift


def whole(state: State, side: str, vectors: np.ndarray) -> np.ndarray:
    local = linear(state, f"{side}.embedding_local.0", vectors)
    mean = linear(state, f"{side}.embedding_global.0", vectors.mean(0))
    if side == "v_global_w":
        local = batch_norm(state, f"{side}.embedding_local.1", local, 0)
        mean = batch_norm(state, f"{side}.embedding_global.1", mean, 0)
    logits = linear(state, f"{side}.embedding_common.0", np.tanh(local) * np.tanh(mean))[:, 0]
    return reference.unit(reference.softmax(logits) @ vectors)


def slow_score(state: State, regions: np.ndarray, words: np.ndarray, module: str) -> float:
    weights = reference.attention(words, regions, "clipped_l2norm", 9.0)
    attended = [reference.unit(row @ regions) for row in weights]
    difference = (whole(state, "v_global_w", regions) - whole(state, "t_global_w", words)) ** 2
    nodes = [reference.unit(linear(state, "sim_tranglo_w", difference))]
    for word, seen in zip(words, attended, strict=True):
        nodes.append(reference.unit(linear(state, "sim_tranloc_w", (seen - word) ** 2)))
    stacked = np.array(nodes)
    if module == "sgr":
        for step in range(3):
            queries = linear(state, f"SGR_module.{step}.graph_query_w", stacked)
            keys = linear(state, f"SGR_module.{step}.graph_key_w", stacked)
            edges = np.array([reference.softmax(row) for row in queries @ keys.T])
            stacked = np.maximum(linear(state, f"SGR_module.{step}.sim_graph_w", edges @ stacked), 0)
        vector = stacked[0]
    else:
        raw = linear(state, "SAF_module.attn_sim_w", stacked)[:, 0]
        gates = reference.sigmoid(batch_norm(state, "SAF_module.bn", raw[None], 0)[0])
        vector = reference.unit((gates / gates.sum()) @ stacked)
    return float(reference.sigmoid(linear(state, "sim_eval_w", vector))[0])


@pytest.mark.parametrize("name", ["sgr", "saf"])
@torch.no_grad()
def test_equal_to_the_slow_implementation(name: str) -> None:
    model = small_model(name)
    for module in model.modules():  # statistics as after training
        for key in ("running_mean", "running_var", "bias", "weight"):
            if isinstance(module, nn.BatchNorm1d | CaptionBatchNorm):
                getattr(module, key).uniform_(0.5, 1.5)
    for step in (module for name, module in model.named_parameters() if "graph" in name and "bias" in name):
        step.uniform_(-1, 1)
    regions = model.encode_images(small_images(3))
    words = model.encode_captions(small_captions([4, 7, 2, 5]))
    pairs = Pairs(regions, words)
    found = model.similarity(pairs, model.attend(pairs))
    for image in range(3):
        for caption in range(4):
            expected = slow_score(arrays(model), real(regions, image), real(words, caption), name)
            assert found[image, caption].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["sgr", "saf"])
@torch.no_grad()
def test_matched_pairs_are_the_diagonal(name: str) -> None:
    model = small_model(name)
    regions = model.encode_images(small_images(4))
    words = model.encode_captions(small_captions([4, 7, 2, 5]))
    crossed, matched = Pairs(regions, words), Pairs(regions, words, matched=True)
    torch.testing.assert_close(
        model.similarity(matched, model.attend(matched)), model.similarity(crossed, model.attend(crossed)).diagonal()
    )


def test_caption_batch_norm_is_one_caption_after_the_other() -> None:
    torch.manual_seed(0)
    values = torch.randn(3, 4, 6)
    lengths = [6, 2, 4, 3]
    mask = torch.arange(6)[None] < torch.tensor(lengths)[:, None]
    ours, theirs = CaptionBatchNorm(), nn.BatchNorm1d(1)
    for norm in (ours, theirs):
        nn.init.constant_(norm.weight, 1.5)
        nn.init.constant_(norm.bias, -0.5)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for _ in range(2):
        found = ours(values, mask)
        for caption, length in enumerate(lengths):
            expected = theirs(values[:, None, caption, :length])[:, 0]
            torch.testing.assert_close(found[:, caption, :length], expected)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(ours(values, mask)[:, 0], theirs(values[:, :1])[:, 0])


def test_training_mode_does_not_see_the_padding() -> None:
    """Dropout aside, a caption's training loss is the same beside a longer caption."""
    for name in ("sgr", "saf"):
        model = small_model(name)
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        regions = model.encode_images(small_images(3))
        captions = small_captions([3, 9])
        words = model.encode_captions(captions)
        crossed = Pairs(regions, words)
        alone = Pairs(regions, words[:1].trimmed())
        torch.testing.assert_close(
            model.similarity(crossed, model.attend(crossed))[:, :1], model.similarity(alone, model.attend(alone))
        )


def test_other_region_counts_are_refused() -> None:
    images = small_images(2, regions=4)
    with pytest.raises(DataError, match="exactly 5 regions"):
        small_model("sgr").encode_images(images)
    ragged = small_images(2)
    ragged.mask[1, 4] = False
    with pytest.raises(DataError, match="have 4 to 5"):
        small_model("saf").encode_images(ImageBatch(ragged.features, ragged.mask))


def test_other_models_fragments_are_refused() -> None:
    model = small_model("sgr")
    plain = Fragments.masked(torch.randn(1, 5, 8), torch.ones(1, 5, dtype=torch.bool))
    pairs = Pairs(plain, plain)
    with pytest.raises(TypeError, match="SGRAF"):
        model.similarity(pairs, model.attend(pairs))


def test_no_graph_step_is_refused() -> None:
    with pytest.raises(ConfigError, match="sgr_steps must be at least 1, not 0"):
        small_model("sgr", sgr_steps=0)


def test_parts() -> None:
    assert [type(part).__name__ for part in small_model("saf").parts] == [
        "ImageEncoder",
        "TextEncoder",
        "SimilarityEncoder",
    ]
    assert isinstance(small_model("sgr").parts[2], SimilarityEncoder)


def test_the_similarity_of_a_fragment_by_hand() -> None:
    """The score of the similarity vector of a query and what it attends to, by itself."""
    model = small_model("saf")
    random = torch.Generator().manual_seed(0)
    queries, attended = (torch.randn(3, 8, generator=random) for _ in range(2))
    expected = []
    layers = {name: value.double().numpy() for name, value in model.sim_enc.state_dict().items()}  # type: ignore[union-attr]
    for query, information in zip(queries.double().numpy(), attended.double().numpy(), strict=True):
        squares = (reference.unit(information) - query) ** 2
        vector = reference.unit(layers["sim_tranloc_w.weight"] @ squares + layers["sim_tranloc_w.bias"])
        logit = layers["sim_eval_w.weight"] @ vector + layers["sim_eval_w.bias"]
        expected.append(reference.sigmoid(logit).item())
    for fixed in (True, False):
        found = model.fragment_similarity(queries, attended, fixed=fixed)
        np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-6)
        assert found.requires_grad is not fixed
    cosine = small_model("scan-t2i").fragment_similarity(queries, attended)
    torch.testing.assert_close(cosine, torch.nn.functional.cosine_similarity(queries, attended))
