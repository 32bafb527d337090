"""Which regions are the keys of a caption."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from worlds import Phrase, Scene, Shown, World, scored

from attneval import Protocol
from attneval.errors import ProtocolError
from attneval.matching.alignment import ABSENT
from attneval.matching.key_groups import KeyGroups

if TYPE_CHECKING:
    from attneval.groundtruth import GroundTruth
    from attneval.matching.alignment import Alignment


# As much of annotations as groups look at: two images, of two and one captions, of two and three entities.
OFFSETS = {"caption_offset": np.array([0, 2, 3]), "entity_offset": np.array([0, 2, 5]), "box_offset": np.arange(6)}
TRUTH = cast("GroundTruth", SimpleNamespace(image_id=("a", "b"), **OFFSETS))


def test_groups_of_images() -> None:
    groups = KeyGroups.from_images(TRUTH)
    assert groups.image.tolist() == [0, 1]
    assert groups.of_caption.tolist() == [0, 0, 1]
    assert groups.offset.tolist() == [0, 2, 5]
    assert groups.entity.tolist() == [0, 1, 2, 3, 4]
    assert groups.group_of_instance.tolist() == [0, 0, 1, 1, 1]
    captions, entities = np.array([0, 1, 2, 2]), np.array([1, 0, 2, 4])
    assert groups.instances(captions, entities, TRUTH).tolist() == [1, 0, 2, 4]


def test_groups_of_captions() -> None:
    """Exported are the caption of b and the second of a, in this order; the first of a is not."""
    aligned = cast("Alignment", SimpleNamespace(row=np.array([ABSENT, 1, 0])))
    groups = KeyGroups.from_captions(TRUTH, aligned, np.array([1, 0]))
    # A group for each exported caption, and one without regions for each image.
    assert groups.image.tolist() == [1, 0, 0, 1]
    assert groups.of_caption.tolist() == [2, 1, 0]
    # Each has all the entities of its image.
    assert groups.offset.tolist() == [0, 3, 5, 7, 10]
    assert groups.entity.tolist() == [2, 3, 4, 0, 1, 0, 1, 2, 3, 4]
    captions, entities = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 4])
    instances = groups.instances(captions, entities, TRUTH)
    assert instances.tolist() == [5, 6, 4, 2]
    assert groups.entity[instances].tolist() == entities.tolist()
    assert groups.group_of_instance[instances].tolist() == groups.of_caption[captions].tolist()


# ---------------------------------------------------------------- scored


MAN = Phrase("1", ("people",), ("man",))
REGIONS = [(0.0, 0.0, 10.0, 10.0), (10.0, 0.0, 20.0, 10.0), (20.0, 0.0, 30.0, 10.0), (0.0, 0.0, 9.0, 10.0)]


def windowed(*windows: tuple[tuple[int, int], list[float]]) -> World:
    """An image whose captions `man` have windows of their own, with a weight for each of their regions."""
    scene = Scene(30, 10, {"1": [(1, 1, 10, 10)]}, [[MAN]] * len(windows), REGIONS)
    shown = [
        Shown("1", index, ["man"], np.array([[row]], np.float32), window=window)
        for index, (window, row) in enumerate(windows)
    ]
    return World({"1": scene}, shown, None, kind="relevance")


def test_a_caption_attends_to_its_window_alone() -> None:
    # Of regions 0 and 1 the first is the man; of 1 and 2 none is; of 2 and 3 the second is.
    made = windowed(((0, 2), [0.9, 0.1]), ((1, 2), [0.9, 0.1]), ((2, 2), [0.9, 0.1]))
    result = scored(made, Protocol())
    assert (result.counts["items"], result.counts["unreachable"]) == (3, 1)
    assert result["coverage"] == pytest.approx(2 / 3)
    assert result["f1"] == 1 / 2
    assert result["pointing"] == 1 / 2
    # Even attention is to the two regions of a window; the middle of the image is in region 1 or beside it.
    assert result.scores.baselines["uniform"]["precision"].value == 1 / 2
    # Of the first window region 1 is in the middle, of the third region 2 is farther from it than region 3 is not.
    assert result.scores.baselines["center"]["precision"].value == 0


def test_a_threshold_counts_the_keys_of_the_window() -> None:
    # 0.3 is above a quarter, and not above a half.
    made = windowed(((0, 4), [0.3, 0.2, 0.2, 0.3]), ((0, 2), [0.3, 0.7]))
    result = scored(made, Protocol(overlap="iou"))
    # Both regions on the man are attended to, and then the other one.
    assert result["f1"] == 1 / 2
    assert result["recall"] == 1 / 2


def test_regions_of_a_window_attend_to_the_words_of_its_caption() -> None:
    """Captions `a man`: one chooses among regions 0 and 1, one among 2 and 3; regions 0 and 3 are the man."""
    scene = Scene(30, 10, {"1": [(1, 1, 10, 10)]}, [["a", MAN]] * 2, REGIONS)
    to_words = ([[0.9, 0.5], [0.1, 0.5]], [[0.5, 0.2], [0.5, 0.8]])  # by token, then by region of the window
    shown = [
        Shown("1", index, ["a", "man"], weights, weights, window=window)
        for index, window in enumerate(((0, 2), (2, 2)))
        for weights in [np.array([to_words[index]], np.float32)]
    ]
    result = scored(World({"1": scene}, shown, None, kind="relevance"), Protocol(direction="i2t"))
    # Region 0 attends to `a`, and region 3 to `man`; the others cover nothing.
    assert result.counts["items"] == 2
    assert result["f1"] == 1 / 2
    assert result["pointing"] == 1 / 2
    assert result["mass"] == pytest.approx((0.1 + 0.8) / 2)


def test_windows_are_no_grids() -> None:
    made = windowed(((0, 2), [0.9, 0.1]))
    with pytest.raises(ProtocolError, match="has windows of regions, and pointing=upsampled enlarges"):
        scored(made, Protocol(pointing="upsampled"))


def test_captions_without_a_window_have_no_regions() -> None:
    made = windowed(((0, 2), [0.9, 0.1]), ((0, 2), [0.9, 0.1]))
    made = made.with_captions(lambda own: own.index == 0)
    result = scored(made, Protocol(missing="zero"))
    assert (result.counts["items"], result["coverage"], result["r@1"]) == (2, 0.5, 0.5)
    assert result["f1"] == 1
