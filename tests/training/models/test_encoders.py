from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from training.toy import small_captions

from attneval.training.models.encoders import ImageEncoder, TextEncoder, WeightNormLinear, xavier


def slow_gru(state: dict[str, np.ndarray], suffix: str, inputs: np.ndarray) -> np.ndarray:
    """The gate equations, one word at a time."""
    size = state[f"weight_hh_{suffix}"].shape[1]
    hidden, outputs = np.zeros(size), []
    for value in inputs:
        from_input = state[f"weight_ih_{suffix}"] @ value + state[f"bias_ih_{suffix}"]
        from_hidden = state[f"weight_hh_{suffix}"] @ hidden + state[f"bias_hh_{suffix}"]
        reset, update = (
            1 / (1 + np.exp(-(from_input[part] + from_hidden[part]))) for part in (slice(size), slice(size, 2 * size))
        )
        new = np.tanh(from_input[2 * size :] + reset * from_hidden[2 * size :])
        hidden = (1 - update) * new + update * hidden
        outputs.append(hidden)
    return np.array(outputs)


@pytest.mark.parametrize("rnn_name", ["rnn", "cap_rnn"])
@torch.no_grad()
def test_text_by_the_gate_equations(rnn_name: str) -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(30, 6, 8, dropout=0.4, rnn_name=rnn_name).eval()
    captions = small_captions([4, 7, 2])
    found = encoder(captions.ids, captions.mask)
    state = {name: value.double().numpy() for name, value in encoder.get_submodule(rnn_name).state_dict().items()}
    for row, length in enumerate((4, 7, 2)):
        words = encoder.embed.weight[captions.ids[row, :length]].double().numpy()
        forwards = slow_gru(state, "l0", words)
        backwards = slow_gru(state, "l0_reverse", words[::-1])[::-1]
        vectors = (forwards + backwards) / 2
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.testing.assert_allclose(found.vectors[row, :length], vectors, atol=1e-5)
        assert found.vectors[row, length:].abs().sum() == 0


@torch.no_grad()
def test_one_direction_without_normalisation() -> None:
    encoder = TextEncoder(30, 6, 8, bidirectional=False, normalise=False).eval()
    captions = small_captions([3])
    state = {name: value.double().numpy() for name, value in encoder.get_submodule("rnn").state_dict().items()}
    words = encoder.embed.weight[captions.ids[0]].double().numpy()
    found = encoder(captions.ids, captions.mask)
    np.testing.assert_allclose(found.vectors[0], slow_gru(state, "l0", words), atol=1e-6)


@torch.no_grad()
def test_images_by_hand() -> None:
    encoder = ImageEncoder(2, 2)
    assert isinstance(encoder.fc, nn.Linear)
    encoder.fc.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
    encoder.fc.bias.copy_(torch.tensor([0.0, 3.0]))
    features = torch.tensor([[[-1.0, 2.0], [7.0, 7.0]]])
    found = encoder(features, torch.tensor([[True, False]]))
    torch.testing.assert_close(found.vectors, torch.tensor([[[3.0, 5.0], [0.0, 0.0]]]) / 34**0.5)
    encoder.normalise = False
    assert encoder(features, torch.tensor([[True, False]])).vectors.tolist() == [[[3.0, 5.0], [0.0, 0.0]]]


@torch.no_grad()
def test_weight_norm_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours = WeightNormLinear(3, 4)
    theirs = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4), dim=None)  # type: ignore[arg-type]
    ours.weight_g.mul_(2)
    theirs.parametrizations.weight.original0.copy_(ours.weight_g)
    theirs.parametrizations.weight.original1.copy_(ours.weight_v)
    theirs.bias.copy_(ours.bias)
    values = torch.randn(5, 3)
    torch.testing.assert_close(ours(values), theirs(values))
    assert set(ImageEncoder(3, 4, weight_norm=True).state_dict()) == {"fc.bias", "fc.weight_g", "fc.weight_v"}


def test_xavier_bounds() -> None:
    linear = xavier(nn.Linear(100, 50))
    assert 0.19 < linear.weight.abs().max().item() <= 0.2
    assert linear.bias.abs().max().item() == 0
