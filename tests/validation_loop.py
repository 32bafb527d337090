"""A validation loop over a fixture, in one process or, run by torchrun, in several.

    torchrun --nproc-per-node 2 tests/validation_loop.py SIZES

where SIZES says how many captions each process gets, as `210,90`; the first process prints what all of them computed.
"""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.integrations.torchmetrics import AttentionF1, AttentionMetrics, AttentionPrecision, AttentionRecall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FIXTURES = Path(__file__).parents[1] / "fixtures"
ENTITIES = FIXTURES / "entities"
REGIONS = 12


@dataclass(frozen=True)
class Sample:
    """A caption and what the model did on it."""

    caption_id: str
    tokens: list[str]
    attention: torch.Tensor  # f[T, R]
    boxes: torch.Tensor  # f[R, 4]


def samples(name: str = "noisy.npz") -> list[Sample]:
    """The captions of a packed fixture with token texts, read with numpy alone."""
    with np.load(FIXTURES / name) as data:
        members = dict(data)

    def texts(member: str) -> list[str]:
        raw, offset = members[member].tobytes(), members[f"{member}_offset"].tolist()
        return [raw[a:b].decode() for a, b in itertools.pairwise(offset)]

    image_id, token = texts("image_id"), texts("token_text")
    weights = torch.from_numpy(members["attention"].reshape(-1, REGIONS))
    boxes = torch.from_numpy(members["region_box"].reshape(-1, REGIONS, 4))
    found = []
    for row, (image, index) in enumerate(zip(members["caption_image"], members["caption_index"], strict=True)):
        first, last = members["token_offset"][row : row + 2].tolist()
        found.append(Sample(f"{image_id[image]}#{index}", token[first:last], weights[first:last], boxes[image]))
    return found


def batches(chosen: Sequence[Sample], size: int) -> Iterator[tuple[Any, ...]]:
    """What `update` takes, the maps padded to the longest caption of each batch."""
    for first in range(0, len(chosen), size):
        batch = chosen[first : first + size]
        attention = torch.zeros(len(batch), max(len(own.tokens) for own in batch), REGIONS)
        for row, own in enumerate(batch):
            attention[row, : len(own.tokens)] = own.attention
        yield (
            attention,
            [own.tokens for own in batch],
            [own.caption_id for own in batch],
            torch.stack([own.boxes for own in batch]),
        )


def main(sizes: list[int]) -> None:
    """Let each process validate its share, and print what the first one computes of all."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    first = sum(sizes[:rank])
    share = samples()[first : first + sizes[rank]]
    together = AttentionMetrics(ENTITIES, prefix="val_")
    alone = [kind(ENTITIES) for kind in (AttentionPrecision, AttentionRecall, AttentionF1)]
    for batch in batches(share, 32):
        together.update(*batch)
        for metric in alone:
            metric.update(*batch)
    values = {name: float(value) for name, value in together.compute().items()}
    values |= {type(metric).__name__: float(metric.compute()) for metric in alone}
    if rank == 0:
        print(json.dumps(values))  # noqa: T201 - read by the process that started this one
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1].split(",")])
