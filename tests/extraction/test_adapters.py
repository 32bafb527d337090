"""Which adapter serves a model, and in which order they are looked for."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("transformers")

from attneval.errors import AttnevalError
from attneval.extraction import transformers as hf
from attneval.extraction.transformers import adapters

from .kit import llava, picture

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
from attneval.extraction import transformers as hf

class Mine(hf.Causal):
    prompt = "USER: <image> Say it. ASSISTANT: {caption}"

class Other:
    pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module beside which one works."""
    (tmp_path / "some_adapters_of_mine.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "some_adapters_of_mine", raising=False)
    return "some_adapters_of_mine"


def choose(adapter: Any = None, **choices: Any) -> tuple[Any, str]:
    return hf.choose_adapter(*llava(), hf.Choices.checked(**choices), adapter=adapter)


def test_the_adapter_that_is_given_comes_first(module: str) -> None:
    before = list(sys.path)
    serving, reason = choose(f"{module}:Mine")
    assert sys.path == before
    assert (type(serving).__name__, reason) == ("Mine", "the one given")
    assert serving.about() == {"prompt": "USER: <image> Say it. ASSISTANT: {caption}"}
    assert len(serving.maps(picture(), ["A man"])) == 1
    assert choose(type(serving))[0].prompt == serving.prompt
    assert choose(serving)[0] is serving


def test_a_prompt_that_is_chosen_comes_before_the_adapters(module: str) -> None:
    serving, _ = choose(f"{module}:Mine", prompt="<image>{caption}")
    assert serving.about() == {"prompt": "<image>{caption}"}


@pytest.mark.parametrize("name", ["LlavaForConditionalGeneration", "llava"])
def test_installed_adapters_come_before_families(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(".")
    entries = [EntryPoint(name, f"{module}:Mine", adapters.GROUP), EntryPoint("others", "no:Such", adapters.GROUP)]
    monkeypatch.setattr(adapters, "entry_points", lambda group: entries if group == adapters.GROUP else [])
    serving, reason = choose()
    assert type(serving).__name__ == "Mine"
    assert reason == f"installed for {name} by {module}:Mine"


def test_families_are_told_by_what_a_model_has() -> None:
    serving, reason = choose()
    assert type(serving) is hf.Causal
    assert reason.startswith("it has config.image_token_id, ")


def test_what_is_no_adapter_is_refused(module: str) -> None:
    for adapter, message in (
        (f"{module}:Missing", "cannot be imported"),
        ("no_such_module_of_mine:X", "cannot be imported"),
        ("nonsense", "names no class; write module:Class"),
        (f"{module}:Other", "is no class of hf.Causal"),
        (3, "is no class of hf.Causal"),
    ):
        with pytest.raises(AttnevalError, match=message):
            choose(adapter)


def test_the_adapter_of_the_message_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "example_of_the_message.py").write_text(
        adapters.EXAMPLE.replace("32000", "4").replace("24, 24", "4, 4"), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    serving, _ = choose("example_of_the_message:MyVLM")
    [found] = serving.maps(picture(60, 60), ["A man"])
    [reference] = choose(prompt=serving.prompt)[0].maps(picture(60, 60), ["A man"])
    assert (found.weights == reference.weights).all()
    assert found.regions == reference.regions


def test_public_names_are_functions_and_classes() -> None:
    for name in hf.__all__:
        assert callable(getattr(hf, name)) or name == "LIMIT", name
