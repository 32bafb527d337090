"""The result of a part of a scoring, with what the whole needs of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.results.part import Part

if TYPE_CHECKING:
    from attneval.config.options import Options
    from attneval.config.protocol import Protocol
    from attneval.evaluation.add_up import RunSums
    from attneval.evaluation.manifest import Manifest
    from attneval.results.result import Result

KEPT_OPTIONS = ("resamples", "seed", "limit", "name", "items")
"""Options that the whole has from its parts."""


def as_part(result: Result, sums: RunSums, manifest: Manifest, protocol: Protocol, options: Options) -> Result:
    """Make the result of a part say what the whole needs of it.

    Args:
        result: The result over its images.
        sums: Their sums.
        manifest: The files.
        protocol: The protocol that was asked for, nothing in it settled.
        options: The options.
    """
    if options.part is None:
        return result
    number, of = options.part
    row = {name: i for i, name in enumerate(result.scores.sums.image_id)}
    asked = {name: getattr(options, name) for name in KEPT_OPTIONS}
    arguments = {**manifest.arguments(), "protocol": protocol.to_dict(), "options": asked}
    part = Part(
        number,
        of,
        arguments,
        {name: digest.hex() for name, digest in sums.digests.items()},
        vars(sums.mismatches),
        vars(sums.targetless),
        {name: list(size) for name, size in sums.sizes.items()},
        sums.lifts.to_dict(np.array([row[name] for name in sums.image_id], np.int64)),
    )
    return replace(result, part=part, name=f"{result.name} {part}")
