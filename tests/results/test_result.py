"""Results as JSON: they read back exactly, hold no NaN, and what is damaged is refused."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds import UNASKED, make_world, scored

from attneval import Options, Protocol, Result, __version__, score
from attneval.errors import DataError, ResultError
from attneval.metrics.declaration import ATTENTION, RETRIEVAL
from attneval.metrics.registry import REGISTRY, metrics
from attneval.results.json_form import SCHEMA, fields_from_dict

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parents[2] / "fixtures"
BOOTSTRAP = Options(resamples=50, seed=3, name="modèle n° 1")

RESULTS: dict[str, Callable[[], Result]] = {
    "attention and retrieval": lambda: score(FIXTURES / "good.npz", FIXTURES / "entities", options=BOOTSTRAP),
    "attention": lambda: score(FIXTURES / "uniform.npz", FIXTURES / "grounding.json", options=Options(resamples=0)),
    "retrieval in folds": lambda: score(FIXTURES / "noisy.npz", protocol=Protocol(folds=5), options=BOOTSTRAP),
    "a part": lambda: score(FIXTURES / "good.npz", FIXTURES / "entities", options=Options(resamples=9, limit=3)),
    "channels and directions": lambda: scored(
        make_world(1, channels=2, back=True, missing=True), Protocol(direction="i2t,t2i", missing="zero")
    ),
}


def strictly(text: str) -> Any:
    """Read JSON as the standard has it: without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def written(result: Result, path: Path) -> dict[str, Any]:
    result.save(path)
    values: dict[str, Any] = strictly(path.read_text("utf-8"))
    return values


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    """A result as it stands in its file; not to be changed."""
    values: dict[str, Any] = strictly(RESULTS["attention and retrieval"]().to_json())
    return values


# ---------------------------------------------------------------- out and in


@pytest.mark.parametrize("kind", RESULTS)
def test_results_read_back_exactly(tmp_path: Path, kind: str) -> None:
    result = RESULTS[kind]()
    values = written(result, tmp_path / "result.json")
    again = Result.load(tmp_path / "result.json")
    # Not a bit is lost: JSON has the shortest text that reads back as the same number.
    assert again.to_json() == result.to_json()
    assert strictly(again.to_json()) == values
    assert again.metrics == result.metrics
    assert again.protocol == result.protocol
    assert (again.name, again.partial, again.inputs, again.notes) == (
        result.name,
        result.partial,
        result.inputs,
        result.notes,
    )
    for name, column in result.scores.sums.columns.items():
        assert np.array_equal(again.scores.sums.columns[name], column)
    for direction, table in result.scores.sums.ranks.items():
        own = again.scores.sums.ranks[direction]
        assert sorted(zip(own.image, own.rank, own.fold, strict=True)) == sorted(
            zip(table.image, table.rank, table.fold, strict=True)
        )


def test_a_path_may_be_text(tmp_path: Path) -> None:
    result = RESULTS["a part"]()
    result.save(str(tmp_path / "result.json"))
    assert Result.load(str(tmp_path / "result.json")).to_json() == result.to_json()


def test_a_result_is_one_line_of_utf8(tmp_path: Path) -> None:
    RESULTS["attention and retrieval"]().save(tmp_path / "result.json")
    data = (tmp_path / "result.json").read_bytes()
    assert data.count(b"\n") == 1
    assert data.endswith(b"}\n")
    assert "modèle n° 1".encode() in data


# ---------------------------------------------------------------- what is in it


def test_the_names_of_the_documents(good: dict[str, Any]) -> None:
    documented = {"schema", "signature", "protocol", "inputs", "counts", "metrics", "baselines", "by", "per_image"}
    assert documented <= set(good)
    assert good["schema"] == SCHEMA == 1
    assert good["attneval"] == __version__
    assert set(good["metrics"]) == {metric.name for metric in metrics(*ATTENTION, RETRIEVAL)} - UNASKED
    assert {"images", "captions", "phrases", "items", "unreachable"} <= set(good["counts"])
    assert {"uniform", "center", "shuffled", "oracle"} == set(good["baselines"])
    assert {"type", "area", "length"} == set(good["by"])
    assert good["bootstrap"] == {"resamples": 50, "seed": 3, "confidence": 0.95}
    floors = [table for floors in good["by_baselines"]["type"].values() for table in floors.values()]
    for table in (good["metrics"], *good["baselines"].values(), *good["by"]["type"].values(), *floors):
        for name, entry in table.items():
            above = {"above_floor"} if table is good["metrics"] and REGISTRY[name].floored else set()
            assert set(entry) == {"value", "ci", "n", "higher_is_better"} | above
            assert not above or set(entry["above_floor"]) == {"floor", "difference", "ci"}
            assert entry["higher_is_better"] is REGISTRY[name].higher_is_better
    falling = {name for name, entry in good["metrics"].items() if not entry["higher_is_better"]}
    assert falling == {"entropy", "i2t_medr", "i2t_meanr", "t2i_medr", "t2i_meanr"}


def test_the_protocol_is_there_twice(good: dict[str, Any]) -> None:
    assert Protocol.parse(good["signature"]) == Protocol.from_dict(good["protocol"]) == Protocol(overlap="iou")


def test_inputs_are_named_by_their_bytes(good: dict[str, Any]) -> None:
    maps, truth = good["inputs"]
    assert maps == {
        "role": "attn",
        "path": str(FIXTURES / "good.npz"),
        "sha256": hashlib.sha256((FIXTURES / "good.npz").read_bytes()).hexdigest(),
    }
    assert (truth["role"], truth["path"]) == ("gt", str(FIXTURES / "entities"))
    # Of a directory what sha256sum prints of the files read, sorted by name.
    files = sorted(path for path in (FIXTURES / "entities").rglob("*") if path.is_file())
    lines = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(FIXTURES / 'entities').as_posix()}\n"
        for path in files
    )
    assert truth["sha256"] == hashlib.sha256(lines.encode()).hexdigest()


def test_per_image_columns_are_as_long_as_the_images(good: dict[str, Any]) -> None:
    images = good["per_image"]["image_id"]
    assert images == sorted(images)
    assert len(images) == good["counts"]["images"] == 60
    groups = good["per_image"]["by"]
    assert {len(column) for name, column in good["per_image"].items() if name != "by"} == {60}
    assert {kind: set(named) for kind, named in groups.items()} == {k: set(v) for k, v in good["by"].items()}
    for kind, named in groups.items():
        for group, columns in named.items():
            assert columns["row"] == sorted(set(columns["row"]))
            assert set(columns["row"]) <= set(range(60))
            assert {len(column) for column in columns.values()} == {good["by_images"][kind][group]}
            assert math.fsum(columns["items"]) == good["by"][kind][group]["coverage"]["n"]
    assert sum(map(len, good["per_image"]["t2i_ranks"])) == good["counts"]["retrieval_captions"] == 300
    assert math.fsum(good["per_image"]["items"]) == good["metrics"]["coverage"]["n"] == good["counts"]["items"]
    # A single fold goes without saying.
    assert "t2i_folds" not in good["per_image"]
    assert "t2i_folds" in strictly(RESULTS["retrieval in folds"]().to_json())["per_image"]


def test_undefined_is_null() -> None:
    # Nothing reaches a box, so there is no item that is scored.
    result = scored(make_world(1, images=2, grid=True), Protocol(iou=1.0))
    values = strictly(result.to_json())
    undefined = {"precision", "recall", "f1", "micro_f1", "ap", "best_f1", "pointing", "mass", "specificity", "entropy"}
    for name in undefined:
        assert values["metrics"][name] == {
            "value": None,
            "ci": None,
            "n": 0,
            "higher_is_better": REGISTRY[name].higher_is_better,
        }
        assert result[name] is None
    assert values["metrics"]["coverage"]["value"] == 0
    assert values["curve"] is None
    for table in (values["metrics"], *values["baselines"].values()):
        values_of = {name: entry["value"] for name, entry in table.items()}
        assert all(value is None or value >= min(REGISTRY[name].lower, 0) for name, value in values_of.items())
    assert Result(**fields_from_dict(values)).to_json() == result.to_json()


def test_a_result_of_attention_alone_has_no_retrieval() -> None:
    values = strictly(RESULTS["attention"]().to_json())
    assert not any(REGISTRY[name].group == "retrieval" for name in values["metrics"])
    values = strictly(RESULTS["retrieval in folds"]().to_json())
    assert {REGISTRY[name].group for name in values["metrics"]} == {"retrieval"}
    assert (values["baselines"], values["by"], values["curve"], values["totals"]) == ({}, {}, None, {})


def test_channels_and_directions_are_results_within() -> None:
    values = strictly(RESULTS["channels and directions"]().to_json())
    assert set(values["channels"]) == {f"{c}/{d}" for c in ("all", "L0H0", "L0H1") for d in ("t2i", "i2t")}
    for part in values["channels"].values():
        tables = {"metrics", "baselines", "by", "by_baselines", "by_images"}
        assert {*tables, "curve", "per_image", "totals"} == set(part)
    assert values["metrics"]["f1"] == values["channels"]["all/i2t"]["metrics"]["f1"]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("", "is not JSON", "attneval score"),
        ("{", "is not JSON", "attneval score"),
        ("\ufeff\ufeff{}", "is not JSON", "attneval score"),
        ("[" * 100_000, "is not JSON", "attneval score"),
        ("[]", "is no attneval result", "attneval score"),
        ("3", "is no attneval result", "attneval score"),
        ("{}", "is no attneval result", "attneval score"),
        ('{"name": "left-pad", "version": "1.3.0"}', "is no attneval result", "attneval score"),
        ('{"schema": 1}', "is no attneval result", "attneval score"),
        ('{"schema": 2, "per_image": {}}', "has schema 2, but this attneval reads 1", "score the export again"),
        ('{"schema": "1", "per_image": {}}', "has schema '1', but this attneval reads 1", "score the export again"),
        ('{"schema": 1, "per_image": {}}', "is a damaged result", "score the export again"),
    ],
)
def test_foreign_files(tmp_path: Path, text: str, why: str, hint: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ResultError) as caught:
        Result.load(path)
    assert caught.value.message.startswith(f"{path} {why}")
    assert hint in caught.value.hint


def test_files_that_are_not_text(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"good\.npz is not JSON"):
        Result.load(FIXTURES / "good.npz")
    with pytest.raises(ResultError, match=r"nothing\.json: No such file"):
        Result.load(tmp_path / "nothing.json")
    with pytest.raises(ResultError, match="directory"):
        Result.load(tmp_path)


def changed(values: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """A copy with one entry set, or taken out if the value is `...`."""
    values = copy.deepcopy(values)
    *path, last = place.split("/")
    inner: Any = values
    for name in path:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[int(last) if isinstance(inner, list) else last] = value
    return values


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("metrics", ...),
        ("metrics", [1]),
        ("metrics/f1", None),
        ("metrics/f1/value", ...),
        ("metrics/f1/value", "high"),
        ("metrics/f1/value", math.nan),
        ("metrics/f1/value", -math.inf),
        ("metrics/f1/n", None),
        ("metrics/f1/ci", [0.5]),
        ("metrics/f1/ci", 0.5),
        ("baselines", ...),
        ("baselines/uniform/f1/value", math.nan),
        ("by/type/people/f1/n", "many"),
        ("channels", ...),
        ("curve/f1", ...),
        ("curve/auc", 0.5),
        ("counts", ...),
        ("counts/items", None),
        ("inputs/0/sha256", ...),
        ("inputs/0/size", 3),
        ("notes", None),
        ("bootstrap/seed", ...),
        ("signature", "attneval:1|unit:phrase"),
        ("per_image/image_id", ...),
        ("per_image/f1", [1.0]),
        ("per_image/f1", "none"),
        ("per_image/items/0", "three"),
        ("per_image/t2i_ranks", [1.0]),
        ("per_image/t2i_ranks", [[1.0]]),
        ("per_image/t2i_ranks/0/0", math.nan),
        ("totals", ...),
        ("protocol/unit", "sentence"),
        ("protocol/colour", "red"),
        ("signature", "attneval:7|unit:word"),
        ("metrics/f1/n", math.inf),
        ("counts/items", math.inf),
        ("metrics/f1/ci", [math.nan, 0.5]),
        ("per_image/f1/0", math.nan),
        ("curve/f1/0", math.nan),
        ("metrics/f2", {"value": 1, "n": 1, "ci": None}),
    ],
)
def test_damaged_results(tmp_path: Path, good: dict[str, Any], place: str, value: Any) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(changed(good, place, value)), "utf-8")
    with pytest.raises(ResultError) as caught:
        Result.load(path)
    assert caught.value.message.startswith(f"{path} ")
    assert "score the export again" in caught.value.hint


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("per_image/f1", ..., "per_image has no f1"),
        ("per_image/items", ..., "per_image has no items"),
        ("per_image/f3", [0.0] * 60, "per_image has f3, which is not known"),
        ("per_image/t2i_r@5", ..., "per_image has no t2i_r@5"),
        ("per_image/t2i_ranks", ..., "per_image ranks has no t2i"),
        ("per_image/t2i_ranks/0/0", 77.0, "per_image t2i_rank of image 700037 is 5, but its ranks give 81"),
        ("per_image/i2t_ranks/0", [], "per_image i2t_n of image 700037 is 1, but its ranks give 0"),
        ("per_image/image_id/1", "700037", "per_image image_id has 700037 after 700037: ids are in order"),
        ("per_image/image_id/1", "9", "per_image image_id has 700111 after 9: ids are in order"),
        ("per_image/items/0", -5, "per_image items of image 700037 is -5, less than 0"),
        ("per_image/precision/0", 99, "per_image precision of image 700037 is 99, more than the 28 of scored"),
        ("totals", None, "totals has no sweep"),
        ("totals", {}, "totals has no sweep, uniform, shuffled, by"),
        ("totals/by", ..., "totals has no by"),
        ("totals/oracle", {}, "totals has oracle, which is not known"),
        ("totals/by/length", ..., "totals by has no length"),
        ("totals/by/type/people/f1", ..., "totals by type people has no f1"),
        ("totals/sweep", ..., "totals has no sweep"),
        ("totals/sweep/f1", [0] * 100, "totals sweep f1 is no list of 101 numbers"),
        ("totals/sweep/f1/3", 0.5, "totals sweep f1 has 0.5 for a whole number"),
        ("totals/uniform/f1", "7", "totals uniform f1 has '7' for a whole number"),
        ("totals/center/f1", -1, "totals center f1 has -1 for a whole number"),
        ("totals/shuffled/items", 0, "totals shuffled r@1 is "),
        ("counts/boxes", -3, "counts boxes is -3"),
        ("counts/images", -60, "counts images is -60"),
        ("counts/words", 1.5, "counts words is 1.5"),
        ("counts/items", 3, "counts items is 3, but its sums give"),
    ],
)
def test_results_whose_sums_cannot_be(tmp_path: Path, good: dict[str, Any], place: str, value: Any, why: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(changed(good, place, value)), "utf-8")
    with pytest.raises(ResultError) as caught:
        Result.load(path)
    assert caught.value.message.startswith(f"{path} is a damaged result: {why}")


def test_channels_hold_together_each_by_itself(tmp_path: Path) -> None:
    values = strictly(RESULTS["channels and directions"]().to_json())
    values["channels"]["L0H1/t2i"]["per_image"]["f1"][0] = 99
    path = tmp_path / "result.json"
    path.write_text(json.dumps(values), "utf-8")
    with pytest.raises(ResultError, match=r"damaged result: channels L0H1/t2i per_image f1 of image .* is 99"):
        Result.load(path)


def test_what_is_only_changed_reads(tmp_path: Path, good: dict[str, Any]) -> None:
    """The other way round: the refusals above are of what was changed."""
    path = tmp_path / "result.json"
    path.write_text(json.dumps(changed(good, "name", "another")), "utf-8")
    assert Result.load(path).name == "another"


# ---------------------------------------------------------------- whole or not at all


def test_a_model_that_describes_itself_with_nan(tmp_path: Path) -> None:
    with np.load(FIXTURES / "good.npz") as file:
        members = dict(file)
    header = json.loads(bytes(members["format"])) | {"temperature": math.nan}
    members["format"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(tmp_path / "maps.npz", **members)
    result = score(tmp_path / "maps.npz", FIXTURES / "entities", options=Options(resamples=0))
    strictly(result.to_json())


def test_a_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = RESULTS["a part"]()
    result.save(path)
    before = path.read_bytes()
    result.model["temperature"] = math.nan
    with pytest.raises(ValueError, match="JSON compliant"):
        result.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        RESULTS["a part"]().save(tmp_path / "nowhere" / "result.json")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_result(device: str) -> None:
    with pytest.raises(ResultError, match="is a device, and no file"):
        Result.load(Path(device))
