"""Results of parts, put together: exactly the result of the whole, or a refusal."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import attneval
from results import image_sums, made, of_f1
from worlds import make_world

from attneval import Options, Protocol, __version__, score
from attneval.errors import MismatchError, NothingToScoreError
from attneval.results.merge import merge
from attneval.results.notes import LINT
from attneval.results.result import Result

if TYPE_CHECKING:
    from worlds import World

    from attneval.results.scores import Scores
    from attneval.statistics.image_sums import ImageSums

FIXTURES = Path(__file__).parents[2] / "fixtures"
ENTITIES = FIXTURES / "entities"
UNCERTAIN = Options(resamples=0)
OF_FILES = {"name", "inputs"}
"""What a merged result says of files rather than of numbers."""


def members(name: str) -> dict[str, Any]:
    with np.load(FIXTURES / name) as data:
        return dict(data)


def part_of_fixture(path: Path, name: str, images: slice) -> Path:
    """Some of the images of a packed fixture, without similarities."""
    data = members(name)
    regions, tokens = data["region_offset"], data["token_offset"]
    captions = slice(images.start * 5, images.stop * 5)
    for offset, rows, columns in (
        ("image_id_offset", images, ("image_id",)),
        ("region_offset", images, ("region_box",)),
        ("caption_text_offset", captions, ("caption_text",)),
        ("attention_offset", captions, ("attention",)),
    ):
        bound = data[offset][rows.start : rows.stop + 1]
        for column in columns:
            data[column] = data[column][bound[0] : bound[-1]]
        data[offset] = bound - bound[0]
    bound = tokens[captions.start : captions.stop + 1]
    if "token_text" in data:
        text = data["token_text_offset"][bound[0] : bound[-1] + 1]
        data["token_text"] = data["token_text"][text[0] : text[-1]]
        data["token_text_offset"] = text - text[0]
    if "token_span" in data:
        data["token_span"] = data["token_span"][bound[0] : bound[-1]]
    data["token_offset"] = bound - bound[0]
    data["image_size"] = data["image_size"][images]
    data["caption_image"] = data["caption_image"][captions] - images.start
    data["caption_index"] = data["caption_index"][captions]
    del data["similarity"]
    assert regions[-1] == 720
    np.savez(path, **data)
    return path


def bits(values: dict[str, Any]) -> dict[str, str]:
    """A result as text by key, so that every bit counts."""
    return {key: json.dumps(value, sort_keys=True) for key, value in values.items()}


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    a, b = bits(one), bits(other)
    return {key for key in a | b if a.get(key) != b.get(key)}


def test_parts_written_by_the_command_are_exactly_the_whole(tmp_path: Path) -> None:
    """Three machines score attention, a fourth the whole similarity; the parts come in any order."""
    flags = ("--gt", ENTITIES, "-q", "--unit", "phrase", "--direction", "t2i")
    whole = tmp_path / "whole.json"
    attneval("score", FIXTURES / "noisy.npz", *flags, "-o", whole)
    for number, images in enumerate((slice(0, 25), slice(25, 26), slice(26, 60))):
        path = part_of_fixture(tmp_path / f"maps{number}.npz", "noisy.npz", images)
        done = attneval("score", path, *flags, "-o", tmp_path / f"part{number}.json")
        assert (done.code, done.err) == (0, "")
    np.save(tmp_path / "similarity.npy", members("noisy.npz")["similarity"])
    retrieval = tmp_path / "part3.json"
    alone = ("score", "--similarity", FIXTURES / "noisy.npz", "-q", "--unit", "phrase", "-o", retrieval)
    assert attneval(*alone).code == 0
    out = tmp_path / "merged.json"
    done = attneval("merge", *(f"part{number}.json" for number in (2, 3, 0, 1)), "-q", "-o", out, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert differing(json.loads(out.read_text()), json.loads(whole.read_text())) <= {
        *OF_FILES,
        "model",
        "notes",
        "joint",
    }
    gate = attneval("compare", whole, out, "-f", "json")
    assert gate.code == 0


@pytest.mark.parametrize("own", [False, True], ids=["retrieval alone", "retrieval beside a part"])
def test_retrieval_may_come_in_at_any_step(tmp_path: Path, own: bool) -> None:
    """Images that have retrieval alone are in no part yet, and rows of zeros for attention do not hide the others."""
    whole = score(FIXTURES / "noisy.npz", ENTITIES, options=Options(resamples=100))
    first, second, third = (
        score(
            part_of_fixture(tmp_path / f"maps{images.start}.npz", "noisy.npz", images),
            ENTITIES,
            similarity=[FIXTURES / "noisy.npz"] if own and images.start == 20 else [],
            options=Options(resamples=100),
        )
        for images in (slice(0, 20), slice(20, 21), slice(21, 60))
    )
    ranked = second if own else score(similarity=[FIXTURES / "noisy.npz"], options=Options(resamples=100))
    begun = merge([ranked, first])
    assert begun.counts["images"] < len(begun.scores.sums.image_id) == 60
    rest = [third] if own else [third, second]
    for merged in (merge([*rest, begun]), merge([begun, merge(rest)])):
        again = reloaded(merged, tmp_path / "merged.json").to_dict()
        assert differing(again, whole.to_dict()) <= {*OF_FILES, "model", "joint", "notes"}
        assert list(again["counts"]) == list(whole.counts)
        assert again["model"]
    assert "images are in several parts" in refused(begun, first)


def test_no_relevant_region_is_said_of_the_whole_alone(tmp_path: Path) -> None:
    """Parts say it of themselves, which need not be so of the others."""
    world = make_world(8, images=4, captions=2, grid=True).attention_alone()
    truth = world.entities(tmp_path / "entities")
    images = list(world.scenes)

    def scored(*names: str) -> Result:
        path = world.with_images(names.__contains__).packed(tmp_path / "maps.npz")
        return score(path, truth, protocol=Protocol(iou=1.0, overlap="iou"), options=UNCERTAIN)

    whole, parts = scored(*images), [scored(name) for name in images]
    (note,) = (note for note in whole.notes if note.startswith("none of the"))
    assert f"none of the {whole.counts['items']} items has a relevant region" in note
    assert merge(parts).notes == whole.notes
    reached = dataclasses.replace(parts[0], counts=parts[0].counts | {"unreachable": 0}, notes=[])
    assert not any(text.startswith("none of the") for text in merge([reached, *parts[1:]]).notes)


def reloaded(result: Result, path: Path) -> Result:
    """The result as its file gives it back."""
    result.save(path)
    return Result.load(path)


@pytest.mark.parametrize("switches", [{}, {"channels": 2, "back": True, "ties": True}, {"grid": True}])
def test_any_groups_of_images_are_exactly_the_whole(tmp_path: Path, switches: dict[str, Any]) -> None:
    world = make_world(8, images=17, captions=2, **switches).attention_alone()
    truth = world.entities(tmp_path / "entities")
    protocol = Protocol(direction="t2i,i2t" if switches.get("back") else "t2i", unreachable="zero")

    def scored(part: World, name: str) -> Result:
        path = part.packed(tmp_path / f"{name}.npz")
        result = score(path, truth, protocol=protocol, options=Options(resamples=100))
        # What looks wrong in a file is said of that file, and of files with enough rows alone.
        result.notes[:] = [note for note in result.notes if note.kind != LINT]
        return reloaded(result, tmp_path / f"{name}.json")

    whole = scored(world, "whole")
    images = list(world.scenes)
    groups = [images[first::5] for first in range(5)]
    parts = [scored(world.with_images(group.__contains__), group[0]) for group in reversed(groups)]
    assert differing(merge(parts).to_dict(), whole.to_dict()) <= {*OF_FILES, "notes"}
    assert facts(merge(parts)) == facts(whole)
    # Merging merged results is the same again.
    tree = merge([merge(parts[:2]), merge([merge(parts[2:4]), parts[4]])])
    assert differing(tree.to_dict(), whole.to_dict()) <= {*OF_FILES, "notes"}
    assert facts(tree) == facts(whole)


def facts(result: Result) -> list[str]:
    """The notes without what a file looks like, which is of each file by itself and of few rows not said."""
    return [note for note in result.notes if " look" not in note]


def test_sums_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two and three items of a, and one of b: means over items are not means of means."""
    columns = {"f1": [1.0, 1.5], "scored": [2.0, 3.0], "items": [2.0, 4.0]}
    first = made("first", image_sums(columns, names=["a", "c"]))
    second = made("second", image_sums({"f1": [0.5], "scored": [1.0], "items": [1.0]}, names=["b"]))
    parts = [dataclasses.replace(part, resamples=0) for part in (first, second)]
    seen: list[ImageSums] = []

    def summarised(sums: ImageSums, *_: Any, **__: Any) -> Scores:
        seen.append(sums)
        return parts[0].scores

    monkeypatch.setattr("attneval.results.merge.summarise", summarised)
    merge(parts)
    (sums,) = seen
    assert sums.image_id == ["a", "b", "c"]
    assert sums.columns["f1"].tolist() == [1.0, 0.5, 1.5]
    assert sums.columns["scored"].tolist() == [2.0, 1.0, 3.0]


def refused(*parts: Result) -> str:
    with pytest.raises(MismatchError) as caught:
        merge(parts)
    return str(caught.value)


def part(name: str, *images: str, **fields: Any) -> Result:
    return dataclasses.replace(of_f1(name, [0.5] * len(images), names=list(images)), **fields)


def test_what_is_refused(tmp_path: Path) -> None:
    fixture = score(FIXTURES / "good.npz", ENTITIES, options=UNCERTAIN)
    attention = score(part_of_fixture(tmp_path / "a.npz", "good.npz", slice(0, 9)), ENTITIES, options=UNCERTAIN)
    assert "9 images are in several parts (first: 700037, 700074" in refused(fixture, attention)
    other = dataclasses.replace(attention, protocol=Protocol(iou=0.3))
    assert "iou 0.5 against 0.3" in refused(fixture, other)
    assert "several parts have retrieval" in refused(fixture, fixture)
    partial = score(FIXTURES / "noisy.npz", ENTITIES, options=Options(resamples=0, limit=3))
    assert "noisy is PARTIAL" in refused(attention, partial)
    two = dataclasses.replace(attention, channels={"L0H0/t2i": attention.scores})
    assert "different channels" in refused(part_without_channels(tmp_path), two)
    with pytest.raises(NothingToScoreError, match="nothing to merge"):
        merge([])


def part_without_channels(tmp_path: Path) -> Result:
    return score(part_of_fixture(tmp_path / "b.npz", "good.npz", slice(9, 12)), ENTITIES, options=UNCERTAIN)


def test_parts_of_different_versions_or_resamples(tmp_path: Path) -> None:
    one, two = (
        score(part_of_fixture(tmp_path / f"{rows.start}.npz", "good.npz", rows), ENTITIES)
        for rows in (slice(0, 30), slice(30, 60))
    )
    assert f"version of attneval: {__version__} against 0.0.1" in refused(
        one, dataclasses.replace(two, version="0.0.1")
    )
    assert "--resamples: 1000 against 10" in refused(one, dataclasses.replace(two, resamples=10))
    assert "--seed: 12345 against 7" in refused(one, dataclasses.replace(two, seed=7))


def test_the_command_refuses_what_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text("[]")
    done = attneval("merge", tmp_path / "no.json")
    assert done.code == 2
    assert "no attneval result" in done.err
    assert attneval("merge").code == 2


def test_the_whole_is_named_and_its_inputs_are_listed(tmp_path: Path) -> None:
    parts = [
        score(part_of_fixture(tmp_path / f"part{n}.npz", "good.npz", rows), ENTITIES, options=UNCERTAIN)
        for n, rows in enumerate((slice(0, 30), slice(30, 60)))
    ]
    result = merge(parts, name="everything")
    assert result.name == "everything"
    assert merge(parts).name == "part0"
    assert [Path(item.path).name for item in result.inputs] == ["part0.npz", "entities", "part1.npz", "entities"]
    assert result.counts["images"] == 60
    assert result.counts["items"] == sum(own.counts["items"] for own in parts)
