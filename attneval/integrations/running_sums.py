"""Metrics of a loop whose state is sums of whole numbers, which add up exactly over batches and processes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch
from torchmetrics import Metric

from attneval.config.protocol import Protocol
from attneval.errors import ProtocolError
from attneval.groundtruth.annotation_files import AnnotationFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.groundtruth.annotation_files import GivenFiles


class RunningSums(Metric):
    """A metric with one state, the sums, whose name says what they depend on.

    Args:
        gt: The annotations, as for `attneval score --gt`.
        protocol: How attention is scored; the default if None.
        gt_format: The format of the annotations, `auto` to look.
        settings: Of `torchmetrics.Metric`.

    Raises:
        ProtocolError: The protocol cannot be followed batch by batch.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    def __init__(self, gt: GivenFiles, protocol: Protocol | None, gt_format: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.protocol = protocol or Protocol()
        if self.protocol.missing == "zero":
            raise ProtocolError(
                "missing zero cannot be used batch by batch: no batch knows which captions are never going to come",
                hint="use error or skip, or write an export and score it",
            )
        if self.protocol.average == "class":
            raise ProtocolError(
                "a mean over classes is no function of running sums", hint="use average macro or micro in a metric"
            )
        self._gt = AnnotationFiles.from_argument(gt, gt_format)

    def start_from_zero(self, shape: Sequence[int], *depends_on: object) -> None:
        """Add the state.

        A collection shares states that have the same name and, by chance or not, the same values after the first batch:
        the name says what else they depend on.

        Args:
            shape: Of the sums.
            depends_on: What they depend on beside the annotations.
        """
        made_of = repr((self._gt, *depends_on))
        self._state = f"sums_{hashlib.sha256(made_of.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
        self.add_state(self._state, torch.zeros(*shape, dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def sums(self) -> torch.Tensor:
        """The state, int64 of its shape: multiples of 1 / UNIT."""
        sums: torch.Tensor = getattr(self, self._state)
        return sums

    def resize(self, shape: Sequence[int]) -> None:
        """Make room for sums of another shape; all of them are 0 then."""
        setattr(self, self._state, torch.zeros(*shape, dtype=torch.int64, device=self.sums.device))

    def add(self, units: NDArray[Any]) -> None:
        """Add a batch to the sums.

        Args:
            units: i8[...], of the shape of the sums, multiples of 1 / UNIT.
        """
        setattr(self, self._state, self.sums + torch.from_numpy(units).to(self.sums.device))

    def set_dtype(self, dst_type: str | torch.dtype) -> Metric:  # noqa: ARG002 - what torchmetrics passes
        """Change nothing: sums are whole numbers, whatever type the model has."""
        return self
