"""What a result says twice is the same twice: values, intervals, floors, breakdowns and curves follow from its sums."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from commands import attneval
from worlds import make_world, scored

from attneval import Options, Protocol, Result, score
from attneval.config.options import MOST_RESAMPLES
from attneval.errors import ConfigError, ResultError
from attneval.results.merge import merge
from attneval.results.notes import LEFT_OUT_OF_FILE

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    """A result as its file has it; not to be changed."""
    result = score(FIXTURES / "good.npz", FIXTURES / "entities", options=Options(resamples=100))
    values: dict[str, Any] = json.loads(result.to_json())
    return values


def changed(values: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    copied = copy.deepcopy(values)
    *path, last = place.split("/")
    inner: Any = copied
    for name in path:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    inner[int(last) if isinstance(inner, list) else last] = value
    return copied


def read(values: dict[str, Any], path: Path) -> Result:
    path.write_text(json.dumps(values), "utf-8")
    return Result.load(path)


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("metrics/f1/value", 0.99, "metrics f1 value is 0.99, but the sums give 0.70"),
        ("metrics/f1/value", 5.0, "metrics f1 value is 5.0"),
        ("metrics/f1/value", True, "True is no number"),
        ("metrics/f1/value", None, "metrics f1 value is None"),
        ("metrics/f1_lift/value", 0.0, "metrics f1_lift value is 0.0"),
        ("metrics/best_f1/value", 0.1, "metrics best_f1 value is 0.1"),
        ("metrics/rsum/value", 6.0, "metrics rsum value is 6.0"),
        ("metrics/i2t_medr/value", 9.0, "metrics i2t_medr value is 9.0"),
        ("metrics/f1/n", 3, "metrics f1 n is 3"),
        ("metrics/i2t_r@10/n", 60.5, "i2t_r@10 n is 60.5, and no whole number"),
        ("metrics/i2t_r@10/n", True, "i2t_r@10 n is True, and no whole number"),
        ("by/area/large/f1/value", "0.5", "'0.5' is no number"),
        ("metrics/f1/ci", [0.1, 0.9], "metrics f1 ci is 0.1"),
        ("metrics/f1/ci/1", 0.99, "metrics f1 ci is 0.99"),
        ("metrics/best_f1/ci", [0.1, 0.9], "metrics best_f1 ci is 0.1, but the sums give None"),
        ("metrics/f1/above_floor/difference", 0.9, "metrics f1 above_floor difference is 0.9"),
        ("metrics/f1/above_floor/ci/0", 0.9, "metrics f1 above_floor ci is 0.9"),
        ("metrics/f1/above_floor/floor", "center", "metrics f1 above_floor is to center"),
        ("baselines/uniform/f1/value", 0.01, "baselines uniform f1 value is 0.01"),
        ("baselines/center/pointing/value", 0.01, "baselines center pointing value is 0.01"),
        ("baselines/shuffled/f1/value", 0.01, "baselines shuffled f1 value is 0.01"),
        ("baselines/oracle/f1/value", 0.5, "baselines oracle f1 value is 0.5"),
        ("by/type/people/f1/value", 0.5, "by type people f1 value is 0.5"),
        ("by/type/people/f1/ci/0", 0.5, "by type people f1 ci is 0.5"),
        ("by/area/large/f1/n", 1, "by area large f1 n is 1"),
        ("by_baselines/type/people/uniform/f1/value", 0.5, "by_baselines type people uniform f1 value is 0.5"),
        ("by_images/type/people", 1, "by_images type people is 1"),
        ("by_images/type/people", 49.5, "by_images type people is 49.5, and no whole number"),
        ("curve", None, "curve is missing"),
        ("curve/rule", "max", "curve rule is max"),
        ("curve/f1/3", 0.123, "curve f1 is 0.123"),
        ("curve/f1", [0.5], "curve f1 has 1 numbers"),
        ("curve/parameter/0", 7.0, "curve parameter is 7.0"),
        ("bootstrap/resamples", 10**9, f"bootstrap resamples is 1000000000, more than {MOST_RESAMPLES}"),
        ("bootstrap/resamples", 101, "ci is"),
        ("bootstrap/resamples", 100.5, "bootstrap resamples is 100.5, and no whole number"),
        ("bootstrap/seed", -1, "bootstrap seed is -1, and no whole number"),
        ("bootstrap/seed", 1, "ci is"),
        ("per_image/t2i_folds", [[10**12] * 5] * 60, "per_image t2i_folds has fold 1000000000000 of 300 queries"),
        ("per_image/f1/0", True, "per_image f1 is no list of numbers"),
        ("per_image/f1/0", "1", "per_image f1 is no list of numbers"),
        ("per_image/by/type/people/row/0", 0.5, "per_image by type people row is 0.5, and no whole number"),
        ("per_image/by/type/people/f1/0", "1", "per_image by type people f1 is no list of numbers"),
        ("per_image/t2i_folds", [[-1] * 5] * 60, "per_image t2i_folds is -1, and no whole number"),
        ("regions/700037", "12", "regions 700037 is '12'"),
        ("regions/elsewhere", "12:0123456789abcdef", "regions elsewhere is"),
        ("region_kind", "tiles", "region_kind is 'tiles'"),
        ("auto", ["iou"], "auto is 'iou'"),
        ("items_sha256", "x", "items_sha256 is 'x'"),
    ],
)
def test_what_does_not_follow_from_the_sums(
    good: dict[str, Any], tmp_path: Path, place: str, value: Any, why: str
) -> None:
    with pytest.raises(ResultError) as caught:
        read(changed(good, place, value), tmp_path / "r.json")
    assert why in caught.value.message


def test_an_overwritten_value_passes_no_gate(good: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(changed(good, "metrics/f1/value", 0.99)))
    done = attneval("gate", "r.json", "--min", "f1=0.9", cwd=tmp_path)
    assert done.code == 2
    assert "metrics f1 value is 0.99, but the sums give 0.70" in done.err


def test_the_last_bits_are_left_to_processors(good: dict[str, Any], tmp_path: Path) -> None:
    value = good["metrics"]["f1"]["value"] * (1 + 1e-14)
    assert read(changed(good, "metrics/f1/value", value), tmp_path / "r.json")["f1"] == value


def test_an_interval_may_be_missing(good: dict[str, Any], tmp_path: Path) -> None:
    assert read(changed(good, "metrics/f1/ci", None), tmp_path / "r.json").metrics["f1"].ci is None


def test_channels_are_held_against_their_own_sums(tmp_path: Path) -> None:
    world = make_world(1, channels=2, back=True, images=4)
    result = scored(world, Protocol(direction="i2t,t2i"))
    values = json.loads(result.to_json())
    assert read(values, tmp_path / "r.json").to_json() == result.to_json()
    broken = copy.deepcopy(values)
    broken["channels"]["L0H1/t2i"]["metrics"]["f1"]["value"] = 0.99
    with pytest.raises(ResultError, match=r"channels L0H1/t2i metrics f1 value is 0\.99"):
        read(broken, tmp_path / "r.json")


def test_resamples_are_bounded_where_they_are_chosen() -> None:
    for wrong in ({"resamples": MOST_RESAMPLES + 1}, {"resamples": -1}, {"seed": -1}, {"seed": 2**63}):
        with pytest.raises(ConfigError, match="is out of range"):
            Options(**wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- results of the first version


def first_version(values: dict[str, Any]) -> dict[str, Any]:
    """A file as signature version 1 wrote it: fewer fields, no sums of floors, no fingerprints."""
    old = copy.deepcopy(values)
    fields = [
        "unit",
        "direction",
        "iou",
        "overlap",
        "boxes",
        "threshold",
        "normalize",
        "pool",
        "unreachable",
        "average",
    ]
    fields += ["pointing", "ties", "folds", "missing", "min_area", "edges"]
    old["protocol"] = {name: old["protocol"][name] for name in fields}
    parts = [part for part in old["signature"].split("|")[1:] if part.partition(":")[0] in fields]
    old["signature"] = "|".join(["attneval:1", *parts])
    gone = ("f1_lift", "ap_lift", "auc", "area_mass")
    for key in ("regions", "region_kind", "auto", "items_sha256", "by_images", "by_baselines", "holds"):
        old.pop(key, None)

    def without(table: dict[str, Any]) -> None:
        for name in list(table):
            floor = name.startswith(("uniform_", "center_", "paired_")) or (
                name.startswith("shuffled_") and name not in {"shuffled_n", "shuffled_f1"}
            )
            if name in gone or name == "auc_n" or floor:
                del table[name]

    tables = [old["metrics"], *old["baselines"].values(), old["per_image"]]
    tables += [old["totals"][floor] for floor in ("uniform", "center", "shuffled")]
    for kind in ("by",):
        tables += [table for groups in old[kind].values() for table in groups.values()]
        tables += [table for groups in old["totals"][kind].values() for table in groups.values()]
    for table in tables:
        without(table)
    del old["per_image"]["by"]
    for entry in old["metrics"].values():
        entry.pop("above_floor", None)
    for groups in old["by"].values():
        for table in groups.values():
            for entry in table.values():
                entry["ci"] = None
    # Even attention attended to nothing.
    for name in ("precision", "recall", "f1", "tp", "attended", "relevant"):
        old["totals"]["uniform"][name] = 0
    for name in ("precision", "recall", "f1", "micro_precision", "micro_recall", "micro_f1"):
        old["baselines"]["uniform"][name]["value"] = 0.0
    old["notes"] = []
    return old


def test_results_of_the_first_version_load_without_their_floors_of_sets(good: dict[str, Any], tmp_path: Path) -> None:
    old = read(first_version(good), tmp_path / "old.json")
    assert old.protocol.definitions == 1
    assert old.signature.startswith("attneval:1|")
    uniform = old.scores.baselines["uniform"]
    assert not {"precision", "recall", "f1", "micro_precision", "micro_recall", "micro_f1"} & set(uniform)
    assert {"ap", "pointing", "mass"} <= set(uniform)
    (note,) = (note for note in old.notes if note.kind == LEFT_OUT_OF_FILE)
    assert note == (
        "the floors of even attention are left out for precision, recall, f1, micro_precision, micro_recall, micro_f1: "
        "under signature version 1 it attended to nothing"
    )
    # Written again and merged it stays what it is, and says nothing of its reading.
    again = read(json.loads(old.to_json()), tmp_path / "again.json")
    assert again.metrics == old.metrics
    assert LEFT_OUT_OF_FILE not in {note.kind for note in again.notes}
    assert "f1" not in merge([old]).scores.baselines["uniform"]


def test_the_first_version_is_compared_only_under_allow_mismatch(good: dict[str, Any], tmp_path: Path) -> None:
    read(first_version(good), tmp_path / "old.json")
    (tmp_path / "new.json").write_text(json.dumps(good))
    refused = attneval("compare", "old.json", "new.json", "-m", "f1", cwd=tmp_path)
    assert refused.code == 2
    assert "signature version 1 against 2" in refused.err
    done = attneval("compare", "old.json", "new.json", "-m", "f1", "--allow-mismatch", "-f", "json", cwd=tmp_path)
    assert done.code == 0, done.err
    notes = json.loads(done.out)["notes"]
    assert any("signature version 1 against 2" in note for note in notes)
    assert any("kept no fingerprint of regions" in note for note in notes)
    # A gate on values works; one on drops from another version does not.
    assert attneval("gate", "old.json", "--min", "f1=0.3", cwd=tmp_path).code == 0
    assert attneval("gate", "new.json", "--baseline", "old.json", "--max-drop", "f1=0.3", cwd=tmp_path).code == 2
