"""Writing files and folders so that a reader only ever sees whole ones."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from attneval.storage.drafts import Draft, draft_name, hold, remove_abandoned, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `path` when the block ends well and is removed when it does not.

    Raises:
        DataError: The directory cannot be written, the disk is full, or a directory is in the way.
    """
    draft = Draft(path)
    try:
        with writing(path, reading=True):
            yield draft.file
        draft.publish()
    finally:
        draft.discard()


@contextmanager
def replacing_all(paths: Sequence[Path]) -> Iterator[list[IO[bytes]]]:
    """Files to write, which take the places of `paths` in their order once all of them are written.

    Whoever is killed between two of them leaves whole files, of which the last are the old ones.

    Raises:
        DataError: A directory cannot be written, the disk is full, or a directory is in the way; if that is found out
            while files are written, no place is taken.
    """
    drafts: list[Draft] = []
    try:
        drafts += [Draft(path) for path in paths]
        yield [draft.file for draft in drafts]
        for draft in drafts:
            draft.publish()
    finally:
        for draft in drafts:
            draft.discard()


def write_together(contents: Sequence[tuple[Path, Callable[[IO[bytes]], object]]]) -> None:
    """Write several whole files, see `replacing_all`.

    Args:
        contents: The files, each with what writes it.
    """
    with replacing_all([path for path, _ in contents]) as files:
        for (path, write), file in zip(contents, files, strict=True):
            with writing(path, reading=True):
                write(file)


def encoded(text: str) -> bytes:
    """A text as it stands in a file.

    File names that are not UTF-8 hold lone surrogates; spelled out, they are valid in JSON too.
    """
    return text.encode("utf-8", "backslashreplace")


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in place of `path`."""
    with replacing(path) as file:
        file.write(encoded(text))


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of another one when the block ends well, and is gone when it does not.

    Args:
        folder: The folder whose place it takes; there may be none.

    Raises:
        DataError: It cannot be made, or not be put in place.
    """
    target = Path(os.path.realpath(folder))
    with writing(folder):
        remove_abandoned(target)
        draft = draft_name(target)
        draft.mkdir()
        descriptor = os.open(draft, os.O_RDONLY)
    try:
        hold(descriptor)
        with writing(folder, reading=True):
            yield draft
        with writing(folder):
            if target.is_dir():
                # It has another name for a moment, since no system call that is everywhere replaces a full folder.
                target.rename(draft_name(target))
            draft.rename(target)
            remove_abandoned(target)
    finally:
        os.close(descriptor)
        shutil.rmtree(draft, ignore_errors=True)
