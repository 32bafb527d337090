"""The annotations of some images, as the protocol has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import GroundTruthError, ProtocolError, first_of
from attneval.groundtruth.crowds import without_crowds
from attneval.groundtruth.last_words import with_last_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.groundtruth import GroundTruth


def as_scored(truth: GroundTruth, protocol: Protocol, exported_size: NDArray[np.int64] | None) -> GroundTruth:
    """Apply a protocol's crowds, geometry and classes, and fill in image sizes that the annotations lack.

    Args:
        truth: Annotations of I images, as they were read.
        protocol: Its `crowd`, `geometry` and `average`.
        exported_size: i8[I, 2], the sizes in the export; None if it has none.

    Raises:
        GroundTruthError: The size of an image is not known, or a box lies outside it.
        ProtocolError: Masks are asked for, and the annotations have none.
    """
    if exported_size is not None:
        truth = truth.with_sizes(exported_size)
    unknown = np.flatnonzero((truth.image_size == 0).any(axis=1))
    if len(unknown):
        names = [truth.image_id[row] for row in unknown.tolist()]
        raise GroundTruthError(
            f"the sizes of {len(names)} images are neither in the annotations nor in the export "
            f"(first: {first_of(names)})",
            hint="name a file that has them with --gt-sizes: a COCO JSON, or image_data.json",
        )
    if protocol.geometry == "mask" and len(truth.box) and not truth.has_masks:
        raise ProtocolError("geometry mask needs masks, and the annotations have boxes alone", hint="use geometry box")
    truth = without_crowds(truth, protocol.crowd)
    return with_last_words(truth) if protocol.average == "class" and not truth.categories else truth
