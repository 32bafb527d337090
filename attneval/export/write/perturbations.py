"""Scores of perturbed images on their way into an export: what the reader would refuse about them is refused here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import ExportError, suggestion
from attneval.export.read.perturbations import unequal_steps, unpaired
from attneval.export.write.numbers import numbers
from attneval.metrics.faithfulness import CURVES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray


def given_curves(
    given: Mapping[str, ArrayLike], captions: int, called: Callable[[int], str], *, single: bool
) -> dict[str, NDArray[np.float32]]:
    """Check the curves of captions as `ExportWriter.add_captions` takes them.

    Args:
        given: f[B, K+1] by name; f[K+1] of a single caption.
        captions: B.
        called: Where one of the captions is, for messages.
        single: True for `ExportWriter.add_caption`.

    Returns:
        f4[B, K+1] by name.

    Raises:
        ExportError: A curve has an unknown name or another shape, stands alone, or is not finite.
    """
    where = f"{called(0)}{'' if single else ', ...'}: perturbed"
    unknown = [name for name in given if name not in CURVES]
    if unknown:
        raise ExportError(f"{where}: curve {unknown[0]!r} does not exist", hint=suggestion(unknown[0], CURVES, _KNOWN))
    curves: dict[str, NDArray[Any]] = {}
    for name in CURVES:
        if name not in given:
            continue
        scores = numbers(given[name], np.float32, f"{where}: {name}")
        curves[name] = scores[None] if single else scores
        if curves[name].ndim != 2 or len(curves[name]) != captions:
            expected = "(K + 1,)" if single else f"({captions}, K + 1)"
            raise ExportError(f"{where}: {name} has shape {scores.shape}, expected {expected}")
    for name, problem in (*unpaired(list(curves)), *unequal_steps(_shapes(curves))):
        raise ExportError(f"{where}: {name} {problem}")
    for name, scores in curves.items():
        bad = ~np.isfinite(scores)
        if bad.any():
            row, step = (int(place[0]) for place in np.nonzero(bad))
            raise ExportError(f"{called(row)}: perturbed: {name} is {scores[row, step]} at step {step}")
    return curves


_KNOWN = f"curves are {', '.join(CURVES)}"


def _shapes(curves: Mapping[str, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    return {name: scores.shape for name, scores in curves.items()}
