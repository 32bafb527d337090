"""Heads: the channels of a model ranked on one half of the images and reported on the other.

The best of a thousand heads on some images is best partly by chance. Heads are therefore chosen on the even half of the
images and reported on the odd half, with intervals over its images; what a value loses from one half to the other is
its optimism.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import MetricError, NothingToScoreError, ResultError, first_of, suggestion
from attneval.metrics.declaration import ATTENTION
from attneval.metrics.floors import CENTER, UNIFORM, floor_sums
from attneval.metrics.registry import RANKED_BY, find_metric, in_table, metric_named, metrics
from attneval.metrics.spatial import SPATIAL
from attneval.metrics.values import columns_used
from attneval.results.channel_sums import MASS, MASS_N, TOLERANCE, ChannelTable, StoredChannels, key_of
from attneval.results.scores import Measured
from attneval.results.summary import measure_all
from attneval.statistics.bootstrap import percentile_bounds, repeats_in_blocks
from attneval.statistics.halves import EVEN, ODD, in_half

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.metrics.declaration import Metric
    from attneval.metrics.totals import Table
    from attneval.results.result import Result


@dataclass(frozen=True)
class Head:
    """A channel with what it scores.

    Attributes:
        key: Its key in results.
        name: Its name.
        layer: Its layer; None where reduced over.
        head: Its head; None where reduced over.
        chosen: What it scores on the half that is chosen on.
        reported: What it scores on the other half, with its interval.
        metrics: Other metrics on that other half, by name.
        image_mass: The mean mass of its rows on the image there, before they were normalised over it; None if unknown.
    """

    key: str
    name: str
    layer: int | None
    head: int | None
    chosen: Measured
    reported: Measured
    metrics: dict[str, Measured]
    image_mass: float | None = None

    @property
    def optimism(self) -> float | None:
        """The value on the half that is chosen on minus that on the other."""
        if self.chosen.value is None or self.reported.value is None:
            return None
        return self.chosen.value - self.reported.value


@dataclass(frozen=True)
class HeadRanking:
    """The channels of a result, ranked.

    Attributes:
        result: What was scored.
        metric: The metric they are ranked by.
        heads: The channels, the best on the even half first.
        chosen_on: How many images that half has.
        reported_on: How many the odd half has.
        top: How many of the best were scored as one system; 0 for none.
        system: That system's result: the mean of their maps on the odd half.
        system_chosen: What that system scores on the even half.
        floors: What attention that is the same for all channels scores on the odd half, by floor and metric.
    """

    result: Result
    metric: str
    heads: list[Head]
    chosen_on: int
    reported_on: int
    top: int = 0
    system: Result | None = None
    system_chosen: Measured | None = field(default=None)
    floors: dict[str, dict[str, Measured]] = field(default_factory=dict)


def rank_heads(result: Result, metric: str = RANKED_BY) -> HeadRanking:
    """Rank the channels of a result on one half of its images, and report them on the other.

    Args:
        result: A result of several channels.
        metric: The metric to rank by, a name or an alias.

    Raises:
        MetricError: The metric is not known of single channels.
        NothingToScoreError: There are no several channels, or a half has no images.
    """
    table, direction = channel_table(result), result.protocol.directions[0]
    spec = _metric_of(metric, table, direction, result)
    even = in_half(table.image_id, EVEN)
    for half, count in ((EVEN, int(even.sum())), (ODD, int((~even).sum()))):
        if not count:
            raise NothingToScoreError(
                f"all {len(even)} images of {result.name} are in one half, and none in the {half} half",
                hint="heads are chosen on one half of the images and reported on the other: score more images",
            )
    chosen = _measured(spec, table.taken(even), direction)
    others = [m for m in (*in_table("heads"), metric_named(SPATIAL)) if _has(m, table.columns[direction])]
    odd = table.taken(~even)
    shown = list({m.name: m for m in (spec, *others)}.values())
    reported = {m.name: _measured(m, odd, direction) for m in shown}
    bounds = _intervals(shown, odd, direction, resamples=result.resamples, seed=result.seed)
    mass = _image_mass(odd, direction)
    heads = []
    for row in _order(spec, chosen):
        layer, head = (None if place < 0 else place for place in table.channel[row].tolist())
        of_head = {
            name: replace(values[row], ci=None if values[row].value is None else bounds[name][row])
            for name, values in reported.items()
        }
        key = key_of(table.name[row], direction)
        heads.append(Head(key, table.name[row], layer, head, chosen[row], of_head[spec.name], of_head, mass[row]))
    floors = _floors(shown, result)
    return HeadRanking(result, spec.name, heads, int(even.sum()), int((~even).sum()), floors=floors)


def _floors(shown: Sequence[Metric], result: Result) -> dict[str, dict[str, Measured]]:
    """What floors that do not depend on the channel score on the half that is reported on, by floor and metric."""
    sums = result.scores.sums
    odd = in_half(sums.image_id, ODD)
    totals = {name: np.asarray(column[odd].sum()) for name, column in sums.columns.items()}
    floors: dict[str, dict[str, Measured]] = {}
    for floor in (UNIFORM, CENTER):
        pairs = [(metric, floor_sums(metric, floor, totals)) for metric in shown if metric.floored]
        floors[floor] = {}
        for metric, pair in pairs:
            if pair is not None:
                floors[floor] |= measure_all([metric], pair[1])
    return {floor: table for floor, table in floors.items() if table}


def best_channels(table: ChannelTable, direction: str, count: int, metric: str = RANKED_BY) -> list[int]:
    """Find the best channels on all images of a table.

    Args:
        table: The sums of the half of images that is chosen on.
        direction: `t2i` or `i2t`.
        count: How many.
        metric: The metric.

    Returns:
        Their rows, the best first.
    """
    spec = metric_named(metric)
    return _order(spec, _measured(spec, table, direction))[:count]


def channel_table(result: Result) -> ChannelTable:
    """Find the per-image sums of a result's channels.

    Raises:
        NothingToScoreError: It has none.
        ResultError: The file beside it cannot be read.
    """
    if result.channel_sums is not None:
        for key, metrics in kept_of_channels(result.channel_sums).items():
            said = result.channels.get(key)
            if (
                said is not None
                and not said.has_sums
                and any(_differ(m, metrics.get(n)) for n, m in said.metrics.items())
            ):
                raise ResultError(
                    f"{result.name} says of channel {key} what its sums do not give",
                    hint="score the export again with -o",
                )
        return result.channel_sums.table
    direction = result.protocol.directions[0]
    kept = {key: scores for key, scores in result.channels.items() if key.endswith(f"/{direction}") and scores.has_sums}
    kept.pop(f"all/{direction}", None)
    if not kept:
        raise NothingToScoreError(
            f"{result.name} has one channel, and nothing to choose among",
            hint="export the maps of layers and heads one by one, and score all of them",
        )
    names = [key.removesuffix(f"/{direction}") for key in kept]
    first = next(iter(kept.values())).sums
    shared = [n for n in first.columns if all(n in scores.sums.columns for scores in kept.values())]
    columns = {name: np.array([scores.sums.columns[name] for scores in kept.values()]) for name in shared}
    return ChannelTable(names, np.array([place_of(name) for name in names]), first.image_id, {direction: columns})


def _differ(said: Measured, summed: Measured | None) -> bool:
    """Tell whether a result says something else than its sums."""
    if summed is None:
        return False
    if said.value is None or summed.value is None:
        return said.value is not summed.value
    return said.n != summed.n or abs(said.value - summed.value) > TOLERANCE


def place_of(name: str) -> tuple[int, int]:
    """Read layer and head out of a channel's name, -1 where it does not say: `L3H5`, `L3`, `H5`."""
    import re

    parts_of_name = re.fullmatch(r"(?:L(\d{1,9}))?(?:H(\d{1,9}))?", name)
    layer, head = parts_of_name.groups() if parts_of_name else (None, None)
    return (-1 if layer is None else int(layer), -1 if head is None else int(head))


def kept_of_channels(sums: StoredChannels) -> dict[str, dict[str, Measured]]:
    """Compute what a result keeps of each of many channels: values and numbers of items, by key and metric."""
    table = sums.table
    kept: dict[str, dict[str, Measured]] = {}
    for direction, columns in table.columns.items():
        shown = [metric for metric in (*in_table("heads"), metric_named(SPATIAL)) if _has(metric, columns)]
        by_metric = {metric.name: _measured(metric, table, direction) for metric in shown}
        for row, name in enumerate(table.name):
            kept[key_of(name, direction)] = {metric: values[row] for metric, values in by_metric.items()}
    return kept


def _metric_of(name: str, table: ChannelTable, direction: str, result: Result) -> Metric:
    columns = table.columns.get(direction, {})
    able = [metric.name for metric in metrics(*ATTENTION) if _has(metric, columns)]
    metric = find_metric(name)
    if metric is None or metric.name not in able:
        state = "does not exist" if metric is None else f"was not measured of the channels of {result.name}"
        otherwise = f"they have {first_of(able, show=len(able))}"
        hint = suggestion(name, able, otherwise) if metric is None else f"{otherwise}; heads EXPORT -m measures others"
        raise MetricError(f"metric {name!r} {state}", hint=hint)
    return metric


def _has(metric: Metric, columns: Table) -> bool:
    """Tell whether sums of channels are enough for a metric."""
    return metric.resampled and metric.per in columns and columns_used(metric, columns) is not None


def _totals(table: ChannelTable, direction: str) -> Table:
    """f8[A] by column, or f8[1] where all channels have the same."""
    return {name: values.sum(axis=1) for name, values in table.columns[direction].items()}


def _measured(metric: Metric, table: ChannelTable, direction: str) -> list[Measured]:
    """The value of each channel on the images of a table."""
    totals = _totals(table, direction)
    values = np.broadcast_to(metric.value(totals), (len(table.name),)).tolist()
    counts = np.broadcast_to(totals[metric.per], (len(table.name),)).tolist()
    return [Measured(v if math.isfinite(v) else None, round(n)) for v, n in zip(values, counts, strict=True)]


def _order(metric: Metric, measured: Sequence[Measured]) -> list[int]:
    """Rows, the best first; equal values keep the channels' order, undefined ones come last."""
    sign = -1 if metric.higher_is_better else 1
    return sorted(range(len(measured)), key=lambda row: math.inf if (v := measured[row].value) is None else sign * v)


def _intervals(
    shown: Sequence[Metric], table: ChannelTable, direction: str, *, resamples: int, seed: int
) -> dict[str, list[tuple[float, float] | None]]:
    """The 95 % interval of each channel by metric, over the same resamples of images."""
    images, channels = len(table.image_id), len(table.name)
    if images < 2 or resamples < 1:
        return {metric.name: [None] * channels for metric in shown}
    columns = table.columns[direction]
    used = {metric.name: sorted((columns_used(metric, columns) or set()) | {metric.per}) for metric in shown}
    parts: dict[str, list[NDArray[np.float64]]] = {metric.name: [] for metric in shown}
    for repeats in repeats_in_blocks(images, resamples, seed):
        drawn = {name: repeats @ columns[name].T for name in dict.fromkeys(n for names in used.values() for n in names)}
        for metric in shown:
            of_head = metric.value({name: drawn[name] for name in used[metric.name]})
            parts[metric.name].append(np.broadcast_to(of_head, (len(repeats), channels)))
    return {
        name: [percentile_bounds(values) for values in np.concatenate(of_head).T] for name, of_head in parts.items()
    }


def _image_mass(table: ChannelTable, direction: str) -> list[float | None]:
    """The mean mass on the image of each channel's rows; None where it is not known."""
    columns = table.columns[direction]
    if MASS not in columns:
        return [None] * len(table.name)
    total, count = columns[MASS].sum(axis=1), columns[MASS_N].sum(axis=1)
    means: NDArray[np.float64] = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return [value if math.isfinite(value) else None for value in means.tolist()]
