"""Scorings in parts: what they make together is what one process gives, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import attneval
from format_worlds import World as FormatWorld
from format_worlds import made_up_maps
from worlds import make_world

import attneval as face
from attneval import Options, Protocol, Result, score
from attneval.errors import AttnevalError, ConfigError, DataError, MismatchError, ProtocolError, ResultError
from attneval.evaluation.parts import merge
from attneval.results.items import ItemTable
from attneval.results.result import items_path

if TYPE_CHECKING:
    from collections.abc import Sequence

FIXTURES = Path(__file__).parents[2] / "fixtures"
GOOD, ENTITIES = FIXTURES / "good.npz", FIXTURES / "entities"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def by_command(folder: Path, of: int, flags: Sequence[str | Path]) -> tuple[bytes, bytes]:
    """The files that scoring at once, and in parts that are merged in another order, write."""
    whole = folder / "whole.json"
    common = ("score", *flags, "--resamples", "50", "-q", "-f", "csv")
    done = attneval(*common, "-o", whole)
    assert (done.code, done.err) == (0, "")
    parts = [folder / f"part-{number}.json" for number in range(1, of + 1)]
    for number, path in enumerate(parts, 1):
        done = attneval(*common, "--part", f"{number}/{of}", "-o", path)
        assert (done.code, done.err) == (0, "")
    merged = folder / "merged.json"
    done = attneval("merge", *reversed(parts), "-q", "-f", "csv", "-o", merged)
    assert (done.code, done.err) == (0, "")
    return whole.read_bytes(), merged.read_bytes()


@pytest.mark.parametrize("of", [1, 3])
def test_parts_make_the_very_result(tmp_path: Path, of: int) -> None:
    """With retrieval, which no part has."""
    whole, merged = by_command(tmp_path, of, (GOOD, "--gt", ENTITIES))
    assert merged == whole
    part = json.loads((tmp_path / f"part-{of}.json").read_text())
    assert part["partial"]
    assert "i2t_r@1" in json.loads(whole)["metrics"]
    assert "i2t_r@1" not in part["metrics"]
    assert not (tmp_path / "cache" / "attneval").exists()  # no index of a part


def test_files_of_every_kind(tmp_path: Path) -> None:
    """Boxes, a split, similarities and items in files of their own."""
    with np.load(GOOD) as data:
        members: dict[str, Any] = dict(data)
    np.savez(
        tmp_path / "boxes.npz",
        image_ids=np.array(
            [members["image_id"].tobytes().decode()[a:b] for a, b in _pairs(members["image_id_offset"])]
        ),
        boxes=members["region_box"],
        box_offset=members["region_offset"],
    )
    np.save(tmp_path / "similarity.npy", members["similarity"])
    names = sorted(path.stem for path in (ENTITIES / "Annotations").glob("*.xml"))
    (tmp_path / "split.txt").write_text("\n".join(names[:40]))
    flags = ("--boxes-file", tmp_path / "boxes.npz", "--similarity", tmp_path / "similarity.npy", "--items")
    whole, merged = by_command(tmp_path, 4, (GOOD, "--gt", ENTITIES, "--split", tmp_path / "split.txt", *flags))
    assert merged == whole
    assert items_path(tmp_path / "whole.json").read_bytes() == items_path(tmp_path / "merged.json").read_bytes()


def _pairs(offset: Any) -> list[tuple[int, int]]:
    return list(zip(offset[:-1].tolist(), offset[1:].tolist(), strict=True))


WORLDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"channels": 2, "back": True, "ties": True}, {"direction": "t2i,i2t", "missing": "skip"}),
    ({"channels": 20}, {"missing": "skip"}),
    ({"missing": True, "channels": 3}, {"missing": "zero", "unit": "phrase"}),
    ({"missing": True}, {"missing": "skip", "threshold": "top:3", "average": "class"}),
    ({"grid": True}, {"missing": "skip"}),
    ({"undefined": True, "windows": True}, {"missing": "skip"}),
    ({"signed": True}, {"missing": "skip", "normalize": "softmax"}),
]


@pytest.mark.parametrize(("made", "chosen"), WORLDS)
@pytest.mark.parametrize("of", [2, 9])
def test_whatever_is_scored(tmp_path: Path, made: dict[str, Any], chosen: dict[str, Any], of: int) -> None:
    world = make_world(11, images=9, captions=3, **made)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    one, parts = in_parts(maps, truth, tmp_path, of, Protocol.from_dict(chosen))
    assert merge(parts).to_json() == one.to_json()


def in_parts(
    maps: Path, truth: Path, folder: Path, of: int, protocol: Protocol, **others: Any
) -> tuple[Result, list[Result]]:
    """A whole, and its parts as they come back from their files."""
    options = Options(resamples=20, limit=others.pop("limit", None))
    whole = score(maps, truth, protocol=protocol, options=options, **others)
    parts = []
    for number in range(1, of + 1):
        path = folder / f"{number}.json"
        chosen = Options(resamples=20, limit=options.limit, part=(number, of), cache=False)
        score(maps, truth, protocol=protocol, options=chosen, **others).save(path)
        parts.append(Result.load(path))
    return whole, parts


def test_images_without_maps_are_in_the_last_part(tmp_path: Path) -> None:
    world = make_world(5, images=12, captions=2)
    truth, names = world.entities(tmp_path / "entities"), list(world.scenes)
    maps = world.with_images(lambda image: image not in names[:3]).packed(tmp_path / "maps.npz")
    (tmp_path / "split.txt").write_text("\n".join(names), "utf-8")
    split = {"split": tmp_path / "split.txt"}
    one, parts = in_parts(maps, truth, tmp_path, 4, Protocol(missing="zero"), **split)
    assert merge(parts).to_json() == one.to_json()
    assert [part.counts["images"] for part in parts] == [3, 2, 2, 5]


def test_a_channel_and_a_limit(tmp_path: Path) -> None:
    world = make_world(6, images=10, captions=2, channels=4)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    name = "L1H0"
    one, parts = in_parts(maps, truth, tmp_path, 3, Protocol(missing="skip"), channel=name, limit=7)
    assert (one.partial, one.channel) == (True, name)
    assert merge(parts).to_json() == one.to_json()
    with pytest.raises(ProtocolError, match="is chosen by the scores of all images"):
        score(maps, truth, channel="top:1@half", options=Options(part=(1, 2)))


def test_sizes_that_the_annotations_alone_say(tmp_path: Path) -> None:
    """Lints of boxes look at the sizes of all images."""
    world = make_world(7, images=6, captions=2)
    maps, truth = world.padded(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    with np.load(maps) as data:
        members = {name: values for name, values in data.items() if name != "image_size"}
    np.savez(maps, **members)
    one, parts = in_parts(maps, truth, tmp_path, 3, Protocol(missing="skip"))
    assert merge(parts).to_json() == one.to_json()
    assert all(part.part is not None and part.part.sizes for part in parts)


def test_a_part_without_anything_to_score(tmp_path: Path) -> None:
    """A phrase may have no box; its image counts all the same."""
    world = make_world(8, images=5, captions=1)
    maps, truth = world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "entities")
    first = list(world.scenes)[0]  # noqa: RUF015 - the first of a dictionary
    (truth / "Sentences" / f"{first}.txt").write_text("nothing here .\n", "utf-8")
    one, parts = in_parts(maps, truth, tmp_path, 5, Protocol(missing="skip"))
    assert min(part.counts.get("items", 0) for part in parts) == 0
    assert merge(parts).to_json() == one.to_json()


def test_expressions_about_nothing(tmp_path: Path) -> None:
    (tmp_path / "rec").mkdir()
    files = FormatWorld(11, 40).rec(tmp_path / "rec")
    source = face.open_ground_truth(files)
    made_up_maps(tmp_path / "maps.npz", source.read(source.image_ids()))
    one, parts = in_parts(tmp_path / "maps.npz", files, tmp_path, 3, Protocol())  # type: ignore[arg-type]
    assert any("expressions are about nothing" in note for note in one.notes)
    assert merge(parts).to_json() == one.to_json()


def test_shards(tmp_path: Path) -> None:
    world = make_world(9, images=8, captions=3).attention_alone()
    truth = world.entities(tmp_path / "entities")
    files = []
    for number in range(3):
        kept = {(own.image, own.index) for own in world.shown[number::3]}
        shard = world.with_captions(lambda own, kept=kept: (own.image, own.index) in kept)  # type: ignore[misc]
        files.append(shard.packed(tmp_path / f"maps-{number}.npz"))
    one, parts = in_parts(files, truth, tmp_path, 4, Protocol(missing="skip"))  # type: ignore[arg-type]
    assert merge(parts).to_json() == one.to_json()


def test_parts_beside_a_result_of_other_images(tmp_path: Path) -> None:
    world = make_world(10, images=8, captions=2).attention_alone()
    names = list(world.scenes)
    truth = world.entities(tmp_path / "entities")
    some = world.with_images(lambda image: image in names[:5]).packed(tmp_path / "some.npz")
    rest = world.with_images(lambda image: image not in names[:5]).packed(tmp_path / "rest.npz")
    protocol = Protocol(missing="skip")
    one, parts = in_parts(some, truth, tmp_path, 2, protocol)
    other = score(rest, truth, protocol=protocol, options=Options(resamples=20))
    assert merge([other, *parts], name="x").to_json() == merge([one, other], name="x").to_json()


@pytest.fixture
def three(tmp_path: Path) -> list[Result]:
    return in_parts(GOOD, ENTITIES, tmp_path, 3, Protocol())[1]


def test_parts_that_are_not_all(three: list[Result]) -> None:
    with pytest.raises(MismatchError, match=r"1 of 3 parts are missing: 2; score them: attneval score .* --part 2/3"):
        face.merge([three[0], three[2]])
    with pytest.raises(MismatchError, match="parts 1 of 3 are there twice"):
        merge([*three, three[0]])


def test_parts_of_different_scorings(three: list[Result], tmp_path: Path) -> None:
    other = in_parts(GOOD, ENTITIES, tmp_path, 3, Protocol(iou=0.3))[1]
    with pytest.raises(MismatchError, match=r"part 1 of 3 and part 2 of 3 .* differ in protocol"):
        merge([three[0], other[1], three[2]])
    two = in_parts(GOOD, ENTITIES, tmp_path, 2, Protocol())[1]
    with pytest.raises(MismatchError, match="are no parts of one scoring"):
        merge([*three, two[1]])


def test_files_that_change_between_parts_and_after(tmp_path: Path) -> None:
    copy = tmp_path / "maps.npz"
    copy.write_bytes(GOOD.read_bytes())
    parts = in_parts(copy, ENTITIES, tmp_path, 2, Protocol())[1]
    copy.write_bytes((FIXTURES / "noisy.npz").read_bytes())
    with pytest.raises(DataError, match="has changed since its parts were scored"):
        merge(parts)
    changed = in_parts(copy, ENTITIES, tmp_path, 2, Protocol())[1]
    with pytest.raises(MismatchError, match=r"differ in the content of .*maps\.npz"):
        merge([parts[0], changed[1]])
    copy.unlink()
    with pytest.raises(DataError, match="No such file"):
        merge(changed)


def test_a_part_passes_for_no_whole(three: list[Result], tmp_path: Path) -> None:
    assert three[1].name == "good part 2 of 3"
    assert any("part 2 of 3 was scored, 20 images" in note for note in three[1].notes)
    three[1].save(tmp_path / "part.json")
    done = attneval("gate", tmp_path / "part.json", "--min", "f1=0.1")
    assert done.code == 2
    assert "good part 2 of 3 is PARTIAL (--part)" in done.err


@pytest.mark.parametrize(
    "damage",
    [
        {"number": 0},
        {"of": "3"},
        {"digests": []},
        {"mismatches": {"absent": [3]}},
        {"sizes": {"a": [1]}},
        {"targetless": {"rows": 0.5}},
        {"more": 1},
        {"arguments": []},
    ],
)
def test_damaged_parts_are_refused(three: list[Result], tmp_path: Path, damage: dict[str, Any]) -> None:
    values = three[0].to_dict()
    values["part"] = {**values["part"], **damage}
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ResultError, match="damaged"):
        Result.load(path)


@pytest.mark.parametrize(
    "arguments", [{}, {"options": 3}, {"protocol": {"nothing": 1}}, {"gt": {"paths": 1}}, {"gt": 7}, {"attn": [3]}]
)
def test_parts_that_do_not_say_what_they_are_of(three: list[Result], tmp_path: Path, arguments: dict[str, Any]) -> None:
    damaged = []
    for number, piece in enumerate(three):
        values = piece.to_dict()
        values["part"]["arguments"] = {**values["part"]["arguments"], **arguments} if arguments else {}
        (tmp_path / f"d{number}.json").write_text(json.dumps(values))
        damaged.append(Result.load(tmp_path / f"d{number}.json"))
    with pytest.raises(AttnevalError) as caught:
        merge(damaged)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "1/2/3", "-1/3", "1/9999999", "٣/4"])
def test_parts_that_there_are_not(text: str) -> None:
    done = attneval("score", GOOD, "--gt", ENTITIES, "--part", text)
    assert done.code == 2
    assert "is no part" in done.err
    with pytest.raises(ConfigError, match="no part 4 of 3"):
        Options(part=(4, 3))


def test_more_parts_than_images_and_nothing_to_part() -> None:
    done = attneval("score", GOOD, "--gt", ENTITIES, "--part", "3/61")
    assert done.code == 2
    assert "part 3 of 61 would have no image: there are 60; use 60 parts or fewer" in done.err
    done = attneval("score", GOOD, "--part", "1/2")
    assert done.code == 2
    assert "there is nothing to score in parts" in done.err


def test_items_of_a_part_belong_to_it(tmp_path: Path) -> None:
    for number in (1, 2):
        path = tmp_path / f"{number}.json"
        attneval("score", GOOD, "--gt", ENTITIES, "--part", f"{number}/2", "--items", "-q", "-o", path)
    ItemTable.load(items_path(tmp_path / "2.json")).save(items_path(tmp_path / "1.json"))
    done = attneval("merge", tmp_path / "1.json", tmp_path / "2.json")
    assert done.code == 2
    assert "1.items.npz holds the items of another result than" in done.err
