"""The scores of perturbed images that an export may carry of each caption: members, shapes and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.metrics.faithfulness import CURVES, ORDERED, in_random_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from attneval.export.problems import FileProblems
    from attneval.export.read.columns import Columns
    from attneval.export.read.content import AttentionExport

KINDS_OF_CURVES = dict.fromkeys(CURVES, "f")
"""What these members hold, for the tables of both layouts."""


def read_curves(columns: Columns, captions: int) -> dict[str, NDArray[np.floating]]:
    """Take the curves f[N, K+1] of a file by name, none where it has none; numbers are checked when they are used.

    Args:
        columns: The file's members; what is wrong with them is noted.
        captions: N.
    """
    present = [name for name in CURVES if name in columns]
    for name, problem in unpaired(present):
        columns.report.problem(name, problem)
    for name in present:
        columns.shaped(name, (captions, None))
    columns.report.stop_if_broken()
    for name, problem in unequal_steps({name: columns.members.shape(name) for name in present}):
        columns.report.problem(name, problem)
    columns.report.stop_if_broken()
    return {name: columns.members.array(name) for name in present}


def unpaired(names: list[str]) -> Iterator[tuple[str, str]]:
    """Find curves without the one that they are read against, each with what is wrong.

    Args:
        names: The curves that there are.
    """
    for ordered in ORDERED:
        pair = ordered, in_random_order(ordered)
        for name, other in (pair, pair[::-1]):
            if name in names and other not in names:
                yield name, f"stands without {other}"


def unequal_steps(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, str]]:
    """Find curves that have no step, or another number of steps than the first, each with what is wrong.

    Args:
        shapes: (N, K+1) of each curve.
    """
    first, points = next(((name, shape[1]) for name, shape in shapes.items()), ("", 0))
    for name, shape in shapes.items():
        if shape[1] < 2:
            yield name, f"has {shape[1]} scores of a caption, expected K + 1 for shares 0, 1/K, ..., 1 of its regions"
        elif shape[1] != points:
            yield name, f"has {shape[1]} scores of a caption, but {first} has {points}"


def check_curves(
    report: FileProblems,
    curves: Mapping[str, NDArray[Any]],
    called: Callable[[int], str],
) -> None:
    """Note scores that are no numbers.

    Args:
        report: Where problems go.
        curves: f[n, K+1] by name.
        called: How a caption is called in messages.
    """
    for name, scores in curves.items():
        bad = ~np.isfinite(scores)

        def first(row: int, bad: NDArray[np.bool_] = bad, scores: NDArray[Any] = scores) -> str:
            step = int(np.argmax(bad[row]))
            return f"{called(row)} has {scores[row, step]} at step {step}"

        report.rows(name, bad.any(axis=1), "NaN or infinite scores", first)


def check_faithfulness(report: FileProblems, export: AttentionExport) -> None:
    """Note scores of perturbed images that are no numbers."""
    check_curves(report, export.curves, export.caption_name)
