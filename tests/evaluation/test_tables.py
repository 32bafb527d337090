"""Whole scorings are the same, to the last bit, whether sets are held against rows as tables or pair by pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from attneval import Options, Protocol, score
from attneval.evaluation import item_hits

FIXTURES = Path(__file__).parents[2] / "fixtures"
PROTOCOLS = (
    Protocol(),
    Protocol(threshold="top:5", unreachable="zero"),
    Protocol(unit="phrase", threshold="mass:0.5", overlap="center", pointing="center"),
)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("export", ["good", "noisy", "uniform"])
def test_tables_change_nothing(monkeypatch: pytest.MonkeyPatch, protocol: Protocol, export: str) -> None:
    made = []
    for pays in (0.01, 10**9):
        monkeypatch.setattr(item_hits, "PAYS", pays)
        options = Options(resamples=0, cache=False)
        made.append(
            score(FIXTURES / f"{export}.npz", FIXTURES / "entities", protocol=protocol, options=options).to_json()
        )
    assert made[0] == made[1]
