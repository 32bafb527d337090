"""Breakdowns are measured when they are looked at, and say what measuring all of them at once says."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import TYPE_CHECKING

import pytest

from attneval import Options, Protocol, score
from attneval.config.presets import PRESETS
from attneval.report import score as report
from attneval.report.score import score_page
from attneval.report.table import Table
from attneval.results.groups import MeasuredGroups, item_counts, some_groups
from attneval.results.scores import Measured
from attneval.statistics import group_draws

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attneval.results.result import Result


def tables(looked_at: list[list[str]], groups: Sequence[str]) -> dict[str, dict[str, Measured]]:
    looked_at.append(list(groups))
    return {name: {"f1": Measured(0.5, len(name))} for name in groups}


def test_some_groups_are_measured_alone_and_all_of_them_once() -> None:
    looked_at: list[list[str]] = []
    groups = MeasuredGroups({"a": 1, "bb": 2, "ccc": 3}, partial(tables, looked_at))
    assert (len(groups), list(groups), "bb" in groups, "d" in groups) == (3, ["a", "bb", "ccc"], True, False)
    assert item_counts(groups) == {"a": 1, "bb": 2, "ccc": 3}
    assert looked_at == []
    assert some_groups(groups, ["ccc", "none", "a"]) == tables([], ["ccc", "a"])
    assert looked_at == [["ccc", "a"]]
    assert groups["bb"]["f1"].n == 2
    assert groups == dict(groups) == tables([], ["a", "bb", "ccc"])
    assert repr(groups) == repr(dict(groups))
    assert some_groups(groups, list(groups)) == dict(groups)
    assert looked_at == [["ccc", "a"], ["a", "bb", "ccc"]]
    with pytest.raises(KeyError):
        groups["d"]
    plain = dict(groups)
    assert item_counts(plain) == item_counts(groups)
    assert some_groups(plain, ["ccc", "none", "a"]) == some_groups(groups, ["ccc", "none", "a"])


@pytest.fixture(scope="module")
def classed(fixtures: Path) -> Result:
    return score(
        fixtures / "noisy.npz", fixtures / "entities", protocol=PRESETS["gvd"].protocol, options=Options(resamples=60)
    )


def test_a_few_groups_have_what_all_have(classed: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    for many in (group_draws.MANY, 0):
        monkeypatch.setattr(group_draws, "MANY", many)
        again = score(
            classed.inputs[0].path,
            classed.inputs[1].path,
            protocol=classed.protocol,
            options=Options(resamples=60, digests=False),
        )
        for kind, groups in again.by.items():
            chosen = list(groups)[::2]
            few = some_groups(groups, chosen)
            assert list(few) == chosen
            for name, table in few.items():
                assert table == groups[name]
                assert table.keys() == classed.by[kind][name].keys()
            floors = again.scores.by_baselines[kind]
            assert some_groups(floors, chosen) == {name: floors[name] for name in chosen}
            assert item_counts(groups) == {name: table["coverage"].n for name, table in groups.items()}


def test_a_page_measures_what_it_shows(classed: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "LONGEST_BREAKDOWN", 5)
    expected = [table for table in score_page(classed).tables if "By category" in table.title]
    assert len(classed.by["category"]) > 5
    fresh = score(
        classed.inputs[0].path, classed.inputs[1].path, protocol=classed.protocol, options=Options(resamples=60)
    )
    looked_at: list[list[str]] = []
    groups = fresh.by["category"]
    assert isinstance(groups, MeasuredGroups)
    measure = groups.measure

    def spied(chosen: Sequence[str]) -> dict[str, dict[str, Measured]]:
        looked_at.append(list(chosen))
        return measure(chosen)

    monkeypatch.setattr(groups, "measure", spied)
    tables_ = [table for table in score_page(fresh).tables if "By category" in table.title]
    assert [len(table.rows) for table in tables_ if isinstance(table, Table)] == [5]
    assert [repr(table) for table in tables_] == [repr(table) for table in expected]
    assert list(map(len, looked_at)) == [5]


def test_results_with_groups_travel(classed: Result) -> None:
    for other in (pickle.loads(pickle.dumps(classed)), copy.deepcopy(classed)):  # noqa: S301 - our own
        assert other.by == classed.by
        assert other.scores.by_baselines == classed.scores.by_baselines
        assert other.to_dict() == classed.to_dict()


def test_no_groups_without_annotated_kinds(fixtures: Path) -> None:
    result = score(fixtures / "good.npz", fixtures / "entities", protocol=Protocol(), options=Options(resamples=0))
    assert set(result.by) == {"type", "area", "length"}
    assert all(measured.ci is None for table in result.by["type"].values() for measured in table.values())
