from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from training import reference
from training.toy import real, small_captions, small_images, small_model

from attneval.training.choices import Pooling, RawNorm
from attneval.training.models.attention import Pairs


@pytest.mark.parametrize("name", ["scan-t2i", "scan-i2t"])
@pytest.mark.parametrize("pooling", get_args(Pooling))
@pytest.mark.parametrize("raw_norm", get_args(RawNorm))
@torch.no_grad()
def test_equal_to_the_slow_implementation(name: str, pooling: Pooling, raw_norm: RawNorm) -> None:
    model = small_model(name, pooling=pooling, raw_norm=raw_norm)
    regions = model.encode_images(small_images(3))
    words = model.encode_captions(small_captions([4, 7, 2, 5]))
    pairs = Pairs(regions, words)
    maps = model.attend(pairs)
    found = model.similarity(pairs, maps)
    weights = maps.t2i if name == "scan-t2i" else maps.i2t
    assert weights is not None
    assert (maps.t2i is None) is (name == "scan-i2t")
    for image in range(3):
        for caption in range(4):
            first, second = real(words, caption), real(regions, image)
            queries, context = (first, second) if name == "scan-t2i" else (second, first)
            attention = reference.attention(queries, context, raw_norm, model.config.temperature)
            cosines = reference.query_cosines(queries, context, attention)
            expected = reference.pooled(cosines, pooling, model.config.pooling_temperature)
            assert found[image, caption].item() == pytest.approx(expected, abs=1e-5)
            own = weights[image, caption, : len(first)].numpy()
            np.testing.assert_allclose(own if name == "scan-t2i" else own.T, attention, atol=1e-5)


def test_papers_temperatures() -> None:
    t2i, i2t = small_model("scan-t2i").config, small_model("scan-i2t").config
    assert (t2i.temperature, t2i.pooling, t2i.pooling_temperature) == (9.0, "LogSumExp", 6.0)
    assert (i2t.temperature, i2t.pooling, i2t.pooling_temperature) == (4.0, "LogSumExp", 5.0)
