"""The JSON Schema of results: every command's results keep it, whatever was scored, and damage is seen."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from commands import ROOT, attneval

from attneval.config.protocol import Protocol
from attneval.errors import ResultError
from attneval.results.fields import FORMS, SCORES, result_fields
from attneval.results.result import Result
from attneval.results.schema import result_schema

if TYPE_CHECKING:
    from pathlib import Path

jsonschema = pytest.importorskip("jsonschema")

ENTITIES = ("--gt", "fixtures/entities", "--resamples", "20")
SCORED = {
    "score": ("fixtures/good.npz", *ENTITIES),
    "items": ("fixtures/noisy.npz", *ENTITIES, "--items"),
    "no resamples": ("fixtures/uniform.npz", "--gt", "fixtures/entities", "--resamples", "0"),
    "limit": ("fixtures/twin.npz", *ENTITIES, "--limit", "2"),
    "channels": ("fixtures/heads.npz", *ENTITIES),
    "one channel": ("fixtures/heads.npz", *ENTITIES, "--channel", "L0H1"),
    "another protocol": ("fixtures/good.npz", *ENTITIES, "--unit", "phrase", "--average", "micro", "--iou", "0.3"),
    "all items": ("fixtures/good.npz", *ENTITIES, "--across-regions", "--threshold", "mass:0.5"),
    "grounding json": ("fixtures/good.npz", "--gt", "fixtures/grounding.json", "--resamples", "20"),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Results of every command that writes some."""
    folder = tmp_path_factory.mktemp("schema")
    written = {}
    for number, (name, arguments) in enumerate(SCORED.items()):
        written[name] = folder / f"{number}.json"
        done = attneval("score", *arguments, "-q", "-o", written[name])
        assert done.code == 0, (name, done.err)
    written["merge"] = folder / "merged.json"
    ids = json.loads(written["channels"].read_text())["per_image"]["image_id"]
    for part, chosen in (("a", ids[:20]), ("b", ids[20:])):
        (folder / f"{part}.txt").write_text("\n".join(chosen) + "\n")
        split = ("--split", folder / f"{part}.txt")
        assert attneval("score", *SCORED["channels"], "-q", "-o", folder / f"{part}.json", *split).code == 0
    done = attneval("merge", folder / "a.json", folder / "b.json", "-q", "-o", written["merge"])
    assert done.code == 0, done.err
    listed = folder / "made_image_to_caption.json"
    listed.write_text(json.dumps({image_id: [f"{image_id}#0"] for image_id in ids}))
    for name, flags in (("part", ("--part", "1/2")), ("relevance", ("--relevance", listed))):
        written[name] = folder / f"{name}.json"
        done = attneval("score", *SCORED["score"], *flags, "-q", "-o", written[name])
        assert done.code == 0, (name, done.err)
    written["gate"] = folder / "baseline.json"
    update = ("--baseline", written["gate"], "--update-baseline", "-q")
    assert attneval("gate", written["channels"], *update).code == 0
    written["stdout"] = folder / "stdout.json"
    written["stdout"].write_text(attneval("score", *SCORED["score"], "-q", "-f", "json").out)
    return written


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema as the command prints it."""
    done = attneval("explain", "--schema")
    assert (done.code, done.err) == (0, "")
    printed: dict[str, Any] = json.loads(done.out)
    return printed


def breaches(schema: dict[str, Any], values: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema)
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(values)]


def test_the_schema_is_one_and_is_what_the_package_makes(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == result_schema()
    references = set(json.dumps(schema).split('"#/$defs/')[1:])
    assert {reference.split('"')[0] for reference in references} <= set(schema["$defs"])


def test_results_of_every_command_keep_it(schema: dict[str, Any], results: dict[str, Path]) -> None:
    for name, path in results.items():
        assert breaches(schema, json.loads(path.read_text())) == [], name


def test_retrieval_alone_keeps_it(schema: dict[str, Any], tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "similarity.npy", np.random.default_rng(0).random((4, 20)))
    done = attneval("score", "--similarity", "similarity.npy", "-q", "-f", "json", cwd=tmp_path)
    assert breaches(schema, json.loads(done.out)) == [], done.err


def test_both_directions_and_many_channels_keep_it(schema: dict[str, Any], tmp_path: Path) -> None:
    import numpy as np

    with np.load(ROOT / "fixtures" / "heads.npz") as stored:
        members = {name: stored[name] for name in stored.files}
    header = json.loads(members["format"].tobytes())
    header |= {"kind": "relevance", "normalised_over": "none"}
    members["format"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(tmp_path / "both.npz", **members)
    done = attneval("score", tmp_path / "both.npz", *ENTITIES, "-q", "-f", "json", "--direction", "t2i,i2t")
    assert done.code == 0, done.err
    values = json.loads(done.out)
    assert len(values["channels"]) > 16
    assert breaches(schema, values) == []


def test_what_is_written_has_a_row_in_the_table_and_stands_in_its_order(results: dict[str, Path]) -> None:
    names = [field.name for field in result_fields({})]
    written: set[str] = set()
    for path in results.values():
        values = json.loads(path.read_text())
        assert [name for name in names if name in values] == list(values)
        written |= set(values)
        for channel in values["channels"].values():
            assert set(channel) <= {field.name for field in SCORES}
        tables = [values["metrics"], *values["baselines"].values()]
        for measured in (measured for table in tables for measured in table.values()):
            assert set(measured) <= {field.name for field in FORMS["measured"]}
        for key, form in (("bootstrap", "bootstrap"), ("holds", "holds"), ("curve", "curve")):
            assert set(values[key]) == {field.name for field in FORMS[form]}
    assert written >= {field.name for field in result_fields({}) if field.name != "channel_sums"}


def test_older_results_keep_it(schema: dict[str, Any], results: dict[str, Path], tmp_path: Path) -> None:
    """What was added since the first version may be missing, and what was not there before has its default."""
    values = json.loads(results["score"].read_text())
    for field in result_fields({}):
        if not field.always:
            values.pop(field.name, None)
    values["signature"] = values["signature"].replace("attneval:2", "attneval:1")
    for name in ("extent", "border", "geometry"):
        default = getattr(Protocol(), name)
        values["signature"] = values["signature"].replace(f"|{name}:{default}", "")
        del values["protocol"][name]
    for measured in values["metrics"].values():
        measured.pop("above_floor", None)
    assert breaches(schema, values) == []
    (tmp_path / "old.json").write_text(json.dumps(values))
    assert Result.load(tmp_path / "old.json")["f1"] == values["metrics"]["f1"]["value"]


def test_a_result_of_the_first_version_keeps_it_and_is_read(schema: dict[str, Any]) -> None:
    """Written by `attneval score --limit 3 --resamples 0` when signatures began with attneval:1."""
    path = ROOT / "tests" / "golden" / "result-of-version-1.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    assert values["signature"].startswith("attneval:1|")
    assert breaches(schema, values) == []
    assert Result.load(path)["f1"] == values["metrics"]["f1"]["value"]


@pytest.mark.parametrize("name", [field.name for field in result_fields({}) if field.always])
def test_the_reader_and_the_schema_miss_the_same_fields(
    schema: dict[str, Any], results: dict[str, Path], tmp_path: Path, name: str
) -> None:
    values = json.loads(results["score"].read_text())
    del values[name]
    assert breaches(schema, values) == [f": {name!r} is a required property"]
    (tmp_path / "lacking.json").write_text(json.dumps(values))
    with pytest.raises(ResultError, match=f"is no attneval result|it has no {name}"):
        Result.load(tmp_path / "lacking.json")


DAMAGE = {
    "another schema": ("schema", 2),
    "no signature": ("signature", "unit:word"),
    "a value that is text": ("metrics.f1.value", "0.7"),
    "half an interval": ("metrics.f1.ci", [0.1]),
    "half an item": ("metrics.f1.n", 0.5),
    "a digest of something else": ("inputs.0.sha256", "abc"),
    "a choice that does not exist": ("protocol.unit", "sentence"),
    "a field that does not exist": ("protocol.colour", "red"),
    "a count below 0": ("counts.items", -1),
    "sums that are no list": ("per_image.f1", 3),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_seen(schema: dict[str, Any], results: dict[str, Path], name: str) -> None:
    where, value = DAMAGE[name]
    values = copy.deepcopy(json.loads(results["score"].read_text()))
    place: Any = values
    *way, last = where.split(".")
    for key in way:
        place = place[int(key) if isinstance(place, list) else key]
    place[last] = value
    assert breaches(schema, values)


def test_the_documents_name_every_field() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").partition("## The result file")[2]
    for field in result_fields({}):
        assert f"`{field.name}`" in text, field.name
