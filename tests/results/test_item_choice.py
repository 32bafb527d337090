"""Which items are looked at: filters, the worst first, and the ones that another system got right."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import assert_says
from here import Here
from mistakes import ATTENDED, DOG, ITEMS, MAN, SCENES, WOMAN, items_of, world
from worlds import Phrase

import attneval
from attneval.errors import MismatchError, NothingToScoreError, ProtocolError
from attneval.export.write.writer import ExportWriter
from attneval.report.delimited import render_csv
from attneval.report.inspect import inspect_lines, inspect_page, inspect_rows, item_name
from attneval.report.plain import render_plain
from attneval.results.item_choice import choose, paired
from attneval.results.items import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.results.items import ItemTable


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ItemTable:
    return items_of(world(), tmp_path_factory.mktemp("world"))


OTHER: dict[str, dict[str, set[int]]] = {
    "101#0": {"man": {4}, "woman": {2}, "dog": {3, 4}, "kite": {0}},
    "101#1": {"man": {0, 1}, "woman": {2}, "dog": {4}},
    "101#3": {"man": {0, 4}},
    "102#0": {"the": {0}, "zeppelin": {0}, "crowd": {0}},
}
"""Another system, of which some captions were not exported."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, table: ItemTable) -> tuple[ItemTable, ItemTable]:
    other = items_of(world(OTHER), tmp_path_factory.mktemp("other"), missing="skip")
    return paired(table, other)


def chosen(table: ItemTable, count: int = 99, **filters: Any) -> list[tuple[str, str]]:
    rows = inspect_rows(table, choose(table, count, **filters))
    return [(row["caption"], row["words"]) for row in rows]


def expected(*kinds: str, **only: str) -> list[tuple[str, str]]:
    """The items of the world by F1, of equal F1 in their order, without those that nothing reaches."""
    items = [item for item in ITEMS if item[2] != "unreachable" and (not kinds or item[2] in kinds)]
    if "word" in only:
        items = [item for item in items if item[1] == only["word"]]
    if "image" in only:
        items = [item for item in items if item[0].startswith(only["image"])]
    return [item[:2] for item in sorted(items, key=lambda item: item[5])]


# ---------------------------------------------------------------- filters


def test_the_worst_come_first(table: ItemTable) -> None:
    assert chosen(table) == expected()
    assert chosen(table, 3) == [("101#0", "woman"), ("101#0", "dog"), ("101#1", "dog")]


@pytest.mark.parametrize("kind", KINDS)
def test_items_of_a_kind(table: ItemTable, kind: str) -> None:
    found = chosen(table, kind=kind)
    # Asked for by name, even the unreachable ones are shown.
    assert found == (expected(kind) if kind != "unreachable" else [("101#0", "kite")])
    assert found


@pytest.mark.parametrize(
    ("type_name", "words"),
    [
        ("people", {"man", "woman", "crowd"}),
        ("animals", {"dog", "zebra"}),
        ("balloon", {"the", "zeppelin"}),
        ("aardvark", {"zebra"}),
        ("other", {"the", "zeppelin"}),
    ],
)
def test_items_of_a_type(table: ItemTable, type_name: str, words: set[str]) -> None:
    assert {word for _, word in chosen(table, type_name=type_name)} == words


def test_items_of_an_image_and_of_a_word(table: ItemTable) -> None:
    assert chosen(table, image="102") == expected(image="102")
    assert chosen(table, word="MAN") == expected(word="man")
    assert chosen(table, word="dog", image="101", kind="missed") == [("101#1", "dog"), ("101#2", "dog")]


def test_words_of_phrases(tmp_path: Path) -> None:
    table = items_of(world(), tmp_path, unit="phrase")
    assert chosen(table, word="zeppelin") == chosen(table, word="the") == [("102#0", "the zeppelin")]
    # Words, not parts of words.
    with pytest.raises(NothingToScoreError):
        choose(table, 9, word="zep")


def one_word_before(text: str, tmp_path: Path) -> ItemTable:
    """The caption `text man dog` of image 101."""
    scene = dataclasses.replace(SCENES["101"], sentences=[[text, MAN, DOG]])
    return items_of(world({"101#0": {"man": {0}, "dog": {0}}}, {"101": scene}), tmp_path)


def test_words_behind_letters_that_are_not_ascii(tmp_path: Path) -> None:
    assert chosen(one_word_before("café\U0001f415É", tmp_path), word="dog") == [("101#0", "dog")]


@pytest.mark.parametrize("longer", ["Straße", "ﬁne", "İstanbul"])
def test_words_behind_letters_that_fold_to_several(longer: str, tmp_path: Path) -> None:
    assert chosen(one_word_before(longer, tmp_path), word="dog") == [("101#0", "dog")]


@pytest.mark.parametrize(
    ("filters", "error", "parts"),
    [
        ({"kind": "mised"}, ProtocolError, ["no kind 'mised'", "did you mean missed?"]),
        ({"kind": "wrong"}, ProtocolError, ["no kind 'wrong'"]),
        ({"type_name": "animal"}, ProtocolError, ["no phrase type 'animal'", "did you mean animals?"]),
        ({"type_name": "qqq"}, ProtocolError, ["no phrase type 'qqq'", "people"]),
        ({"image": "104"}, NothingToScoreError, ["no item is left"]),
        ({"word": "unicorn"}, NothingToScoreError, ["no item is left"]),
        ({"type_name": "clothing"}, NothingToScoreError, ["no item is left"]),
        ({"word": "zebra", "image": "101"}, NothingToScoreError, ["no item is left"]),
    ],
)
def test_filters_that_leave_nothing(
    table: ItemTable, filters: dict[str, str], error: type[Exception], parts: list[str]
) -> None:
    with pytest.raises(error) as caught:
        choose(table, 10, **filters)  # type: ignore[arg-type]
    assert_says(str(caught.value), *parts)


# ---------------------------------------------------------------- two systems


def test_items_that_both_have(pair: tuple[ItemTable, ItemTable]) -> None:
    names = [[(item_name(t, k), *t.item_span[k].tolist()) for k in range(len(t))] for t in pair]
    assert names[0] == names[1]
    assert len(names[0]) == sum(item[0] in OTHER for item in ITEMS)


def test_what_was_lost_most_comes_first(pair: tuple[ItemTable, ItemTable]) -> None:
    mine, theirs = pair
    found = chosen(mine, other=theirs)
    lost = {
        ("101#0", "woman"): 0 - 1,
        ("101#0", "dog"): 0 - 2 / 3,
        ("101#1", "man"): 2 / 3 - 1,
        ("101#1", "woman"): 2 / 3 - 1,
        ("102#0", "crowd"): 2 / 3 - 1,
        ("101#0", "kite"): 0,  # unreachable, and stays where it is
        ("101#1", "dog"): 0,
        ("101#3", "man"): 0,
        ("102#0", "zeppelin"): 0,
        ("101#0", "man"): 1,
        ("102#0", "the"): 1,
    }
    assert found == list(lost)
    change = mine.item_scores[:, 2] - theirs.item_scores[:, 2]
    rows = inspect_rows(mine, list(range(len(mine))))
    assert [float(c) for c in change] == pytest.approx([lost[row["caption"], row["words"]] for row in rows])
    assert chosen(mine, 2, other=theirs, type_name="people") == [("101#0", "woman"), ("101#1", "man")]


def test_a_pair_is_the_same_the_other_way_round(table: ItemTable, pair: tuple[ItemTable, ItemTable]) -> None:
    mine, theirs = pair
    b, a = paired(theirs, table)
    assert inspect_rows(a, list(range(len(a)))) == inspect_rows(mine, list(range(len(mine))))
    assert len(b) == len(theirs)


def test_systems_without_a_common_item(table: ItemTable, tmp_path: Path) -> None:
    zebra = items_of(world({"103#0": ATTENDED["103#0"]}, {"103": SCENES["103"]}), tmp_path)
    rest = table.take(np.arange(5))
    with pytest.raises(MismatchError, match="no item in common"):
        paired(rest, zebra)
    phrases = items_of(world(), tmp_path / "phrases", unit="phrase")
    mine, theirs = paired(table, phrases)
    # A phrase of one word is the word.
    assert len(mine) == len(theirs) == 12


def test_a_word_of_two_phrases_is_two_items_of_a_pair(tmp_path: Path) -> None:
    # Grounding JSON has phrases within phrases: the word dog is about the man with the dog, and about the dog.
    caption = "man with dog"
    image = {"id": 0, "original_img_id": 1, "file_name": "1.jpg", "sentence_id": 0, "width": 100, "height": 100}
    image |= {"caption": caption, "tokens_positive_eval": [[[0, 12]], [[9, 12]]]}
    boxes = [([0, 0, 40, 40], [[0, 8]]), ([0, 60, 40, 40], [[9, 12]])]
    annotations = [
        {"id": k, "image_id": 0, "category_id": 1, "bbox": box, "area": 1600, "iscrowd": 0, "tokens_positive": spans}
        for k, (box, spans) in enumerate(boxes)
    ]
    data = {"images": [image], "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    (tmp_path / "g.json").write_text(json.dumps(data))
    with ExportWriter(tmp_path / "m.npz") as out:
        out.add_image("1", size=(100, 100), boxes=SCENES["101"].regions)
        out.add_caption("1", [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0]], index=0, tokens=caption.split())
    table = attneval.score(tmp_path / "m.npz", tmp_path / "g.json", options=attneval.Options(items=True)).items
    assert table is not None
    assert len(table) == 4
    mine, theirs = paired(table, table)
    assert mine.item_scores.tolist() == theirs.item_scores.tolist()


# ---------------------------------------------------------------- as text


def test_the_page_marks_words(table: ItemTable) -> None:
    text = render_plain(inspect_page(table, choose(table, 99)))
    for line in (
        "101#0  wrong instance, F1 0.0",
        "  {man} sees [woman] with dog and kite",
        "  man sees {woman} with [dog] and kite",
        "101#1  narrow, F1 66.7",
        "  [man] beside woman beside dog",
        "  the [zeppelin] over {crowd}",
        "  attended 2: 0 (0,0,40,40) 1 (0,0,40,30)",
        "  relevant 1: 2 (60,0,100,40)",
        "  attended 1: 0 (0,0,50,50)",
    ):
        assert f"\n{line}\n" in text, line
    assert "\n13 of 14 items shown\n" in text


def test_the_page_of_costs(table: ItemTable) -> None:
    text = render_plain(inspect_page(table, choose(table, 1)))
    rows = {line[:14].strip(): line[14:].split() for line in text.split("\n\n")[0].splitlines()[3:-1]}
    assert rows["missed"] == ["2", "14.3", "15.4"]  # 2/14 of the items, 2/13 of F1
    assert rows["spilled"] == ["3", "21.4", "6.4"]
    assert rows["unreachable"] == ["1", "7.1", "-"]
    assert sum(int(row[0]) for row in rows.values()) == 14


def test_the_page_of_a_pair(pair: tuple[ItemTable, ItemTable]) -> None:
    mine, theirs = pair
    text = render_plain(inspect_page(mine, choose(mine, 2, other=theirs), theirs))
    assert "101#0  wrong instance, F1 0.0, other 100.0" in text
    assert "101#0  wrong entity, F1 0.0, other 66.7" in text


def test_many_regions_are_counted(table: ItemTable) -> None:
    bits = table.attended.copy()
    item = 12  # of nine regions; its top one is 0
    start = int(table._bytes[item])
    bits[start : start + 2] = [0xFF, 0x80]
    full = dataclasses.replace(table, attended=bits)
    text = render_plain(inspect_page(full, [item]))
    assert "attended 9: 0 (0,0,10,10) 1 (10,0,20,10) 2 (20,0,30,10) and 6 more" in text


def test_the_top_region_leads(table: ItemTable) -> None:
    top = table.item_top.copy()
    top[5, 0] = 4
    text = render_plain(inspect_page(dataclasses.replace(table, item_top=top), [5]))
    assert "attended 2: 4 (45,45,55,55) 2 (60,0,100,40)" in text


def test_json_and_csv_are_unrounded(table: ItemTable) -> None:
    items = choose(table, 99)
    rows = json.loads(json.dumps(inspect_rows(table, items), allow_nan=False))
    lines = list(csv.DictReader(io.StringIO(render_csv(inspect_lines(table, items)))))
    assert len(rows) == len(lines) == 13
    for row, line in zip(rows, lines, strict=True):
        assert row["text"][slice(*row["span"])] == row["words"] == line["words"]
        assert [row["caption"], row["kind"]] == [line["caption"], line["kind"]]
        for name in ("precision", "recall", "f1"):
            assert float(line[name]) == row[name]
        for name in ("attended", "relevant"):
            assert [int(part) for part in line[name].split()] == row[name]
    first = next(row for row in rows if row["words"] == "woman" and row["kind"] == "spilled")
    assert first["f1"] == pytest.approx(2 / 3)
    assert first["top"] == {"region": 2, "weight": 0.5}
    assert first["regions"][2] == [60, 0, 100, 40]


def test_data_say_what_the_page_says(pair: tuple[ItemTable, ItemTable]) -> None:
    mine, theirs = pair
    items = choose(mine, 1, other=theirs)
    (row,) = inspect_rows(mine, items, theirs)
    # The man was attended in place of the woman, and the other system scored 1.
    assert (row["instead"], row["instead_span"], row["other_f1"]) == ("man", [0, 3], 1)
    (line,) = csv.DictReader(io.StringIO(render_csv(inspect_lines(mine, items, theirs))))
    assert (line["instead"], line["other_f1"]) == ("man", "1.0")


# ---------------------------------------------------------------- the command


@pytest.fixture
def here(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    table: ItemTable,
    pair: tuple[ItemTable, ItemTable],
) -> Here:
    table.save(tmp_path / "mine.items.npz")
    pair[1].save(tmp_path / "theirs.items.npz")
    return Here(capsys, monkeypatch, tmp_path)


@pytest.mark.parametrize("name", ["mine.json", "mine.items.npz", "mine"])
def test_the_items_of_a_result_are_found(here: Here, table: ItemTable, name: str) -> None:
    done = here("inspect", name)
    assert (done.code, done.err) == (0, "")
    assert done.out == render_plain(inspect_page(table, choose(table, 10)))


def test_the_command_filters(here: Here) -> None:
    def words(*arguments: str) -> list[tuple[str, str]]:
        done = here("inspect", "mine.json", "-f", "json", *arguments)
        assert done.code == 0, done.err
        return [(row["caption"], row["words"]) for row in json.loads(done.out)]

    assert words("-n", "2") == expected()[:2]
    assert words("--type", "balloon") == [("102#0", "zeppelin"), ("102#0", "the")]
    assert words("--word", "Zebra") == [("103#0", "zebra")]
    assert words("--image", "102") == expected(image="102")
    assert words("--kind", "wrong entity") == expected("wrong entity")
    assert words("--diff", "theirs.json", "--worst", "2") == [("101#0", "woman"), ("101#0", "dog")]


def test_outputs(here: Here, tmp_path: Path, table: ItemTable) -> None:
    done = here("inspect", "mine.json", "-o", "i.csv", "-o", "i.json", "-o", "i.md", "-o", "i.txt", "-n", "4")
    assert done.code == 0
    items = choose(table, 4)
    assert (tmp_path / "i.csv").read_text() == render_csv(inspect_lines(table, items))
    assert (tmp_path / "i.txt").read_text() == done.out
    assert json.loads((tmp_path / "i.json").read_text()) == inspect_rows(table, items)
    assert r"\[woman\]" in (tmp_path / "i.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("none.json",), ("none.items.npz does not exist", "--items")),
        (("mine.json", "--diff", "none.json"), ("none.items.npz does not exist",)),
        (("mine.json", "--kind", "mised"), ("did you mean missed?",)),
        (("mine.json", "--word", "unicorn"), ("no item is left",)),
        (("mine.json", "-n", "0"), ("--worst",)),
        ((), ("RESULT",)),
    ],
)
def test_what_cannot_be_inspected_exits_with_2(here: Here, arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    assert_says(here.refused("inspect", *arguments), *parts)


def test_captions_from_files_move_no_cursor(here: Here, tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENES["101"], sentences=[["\x1b[2J\x07", MAN, Phrase("2", ("people",), WOMAN.words)]])
    table = items_of(world({"101#0": {"man": {2}, "woman": {0}}}, {"101": scene}), tmp_path / "evil")
    table.save(tmp_path / "evil.items.npz")
    for style in ("plain", "markdown"):
        done = here("inspect", "evil.json", "-f", style)
        assert done.code == 0
        assert "\x1b" not in done.out
        assert r"\x1b" in done.out
