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

Constraint = Literal["ccr", "ccs", "supervised"]
"""Losses on attention: CCR and CCS need images and captions alone, `supervised` annotations of the training images."""

Reversal = Literal["complement", "inverse", "unattended"]
"""Reversed weights of CCR: 1 - w, about 1 / w, or the same on all that is not above the mean."""

Swap = Literal["random", "hardest", "item"]
"""Choice of q' of CCS: any query of other items, the one of them most similar to the attended information, or another
query of the same item (another word of the caption)."""

Tokens = Literal["words", "content"]
"""Words that the constraints look at: all, or content words only."""

Fit = Literal["cosine", "model"]
"""Similarity of a query and attended information in the constraints: the cosine, or what the model compares by."""

Through = Literal["everything", "weights"]
"""Reach of the constraints: everything, or the attention weights alone, with queries and keys taken as given."""
