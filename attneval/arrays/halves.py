"""Half-precision numbers as single-precision ones, faster than numpy converts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 2**15
"""Numbers that are converted together, so that they stay in the cache."""
LARGEST = 0x7BFF
"""The bits of the largest finite number; those of negative numbers, infinities and NaN are larger."""
_FRACTION_BITS = 13
"""How many more bits the fraction has in single precision."""
_REBIASED = np.uint32((127 - 15) << 23)
"""What the exponent of a single is larger by."""
_NORMAL = np.float32(2.0**-14)
"""The smallest number that is not subnormal."""


def as_singles(values: NDArray[Any]) -> NDArray[Any]:
    """Convert half-precision numbers: equals `values.astype(np.float32)`, in a seventh of the time.

    numpy converts them one by one (3 ns a number); here the bits of many are shifted into place at once (0.4 ns). In
    subnormal numbers the exponent has another meaning, `2 x - 2 ** -14` of what the shift makes of them; of other
    numbers that is no smaller than x, so that the smaller one of both is right for all.

    Args:
        values: f2[n]; arrays of wider types are returned as they are.

    Returns:
        f4[n], or what was given.
    """
    if values.dtype.itemsize >= 4:
        return values
    if values.dtype != np.float16 or values.ndim != 1:
        return values.astype(np.float32)
    made = np.empty(len(values), np.float32)
    bits = np.ascontiguousarray(values).view(np.uint16)
    doubled = np.empty(min(AT_ONCE, len(values)), np.float32)
    for first in range(0, len(values), AT_ONCE):
        some, out = bits[first : first + AT_ONCE], made[first : first + AT_ONCE]
        if some.max() > LARGEST:
            out[:] = values[first : first + AT_ONCE]
            continue
        shifted, twice = out.view(np.uint32), doubled[: len(out)]
        np.copyto(shifted, some)
        np.left_shift(shifted, _FRACTION_BITS, out=shifted)
        np.add(shifted, _REBIASED, out=shifted)
        np.add(out, out, out=twice)
        np.subtract(twice, _NORMAL, out=twice)
        np.minimum(out, twice, out=out)
    return made
