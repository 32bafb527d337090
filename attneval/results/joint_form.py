"""The JSON form of the joint view: written, and read back against the sums that it follows from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.results.fields import NUMBERS, check_numbers, check_whole
from attneval.results.held import same_measured
from attneval.results.joint import (
    CAPTIONS,
    CELLS,
    IMAGES,
    RHO,
    SIDES,
    Joint,
    JointSide,
    measure_sides,
    pairing_of_images,
)
from attneval.results.scores_form import measured_from_dict
from attneval.results.validation import TOLERANCE

LARGEST = 1 + TOLERANCE
"""The largest correlation, with what rounding may add."""

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.results.scores import Measured
    from attneval.statistics.image_sums import ImageSums


def joint_to_dict(joint: Joint) -> dict[str, Any]:
    """Give a joint view as JSON values."""
    return {
        "trials": joint.trials,
        **{
            name: {
                RHO: _plain(side.rho),
                "p": side.p,
                "table": {cell: _plain(share) for cell, share in side.table.items()},
                "per_image": {cell: counts.tolist() for cell, counts in side.per_image.items()},
            }
            for name, side in joint.sides.items()
        },
    }


def _plain(value: Measured) -> dict[str, Any]:
    return {"value": value.value, "ci": None if value.ci is None else list(value.ci), "n": value.n}


def joint_from_dict(values: dict[str, Any], sums: ImageSums, *, resamples: int, seed: int) -> Joint:
    """Make a joint view from JSON values.

    The tables are computed again from their counts, and what is of images from the sums of the result. What is of
    captions follows from the items file alone: its correlation is only held to be possible.

    Args:
        values: The values.
        sums: The sums of the result.
        resamples: How many resamples the intervals took.
        seed: Of the resamples.

    Raises:
        ValueError: They contradict one another or the sums.
    """
    if set(values) != {"trials", *SIDES}:
        raise ValueError(f"joint has {', '.join(sorted(values))}, expected trials, {' and '.join(SIDES)}")
    trials, images = check_whole("joint trials", values["trials"]), len(sums.image_id)
    sides = {name: _side_from_dict(f"joint {name}", values[name], images) for name in SIDES}
    pairing = pairing_of_images(sums)
    cells = {name: side.per_image for name, side in sides.items()}
    rho, tables = measure_sides({IMAGES: pairing.correlation()}, cells, images, resamples=resamples, seed=seed)
    for name, side in sides.items():
        for cell, share in side.table.items():
            same_measured(f"joint {name} table {cell}", share, tables[name][cell])
    for cell, counts in pairing.cells(images).items():
        if not np.array_equal(counts, sides[IMAGES].per_image[cell]):
            raise ValueError(f"joint {IMAGES} per_image {cell} is not what the lifts and ranks of images give")
    same_measured(f"joint {IMAGES} {RHO}", sides[IMAGES].rho, rho[IMAGES])
    if _counted(sides[CAPTIONS])[_counted(sides[IMAGES]) == 0].any():
        raise ValueError(f"joint {CAPTIONS} per_image counts captions of images that have no lift or no rank")
    return Joint(sides, trials)


def _side_from_dict(where: str, values: dict[str, Any], images: int) -> JointSide:
    counts, table, p = values["per_image"], values["table"], values["p"]
    for name, cells in (("per_image", counts), ("table", table)):
        if tuple(cells) != CELLS:
            raise ValueError(f"{where} {name} has {', '.join(cells)}, expected {', '.join(CELLS)}")
    per_image = {cell: check_numbers(f"{where} per_image {cell}", column) for cell, column in counts.items()}
    for cell, column in per_image.items():
        if column.shape != (images,) or (column < 0).any() or (column % 1 != 0).any():
            raise ValueError(f"{where} per_image {cell} is no list of {images} counts")
    if p is not None and not (type(p) in NUMBERS and 0 < p <= 1):
        raise ValueError(f"{where} p is {p!r}")
    side = JointSide(
        measured_from_dict(f"{where} {RHO}", values[RHO]),
        None if p is None else float(p),
        {cell: measured_from_dict(f"{where} {cell}", share) for cell, share in table.items()},
        per_image,
    )
    count = int(_counted(side).sum())
    if side.rho.n != count or not count:
        raise ValueError(f"{where} {RHO} n is {side.rho.n}, but its table counts {count}")
    low, high = side.rho.ci or (-1.0, 1.0)
    value = side.rho.value or 0.0
    if not -LARGEST <= low <= high <= LARGEST or not -LARGEST <= value <= LARGEST:
        raise ValueError(f"{where} {RHO} is {side.rho.value} with the interval {side.rho.ci}, which is no correlation")
    return side


def _counted(side: JointSide) -> NDArray[np.float64]:
    return np.asarray(np.sum([*side.per_image.values()], axis=0))
