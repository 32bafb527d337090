"""Find out how an image processor places an image, without knowing its class.

An image of ramps goes through the processor: its red grows with x, its green with y. Two flat images go through too,
one of each end of the ramps. Where the flat images come out alike there is padding; elsewhere the place of the ramp
between them tells which pixel of the original is seen, whatever rescaling and normalisation did. A line fitted to the
columns and the rows of a view is its scale and shift, hence resizing, cropping, letterboxing, tiles and thumbnails. The
outer eighth is left out: resampling bends the ramps there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from attneval.errors import AttnevalError
from attneval.extraction.transformers.views import View

if TYPE_CHECKING:
    from PIL.Image import Image

Array: TypeAlias = npt.NDArray[np.float64]
Process: TypeAlias = Callable[["Image"], Mapping[str, Any]]
"""From an image to what the processor makes of it, `pixel_values` among it."""

LOW, HIGH = 8, 248
"""Ends of the ramps; not 0 and 255, so that resampling does not clip."""
GOLDEN = 0.6180339887498949
SLOW = 16
"""Periods of the slow part of the dither in an image."""
ENOUGH = 6
"""Fewest columns or rows of a view that a line is fitted to."""


def probe(process: Process, width: int, height: int, settings: Mapping[str, Any]) -> tuple[View, ...]:
    """Derive the views of an image of `width` x `height` pixels from what a processor does to ramps.

    Args:
        process: The processor, called with one PIL image.
        width: Width of the image in pixels.
        height: Its height.
        settings: Attributes of the image processor; only `patch_size`, `merge_size` and `temporal_patch_size` (to
            unfold patches) and `image_grid_pinpoints` (tiles of one padded canvas) are read.

    Returns:
        The views in the order of `pixel_values`.

    Raises:
        AttnevalError: what the processor makes is no resized, cropped, padded or tiled picture of the image.
    """
    low, high, ramps = (unfold(process(image), settings) for image in _images(width, height))
    if not low.shape == high.shape == ramps.shape:
        raise AttnevalError(
            f"the processor makes views of other shapes from images of the same size: {low.shape}, {high.shape}, "
            f"{ramps.shape}",
            hint="geometry by a probe needs a processor that looks at the size alone; give regions() in an adapter",
        )
    seen = [_Seen.compare(*views, width=width, height=height) for views in zip(low, high, ramps, strict=True)]
    if settings.get("image_grid_pinpoints") and len(seen) > 1:
        return (seen[0].view(0), *_tiles(seen[1:]))
    return tuple(view.view(index) for index, view in enumerate(seen))


def _images(width: int, height: int) -> tuple[Image, Image, Image]:
    """Make the two flat images and the ramps."""
    from PIL import Image

    x = LOW + (HIGH - LOW) * (np.arange(width) + 0.5) / width
    y = LOW + (HIGH - LOW) * (np.arange(height) + 0.5) / height
    ramps = np.empty((height, width, 3), dtype=np.uint8)
    ramps[..., 0] = np.floor(x[None, :] + _dither(height)[:, None])
    ramps[..., 1] = np.floor(y[:, None] + _dither(width)[None, :])
    ramps[..., 2] = HIGH
    flat = [Image.new("RGB", (width, height), (level,) * 3) for level in (LOW, HIGH)]
    return flat[0], flat[1], Image.fromarray(ramps)


def _dither(count: int) -> Array:
    """Spread rounding over the lines along a ramp, so that their mean is exact.

    The quick part makes up for rounding here; a resampling filter takes it away, and rounding after that would be the
    same in all lines but for the slow part.
    """
    lines = np.arange(count)
    slow = (SLOW * (lines + 0.5) / count) % 1.0 - 0.5
    return slow + lines * GOLDEN % 1.0


def unfold(output: Mapping[str, Any], settings: Mapping[str, Any]) -> Array:
    """Return the views in what a processor made of one image.

    Args:
        output: What the processor returned; `pixel_values` of shape (1, C, H, W), (V, C, H, W), (1, V, C, H, W), or
            patches: Qwen's (rows * cols, C * t * p * p) in blocks of merge x merge with `image_grid_thw`, or SigLIP2's
            (1, patches, p * p * C) with `spatial_shapes`.
        settings: Attributes of the image processor: `patch_size`, `merge_size`, `temporal_patch_size`.

    Returns:
        float64[V, 3, H, W].
    """
    if "pixel_values" not in output:
        raise AttnevalError(
            f"the processor returns no pixel_values but {', '.join(sorted(output))}",
            hint="give regions() in an adapter",
        )
    pixels = output["pixel_values"]
    values = np.asarray(pixels[0] if isinstance(pixels, list) and len(pixels) == 1 else pixels, dtype=np.float64)
    if "image_grid_thw" in output:
        return _unfold_blocks(values, np.asarray(output["image_grid_thw"]).reshape(-1, 3), settings)
    if "spatial_shapes" in output:
        return _unfold_rows(values, np.asarray(output["spatial_shapes"]).reshape(-1, 2), settings)
    if values.ndim == 5 and len(values) == 1:
        values = values[0]
    if values.ndim == 3:
        values = values[None]
    if values.ndim != 4 or values.shape[1] != 3:
        raise AttnevalError(
            f"pixel_values of shape {values.shape} are no views of three colours", hint="give regions() in an adapter"
        )
    return values


def _unfold_blocks(values: Array, grid: npt.NDArray[Any], settings: Mapping[str, Any]) -> Array:
    frames, rows, cols = (int(n) for n in grid[0])
    merge = int(settings.get("merge_size") or 1)
    depth = int(settings.get("temporal_patch_size") or 1)
    values = values.reshape(-1, values.shape[-1])
    side = int(settings.get("patch_size") or round((values.shape[1] / 3 / depth) ** 0.5))
    if len(grid) != 1 or frames != 1 or values.shape != (rows * cols, 3 * depth * side * side):
        raise AttnevalError(
            f"pixel_values of shape {values.shape} do not fit image_grid_thw {grid.tolist()} and patches of {side} px",
            hint="give regions() in an adapter",
        )
    blocks = values.reshape(rows // merge, cols // merge, merge, merge, 3, depth, side, side)[:, :, :, :, :, 0]
    picture = blocks.transpose(4, 0, 2, 5, 1, 3, 6)
    unfolded: Array = picture.reshape(1, 3, rows * side, cols * side)
    return unfolded


def _unfold_rows(values: Array, shapes: npt.NDArray[Any], settings: Mapping[str, Any]) -> Array:
    rows, cols = (int(n) for n in shapes[0])
    values = values.reshape(-1, values.shape[-1])
    side = int(settings.get("patch_size") or round((values.shape[1] / 3) ** 0.5))
    if len(shapes) != 1 or len(values) < rows * cols or values.shape[1] != 3 * side * side:
        raise AttnevalError(
            f"pixel_values of shape {values.shape} do not fit spatial_shapes {shapes.tolist()}, patches of {side} px",
            hint="give regions() in an adapter",
        )
    patches = values[: rows * cols].reshape(rows, cols, side, side, 3)
    unfolded: Array = patches.transpose(4, 0, 2, 1, 3).reshape(1, 3, rows * side, cols * side)
    return unfolded


@dataclass(frozen=True)
class _Seen:
    """What one view shows: of each of its pixels, the place in the original image.

    Attributes:
        x: float64[H, W], in pixels of the original.
        y: float64[H, W].
        valid: bool[H, W], False where there is padding.
        width: Width of the original image.
        height: Its height.
    """

    x: Array
    y: Array
    valid: npt.NDArray[np.bool_]
    width: int
    height: int

    @classmethod
    def compare(cls, low: Array, high: Array, ramps: Array, *, width: int, height: int) -> _Seen:
        reach = (high - low)[:2]
        # Each colour has a scale of its own; next to padding resampling overshoots, hence the median.
        size = np.abs(reach)
        halves = [colour[colour > colour.max() / 2] for colour in size]
        full = np.array([np.median(half) if len(half) else np.inf for half in halves])[:, None, None]
        valid = (np.abs(size / full - 1.0) < 0.02).all(axis=0)
        place = (ramps[:2] - low[:2]) / np.where(valid, reach, 1.0)
        return cls(place[0] * width, place[1] * height, valid, width, height)

    def view(self, index: int) -> View:
        """Fit the view's scale and shift."""
        fit = self.fit()
        if fit is None:
            raise AttnevalError(
                f"view {index} of the processor shows too little of the image to be placed: {int(self.valid.sum())} of "
                f"{self.valid.size} pixels",
                hint="give regions() in an adapter",
            )
        affine, error = fit
        # Three levels of the ramps are what rounding twice can cost.
        limit = max(1.5, 3 * max(self.width, self.height) / (HIGH - LOW))
        if min(affine[:2]) <= 0 or error > limit:
            raise AttnevalError(
                f"view {index} of the processor is no resized part of the image: straight lines miss its columns and "
                f"rows by {error:.1f} px (at most {limit:.1f}), scales {affine[0]:.3f} and {affine[1]:.3f}",
                hint="an image that is turned, mirrored or bent needs regions() in an adapter",
            )
        height, width = self.valid.shape
        return View(height, width, affine)

    def fit(self) -> tuple[tuple[float, float, float, float], float] | None:
        """Fit lines to columns and rows.

        Returns:
            The affine and the mean distance of a pixel to it in pixels of the original; None if too little is seen.
        """
        rows, cols = (_inner(np.asarray(self.valid.any(axis=axis))) for axis in (1, 0))
        if len(rows) < ENOUGH or len(cols) < ENOUGH:
            return None
        x, y = self.x[np.ix_(rows, cols)], self.y[np.ix_(rows, cols)]
        sx, tx = np.polyfit(cols + 0.5, x.mean(axis=0), 1)
        sy, ty = np.polyfit(rows + 0.5, y.mean(axis=1), 1)
        error = max(
            np.abs(x - (sx * (cols + 0.5) + tx)[None, :]).mean(), np.abs(y - (sy * (rows + 0.5) + ty)[:, None]).mean()
        )
        return (float(sx), float(sy), float(tx), float(ty)), float(error)


def _inner(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the indices between the first and the last that is seen, without an eighth at each end."""
    indices = np.flatnonzero(seen)
    if not len(indices):
        return indices
    first, last = int(indices[0]), int(indices[-1])
    margin = (last + 1 - first) // 8
    return np.arange(first + margin, last + 1 - margin)


def _tiles(seen: Sequence[_Seen]) -> tuple[View, ...]:
    """Place tiles that were cut from one padded canvas.

    A tile may show a sliver of the image or none; the canvas shows all. Its rows x columns of tiles are those that make
    it one straight picture.
    """
    height, width = seen[0].valid.shape
    best: tuple[float, int, tuple[float, float, float, float]] | None = None
    for rows in range(1, len(seen) + 1):
        cols, rest = divmod(len(seen), rows)
        if rest:
            continue
        parts = [
            np.block([[getattr(seen[row * cols + col], name) for col in range(cols)] for row in range(rows)])
            for name in ("x", "y", "valid")
        ]
        canvas = _Seen(parts[0], parts[1], parts[2], seen[0].width, seen[0].height)
        fit = canvas.fit()
        if fit is not None and min(fit[0][:2]) > 0 and (best is None or fit[1] < best[0]):
            best = (fit[1], cols, fit[0])
    if best is None or best[0] > max(1.5, 3 * max(seen[0].width, seen[0].height) / (HIGH - LOW)):
        raise AttnevalError(
            f"{len(seen)} tiles of the processor form no picture of the image in any rows x columns",
            hint="give regions() in an adapter",
        )
    _, cols, (sx, sy, tx, ty) = best
    return tuple(
        View(height, width, (sx, sy, tx + sx * width * (index % cols), ty + sy * height * (index // cols)))
        for index in range(len(seen))
    )
