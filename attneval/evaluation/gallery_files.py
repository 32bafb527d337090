"""The files that say what is relevant in retrieval, each read once, when it is asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.groundtruth.gallery_ids import GivenIds
    from attneval.groundtruth.relevance import ListedAnswers


@record
class GalleryFiles:
    """The files that relevance is read from.

    Attributes:
        relevance: Relevance sets.
        caption_ids: The ids of captions.
        image_ids: The ids of images.
    """

    relevance: tuple[Path, ...] = ()
    caption_ids: Path | None = None
    image_ids: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.relevance) or self.caption_ids is not None or self.image_ids is not None

    def arguments(self) -> dict[str, Any]:
        """The files as they were given, as JSON values."""
        return {
            "relevance": list(map(str, self.relevance)),
            "caption_ids": None if self.caption_ids is None else str(self.caption_ids),
            "image_ids": None if self.image_ids is None else str(self.image_ids),
        }

    @cached_property
    def sets(self) -> list[ListedAnswers]:
        """The relevance sets, read once."""
        from attneval.groundtruth.relevance import read_relevance

        return list(map(read_relevance, self.relevance))

    @cached_property
    def captions(self) -> GivenIds | None:
        """The ids of captions, read once."""
        from attneval.groundtruth.gallery_ids import read_caption_ids

        return None if self.caption_ids is None else read_caption_ids(self.caption_ids)

    @cached_property
    def images(self) -> GivenIds | None:
        """The ids of images, read once."""
        from attneval.groundtruth.gallery_ids import read_image_ids

        return None if self.image_ids is None else read_image_ids(self.image_ids)
