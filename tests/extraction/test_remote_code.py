"""Models that come with code of their own, and names of a hub that cannot be reached."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from annotations import annotation, thing, write_entities
from here import Here

pytest.importorskip("transformers")

from .kit import llava, picture

if TYPE_CHECKING:
    from pathlib import Path

MODEL = """
from pathlib import Path

from transformers import LlavaConfig, LlavaForConditionalGeneration

Path({mark!r}).write_text("the model's code ran")


class OwnConfig(LlavaConfig):
    model_type = "own_vlm"


class OwnVlm(LlavaForConditionalGeneration):
    config_class = OwnConfig
"""
PROCESSOR = """
from pathlib import Path

from transformers import LlavaProcessor

Path({mark!r}).write_text("the processor's code ran")


class OwnProcessor(LlavaProcessor):
    pass
"""
GIVEN = ("--images", "images", "--gt", "gt", "-o", "maps.npz")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an image and its annotations; code that is run is copied within it."""
    (tmp_path / "images").mkdir()
    picture(100, 80).save(tmp_path / "images" / "1.jpg")
    boxes = annotation(thing("1", (1, 1, 50, 80)), width=100, height=80)
    write_entities(tmp_path / "gt", {"1": (boxes, "[/EN#1/people A man] rides a bicycle .\n")})
    cache = str(tmp_path / "modules")
    for module in ("dynamic_module_utils", "utils.hub"):
        monkeypatch.setattr(f"transformers.{module}.HF_MODULES_CACHE", cache)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def edited(path: Path, **given: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **given}))


def own_model(folder: Path, mark: Path) -> None:
    """A folder whose class of model is in a file beside the weights, which leaves a mark when it runs."""
    model, processor = llava()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "modeling_own.py").write_text(MODEL.format(mark=str(mark)))
    edited(
        folder / "config.json",
        model_type="own_vlm",
        architectures=["OwnVlm"],
        auto_map={"AutoConfig": "modeling_own.OwnConfig", "AutoModelForImageTextToText": "modeling_own.OwnVlm"},
    )


def own_processor(folder: Path, mark: Path) -> None:
    """The same of the processor."""
    model, processor = llava()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "processing_own.py").write_text(PROCESSOR.format(mark=str(mark)))
    edited(
        folder / "processor_config.json",
        processor_class="OwnProcessor",
        auto_map={"AutoProcessor": "processing_own.OwnProcessor"},
    )
    edited(folder / "tokenizer_config.json", processor_class="OwnProcessor")


@pytest.mark.parametrize("made", [own_model, own_processor])
def test_code_that_comes_with_a_model_runs_when_it_is_asked_for(made: Any, world: Path, run: Here) -> None:
    made(world / "own", world / "mark")
    said = run.refused("export", "own", *GIVEN)
    assert said == "error: own comes with code of its own, which was not run; read it, then pass --trust-remote-code\n"
    assert not (world / "mark").exists()
    assert not (world / "modules").exists()
    assert not list(world.glob("maps*"))
    done = run("export", "own", *GIVEN, "--trust-remote-code")
    assert (done.code, done.out) == (0, "")
    assert (world / "mark").read_text().endswith("code ran")
    assert run("validate", "maps.npz", "--gt", "gt").code == 0
    with np.load(world / "maps.npz") as file:
        header = json.loads(file["format"].tobytes())
    assert header["class"] == ("OwnVlm" if made is own_model else "LlavaForConditionalGeneration")


def test_a_name_of_a_hub_that_cannot_be_reached(world: Path, run: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for more in ((), ("--trust-remote-code",)):
        said = run.refused("export", "nobody/no-such-model", *GIVEN, *more)
        assert said.startswith("error: nobody/no-such-model: ")
        assert "hub" in said
        assert len(said.splitlines()) == 1
        assert not list(world.glob("maps*"))
