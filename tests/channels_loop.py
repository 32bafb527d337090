"""A tiny model scored in a loop, in one process or, run by torchrun, in several.

    torchrun --nproc-per-node 2 tests/channels_loop.py IMAGES ANNOTATIONS LIMIT

where LIMIT is how many images there are for all processes together; the first process prints what all computed.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import warnings

import torch
from extraction.kit import llava

from attneval import Protocol
from attneval.extraction import transformers as hf
from attneval.integrations.runs import score_run
from attneval.integrations.torchmetrics import AttentionChannels


def main(images: str, gt: str, limit: int) -> None:
    """Score this process's share."""
    torch.distributed.init_process_group("gloo")
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    model, processor = llava()
    run = functools.partial(hf.batches, model, processor, hf.pairs(images, gt, limit=limit))
    metric = AttentionChannels(gt, Protocol(overlap="center"))
    values = score_run(metric, run, part=rank, parts=size)
    everywhere: list[dict[str, float]] = [{} for _ in range(size)]
    torch.distributed.all_gather_object(everywhere, values)
    if rank == 0:
        print(json.dumps(everywhere))  # noqa: T201 - read by the process that started this one
        sys.stdout.flush()
    torch.distributed.barrier()  # whoever leaves first closes what the others still listen to
    # Threads of gloo that are still at work abort a process that ends in good order: about one time in ten under load.
    os._exit(0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
