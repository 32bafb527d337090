"""The fingerprints of a block's regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.geometry.fingerprints import fingerprints

if TYPE_CHECKING:
    from attneval.evaluation.caption_block import CaptionBlock


def regions_of_images(captions: CaptionBlock) -> dict[str, str]:
    """Make the fingerprint of each image's regions, by its id."""
    truth, regions = captions.truth, captions.regions
    prints = fingerprints(regions.box, regions.offset, captions.groups.image, truth.image_size)
    return dict(zip(truth.image_id, prints, strict=True))
