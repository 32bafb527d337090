"""`attneval score` with maps and similarities, `inspect --joint`, and the words that `explain` knows of them."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from commands import attneval
from here import Here
from results import FIXTURES

from attneval.metrics.faithfulness import TERMS as OF_FAITHFULNESS
from attneval.results.items import ItemTable
from attneval.results.joint import CELLS, TERMS
from attneval.storage.archive import Archive
from attneval.storage.npz import write_npz

if TYPE_CHECKING:
    from pathlib import Path

GT = FIXTURES / "entities"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result with items, in every format."""
    root = tmp_path_factory.mktemp("joint")
    files = [part for suffix in ("csv", "md", "txt") for part in ("-o", f"r.{suffix}")]
    done = attneval("score", FIXTURES / "noisy.npz", "--gt", GT, "-q", "--items", "-o", "r.json", *files, cwd=root)
    assert (done.code, done.err) == (0, "")
    return root


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Here:
    return Here(capsys, monkeypatch, folder)


def test_every_format_says_the_same(folder: Path) -> None:
    joint = json.loads((folder / "r.json").read_text("utf-8"))["joint"]
    for suffix in ("md", "txt"):
        text = (folder / f"r.{suffix}").read_text("utf-8").replace("\N{MINUS SIGN}", "-")
        assert "Attending right and retrieving right, shares in" in text
        for side in ("captions", "images"):
            view = joint[side]
            assert f"{side} ({view['rho']['n']})" in text
            assert f"{view['rho']['value']:.2f}" in text
            assert f"{100 * view['table']['attended_only']['value']:.1f}" in text
    with (folder / "r.csv").open(encoding="utf-8") as file:
        lines = {(line["group"], line["metric"]): line for line in csv.DictReader(file)}
    for side in ("captions", "images"):
        line = lines[f"joint:{side}", "rho"]
        assert float(line["value"]) == joint[side]["rho"]["value"]
        assert [float(line["ci_low"]), float(line["ci_high"])] == joint[side]["rho"]["ci"]
        for cell in CELLS:
            assert float(lines[f"joint:{side}", cell]["value"]) == joint[side]["table"][cell]["value"]


def test_captions_that_are_retrieved_right_but_attended_wrong(here: Here, folder: Path) -> None:
    table = ItemTable.load(folder / "r.items.npz")
    assert table.caption_lift is not None
    assert table.caption_rank is not None
    expected = [
        (float(table.caption_lift[row]), row)
        for row in range(len(table.caption_lift))
        if table.caption_lift[row] <= 0 and table.caption_rank[row] == 1
    ]
    assert expected
    listed = json.loads(here("inspect", "r.json", "--joint", "-f", "json").out)
    assert [entry["lift"] for entry in listed] == [lift for lift, _ in sorted(expected)]
    for entry, (_, row) in zip(listed, sorted(expected), strict=True):
        assert entry["text"] == table.caption_text[row]
        assert len(entry["items"]) == int((table.item_caption == row).sum())
    shown = here("inspect", "r.json", "--joint").out
    assert f"{len(expected)} of {len(expected)} captions shown" in shown
    assert f"{listed[0]['caption']}  rank 1, lift {100 * listed[0]['lift']:.1f}" in shown
    lines = here("inspect", "r.json", "--joint", "-f", "csv").out.splitlines()
    assert lines[0] == "caption,text,rank,lift"
    assert len(lines) == 1 + len(expected)
    share = json.loads((folder / "r.json").read_text("utf-8"))["joint"]["captions"]
    assert share["table"]["retrieved_only"]["value"] * share["rho"]["n"] == pytest.approx(len(expected))


def test_filters_choose_captions_by_their_items(here: Here) -> None:
    every = json.loads(here("inspect", "r.json", "--joint", "-f", "json").out)
    image = every[0]["caption"].partition("#")[0]
    word = every[0]["items"][0]["words"]
    assert json.loads(here("inspect", "r.json", "--joint", "--image", image, "--word", word, "-f", "json").out)
    assert json.loads(here("inspect", "r.json", "--joint", "--word", "nobody-says-this", "-f", "json").out) == []
    assert "0 of 0 captions shown" in here("inspect", "r.json", "--joint", "--word", "nobody-says-this").out


def test_what_it_cannot_do_is_refused(here: Here, folder: Path) -> None:
    assert "--joint looks at one result" in here.refused("inspect", "r.json", "--joint", "--diff", "r.json")
    attneval("score", FIXTURES / "heads.npz", "--gt", GT, "-q", "--items", "-o", "bare.json", cwd=folder)
    text = here.refused("inspect", "bare.json", "--joint")
    assert "know no ranks" in text
    assert "--similarity" in text


@pytest.mark.parametrize("name", ["caption_lift", "caption_rank"])
def test_a_column_alone_is_damage(here: Here, folder: Path, name: str) -> None:
    archive = Archive(folder / "r.items.npz")
    members = {member: np.array(archive.array(member)) for member in archive.names if member != name}
    with (folder / "half.items.npz").open("wb") as file:
        write_npz(file, members)
    assert "stand without one another" in here.refused("inspect", "half.items.npz", "--joint")


@pytest.mark.parametrize("term", [*TERMS, *OF_FAITHFULNESS])
def test_every_new_word_can_be_explained(here: Here, term: str) -> None:
    done = here("explain", term)
    assert done.code == 0
    assert " ".join(done.out.split()) == f"{term}: {(TERMS | OF_FAITHFULNESS)[term]}"


def test_a_near_miss_is_suggested(here: Here) -> None:
    assert "did you mean" in here.refused("explain", "retrieved_onl")
