"""The drawings of docs/experiments.md are those of the records, and show what they are said to show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from training.semantic import DOCS, FOLDER, RECORDS, RUNS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_drawings_are_those_of_the_records(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DOCS / "experiments" / "curves.py"), str(RECORDS), str(tmp_path)], check=True)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in FOLDER.glob("*.svg")}
    parts = {training["part"] for run in RUNS for training in run["training"]}
    assert set(drawn) == {f"curves-{part}.svg" for part in parts}
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
    assert set(re.findall(r"curves-[\w-]+\.svg", page)) == set(drawn)


def test_a_drawing_by_hand(tmp_path: Path) -> None:
    """A line is as far as the shortest training goes, higher where the mean over seeds is larger."""
    trainings = [
        {"part": "saf", "untrained": {"f1": 0.0}, "epochs": [{"f1": 0.2}, {"f1": 0.1}]},
        {"part": "saf", "untrained": {"f1": 0.2}, "epochs": [{"f1": 0.4}]},
    ]
    runs = [{"constraints": "a<b", "training": [training]} for training in trainings]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs))
    script = str(DOCS / "experiments" / "curves.py")
    subprocess.run([sys.executable, script, str(tmp_path / "runs.jsonl"), str(tmp_path)], check=True)
    drawing = ET.fromstring((tmp_path / "curves-saf.svg").read_text())  # noqa: S314
    texts = list(drawing.iter("{http://www.w3.org/2000/svg}text"))
    assert "a<b, 2 seeds" in [text.text for text in texts]
    (line,) = [path.get("d", "") for path in drawing.iter("{http://www.w3.org/2000/svg}path") if path.get("fill")]
    (x0, y0), (x1, y1) = (map(float, point.split()) for point in line.removeprefix("M").split("L"))
    assert x0 < x1
    ticks = {text.text: float(text.get("y", "")) - 3.5 for text in texts if text.get("text-anchor") == "end"}
    assert list(ticks) == ["10", "20", "30"]
    assert y0 == pytest.approx(ticks["10"])
    assert y1 == pytest.approx(ticks["30"])


def test_a_drawing_is_as_high_as_what_was_not_taught(tmp_path: Path) -> None:
    """The taught line leaves its panel, which says how far it goes; where it is no higher nothing is said."""
    texts = []
    for taught in (0.9, 0.15):
        runs = [
            {"constraints": cell, "training": [{"part": "saf", "untrained": {"f1": 0.0}, "epochs": [{"f1": value}]}]}
            for cell, value in (("none", 0.2), ("supervised", taught))
        ]
        (tmp_path / "runs.jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs))
        script = str(DOCS / "experiments" / "curves.py")
        subprocess.run([sys.executable, script, str(tmp_path / "runs.jsonl"), str(tmp_path)], check=True)
        drawing = ET.fromstring((tmp_path / "curves-saf.svg").read_text())  # noqa: S314
        found = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
        ticks = [text for text in found if text in {"0", "10", "20", "50", "90"}]
        assert ticks == ["0", "10", "20", "0"]  # the last is an epoch
        texts.append([text for text in found if text and "up to" in text])
    assert texts == [["supervised: up to 90.0"], []]
