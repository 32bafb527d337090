from __future__ import annotations

from attneval.training.run.progress import Progress


def test_means_of_an_epoch() -> None:
    progress = Progress()
    progress.add({"loss": 1.0}, {})
    progress.add({"loss": 2.0, "ccr": 0.5}, {"peak": 0.25})
    assert (progress.step, progress.steps, progress.epoch) == (2, 2, 0)
    assert progress.next_epoch() == {"loss": 1.5, "ccr": 0.25, "peak": 0.25}
    progress.add({"loss": 4.0}, {"peak": 1.0})
    progress.add({"loss": 4.0}, {"peak": 0.5, "keys": 3.0})
    assert progress.next_epoch() == {"loss": 4.0, "peak": 0.75, "keys": 3.0}
    assert (progress.step, progress.steps, progress.epoch) == (0, 4, 2)
