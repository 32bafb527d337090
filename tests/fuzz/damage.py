"""Ways to damage what files hold: JSON values, numbers in texts, bytes; for arrays and zip files see `zips.py`."""

from __future__ import annotations

import copy
import json
import pickle
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

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


def pickled(data: Any, draw: Random) -> bytes:
    """Values as a pickle, at times with what makes a file when it is unpickled."""
    if draw.random() < 0.3:
        data = [data, Maker()] if draw.random() < 0.5 else Maker()
    return pickle.dumps(data, draw.choice([0, 1, 2, 4]))
