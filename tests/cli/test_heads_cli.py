"""`attneval heads` and `--channel`: on terminals, in files, and what they refuse."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING

import pytest
from commands import attneval, on_terminal
from here import Here
from results import FIXTURES

from attneval import Options, score
from attneval.export.read.reader import open_export
from attneval.report.score import score_page
from attneval.report.table import Table
from attneval.statistics.halves import EVEN, in_half

if TYPE_CHECKING:
    from pathlib import Path

EXPORT, GT = FIXTURES / "heads.npz", FIXTURES / "entities"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of twenty heads, and the ranking of those."""
    root = tmp_path_factory.mktemp("heads")
    done = attneval("score", EXPORT, "--gt", GT, "-q", "-o", "r.json", cwd=root)
    assert (done.code, done.err) == (0, "")
    files = [part for suffix in ("json", "csv", "tex", "md", "txt") for part in ("-o", f"h.{suffix}")]
    done = attneval("heads", EXPORT, "--gt", GT, "--top", "3", "-q", *files, cwd=root)
    assert (done.code, done.err) == (0, "")
    return root


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Here:
    return Here(capsys, monkeypatch, folder)


def test_the_files_say_the_same(folder: Path) -> None:
    values = json.loads((folder / "h.json").read_text())
    assert values["metric"] == "f1_lift"
    assert values["chosen_on"] == {"half": "even", "images": 15}
    assert values["reported_on"] == {"half": "odd", "images": 15}
    assert len(values["channels"]) == 20
    rows = list(csv.DictReader((folder / "h.csv").read_text().splitlines()))
    assert len(rows) == 21
    for row, (key, head) in zip(rows, values["channels"].items(), strict=False):
        assert (f"{row['channel']}/t2i", int(row["rank"])) == (key, head["rank"])
        assert float(row["even"]) == head["even"]["value"]
        assert (float(row["odd_low"]), float(row["odd_high"])) == tuple(head["odd"]["ci"])
        assert float(row["optimism"]) == head["optimism"] == head["even"]["value"] - head["odd"]["value"]
        assert float(row["pointing"]) == head["metrics"]["pointing"]["value"]
        assert row["image_mass"] == ""
        assert head["image_mass"] is None
    evens = [head["even"]["value"] for head in values["channels"].values()]
    assert evens == sorted(evens, reverse=True)
    assert values["top"]["channels"] == list(values["channels"])[:3]
    assert (rows[-1]["channel"], float(rows[-1]["odd"])) == ("top:3", values["top"]["odd"]["value"])
    latex = (folder / "h.tex").read_text()
    assert latex.count(r"\\") == 14
    assert r"\textbf{" in latex
    assert "The best 10 of 20 channels" in (folder / "h.md").read_text()


def test_floors_stand_beside_what_heads_score(folder: Path) -> None:
    """Of attention that is the same for all heads, on the very images that heads are reported on."""
    floors = json.loads((folder / "h.json").read_text())["floors"]
    assert set(floors) == {"uniform", "center"}
    export = open_export(EXPORT)
    odd = [name for name, even in zip(export.image_id, in_half(export.image_id, EVEN), strict=True) if not even]
    (folder / "odd.txt").write_text("\n".join(odd))
    result = score(EXPORT, GT, split=folder / "odd.txt", options=Options(resamples=0, cache=False))
    for floor, table in floors.items():
        assert {"precision", "recall", "f1", "pointing", "mass"} <= set(table)
        for name, said in table.items():
            assert said["value"] == pytest.approx(result.scores.baselines[floor][name].value, abs=1e-9), (floor, name)
    lines = (folder / "h.txt").read_text().splitlines()
    (row,) = (line for line in lines if line.lstrip().startswith("uniform attention"))
    assert f"{100 * floors['uniform']['pointing']['value']:.1f}" in row
    whole = score(EXPORT, GT, options=Options(resamples=0, cache=False))
    (shown,) = (t for t in score_page(whole).tables if isinstance(t, Table) and "channel by channel" in t.title)
    row_of = {row.cells[0].text: dict(zip(shown.header, row.cells, strict=True)) for row in shown.rows}
    for floor in ("uniform", "center"):
        for label, name in (("pointing", "pointing"), ("mass", "mass"), ("precision", "precision")):
            value = whole.scores.baselines[floor][name].value
            assert value is not None
            assert row_of[f"{floor} attention"][label].text == f"{100 * value:.1f}"


def test_a_result_ranks_as_its_export_does(here: Here, folder: Path) -> None:
    values = json.loads((folder / "h.json").read_text())
    stored = json.loads(here("heads", "r.json", "-f", "json").out)
    assert stored["top"] is None
    assert list(stored["channels"]) == list(values["channels"])
    for key, head in stored["channels"].items():
        assert head == values["channels"][key]
    by_pointing = json.loads(here("heads", "r.json", "-f", "json", "-m", "pointing").out)
    assert list(by_pointing["channels"]) != list(values["channels"])


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_map_and_the_table_fit_the_terminal(folder: Path, columns: int) -> None:
    done = on_terminal("heads", "r.json", columns=columns, cwd=folder)
    assert (done.code, done.err) == (0, "")
    text = ESCAPES.sub("", done.out)
    assert max(map(len, text.splitlines())) <= columns
    lines = text.splitlines()
    # The best head of all, where it stands.
    (row,) = [line for line in lines if line.startswith("L3  ")]
    assert row.split()[2] == "1"
    shown = [line for line in lines if re.match(r" ?\d+  L\dH\d ", line)]
    assert len(shown) == 10
    assert "The best 10 of 20 channels" in text
    assert ("no room for" in text) == (columns < 200)


def test_an_ascii_locale_gets_ascii(folder: Path) -> None:
    done = on_terminal(
        "heads", "r.json", columns=80, cwd=folder, LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )
    assert done.out.isascii()
    assert attneval("heads", "r.json", cwd=folder).out.isascii()


def test_many_channels_have_no_headline_unless_it_is_asked_for(folder: Path) -> None:
    plain = attneval("score", EXPORT, "--gt", GT, cwd=folder).out
    assert "best 10 of 20 channels" in plain
    assert plain.count("/t2i") == 10
    assert "Attention Precision" not in plain
    assert "By phrase type" not in plain
    assert "the headline is the mean of the maps of 20 channels" in plain
    mean = attneval("score", EXPORT, "--gt", GT, "--channel", "all", cwd=folder).out
    assert "Attention Precision" in mean
    assert "By phrase type" in mean
    assert "best 10 of 20 channels" in mean
    one = attneval("score", EXPORT, "--gt", GT, "--channel", "L3H1", cwd=folder).out
    assert "Attention of heads L3H1" in one
    assert "By phrase type" in one
    assert "channel L3H1 alone, one of 20" in one
    assert "/t2i" not in one


def test_channels_are_gated_and_compared(here: Here) -> None:
    assert here("gate", "r.json", "--channel", "L3H1", "--min", "f1=0.4").code == 0
    assert here("gate", "r.json", "--channel", "L0H0", "--min", "f1=0.4").code == 1
    stored = here("compare", "r.json", "r.json", "--channel", "L3H1", "-f", "json", "-m", "f1_lift")
    scored = here("compare", EXPORT, EXPORT, "--gt", GT, "--channel", "L3H1", "-f", "json", "-m", "f1_lift")
    values = [json.loads(done.out)["metrics"]["f1_lift"]["value"].values() for done in (stored, scored)]
    assert len({value for row in values for value in row}) == 1


def test_a_baseline_of_many_channels_keeps_them(here: Here, folder: Path) -> None:
    done = here("gate", "r.json", "--baseline", "b.json", "--update-baseline", "--channel", "L3H1")
    assert done.code == 0
    assert (folder / "b.channels.npz").read_bytes() == (folder / "r.channels.npz").read_bytes()
    rules = ("--max-drop", "f1_lift=0.0", "--baseline", "b.json")
    assert here("gate", "r.json", *rules, "--channel", "L2H1").code == 0


def test_curves_and_items_of_one_channel(here: Here, folder: Path) -> None:
    maps = ("--attn", EXPORT, "--gt", GT)
    refused = here.refused("curve", "r.json", "--channel", "L3H1")
    assert "keeps no curve of channel L3H1" in refused
    now = here("curve", "r.json", "--channel", "L3H1", *maps, "-f", "csv")
    assert now.code == 0
    done = here("score", EXPORT, "--gt", GT, "--channel", "L3H1", "--items", "-q", "-o", "one.json")
    assert done.code == 0
    assert here("curve", "one.json", "--channel", "L3H1", "-f", "csv").out == now.out
    assert "has the items of the mean" in here.refused("inspect", "r.json", "--channel", "L3H1")
    worst = here("inspect", "r.json", "--channel", "L3H1", *maps, "-f", "json")
    assert worst.out == here("inspect", "one.json", "--channel", "L3H1", "-f", "json").out
    pytest.importorskip("PIL")
    drawn = here("inspect", "one.json", "--channel", "L3H1", *maps, "-n", "1", "-o", folder / "drawn")
    assert (drawn.code, len(list((folder / "drawn").iterdir()))) == (0, 1)


def test_refusals_name_the_way_out(here: Here) -> None:
    assert "did you mean L3H1" in here.refused("gate", "r.json", "--channel", "L33H1", "--min", "f1=0.1")
    assert "none of the 20" in here.refused("score", EXPORT, "--gt", GT, "--channel", "nothing")
    assert "write top:2@half" in here.refused("score", EXPORT, "--gt", GT, "--channel", "top:2")
    assert "--top takes the mean of maps" in here.refused("heads", "r.json", "--top", "2")
    assert "would change nothing" in here.refused("heads", "r.json", "--iou", "0.4")
    assert "pass --gt" in here.refused("heads", EXPORT)
    assert "one channel" in here.refused("heads", FIXTURES / "good.npz", "--gt", GT)
    assert "is not measured of single channels" in here.refused("heads", EXPORT, "--gt", GT, "-m", "specificity")
    assert "\\x1b" in here.refused("gate", "r.json", "--channel", "\x1b[31m", "--min", "f1=0.1")
    assert "--attn is for the channel of one result" in here.refused("curve", "r.json", "--attn", EXPORT, "--gt", GT)
