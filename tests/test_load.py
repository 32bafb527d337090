"""A few of the trials of `load.py`, which does as many as are asked for."""

from __future__ import annotations

import random
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from load import KINDS, Stage, can_mount, together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - any will do


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    built = Stage.built(tmp_path_factory.mktemp("load"))
    with built.ends:
        yield built


def test_many_runs_share_a_cache_and_a_folder(stage: Stage, tmp_path: Path) -> None:
    assert list(together(stage, tmp_path, chance(0), runs=6)) == []


@pytest.mark.parametrize("kind", ["killed", "full"])
def test_runs_that_are_killed_or_find_a_full_disk(stage: Stage, tmp_path: Path, kind: str) -> None:
    if kind == "full" and not can_mount():
        pytest.skip("no disk can be mounted here")
    assert list(KINDS[kind](stage, tmp_path, chance(1))) == []


@pytest.mark.extras
@pytest.mark.parametrize("kind", ["workers", "command-workers", "scheduler"])
def test_clusters_that_fail(stage: Stage, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # it is put back
    if find_spec("distributed") is None:
        pytest.skip("there is no dask.distributed")
    assert list(KINDS[kind](stage, tmp_path, chance(2))) == []
