"""The folding under which differently tokenised texts agree.

A tokeniser may change case, accents, spacing and punctuation; it keeps letters and digits in their order. Two texts
are therefore compared as *streams*: compatibility-decomposed, case-folded, letters and digits only.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.strings import Strings

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fold(code: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Fold code points to a stream of lower-case letters and digits without accents.

    Returns:
        The stream, u4[m], and i8[n+1]: how much of the stream lies before each of the n code points.
    """
    if not len(code):
        return code, np.zeros(1, np.int64)
    present = np.flatnonzero(np.bincount(code))
    folded = [_fold_character(chr(point)) for point in present.tolist()]
    length_of = np.zeros(present[-1] + 1, np.int64)
    length_of[present] = list(map(len, folded))
    before = offsets_of(length_of[code])
    if max(map(len, folded)) <= 1:
        # In nearly all text a letter stays one letter.
        letter = np.zeros(present[-1] + 1, np.uint32)
        letter[present] = [ord(text) if text else 0 for text in folded]
        stream = letter[code]
        return stream[stream > 0], before
    row = np.zeros(present[-1] + 1, np.int64)
    row[present] = np.arange(len(present))
    table = Strings.from_texts(folded)
    return table.code[ranges(table.offset[row[code]], length_of[code])], before


def _fold_character(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(c for c in decomposed if c.isalnum())
