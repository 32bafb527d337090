from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from training.toy import FEATURES, REGIONS, write_tsv

from attneval.errors import DataError
from attneval.training.data.precomputed import open_split

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, rows: int, captions: int, ids: list[str] | None = None) -> np.ndarray:
    """Features are the number of their row."""
    features: np.ndarray = np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None, None], (rows, 2, 3)).copy()
    np.save(folder / "dev_ims.npy", features)
    text = "".join(f"caption {index}\n" for index in range(captions))
    (folder / "dev_caps.txt").write_text(text, encoding="utf-8")
    if ids is not None:
        (folder / "dev_ids.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    return features


@pytest.mark.parametrize("ids", [None, ["7", "8"], ["7"] * 5 + ["8"] * 5])
def test_five_captions_an_image(tmp_path: Path, ids: list[str] | None) -> None:
    write(tmp_path, 2, 10, ids)
    split = open_split(tmp_path, "dev")
    assert split.images == 2
    assert split.caption_image.tolist() == [0] * 5 + [1] * 5
    assert split.captions[6] == "caption 6"
    assert split.image_ids == (None if ids is None else ("7", "8"))
    assert split.feature_shape == (2, 3)


def test_one_caption_a_row(tmp_path: Path) -> None:
    write(tmp_path, 3, 3)
    split = open_split(tmp_path, "dev")
    assert split.caption_image.tolist() == [0, 1, 2]


def test_features_written_once_a_caption(tmp_path: Path) -> None:
    """Ten rows of features for two images, told by their ids: each image counts, and is encoded, once."""
    write(tmp_path, 10, 10, ["7"] * 5 + ["8"] * 5)
    split = open_split(tmp_path, "dev")
    assert split.images == 2
    assert split.caption_image.tolist() == [0] * 5 + [1] * 5
    assert split.batch(np.array([1, 0])).features[:, 0, 0].tolist() == [5, 0]


@pytest.mark.parametrize("images", [1, 2])
def test_copies_without_ids_are_refused(tmp_path: Path, images: int) -> None:
    """Rows of features written once a caption, of which nothing says that they are one image."""
    features = write(tmp_path, 5 * images, 5 * images)
    np.save(tmp_path / "dev_ims.npy", features // 5)
    with pytest.raises(DataError, match=r"dev_ims\.npy: rows 0 to 4 are one image, .* ids in .*dev_ids\.txt"):
        open_split(tmp_path, "dev")
    for other in (np.minimum(features, 3), features * 0):  # four images, and images that are all alike
        np.save(tmp_path / "dev_ims.npy", np.concatenate([other, other]))
        (tmp_path / "dev_caps.txt").write_text("a\n" * 10 * images, encoding="utf-8")
        assert open_split(tmp_path, "dev").images == 10 * images


def test_parts_and_folds(tmp_path: Path) -> None:
    write(tmp_path, 4, 20, list("abcd"))
    first, second = open_split(tmp_path, "dev").folds(2)
    assert first.image_ids == ("a", "b")
    assert second.image_ids == ("c", "d")
    assert second.captions[0] == "caption 10"
    assert second.caption_image.tolist() == [0] * 5 + [1] * 5
    assert second.batch(np.array([0])).features[0, 0, 0] == 2
    assert second.part(1, 9).image_ids == ("d",)
    with pytest.raises(DataError, match="4 images cannot be cut into folds of 3"):
        open_split(tmp_path, "dev").folds(3)


def test_batch_with_positions(toy: Path) -> None:
    split = open_split(toy, "dev")
    batch = split.batch(np.array([3, 1]), positions=True)
    assert batch.features.shape == (2, REGIONS, FEATURES)
    assert batch.block_ids is not None
    assert batch.block_weights is not None
    assert batch.block_ids.shape == batch.block_weights.shape == (2, REGIONS, 15)
    assert int(batch.block_ids.max()) <= 256
    assert split.batch(np.array([3])).block_ids is None


def test_refuses_blocks_that_do_not_exist(tmp_path: Path) -> None:
    write(tmp_path, 1, 1)
    np.save(tmp_path / "dev_boxes.npy", np.full((1, 2, 30), 257.0))
    split = open_split(tmp_path, "dev")
    assert split.batch(np.array([0])).block_ids is None
    with pytest.raises(DataError, match="dev: block ids run from 257 to 257, not 0 to 256"):
        split.batch(np.array([0]), positions=True)


@pytest.mark.parametrize(("ids", "name"), [(None, "row 2"), (["7", "8", "9"], "image 9")])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_refuses_features_that_are_no_numbers(tmp_path: Path, ids: list[str] | None, name: str, value: float) -> None:
    features = write(tmp_path, 3, 15, ids)
    features[2, 1, 0] = value
    np.save(tmp_path / "dev_ims.npy", features)
    split = open_split(tmp_path, "dev")
    assert split.batch(np.array([1, 0])).features.shape == (2, 2, 3)
    with pytest.raises(DataError, match=rf"dev_ims\.npy: {name} has NaN or infinite numbers in region 1"):
        split.batch(np.array([1, 2]))


def test_refuses_blocks_that_are_no_numbers(tmp_path: Path) -> None:
    write(tmp_path, 1, 1)
    blocks = np.zeros((1, 2, 30))
    blocks[0, 1, 20] = np.nan
    np.save(tmp_path / "dev_boxes.npy", blocks)
    with pytest.raises(DataError, match=r"dev_boxes\.npy: row 0 has NaN or infinite numbers in region 1"):
        open_split(tmp_path, "dev").batch(np.array([0]), positions=True)


def test_refuses_features_of_another_size(tmp_path: Path) -> None:
    write(tmp_path, 2, 10, ["7", "8"])
    (tmp_path / "dev_ims.npy").unlink()
    tsv = write_tsv(tmp_path / "b.tsv", {"7": np.ones((3, 4)), "8": np.ones((3, 2))})
    split = open_split(tmp_path, "dev", bottom_up=[tsv])
    with pytest.raises(DataError, match=r"b\.tsv: image 8 has 2 numbers a region, others 4"):
        split.batch(np.array([1]))


def test_ragged_regions_of_a_tsv(tmp_path: Path) -> None:
    write(tmp_path, 2, 10, ["7", "8"])
    (tmp_path / "dev_ims.npy").unlink()
    tsv = write_tsv(tmp_path / "b.tsv", {"8": np.full((1, 4), 2.0), "7": np.ones((3, 4))})
    split = open_split(tmp_path, "dev", bottom_up=[tsv])
    batch = split.batch(np.array([0, 1]), positions=True)
    assert batch.mask.tolist() == [[True] * 3, [True, False, False]]
    assert batch.features[1].tolist() == [[2.0] * 4, [0.0] * 4, [0.0] * 4]
    assert batch.block_ids is not None
    assert batch.block_ids.shape == (2, 3, 15)


def test_boxes_from_a_tsv(tmp_path: Path) -> None:
    features = write(tmp_path, 2, 10, ["7", "8"])
    tsv = write_tsv(tmp_path / "b.tsv", {"8": features[1], "7": features[0]})
    split = open_split(tmp_path, "dev", bottom_up=[tsv])
    boxes = split.regions.boxes(1)
    assert boxes is not None
    assert boxes.shape == (2, 4)


def test_lines_are_lines(tmp_path: Path) -> None:
    """An empty caption keeps its place, and only a line feed ends a line."""
    write(tmp_path, 3, 3)
    (tmp_path / "dev_caps.txt").write_bytes("a \u2028 b\r\n\nc\n".encode())
    assert open_split(tmp_path, "dev").captions == ("a \u2028 b", "", "c")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, 2, 2, ["7", "8"])
    for name in ("caps", "ids"):
        path = tmp_path / f"dev_{name}.txt"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    split = open_split(tmp_path, "dev")
    assert split.image_ids == ("7", "8")
    assert split.captions == ("caption 0", "caption 1")


@pytest.mark.parametrize(
    ("rows", "captions", "ids", "message"),
    [
        (3, 3, ["7", "", "8"], "dev_ids.txt: line 2 is empty, which is no image id"),
        (2, 9, None, "dev_caps.txt: has 9 captions for 2 rows of images"),
        (2, 10, ["7"], "dev_ids.txt: has 1 ids for 2 rows of images and 10 captions"),
        (2, 10, ["7"] * 4 + ["8"] * 6, "dev_ids.txt: has 10 ids"),
        (3, 3, ["7", "8", "7"], "dev_ids.txt: 1 ids stand for several images: 7"),
    ],
)
def test_refuses(tmp_path: Path, rows: int, captions: int, ids: list[str] | None, message: str) -> None:
    write(tmp_path, rows, captions, ids)
    with pytest.raises(DataError, match=message):
        open_split(tmp_path, "dev")


def test_refuses_unreadable_text(tmp_path: Path) -> None:
    write(tmp_path, 1, 1)
    path = tmp_path / "dev_caps.txt"
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match="not UTF-8 at byte 3"):
        open_split(tmp_path, "dev")
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        open_split(tmp_path, "dev")
    path.unlink()
    with pytest.raises(DataError, match="No such file or directory"):
        open_split(tmp_path, "dev")


def test_refuses_a_tsv_without_ids(tmp_path: Path) -> None:
    write(tmp_path, 1, 1)
    with pytest.raises(DataError, match=r"dev_ids\.txt: is needed to find the images"):
        open_split(tmp_path, "dev", bottom_up=[tmp_path / "b.tsv"])
