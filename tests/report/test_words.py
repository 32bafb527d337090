"""Every word that a table shows is explained: heads of columns and names of rows, of every command's tables."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from here import Here
from results import scored

import attneval
from attneval.config.breakdowns import BREAKDOWNS
from attneval.config.protocol import Protocol
from attneval.metrics.registry import metrics
from attneval.report.compare import compare_page
from attneval.report.curve import curve_page
from attneval.report.gate import gate_page
from attneval.report.glossary import GLOSSARY, OTHER_FORMS, folded
from attneval.report.heads import heads_page
from attneval.report.inspect import inspect_page
from attneval.report.score import score_page
from attneval.report.table import Page, Table
from attneval.results.heads import rank_heads
from attneval.results.items import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
QUICK = attneval.Options(resamples=50)
NAMED = ("Attention", "Retrieval", "By phrase type", "By the share", "By words", "What errors cost")
"""Beginnings of the titles of tables whose rows have names of ours; those of others are of systems and channels."""


def pages() -> dict[str, Page]:
    """A page of every command that prints tables of results."""
    good, noisy = scored("good"), scored("noisy")
    heads = attneval.score(FIXTURES / "heads.npz", FIXTURES / "entities", options=QUICK)
    sure = attneval.score(FIXTURES / "good.npz", FIXTURES / "entities", options=QUICK)
    drops = attneval.gate(sure, ["f1 drops by at most 0.01", "ap >= 0.1"], sure, only_significant=True)
    assert good.items is not None
    return {
        "score": score_page(sure),
        "channels": score_page(heads),
        "compare": compare_page(attneval.compare([good, noisy], trials=9, resamples=9)),
        "gate": gate_page(drops),
        "curve": curve_page([good, noisy]),
        "heads": heads_page(rank_heads(heads)),
        "inspect": inspect_page(good.items, [0, 1]),
    }


def words(page: Page) -> set[str]:
    """The heads of its columns, the names of its rows where they are ours, and what begins the lines below."""
    found = {line.split(":")[0] for line in page.lines if re.match(r"(note|signature|short):", line)}
    for table in page.tables:
        if isinstance(table, Table):
            found |= set(table.header)
            if table.title.startswith(NAMED) and "channel by channel" not in table.title:
                found |= {row.cells[0].text for row in table.rows}
    # A letter is a system's, a number a count of words.
    return {word.partition(" at ")[0].strip() for word in found if not re.fullmatch(r"|[a-z]|\d", word.strip())}


def unexplained(here: Here, names: Iterable[str]) -> list[str]:
    return [name for name in sorted(set(names)) if here("explain", name).code]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch, ROOT)


def test_every_word_of_every_table_is_explained(here: Here) -> None:
    shown = {name: words(page) for name, page in pages().items()}
    assert {"uniform", "oracle", "F1 lift", "floor", "signature", "small (< 5 %)", "image to text"} <= shown["score"]
    assert {"Channel", "p (Holm)", "win/tie/loss", "verdict", "area under P/R", "odd half"} <= set().union(
        *shown.values()
    )
    for name, found in shown.items():
        assert unexplained(here, found) == [], name


def test_settings_and_the_machine_have_no_unknown_head(here: Here) -> None:
    for command in ("config", "doctor"):
        head, _, first, *rest = here(command).out.splitlines()[1:]
        # Under the table stand the hints for what is missing.
        rows = list(itertools.takewhile(str.strip, [first, *rest])) if command == "doctor" else []
        assert unexplained(here, [*head.split(), *(row.split()[0] for row in rows if not row.startswith("-"))]) == []


def test_names_that_no_table_of_the_fixtures_shows(here: Here) -> None:
    names = [*KINDS, *(metric.label for metric in metrics()), *(metric.title for metric in metrics())]
    names += [breakdown.header for breakdown in BREAKDOWNS.values()]
    names += [group for breakdown in BREAKDOWNS.values() for group in breakdown.groups if not group.isdigit()]
    names += [value for field in Protocol.choices() for value in field.metadata.get("choices", ())]
    assert unexplained(here, [*names, *OTHER_FORMS]) == []


def test_forms_of_words_lead_to_words_and_are_none() -> None:
    assert set(OTHER_FORMS.values()) <= set(GLOSSARY)
    forms = [folded(name) for name in (*GLOSSARY, *OTHER_FORMS)]
    assert len(forms) == len(set(forms))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("uniform", ("uniform: A floor", "threshold rule")),
        ("center", ("A floor", "a value of overlap", "a value of pointing")),
        ("unreachable", ("skip | zero", "Items without a relevant region")),
        ("LIFT", ("lift: ",)),
        ("attention f1", ("f1: Attention F1",)),
        ("f1,ap", ("f1: Attention F1", "ap: Average precision")),
        ("small (< 5 %)", ("small: ", "5 %")),
        ("mean of 10", ("mean of: ",)),
    ],
)
def test_all_meanings_are_said(here: Here, name: str, parts: tuple[str, ...]) -> None:
    done = here("explain", *name.split(" "))
    assert done.code == 0, done.err
    assert all(part in " ".join(done.out.split()) for part in parts)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("attention_f1", "f1"),
        ("recall@1", "r@1 or i2t_r@1 or t2i_r@1"),
        ("orcale", "oracle"),
        ("signatur", "signature"),
    ],
)
def test_near_misses_are_suggested(here: Here, name: str, meant: str) -> None:
    assert f"did you mean {meant}?" in here.refused("explain", name)
