"""The parts that are taken from a model: layers, heads, rows, the kind of weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from attneval.errors import AttnevalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROWS = ("token", "predict")
WEIGHTS = ("attention", "similarity", "detector", "gradcam")
HEADS = ("mean", "max", "all")
OVER_LAYERS = ("none", "mean")

Channel = tuple[int, int]
"""Layer and head, -1 where reduced over."""


@dataclass(frozen=True)
class Choices:
    """The parts that are taken from a model.

    Attributes:
        prompt: Text with `{caption}` in it, or for chat models the user's instruction; None for the family's default.
        rows: `token`, the row of the token itself, or `predict`, the row that predicts it, one position before.
        layers: `all` or layer numbers.
        heads: `mean` or `max` over the heads of a layer, `all`, or (layer, head) of each.
        over_layers: `mean` for one map over the layers, or over the heads that are named one by one.
        weights: `attention`, `similarity`, `detector`, `gradcam`; None for the family's own.
    """

    prompt: str | None = None
    rows: Literal["token", "predict"] = "token"
    layers: Literal["all"] | tuple[int, ...] = "all"
    heads: Literal["mean", "max", "all"] | tuple[Channel, ...] = "mean"
    over_layers: Literal["none", "mean"] = "none"
    weights: Literal["attention", "similarity", "detector", "gradcam"] | None = None

    @classmethod
    def checked(
        cls,
        *,
        prompt: str | None = None,
        rows: str = "token",
        layers: str | Iterable[int] = "all",
        heads: str | Iterable[Sequence[int]] = "mean",
        over_layers: str = "none",
        weights: str | None = None,
    ) -> Choices:
        """Check choices as the command line and `hf.export` take them.

        Args:
            prompt: See the class.
            rows: See the class.
            layers: `all`, numbers, or text such as `8-24` or `14,20`.
            heads: `mean`, `max`, `all`, pairs, or text such as `14.3,16.7`.
            over_layers: See the class.
            weights: See the class.

        Raises:
            AttnevalError: One does not exist, or two contradict each other.
        """
        options: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (
            ("rows", rows, ROWS),
            ("over_layers", over_layers, OVER_LAYERS),
            ("weights", weights, WEIGHTS),
        )
        for name, value, known in options:
            if value is not None and value not in known:
                raise AttnevalError(f"{name} {value!r} does not exist", hint=f"use {', '.join(known)}")
        numbers = _layers(layers)
        chosen = _heads(heads)
        if isinstance(chosen, tuple) and numbers != "all":
            raise AttnevalError("heads that are named one by one say their layers", hint="leave the layers out")
        return cls(prompt, rows, numbers, chosen, over_layers, weights)  # type: ignore[arg-type] # checked above

    @property
    def wanted_layers(self) -> tuple[int, ...] | None:
        """The layers that are read, None for all."""
        if isinstance(self.heads, tuple):
            return tuple(dict.fromkeys(layer for layer, _ in self.heads))
        return None if self.layers == "all" else self.layers

    def described(self) -> dict[str, str]:
        """The choices as a header says them."""
        heads = self.heads if isinstance(self.heads, str) else ",".join(f"{layer}.{head}" for layer, head in self.heads)
        layers = self.layers if isinstance(self.layers, str) else ",".join(map(str, self.layers))
        return {"rows": self.rows, "layers": layers, "heads": heads, "over_layers": self.over_layers}


def _layers(given: str | Iterable[int]) -> Literal["all"] | tuple[int, ...]:
    if given == "all":
        return "all"
    numbers: list[int] = []
    if isinstance(given, str):
        for part in given.split(","):
            if not (match := re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)):
                raise AttnevalError(f"layers {given!r} are no numbers", hint="write all, 8-24 or 14,20")
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                raise AttnevalError(f"layers {part.strip()} run backwards")
            numbers += range(first, last + 1)
    else:
        numbers = [int(number) for number in given]
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise AttnevalError(f"layers {given!r} are none, negative or twice the same")
    return tuple(numbers)


def _heads(given: str | Iterable[Sequence[int]]) -> Any:
    if isinstance(given, str):
        if given in HEADS:
            return given
        pairs = [re.fullmatch(r"\s*(\d+)\.(\d+)\s*", part) for part in given.split(",")]
        if not all(pairs):
            raise AttnevalError(
                f"heads {given!r} do not exist", hint="write mean, max, all, or LAYER.HEAD of each: 14.3,16.7"
            )
        chosen = tuple((int(pair[1]), int(pair[2])) for pair in pairs if pair)
    else:
        chosen = tuple((int(layer), int(head)) for layer, head in given)
    if not chosen or len(set(chosen)) < len(chosen) or min(map(min, chosen)) < 0:
        raise AttnevalError(f"heads {given!r} are none, negative or twice the same")
    return chosen
