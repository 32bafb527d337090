"""Exports of signed maps that say how they are read are scored without a flag, and the result says how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from annotations import annotation, thing, write_entities

from attneval import ExportWriter, Options, Protocol, score
from attneval.errors import ProtocolError
from attneval.evaluation.fit import look_at_fit

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Options(resamples=0)


@pytest.fixture
def gt(tmp_path: Path) -> Path:
    boxes = annotation(thing("1", (1, 1, 50, 80)), width=100, height=80)
    return write_entities(tmp_path / "gt", {"1": (boxes, "[/EN#1/people A man] rides .\n")})


def signed(path: Path, kind: str = "similarity", **about: Any) -> Path:
    with ExportWriter(path, kind=kind, **about) as out:
        out.add_image("1", size=(100, 80), boxes=[[0, 0, 50, 80], [50, 0, 100, 80]])
        weights = np.array([[0.5, -0.25], [0.25, -0.5], [-0.1, -0.2], [-0.2, -0.1]], np.float32)
        out.add_caption("1", weights, index=0, tokens=["A", "man", "rides", "."])
    return path


@pytest.mark.parametrize("kind", ["similarity", "logit"])
@pytest.mark.parametrize("normalize", ["minmax", "softmax"])
def test_rows_are_read_as_the_export_says(tmp_path: Path, gt: Path, kind: str, normalize: str) -> None:
    stating = score(signed(tmp_path / "a.npz", kind, normalize=normalize), gt, options=QUICK)
    asked = score(signed(tmp_path / "b.npz", kind), gt, protocol=Protocol(normalize=normalize), options=QUICK)
    assert stating.protocol == asked.protocol
    assert stating.signature == asked.signature
    assert stating["f1"]
    assert stating["f1"] == asked["f1"]
    assert any(f"maps are signed ({kind}); rows are read with normalize={normalize}" in note for note in stating.notes)
    assert not any("signed" in note for note in asked.notes)


def test_what_is_asked_for_comes_first(tmp_path: Path, gt: Path) -> None:
    path = signed(tmp_path / "a.npz", normalize="minmax")
    result = score(path, gt, protocol=Protocol(normalize="softmax"), options=QUICK)
    assert result.protocol.normalize == "softmax"


def test_maps_that_say_nothing_are_refused_as_before(tmp_path: Path, gt: Path) -> None:
    for about in ({}, {"normalize": "sum"}, {"normalize": 3}):
        with pytest.raises(ProtocolError, match="has negative weights"):
            score(signed(tmp_path / "a.npz", **about), gt, options=QUICK)
    with pytest.raises(ProtocolError, match="has negative weights"):
        score(signed(tmp_path / "a.npz", "relevance", normalize="minmax"), gt, options=QUICK)


def test_validation_against_annotations_reads_them_the_same_way(tmp_path: Path, gt: Path) -> None:
    assert look_at_fit(signed(tmp_path / "a.npz", normalize="minmax"), gt).problems == []
