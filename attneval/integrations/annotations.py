"""Annotations of batches: opened once in each process, and held against what batches name."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from attneval.errors import AlignmentError, first_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.config.protocol import Protocol
    from attneval.groundtruth import Source
    from attneval.groundtruth.annotation_files import AnnotationFiles
    from attneval.matching.mismatches import Mismatches


@functools.lru_cache(maxsize=8)
def source_of(gt: AnnotationFiles, protocol: Protocol) -> Source:
    """The annotations, opened once in each process: metrics are copied and pickled, open files are not."""
    return gt.open(protocol)


def refuse_unknown_images(source: Source, image_ids: Sequence[str], gt: AnnotationFiles) -> None:
    """Refuse images that are not annotated.

    Raises:
        AlignmentError: There are some.
    """
    unknown = source.missing(list(image_ids))
    if unknown:
        raise AlignmentError(f"{len(unknown)} images are not in {gt} (first: {first_of(unknown)})")


def refuse_mismatches(mismatches: Mismatches, protocol: Protocol) -> None:
    """Refuse what cannot be aligned in a batch, unless the protocol leaves it out.

    That an image's other captions are absent means nothing: they are in other batches.

    Raises:
        AlignmentError: A caption is none of its image, or an annotated word has no token.
    """
    if protocol.missing != "error":
        return
    for text, names in (
        ("captions are no caption of their image", mismatches.unaligned),
        ("annotated words have no token", mismatches.wordless),
    ):
        if names:
            raise AlignmentError(
                f"{len(names)} {text} (first: {first_of(names)})",
                hint="check caption ids and tokens, or use Protocol(missing='skip') to leave them out",
            )
