"""Opening an export of either layout, and looking for every problem in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import ExportError
from attneval.export.checks import check_images, check_maps, check_spans
from attneval.export.lints import lint
from attneval.export.problems import FileProblems
from attneval.export.read.columns import Columns
from attneval.export.read.layouts import is_packed
from attneval.export.read.other_files import refuse_other_files
from attneval.export.read.perturbations import check_faithfulness
from attneval.export.read.strings import StringColumn
from attneval.storage.addresses import located
from attneval.storage.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport
    from attneval.storage.archive import Members

BLOCK_BYTES = 32 * 2**20
"""Bytes of weights that are looked at together."""


def open_export(path: str | Path) -> AttentionExport:
    """Open an attention export in either layout.

    Only its small members are read; weights, boxes and spans are checked when they are.

    Raises:
        ExportError: The file is no `.npz`, or its columns break the format.
    """
    path = located(path)
    refuse_other_files(path)
    return open_members(Archive(path), FileProblems(path))


def open_members(members: Members, report: FileProblems) -> AttentionExport:
    """Open named arrays in either layout.

    Raises:
        ExportError: The columns break the format.
    """
    if is_packed(members):
        from attneval.export.read.packed import KINDS_OF_MEMBERS, load_packed

        return load_packed(Columns(members, report, KINDS_OF_MEMBERS))
    from attneval.export.read import padded

    return padded.load_padded(Columns(members, report, padded.KINDS_OF_MEMBERS))


def blocks_of_captions(export: AttentionExport, block_bytes: int = BLOCK_BYTES) -> Iterator[NDArray[np.int64]]:
    """Split the captions, in order, so that the weights of a block stay below a number of bytes."""
    total = sum(maps.size * maps.itemsize for maps in export.maps.values())
    number = np.cumsum(total) // block_bytes if export.maps else np.zeros(len(export.caption_image), np.int64)
    yield from np.split(np.arange(len(number)), np.flatnonzero(np.diff(number)) + 1)


def find_problems(path: Path) -> tuple[list[str], AttentionExport | None]:
    """Every problem of an export, reading all of it.

    Returns:
        The problems, and the export if it could be opened; without any problem, its warnings hold what looks wrong.

    Raises:
        ExportError: The file is no `.npz` at all, or a member cannot be read.
    """
    refuse_other_files(path)
    archive, report = Archive(path), FileProblems(path)
    broken = archive.broken()
    damage = [] if broken is None else [f"{broken}: is damaged: its checksum is wrong"]
    export = None
    try:
        export = open_members(archive, report)
        _look_at_everything(report, export)
    except ExportError:
        if not damage and not report.problems:
            raise
    if export is not None and not damage and not report.problems:
        export = replace(export, warnings=(*export.warnings, *map(str, lint(export))))
    return damage + report.problems, export


def _look_at_everything(report: FileProblems, export: AttentionExport) -> None:
    check_images(report, export)
    check_faithfulness(report, export)
    columns = [column for column in (export.caption_text, export.token_text) if isinstance(column, StringColumn)]
    unreadable = sum(column.check(report) for column in columns)
    for rows in blocks_of_captions(export) if export.maps else ():
        if not unreadable:
            check_spans(report, export, rows, export.tokens(rows))
        for direction, maps in export.maps.items():
            check_maps(report, export, direction, rows, maps.take(rows))
