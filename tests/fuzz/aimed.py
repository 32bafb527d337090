"""Damage aimed at places that chance seldom comes upon: kinds of fault that once were met with silence."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from .damage import NOT_FINITE, places, to_json
from .ways import Damage
from .zips import read_zip, to_npy, to_zip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    Aim = Callable[[Path, Random], Damage]

BOX = re.compile(r"/(?:\w*box|\w*boxes|segmentation|polygons?|solution|detections/[^/]+)/[\d/]+$", re.IGNORECASE)
"""Paths of numbers in lists that are boxes, or outlines."""
SIDES = {"x", "y", "w", "h", "width", "height", "x1", "x2", "y1", "y2"}
"""Keys of numbers in objects that are boxes, which have a left or upper edge."""
STORED_TWICE = ("metrics", "metrics", "metrics", "baselines", "by", "curve", "channels")
"""Keys of a result whose numbers follow from its sums, the headline values' more often."""
CELLS = ((2**20, 2**20), (2**31 - 1, 2**31 - 1), (2**15, 2**15), (1, 2**31 - 1))
"""Grids that no array backs, and whose cells do not fit into memory."""


def boxes_without_numbers(*names: str) -> Aim:
    """Damage that gives a box of JSON annotations a side that is no number.

    Args:
        names: The files, of which one that holds boxes is taken.
    """

    def damage(folder: Path, draw: Random) -> Damage:
        held = {name: (folder / name).read_text("utf-8") for name in sorted(names)}
        parsed = {name: [json.loads(line) for line in _values(text)] for name, text in held.items()}
        spots = [(name, place) for name, values in parsed.items() for place in _edges(values)]
        name, (holder, key, path) = draw.choice(spots)
        old = holder[key]
        holder[key] = new = draw.choice(NOT_FINITE)
        (folder / name).write_bytes(b"\n".join(to_json(value, draw) for value in parsed[name]))
        return Damage((name,), f"{name}: {path}: {old!r} becomes {new!r}", senseless=True)

    return damage


def _values(text: str) -> list[str]:
    """The JSON values of a text: one, or one a line."""
    try:
        json.loads(text)
    except ValueError:
        return text.splitlines()
    return [text]


def _edges(data: Any) -> list[tuple[Any, Any, str]]:
    """Places of numbers of boxes."""
    numbers = [place for place in places(data) if type(place[0][place[1]]) in {int, float}]
    return [
        (holder, key, path)
        for holder, key, path in numbers
        if BOX.search(path) or (key in SIDES and {"x", "x1"} & set(holder))
    ]


def overwritten_values(folder: Path, draw: Random) -> Damage:
    """Damage that overwrites a number of a result which its own sums say, too."""
    path = folder / "r.json"
    result = json.loads(path.read_text("utf-8"))
    name = draw.choice([name for name in STORED_TWICE if result.get(name)])
    numbers = [place for place in places(result[name]) if type(place[0][place[1]]) is float]
    # Headline values are a few among thousands of numbers.
    values = [place for place in numbers if name == "metrics" and place[2].endswith("/value")]
    holder, key, where = draw.choice(values or numbers)
    old = holder[key]
    new = draw.choice([old * 1.01 + 0.01, 0.99, 5.0, True, -0.5, *NOT_FINITE])
    holder[key] = new
    path.write_bytes(to_json(result, draw))
    return Damage((path.name,), f"r.json: {name}{where}: {old!r} becomes {new!r}", senseless=True)


def channels_of_one_name(folder: Path, draw: Random) -> Damage:
    """Damage that gives two channels of an export the same layer, head and name."""
    path = folder / "maps.npz"
    members = read_zip(path.read_bytes())
    rows = np.load(io.BytesIO(members["channel.npy"]))
    one, other = sorted(draw.sample(range(len(rows)), 2))
    rows[other] = rows[one]
    members["channel.npy"] = to_npy(rows)
    for name in [name for name in members if name.startswith("channel_name")]:
        del members[name]
    path.write_bytes(to_zip(list(members.items())))
    return Damage((path.name,), f"maps.npz: channel {other} is called as channel {one} is", senseless=True)


def vast_grids(folder: Path, draw: Random) -> Damage:
    """Damage that gives an image of an export more cells than there is memory for."""
    path = folder / "maps.npz"
    members = read_zip(path.read_bytes())
    grids = np.load(io.BytesIO(members["grid_shape.npy"])).astype(np.int64)
    row, cells = draw.randrange(len(grids)), draw.choice(CELLS)
    grids[row] = cells
    members["grid_shape.npy"] = to_npy(grids.astype(np.int32))
    path.write_bytes(to_zip(list(members.items())))
    return Damage((path.name,), f"maps.npz: the grid of image {row} is of {cells[0]} x {cells[1]} cells")


def many_types(folder: Path, draw: Random) -> Damage:
    """Change that gives all phrases of people many more types, each as good as any other, and those of animals more."""
    folder = folder / "entities" / "Sentences"
    people = ("people", *(f"kind{number}" for number in range(draw.choice([4, 24, 28, 30]))))
    animals = ("animals", *(f"sort{number}" for number in range(draw.choice([2, 16, 24, 60]))))
    for path in sorted(folder.iterdir()):
        text = path.read_text("utf-8")
        for alike in (people, animals):
            text = text.replace(f"/{alike[0]}", "".join(f"/{name}" for name in alike))
        path.write_text(text, "utf-8")
    said = f"{len(people)} types of people, {len(animals)} of animals"
    return Damage(("entities",), said, alike=(people, animals))


__all__ = ["boxes_without_numbers", "channels_of_one_name", "many_types", "overwritten_values", "vast_grids"]
