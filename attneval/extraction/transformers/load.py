"""Models and processors by the folder or the name that transformers loads them from."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from attneval.config.extras import to_install
from attneval.errors import AttnevalError, MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DTYPES = ("auto", "bfloat16", "float16", "float32")


def load(
    name: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> tuple[Any, Any]:
    """Load a model, of the class that its configuration names, and its processor.

    Args:
        name: A folder, or a name on the hub.
        device: `auto` (the first GPU if there is one), `cpu`, `cuda`, `cuda:1`, ...
        dtype: `auto` (the checkpoint's own on a GPU, float32 on a CPU), `bfloat16`, `float16`, `float32`.
        trust_remote_code: Run code that comes with the model.
        revision: A branch, tag or commit of the hub.

    Returns:
        The model in evaluation mode, and its processor, or its tokenizer if it has no processor.

    Raises:
        AttnevalError: transformers is missing, there is no such model or device, or it cannot be loaded.
    """
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise MissingPackageError("this needs transformers, which is not installed", hint=to_install("hf")) from error
    if dtype not in DTYPES:
        raise AttnevalError(f"dtype {dtype!r} does not exist", hint=f"use {', '.join(DTYPES)}")
    place = _device(device)
    named: dict[str, Any] = {"trust_remote_code": trust_remote_code, "revision": revision}
    try:
        with _quiet():
            config = transformers.AutoConfig.from_pretrained(name, **named)
            kind = _class_of(transformers, config, trust_remote_code=trust_remote_code)
            wanted = ("auto" if place.type == "cuda" else "float32") if dtype == "auto" else dtype
            model = kind.from_pretrained(
                name, config=config, dtype=wanted if wanted == "auto" else getattr(torch, wanted), **named
            )
            processor = _processor(transformers, name, named)
    except (OSError, ValueError, ImportError, KeyError, AttributeError, RuntimeError) as error:
        if "trust_remote_code" in str(error):
            raise AttnevalError(
                f"{name} comes with code of its own, which was not run", hint="read it, then pass --trust-remote-code"
            ) from error
        raise AttnevalError(f"{name}: transformers cannot load it ({_first_line(error)})", hint=_hint(error)) from error
    return model.to(place).eval(), processor


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' warnings of what is not installed, one a processor, and its bars where nobody sees them."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(name)
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise AttnevalError(f"device {name!r} cannot be used ({_first_line(error)})") from error
    return place


def _class_of(transformers: Any, config: Any, *, trust_remote_code: bool) -> Any:
    """The class that the configuration names; the automatic ones would leave heads away."""
    names = getattr(config, "architectures", None) or []
    classes = [getattr(transformers, name) for name in names if hasattr(transformers, name)]
    if classes:
        return classes[0]
    remote = getattr(config, "auto_map", None) or {}
    if trust_remote_code and remote:
        for auto in ("AutoModelForImageTextToText", "AutoModelForCausalLM", "AutoModel"):
            if auto in remote:
                return getattr(transformers, auto)
    raise AttnevalError(
        f"transformers {transformers.__version__} has no class {' or '.join(names) or 'named in config.json'}",
        hint="code that comes with a model is run with --trust-remote-code"
        if remote
        else "install a newer transformers",
    )


def _processor(transformers: Any, name: str | Path, named: dict[str, Any]) -> Any:
    processor = transformers.AutoProcessor.from_pretrained(name, **named)
    if getattr(processor, "image_processor", None) is None and getattr(processor, "tokenizer", None) is not None:
        raise AttnevalError(f"{name}: {type(processor).__name__} has no image processor")
    return processor


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _hint(error: BaseException) -> str:
    text = str(error)
    about_video = any(word in text.casefold() for word in ("torchvision", "_extra_content", "video"))
    if about_video and importlib.util.find_spec("torchvision") is None:
        return "its processor needs torchvision, which is not installed: pip install torchvision"
    for package in ("scipy", "num2words", "sentencepiece"):
        if package in text and importlib.util.find_spec(package) is None:
            return f"its processor needs {package}: pip install {package}"
    return "name a folder that save_pretrained wrote, or a model of the hub that can be reached from here"
