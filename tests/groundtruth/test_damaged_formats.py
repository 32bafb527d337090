"""Annotations with something wrong in them: read, or refused with the file's name; never anything else."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from format_worlds import World
from fuzz.damage import CANARY
from fuzz.targets import FORMATS
from fuzz.ways import WAYS

from attneval.errors import GroundTruthError
from attneval.groundtruth import Reading, open_ground_truth

if TYPE_CHECKING:
    from pathlib import Path

CASES = 60


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_annotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is read of them holds together; the commands meet the same damage in `tests/fuzz`."""
    monkeypatch.chdir(tmp_path)
    files = getattr(World(99, 8), name)(tmp_path)
    whole = {path: path.read_bytes() for path in files if path.is_file()}
    draw = random.Random(name)  # noqa: S311 - not a secret
    read, refused = 0, 0
    for case in range(CASES):
        path = draw.choice(list(whole))
        path.write_bytes(WAYS[path.suffix](whole[path], draw)[0])
        format_ = "auto" if case % 4 == 0 else open_format(name)
        try:
            source = open_ground_truth(files, format_, reading=Reading(masks=True))
            truth = source.read(source.image_ids())
            assert np.isfinite(truth.box).all()
            assert len(truth.phrase_entity) == truth.phrase_offset[-1]
            read += 1
        except GroundTruthError as error:
            refused += 1
            assert_names_the_file(str(error), tmp_path)
        path.write_bytes(whole[path])
    assert not (tmp_path / CANARY).exists()
    assert read > 0
    assert refused > 0


def assert_names_the_file(message: str, folder: Path) -> None:
    assert str(folder) in message


def open_format(name: str) -> str:
    return {"lvis": "coco", "coco_entities": "coco-entities", "visual_genome": "visual-genome"}.get(name, name)


@pytest.mark.parametrize("name", FORMATS)
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
