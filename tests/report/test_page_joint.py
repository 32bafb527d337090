"""The page's sections on attending and retrieving, and on faithfulness."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import pytest
from worlds import make_world

from attneval import Options, Result, score

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("jinja2")
from attneval.report.html.page import page_of, render
from attneval.report.score import score_page

DATA = re.compile(r'<data value="([^"]+)" data-from="([^"]+)"')


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    world, root = make_world(12, images=8, captions=3), tmp_path_factory.mktemp("world")
    return score(
        world.packed(root / "m.npz"), world.entities(root / "t.zip"), options=Options(resamples=100, cache=False)
    )


def section(html: str, name: str) -> str:
    start = html.index(f'<section id="{name}"')
    return html[start : html.index("</section>", start)]


@pytest.mark.parametrize("name", ["joint", "faithfulness"])
def test_numbers_are_those_of_the_result(result: Result, name: str) -> None:
    values = result.to_dict()
    found = DATA.findall(section(render(page_of(result)), name))
    assert len(found) >= (2 * (5 + 3 * 4) if name == "joint" else 2 * 4)
    for text, pointer in found:
        place: Any = values
        for key in pointer.strip("/").split("/"):
            place = place[int(key)] if isinstance(place, list) else place[key]
        assert float(text) == place


def test_sections_without_data_are_left_out(result: Result) -> None:
    sums = result.scores.sums
    columns = {name: column for name, column in sums.columns.items() if "gap" not in name}
    metrics = {name: value for name, value in result.metrics.items() if "gap" not in name}
    scores = dataclasses.replace(
        result.scores, metrics=metrics, sums=dataclasses.replace(sums, columns=columns, ranks=sums.ranks)
    )
    html = render(page_of(dataclasses.replace(result, joint=None, scores=scores)))
    assert 'id="joint"' not in html
    assert 'id="faithfulness"' not in html


def test_tables_say_the_same(result: Result) -> None:
    titles = {table.title: table for table in score_page(result).tables}
    faithful = titles["Faithfulness, in %"]
    assert [row.cells[0].text for row in faithful.rows] == ["Deletion gap", "Insertion gap"]  # type: ignore[union-attr]
    assert "Attending right and retrieving right, shares in %" in titles


def test_faithfulness_alone_is_a_page(result: Result, tmp_path: Path) -> None:
    world = make_world(3, images=4).attention_alone()
    alone = score(world.packed(tmp_path / "m.npz"), options=Options(resamples=50, cache=False))
    assert set(alone.metrics) == {"deletion_gap", "insertion_gap"}
    assert [table.title for table in score_page(alone).tables] == ["Faithfulness, in %"]
    assert 'id="faithfulness"' in render(page_of(alone))
    assert result.joint is not None
