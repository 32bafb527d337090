"""Ids that mostly do not match: leaving images out would hide a mistake, so that it is not offered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds import make_world

from attneval import Protocol, score
from attneval.errors import AlignmentError, NothingToScoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def renamed(path: Path, out: Path, rename: Callable[[int, str], str]) -> Path:
    with np.load(path) as data:
        members: dict[str, Any] = dict(data)
    members["image_id"] = np.array([rename(i, str(name)) for i, name in enumerate(members["image_id"])])
    np.savez(out, **members)
    return out


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    world = make_world(2, images=4).attention_alone()
    return world.packed(tmp_path / "maps.npz"), world.entities(tmp_path / "truth")


def refusal(*arguments: Path, **named: Any) -> AlignmentError:
    with pytest.raises(AlignmentError) as caught:
        score(*arguments, **named)
    return caught.value


def test_most_ids_unknown(files: tuple[Path, Path], tmp_path: Path) -> None:
    export = renamed(files[0], tmp_path / "jpg.npz", lambda i, name: f"{name}.jpg" if i else name)
    error = refusal(export, files[1])
    assert "3 of 4 images" in error.message
    assert "--missing skip" not in error.hint
    assert "the release, the split or the form of the ids does not match" in error.hint
    assert "'1007.jpg' in the export, '1000' in the annotations" in error.hint
    # Whoever asks for it all the same gets it, with a note.
    result = score(export, files[1], protocol=Protocol(missing="skip"))
    assert any("3 of 4 images" in note for note in result.notes)


def test_few_ids_unknown(files: tuple[Path, Path], tmp_path: Path) -> None:
    export = renamed(files[0], tmp_path / "one.npz", lambda i, name: f"{name}9" if i == 3 else name)
    error = refusal(export, files[1])
    assert "1 of 4 images" in error.message
    assert "--missing skip" in error.hint


def test_most_ids_of_a_split_unknown(files: tuple[Path, Path], tmp_path: Path) -> None:
    split = tmp_path / "split.txt"
    split.write_text("1000\n1007.jpg\n1014.jpg\n")
    error = refusal(*files, split=split)
    assert "2 of 3 images of the split" in error.message
    assert "--missing" not in error.hint
    assert "'1007.jpg' in the split, '1000' in the export" in error.hint
    split.write_text("1000\n1007\n1014.jpg\n")
    assert "--missing skip" in refusal(*files, split=split).hint


def test_all_ids_of_a_split_unknown(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "split.txt").write_text("1000.jpg\n1007.jpg\n")
    with pytest.raises(NothingToScoreError) as caught:
        score(*files, split=tmp_path / "split.txt")
    assert "did you mean '1000' for '1000.jpg'?" in caught.value.message
    assert "'1000.jpg' in the split, '1000' in the export" in caught.value.hint
