"""The tokens that are keys in direction i2t: all but special ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.read.content import TokenBlock


@record
class TokenKeys:
    """The keys of k captions.

    Attributes:
        token: i8[n], rows of the token block, ascending.
        offset: i8[k+1], first key of each caption.
        number: i8[T], which key of its caption each token is; 0 for those that are none.
    """

    token: NDArray[np.int64]
    offset: NDArray[np.int64]
    number: NDArray[np.int64]

    @classmethod
    def from_tokens(cls, tokens: TokenBlock) -> TokenKeys:
        """Find the keys among tokens."""
        token = np.flatnonzero((tokens.span[:, 1] > tokens.span[:, 0]) | tokens.unknown)
        offset = np.searchsorted(token, tokens.offset)
        number = np.zeros(len(tokens.span), np.int64)
        caption = np.searchsorted(tokens.offset, token, side="right") - 1
        number[token] = np.arange(len(token)) - offset[caption]
        return cls(token, offset, number)
