"""The sums of many channels: few numbers of each, image by image, in one walk over a block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import ranges
from attneval.errors import MetricError, first_of
from attneval.evaluation.channel_passes import columns_in_passes, sum_in_passes
from attneval.evaluation.constant_attention import constant_columns
from attneval.evaluation.direction_items import direction_items
from attneval.evaluation.item_hits import evaluated, hits_of, item_chunks
from attneval.evaluation.weight_reader import WeightReader
from attneval.metrics.floors import UNIFORM, floor_column
from attneval.metrics.hits import Hits
from attneval.metrics.populations import ITEMS, POPULATIONS, REACHED, populations
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.registry import ATTENTION, Column, columns, columns_used, metric_named, metrics
from attneval.metrics.spatial import SPATIAL, SPATIAL_N, spatial_entropy
from attneval.results.channel_sums import MASS, MASS_N

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.export.read.content import MapBlock
    from attneval.matching.items import Items
    from attneval.matching.phrases import ScoredPhrases
    from attneval.metrics.totals import Table


def sum_channels(
    names: Sequence[str],
    captions: CaptionBlock,
    phrases: ScoredPhrases,
    sets: dict[str, IndexSets],
    maps: MapBlock,
    *,
    direction: str,
    protocol: Protocol,
) -> Table:
    """Sum the columns of some metrics over the items of each image, for every channel alone.

    Args:
        names: The metrics.
        captions: The captions of I images.
        phrases: The annotated words.
        sets: See `attneval.evaluation.direction_items.direction_sets`.
        maps: The captions' maps.
        direction: `t2i` or `i2t`.
        protocol: How they are scored.

    Returns:
        f8[A, I] by column, equal to what scoring each channel alone sums; f8[1, I] where all channels have the same.

    Raises:
        MetricError: A metric takes more than the sums of one channel.
    """
    specs, floors = needed_columns(names)
    over = {name: specs[name].over for name in floors}
    images, channels = len(captions.truth.image_id), len(captions.export.channel)
    items = direction_items(direction, captions, phrases, sets, protocol)
    _refuse_lacking(names, specs, items)
    even = constant_columns(items, specs, protocol, center=None)
    spatial = SPATIAL in names and direction == "t2i" and captions.export.regions.grid_shape is not None
    weights = WeightReader(captions, items, maps, direction, protocol)
    fast = columns_in_passes(weights, specs, protocol)
    summed: Table = {}
    if fast:
        counts = _counts(items, protocol)
        summed = sum_in_passes(weights, fast, counts, protocol, channels=channels, images=images)
        specs = {name: spec for name, spec in specs.items() if name not in fast}
    rows: list[Table] = []
    # What is the same for all channels needs one.
    for channel in range(channels if specs or spatial else 1):
        if captions.defined is not None:
            items = direction_items(direction, captions, phrases, sets, protocol, channel=channel)
        weights = WeightReader(captions, items, maps, direction, protocol)
        counts = _counts(items, protocol)
        table = _scored(items, weights, protocol, specs, channel=channel, spatial=spatial)
        full = {name: table[name] * counts[spec.over] for name, spec in specs.items()}
        full |= {name: table[name] * counts[ITEMS] for name in (SPATIAL, SPATIAL_N) if spatial}
        shared = counts | {
            floor_column(UNIFORM, name): even[name][items.target] * counts[over[name]] for name in floors
        }
        # What is the same for all channels is kept once.
        full |= shared if not rows or captions.defined is not None else {}
        rows.append(
            {name: np.asarray(np.bincount(items.image, values, images), np.float64) for name, values in full.items()}
        )
    summed |= {name: np.array([row[name] for row in rows if name in row]) for name in rows[0]}
    return summed | _image_mass(captions, phrases, sets, protocol, images) if direction == "t2i" else summed


def sum_absent(names: Sequence[str], per_image: Table, *, channels: int) -> Table:
    """Give images that the export lacks the same sums in every channel.

    Args:
        names: The metrics.
        per_image: f8[I] by column, the sums of one channel.
        channels: How many there are.

    Returns:
        f8[A, I] by column, or f8[1, I] as in `sum_channels`.
    """
    specs, floors = needed_columns(names)
    shared = (*POPULATIONS, REACHED, *(floor_column(UNIFORM, name) for name in floors))
    table = {name: np.tile(per_image[name], (channels, 1)) for name in specs}
    return table | {name: per_image.get(name, np.zeros(len(per_image[ITEMS])))[None] for name in shared}


def needed_columns(names: Sequence[str]) -> tuple[dict[str, Column], list[str]]:
    """List the columns that metrics take: those of the model, and those of which even attention's sums are taken, too.

    Raises:
        MetricError: A metric does not exist, or takes more than the sums of one channel.
    """
    known = columns(*ATTENTION)
    floors = {floor_column(UNIFORM, name): name for name in known}
    probe = dict.fromkeys((*known, *floors, *POPULATIONS, REACHED, SPATIAL, SPATIAL_N), np.ones(()))
    used: dict[str, None] = {}
    for name in names:
        needed = columns_used(metric_named(name), probe)
        if needed is None:
            able = [metric.name for metric in metrics(*ATTENTION) if columns_used(metric, probe)]
            raise MetricError(
                f"{name} is not measured of single channels", hint=f"use {first_of(able, show=len(able))}"
            )
        used |= dict.fromkeys(sorted(needed))
    below = [floors[name] for name in used if name in floors]
    return {name: known[name] for name in (*used, *below) if name in known}, below


def _refuse_lacking(names: Sequence[str], specs: dict[str, Column], items: Items) -> None:
    """Refuse metrics whose columns need what the protocol does not ask for."""
    lacking = {name for name, spec in specs.items() if spec.needs and spec.needs not in items.at_hand}
    if lacking:
        chosen = [name for name in names if lacking & metric_named(name).columns.keys()]
        raise MetricError(
            f"{first_of(chosen)} is measured of enlarged maps, in direction t2i",
            hint="pass --enlarge bilinear, and --box-from for box_accuracy",
        )


def _counts(items: Items, protocol: Protocol) -> Table:
    """How often each item counts in each population: f8[m] by name."""
    reachable = items.sets["relevant"].size[items.target] > 0
    counted = populations(items.given, reachable, protocol, items.undefined)
    return counted | {REACHED: counted[ITEMS] * reachable}


def _scored(
    items: Items, weights: WeightReader, protocol: Protocol, specs: dict[str, Column], *, channel: int, spatial: bool
) -> Table:
    """The columns of all items in one channel: f8[m] by name."""
    nothing = Rows.rank(np.zeros((0, 1)), protocol.rule)
    every = np.zeros(len(items.target), np.int64)
    alone = Hits(nothing, every, items.sets["relevant"], items.target, maps=items.maps)
    table = {n: spec.values(alone) if spec.of_set_alone else np.zeros(len(items.target)) for n, spec in specs.items()}
    table |= {name: np.zeros(len(items.target)) for name in (SPATIAL, SPATIAL_N)}
    for chunk in item_chunks(items, items.ranked) if specs or spatial else ():
        weight = normalised(weights.read(chunk, channel), protocol.normalize)
        if specs:
            hits = hits_of(items, Rows.rank(weight, protocol.rule), np.arange(len(chunk)), items.target[chunk])
            for name, values in evaluated(specs, hits):
                table[name][chunk] = values
        if spatial:
            entropy = _spatial_entropy(weight, items.image[chunk], weights.captions)
            table[SPATIAL][chunk], table[SPATIAL_N][chunk] = np.nan_to_num(entropy), np.isfinite(entropy)
    return table


def _spatial_entropy(
    weight: NDArray[np.float64], image: NDArray[np.int64], captions: CaptionBlock
) -> NDArray[np.float64]:
    """f8[m], of rows over whole grids; NaN for others."""
    stored = captions.export.regions.grid_shape
    entropy = np.full(len(weight), np.nan)
    if stored is None or weight.min(initial=0) < 0:
        return entropy
    row_of = np.zeros(len(captions.truth.image_id), np.int64)
    row_of[captions.image] = captions.export.caption_image[captions.rows]
    shape = np.asarray(stored, np.int64)[row_of[image]]
    for rows, cells in np.unique(shape[shape.prod(axis=1) == weight.shape[1]], axis=0).tolist():
        chosen = (shape == (rows, cells)).all(axis=1)
        entropy[chosen] = spatial_entropy(weight[chosen], (rows, cells))
    return entropy


def _image_mass(
    captions: CaptionBlock, phrases: ScoredPhrases, sets: dict[str, IndexSets], protocol: Protocol, images: int
) -> Table:
    """What each item's rows have on the image before they were normalised over it; undefined rows have 0.

    Returns:
        f8[A, I], the mean over an item's tokens summed over items, and f8[1, I], how many items there are; nothing
        where the export does not say.
    """
    mass = captions.row_mass
    if mass is None:
        return {}
    every = direction_items("t2i", replace(captions, defined=None), phrases, sets, protocol)
    count = np.diff(every.entry_offset)
    given = np.flatnonzero(count > 0)
    token = every.entry[ranges(every.entry_offset[given], count[given])]
    item = np.repeat(np.arange(len(given)), count[given])
    image = every.image[given]
    means = [np.bincount(item, row[token], len(given)) / count[given] for row in mass]
    return {
        MASS: np.array([np.bincount(image, mean, images) for mean in means]),
        MASS_N: np.bincount(image, minlength=images).astype(np.float64)[None],
    }
