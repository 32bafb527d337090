"""The words that a run chooses from. They stand apart from what they mean so that listing them needs no torch."""

from __future__ import annotations

from typing import Literal

ModelName = Literal["scan-t2i", "scan-i2t", "bfan-equal", "bfan-prob", "pfan-t2i", "pfan-i2t", "sgr", "saf"]

RawNorm = Literal["clipped_l2norm", "l2norm", "softmax", "l1norm", "clipped_l1norm", "clipped", "no_norm"]
"""Normalisation of raw scores over the queries before the softmax over the context."""

Pooling = Literal["LogSumExp", "Mean", "Sum", "Max"]
"""Pooling of the similarities of fragments into one."""

Negatives = Literal["hardest", "all"]
"""Negatives that a matched pair is held against: the hardest of the batch, or all of them."""

Select = Literal["rsum", "f1"]
"""Measure that decides the best epoch: the sum of recalls, or attention F1."""

Constraint = Literal["ccr", "ccs"]

Swap = Literal["random", "hardest"]
"""Choice of q' of CCS among the queries of other items: any of them, or the one most similar to the information."""

Tokens = Literal["words", "content"]
"""Words that the constraints look at: all, or content words only."""

Through = Literal["all", "weights"]
"""Reach of the constraints: everything, or the attention weights alone, with queries and keys taken as given."""
