"""Adding images in batches: the same as one by one, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import CAT_BOXES, CATS, DOG, DOG_BOXES, TWO, add_images, assert_says, write

from attneval.errors import ExportError
from attneval.export.write.writer import ExportWriter

if TYPE_CHECKING:
    from pathlib import Path

IDS = ["a", "b", "ç"]
SIZES = [(100, 80), (60, 50), (10, 10)]
IMAGES: dict[str, dict[str, Any]] = {
    "boxes": {"boxes": np.arange(24).reshape(3, 2, 4)},
    "sizes": {"size": np.array(SIZES), "boxes": np.arange(24.0).reshape(3, 2, 4)},
    "ragged": {"size": SIZES, "boxes": [DOG_BOXES, np.array(CAT_BOXES), np.zeros((0, 4), np.float32)]},
    "grids": {"size": SIZES, "grid": np.array([(1, 2), (3, 4), (5, 6)])},
    "affine": {"grid": [(1, 2), (3, 4), (5, 6)], "affine": np.arange(1, 13).reshape(3, 4)},
}


def images_of(path: Path) -> dict[str, Any]:
    with np.load(path) as data:
        return {name: data[name] for name in data.files if name.startswith(("image_", "region_", "grid_"))}


@pytest.mark.parametrize("given", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("sizes", [[3], [1, 2], [2, 0, 1]], ids=str)
def test_images_together_are_images_one_by_one(tmp_path: Path, given: dict[str, Any], sizes: list[int]) -> None:
    with ExportWriter(tmp_path / "single.npz") as out:
        for row, image_id in enumerate(IDS):
            out.add_image(image_id, **{name: values[row] for name, values in given.items()})
        out.set_similarity(np.zeros((3, 0)))
    with ExportWriter(tmp_path / "batch.npz") as out:
        first = 0
        for size in sizes:
            batch = slice(first, first + size)
            out.add_images(IDS[batch], **{name: values[batch] for name, values in given.items()})
            first += size
        out.set_similarity(np.zeros((3, 0)))
    assert (tmp_path / "batch.npz").read_bytes() == (tmp_path / "single.npz").read_bytes()
    found = images_of(tmp_path / "batch.npz")
    assert found["image_id"].tobytes().decode() == "abç"
    assert found["image_id_offset"].tolist() == [0, 1, 2, 4]
    if "boxes" in given:
        assert found["region_offset"].tolist() == ([0, 2, 5, 5] if len(given["boxes"][1]) == 3 else [0, 2, 4, 6])
        np.testing.assert_array_equal(found["region_box"], np.concatenate(list(given["boxes"])))
    for name, member in (("size", "image_size"), ("grid", "grid_shape"), ("affine", "grid_affine")):
        assert (name in given) == (member in found)
        if name in given:
            np.testing.assert_array_equal(found[member], given[name])


def test_one_size_and_one_grid_for_all_images(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz") as out:
        out.add_images(["1", "2"], size=(100, 50), grid=(1, 2), affine=(50, 50, 0, 1))
        out.add_captions(["2", "1"], [[[1, 2]], [[3, 4]]], tokens=[["a"], ["b"]])
    found = images_of(tmp_path / "maps.npz")
    assert found["image_size"].tolist() == [[100, 50]] * 2
    assert found["grid_shape"].tolist() == [[1, 2]] * 2
    assert found["grid_affine"].tolist() == [[50, 50, 0, 1]] * 2


def test_arrays_of_images_may_be_used_again(tmp_path: Path) -> None:
    size, boxes = np.ones((2, 2), np.int32), np.zeros((2, 1, 4), np.float32)
    with ExportWriter(tmp_path / "maps.npz") as out:
        for number in range(2):
            size[:], boxes[:] = number + 1, number
            out.add_images([f"{number}a", f"{number}b"], size=size, boxes=boxes)
        out.set_similarity(np.zeros((4, 0)))
    found = images_of(tmp_path / "maps.npz")
    assert found["image_size"].tolist() == [[1, 1], [1, 1], [2, 2], [2, 2]]
    assert found["region_box"][:, 0].tolist() == [0, 0, 1, 1]


TWO_BOXES = np.zeros((2, 3, 4))
REFUSED_IMAGES: dict[str, Any] = {
    "twice at once": ({"image_ids": ["1", "1"], "size": (1, 1), "boxes": TWO_BOXES}, ("image 1 is added twice",)),
    "there already": ({"image_ids": ["1", "4711"], "size": (1, 1), "boxes": TWO_BOXES}, ("image 4711 is added twice",)),
    "no text": ({"image_ids": ["1", 2.5], "size": (1, 1), "boxes": TWO_BOXES}, ("image 2", "no text")),
    "too few sizes": ({"size": [(1, 1)], "boxes": TWO_BOXES}, ("image 1, ...", "1 size for 2 images")),
    "too many boxes": ({"size": (1, 1), "boxes": np.zeros((3, 2, 4))}, ("image 1, ...", "3 boxes for 2 images")),
    "flat boxes": ({"size": (1, 1), "boxes": np.zeros((2, 4))}, ("image 1: boxes has shape (4,), expected (R, 4)",)),
    "boxes of five": (
        {"size": (1, 1), "boxes": [np.zeros((2, 4)), np.zeros((2, 5))]},
        ("image 2: boxes has shape (2, 5), expected (R, 4)",),
    ),
    "boxes of text": ({"size": (1, 1), "boxes": [np.zeros((1, 4)), [["a"] * 4]]}, ("image 2: boxes", "<U1")),
    "broken sizes": ({"size": [(1, 1), (1, 1.5)], "boxes": TWO_BOXES}, ("image 2: size", "float64")),
    "large sizes": ({"size": [(1, 1), (1, 2**40)], "boxes": TWO_BOXES}, ("image 2: size", str(2**40))),
    "sizes of three": ({"size": [(1, 1), (1, 1, 1)], "boxes": TWO_BOXES}, ("image 2: size has shape (3,)", "(2,)")),
    "no size": ({"boxes": TWO_BOXES}, ("image 1 is not described like",)),
    "no regions": ({"size": (1, 1)}, ("image 1 needs boxes or a grid",)),
}


@pytest.mark.parametrize(("given", "parts"), REFUSED_IMAGES.values(), ids=REFUSED_IMAGES)
def test_nothing_is_kept_of_refused_images(tmp_path: Path, given: dict[str, Any], parts: tuple[str, ...]) -> None:
    expected = write(tmp_path / "expected.npz").read_bytes()
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        with pytest.raises(ExportError) as caught:
            out.add_images(**{"image_ids": ["1", "2"], **given})
        out.add_caption("36979", DOG, index=0, text="a café dog", spans=[(0, 1), (2, 6), (7, 10)])
        out.add_caption("4711", CATS, index=3, text="cats", spans=[(0, 4)])
        out.add_caption("36979", TWO, index=1, text="Two", spans=[(-1, -1), (0, 3)])
    assert_says(str(caught.value), str(tmp_path / "maps.npz"), *parts)
    assert (tmp_path / "maps.npz").read_bytes() == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"grid": [(1, 2), (0, 2)]}, r"image 2: grid \[0, 2\] has no cells"),
        (
            {"grid": (1, 2), "affine": [(1, 1, 0, 0), (1, 1, 0, np.inf)]},
            r"image 2: affine \[1.0, 1.0, 0.0, inf\] needs",
        ),
        ({"grid": (1, 2), "affine": [(1, 1, 0, 0), (1, -1, 0, 0)]}, r"image 2: affine \[1.0, -1.0, 0.0, 0.0\] needs"),
    ],
    ids=["grid", "infinite", "negative"],
)
def test_grids_that_are_none_are_refused_together(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(ExportError, match=says):
        ExportWriter(tmp_path / "maps.npz").add_images(["1", "2"], **given)
