"""Two halves of the images, the same for everybody: one to choose on, the other to report on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EVEN, ODD = HALVES = ("even", "odd")
"""The half that is chosen on, and the half that is reported on."""


def in_half(image_id: Sequence[str], half: str) -> NDArray[np.bool_]:
    """Mark the images of a half: b[I].

    The half is the parity of the first byte of SHA-256 of the id, so that it depends on nothing but the image: no seed,
    no order and no other image.

    Args:
        image_id: The images' ids.
        half: `even` or `odd`.
    """
    first = [hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[0] for name in image_id]
    return np.array([byte % 2 == HALVES.index(half) for byte in first], np.bool_)
