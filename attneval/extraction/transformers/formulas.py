"""Closed formulas of the views of known image processors: a second derivation beside the probe.

Sizes and offsets are those of transformers 5.24, written down from the processors' rules. A class that is not in
`KINDS` has no formula, and the probe stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from attneval.extraction.transformers.views import View

Settings: TypeAlias = Mapping[str, Any]
Shapes: TypeAlias = Sequence[tuple[int, int]]
Formula: TypeAlias = Callable[[int, int, Settings, Shapes], tuple[View, ...]]
"""From width, height, settings of the processor and the (height, width) of the views that came out, to the views."""


def formula(kind: str, width: int, height: int, settings: Settings, shapes: Shapes) -> tuple[View, ...] | None:
    """Compute the views of an image by the rules of its processor's class.

    Args:
        kind: Name of the image processor's class; the endings of a backend (Pil, Fast) do not count.
        width: Width of the image in pixels.
        height: Its height.
        settings: Attributes of the image processor with what a call overrides.
        shapes: (height, width) of the views that the processor made; read only where a class spreads the whole image
            over whatever size it chooses.

    Returns:
        The views in the order of `pixel_values`, or None for a class without a formula.
    """
    rule = KINDS.get(kind.removesuffix("Pil").removesuffix("Fast"))
    return None if rule is None else rule(width, height, settings, shapes)


def _part(shape: tuple[int, int], x1: float, y1: float, x2: float, y2: float) -> View:
    """Spread a part of the image over a view of (height, width)."""
    height, width = shape
    return View(height, width, ((x2 - x1) / width, (y2 - y1) / height, x1, y1))


def _tiles(width: int, height: int, layout: tuple[int, int], shape: tuple[int, int]) -> list[View]:
    """Spread the image over a layout of (rows, cols) tiles of (height, width), row by row."""
    rows, cols = layout
    x, y = width / cols, height / rows
    return [_part(shape, col * x, row * y, (col + 1) * x, (row + 1) * y) for row in range(rows) for col in range(cols)]


def _edge(size: Any, name: str) -> int | None:
    """Read one edge of a size, which is a mapping or an object."""
    value = size.get(name) if isinstance(size, Mapping) else getattr(size, name, None)
    return None if value is None else int(value)


def _resized(width: int, height: int, settings: Settings) -> tuple[int, int]:
    """Compute (width, height) after the common resize: both edges, or the shortest edge and perhaps the longest."""
    size = settings.get("size")
    if not settings.get("do_resize") or size is None:
        return width, height
    rows, cols = _edge(size, "height"), _edge(size, "width")
    if rows and cols:
        return cols, rows
    shortest, longest = _edge(size, "shortest_edge"), _edge(size, "longest_edge")
    short, long = min(width, height), max(width, height)
    new_short, ratio_short = shortest or short, float(shortest or short)
    if longest and long / short * new_short > longest:
        ratio_short = longest * short / long
        new_short = round(ratio_short)
    new_long = int(ratio_short * long / short)
    return (new_short, new_long) if width <= height else (new_long, new_short)


def _common(width: int, height: int, settings: Settings, _shapes: Shapes) -> tuple[View, ...]:
    """Resize, then perhaps cut out the centre (CLIP, SigLIP, BLIP, PaliGemma)."""
    return (_resize_and_crop(width, height, settings, 0, 0),)


def _llava(width: int, height: int, settings: Settings, _shapes: Shapes) -> tuple[View, ...]:
    """Perhaps pad to a centred square, then as CLIP."""
    if not settings.get("do_pad"):
        return (_resize_and_crop(width, height, settings, 0, 0),)
    side = max(width, height)
    return (_resize_and_crop(side, side, settings, (side - width) // 2, (side - height) // 2),)


def _resize_and_crop(width: int, height: int, settings: Settings, pad_x: int, pad_y: int) -> View:
    cols, rows = _resized(width, height, settings)
    left = top = 0
    view_cols, view_rows = cols, rows
    if settings.get("do_center_crop"):
        crop = settings["crop_size"]
        view_rows, view_cols = _edge(crop, "height") or rows, _edge(crop, "width") or cols
        # A negative offset is padding; it is rounded down like the positive one.
        left, top = (cols - view_cols) // 2, (rows - view_rows) // 2
    sx, sy = width / cols, height / rows
    return View(view_rows, view_cols, (sx, sy, left * sx - pad_x, top * sy - pad_y))


def _given_size(width: int, height: int, _settings: Settings, shapes: Shapes) -> tuple[View, ...]:
    """Spread the whole image over the size that came out (SigLIP2, Pixtral)."""
    return tuple(_part(shape, 0, 0, width, height) for shape in shapes)


def _vilt(width: int, height: int, settings: Settings, _shapes: Shapes) -> tuple[View, ...]:
    shortest = _edge(settings["size"], "shortest_edge") or 384
    longest = int(1333 / 800 * shortest)
    scale = min(shortest / min(width, height), longest / max(width, height))
    divisor = int(settings.get("size_divisor") or 32)
    cols, rows = (int(scale * side + 0.5) // divisor * divisor for side in (width, height))
    return (_part((rows, cols), 0, 0, width, height),)


def _owl(width: int, height: int, settings: Settings, _shapes: Shapes) -> tuple[View, ...]:
    """Perhaps pad to a square at the right and at the bottom, then squash (OWLv2)."""
    cols, rows = _resized(width, height, settings)
    if settings.get("do_pad"):
        width = height = max(width, height)
    return (_part((rows, cols), 0, 0, width, height),)


def _qwen(width: int, height: int, settings: Settings, _shapes: Shapes) -> tuple[View, ...]:
    """Round both sides to cells, within bounds of the area."""
    cell = int(settings["patch_size"]) * int(settings["merge_size"])
    fewest, most = _edge(settings["size"], "shortest_edge") or 0, _edge(settings["size"], "longest_edge") or 0
    rows, cols = round(height / cell), round(width / cell)
    area = rows * cols * cell * cell
    if area > most:
        shrink = math.sqrt(width * height / most)
        rows, cols = (max(1, math.floor(side / shrink / cell)) for side in (height, width))
    elif area < fewest:
        grow = math.sqrt(fewest / (width * height))
        rows, cols = (math.ceil(side * grow / cell) for side in (height, width))
    return (_part((rows * cell, cols * cell), 0, 0, width, height),)


def _idefics(width: int, height: int, settings: Settings, _shapes: Shapes) -> tuple[View, ...]:
    """Cut square tiles out of the image on the next larger multiple of a tile, then add the whole image."""
    tile = _edge(settings["max_image_size"], "longest_edge") or 364
    whole = _part((tile, tile), 0, 0, width, height)
    if not settings.get("do_image_splitting"):
        return (whole,)
    cols, rows = width, height
    if settings.get("do_resize"):
        longest = min(_edge(settings["size"], "longest_edge") or 4 * tile, 4096)
        short = int(longest / (max(width, height) / min(width, height)))
        short += short % 2
        cols, rows = (longest, short) if width >= height else (short, longest)
    across, down = math.ceil(cols / tile), math.ceil(rows / tile)
    if across * down == 1:
        return (whole,)
    return (*_tiles(width, height, (down, across), (tile, tile)), whole)


def _gemma(width: int, height: int, settings: Settings, _shapes: Shapes) -> tuple[View, ...]:
    """Squash the whole image, and perhaps crops of an elongated one (pan and scan)."""
    cols, rows = _resized(width, height, settings)
    whole = _part((rows, cols), 0, 0, width, height)
    if not settings.get("do_pan_and_scan"):
        return (whole,)
    smallest, most = int(settings["pan_and_scan_min_crop_size"]), int(settings["pan_and_scan_max_num_crops"])
    long, short = max(width, height), min(width, height)
    if long / short < float(settings["pan_and_scan_min_ratio_to_activate"]):
        return (whole,)
    crops = min(most, max(2, min(long // smallest, math.floor(long / short + 0.5))))
    step = math.ceil(long / crops)
    if min(step, short) < smallest:
        return (whole,)
    ends = [(crop * step, min((crop + 1) * step, long)) for crop in range(crops)]
    if width >= height:
        return (whole, *(_part((rows, cols), start, 0, end, height) for start, end in ends))
    return (whole, *(_part((rows, cols), 0, start, width, end) for start, end in ends))


def _internvl(width: int, height: int, settings: Settings, shapes: Shapes) -> tuple[View, ...]:
    """Squash the image onto the canvas of tiles whose proportions are the closest, then add a thumbnail."""
    fewest, most = int(settings.get("min_patches") or 1), int(settings.get("max_patches") or 12)
    if not settings.get("crop_to_patches") or most <= 1:
        return _common(width, height, settings, shapes)
    tile_height, tile_width = _edge(settings["size"], "height") or 448, _edge(settings["size"], "width") or 448
    canvases = [
        (cols, rows) for cols in range(1, most + 1) for rows in range(1, most + 1) if fewest <= cols * rows <= most
    ]
    best, least = (1, 1), math.inf
    for cols, rows in sorted(canvases, key=math.prod):
        off = abs(width / height - cols / rows)
        # Among equals the larger canvas wins, unless it has twice the area of the image.
        if off < least or (off == least and width * height > 0.5 * tile_height * tile_width * cols * rows):
            best, least = (cols, rows), off
    cols, rows = best
    tiles = _tiles(width, height, (rows, cols), (tile_height, tile_width))
    whole = _part((tile_height, tile_width), 0, 0, width, height)
    return tuple(tiles) if len(tiles) == 1 else (*tiles, whole)


def _anyres(width: int, height: int, settings: Settings, _shapes: Shapes) -> tuple[View, ...]:
    """Squash the whole image, then cut tiles out of it on the best padded canvas (LLaVA-NeXT, LLaVA-OneVision)."""
    size, crop = settings["size"], settings.get("crop_size")
    whole_height = _edge(size, "height") or _edge(size, "shortest_edge") or 336
    whole_width = _edge(size, "width") or _edge(size, "shortest_edge") or 336
    tile = (_edge(crop, "height") if crop is not None else None) or whole_height
    canvas_height, canvas_width = _best_canvas(width, height, settings["image_grid_pinpoints"])
    if canvas_width / width < canvas_height / height:
        cols, rows = canvas_width, min(math.ceil(height * (canvas_width / width)), canvas_height)
    else:
        cols, rows = min(math.ceil(width * (canvas_height / height)), canvas_width), canvas_height
    left, top = (canvas_width - cols) // 2, (canvas_height - rows) // 2
    sx, sy = width / cols, height / rows
    tiles = (
        View(tile, tile, (sx, sy, (x - left) * sx, (y - top) * sy))
        for y in range(0, canvas_height, tile)
        for x in range(0, canvas_width, tile)
    )
    return (_part((whole_height, whole_width), 0, 0, width, height), *tiles)


def _best_canvas(width: int, height: int, canvases: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Choose the (height, width) that shows most of the image's pixels, and of those the one that wastes least."""

    def shown(canvas: Sequence[int]) -> tuple[int, int]:
        scale = min(canvas[1] / width, canvas[0] / height)
        used = min(int(width * scale) * int(height * scale), width * height)
        return used, used - canvas[0] * canvas[1]

    best = max(canvases, key=shown)
    return int(best[0]), int(best[1])


KINDS: dict[str, Formula] = {
    "BlipImageProcessor": _common,
    "CLIPImageProcessor": _common,
    "DeiTImageProcessor": _common,
    "FlavaImageProcessor": _common,
    "OwlViTImageProcessor": _common,
    "SiglipImageProcessor": _common,
    "ViTImageProcessor": _common,
    "Gemma3ImageProcessor": _gemma,
    "GotOcr2ImageProcessor": _internvl,
    "Idefics3ImageProcessor": _idefics,
    "LlavaImageProcessor": _llava,
    "LlavaNextImageProcessor": _anyres,
    "LlavaOnevisionImageProcessor": _anyres,
    "Owlv2ImageProcessor": _owl,
    "PixtralImageProcessor": _given_size,
    "Qwen2VLImageProcessor": _qwen,
    "SmolVLMImageProcessor": _idefics,
    "Siglip2ImageProcessor": _given_size,
    "ViltImageProcessor": _vilt,
}
"""Class of the image processor, without the ending of its backend, to its formula."""
