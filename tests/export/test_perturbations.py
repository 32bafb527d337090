"""Scores of perturbed images in exports: written, read in both layouts, packed, refused, and what looks wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from exports import (
    CATS,
    DOG,
    TWO,
    add_images,
    assert_says,
    floats,
    header,
    packed,
    padded,
    problems,
    refusal,
    saved,
)

from attneval.cli.validate import validate
from attneval.errors import ExportError
from attneval.export.lint_curves import lint_curves
from attneval.export.pack import pack
from attneval.export.read.reader import find_problems, open_export
from attneval.export.write.writer import ExportWriter
from attneval.metrics.faithfulness import CURVES

if TYPE_CHECKING:
    from pathlib import Path

LAYOUTS = pytest.mark.parametrize("layout", [packed, padded], ids=["packed", "padded"])
FALL = [[9.0, 4, 1], [8, 6, 2], [7, 7, 3]]


def curves(**changes: Any) -> dict[str, Any]:
    """Curves of three captions in two steps."""
    table = {
        "deletion": floats(*FALL),
        "deletion_random": floats([9, 5, 1], [8, 5, 2], [7, 5, 3]),
        "insertion": floats([1, 8, 9], [2, 8, 8], [3, 4, 7]),
        "insertion_random": floats([1, 5, 9], [2, 5, 8], [3, 5, 7]),
    }
    return {name: value for name, value in {**table, **changes}.items() if value is not None}


def write(path: Path, given: dict[str, Any], *, batch: bool = False) -> Path:
    """What `exports.packed` holds, with curves, caption by caption or all at once."""
    with ExportWriter(path, normalised_over="regions") as out:
        add_images(out)
        if batch:
            maps = np.zeros((3, 3, 3), np.float32)
            for row, own in enumerate((DOG, CATS, TWO)):
                maps[row, : len(own), : len(own[0])] = own
            names, tokens = ["36979", "4711", "36979"], [["a", "b", "c"], ["d"], ["<start>", "e"]]
            out.add_captions(names, maps, indices=[0, 3, 1], tokens=tokens, perturbed=given)
            return path
        for row, (name, own, index) in enumerate((("36979", DOG, 0), ("4711", CATS, 3), ("36979", TWO, 1))):
            mine = {curve: scores[row] for curve, scores in given.items()}
            out.add_caption(name, own, index=index, tokens=list("abc"[: len(own)]), perturbed=mine)
    return path


@pytest.mark.parametrize("batch", [False, True])
def test_what_is_written_is_read(tmp_path: Path, *, batch: bool) -> None:
    path = write(tmp_path / "maps.npz", curves(), batch=batch)
    with np.load(path) as data:
        assert json.loads(bytes(data["format"]))["version"] == [1, 1]
        assert {name: data[name].dtype.name for name in CURVES} == dict.fromkeys(CURVES, "float32")
    export = open_export(path)
    assert find_problems(path)[0] == []
    assert export.warnings == ()
    assert {name: scores.tolist() for name, scores in export.curves.items()} == {
        name: scores.tolist() for name, scores in curves().items()
    }


def test_a_file_without_says_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    with ExportWriter(path, normalised_over="regions") as out:
        add_images(out)
        out.add_caption("4711", CATS, index=3, tokens=["cats"])
    with np.load(path) as data:
        assert json.loads(bytes(data["format"]))["version"] == [1, 0]
    assert open_export(path).curves == {}


@LAYOUTS
@pytest.mark.parametrize("chosen", [("deletion", "insertion"), ("deletion",), ("insertion",)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_either_pair_may_stand_alone(tmp_path: Path, layout: Any, chosen: tuple[str, ...], dtype: str) -> None:
    given = {name: value.astype(dtype) for name, value in curves().items() if name.startswith(chosen)}
    path = saved(tmp_path / "maps.npz", layout(**given))
    assert problems(path) == []
    assert set(open_export(path).curves) == set(given)


@LAYOUTS
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deletion_random": None}, ["deletion: stands without deletion_random"]),
        ({"insertion": None}, ["insertion_random: stands without insertion"]),
        ({"deletion": floats(*FALL[:2])}, ["deletion: has shape (2, 3), expected (3, any)"]),
        ({"deletion": floats(1, 2, 3)}, ["deletion: has shape (3,), expected (3, any)"]),
        ({"insertion": floats([1, 2], [1, 2], [1, 2])}, ["insertion: has 2 scores of a caption, but deletion has 3"]),
        ({"deletion": np.ones((3, 3), np.int32)}, ["deletion: holds int32, expected floats"]),
        (dict.fromkeys(CURVES, floats([1], [1], [1])), ["deletion: has 1 scores of a caption, expected K + 1"]),
        (dict.fromkeys(CURVES, np.ones((3, 0), np.float32)), ["has 0 scores of a caption, expected K + 1"]),
    ],
)
def test_what_is_refused(tmp_path: Path, layout: Any, changes: dict[str, Any], said: list[str]) -> None:
    path = saved(tmp_path / "maps.npz", layout(**curves(**changes)))
    assert_says(refusal(path), *said)
    assert_says("\n".join(problems(path)), *said)


@LAYOUTS
def test_scores_that_are_no_numbers_are_found(tmp_path: Path, layout: Any) -> None:
    bad = [[9, 4, 1], [8, np.inf, 2], [np.nan, 7, 3]]
    path = saved(tmp_path / "maps.npz", layout(**curves(deletion=floats(*bad))))
    text = "deletion: NaN or infinite scores (first: 4711#3 has inf at step 1; 36979#1 has nan at step 0)"
    assert [problem.replace(", ", "; ") for problem in problems(path)] == [text]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"deletions": [1, 2]}, ["36979#0: perturbed: curve 'deletions' does not exist", "deletion"]),
        ({"deletion": [1, 2]}, ["deletion stands without deletion_random"]),
        ({"deletion": [1, 2], "deletion_random": [1, 2, 3]}, ["deletion_random has 3 scores", "deletion has 2"]),
        ({"deletion": [[1, 2]], "deletion_random": [1, 2]}, ["deletion has shape (1, 2), expected (K + 1,)"]),
        ({"deletion": [1, np.nan], "deletion_random": [1, 2]}, ["36979#0: perturbed: deletion is nan at step 1"]),
        ({"deletion": ["a", "b"], "deletion_random": [1, 2]}, ["perturbed: deletion"]),
        ({"deletion": [1], "deletion_random": [1]}, ["deletion has 1 scores of a caption, expected K + 1"]),
    ],
)
def test_what_the_writer_refuses(tmp_path: Path, given: dict[str, Any], said: list[str]) -> None:
    path = tmp_path / "maps.npz"
    with ExportWriter(path) as out:
        add_images(out)
        with pytest.raises(ExportError) as caught:
            out.add_caption("36979", DOG, index=0, tokens=list("abc"), perturbed=given)
        assert_says(f"{caught.value} {caught.value.hint}", *said)
        out.add_caption("36979", DOG, index=0, tokens=list("abc"))
    assert open_export(path).curves == {}


@pytest.mark.parametrize("second", [None, {"deletion": [1, 2, 3], "deletion_random": [1, 2, 3]}])
def test_captions_are_described_alike(tmp_path: Path, second: dict[str, Any] | None) -> None:
    with ExportWriter(tmp_path / "maps.npz") as out:
        add_images(out)
        out.add_caption("36979", DOG, tokens=list("abc"), perturbed={"deletion": [1, 2], "deletion_random": [1, 2]})
        with pytest.raises(ExportError, match="is not described like those before it"):
            out.add_caption("4711", CATS, tokens=["cats"], perturbed=second)


@LAYOUTS
def test_packing_keeps_them(tmp_path: Path, layout: Any) -> None:
    source = saved(tmp_path / "maps.npz", layout(**curves()))
    assert pack([source], tmp_path / "packed.npz") == []
    found = open_export(tmp_path / "packed.npz").curves
    assert {name: scores.tolist() for name, scores in found.items()} == {n: s.tolist() for n, s in curves().items()}
    bad = saved(tmp_path / "bad.npz", layout(**curves(deletion=floats([np.nan, 0, 0], *FALL[1:]))))
    with pytest.raises(ExportError, match="NaN or infinite"):
        pack([bad], tmp_path / "never.npz")
    assert not (tmp_path / "never.npz").exists()


def test_similarities_alone_may_have_them(tmp_path: Path) -> None:
    members = {name: value for name, value in packed(**curves()).items() if name not in _OF_MAPS}
    path = saved(tmp_path / "maps.npz", {**members, "format": header(), "similarity": np.eye(2, 3, dtype=np.float32)})
    assert problems(path) == []
    pack([path], tmp_path / "packed.npz")
    assert set(open_export(tmp_path / "packed.npz").curves) == set(CURVES)


_OF_MAPS = {"attention", "attention_offset", "token_offset", "token_span", "channel"}


def test_validate_says_how_many_steps(tmp_path: Path) -> None:
    done = CliRunner().invoke(validate, [str(saved(tmp_path / "maps.npz", packed(**curves())))])
    assert done.exit_code == 0
    assert "deletion and insertion and deletion_random and insertion_random in 2 steps\n" in done.output


# ---------------------------------------------------------------- what looks wrong


def lints(path: Path, **changes: Any) -> list[str]:
    return [lint.kind for lint in lint_curves(open_export(saved(path / "maps.npz", packed(**curves(**changes)))))]


def test_curves_that_meet_where_they_must_look_right(tmp_path: Path) -> None:
    assert lints(tmp_path) == []
    assert lints(tmp_path, **dict.fromkeys(CURVES)) == []
    # What single and half precision make of one and the same score.
    assert lints(tmp_path, deletion_random=floats([9.01, 5, 1], [8, 5, 2], [7, 5, 3])) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"deletion_random": floats([9, 5, 1], [8, 5, 2], [6, 5, 3])},
        {"insertion": floats([1, 8, 9], [2, 8, 8], [3, 4, 3])},
        {"insertion": floats(*FALL)},
    ],
)
def test_curves_apart_are_noted(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert lints(tmp_path, **changes) == ["curves-apart"]
    warnings = find_problems(tmp_path / "maps.npz")[1]
    assert warnings is not None
    assert any("have other scores with all regions" in warning for warning in warnings.warnings)


def test_curves_that_run_backwards_are_noted(tmp_path: Path) -> None:
    fall = np.linspace(1, 0, 4, dtype=np.float32)
    turned = {"deletion": fall[::-1], "deletion_random": fall[::-1], "insertion": fall, "insertion_random": fall}
    path = tmp_path / "maps.npz"
    with ExportWriter(path) as out:
        add_images(out)
        for index in range(12):
            out.add_caption("4711", CATS, index=index, tokens=["cats"], perturbed=turned)
    assert [lint.kind for lint in lint_curves(open_export(path))] == ["curves-reversed", "curves-reversed"]
