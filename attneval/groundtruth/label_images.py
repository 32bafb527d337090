"""PNG files of which the colours are numbers, read by zlib and numpy."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import GroundTruthError
from attneval.groundtruth.entry import LARGEST_SIZE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PIXELS = 2**28


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read the numbers i8[height, width] of a label image: R + 256 G + 65536 B.

    Args:
        path: A PNG of eight bits a channel, three channels or four, not interlaced.

    Raises:
        GroundTruthError: It is none, or damaged.
    """
    try:
        pixels = _decoded(path.read_bytes())
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise GroundTruthError(f"{path} is no label image ({error})") from error
    red, green, blue = (pixels[:, :, channel].astype(np.int64) for channel in range(3))
    return red + 256 * green + 65536 * blue


def _decoded(data: bytes) -> NDArray[np.uint8]:
    """The pixels u1[height, width, channels] of a PNG."""
    if not data.startswith(SIGNATURE):
        raise ValueError("it is no PNG")
    width, height, depth, colour, packing, filtering, interlace = struct.unpack(">IIBBBBB", data[16:29])
    channels = {2: 3, 6: 4}.get(colour)
    if channels is None or depth != 8 or packing or filtering or interlace:
        raise ValueError("it is not of eight bits a channel, three or four channels, without interlacing")
    if not 0 < width <= LARGEST_SIZE or not 0 < height <= LARGEST_SIZE or width * height > LARGEST_PIXELS:
        raise ValueError(f"its size is {width} x {height}")
    size = height * (width * channels + 1)
    engine = zlib.decompressobj()
    rows = engine.decompress(_compressed(data), size + 1)
    if len(rows) != size:
        raise ValueError(f"it holds {len(rows)} bytes instead of {size}")
    return _unfiltered(np.frombuffer(rows, np.uint8).reshape(height, -1), channels)


def _compressed(data: bytes) -> bytes:
    """The contents of all IDAT chunks."""
    parts, place = [], len(SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        if kind == b"IDAT":
            parts.append(data[place + 8 : place + 8 + length])
        place += length + 12
    return b"".join(parts)


def _unfiltered(rows: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Undo what each row was filtered by: its left neighbour, the row above, their mean, or Paeth's choice."""
    height, width = len(rows), (rows.shape[1] - 1) // channels
    pixels = np.zeros((height + 1, width, channels), np.uint8)
    for number, row in enumerate(rows):
        kind, values, above = int(row[0]), row[1:].reshape(width, channels), pixels[number]
        if kind == 0:
            pixels[number + 1] = values
        elif kind == 1:
            pixels[number + 1] = np.cumsum(values, axis=0, dtype=np.uint8)
        elif kind == 2:
            pixels[number + 1] = values + above
        elif kind in {3, 4}:
            pixels[number + 1] = _walked(values, above, average=kind == 3)
        else:
            raise ValueError(f"row {number} has filter {kind}")
    return pixels[1:]


def _walked(values: NDArray[np.uint8], above: NDArray[np.uint8], *, average: bool) -> NDArray[np.uint8]:
    """A row of which each pixel needs the one before it."""
    channels = values.shape[1]
    left, corner = [0] * channels, [0] * channels
    row = []
    for value, over in zip(values.tolist(), above.tolist(), strict=True):
        for channel in range(channels):
            a, b, c = left[channel], over[channel], corner[channel]
            guess = (a + b) // 2 if average else _paeth(a, b, c)
            left[channel] = (value[channel] + guess) & 255
        corner = over
        row.append(left.copy())
    return np.array(row, np.uint8)


def _paeth(a: int, b: int, c: int) -> int:
    """The one of three neighbours that is nearest to a + b - c."""
    to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    if to_a <= to_b and to_a <= to_c:
        return a
    return b if to_b <= to_c else c
