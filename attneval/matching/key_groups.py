"""The regions that are the keys of a caption: all of its image, or a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.matching.alignment import ABSENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.groundtruth import GroundTruth
    from attneval.matching.alignment import Alignment


@record
class KeyGroups:
    """G groups of regions. Entities are held against each group of their image, as *instances*.

    Without windows a group is an image, and an instance an entity. Where captions have windows each exported caption is
    a group, and behind those each image one without any region, for captions that were not exported.

    Attributes:
        image: i8[G], the image of each group.
        of_caption: i8[C], the group of each annotated caption.
        offset: i8[G+1], first instance of each group.
        entity: i8[n], the entity of each instance.
    """

    image: NDArray[np.int64]
    of_caption: NDArray[np.int64]
    offset: NDArray[np.int64]
    entity: NDArray[np.int64]

    @classmethod
    def from_images(cls, truth: GroundTruth) -> KeyGroups:
        """Make a group of each image."""
        images = np.arange(len(truth.image_id))
        of_caption = np.repeat(images, np.diff(truth.caption_offset))
        return cls(images, of_caption, truth.entity_offset, np.arange(len(truth.box_offset) - 1))

    @classmethod
    def from_captions(cls, truth: GroundTruth, alignment: Alignment, image: NDArray[np.int64]) -> KeyGroups:
        """Make a group of each exported caption.

        Args:
            truth: The annotations of I images.
            alignment: Which exported captions are which annotated ones.
            image: i8[k], the image of each exported caption.
        """
        images = np.arange(len(truth.image_id))
        image_of_caption = np.repeat(images, np.diff(truth.caption_offset))
        group_image = np.concatenate((image, images))
        of_caption = np.where(alignment.row == ABSENT, len(image) + image_of_caption, alignment.row)
        count = np.diff(truth.entity_offset)[group_image]
        return cls(group_image, of_caption, offsets_of(count), ranges(truth.entity_offset[group_image], count))

    def instances(self, caption: NDArray[np.int64], entity: NDArray[np.int64], truth: GroundTruth) -> NDArray[np.int64]:
        """The instance of an entity in a caption's group.

        Args:
            caption: i8[m], annotated captions.
            entity: i8[m], entities of their images.
            truth: The annotations.
        """
        group = self.of_caption[caption]
        return self.offset[group] + entity - truth.entity_offset[self.image[group]]

    @property
    def group_of_instance(self) -> NDArray[np.int64]:
        """The group of each instance, i8[n]."""
        return np.repeat(np.arange(len(self.image)), np.diff(self.offset))
