"""Ways to damage what files hold: JSON values, numbers in texts, bytes, arrays, and the zip file around them."""

from __future__ import annotations

import copy
import functools
import io
import json
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from numpy.typing import NDArray

CANARY = "canary"
"""The file that code within a damaged file would make, if anything ran it."""
HARM = "boom()"
"""What stands in every text that tries to be markup."""
SECRET = "the secret of another file"  # noqa: S105 - no password
"""What stands in a file that damaged ones point to."""


class Maker:
    """An object whose unpickling leaves a file."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (CANARY, "w")


@dataclass(frozen=True)
class Change:
    """What was done to a value.

    Attributes:
        text: In words.
        senseless: Whether what stands there now can mean nothing: it is refused, or nothing depends on it.
    """

    text: str
    senseless: bool = False


def nested(depth: int, *, named: bool) -> Any:
    """Lists or objects in each other."""
    inner: Any = 0
    for _ in range(depth):
        inner = {"a": inner} if named else [inner]
    return inner


DEEP, DEEPER = nested(60, named=False), nested(200, named=True)
NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
TEXTS = [
    "",
    " a\x00b",
    "\ud800",
    "9" * 500,
    "\uff11\uff12",
    "1e3",
    "1_0",
    " 7 ",
    f"</script><script>{HARM}</script>",
    f"<img src=x onerror={HARM}>",
    f"\"'onfocus='{HARM}",
    "::error::\x1b[31mred\x9b2J\u202egnp\u2028next\r\nline",
    "\n::warning::x",
    "##[add-path]x",
    "=1+1",
    "\ufeff",
    "COCO_" + "a_0" * 6000,
    "[" * 3000,
    "{{7*7}}{%raw%}",
    "../../x",
    "x" * 300,
    "\\input{x}$_^%&",
]
NUMBERS: list[Any] = [
    -1,
    0,
    1,
    0.5,
    -0.0,
    40000,
    10**12,
    1e20,
    -1e20,
    2**31,
    -(2**31),
    2**63,
    2**64,
    10**19,
    10**400,
    1e-320,
    1.7e308,
]
ODD: list[Any] = [
    None,
    True,
    *NOT_FINITE,
    *NUMBERS,
    *TEXTS,
    "7",
    [],
    {},
    [[]],
    [1, 2, 3, 4],
    [5, 5, -5, 5],
    {"size": [3, 3], "counts": "d3h1"},
    {"size": [3, 3], "counts": [9]},
    {"size": [2**31, 2**31], "counts": [2**62]},
    DEEP,
    DEEPER,
]
FRACTIONAL = re.compile(r"bbox|box|segment|polygon|solution|area|^[xywh]$|width$|height$", re.IGNORECASE)
"""Keys of numbers that need not be whole."""


# ---------------------------------------------------------------- JSON


def places(value: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Every container and key within a value, and the keys that lead there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        here = f"{path}/{name}"
        yield value, name, here
        yield from places(inner, here)


def draw_place(data: Any, draw: Random, *, deep: bool = True) -> tuple[Any, Any, str] | None:
    """A container and a key within a value: any of all if `deep`, or one that is come upon from the top."""
    if deep and draw.random() < 0.5:
        spots = list(places(data))
        return draw.choice(spots) if spots else None
    found, value, path = None, data, ""
    while isinstance(value, (dict, list)) and value:
        name = draw.choice(list(value)) if isinstance(value, dict) else draw.randrange(len(value))
        path = f"{path}/{name}"
        found, value = (value, name, path), value[name]
        if draw.random() < 0.15:
            break
    return found


def damage_json(data: Any, draw: Random, *, nudge: bool = False) -> tuple[Any, Change]:
    """Change a value in one to three places, or in one where what stands there afterwards can mean nothing.

    Args:
        data: The value; it stays as it is.
        draw: What chance decides by.
        nudge: Whether any other number can mean nothing either, since it is stored twice.
    """
    data = copy.deepcopy(data)
    drawn = [place for _ in range(8) if (place := draw_place(data, draw, deep=not nudge)) is not None]
    numbers = [place for place in drawn if type(place[0][place[1]]) in {int, float}]
    if numbers and draw.random() < 0.3:
        holder, name, path = numbers[0]
        old = holder[name]
        new = _senseless(old, path, draw, nudge=nudge)
        holder[name] = new
        return data, Change(f"{path}: {old!r} becomes {new!r}", senseless=True)
    texts = []
    for _ in range(draw.randint(1, 3)):
        place = draw_place(data, draw)
        if place is None:
            break
        texts.append(_change(*place, draw))
    return data, Change("; ".join(texts))


def _senseless(old: float, path: str, draw: Random, *, nudge: bool) -> float:
    if nudge and draw.random() < 0.7:
        return old * 1.01 + 0.01
    keys = [part for part in path.split("/") if not part.isdigit()]
    if type(old) is int and not any(map(FRACTIONAL.search, keys)) and draw.random() < 0.5:
        return old + 0.5
    return draw.choice(NOT_FINITE)


def _change(holder: Any, name: Any, path: str, draw: Random) -> str:
    kind = draw.random()
    if kind < 0.6:
        holder[name] = copy.deepcopy(draw.choice(ODD))
        return f"{path} becomes {repr(holder[name])[:60]}"
    if kind < 0.75:
        del holder[name]
        return f"{path} is gone"
    if isinstance(holder, list):
        holder.insert(name, copy.deepcopy(holder[name]))
        return f"{path} stands there twice"
    other = draw.choice([*holder, "id", "7", *TEXTS[:12]])
    holder[other] = copy.deepcopy(holder[name])
    return f"{path} is {other!r:.60}, too"


def to_json(data: Any, draw: Random) -> bytes:
    """JSON of any values; what is not finite is written in one of the ways in which parsers read it."""
    text = json.dumps(data, ensure_ascii=draw.random() < 0.5)
    if draw.random() < 0.5:
        text = text.replace("-Infinity", "-1e999").replace("Infinity", "1e999")
    return text.encode("utf-8", "surrogatepass" if draw.random() < 0.5 else "backslashreplace")


# ---------------------------------------------------------------- texts and bytes

ENTITIES = (
    '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;"><!ENTITY z "&y;&y;&y;&y;&y;&y;&y;&y;">'
    '<!ENTITY w "&z;&z;&z;&z;&z;&z;&z;&z;"><!ENTITY v "&w;&w;&w;&w;&w;&w;&w;&w;"><!ENTITY s SYSTEM "secret.txt">]>'
)


def damage_text(text: str, draw: Random) -> tuple[str, Change]:
    """Change numbers, lines or marks of a text."""
    numbers = list(re.finditer(r"\d+(?:\.\d+)?", text))
    kind = draw.random()
    if numbers and kind < 0.25:
        found = draw.choice(numbers)
        new = draw.choice(["nan", "NaN", "inf", "Infinity", "-inf", "1e999"])
        # A chain's name is no number, although it is written with digits.
        named = text[: found.start()].endswith("<name>")
        return _replaced(text, found, new), Change(f"{found[0]} at {found.start()} becomes {new}", senseless=not named)
    if numbers and kind < 0.5:
        found = draw.choice(numbers)
        new = str(draw.choice([*NUMBERS, *TEXTS, f"\n {found[0]}\n", "10" * 40, f"{found[0]}.5"]))
        return _replaced(text, found, new), Change(f"{found[0]} at {found.start()} becomes {new[:60]!r}")
    if "<" in text and kind < 0.6:
        if draw.random() < 0.5:
            tag = draw.choice(re.findall(r"<\w+>", text) or ["<"])
            new = draw.choice(["&v;", "&s;", "&#0;", "&lt;", "&nothing;"])
            return ENTITIES + text.replace(tag, tag + new, 1), Change(f"{new} in {tag}")
        depth = draw.choice([100, 5000])
        return text.replace(">", ">" + "<a>" * depth + "</a>" * depth, 1), Change(f"elements {depth} deep")
    lines = text.splitlines(keepends=True)
    if "[/EN#" in text and draw.random() < 0.15:
        many = draw.choice([24, 40, 80])
        kinds = (re.sub(r"(\[/EN#\d+)(?:/\w+)+", rf"\g<1>/kind{k}", lines[0]) for k in range(many))
        return "".join(kinds), Change(f"{many} types")
    if kind < 0.8 and lines:
        place = draw.randrange(len(lines))
        what = draw.choice(["gone", "twice", "moved", "a hostile line"])
        if what == "twice":
            lines.insert(place, lines[place])
        else:
            line = lines.pop(place)
            if what == "moved":
                lines.insert(draw.randrange(len(lines) + 1), line)
            elif what == "a hostile line":
                lines.insert(place, draw.choice(TEXTS) + "\n")
        return "".join(lines), Change(f"line {place}: {what}")
    mark = draw.choice(list(set(re.findall(r"[^\w\s]|\b\w+\b", text))) or ["x"])
    new = draw.choice([*TEXTS, "[", "]", "/", "#", "<", ">", ""])
    found_marks = list(re.finditer(re.escape(mark), text))
    if not found_marks:
        return text + new, Change(f"{new[:60]!r} at the end")
    found = draw.choice(found_marks)
    return _replaced(text, found, new), Change(f"{mark[:30]!r} at {found.start()} becomes {new[:60]!r}")


def _replaced(text: str, found: re.Match[str], new: str) -> str:
    return text[: found.start()] + new + text[found.end() :]


def damage_bytes(data: bytes, draw: Random) -> tuple[bytes, Change]:
    """Flip, cut off, insert, repeat or encode otherwise."""
    place, size = draw.randrange(len(data) + 1), draw.choice([1, 2, 8, 100])
    kind = draw.choice(["flip", "flip", "cut", "insert", "repeat", "remove", "encode", "front", "empty"])
    if kind == "flip":
        changed = bytearray(data)
        for _ in range(draw.randint(1, 6)):
            if changed:
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        data = bytes(changed)
    elif kind == "cut":
        data = data[:place]
    elif kind == "insert":
        data = data[:place] + draw.randbytes(size) + data[place:]
    elif kind == "repeat":
        data = data[:place] + data[place : place + size] * draw.choice([2, 50]) + data[place + size :]
    elif kind == "remove":
        data = data[:place] + data[place + size :]
    elif kind == "encode":
        try:
            data = data.decode("utf-8").encode(draw.choice(["utf-16", "utf-32", "utf-8-sig"]))
        except UnicodeDecodeError:
            data = data[::-1]
    elif kind == "front":
        data = draw.choice([b"\xef\xbb\xbf", b"\0" * 5, b"\x80\x02", b"PK\x03\x04", b"\x93NUMPY", b" " * 1000]) + data
    else:
        data = draw.choice([b"", b"\n", b"{}", b"[]", b"null", b"\0", b"PK\x05\x06" + bytes(18)])
    return data, Change(f"bytes: {kind} at {place}, {size}")


# ---------------------------------------------------------------- arrays

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
        except (TypeError, ValueError):
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
        members[name], change = _damage_member(members[name], kind, draw)
        same = name == "channel.npy" and " is row " in change.text
        senseless = (change.senseless or same) and name not in {"format.npy", "meta.npy"}
        changes.append(Change(f"{name}: {change.text}", senseless))
    text = "; ".join(change.text for change in changes)
    return to_zip(list(members.items())), Change(text, len(changes) == 1 and changes[0].senseless)


def _damage_member(data: bytes, kind: str, draw: Random) -> tuple[bytes, Change]:
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


def pickled(data: Any, draw: Random) -> bytes:
    """Values as a pickle, at times with what makes a file when it is unpickled."""
    if draw.random() < 0.3:
        data = [data, Maker()] if draw.random() < 0.5 else Maker()
    return pickle.dumps(data, draw.choice([0, 1, 2, 4]))
