"""The words that a run chooses from. They stand apart from what they mean so that listing them needs no torch."""

from __future__ import annotations

from typing import Literal

ModelName = Literal["scan-t2i", "scan-i2t", "bfan-equal", "bfan-prob", "pfan-t2i", "pfan-i2t", "sgr", "saf"]

RawNorm = Literal["clipped_l2norm", "l2norm", "softmax", "l1norm", "clipped_l1norm", "clipped", "no_norm"]
"""How raw scores are normalised over the queries before the softmax over the context."""

Pooling = Literal["LogSumExp", "Mean", "Sum", "Max"]
"""How similarities of fragments become one."""

Negatives = Literal["hardest", "all"]
"""What a matched pair is held against: the hardest of the batch, or all of them."""

Select = Literal["rsum", "f1"]
"""What the best epoch is best in: the sum of recalls, or attention F1."""

Constraint = Literal["ccr", "ccs"]

Swap = Literal["random", "hardest"]
"""How q' of CCS is chosen among the queries of other items: any of them, or the one most similar to the information."""

Tokens = Literal["words", "content"]
"""Words that the constraints look at: all, or content words only."""

Through = Literal["all", "weights"]
"""What the constraints change: everything, or the attention weights alone, with queries and keys taken as given."""
