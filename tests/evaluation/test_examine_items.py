"""Kinds of errors and what they cost, on a world that is small enough to work out by hand."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mistakes import ATTENDED, DOG, ITEMS, MAN, SCENES, WOMAN, items_of, result_of, world
from results import scored

import attneval
from attneval import Protocol
from attneval.report.inspect import inspect_page, inspect_rows, item_name
from attneval.report.plain import render_plain
from attneval.results.error_costs import costs
from attneval.results.items import KINDS, ItemTable

if TYPE_CHECKING:
    from pathlib import Path

    from worlds import Sentence


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ItemTable:
    return items_of(world(), tmp_path_factory.mktemp("world"))


def words(table: ItemTable, item: int, span: str = "item_span") -> str | None:
    """The words of an item's span; None where it has none."""
    start, stop = getattr(table, span)[item].tolist()
    return None if start < 0 else table.caption_text[int(table.item_caption[item])][start:stop]


def kinds(table: ItemTable) -> list[str]:
    return [KINDS[kind] for kind in table.item_kind]


def by_name(table: ItemTable) -> list[tuple[str, str | None, str]]:
    return [(item_name(table, item), words(table, item), KINDS[table.item_kind[item]]) for item in range(len(table))]


# ---------------------------------------------------------------- items


def test_every_kind_of_error(table: ItemTable) -> None:
    assert by_name(table) == [item[:3] for item in ITEMS]
    assert set(kinds(table)) == set(KINDS)


def test_scores_of_items(table: ItemTable) -> None:
    assert table.item_scores.tolist() == pytest.approx(np.array([item[3:6] for item in ITEMS]))
    assert table.scored.tolist() == [item[2] != "unreachable" for item in ITEMS]


def test_what_was_attended_in_its_place(table: ItemTable) -> None:
    assert [words(table, item, "item_other") for item in range(len(table))] == [item[6] for item in ITEMS]


def test_what_was_attended_and_what_was_relevant(table: ItemTable) -> None:
    relevant = {"man": [0, 1], "woman": [2], "dog": [3], "kite": [], "the": [8], "zeppelin": [8], "crowd": [0]}
    for item, (caption, word, *_) in enumerate(ITEMS):
        assert table.members(item, table.attended).tolist() == sorted(ATTENDED[caption][word]), (caption, word)
        assert table.members(item, table.relevant).tolist() == relevant.get(word, [0]), (caption, word)


def test_the_region_with_the_largest_weight(table: ItemTable) -> None:
    first = [0, 0, 2, 3, 0, 2, 4, 2, 2, 0, 8, 0, 0, 0]
    weight = [0.5, 0.5, 1, 1, 1, 0.5, 1, 1, 1, 0.5, 1, 1, 0.5, 1]
    assert table.item_top.tolist() == [list(pair) for pair in zip(first, weight, strict=True)]


def test_regions_and_types(table: ItemTable) -> None:
    assert [len(table.regions(item)) for item in range(len(table))] == [5] * 10 + [9] * 3 + [1]
    assert table.regions(10)[8].tolist() == [80, 0, 90, 10]
    rows = inspect_rows(table, list(range(len(table))))
    types = {row["words"]: row["types"] for row in rows}
    assert types["kite"] == ["other"]
    assert sorted(types["the"]) == sorted(types["zeppelin"]) == ["balloon", "other"]
    assert types["zebra"] == ["animals", "aardvark"]


def test_items_are_those_of_the_result(tmp_path: Path) -> None:
    result = result_of(world(), tmp_path)
    assert result.items is not None
    assert len(result.items) == result.counts["items"]
    assert result["f1"] == pytest.approx(5.5 / 13)
    assert float(result.items.item_scores[result.items.scored, 2].mean()) == pytest.approx(result["f1"])


@pytest.mark.parametrize("threshold", ["uniform", "max:0.5", "mass:0.9"])
def test_items_of_the_fixtures_have_the_scores_of_the_result(threshold: str) -> None:
    result = scored("good", threshold)
    assert result.items is not None
    assert len(result.items) == result.counts["items"]
    means = result.items.item_scores[result.items.scored].astype(np.float64).mean(axis=0)
    assert means.tolist() == pytest.approx([result["precision"], result["recall"], result["f1"]], abs=1e-6)


def test_bits_and_scores_agree_on_the_fixtures() -> None:
    table = scored("noisy").items
    assert table is not None
    for item in range(0, len(table), 7):
        attended = set(table.members(item, table.attended).tolist())
        relevant = set(table.members(item, table.relevant).tolist())
        both = len(attended & relevant)
        f1 = 2 * both / (len(attended) + len(relevant)) if both else 0
        assert float(table.item_scores[item, 2]) == pytest.approx(f1)
        kind = KINDS[table.item_kind[item]]
        if not relevant:
            assert kind == "unreachable"
        elif not both:
            assert kind in {"missed", "wrong entity", "wrong instance"}
        else:
            assert kind == ("right" if attended == relevant else "narrow" if attended < relevant else "spilled")


# ---------------------------------------------------------------- which entity


def one_caption(
    tmp_path: Path, sentence: Sentence, attended: dict[str, set[int]]
) -> dict[str | None, list[str | None]]:
    """The kind and the words attended instead, by word, of a caption of image 101 beside those it has."""
    scene = dataclasses.replace(SCENES["101"], sentences=[*SCENES["101"].sentences, sentence])
    others = {name: own for name, own in ATTENDED.items() if name.startswith("101")}
    made = world(others | {"101#4": attended}, {"101": scene})
    table = items_of(made, tmp_path)
    rows = [item for item in range(len(table)) if item_name(table, item) == "101#4"]
    return {words(table, item): [KINDS[table.item_kind[item]], words(table, item, "item_other")] for item in rows}


def test_of_several_the_entity_with_most_of_the_attended_regions_is_named(tmp_path: Path) -> None:
    found = one_caption(tmp_path, [WOMAN, MAN, DOG], {"woman": {2}, "man": {0, 1}, "dog": {0, 1, 2}})
    assert found["dog"] == ["wrong entity", "man"]


def test_another_of_the_same_type_is_the_graver_mistake(tmp_path: Path) -> None:
    # The man attends to the woman and to the dog, which both are in the caption.
    found = one_caption(tmp_path, [WOMAN, MAN, DOG], {"woman": {2}, "man": {2, 3}, "dog": {3}})
    assert found["man"][0] == "wrong instance"


def test_a_mistake_beside_something_right_is_spilling(tmp_path: Path) -> None:
    found = one_caption(tmp_path, [WOMAN, MAN, DOG], {"woman": {0, 2}, "man": {0, 1}, "dog": {3, 2}})
    assert found["woman"] == ["spilled", None]
    assert found["dog"] == ["spilled", None]


def test_an_entity_that_is_mentioned_twice_is_named_where_it_comes_first(tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENES["101"], sentences=[[DOG, "and", MAN, "or", MAN]])
    table = items_of(world({"101#0": {"dog": {0}, "man": {0, 1}}}, {"101": scene}), tmp_path)
    assert table.item_other[0].tolist() == [8, 11]
    assert table.caption_text[0][8:11] == "man"


# ---------------------------------------------------------------- costs


def test_costs_by_hand(table: ItemTable) -> None:
    # Thirteen items count. Spilled: 2/3 to 1 twice, and 1/2 to 2/3 where recall stays 1/2.
    gains = {"right": 0, "narrow": 1 / 3, "spilled": 2 / 3 + 1 / 6, "wrong entity": 2, "wrong instance": 2, "missed": 2}
    counts = {"right": 3, "narrow": 1, "spilled": 3, "wrong entity": 2, "wrong instance": 2, "missed": 2}
    found = {cost.kind: cost for cost in costs(table)}
    assert list(found) == list(KINDS)
    assert found["unreachable"].items == 1
    assert found["unreachable"].f1 is None
    for kind, gain in gains.items():
        assert found[kind].items == counts[kind]
        assert found[kind].f1 == pytest.approx(gain / 13), kind


def test_a_cost_is_what_fixing_its_kind_gains(tmp_path: Path) -> None:
    """Attend as the fix says, score again: F1 rises by the cost."""
    before = result_of(world(), tmp_path)["f1"]
    assert before is not None
    right = {"man": {0, 1}, "woman": {2}, "dog": {3}, "kite": {3}, "the": {8}, "zeppelin": {8}, "crowd": {0}}
    right["zebra"] = {0}
    table = items_of(world(), tmp_path)
    for cost in costs(table):
        if cost.kind == "unreachable":
            continue
        fixed = {caption: dict(own) for caption, own in ATTENDED.items()}
        for caption, word, kind, *_ in ITEMS:
            if kind == cost.kind:
                own = fixed[caption][word]
                fixed[caption][word] = own & right[word] if kind == "spilled" else right[word]
        after = result_of(world(fixed), tmp_path / cost.kind)["f1"]
        assert after is not None
        assert cost.f1 == pytest.approx(after - before, abs=1e-7), cost.kind


def test_unreachable_items_that_score_zero_cost_their_share(tmp_path: Path) -> None:
    found = {cost.kind: cost for cost in costs(items_of(world(), tmp_path, unreachable="zero"))}
    assert found["unreachable"].f1 == pytest.approx(1 / 14)
    assert found["missed"].f1 == pytest.approx(2 / 14)


def test_costs_of_nothing(table: ItemTable) -> None:
    empty = table.take(np.zeros(0, np.int64))
    assert [(cost.items, cost.f1) for cost in costs(empty)] == [(0, 0)] * 6 + [(0, None)]


# ---------------------------------------------------------------- other protocols


def test_phrases_as_items(tmp_path: Path) -> None:
    table = items_of(world(), tmp_path, unit="phrase")
    assert len(table) == 13
    item = next(i for i in range(len(table)) if words(table, i) == "the zeppelin")
    # `the` attends to 8 and `zeppelin` to 0: on the average to both.
    assert table.members(item, table.attended).tolist() == [0, 8]
    assert KINDS[table.item_kind[item]] == "spilled"
    assert table.item_scores[item].tolist() == pytest.approx([1 / 2, 1, 2 / 3])
    others = [item for item in by_name(table) if item[1] != "the zeppelin"]
    assert others == [item[:3] for item in ITEMS if item[1] not in {"the", "zeppelin"}]


def test_another_threshold_is_another_diagnosis(tmp_path: Path) -> None:
    # Words that attend to two regions give each a half, which is too little; the others are as they were.
    table = items_of(world(), tmp_path, threshold="abs:0.6")
    for (caption, word, kind), item in zip(by_name(table), ITEMS, strict=True):
        halved = len(ATTENDED[caption][str(word)]) == 2
        assert kind == ("missed" if halved else item[2]), (caption, word)
    assert kinds(table) != [item[2] for item in ITEMS]


def test_captions_and_words_that_the_model_lacks_are_no_items(tmp_path: Path) -> None:
    some = {name: own for name, own in ATTENDED.items() if name != "101#1"}
    table = items_of(world(some), tmp_path, missing="skip")
    assert by_name(table) == [item[:3] for item in ITEMS if item[0] != "101#1"]


def test_costs_are_in_terms_of_the_mean_that_counts_missing_items(tmp_path: Path) -> None:
    some = {name: own for name, own in ATTENDED.items() if name != "101#1"}
    result = result_of(world(some), tmp_path, protocol=Protocol(missing="zero"))
    # The mean is over thirteen items, three of which were not exported.
    assert result["f1"] == pytest.approx((5.5 - 4 / 3) / 13)
    assert result.items is not None
    assert len(result.items) == result.counts["items"] == 14
    gain = {cost.kind: cost.f1 for cost in costs(result.items)}
    assert gain["wrong instance"] == pytest.approx(2 / 13)
    # What was not exported attends to nothing: three items beside the one of another caption.
    assert gain["missed"] == pytest.approx(4 / 13)
    man = by_name(result.items).index(("101#1", "man", "missed"))
    (row,) = inspect_rows(result.items, [man])
    assert (row["top"], row["attended"], row["relevant"]) == (None, [], [0, 1])
    assert "attended none" in render_plain(inspect_page(result.items, [man]))


def test_items_of_images_that_the_export_lacks_count_too(tmp_path: Path) -> None:
    some = {name: own for name, own in ATTENDED.items() if not name.startswith("103")}
    (tmp_path / "split.txt").write_text("101\n102\n103\n")
    result = attneval.score(
        world(some, {name: scene for name, scene in SCENES.items() if name != "103"}).packed(tmp_path / "m.npz"),
        world().entities(tmp_path / "entities"),
        split=tmp_path / "split.txt",
        protocol=Protocol(missing="zero"),
        options=attneval.Options(resamples=0, items=True),
    )
    # The zebra was right before, and scores 0 now, though nobody knows whether it could be reached.
    assert result["f1"] == pytest.approx(4.5 / 13)
    assert result.items is not None
    assert len(result.items) == result.counts["items"] == 14
    assert by_name(result.items)[-1] == ("103#0", "zebra", "unreachable")
    gain = {cost.kind: cost.f1 for cost in costs(result.items)}
    assert gain["unreachable"] == pytest.approx(1 / 13)
    assert gain["missed"] == pytest.approx(2 / 13)


@pytest.mark.parametrize("at_once", [1, 2])
def test_several_blocks_are_joined_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: ItemTable, at_once: int
) -> None:
    monkeypatch.setattr("attneval.evaluation.plan_blocks.IMAGES_AT_ONCE", at_once)
    joined = items_of(world(), tmp_path)
    every = list(range(len(table)))
    # Phrase types that are not the usual eight may be numbered in another order; their names say the same.
    assert [row | {"types": sorted(row["types"])} for row in inspect_rows(joined, every)] == [
        row | {"types": sorted(row["types"])} for row in inspect_rows(table, every)
    ]
    for field in dataclasses.fields(ItemTable):
        mine, theirs = getattr(joined, field.name), getattr(table, field.name)
        if field.name in {"image_id", "caption_text"}:
            assert list(mine) == list(theirs)
        elif field.name == "types":
            assert sorted(mine) == sorted(theirs)
        elif mine is None or theirs is None:
            assert mine is theirs
        elif field.name != "item_types":
            np.testing.assert_array_equal(mine, theirs, err_msg=field.name)
            assert mine.dtype == theirs.dtype


def test_chunks_of_a_block_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: ItemTable) -> None:
    monkeypatch.setattr("attneval.evaluation.item_hits.CHUNK", 1)
    chunked = items_of(world(), tmp_path)
    every = list(range(len(table)))
    assert inspect_rows(chunked, every) == inspect_rows(table, every)
