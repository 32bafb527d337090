"""The sums of many channels: few numbers of each, image by image, in one walk over a block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import ranges
from attneval.errors import MetricError, first_of
from attneval.evaluation.channel_passes import HostPasses, SpatialPasses, columns_in_passes, sum_in_passes
from attneval.evaluation.constant_attention import constant_columns
from attneval.evaluation.direction_items import direction_items
from attneval.evaluation.item_hits import evaluated, hits_of, item_chunks, sums_by_image
from attneval.evaluation.weight_reader import WeightReader
from attneval.metrics.declaration import ATTENTION, Column
from attneval.metrics.floors import UNIFORM, floor_column
from attneval.metrics.hits import Hits
from attneval.metrics.populations import ITEMS, POPULATIONS, REACHED, populations
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.registry import columns, metric_named, metrics
from attneval.metrics.spatial import SPATIAL, SPATIAL_N
from attneval.metrics.values import columns_used
from attneval.results.channel_sums import MASS, MASS_N

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.evaluation.channel_passes import Passes
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
    images = len(captions.truth.image_id)
    every = direction_items(direction, captions, phrases, sets, protocol)
    _refuse_lacking(names, specs, every)
    even = constant_columns(every, specs, protocol, center=None)
    together = columns_in_passes(specs, direction, protocol)
    spatial = SPATIAL in names and direction == "t2i" and captions.export.regions.grid_shape is not None
    alone = {name: spec for name, spec in specs.items() if name not in together}
    groups = groups_of_channels(captions)
    parts: list[Table] = []
    for group in groups:
        items = direction_items(direction, captions, phrases, sets, protocol, channel=int(group[0]))
        weights = WeightReader(captions, items, maps, direction, protocol)
        counts = counts_of_items(items, protocol)
        passes: list[tuple[Passes, Table]] = []
        if together:
            over = {name: counts[specs[name].over] for name in together}
            passes.append((HostPasses(weights, protocol), over))
        if spatial:
            passes.append((SpatialPasses(weights, protocol), dict.fromkeys((SPATIAL, SPATIAL_N), counts[ITEMS])))
        shared = counts | {
            floor_column(UNIFORM, name): even[name][items.target] * counts[specs[name].over] for name in floors
        }
        summed: Table = {}
        for one, over in passes:
            summed |= sum_in_passes(one, items, over, group, images)
        parts.append(
            summed
            | _sums_alone(items, weights, protocol, alone, counts, channels=group, images=images)
            | {name: sums_by_image(items, values, images)[None] for name, values in shared.items()}
        )
    every_group = _joined(parts, groups)
    return every_group | _image_mass(captions, phrases, sets, protocol, images) if direction == "t2i" else every_group


def groups_of_channels(captions: CaptionBlock) -> list[NDArray[np.int64]]:
    """The channels i8[a] whose rows are undefined for the same tokens, and which have the same items therefore."""
    every = np.arange(len(captions.export.channel))
    if captions.defined is None or captions.defined.all():
        return [every]
    _, group = np.unique(captions.defined, axis=0, return_inverse=True)
    return [np.flatnonzero(group == number) for number in range(int(group.max()) + 1)]


def _joined(parts: list[Table], groups: list[NDArray[np.int64]]) -> Table:
    """Put the sums f8[a, I] of groups of channels together; what all channels of one group have in common is f8[1, I].

    What is the same for all channels is kept once.
    """
    if len(parts) == 1:
        return parts[0]
    joined: Table = {}
    for name, values in parts[0].items():
        joined[name] = np.zeros((sum(map(len, groups)), values.shape[1]))
        for group, part in zip(groups, parts, strict=True):
            joined[name][group] = part[name]
    return joined


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


def counts_of_items(items: Items, protocol: Protocol) -> Table:
    """Count how often each item counts in each population: f8[m] by name."""
    reachable = items.sets["relevant"].size[items.target] > 0
    counted = populations(items.given, reachable, protocol, items.undefined)
    return counted | {REACHED: counted[ITEMS] * reachable}


def _sums_alone(
    items: Items,
    weights: WeightReader,
    protocol: Protocol,
    specs: dict[str, Column],
    counts: Table,
    *,
    channels: NDArray[np.int64],
    images: int,
) -> Table:
    """Sum columns that need every row ranked, channel by channel: f8[A, I] by column."""
    if not specs:
        return {}
    nothing = Rows.rank(np.zeros((0, 1)), protocol.rule)
    every = np.zeros(len(items.target), np.int64)
    without = Hits(nothing, every, items.sets["relevant"], items.target, maps=items.maps)
    summed = {name: np.zeros((len(channels), images)) for name in specs}
    for place, channel in enumerate(channels.tolist()):
        table = {
            name: spec.values(without) if spec.of_set_alone else np.zeros(len(items.target))
            for name, spec in specs.items()
        }
        for chunk in item_chunks(items, items.ranked):
            rows = Rows.rank(normalised(weights.read(chunk, channel), protocol.normalize), protocol.rule)
            hits = hits_of(items, rows, np.arange(len(chunk)), items.target[chunk])
            for name, values in evaluated(specs, hits):
                table[name][chunk] = values
        for name, spec in specs.items():
            summed[name][place] = sums_by_image(items, table[name] * counts[spec.over], images)
    return summed


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
