"""Captions as word ids, and batches of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from attneval.training.data.batches import CaptionBatch
from attneval.training.data.vocabulary import PAD, tokenize, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.training.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class EncodedCaptions:
    """The captions of a split.

    Args:
        tokens: Of each caption, <start> and <end> included.
        ids: Their word ids.
        pad: Id of <pad>.
    """

    tokens: tuple[tuple[str, ...], ...]
    ids: tuple[NDArray[np.int64], ...]
    pad: int

    @classmethod
    def from_texts(cls, captions: Sequence[str], vocabulary: Vocabulary, limit: int = 0) -> EncodedCaptions:
        """Tokenise and encode texts, cut at `limit` tokens in all; 0 never cuts."""
        tokens = tuple(tuple(wrap(tokenize(caption), limit)) for caption in captions)
        ids = tuple(np.array(vocabulary.encode(caption), np.int64) for caption in tokens)
        return cls(tokens, ids, vocabulary.index[PAD])

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, captions: NDArray[np.int64]) -> CaptionBatch:
        """The captions i8[B], padded to the longest of them."""
        chosen = [torch.from_numpy(self.ids[index]) for index in captions]
        lengths = torch.tensor([len(ids) for ids in chosen])
        padded = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True, padding_value=self.pad)
        return CaptionBatch(padded, torch.arange(padded.shape[1])[None] < lengths[:, None])
