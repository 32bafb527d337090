"""Checksums of zip files, changed without reading the bytes again.

Definition: for a and b of one length, `crc_moved(crc32(a) ^ crc32(b), len(tail)) == crc32(a + tail) ^ crc32(b + tail)`.
"""

from __future__ import annotations

_CRC32 = 0xEDB88320
"""The polynomial of a zip file's checksums without x^32; the highest bit is x^0."""


def crc_moved(change: int, count: int) -> int:
    """The change of a CRC-32 if `count` bytes follow those whose CRC-32 changes: its product with x^(8 count).

    Source: `crc32_combine` of zlib, which multiplies by squaring as well.
    """
    power = 1 << 23  # x^8
    while count:
        if count & 1:
            change = _product(change, power)
        power = _product(power, power)
        count >>= 1
    return change


def _product(a: int, b: int) -> int:
    """The product of two polynomials modulo that of CRC-32."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_CRC32 if b & 1 else 0)
    return product
