"""Half-precision numbers are converted as numpy converts them, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from attneval.arrays.halves import AT_ONCE, as_singles

EVERY = np.arange(2**16, dtype=np.uint16).view(np.float16)
"""All numbers there are, negative ones, infinities and NaN included."""
WEIGHTS = EVERY[: 0x7BFF + 1]
"""Those that are finite and not negative, which are converted fast."""


def same_bits(values: Any) -> bool:
    with np.errstate(invalid="ignore"):
        expected = values.astype(np.float32)
    made = as_singles(values)
    return made.dtype == np.float32 and bool((made.view(np.uint32) == expected.view(np.uint32)).all())


def test_every_number() -> None:
    assert same_bits(WEIGHTS)
    assert same_bits(EVERY)


@pytest.mark.parametrize("length", [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 5])
def test_any_length(length: int) -> None:
    assert same_bits(np.random.default_rng(length).choice(WEIGHTS, length))


@pytest.mark.parametrize("odd", [-1.0, -0.0, np.inf, np.nan])
def test_one_that_is_converted_otherwise(odd: float) -> None:
    values = np.random.default_rng(0).random(3 * AT_ONCE).astype(np.float16)
    values[AT_ONCE + 7] = odd
    assert same_bits(values)


def test_views_and_other_types() -> None:
    assert same_bits(WEIGHTS[::3])
    assert same_bits(WEIGHTS.astype(">f2"))
    assert same_bits(WEIGHTS[:30000].reshape(100, 300))
    for dtype in (np.float32, np.float64):
        values = np.ones(3, dtype)
        assert as_singles(values) is values
