"""Annotations with something wrong in them: read, or refused with the file's name; never anything else."""

from __future__ import annotations

import copy
import json
import pickle
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from format_worlds import World

from attneval.errors import GroundTruthError
from attneval.groundtruth import Reading, open_ground_truth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORLDS = (
    "coco lvis refer mdetr coco_entities png odvg rec gcg phrasecut visual_genome gqa".split()  # noqa: SIM905 - shorter
)
CASES = 60
DEEP: Any = []
for _ in range(60):
    DEEP = [DEEP]
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    0.5,
    1e20,
    -1e20,
    10**19,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "7",
    "\ud800",
    " a\x00b",
    "9" * 500,
    [],
    {},
    [[]],
    [1, 2, 3, 4],
    [5, 5, -5, 5],
    {"size": [3, 3], "counts": "d3h1"},
    {"size": [3, 3], "counts": [9]},
    DEEP,
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key within a value."""
    if isinstance(value, dict):
        for name in value:
            yield value, name
            yield from places(value[name])
    elif isinstance(value, list):
        for number in range(len(value)):
            yield value, number
            yield from places(value[number])


def damaged(data: Any, draw: random.Random) -> Any:
    """The same with one to three changes."""
    data = copy.deepcopy(data)
    for _ in range(draw.randint(1, 3)):
        spots = list(places(data))
        if not spots:
            return data
        holder, name = draw.choice(spots)
        kind = draw.random()
        if kind < 0.6:
            holder[name] = copy.deepcopy(draw.choice(ODD))
        elif kind < 0.75:
            del holder[name]
        elif isinstance(holder, list):
            holder.insert(name, copy.deepcopy(holder[name]))
        else:
            holder[draw.choice([*holder, "id", "7"])] = copy.deepcopy(holder[name])
    return data


def load(path: Path) -> Any:
    if path.suffix == ".p":
        return pickle.loads(path.read_bytes())  # noqa: S301 - written by the test
    text = path.read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


def dump(path: Path, data: Any) -> None:
    if path.suffix == ".p":
        path.write_bytes(pickle.dumps(data, 2))
    elif path.suffix == ".jsonl" and isinstance(data, list):
        path.write_text("\n".join(json.dumps(line) for line in data), "utf-8")
    else:
        path.write_text(json.dumps(data), "utf-8")


@pytest.mark.parametrize("name", WORLDS)
def test_damaged_annotations(tmp_path: Path, name: str) -> None:
    files = getattr(World(99, 8), name)(tmp_path)
    whole = [load(path) if path.is_file() else None for path in files]
    draw = random.Random(name)  # noqa: S311
    read, refused = 0, 0
    for case in range(CASES):
        place = draw.choice([k for k, data in enumerate(whole) if data is not None])
        dump(files[place], damaged(whole[place], draw))
        format_ = "auto" if case % 4 == 0 else open_format(name)
        try:
            source = open_ground_truth(files, format_, reading=Reading(masks=True))
            truth = source.read(source.image_ids())
            assert np.isfinite(truth.box).all()
            assert len(truth.phrase_entity) == truth.phrase_offset[-1]
            read += 1
        except GroundTruthError as error:
            refused += 1
            assert_brief(str(error), tmp_path)
        dump(files[place], whole[place])
    assert read > 0
    assert refused > 0


def assert_brief(message: str, folder: Path) -> None:
    assert len(message) < 1000
    assert str(folder) in message


def open_format(name: str) -> str:
    return {"lvis": "coco", "coco_entities": "coco-entities", "visual_genome": "visual-genome"}.get(name, name)


@pytest.mark.parametrize("name", WORLDS)
def test_truncated_annotations(tmp_path: Path, name: str) -> None:
    files = getattr(World(98, 3), name)(tmp_path)
    for path in files:
        if path.is_file():
            content = path.read_bytes()
            for part in (0, 1, 2, len(content) // 2, len(content) - 2):
                path.write_bytes(content[:part])
                with pytest.raises(GroundTruthError) as caught:
                    open_ground_truth(files)
                assert str(tmp_path) in str(caught.value)
            path.write_bytes(content)
    assert open_ground_truth(files).image_ids()
