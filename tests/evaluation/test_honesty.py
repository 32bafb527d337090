"""What keeps numbers from misleading, where it is no more than what is shown, asked for and documented."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from commands import ROOT
from exports import assert_says
from here import Here
from results import FIXTURES
from worlds import make_world

from attneval.export import image_ids, lint_boxes, lint_weights, lints

if TYPE_CHECKING:
    from pathlib import Path

GT = FIXTURES / "entities"


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


@pytest.fixture
def files(here: Here, tmp_path: Path) -> Path:
    for name in ("good", "noisy"):
        done = here("score", FIXTURES / f"{name}.npz", "--gt", GT, "-q", "--resamples", "200", "-o", f"{name}.json")
        assert done.code == 0, done.err
    return tmp_path


def test_lifts_stand_in_the_headline_with_intervals_in_comparisons_and_in_gates(here: Here, files: Path) -> None:
    shown = here("score", FIXTURES / "good.npz", "--gt", GT, "-q", "--resamples", "200").out
    for title in ("F1 above even attention", "AP above even attention"):
        (row,) = (line for line in shown.splitlines() if line.startswith(title))
        assert re.search(r"\[-?\d+\.\d, -?\d+\.\d\]", row)
    values = json.loads((files / "good.json").read_text("utf-8"))
    for lift, name in (("f1_lift", "f1"), ("ap_lift", "ap")):
        floor = values["baselines"]["uniform"][name]["value"]
        assert values["metrics"][lift]["value"] == pytest.approx(values["metrics"][name]["value"] - floor, abs=1e-9)
    compared = here("compare", "noisy.json", "good.json", "--resamples", "50").out
    assert_says(compared, "f1_lift", "ap_lift")
    lift = values["metrics"]["f1_lift"]["value"]
    assert here("gate", "good.json", "--min", f"f1_lift={lift - 0.01}").code == 0
    assert here("gate", "good.json", "--min", f"f1_lift={lift + 0.01}").code == 1
    drop = ("--baseline", "good.json", "--max-drop", "ap_lift=0.001")
    assert here("gate", "noisy.json", *drop).code == 1


@pytest.mark.parametrize(("kind", "overlap"), [("grid", "iof"), ("tiles", "iof"), ("regions", "iou")])
def test_what_was_taken_for_auto_is_said_and_scored(here: Here, tmp_path: Path, kind: str, overlap: str) -> None:
    world = make_world(9, images=3, grid=kind == "grid", tiles=kind == "tiles")
    world.packed(tmp_path / "maps.npz")
    world.entities(tmp_path / "gt")
    results = []
    for flags in ((), ("--overlap", overlap)):
        done = here("score", "maps.npz", "--gt", "gt", "-q", "--resamples", "0", "-f", "json", *flags)
        assert done.code == 0, done.err
        results.append(json.loads(done.out))
    assert results[0]["metrics"] == results[1]["metrics"]
    assert f"|overlap:{overlap}|" in results[0]["signature"]


def test_every_example_says_what_rows_sum_to() -> None:
    """Without it row sums cannot be checked."""
    examples = 0
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for call in re.findall(r"(?:ExportWriter|AttentionMetrics|np\.savez)\((?:[^()]|\([^()]*\))*\)", block):
                if "attn=" in call or "np.savez" not in call:
                    examples += 1
                    assert "normalised_over" in call, f"{page.name}: {call}"
    assert examples >= 5


def test_the_thresholds_of_lints_are_documented() -> None:
    """The page and the code say the same numbers."""
    page = (ROOT / "docs" / "export-format.md").read_text("utf-8").partition("### What looks wrong")[2]
    rows = {row.split("|")[1].strip().rstrip(" *"): row for row in page.splitlines() if row.startswith("| ")}

    def row(start: str) -> str:
        (found,) = (text for name, text in rows.items() if name.startswith(start))
        return found

    assert_says(row("boxes relative"), f"0..{lint_boxes.RELATIVE}", f"{lint_boxes.LEAST_BOXES} boxes")
    sizes = ", ".join(map(str, lint_boxes.INPUT_SIZES[:-1]))
    shares = (f"{100 * (1 - lint_boxes.REACHES):.0f} %", f"{100 * (lint_boxes.LARGER - 1):.0f} %")
    least = f"{lint_boxes.LEAST_IMAGES} images"
    assert_says(row("boxes in pixels"), f"{sizes} or {lint_boxes.INPUT_SIZES[-1]}", *shares, least)
    assert_says(row("boxes of a smaller"), f"{100 * lint_boxes.HALF:.0f} %", least)
    assert_says(row("boxes counted from 1"), f"{100 * lint_boxes.ONE_BASED:.0f} %", str(lint_boxes.LEAST_IMAGES))
    assert_says(row("ids that are names"), f"{image_ids.LEAST_IDS} images")
    assert_says(row("sigmoids"), f"{lint_weights.LEAST_ROWS} rows", "a quarter")
    assert lint_weights.SPREAD == 1 / 4
    assert_says(row("rows without weight"), f"{100 * lint_weights.ZERO_ROWS:.0f} %", f"{lint_weights.LEAST_ROWS} rows")
    far = f"{100 * lint_weights.FAR_BELOW:.0f} %"
    assert_says(row("a distance"), far, f"{lint_weights.LEAST_QUERIES} captions")
    repeated = (f"{lint_weights.LEAST_REPEATED} images", f"{lint_weights.LEAST_QUERIES} captions")
    assert_says(row("repeated images"), *repeated)
    items = f"{lints.LEAST_ITEMS} items of {lints.LEAST_IMAGES} images"
    assert_says(row("maps of other captions"), str(lints.SPECIFIC), items)
    assert_says(row("a grid that is transposed"), "a half", "four", str(lints.SPECIFIC), items)
    assert (lints.BETTER, lints.SURE) == (1.5, 4)
    assert_says(page, f"{lint_weights.SAMPLE} captions and {lint_weights.SAMPLE} images")
