from __future__ import annotations

import numpy as np
import pytest
import torch
from training import reference
from training.toy import real, small_captions, small_images, small_model

from attneval.errors import DataError
from attneval.training.data.batches import ImageBatch
from attneval.training.models.attention import Pairs
from attneval.training.models.pfan import PositionImageEncoder, position_blocks


def slow_blocks(box: list[float], size: tuple[int, int]) -> dict[int, float]:
    """Share of the box in each of the 16 x 16 blocks, block by block."""
    width, height = size[0] / 16, size[1] / 16
    shares = {}
    for row in range(16):
        for column in range(16):
            across = min(box[2], (column + 1) * width) - max(box[0], column * width)
            down = min(box[3], (row + 1) * height) - max(box[1], row * height)
            if across > 0 and down > 0:
                shares[16 * row + column] = across * down
    return shares


def test_blocks_by_hand() -> None:
    # Blocks of 10 x 5 pixels. The box covers columns 1-2 (by 5 and 10) and rows 3-4 (by 5 and 1).
    blocks = position_blocks(np.array([[[15, 15, 30, 21]]], np.float32), np.array([[160, 80]], np.int32))[0, 0]
    assert blocks[:4].tolist() == [50, 49, 66, 65]
    np.testing.assert_allclose(blocks[15:19], np.array([50, 25, 10, 5]) / 90, rtol=1e-6)
    assert blocks[4:15].tolist() == [256] * 11
    assert blocks[19:].tolist() == [0] * 11


def test_blocks_equal_to_the_slow_implementation() -> None:
    random = np.random.default_rng(0)
    size = (123, 77)
    corner = random.uniform(0, 0.5, (40, 2))
    boxes = np.concatenate([corner, corner + random.uniform(0.01, 0.3, (40, 2))], axis=1) * np.tile(size, 2)
    boxes = boxes.astype(np.float32)
    found = position_blocks(boxes[None], np.array([size], np.int32))[0]
    for box, blocks in zip(boxes, found, strict=True):
        shares = slow_blocks(box.tolist(), size)
        largest = sorted(shares.values(), reverse=True)[:15]
        ids = [int(block) for block in blocks[:15] if block != 256]
        assert len(ids) == len(largest)
        np.testing.assert_allclose([shares[block] for block in ids], largest, rtol=1e-4)
        np.testing.assert_allclose(blocks[15 : 15 + len(ids)], np.array(largest) / sum(largest), rtol=1e-4)


def test_blocks_of_a_whole_image_are_at_its_centre() -> None:
    blocks = position_blocks(np.array([[0, 0, 160, 160]], np.float32), np.array([160, 160], np.int32))[0]
    rows, columns = np.divmod(blocks[:15].astype(int), 16)
    assert {7, 8} <= set(rows) <= {5, 6, 7, 8, 9, 10}
    assert {7, 8} <= set(columns) <= {5, 6, 7, 8, 9, 10}
    np.testing.assert_allclose(blocks[15:], 1 / 15, rtol=1e-6)


def test_blocks_of_an_empty_box() -> None:
    blocks = position_blocks(np.array([[5, 5, 5, 9]], np.float32), np.array([160, 160], np.int32))[0]
    assert blocks.tolist() == [256] * 15 + [0] * 15


@torch.no_grad()
def test_encoder_equal_to_the_slow_implementation() -> None:
    torch.manual_seed(0)
    encoder = PositionImageEncoder(10, 8)
    images = small_images(2)
    assert images.block_ids is not None
    assert images.block_weights is not None
    found = encoder(images.features, images.mask, images.block_ids, images.block_weights)
    state = {name: value.double().numpy() for name, value in encoder.state_dict().items()}
    for image in range(2):
        for region in range(5):
            feature = images.features[image, region].double().numpy()
            blocks = state["position_embedding.weight"][images.block_ids[image, region].numpy()]
            projected = state["fc_att.weight"] @ feature + state["fc_att.bias"]
            fit = reference.softmax(np.tanh(blocks @ projected))
            share = reference.softmax(images.block_weights[image, region].double().numpy() * fit)
            joined = np.concatenate([feature, share @ blocks])
            expected = reference.unit(state["fc.weight"] @ joined + state["fc.bias"])
            np.testing.assert_allclose(found.vectors[image, region], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["pfan-t2i", "pfan-i2t"])
@pytest.mark.parametrize("pooling", ["Mean", "LogSumExp", "Sum", "Max"])
@torch.no_grad()
def test_similarity_equal_to_the_slow_implementation(name: str, pooling: str) -> None:
    model = small_model(name, pooling=pooling)
    regions = model.encode_images(small_images(2))
    words = model.encode_captions(small_captions([4, 7, 2]))
    pairs = Pairs(regions, words)
    found = model.similarity(pairs, model.attend(pairs))
    for image in range(2):
        for caption in range(3):
            first, second = real(words, caption), real(regions, image)
            queries, context = (first, second) if name == "pfan-t2i" else (second, first)
            weights = reference.attention(queries, context, "clipped_l2norm", model.config.temperature)
            cosines = reference.query_cosines(queries, context, weights)
            expected = reference.pooled(cosines, pooling, model.config.pooling_temperature)
            if name == "pfan-t2i":
                largest = reference.pooled(weights.max(1), pooling, model.config.pooling_temperature)
                expected += 0.5 * largest
            assert found[image, caption].item() == pytest.approx(expected, abs=2e-5)


def test_images_without_positions_are_refused() -> None:
    images = small_images(2)
    with pytest.raises(DataError, match="no boxes"):
        small_model("pfan-t2i").encode_images(ImageBatch(images.features, images.mask))
