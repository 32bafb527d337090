"""Quotients whose divisor may be zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def quotient(part: NDArray[np.float64], whole: NDArray[np.float64], otherwise: float = 0.0) -> NDArray[np.float64]:
    """Divide where the divisor is positive.

    Args:
        part: f8[...].
        whole: f8[...], of a shape that broadcasts to that of `part`.
        otherwise: What stands where `whole` is not positive.

    Returns:
        f8[...], of the shape of `part`.
    """
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, otherwise), where=whole > 0))
