from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from training.toy import HEIGHT, WIDTH, write_tsv

from attneval.errors import DataError
from attneval.training.data.bottomup import BottomUpFiles
from attneval.training.data.regions import ArrayRegions, BottomUpRegions, BoxedRegions
from attneval.training.models.pfan import position_blocks

if TYPE_CHECKING:
    from pathlib import Path

BOXES = np.array([[[0, 0, 30, 20], [30, 20, 120, 80]], [[10, 10, 20, 20], [5, 5, 5, 9]]], np.float32)


def write(folder: Path, **arrays: np.ndarray) -> ArrayRegions:
    for name, array in {"ims": np.ones((2, 2, 3), np.float32), **arrays}.items():
        np.save(folder / f"dev_{name}.npy", array)
    return ArrayRegions(folder, "dev")


def test_features_alone(tmp_path: Path) -> None:
    regions = write(tmp_path)
    rows = np.array([1, 0])
    assert len(regions) == 2
    assert [each.shape for each in regions.features(rows)] == [(2, 3), (2, 3)]
    assert regions.boxes(0) is None
    assert regions.size(0) is None
    assert regions.blocks(rows) is None


def test_pixel_boxes(tmp_path: Path) -> None:
    sizes = np.array([[WIDTH, HEIGHT]] * 2, np.int32)
    regions = write(tmp_path, boxes=BOXES, sizes=sizes)
    boxes, blocks = regions.boxes(1), regions.blocks(np.array([1, 0]))
    assert boxes is not None
    assert blocks is not None
    assert boxes.tolist() == BOXES[1].tolist()
    assert regions.size(1) == (WIDTH, HEIGHT)
    np.testing.assert_array_equal(blocks, position_blocks(BOXES[::-1], sizes))
    np.testing.assert_array_equal(regions.blocks(np.array([0]))[0], blocks[1])  # type: ignore[index]


def test_published_blocks(tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).random((2, 2, 30))
    regions = write(tmp_path, boxes=blocks)
    assert regions.boxes(0) is None
    np.testing.assert_allclose(regions.blocks(np.array([1]))[0], blocks[1], rtol=1e-6)  # type: ignore[index]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"ims": np.ones((2, 3), np.float32)}, "dev_ims.npy: must hold numbers in 3 axes, not float32 of shape"),
        ({"ims": np.array([[["a"]]])}, "dev_ims.npy: must hold numbers"),
        ({"boxes": np.ones((2, 2, 5))}, "dev_boxes.npy: has shape \\[2, 2, 5\\]"),
        ({"boxes": np.ones((2, 3, 4))}, "dev_boxes.npy: has shape \\[2, 3, 4\\], but dev_ims.npy has \\[2, 2, 3\\]"),
        ({"sizes": np.ones((3, 2))}, "dev_sizes.npy: has shape \\[3, 2\\]"),
        ({"ims": np.ones((2, 0, 3), np.float32)}, "dev_ims.npy: is empty: its shape is \\[2, 0, 3\\]"),
        ({"ims": np.ones((2, 2, 0), np.float32)}, "dev_ims.npy: is empty: its shape is \\[2, 2, 0\\]"),
        ({"sizes": np.ones((2, 3))}, "dev_sizes.npy: has shape \\[2, 3\\]; sizes are"),
        ({"sizes": np.array([[9, 9], [9, 0]])}, "dev_sizes.npy: 1 of 2 images have a width .*first rows: 1"),
        ({"sizes": np.array([[np.inf, 9], [np.nan, 9]])}, "dev_sizes.npy: 2 of 2 images have a width"),
        ({"boxes": BOXES[..., [2, 1, 0, 3]]}, "2 of 2 images have boxes that are not x1 <= x2"),
        ({"boxes": np.where(BOXES == 10, np.nan, BOXES)}, "1 of 2 images have boxes .*first rows: 1"),
    ],
)
def test_refuses(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write(tmp_path, **arrays)


def test_refuses_pickles_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dev_ims\.npy: No such file or directory"):
        ArrayRegions(tmp_path, "dev")
    np.save(tmp_path / "dev_ims.npy", np.array([{}], object))
    with pytest.raises(DataError, match=r"dev_ims\.npy .* pickled Python objects, which are never loaded"):
        ArrayRegions(tmp_path, "dev")
    for damaged in (b"", b"\x93NUMPY", b"PK\x03\x04"):
        (tmp_path / "dev_ims.npy").write_bytes(damaged)
        with pytest.raises(DataError, match=r"dev_ims\.npy is no \.npy array"):
            ArrayRegions(tmp_path, "dev")


def test_boxes_from_a_tsv_for_given_features(tmp_path: Path) -> None:
    features = np.random.default_rng(0).random((2, 2, 3)).astype(np.float32)
    arrays = write(tmp_path, ims=features)
    file = BottomUpFiles((write_tsv(tmp_path / "b.tsv", {"8": features[1], "7": features[0]}),))
    regions = BoxedRegions(arrays, BottomUpRegions(file, ["7", "8"]))
    np.testing.assert_array_equal(regions.features(np.array([1]))[0], features[1])
    assert regions.boxes(1).tolist() == [[0, 0, 10, 40], [10, 0, 20, 40]]
    assert regions.size(1) == (WIDTH, HEIGHT)
    expected = position_blocks(regions.boxes(0), np.array([WIDTH, HEIGHT], np.int32))
    np.testing.assert_array_equal(regions.blocks(np.array([0]))[0], expected)


def test_boxes_of_other_features_are_refused(tmp_path: Path) -> None:
    arrays = write(tmp_path)
    file = BottomUpFiles((write_tsv(tmp_path / "b.tsv", {"7": np.zeros((2, 3)), "8": np.ones((2, 3))}),))
    with pytest.raises(DataError, match="other regions than the features"):
        BoxedRegions(arrays, BottomUpRegions(file, ["7", "8"]))
    with pytest.raises(DataError, match="1 of 2 images are missing: 9"):
        BottomUpRegions(file, ["7", "9"])


@pytest.mark.realdata
def test_real_block_files(shared: Path, tmp_path: Path) -> None:
    """Published blocks, and ours of real boxes, have the same make."""
    published = np.load(shared / "region_features" / "pfan" / "dev_boxes.npy")
    boxes = np.load(shared / "f8k_precomp" / "dev_boxes.npy")[:50]
    sizes = np.load(shared / "f8k_precomp" / "dev_sizes.npy")[:50]
    for blocks in (published, position_blocks(boxes, sizes)):
        ids, weights = blocks[..., :15], blocks[..., 15:]
        assert blocks.shape == (50, 36, 30)
        assert ((ids == 256) == (weights == 0)).all()
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
        assert (np.diff(weights, axis=-1) <= 1e-5).all()
