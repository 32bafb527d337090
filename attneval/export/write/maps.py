"""Maps on their way into an export: cut to their captions' tokens and regions, and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.records import record
from attneval.errors import ExportError
from attneval.export.problems import FileProblems
from attneval.export.row_layout import RowLayout
from attneval.export.weight_checks import WeightRules, check_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

NEARLY = 0.9
"""Share of the tolerance within which a quickly computed sum settles that the exact one is near enough to 1."""


@record
class MapBatch:
    """B captions whose maps are given together, padded.

    Attributes:
        path: The file, for messages.
        channels: A.
        tokens: i8[B], each caption's tokens.
        regions: i8[B], the regions that its map is over.
        grid: Rows and columns of the grid that all of them have, if they do.
        exact: Whether the maps have no padding.
        called: How a caption is called in messages, without the file.
        special: Makes b[sum T], the tokens that stand for no text.
        real: Makes b[sum R], the captions' regions that are no padding.
    """

    path: Path
    channels: int
    tokens: NDArray[np.int64]
    regions: NDArray[np.int64]
    grid: tuple[int, int] | None
    exact: bool
    called: Callable[[int], str]
    special: Callable[[], NDArray[np.bool_]]
    real: Callable[[], NDArray[np.bool_]]

    def rows_of(self, maps: NDArray[np.floating], name: str) -> NDArray[np.floating]:
        """The rows of the captions' tokens.

        Args:
            maps: f[B, T, R], or f[B, A, T, R], or with the axes of a grid in place of the last one.
            name: The member they go into, for messages.

        Returns:
            f[n, most regions], by caption, channel and token: a copy.

        Raises:
            ExportError: They have another shape, or weight where they are cut off.
        """
        fitted = self._fitted(maps)
        if fitted is None:
            raise self._misfit(name, maps)
        keep = self._keep(fitted.shape[2]).ravel()
        rows = fitted.reshape(len(keep), fitted.shape[3])
        if not keep.all():
            # Most rows are padding in long batches; a product with all of them takes a fifth of copying those.
            weight = _traces(rows) != 0
            weight[keep] = False
            self._refuse_weight(rows[weight], name, fitted, behind="token")
        most = int(self.regions.max())
        kept = rows.compress(keep, axis=0)
        if fitted.shape[3] > most:
            self._refuse_weight(kept[:, most:], name, fitted, behind="region")
            kept = np.ascontiguousarray(kept[:, :most])
        return kept

    def masses_of(self, mass: NDArray[np.floating]) -> NDArray[np.floating]:
        """The masses f[sum A*T] of the captions' rows, given as f[B, T] or f[B, A, T].

        Raises:
            ExportError: They have another shape, or there are some where they are cut off.
        """
        given = mass[:, None] if mass.ndim == 2 and self.channels == 1 else mass
        longest = int(self.tokens.max())
        fits = given.ndim == 3 and given.shape[:2] == (len(self.tokens), self.channels)
        if not fits or given.shape[2] < longest or (self.exact and given.shape[2] != longest):
            expected = f"{len(self.tokens)} captions x {self.channels} channels x {longest} tokens"
            raise ExportError(f"{self.path}: mass of {self.called(0)} has shape {mass.shape}, expected {expected}")
        keep = self._keep(given.shape[2])
        flat = given.reshape(keep.size)
        self._refuse_weight(flat.compress(~keep.ravel())[:, None], "row_mass", given, behind="token")
        return flat.compress(keep.ravel())

    def cut(self, rows: NDArray[np.floating], name: str) -> NDArray[np.floating]:
        """Cut rows f[n, m], m the most regions, to each caption's regions: the weights f[k], one after the other.

        Raises:
            ExportError: There is weight where they are cut off.
        """
        if self.regions.min() == self.regions.max():
            return rows
        keep = np.arange(rows.shape[1]) < np.repeat(self.regions, self.tokens * self.channels)[:, None]
        weight = (rows != 0) & ~keep & ~np.isnan(rows)
        if weight.any():
            self._refuse_weight(rows[weight.any(axis=1)], name, rows, behind="region")
        return rows[keep]

    def check(
        self,
        rows: NDArray[np.floating],
        flat: NDArray[np.floating],
        name: str,
        rules: WeightRules,
        mass: NDArray[np.float64] | None,
    ) -> None:
        """Refuse weights that a reader would.

        Args:
            rows: f[n, most regions], what `rows_of` gave.
            flat: What `cut` made of them.
            name: The member they go into.
            rules: What they have to be.
            mass: f8[n], what each row summed to, if that is known.

        Raises:
            ExportError: Some are no numbers, are negative, or do not sum to 1.
        """
        if not flat.size or (mass is None and look_sound(rows, rules)):
            return
        problems = FileProblems(self.path)
        layout = RowLayout.from_sizes(self.tokens, self.regions, self.channels, self.called)
        check_weights(
            problems,
            name,
            layout,
            flat.reshape(-1),
            rules,
            special=self.special,
            columns=lambda: layout.columns_of_regions(self.real()),
            mass=mass,
        )
        if problems.problems:
            raise ExportError(f"{self.path}: {problems.problems[0]}", hint=self._hint(rules, problems.problems[0]))

    def _hint(self, rules: WeightRules, problem: str) -> str:
        if "sums to 0" in problem and rules.over == "regions":
            return 'a row without any weight is undefined: give mass= (or mass="sum" with the weights as they were)'
        if "sum to 1" in problem:
            return "normalise them, or say normalised_over='none'; check=False writes them unchecked"
        return "check=False writes them unchecked, and the reader refuses them"

    def _fitted(self, maps: NDArray[np.floating]) -> NDArray[np.floating] | None:
        """The maps as f[B, A, T, R] with enough rows and columns, if they can be seen so."""
        views = [maps]
        if self.grid is not None and maps.ndim > 3 and maps.shape[-2:] == self.grid:
            views.append(maps.reshape(*maps.shape[:-2], self.grid[0] * self.grid[1]))
        longest, most = int(self.tokens.max()), int(self.regions.max())
        for view in views:
            full = view[:, None] if view.ndim == 3 and self.channels == 1 else view
            if full.ndim != 4 or full.shape[:2] != (len(self.tokens), self.channels):
                continue
            rows, columns = full.shape[2:]
            if (rows, columns) == (longest, most) or (not self.exact and rows >= longest and columns >= most):
                return full
        return None

    def _keep(self, width: int) -> NDArray[np.bool_]:
        return np.asarray(np.arange(width) < np.repeat(self.tokens, self.channels)[:, None])

    def _misfit(self, name: str, maps: NDArray[Any]) -> ExportError:
        longest, most = int(self.tokens.max()), int(self.regions.max())
        expected = f"{len(self.tokens)} captions x {self.channels} channels x {longest} tokens x {most} regions"
        hint = ""
        if maps.ndim >= 2:
            hint = self._cause(maps.shape[-2] - longest, maps.shape[-1] - most)
            if maps.shape[-2:] == (most, longest) and most != longest:
                hint = "they look transposed: rows are tokens and columns are regions, in both directions"
        if maps.ndim == 4 and self.channels == 1 and not hint:
            hint = "several heads are channels: say channels=[(layer, head), ...], or give their mean"
        captions, shape = self.called(0) + ", ..." * (len(self.tokens) > 1), maps.shape
        if self.exact:
            shape, expected = maps.shape[1:], expected.partition(" captions x ")[2]
        return ExportError(f"{self.path}: {name} of {captions} has shape {shape}, expected {expected}", hint=hint)

    def _refuse_weight(self, rest: NDArray[np.floating], name: str, maps: NDArray[np.floating], *, behind: str) -> None:
        """Refuse weight in what is cut off; NaN is what a softmax over nothing gives."""
        if not rest.size or (rest.max() == 0 and rest.min() == 0) or not np.any((rest != 0) & ~np.isnan(rest)):
            return
        extra = (maps.shape[2] - int(self.tokens.max()), 0) if behind == "token" else (0, 1)
        if behind == "region" and maps.ndim == 4:
            extra = (0, maps.shape[3] - int(self.regions.max()))
        captions = self.called(0) + ", ..." * (len(self.tokens) > 1)
        raise ExportError(
            f"{self.path}: {name} of {captions} has weight behind a caption's last {behind}, where it is cut off",
            hint=self._cause(*extra) or f"what is behind a caption's {behind}s must be zeros",
        )

    def _cause(self, rows: int, columns: int) -> str:
        """The likeliest cause of some rows or columns too many."""
        if columns in (1, 2):
            key = f"{int(self.regions.max()) + columns} columns for {int(self.regions.max())} " + (
                "cells" if self.grid else "regions"
            )
            return f"{key}: the image's [CLS] key is no region; leave its column out, as in attention[..., 1:]"
        if rows in (1, 2):
            return (
                "special tokens such as [CLS], [SEP] and <start> need a token for each row, or their rows left out; "
                "a leading row too many makes all rows late. What is padding must be zeros"
            )
        return ""


def _traces(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """f[n], sums of the weights of rows by factors that let none cancel others: not 0 where there is any weight."""
    rows = rows.astype(np.float32) if rows.dtype.itemsize < 4 else rows
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(rows @ np.sqrt(np.arange(2, rows.shape[1] + 2)).astype(rows.dtype))


def look_sound(rows: NDArray[np.floating], rules: WeightRules) -> bool:
    """Test quickly whether rows of weights f[n, R] certainly keep the rules; two passes over them."""
    if rules.over == "tokens":
        return False
    rows = rows.astype(np.float32) if rows.dtype.itemsize < 4 else rows
    if rules.kind == "attention" and not rows.min(initial=0) >= 0:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        sums = rows @ np.ones(rows.shape[1], rows.dtype)
    if rules.over == "regions":
        return bool((np.abs(sums - 1) <= NEARLY * rules.tolerance).all())
    return bool(np.isfinite(sums).all())


def normalised(maps: NDArray[np.floating], grid: tuple[int, int] | None) -> tuple[Any, NDArray[np.float64]]:
    """Maps [..., R] whose rows sum to 1, and what they summed to: f8[...].

    Args:
        maps: The weights as they were before.
        grid: Rows and columns of the images' grid, if all have the same: then the last two axes may be those.
    """
    axes = (-2, -1) if grid is not None and maps.ndim > 3 and maps.shape[-2:] == grid else (-1,)
    mass = maps.sum(axis=axes, dtype=np.float64)
    divisor = np.where(mass > 0, mass, 1.0)
    return maps / np.expand_dims(divisor, axes), mass
