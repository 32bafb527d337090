"""Files by their role in a format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.errors import GroundTruthError
from attneval.groundtruth.recognition import Candidate

if TYPE_CHECKING:
    from attneval.groundtruth.documents import Document

Files = dict[str, list[Candidate]]
"""Files by their role in a format."""


def only(files: Files, role: str) -> Document:
    """Take the one file that has a role.

    Raises:
        GroundTruthError: Several have it.
    """
    given = files[role]
    if len(given) > 1:
        names = ", ".join(str(candidate.path) for candidate in given)
        raise GroundTruthError(f"{names} hold the same part of the annotations", hint="name one of them with --gt")
    return given[0].document
