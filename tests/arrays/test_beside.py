"""Work beside other work: called once, by another thread, and what it raises is raised where it is asked for."""

from __future__ import annotations

import threading

import pytest

from attneval.arrays.beside import Beside


def test_another_thread_does_it_once() -> None:
    threads: list[threading.Thread] = []

    def work() -> int:
        threads.append(threading.current_thread())
        return 7

    beside = Beside(work)
    assert threads == []
    beside.start().start()
    assert [beside.result(), beside.result()] == [7, 7]
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


def test_what_it_raises_is_raised_each_time() -> None:
    def work() -> int:
        raise ValueError("no")

    beside = Beside(work).start()
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            beside.result()
