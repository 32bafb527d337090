"""Attention Precision, Recall and F1 as `torchmetrics.Metric` classes, for validation inside a training loop.

A batch is judged by the code that judges an export file, so the values are those of `attneval score` on the same maps.
States are whole numbers that add up exactly: however a split is spread over batches and processes, the value is the
same to the last bit.

Needs torchmetrics: the extra `torchmetrics`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from attneval.config.extras import to_install
from attneval.evaluation.plan_blocks import Block
from attneval.evaluation.score_block import score_block
from attneval.evaluation.settle_overlap import settle_overlap
from attneval.evaluation.weight_reader import MEAN
from attneval.export.problems import FileProblems
from attneval.export.read.reader import open_members
from attneval.integrations.annotations import refuse_mismatches, refuse_unknown_images, source_of
from attneval.integrations.captured_batches import BATCH
from attneval.metrics.registry import REGISTRY, metrics
from attneval.metrics.totals import UNIT
from attneval.storage.archive import Arrays

try:
    import torch
    from torchmetrics import Metric, MetricCollection

    from attneval.integrations.channels import AttentionChannels, logged
    from attneval.integrations.running_sums import RunningSums
except ImportError as error:
    raise ImportError(f"{error}; {to_install('torchmetrics')}") from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.config.protocol import Protocol
    from attneval.groundtruth.annotation_files import GivenFiles

__all__ = ["AttentionChannels", "AttentionF1", "AttentionMetrics", "AttentionPrecision", "AttentionRecall", "logged"]

SUMMED = ("precision", "recall", "f1", "tp", "attended", "relevant", "scored")
"""What is summed over items, in the order of the state."""


class _AttentionMetric(RunningSums):
    """What the three metrics share: int64[len(SUMMED)], and how a batch is added to it.

    Args:
        gt: The annotations, as for `attneval score --gt`.
        protocol: How attention is judged; its first direction and its `average` decide what the value is.
        gt_format: `entities` or `mdetr` to force the annotations' format.
        kind: What the maps are: `attention`, `similarity`, `relevance` or `logit`.
        normalised_over: The axis over which weights sum to 1: `regions`, `tokens` or `none`; checked batch by batch.
        settings: Of `torchmetrics.Metric`.

    Raises:
        ProtocolError: `missing=zero`, which only makes sense once all captions are known.
    """

    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    measures: ClassVar[str]
    """The metric, without `micro_`."""

    def __init__(
        self,
        gt: GivenFiles,
        protocol: Protocol | None = None,
        *,
        gt_format: str = "auto",
        kind: str = "attention",
        normalised_over: str = "none",
        **settings: Any,
    ) -> None:
        super().__init__(gt, protocol, gt_format, **settings)
        self._meta = json.dumps({"kind": kind, "normalised_over": normalised_over})
        self.start_from_zero((len(SUMMED),), replace(self.protocol, average="macro"), self._meta)

    def update(
        self,
        attention: torch.Tensor | np.ndarray[Any, Any],
        tokens: Sequence[Sequence[str]],
        caption_ids: Sequence[str],
        boxes: torch.Tensor | np.ndarray[Any, Any] | None = None,
    ) -> None:
        """Judge the maps of a batch.

        Args:
            attention: f[B, T, R], or f[B, T, H, W] for patches that cover the whole image. With
                `normalised_over="tokens"` it holds region-to-word weights, not transposed.
            tokens: Per caption the texts of its tokens, at most T of them; special tokens in brackets.
            caption_ids: `<image id>#<k>` for the image's caption k, or `<image id>` to find it by its text.
            boxes: f[B, R, 4], x1, y1, x2, y2 in pixels of the original image, for regions that are no patches. A box
                without an area is padding.

        Raises:
            AttnevalError: The batch breaks the export format, or does not fit the annotations.
        """
        if not len(caption_ids):
            return
        width = max(attention.shape[1], *map(len, tokens))
        members: dict[str, Any] = {
            "attn": _array(attention),
            "words": np.array(
                [[*caption_tokens, *[""] * (width - len(caption_tokens))] for caption_tokens in tokens], np.str_
            ),
            "caption_ids": np.array(caption_ids, np.str_),
            "meta": np.array(self._meta),
        }
        if boxes is not None:
            members["boxes"] = _array(boxes)
        self.add(self._summed(members))

    def _summed(self, members: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """i8[len(SUMMED)], the columns summed over the items of a batch, as whole multiples of 1 / UNIT."""
        export = open_members(Arrays(BATCH, members), FileProblems(BATCH))
        source = source_of(self._gt, self.protocol)
        refuse_unknown_images(source, export.image_id, self._gt)
        order = np.argsort(export.caption_image, kind="stable")
        sums = score_block(
            Block(np.arange(len(export.image_id)), order),
            export,
            source,
            settle_overlap(self.protocol, export),
            keep_columns=True,
        )
        refuse_mismatches(sums.mismatches, self.protocol)
        columns = sums.statistics[MEAN, self.protocol.directions[0]].per_item
        return np.array([np.rint(columns[name] * UNIT).astype(np.int64).sum() for name in SUMMED])

    def compute(self) -> torch.Tensor:
        """The value over everything seen so far, NaN before there is an item."""
        metrics("attention")  # fills the table of metrics
        sums = {name: np.float64(value / UNIT) for name, value in zip(SUMMED, self.sums.tolist(), strict=True)}
        prefix = "micro_" if self.protocol.average == "micro" else ""
        return torch.tensor(float(REGISTRY[prefix + self.measures].value(sums)), device=self.sums.device)


class AttentionPrecision(_AttentionMetric):
    """Of the regions that words attend to, the share that is relevant."""

    measures = "precision"


class AttentionRecall(_AttentionMetric):
    """Of the regions that are relevant to words, the share that they attend to."""

    measures = "recall"


class AttentionF1(_AttentionMetric):
    """The harmonic mean of precision and recall, by item or of summed counts, as the protocol says."""

    measures = "f1"


class AttentionMetrics(MetricCollection):
    """Precision, recall and F1 together; each batch is judged once for all three.

    Args:
        gt: The annotations.
        protocol: How attention is judged.
        prefix: In front of the names `precision`, `recall` and `f1`.
        postfix: After the names.
        settings: As for the metrics.
    """

    def __init__(
        self,
        gt: GivenFiles,
        protocol: Protocol | None = None,
        *,
        prefix: str | None = None,
        postfix: str | None = None,
        **settings: Any,
    ) -> None:
        kinds = (AttentionPrecision, AttentionRecall, AttentionF1)
        members: dict[str, Metric | MetricCollection] = {
            kind.measures: kind(gt, protocol, **settings) for kind in kinds
        }
        # All three keep the same state, which is said here so that not even the first batch is judged three times.
        super().__init__(members, prefix=prefix, postfix=postfix, compute_groups=[list(members)])


def _array(values: torch.Tensor | np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Floats as an array in this process's memory; numpy has no bfloat16."""
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
