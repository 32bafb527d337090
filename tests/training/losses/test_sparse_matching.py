"""The gradient of the few pairs that have one is the gradient of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from training.toy import small_captions, small_images, small_model

from attneval.training.data.batches import ImageBatch
from attneval.training.losses import sparse_matching
from attneval.training.losses.matching import matching_loss
from attneval.training.losses.sparse_matching import batch_matching_loss
from attneval.training.models.attention import Pairs
from attneval.training.models.table import MODELS

if TYPE_CHECKING:
    from attneval.training.choices import Negatives
    from attneval.training.models.attention import AttentionMaps, Fragments
    from attneval.training.models.matching import MatchingModel


def encoded(model: MatchingModel, count: int = 8) -> tuple[Fragments, Fragments]:
    """Images and captions of several lengths in double precision, with the same dropout each time."""
    torch.manual_seed(5)
    images = small_images(count)
    weights = None if images.block_weights is None else images.block_weights.double()
    batch = ImageBatch(images.features.double(), images.mask, images.block_ids, weights)
    lengths = [3 + (7 * row) % 6 for row in range(count)]
    return model.encode_images(batch), model.encode_captions(small_captions(lengths))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("negatives", ["hardest", "all"])
@pytest.mark.parametrize(("training", "pairs_at_a_time"), [(True, 256), (False, 24), (True, 1)])
def test_value_and_gradient(
    name: str, negatives: Negatives, training: bool, pairs_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many captions of the eight are compared at a time: all, three, or one."""
    monkeypatch.setattr(sparse_matching, "PAIRS_AT_A_TIME", pairs_at_a_time)
    images = torch.tensor([0, 1, 2, 2, 3, 4, 5, 6])
    found, expected = (small_model(name, embed_dim=8).train(training).double() for _ in range(2))

    regions, words = encoded(found)
    loss = batch_matching_loss(found, regions, words, images, margin=0.3, negatives=negatives)
    torch.autograd.backward(loss)
    regions, words = encoded(expected)
    # One caption after the other, from long to short, as the originals sort a batch: the order of SAF's statistics.
    columns = {}
    for caption in sorted(range(len(words)), key=lambda row: -int(words.mask[row].sum())):
        pairs = Pairs(regions, words[torch.tensor([caption])].trimmed())
        columns[caption] = expected.similarity(pairs, expected.attend(pairs))
    scores = torch.cat([columns[caption] for caption in range(len(words))], dim=1)
    whole = matching_loss(scores, images, margin=0.3, negatives=negatives)
    torch.autograd.backward(whole)
    assert whole.item() > 0
    assert loss.item() == pytest.approx(whole.item(), rel=1e-12)
    for (key, one), (_, other) in zip(found.named_parameters(), expected.named_parameters(), strict=True):
        assert (one.grad is None) is (other.grad is None), key
        if one.grad is not None and other.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, atol=1e-12, rtol=1e-9, msg=key)
    for (key, state), (_, other_state) in zip(found.state_dict().items(), expected.state_dict().items(), strict=True):
        torch.testing.assert_close(
            state, other_state, atol=1e-12, rtol=1e-12, msg=key
        )  # running statistics, updated once


def test_few_pairs_have_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 64 pairs those on the diagonal and at most two more for each of them."""
    model = small_model("scan-t2i")
    regions, words = encoded(model.double())
    counted: list[int] = []
    attend = model.attend

    def counting(pairs: Pairs) -> AttentionMaps:
        if torch.is_grad_enabled():
            counted.append(len(pairs.regions) if pairs.matched else len(pairs.regions) * len(pairs.words))
        return attend(pairs)

    monkeypatch.setattr(model, "attend", counting)
    batch_matching_loss(model, regions, words, torch.arange(8), margin=0.2, negatives="hardest")
    assert counted == [counted[0]]
    assert 8 <= counted[0] <= 24


def test_nothing_within_the_margin_is_no_loss() -> None:
    model = small_model("scan-t2i").double()
    regions, words = encoded(model)
    loss = batch_matching_loss(model, regions, words, torch.zeros(8), margin=0.2, negatives="hardest")
    torch.autograd.backward(loss)
    assert loss.item() == 0.0
