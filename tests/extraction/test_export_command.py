"""`attneval export` of models of transformers, from a folder that `save_pretrained` wrote to a score."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from annotations import annotation, thing, write_entities
from here import Here

from . import others
from .kit import llava, picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with images, annotations, and a file of features."""
    (tmp_path / "images").mkdir()
    made = {}
    for number in (1, 2):
        picture(100, 80, seed=number).save(tmp_path / "images" / f"COCO_val2014_{number:012d}.jpg")
        boxes = annotation(thing("1", (1, 1, 50, 80)), width=100, height=80)
        made[str(number)] = (boxes, "[/EN#1/people A man] rides a bicycle .\n")
    write_entities(tmp_path / "gt", made)
    return tmp_path


def saved(folder: Path, made: tuple[Any, Any]) -> Path:
    model, processor = made
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


GIVEN = ("--images", "images", "--gt", "gt", "-o", "maps.npz")


@pytest.mark.parametrize(
    "made", [llava, others.clip, others.blip, others.vilt, others.owl], ids=lambda made: made.__name__
)
def test_a_folder_becomes_an_export(made: Callable[[], tuple[Any, Any]], world: Path, run: Here) -> None:
    saved(world / "model", made())
    done = run("export", "model", *GIVEN)
    assert (done.code, done.out) == (0, "")
    assert "2 captions of 2 images" in done.err
    assert "self-check of 1: " in done.err
    validated = run("validate", "maps.npz", "--gt", "gt")
    assert validated.code == 0
    assert "0 problems" in validated.out
    with np.load(world / "maps.npz") as file:
        header = json.loads(file["format"].tobytes())
    assert header["checkpoint"] == "model"
    assert header["model_dtype"] == "float32"


def test_options_reach_the_library(world: Path, run: Here) -> None:
    saved(world / "model", llava())
    done = run(
        *(
            "export",
            "model",
            *GIVEN,
            "--limit",
            "1",
            "--rows",
            "predict",
            "--heads",
            "1.3,0.1",
            "--over-layers",
            "mean",
        ),
        *("--prompt", "Say it.", "--no-check", "-q", "--batch-size", "1"),
    )
    assert (done.code, done.out) == (0, "")
    with np.load(world / "maps.npz") as file:
        header = json.loads(file["format"].tobytes())
        assert file["channel"].tolist() == [[-1, -1]]
    assert (header["rows"], header["heads"], header["self_check"]) == ("predict", "1.3,0.1", "not run")
    assert header["prompt"] == "USER: <image>\nSay it.</s>ASSISTANT: {caption}"


def test_the_models_numbers_and_its_device_are_chosen(world: Path, run: Here) -> None:
    saved(world / "model", llava())
    assert run("export", "model", *GIVEN, "--dtype", "bfloat16", "--device", "cpu", "--no-check").code == 0
    with np.load(world / "maps.npz") as file:
        header = json.loads(file["format"].tobytes())
        assert np.isfinite(file["attention"]).all()
    assert (header["model_dtype"], header["device"]) == ("bfloat16", "cpu")
    assert "device 'cuda:99' cannot be used" in run.refused("export", "model", *GIVEN, "--device", "cuda:99")


def test_a_dry_run_says_what_would_be_written(world: Path, run: Here) -> None:
    saved(world / "model", others.clip())
    done = run("export", "model", *GIVEN, "--dry-run")
    assert done.code == 0
    assert "one map = 1 channel x 16 regions" in done.out
    assert not list(world.glob("maps*"))


def test_more_than_the_limit_is_written_with_yes_alone(world: Path, run: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    from attneval.extraction import transformers as hf

    saved(world / "model", others.clip())
    monkeypatch.setattr(hf, "LIMIT", 100)
    assert "the limit is 100 bytes" in run.refused("export", "model", *GIVEN, "-q")
    assert not list(world.glob("maps*"))
    assert run("export", "model", *GIVEN, "-q", "--yes", "--no-check").code == 0


def test_what_is_left_out_is_listed(world: Path, run: Here) -> None:
    saved(world / "model", others.clip())
    (world / "images" / "COCO_val2014_000000000002.jpg").write_bytes(b"")
    assert "COCO_val2014_000000000002.jpg cannot be read" in run.refused("export", "model", *GIVEN, "-q")
    done = run("export", "model", *GIVEN, "--errors", "skip", "--no-check")
    assert done.code == 0
    assert "skipped: image 2: " in done.err
    (world / "images" / "COCO_val2014_000000000002.jpg").unlink()
    assert "1 of 2 annotated images are missing: 2" in run.refused("export", "model", *GIVEN)


def test_options_of_the_other_kind_of_model_are_refused(world: Path, run: Here) -> None:
    saved(world / "model", others.clip())
    assert "--data, --maps belong to" in run.refused("export", "model", *GIVEN, "--data", "x", "--no-maps")
    (world / "x.pt").write_bytes(b"")
    assert "x.pt is a checkpoint: --images, --gt belong to" in run.refused("export", "x.pt", *GIVEN)
    assert "y.pt does not exist: --images, --gt belong to" in run.refused("export", "y.pt", *GIVEN)
    assert "name its images with --images" in run.refused("export", "model", "-o", "maps.npz")
    assert "is exported alone" in run.refused("export", "model", "x.pt", *GIVEN)
    assert "weights 'attention' do not exist for CLIPModel" in run.refused(
        "export", "model", *GIVEN, "--weights", "attention", "-q"
    )
    assert "layers 'x' are no numbers" in run.refused("export", "model", *GIVEN, "--layers", "x")


@pytest.mark.parametrize("errors", ["stop", "skip"])
def test_layers_and_heads_that_do_not_exist_are_no_fault_of_a_caption(errors: str, world: Path, run: Here) -> None:
    saved(world / "llava", llava())
    saved(world / "blip", others.blip())
    for model, more, said in (
        ("llava", ("--layers", "0-2"), "LlavaForConditionalGeneration has no attention of layers 2; its layers with "),
        ("llava", ("--heads", "1.7"), "layer 1 has no head 7; it has 4 heads, from 0"),
        ("blip", ("--layers", "4"), "has no attention of layers 4; its layers with "),
        ("blip", ("--layers", "4", "--weights", "gradcam"), "has no cross-attention of layers 4; its layers with "),
    ):
        refused = run.refused("export", model, *GIVEN, *more, "--errors", errors)
        assert said in refused
        assert len(refused.splitlines()) == 1
        assert not list(world.glob("maps*"))


@pytest.mark.parametrize("made", [others.clip, others.owl], ids=lambda made: made.__name__)
def test_layers_are_not_chosen_where_maps_are_of_none(
    made: Callable[[], tuple[Any, Any]], world: Path, run: Here
) -> None:
    saved(world / "model", made())
    for option, value in (("layers", "1"), ("heads", "max"), ("over_layers", "mean")):
        flag = f"--{option.replace('_', '-')}"
        assert f"{option} cannot be chosen: the maps of " in run.refused("export", "model", *GIVEN, flag, value)


def test_a_folder_that_transformers_cannot_load_is_refused(world: Path, run: Here) -> None:
    (world / "model").mkdir()
    (world / "model" / "config.json").write_text('{"model_type": "nothing"}', encoding="utf-8")
    assert "model: transformers cannot load it" in run.refused("export", "model", *GIVEN)
    (world / "model" / "config.json").write_text('{"model_type": "clip", "architectures": ["X"]}', encoding="utf-8")
    assert "has no class X" in run.refused("export", "model", *GIVEN)
