"""The file of items: a round trip, parts, joining, and what is refused of it."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import assert_says
from here import Here
from mistakes import ATTENDED, SCENES, items_of, world
from results import FIXTURES, scored

from attneval.arrays.strings import Strings
from attneval.errors import AttnevalError, DataError, ResultError
from attneval.report.inspect import inspect_rows
from attneval.results.items import ItemTable
from attneval.results.join_items import join_items

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ItemTable:
    return items_of(world(), tmp_path_factory.mktemp("world"))


def assert_equal(mine: ItemTable, theirs: ItemTable) -> None:
    for field in dataclasses.fields(ItemTable):
        a, b = getattr(mine, field.name), getattr(theirs, field.name)
        if a is None or b is None:
            assert a is b, field.name
        elif isinstance(a, Strings):
            assert list(a) == list(b), field.name
        else:
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert a.dtype == b.dtype, field.name


def rows(table: ItemTable) -> list[dict[str, Any]]:
    return inspect_rows(table, list(range(len(table))))


# ---------------------------------------------------------------- the file


def test_a_round_trip(table: ItemTable, tmp_path: Path) -> None:
    path = tmp_path / "r.items.npz"
    table.save(path)
    assert_equal(ItemTable.load(path), table)
    assert rows(ItemTable.load(path)) == rows(table)


def test_a_round_trip_of_text_that_is_not_ascii(table: ItemTable, tmp_path: Path) -> None:
    texts = [letter * 40 for letter in ("\U0001f415", "a\U0001f415b", "ß", "x", "日", "z")]  # no shorter than the spans
    odd = dataclasses.replace(
        table, image_id=Strings.from_texts(["日本", "b\U0001f415", "ü"]), caption_text=Strings.from_texts(texts)
    )
    odd.save(tmp_path / "odd.npz")
    assert list(ItemTable.load(tmp_path / "odd.npz").caption_text) == texts
    assert list(ItemTable.load(tmp_path / "odd.npz").image_id) == ["日本", "b\U0001f415", "ü"]


def test_equal_items_give_equal_bytes(table: ItemTable, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        table.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_no_items_are_a_table_too(table: ItemTable, tmp_path: Path) -> None:
    empty = table.take(np.zeros(0, np.int64))
    empty.save(tmp_path / "e.npz")
    assert len(ItemTable.load(tmp_path / "e.npz")) == 0
    assert_equal(ItemTable.load(tmp_path / "e.npz"), empty)


def test_the_file_is_compact(tmp_path: Path) -> None:
    table = scored("good").items
    assert table is not None
    table.save(tmp_path / "good.npz")
    # An item takes 46 bytes in columns and two for each of its rows of bits; captions and regions stand there once.
    once = len(table.caption_text.code) + table.region_box.nbytes + 8 * len(table.caption_text) + 12_000
    assert (tmp_path / "good.npz").stat().st_size < 50 * len(table) + once


def test_the_file_is_written_whole_or_not_at_all(
    table: ItemTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.items.npz"
    path.write_bytes(b"old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match="No space"):
        table.save(path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.items.npz"]


# ---------------------------------------------------------------- parts and joining


def test_some_items_keep_their_bits(table: ItemTable) -> None:
    # Items of one, of one and of two bytes, out of order and one of them twice.
    chosen = [13, 0, 12, 0, 5]
    some = table.take(np.array(chosen))
    assert rows(some) == [rows(table)[item] for item in chosen]
    assert [some.members(k, some.attended).tolist() for k in range(5)] == [[0], [0, 1], [0, 8], [0, 1], [2, 4]]
    assert rows(some.take(np.array([2]))) == [rows(table)[12]]


def test_joining_one_table_changes_nothing(table: ItemTable) -> None:
    assert_equal(join_items([table]), table)


def test_joining_tables_of_different_images(table: ItemTable, tmp_path: Path) -> None:
    parts = []
    for image in ("101", "102", "103"):
        own = {name: words for name, words in ATTENDED.items() if name.startswith(image)}
        parts.append(items_of(world(own, {image: SCENES[image]}), tmp_path / image))
    joined = join_items(parts)

    def plain(of: ItemTable) -> list[dict[str, Any]]:
        return [row | {"types": sorted(row["types"])} for row in rows(of)]

    assert plain(joined) == plain(table)
    assert len(set(joined.types)) == len(joined.types)
    # A table of tables, and in the other order.
    assert plain(join_items([join_items(parts[:2]), parts[2]])) == plain(table)
    back = join_items(parts[::-1])
    assert sorted(map(str, plain(back))) == sorted(map(str, plain(table)))


def with_types(count: int, image: str, word: str, folder: Path) -> ItemTable:
    """An image of which a word's phrases have many types of their own."""
    scene = SCENES[image]
    own = tuple(f"{word}{number}" for number in range(count))

    def typed(piece: Any) -> Any:
        return dataclasses.replace(piece, types=own) if getattr(piece, "words", ()) == (word,) else piece

    sentences = [[typed(piece) for piece in sentence] for sentence in scene.sentences]
    attended = {name: words for name, words in ATTENDED.items() if name.startswith(image)}
    return items_of(world(attended, {image: dataclasses.replace(scene, sentences=sentences)}), folder)


def test_more_types_than_have_bits_below_a_sign(tmp_path: Path) -> None:
    """There are eight types before any of one's own, so that the 24th of these has the bit of the sign."""
    many = with_types(30, "101", "dog", tmp_path / "a")
    assert many.item_types.dtype == np.int64
    few = with_types(20, "103", "zebra", tmp_path / "b")
    assert few.item_types.dtype == np.int32
    for table in (many, join_items([many, few]), join_items([few, many])):
        table.save(tmp_path / "r.items.npz")
        listed = {row["words"]: set(row["types"]) for row in rows(ItemTable.load(tmp_path / "r.items.npz"))}
        assert listed["dog"] == {f"dog{number}" for number in range(30)}
        assert listed["man"] == {"people"}
        assert listed.get("zebra", {f"zebra{number}" for number in range(20)}) == {f"zebra{k}" for k in range(20)}
    with pytest.raises(ResultError, match="68 phrase types, and at most 62"):
        join_items([many, with_types(30, "103", "zebra", tmp_path / "c")])


# ---------------------------------------------------------------- what is refused


def changed(path: Path, target: Path, **changes: Any) -> Path:
    with np.load(path) as file:
        members = dict(file)
    kept = {name: value for name, value in (members | changes).items() if value is not None}
    np.savez(target, **kept)
    return target


@pytest.fixture
def saved(table: ItemTable, tmp_path: Path) -> Path:
    table.save(tmp_path / "r.items.npz")
    return tmp_path / "r.items.npz"


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ResultError) as caught:
        ItemTable.load(tmp_path / "none.items.npz")
    assert_says(str(caught.value), "none.items.npz does not exist", "--items")
    with pytest.raises(ResultError, match="does not exist"):
        ItemTable.load(tmp_path)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(ItemTable) if f.default is dataclasses.MISSING])
def test_every_column_must_be_there(saved: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ResultError, match=f"{name} is missing"):
        ItemTable.load(changed(saved, tmp_path / "less.npz", **{name: None}))


def test_other_files_are_no_items(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"uniform\.npz is no items file"):
        ItemTable.load(FIXTURES / "uniform.npz")
    (tmp_path / "text.npz").write_text("no zip")
    (tmp_path / "cut.npz").write_bytes(saved.read_bytes()[:-100])
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("text.npz", "cut.npz", "empty.npz"):
        with pytest.raises(AttnevalError, match=name):
            ItemTable.load(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        archive.writestr("image_id.npy", b"not an array")
    with pytest.raises(AttnevalError, match="odd"):
        ItemTable.load(tmp_path / "odd.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"image_id_offset": None},
        {"caption_text_offset": np.array([0, 10**6])},
        {"item_kind": np.zeros(3, np.uint8)},
        {"item_kind": np.full(14, 99, np.uint8)},
        {"item_caption": np.full(14, 99, np.int32)},
        {"attended": np.zeros(2, np.uint8)},
        {"relevant": np.zeros(0, np.uint8)},
        {"region_offset": np.array([0, 9, 5, 15])},
        {"region_box": np.zeros((15, 3), np.float32)},
        {"item_span": np.full((14, 2), 10**6, np.int32)},
        {"item_other": np.full((14, 2), 10**6, np.int32)},
        {"item_scores": np.zeros((14, 3))},
        {"caption_text": np.full(2, 0xFF, np.uint8), "caption_text_offset": np.array([0, 2])},
    ],
)
def test_damaged_files_are_refused(saved: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    damaged = changed(saved, tmp_path / "damaged.npz", **changes)
    with pytest.raises(ResultError) as caught:
        ItemTable.load(damaged)
    assert str(caught.value).startswith((f"{damaged} is a damaged items file: ", f"{damaged} is no items file: "))


# ---------------------------------------------------------------- beside a result


GOOD = ("score", FIXTURES / "good.npz", "--gt", FIXTURES / "entities", "-q", "--resamples", "0")


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


def test_items_are_written_beside_every_json_output(here: Here, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    done = here(*GOOD, "--items", "-o", "r.json", "-o", "sub/s.json", "-o", "r.csv")
    assert done.code == 0, done.err
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert names == ["r.csv", "r.items.npz", "r.json", "sub/s.items.npz", "sub/s.json"]
    assert (tmp_path / "r.items.npz").read_bytes() == (tmp_path / "sub/s.items.npz").read_bytes()
    table = scored("good").items
    assert table is not None
    assert_equal(ItemTable.load(tmp_path / "r.items.npz"), table)
    # The result itself is the same with and without, but for the items' digest.
    plain = here(*GOOD, "-f", "json")
    digest = {"items_sha256": table.sha256()}
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads(plain.out) | digest


def test_without_a_json_output_there_is_no_place_for_items(here: Here, tmp_path: Path) -> None:
    assert_says(here.refused(*GOOD, "--items"), "--items", "-o result.json")
    assert_says(here.refused(*GOOD, "--items", "-o", "r.csv"), "--items", "-o result.json")
    assert list(tmp_path.iterdir()) == []


def test_old_items_are_not_taken_for_those_of_a_new_result(here: Here) -> None:
    assert here(*GOOD, "--items", "-o", "r.json").code == 0
    assert here(*GOOD, "--threshold", "top:1", "-o", "r.json").code == 0
    assert_says(here.refused("inspect", "r.json"), "r.items.npz does not exist")


@pytest.mark.parametrize("name", ["types_offset", "image_id_offset", "caption_text_offset", "region_offset"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_offsets_are_whole_numbers(saved: Path, tmp_path: Path, name: str, dtype: str) -> None:
    with np.load(saved) as held:
        wrong = held[name].astype(dtype)
    with pytest.raises(ResultError, match=f"damaged items file: .*{name.removesuffix('_offset')}"):
        ItemTable.load(changed(saved, tmp_path / "bad.npz", **{name: wrong}))
