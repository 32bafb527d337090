from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from training.toy import HEIGHT, WIDTH, write_tsv

from attneval.errors import DataError
from attneval.training.data.bottomup import BottomUpFiles

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("lxmert", [False, True])
def test_reads_both_column_orders(tmp_path: Path, lxmert: bool) -> None:
    images = {"COCO_val2014_000000000042": np.ones((3, 4)), "7": np.full((2, 4), 0.5)}
    file = BottomUpFiles((write_tsv(tmp_path / "b.tsv", images, lxmert=lxmert),))
    found = file["42"]
    assert (found.width, found.height) == (WIDTH, HEIGHT)
    assert found.boxes.tolist() == [[0, 0, 10, 40], [10, 0, 20, 40], [20, 0, 30, 40]]
    assert found.features.tolist() == np.ones((3, 4)).tolist()
    assert file["7"].features.shape == (2, 4)
    assert "COCO_val2014_000000000007" in file
    assert "8" not in file


def test_refuses(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "b.tsv", {"7": np.ones((2, 4))})
    with pytest.raises(DataError, match="has no image 9 among its 1"):
        BottomUpFiles((path,))["9"]
    line = path.read_text(encoding="utf-8")
    path.write_text(line + line, encoding="utf-8")
    with pytest.raises(DataError, match="image 7 is in it twice"):
        BottomUpFiles((path,))
    path.write_text(line.replace("\t2\t", "\t3\t"), encoding="utf-8")
    with pytest.raises(DataError, match="line of image 7 is damaged"):
        BottomUpFiles((path,))["7"]
    path.write_text("7\t1\t2\n", encoding="utf-8")
    with pytest.raises(DataError, match="image 7 has 3 columns, not 6 or 10"):
        BottomUpFiles((path,))["7"]
    path.write_text(line.replace(f"\t{WIDTH}\t", "\t0\t"), encoding="utf-8")
    with pytest.raises(DataError, match=f"image 7 has a size of 0 x {HEIGHT} pixels"):
        BottomUpFiles((path,))["7"]
    with pytest.raises(DataError, match="No such file or directory"):
        BottomUpFiles((tmp_path / "none.tsv",))


def test_blank_lines_are_no_images(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "b.tsv", {"7": np.ones((2, 4)), "8": np.zeros((3, 4))})
    path.write_text(path.read_text(encoding="utf-8").replace("\n", "\n\n \r\n"), encoding="utf-8")
    files = BottomUpFiles((path,))
    assert len(files) == 2
    assert files["8"].features.shape == (3, 4)


def test_several_files_are_one(tmp_path: Path) -> None:
    one = write_tsv(tmp_path / "one.tsv", {"7": np.ones((2, 4))})
    two = write_tsv(tmp_path / "two.tsv", {"8": np.zeros((3, 4)), "9": np.zeros((1, 4))})
    files = BottomUpFiles((one, two))
    assert len(files) == 3
    assert [len(files[image].boxes) for image in ("9", "7", "8")] == [1, 2, 3]
    with pytest.raises(DataError, match=r"one\.tsv: image 7 is in it twice, or in .*one\.tsv too"):
        BottomUpFiles((one, one))


@pytest.mark.realdata
def test_real_lxmert_file(shared: Path) -> None:
    file = BottomUpFiles((shared / "region_features" / "lxmert36" / "train2014_obj36.tsv",))
    assert len(file) == 10
    image = file["132417"]
    assert image.features.shape == (36, 2048)
    assert (image.width, image.height) == (500, 333)
    assert (image.boxes[:, 2:] <= [500, 333]).all()
