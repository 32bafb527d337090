"""A Dask cluster of this machine against one process, its start left out."""

from __future__ import annotations

import shutil
import statistics
import time
from typing import TYPE_CHECKING

from attneval import Options, Protocol, score
from attneval.evaluation.engines.dask import local_cluster

from .made import SENTENCES, write_entities, write_export
from .timing import Row, at_least, duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORKERS = 2


def cluster(folder: Path, entities: Path | None, runs: int, *, images: int = 20_000) -> Iterator[Row]:
    """Score maps in turns by one process and by the workers of a cluster that has been started.

    Processor time stands beside the wall clock's, since scheduler and client share the processors with the workers.
    """
    from distributed import Client

    truth, maps = folder / "cluster", folder / "cluster.npz"
    write_export(maps, truth, write_entities(truth, images, entities))
    local = local_cluster(WORKERS)
    client = Client(local, set_as_default=False)

    def work(options: Options) -> str:
        return score(maps, truth, protocol=Protocol(missing="skip"), options=options).to_json()

    def processors() -> float:
        return time.process_time() + float(sum(client.run(time.process_time).values()))

    chosen = (
        Options(engine="dask", scheduler=local.scheduler_address, jobs=WORKERS),
        Options(engine="serial", jobs=1),
    )
    if work(chosen[0]) != work(chosen[1]):  # also the round that is not counted, which leaves an index
        raise AssertionError("a cluster changes the result")
    wall: list[list[float]] = [[], []]
    used: list[list[float]] = [[], []]
    for _ in range(runs):
        for taken, cpu, options in zip(wall, used, chosen, strict=True):
            before, start = processors(), time.perf_counter()
            work(options)
            taken.append(time.perf_counter() - start)
            cpu.append(processors() - before)
    client.close()
    local.close()
    ours, theirs = map(statistics.median, wall)
    cpu_ours, cpu_theirs = map(statistics.median, used)
    yield Row(
        f"Dask, {WORKERS} workers, {images * SENTENCES:,} captions",
        duration(ours),
        "one process",
        duration(theirs),
        statistics.median(b / a for a, b in zip(*wall, strict=True)),
        at_least(1.7),
    )
    yield Row("- processor time", duration(cpu_ours), "one process", duration(cpu_theirs), cpu_ours / cpu_theirs, None)
    shutil.rmtree(truth)
    maps.unlink()
