"""Ways to damage arrays, what stands around them in `.npy`, and zip files."""

from __future__ import annotations

import functools
import io
import json
import re
import struct
import warnings
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from .damage import CANARY, HARM, NOT_FINITE, TEXTS, Change, Maker, damage_bytes, damage_json, to_json

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

WHOLE = [-1, 0, 1, 2, 7, -(2**63), 2**63 - 1, 2**62, 2**31 - 1, 2**31, 2**20, -2, 32767, 40000]


def damage_array(array: NDArray[Any], draw: Random) -> tuple[Any, Change]:
    """Change numbers, shape or type of an array."""
    if array.size and array.dtype.kind == "f" and draw.random() < 0.3:
        changed, place, new = array.copy(), draw.randrange(array.size), draw.choice(NOT_FINITE)
        changed.reshape(-1)[place] = new
        return changed, Change(f"[{place}] becomes {new}", senseless=True)
    kind = draw.choice(["numbers", "numbers", "numbers", "wrapping", "row", "type", "shape", "length", "pickle"])
    if kind == "wrapping" and array.dtype.kind == "i" and array.size > 1:
        changed, place = array.copy(), draw.randrange(array.size - 1)
        most = int(np.iinfo(array.dtype).max)
        wide = min(2**20, most)
        changed.reshape(-1)[place : place + 2] = draw.choice([(most, -2), (most, most), (-2, most), (wide, wide)])
        return changed, Change(f"[{place}] and the next become {changed.reshape(-1)[place : place + 2].tolist()}")
    if kind == "row" and array.ndim and len(array) > 1:
        changed, (one, other) = array.copy(), draw.sample(range(len(array)), 2)
        changed[one] = changed[other]
        return changed, Change(f"row {one} is row {other}")
    if kind == "numbers" and array.size:
        return _other_numbers(array, draw)
    if kind == "type":
        name = draw.choice(["f2", "f4", "f8", ">f4", "i1", "u1", "i8", ">i8", "u8", "U", "S", "?", "c8", "M8[s]", "V8"])
        try:
            with np.errstate(all="ignore"):
                return array.astype(name), Change(f"type {name}")
        except (TypeError, ValueError, OverflowError):
            return np.zeros(array.shape, "f4"), Change("zeros")
    if kind == "shape":
        shaped = [array.reshape(-1), array[None], array.T, np.asfortranarray(array), array.reshape(-1, 1)]
        shaped += [np.zeros(0, array.dtype), array.reshape(-1)[:1].reshape(()) if array.size else array]
        chosen = draw.choice(shaped)
        return chosen, Change(f"shape {array.shape} becomes {chosen.shape}")
    if kind == "pickle":
        held = np.empty(3, object)
        held[:] = [Maker()] * 3
        return held, Change("objects that are unpickled")
    if array.ndim == 0:
        return np.stack([array, array]), Change("twice")
    keep = draw.choice([0, 1, len(array) - 1, len(array) // 2])
    longer = draw.random() < 0.5
    return (np.concatenate([array, array[:keep]]) if longer else array[:keep]), Change(
        f"{'and again' if longer else 'only'} the first {keep} of {len(array)} rows"
    )


def _other_numbers(array: NDArray[Any], draw: Random) -> tuple[Any, Change]:
    changed = array.copy()
    flat = changed.reshape(-1)
    count = draw.choice([1, 1, 1, 2, len(flat)])
    rows = draw.sample(range(len(flat)), min(count, len(flat)))
    if array.dtype.kind in "US":
        new: Any = draw.choice([text.replace("\ud800", "") for text in TEXTS])
        changed = changed.astype(object)
        changed.reshape(-1)[rows] = new
        return changed.astype("U"), Change(f"[{rows[:3]}] becomes {new[:60]!r}")
    new = draw.choice(WHOLE) if array.dtype.kind in "iu" else draw.choice([-1.0, 0.0, 1.0, 1e30, -1e-6, 3.4e38, 1e-40])
    with np.errstate(all="ignore"):
        flat[rows] = np.array(new).astype(array.dtype)
    return changed, Change(f"[{rows[:3]}] becomes {flat[rows[0]]}")


def to_npy(array: Any) -> bytes:
    """An array as `.npy`, pickled if it has to be."""
    out = io.BytesIO()
    np.save(out, np.asarray(array), allow_pickle=True)
    return out.getvalue()


TYPES = ["'O'", "'|V8'", "'<f16'", "'<U99999999'", "'<M8[s]'", "[('a', '<f4')]", "'f4' * 9", "None", "'<i8'", "'>f8'"]
SHAPES = ["(4294967296,)", "(1048576, 1048576)", "(-1,)", "(9223372036854775807, 2)", "(1.5,)", "(True,)", "()", "None"]


def damage_npy(data: bytes, draw: Random) -> tuple[bytes, Change]:
    """Change the header of a `.npy`, which says what its bytes are."""
    end = 10 + int.from_bytes(data[8:10], "little")
    header = data[10:end].decode("latin1")
    kind = draw.choice(["type", "shape", "order", "length", "version", "text"])
    if kind == "type":
        header = re.sub(r"'descr': [^,]+,", f"'descr': {draw.choice(TYPES)},", header)
    elif kind == "shape":
        header = re.sub(r"'shape': \([^)]*\)", f"'shape': {draw.choice(SHAPES)}", header)
    elif kind == "order":
        header = re.sub(r"'fortran_order': \w+", f"'fortran_order': {draw.choice(['True', '7', 'None'])}", header)
    elif kind == "text":
        header = draw.choice(["(" * 400, f"__import__('os').system('touch {CANARY}')", "{}", "[]", "9" * 5000, "\xff"])
    length = len(header) if kind != "length" else draw.choice([0, 1, 65535])
    version = bytes([1, 0]) if kind != "version" else draw.choice([b"\x02\0", b"\x03\0", b"\xff\xff", b"\0\0"])
    size = struct.pack("<H", min(length, 65535))
    return data[:6] + version + size + header.encode("latin1") + data[end:], Change(f"npy header: {kind} {header[:80]}")


# ---------------------------------------------------------------- zip files

Members = dict[str, bytes]


def read_zip(data: bytes) -> Members:
    """The members of a zip file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def to_zip(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file of members, of which several may have one name."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", compression) as archive:
        warnings.simplefilter("ignore")  # names that are there twice are meant to be
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


@functools.cache
def _bomb() -> bytes:
    """A `.npy` of 2 GB of zeros, deflated: the raw stream, its checksum and its size."""
    squeezer, total, check, parts = zlib.compressobj(9, zlib.DEFLATED, -15), 2**31, 0, []
    zeros = bytes(2**24)
    for _ in range(total // len(zeros)):
        parts.append(squeezer.compress(zeros))
        check = zlib.crc32(zeros, check)
    parts.append(squeezer.flush())
    return b"".join(parts) + struct.pack("<II", check, total)


def damage_zip(members: Members, draw: Random) -> tuple[bytes, Change]:
    """Change the structure of a zip file: names, sizes, marks, compression, members."""
    listed = list(members.items())
    place = draw.randrange(len(listed))
    name = listed[place][0]
    kind = draw.choice(
        ["gone", "twice", "renamed", "deflated", "field", "field", "field", "cut", "bytes", "front", "bomb", "extra"]
    )
    compression = zipfile.ZIP_STORED
    if kind == "gone":
        listed.pop(place)
    elif kind == "twice":
        listed.append(draw.choice(listed))
    elif kind == "renamed":
        names = ["../x.npy", "/etc/x.npy", name.upper(), "a/" + name, "x_" + name, "\x1b[31m.npy", " ", "a" * 300, HARM]
        listed[place] = (draw.choice(names), listed[place][1])
    elif kind == "deflated":
        compression = draw.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    elif kind == "extra":
        listed.append((draw.choice(["x_mine.npy", "other.npy", "a.txt", "__MACOSX/._a"]), listed[place][1]))
    data = to_zip(listed, compression)
    if kind == "field":
        return _field(data, draw)
    if kind == "cut":
        data = data[: draw.randrange(len(data))]
    elif kind == "bytes":
        return damage_bytes(data, draw)
    elif kind == "front":
        data = draw.randbytes(draw.choice([1, 1000])) + data
    elif kind == "bomb":
        data = _with_bomb(name, listed)
    return data, Change(f"zip: {name} {kind}")


FIELDS = {  # of an entry of the directory: offset, layout, values
    "version": (6, "<H", [0, 255]),
    "flags": (8, "<H", [1, 8, 0x41, 0x2000, 0xFFFF]),
    "compression": (10, "<H", [1, 8, 9, 12, 14, 93, 99]),
    "checksum": (16, "<I", [0, 7]),
    "packed size": (20, "<I", [0, 1, 2**31, 2**32 - 1]),
    "size": (24, "<I", [0, 1, 2**31, 2**32 - 1]),
    "name length": (28, "<H", [0, 1, 9999]),
    "extra length": (30, "<H", [1, 4, 9999]),
    "offset": (42, "<I", [0, 1, 2**31, 2**32 - 1]),
}


def _field(data: bytes, draw: Random) -> tuple[bytes, Change]:
    """Overwrite a field of an entry of the directory, and at times of the member, too."""
    places_ = [found.start() for found in re.finditer(rb"PK\x01\x02", data)]
    name, (offset, layout, values) = draw.choice(list(FIELDS.items()))
    value, changed = draw.choice(values), bytearray(data)
    struct.pack_into(layout, changed, draw.choice(places_) + offset, value)
    return bytes(changed), Change(f"zip: {name} of an entry becomes {value}")


def _with_bomb(name: str, listed: list[tuple[str, bytes]]) -> bytes:
    """The same zip file with a member that inflates to 2 GB of zeros."""
    held = _bomb()
    packed, (check, size) = held[:-8], struct.unpack("<II", held[-8:])
    rest = to_zip([pair for pair in listed if pair[0] != name])
    start = rest.index(b"PK\x01\x02") if b"PK\x01\x02" in rest else len(rest) - 22
    encoded = name.encode()
    shared = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, check, len(packed), size, len(encoded), 0)
    local = b"PK\x03\x04" + shared + encoded + packed
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + shared + struct.pack("<HHHII", 0, 0, 0, 0, start) + encoded
    directory = rest[start:-22] + entry
    count = len([pair for pair in listed if pair[0] != name]) + 1
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), start + len(local), 0)
    return rest[:start] + local + directory + end


def damage_npz(data: bytes, draw: Random) -> tuple[bytes, Change]:
    """Change an `.npz`: a member's array, its header, the JSON in it, or the zip file."""
    members = read_zip(data)
    kind = draw.choice(["array", "array", "array", "json", "npy", "zip", "several"])
    if kind == "zip":
        return damage_zip(members, draw)
    changes = []
    for _ in range(draw.choice([1, 1, 2, 3]) if kind == "several" else 1):
        name = draw.choice(list(members))
        if kind == "json":
            holding = [each for each in members if each in {"format.npy", "meta.npy"}]
            name = holding[0] if holding else name
        members[name], change = damage_member(members[name], kind, draw)
        same = name == "channel.npy" and " is row " in change.text
        senseless = (change.senseless or same) and name not in {"format.npy", "meta.npy"}
        changes.append(Change(f"{name}: {change.text}", senseless))
    text = "; ".join(change.text for change in changes)
    return to_zip(list(members.items())), Change(text, len(changes) == 1 and changes[0].senseless)


def damage_member(data: bytes, kind: str, draw: Random) -> tuple[bytes, Change]:
    if kind == "npy":
        return damage_npy(data, draw)
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError):
        return damage_bytes(data, draw)
    if kind == "json":
        text = array.tobytes().decode("utf-8", "replace") if array.dtype.kind == "u" else str(array)
        try:
            values, change = damage_json(json.loads(text), draw)
        except ValueError:
            return damage_bytes(data, draw)
        encoded = to_json(values, draw)
        if array.dtype.kind == "u":
            return to_npy(np.frombuffer(encoded, np.uint8)), Change(change.text)
        return to_npy(np.array(encoded.decode("utf-8", "replace"))), Change(change.text)
    changed, change = damage_array(array, draw)
    return to_npy(changed), change
