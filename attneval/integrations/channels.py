"""Attention scored in a loop, all layers and heads of a model together, without a map being written.

A batch is scored by the code that scores a file: tokens are aligned, regions held against annotations and items made on
the host; the weights stay on the device that they were captured on, and a few numbers of each row come back. States are
whole numbers that add up exactly, so that batches, their order and processes change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torchmetrics.utilities.distributed import gather_all_tensors

from attneval.errors import ExportError, ProtocolError
from attneval.evaluation.caption_block import read_captions
from attneval.evaluation.channel_passes import columns_in_passes, in_passes
from attneval.evaluation.constant_attention import constant_columns
from attneval.evaluation.direction_items import direction_items, direction_sets
from attneval.evaluation.plan_blocks import Block
from attneval.evaluation.settle_overlap import settle_overlap
from attneval.evaluation.stated import as_stated
from attneval.evaluation.sum_channels import counts_of_items, groups_of_channels, needed_columns
from attneval.evaluation.weight_reader import MEAN
from attneval.integrations.annotations import refuse_mismatches, refuse_unknown_images, source_of
from attneval.integrations.captured_batches import CapturedBatch, named_captions, regions_of, token_counts
from attneval.integrations.captured_maps import CapturedMaps, DevicePasses, layers_of, refuse_unfit
from attneval.integrations.running_sums import RunningSums
from attneval.matching.mismatches import find_mismatches
from attneval.matching.phrases import ScoredPhrases
from attneval.metrics.floors import UNIFORM, floor_column
from attneval.metrics.populations import POPULATIONS, REACHED
from attneval.metrics.registry import RANKED_BY, in_table, metric_named
from attneval.metrics.totals import UNIT, in_units
from attneval.statistics.halves import EVEN, HALVES, ODD, in_half

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.groundtruth.annotation_files import GivenFiles
    from attneval.matching.items import Items

COVERAGE = "coverage"
"""The metric that stands beside those of heads: without it no other number can be read."""
ATTENTION = {"kind": "attention", "normalised_over": "regions"}
"""What maps are unless something else is said."""
DTYPES = {"float16": torch.float16, "float32": torch.float32, None: None}


class AttentionChannels(RunningSums):
    """Attention of every layer and head alone, of their mean, and of the best one.

    The sums are int64[2, 1 + A, columns]: by half of the images, of the mean map and each channel.

    `compute` gives a dictionary. Plain names (`f1`, `f1_lift`, `pointing`, ...) are those of the mean of all maps, as
    `attneval score` has them; under `channels/` each name has float64[A], the channels in the order they were given in,
    as `attneval heads` has them; under `best/` stands the channel that is best on one half of the images, as it scores
    on the other half, with its `layer` and `head`.

    Args:
        gt: The annotations, as for `attneval score --gt`.
        protocol: How attention is judged, in direction `t2i`; its threshold must look at weights one by one (`uniform`,
            `abs`).
        gt_format: The format of the annotations, `auto` to look.
        metric: What the best channel is chosen by.
        settings: Of `torchmetrics.Metric`.

    Raises:
        ProtocolError: The protocol cannot be followed batch by batch, or asks for ranked rows.
    """

    layer_and_head: torch.Tensor
    """int64[A, 2], -1 where reduced over."""

    def __init__(
        self,
        gt: GivenFiles,
        protocol: Protocol | None = None,
        *,
        gt_format: str = "auto",
        metric: str = RANKED_BY,
        **settings: Any,
    ) -> None:
        super().__init__(gt, protocol, gt_format, **settings)
        self.metrics = tuple(dict.fromkeys((*(m.name for m in in_table("heads")), COVERAGE)))
        self.ranked_by = metric_named(metric).name
        if self.ranked_by not in self.metrics:
            raise ProtocolError(
                f"channels are not ranked by {metric} in a loop", hint=f"use one of {', '.join(self.metrics)}"
            )
        specs, self._floors = needed_columns(self.metrics)
        _refuse_unable(self.protocol, list(specs))
        self._overlap: str | None = None
        shared = (*POPULATIONS, REACHED, *(floor_column(UNIFORM, name) for name in self._floors))
        self._columns = (*specs, *shared)
        self.start_from_zero((2, 1, len(self._columns)), self.protocol)
        self.add_state("layer_and_head", torch.zeros(0, 2, dtype=torch.int64), dist_reduce_fx="max")

    def update(
        self,
        attention: Mapping[int, torch.Tensor] | torch.Tensor,
        tokens: Sequence[Any],
        caption_ids: Sequence[str],
        regions: Any,
        *,
        texts: Sequence[str] | None = None,
        channels: Sequence[tuple[int, int]] | None = None,
        header: Mapping[str, Any] | None = None,
        dtype: str | None = "float16",
    ) -> None:
        """Judge the maps of a batch where they are.

        Args:
            attention: What `capture` gives: float[B, H, T, R] by layer; or float[B, A, T, R], all channels together.
                Row t of a caption is that of its token t, columns are its regions.
            tokens: Per caption the texts of its tokens, or their spans i[T, 2] in its text, special tokens (-1, -1);
                what `hf` calls `Tokens` is as good.
            caption_ids: `<image id>#<k>` for the image's caption k, or `<image id>` to find it by its text.
            regions: The regions of the image in pixels of the original: a grid with `rows`, `cols` and `affine`, a
                sequence of grids, or boxes float[R, 4], x1, y1, x2, y2; for captions of several images a sequence of
                these, one for each caption, or boxes float[B, R, 4].
            texts: The captions, where tokens are spans.
            channels: (layer, head) of each channel, where `attention` is no mapping.
            header: What a file would say of the maps, `kind` and `normalised_over` at least; attention, normalised
                over regions, by default. Under `regions` rows are divided by their sums here, as they are when they
                are written, and a row without any is undefined.
            dtype: The type in which a file would hold the weights, `float16` as `attneval export` writes attention,
                `float32`, or None to leave them as they are.

        Raises:
            AttnevalError: The batch breaks the export format, or does not fit the annotations.
        """
        if not len(caption_ids):
            return
        if dtype not in DTYPES:
            raise ExportError(f"dtype {dtype!r} is not written", hint="use float16, float32 or None")
        described = {**ATTENTION, **(header or {})}
        layers, places = layers_of(attention, channels)
        normalised = described["normalised_over"] == "regions"
        refuse_unfit(layers, token_counts(tokens), described["kind"])
        maps = CapturedMaps(layers, normalised, DTYPES[dtype])
        batch = CapturedBatch(
            list(caption_ids),
            list(tokens),
            texts,
            regions_of(regions, [image for image, _ in named_captions(caption_ids)]),
            places,
            described,
            maps.masses() if normalised else None,
        )
        self._grow(len(places))
        if self.layer_and_head.tolist() != [list(place) for place in places]:
            if int(self.sums.abs().max()) > 0:
                raise ExportError("the channels of this batch are not those of the batches before")
            self.layer_and_head = torch.tensor(places, dtype=torch.int64, device=self.sums.device).reshape(-1, 2)
        self.add(self._summed(maps, batch))

    def compute(self) -> dict[str, torch.Tensor]:
        """The values over everything seen so far, NaN before there is an item; see the class."""
        sums = self.sums.cpu().numpy().astype(np.float64) / UNIT
        whole = self._values(sums.sum(axis=0))
        values = {name: of_all[0] for name, of_all in whole.items()}
        if len(self.layer_and_head) > 1:
            even, odd = (self._values(sums[HALVES.index(half), 1:]) for half in (EVEN, ODD))
            sign = 1 if metric_named(self.ranked_by).higher_is_better else -1
            best = int(np.argmax(np.nan_to_num(sign * even[self.ranked_by], nan=-np.inf)))
            values |= {f"best/{name}": of_all[best] for name, of_all in odd.items()}
            layer, head = self.layer_and_head[best].tolist()
            values |= {"best/layer": np.float64(layer), "best/head": np.float64(head)}
            values |= {f"channels/{name}": of_all[1:] for name, of_all in whole.items()}
        return {name: torch.as_tensor(value, device=self.sums.device) for name, value in values.items()}

    def _values(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The metrics f8[k] of sums f8[k, columns]."""
        table = {name: sums[:, place] for place, name in enumerate(self._columns)}
        return {name: np.broadcast_to(metric_named(name).value(table), len(sums)).copy() for name in self.metrics}

    def _grow(self, channels: int) -> None:
        """Make room for channels, once it is known how many there are."""
        if len(self.layer_and_head) or not channels:
            return
        # The mean map stands before the channels.
        self.resize((2, 1 + channels, len(self._columns)))
        self.layer_and_head = torch.full((channels, 2), -1, dtype=torch.int64, device=self.sums.device)

    def _sync_dist(self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any | None = None) -> None:
        """Let a process that has seen no batch have as many channels as the others, so that states can be added."""
        gather = dist_sync_fn or gather_all_tensors
        here = torch.tensor(len(self.layer_and_head), device=self.sums.device)
        self._grow(max(map(int, gather(here, group=process_group or self.process_group))))
        super()._sync_dist(gather, process_group)

    def _summed(self, maps: CapturedMaps, batch: CapturedBatch) -> NDArray[np.int64]:
        """i8[2, 1 + A, columns], what the items of a batch add to the sums."""
        source = source_of(self._gt, self.protocol)
        refuse_unknown_images(source, batch.image_ids, self._gt)
        image_size = source.read(batch.image_ids).image_size
        opened = batch.opened(image_size, int(maps.layers[0].shape[-1]))
        stated, export = as_stated(self.protocol, opened)
        assert export is not None  # noqa: S101 - for the type checker
        protocol = self._settled(settle_overlap(stated, export))
        order = np.argsort(export.caption_image, kind="stable")
        block = Block(np.arange(len(export.image_id)), order)
        captions = read_captions(block, export, source, protocol)
        phrases = ScoredPhrases.from_annotations(captions.truth, captions.alignment, protocol.min_area)
        mismatches = find_mismatches(
            export,
            block.captions,
            tokens=captions.tokens,
            truth=captions.truth,
            alignment=captions.alignment,
            phrases=phrases,
        )
        refuse_mismatches(mismatches, protocol)
        sets, specs = direction_sets("t2i", captions, protocol), needed_columns(self.metrics)[0]
        even = np.asarray(in_half(captions.truth.image_id, EVEN))
        units = np.zeros((2, 1 + maps.channels, len(self._columns)), np.int64)

        def items_of(channel: int) -> Items:
            return direction_items("t2i", captions, phrases, sets, protocol, channel=channel)

        floors = constant_columns(items_of(MEAN), specs, protocol, center=None)
        for items, chosen, mean in _groups(captions, items_of):
            passes = DevicePasses(maps, captions, items, protocol, mean=mean)
            counts = counts_of_items(items, protocol)
            row = np.zeros(1, np.int64) if mean else 1 + chosen
            for chunk, scores in in_passes(passes, items, chosen):
                of_chunk = even[items.image[chunk]]
                for name, spec in specs.items():
                    times = counts[spec.over][chunk, None]
                    _add_halves(units, row, self._columns.index(name), scores[name] * times, of_chunk)
            shared = counts | {
                floor_column(UNIFORM, name): floors[name][items.target] * counts[specs[name].over]
                for name in self._floors
            }
            of_items = even[items.image]
            for name, values in shared.items():
                _add_halves(units, row, self._columns.index(name), values[:, None], of_items)
        return units

    def _settled(self, protocol: Protocol) -> Protocol:
        """The protocol of a batch, whose overlap must be that of the batches before."""
        if self._overlap not in {None, protocol.overlap}:
            raise ProtocolError(
                f"the regions of this batch call for overlap {protocol.overlap}, those before for {self._overlap}",
                hint="choose one: Protocol(overlap='iof') for cells, 'iou' for boxes",
            )
        self._overlap = protocol.overlap
        return protocol


def logged(values: Mapping[str, torch.Tensor], prefix: str = "attention/") -> dict[str, float]:
    """Choose what loggers take: numbers by name, each behind a prefix; what each channel scores is left out.

    Args:
        values: float64[] or float64[A] by name, as `AttentionChannels.compute` gives them.
        prefix: What stands before each name.
    """
    return {f"{prefix}{name}": float(value) for name, value in values.items() if value.ndim == 0}


def _refuse_unable(protocol: Protocol, names: list[str]) -> None:
    """Refuse a protocol that cannot be followed without ranking rows.

    Raises:
        ProtocolError: It is such a one.
    """
    if columns_in_passes(names, protocol.directions[0], protocol) != names or len(protocol.directions) > 1:
        raise ProtocolError(
            f"direction {protocol.direction}, threshold {protocol.threshold} and pointing {protocol.pointing} cannot "
            "be scored of all channels together",
            hint="use direction t2i, threshold uniform or abs:t and pointing region or center, or write an export",
        )


def _groups(
    captions: CaptionBlock, items_of: Callable[[int], Items]
) -> Iterator[tuple[Items, NDArray[np.int64], bool]]:
    """The mean of all channels, then channels with the same items.

    Yields:
        The items, the channels i8[a], and whether it is the mean.
    """
    yield items_of(MEAN), np.zeros(1, np.int64), True
    for group in groups_of_channels(captions):
        yield items_of(int(group[0])), group, False


def _add_halves(
    units: NDArray[np.int64], row: NDArray[np.int64], column: int, values: NDArray[np.float64], even: NDArray[np.bool_]
) -> None:
    """Add numbers f8[m, a] or f8[m, 1] of items to some rows of the sums, by the half that their images are in."""
    exact = in_units(values)
    for half, chosen in zip(HALVES, (even, ~even), strict=True):
        units[HALVES.index(half), row, column] += exact[chosen].sum(axis=0)
