"""Three images on which a model makes every kind of mistake once at least, small enough to check by eye.

Image 101 has five regions: 0 and 1 reach the man, 2 the woman, 3 the dog, 4 nothing; no region reaches the kite. Image
102 has nine in a row, the first on the crowd, the last on the zeppelin. Image 103 has one region, which a weight of 1
never attends to under `uniform`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from worlds import Phrase, Scene, Sentence, Shown, World

import attneval

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.results.items import ItemTable
    from attneval.results.result import Result

MAN, WOMAN = Phrase("1", ("people",), ("man",)), Phrase("2", ("people",), ("woman",))
DOG, KITE = Phrase("3", ("animals",), ("dog",)), Phrase("4", ("other",), ("kite",))
ZEPPELIN, CROWD = Phrase("11", ("other", "balloon"), ("the", "zeppelin")), Phrase("12", ("people",), ("crowd",))
ZEBRA = Phrase("21", ("animals", "aardvark"), ("zebra",))

SCENES = {
    "101": Scene(
        100,
        100,
        {"1": [(1, 1, 40, 40)], "2": [(61, 1, 100, 40)], "3": [(1, 61, 40, 100)], "4": [(61, 61, 64, 64)]},
        [
            [MAN, "sees", WOMAN, "with", DOG, "and", KITE],
            [MAN, "beside", WOMAN, "beside", DOG],
            [MAN, "and", DOG],
            [MAN, "runs"],
        ],
        [(0, 0, 40, 40), (0, 0, 40, 30), (60, 0, 100, 40), (0, 60, 40, 100), (45, 45, 55, 55)],
    ),
    "102": Scene(
        90,
        10,
        {"11": [(81, 1, 90, 10)], "12": [(1, 1, 10, 10)]},
        [[ZEPPELIN, "over", CROWD]],
        [(10.0 * k, 0, 10.0 * k + 10, 10) for k in range(9)],
    ),
    "103": Scene(50, 50, {"21": [(1, 1, 50, 50)]}, [[ZEBRA, "."]], [(0, 0, 50, 50)]),
}

ATTENDED: dict[str, dict[str, set[int]]] = {
    "101#0": {"man": {0, 1}, "woman": {0, 1}, "dog": {2}, "kite": {3}},
    "101#1": {"man": {0}, "woman": {2, 4}, "dog": {4}},
    "101#2": {"man": {2}, "dog": {2}},
    "101#3": {"man": {0, 4}},
    "102#0": {"the": {8}, "zeppelin": {0}, "crowd": {0, 8}},
    "103#0": {"zebra": {0}},
}
"""What each word attends to, evenly; words that are not named attend evenly to everything."""

ITEMS = [
    # caption, word, kind, precision, recall, F1, the words that were attended instead
    ("101#0", "man", "right", 1, 1, 1, None),
    ("101#0", "woman", "wrong instance", 0, 0, 0, "man"),
    ("101#0", "dog", "wrong entity", 0, 0, 0, "woman"),
    ("101#0", "kite", "unreachable", 0, 0, 0, "dog"),
    ("101#1", "man", "narrow", 1, 1 / 2, 2 / 3, None),
    ("101#1", "woman", "spilled", 1 / 2, 1, 2 / 3, None),
    ("101#1", "dog", "missed", 0, 0, 0, None),
    # The woman is in the image, as other captions say; this one does not mention her.
    ("101#2", "man", "wrong instance", 0, 0, 0, None),
    ("101#2", "dog", "missed", 0, 0, 0, None),
    ("101#3", "man", "spilled", 1 / 2, 1 / 2, 1 / 2, None),
    ("102#0", "the", "right", 1, 1, 1, None),
    ("102#0", "zeppelin", "wrong entity", 0, 0, 0, "crowd"),
    ("102#0", "crowd", "spilled", 1 / 2, 1, 2 / 3, None),
    # Even attention, to one region out of one as well, is attention to all.
    ("103#0", "zebra", "right", 1, 1, 1, None),
]


def words_of(sentence: Sentence) -> list[str]:
    return [word for piece in sentence for word in (piece.words if isinstance(piece, Phrase) else [piece])]


def row(regions: int, attended: set[int] | None) -> NDArray[np.float32]:
    """Even weights on some of the regions, or on all."""
    chosen = sorted(attended) if attended else list(range(regions))
    weights = np.zeros(regions, np.float32)
    weights[chosen] = 1 / len(chosen)
    return weights


def world(
    attended: Mapping[str, Mapping[str, set[int]]] = ATTENDED, scenes: Mapping[str, Scene] | None = None
) -> World:
    """The images, and what a model attended to on some of their captions."""
    scenes = scenes or SCENES
    shown = []
    for name, own in attended.items():
        image, _, index = name.partition("#")
        scene = scenes[image]
        words = words_of(scene.sentences[int(index)])
        maps = np.stack([row(len(scene.regions), own.get(word)) for word in words])
        shown.append(Shown(image, int(index), words, maps[None]))
    return replace(World(scenes, shown, None))


def result_of(made: World, folder: Path, name: str = "model", protocol: attneval.Protocol | None = None) -> Result:
    """Write the world's files and score them, items and all."""
    folder.mkdir(parents=True, exist_ok=True)
    return attneval.score(
        made.packed(folder / f"{name}.npz"),
        made.entities(folder / "entities"),
        protocol=protocol,
        options=attneval.Options(resamples=0, items=True),
    )


def items_of(made: World, folder: Path, name: str = "model", **fields: object) -> ItemTable:
    """The items of a world, one by one."""
    table = result_of(made, folder, name, attneval.Protocol(**fields) if fields else None).items  # type: ignore[arg-type]
    assert table is not None
    return table
