"""Annotated relevant regions of the words of captions, for attention that is supervised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from attneval.training.data.vocabulary import END, START

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from attneval.training.data.captions import EncodedCaptions

QUOTES = {"``": ('"', "``"), "''": ('"', "''")}
"""Tokens that stand for other characters of the text."""


@dataclass(frozen=True)
class RelevantRegions:
    """Tokens of captions with their relevant regions; the tokens of a caption stand together, in order of captions.

    Args:
        offset: i8[N+1], the first row of each caption, and the end.
        token: i8[n], position among the caption's tokens, <start> included.
        regions: b[n, R], true where a region of the caption's image is relevant.
    """

    offset: NDArray[np.int64]
    token: NDArray[np.int64]
    regions: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.token)

    def batch(self, captions: NDArray[np.int64], tokens: int, regions: int) -> torch.Tensor:
        """The relevant regions of some captions.

        Args:
            captions: i[B] captions.
            tokens: T, the length that they are padded to.
            regions: R, the number of regions that images are padded to.

        Returns:
            b[B, T, R], false where nothing is annotated.
        """
        mask = np.zeros((len(captions), tokens, regions), np.bool_)
        count = np.diff(self.offset)[captions]
        place = np.repeat(np.arange(len(captions)), count)
        row = np.repeat(self.offset[captions] - (np.cumsum(count) - count), count) + np.arange(len(place))
        width = min(regions, self.regions.shape[1])
        mask[place, self.token[row], :width] = self.regions[row, :width]
        return torch.from_numpy(mask)


def relevant_tokens(
    captions: EncodedCaptions, words: Iterable[tuple[int, str, tuple[int, int], NDArray[np.int64]]], regions: int
) -> RelevantRegions:
    """Give annotated words' relevant regions to the tokens that lie inside them.

    Args:
        captions: N captions; tokens that were cut off get none.
        words: For each annotated word its caption, the caption's text in the annotations, the first and the end of the
            word's code points in it, and i[k] its relevant regions.
        regions: R, the largest number of regions of an image.

    Returns:
        The tokens with at least one relevant region. A token that lies in several words has the regions of all of them.
    """
    members: dict[tuple[int, int], NDArray[np.bool_]] = {}
    spans: dict[int, list[tuple[int, int]]] = {}
    for caption, text, (first, end), relevant in words:
        if not len(relevant):
            continue
        if caption not in spans:
            spans[caption] = token_spans(text, captions.tokens[caption])
        for token, (start, stop) in enumerate(spans[caption]):
            if first < stop and start < end:
                members.setdefault((caption, token), np.zeros(regions, np.bool_))[relevant] = True
    keys = np.array(sorted(members), np.int64).reshape(-1, 2)
    rows = [members[caption, token] for caption, token in keys.tolist()]
    return RelevantRegions(
        np.searchsorted(keys[:, 0], np.arange(len(captions) + 1)),
        keys[:, 1].copy(),
        np.array(rows, np.bool_).reshape(len(rows), regions),
    )


def token_spans(text: str, tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Find tokens in the text that they were made from.

    Args:
        text: In any case.
        tokens: In lower case and in order, <start> and <end> among them.

    Returns:
        First and end code point of each token; (0, 0) for <start>, <end> and, where text and tokens part, for all that
        follow.
    """
    lower = "".join(character.lower() if len(character.lower()) == 1 else character for character in text)
    spans = [(0, 0)] * len(tokens)
    place = 0
    for index, token in enumerate(tokens):
        if token in {START, END}:
            continue
        while lower[place : place + 1].isspace():
            place += 1
        form = next((form for form in QUOTES.get(token, (token,)) if lower.startswith(form, place)), None)
        if form is None:
            break
        spans[index] = (place, place + len(form))
        place += len(form)
    return spans
