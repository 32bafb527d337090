"""The columns of a block of images: read, checked, aligned, and ready to be judged."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import Sets
from attneval.arrays.ragged import distinct_values, offsets_of, ranges
from attneval.errors import ExportError, ProtocolError
from attneval.export.checks import check_boxes, check_maps, check_spans
from attneval.export.problems import Report
from attneval.geometry.boxes import areas
from attneval.geometry.overlap import relevant_regions
from attneval.matching.alignment import ABSENT, align
from attneval.matching.items import Items, region_items, word_items
from attneval.matching.mismatches import Problems
from attneval.matching.phrases import Mentions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.export.read.content import AttentionExport, MapBlock
    from attneval.groundtruth import GroundTruth

CENTER_ROUNDING = 1e-6
"""Regions whose distance from the centre differs by less than this share of the image's diagonal are equally near."""
MEAN = -1
"""In place of a channel: the mean of all channels' maps."""


class Block:
    """The columns of a block of images: annotations, tokens aligned with them, and the regions that count.

    Args:
        export: The export.
        truth: The annotations of the images.
        protocol: The protocol.
        images: i8[k], the images' rows in the export, ascending.
        rows: i8[c], their captions' rows in the export.
    """

    def __init__(
        self,
        export: AttentionExport,
        truth: GroundTruth,
        protocol: Protocol,
        images: NDArray[np.int64],
        rows: NDArray[np.int64],
    ) -> None:
        self.export, self.truth, self.protocol, self.rows = export, truth, protocol, rows
        report = Report(export.path)
        self._read_regions(report, images)
        self.tokens = export.tokens(rows)
        check_spans(report, export, rows, self.tokens)
        report.stop_if_broken()
        self.image = np.searchsorted(images, export.caption_image[rows])
        self.alignment = align(truth, self.tokens, self.image, export.caption_index[rows])
        self.mentions = Mentions.of(truth, self.alignment, protocol.min_area)

    def _read_regions(self, report: Report, images: NDArray[np.int64]) -> None:
        size, regions = self.truth.image_size, self.export.regions
        if self.export.image_size is not None:
            theirs = self.export.image_size[images]

            def name(row: int) -> str:
                return f"{self.truth.image_id[row]} {theirs[row].tolist()}, annotated {size[row].tolist()}"

            report.rows("image_size", np.any(theirs != size, axis=1), "is not the annotated width and height", name)
            report.stop_if_broken()
        if not regions.known:
            raise ExportError(
                f"{self.export.path} has no region boxes",
                hint="pass them with --boxes (bottom-up TSV, .npz or .npy), or export region_box or a grid",
            )
        self.stored = regions.offset[images + 1] - regions.offset[images]
        box, offset = regions.boxes(images, size), offsets_of(self.stored)
        check_boxes(report, self.export.image_names(images), offset, box, size, member=regions.member)
        report.stop_if_broken()
        # Regions without an area are padding; the others are the keys, counted within their image.
        real = np.flatnonzero(areas(box) > 0)
        self.region_offset = np.searchsorted(real, offset)
        self.region_count = np.diff(self.region_offset)
        self.column = real - np.repeat(offset[:-1], self.region_count)
        self.padded = len(real) < len(box)
        self.box = box[real]

    def items(self, direction: str) -> Items:
        """The items of a direction."""
        entity_image = np.repeat(np.arange(len(self.truth.image_id)), np.diff(self.truth.entity_offset))
        find = partial(
            relevant_regions, self.truth.box, self.truth.box_offset, self.box, self.region_offset, entity_image
        )
        protocol = self.protocol
        relevant = find(overlap=protocol.overlap, boxes=protocol.boxes, threshold=protocol.iou)
        if direction == "i2t":
            keys = self._keys()
            key_of_token = np.zeros(len(self.tokens.span), np.int64)
            key_of_token[keys] = np.arange(len(keys)) - self._key_offset()[self._caption_of_token()[keys]]
            count = np.append(np.diff(self._key_offset()), 0)[self.alignment.row]
            return region_items(
                self.truth,
                self.alignment,
                self.mentions,
                covering=relevant,
                key_count=count,
                key_of_token=key_of_token,
            )
        pointing = relevant
        if protocol.pointing == "center":
            pointing = find(overlap="center", boxes=protocol.boxes, threshold=1.0)
        return word_items(
            self.truth,
            self.alignment,
            self.mentions,
            sets={"relevant": relevant, "pointing": pointing},
            region_count=self.region_count,
            protocol=protocol,
        )

    def maps(self, direction: str) -> MapBlock:
        """The weights of the block's captions, checked.

        Raises:
            ExportError: They break the format, or the export has none in this direction.
        """
        maps, header = self.export.maps, self.export.header
        name = direction
        if direction not in maps:
            # Scores of pairs have no direction, and weights over tokens are region-to-word weights.
            undirected = header.kind != "attention" and header.normalised_over == "none"
            if header.normalised_over != "tokens" and not undirected:
                raise ExportError(
                    f"{self.export.path} has no region-to-word maps",
                    hint="direction i2t needs attention_i2t (attn_i2t), or weights normalised over tokens",
                )
            name = "t2i"
        block = maps[name].take(self.rows)
        report = Report(self.export.path)
        check_maps(report, self.export, name, self.rows, block)
        report.stop_if_broken()
        return block

    def weights(
        self, items: Items, maps: MapBlock, direction: str, channel: int, chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The rows of weights f8[m, n] of some items with equally many keys, tokens pooled.

        Raises:
            ProtocolError: Weights are negative and the protocol does not make them positive.
        """
        channels = range(len(self.export.channel)) if channel == MEAN else [channel]
        read = self._word_rows if direction == "t2i" else self._region_rows
        weights = read(items, maps, channels, chosen)
        if self.protocol.normalize in {"sum", "none"} and weights.min(initial=0) < 0:
            row = int(chosen[np.argmax(weights.min(axis=1) < 0)])
            raise ProtocolError(
                f"{self.export.path}: caption {self._caption_name(int(items.caption[row]))} has negative weights, "
                f"which normalize={self.protocol.normalize} cannot read as attention",
                hint="pass --normalize softmax or --normalize minmax",
            )
        return weights

    def _word_rows(
        self, items: Items, maps: MapBlock, channels: Sequence[int], chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        count = np.diff(items.entry_offset)[chosen]
        entry = ranges(items.entry_offset[chosen], count)
        if self.protocol.pool == "last":
            entry, count = entry[np.cumsum(count) - 1], np.ones_like(count)
        token = items.entry[entry]
        caption = self._caption_of_token()[token]
        image, n = np.repeat(items.image[chosen], count), int(items.key_count[chosen[0]])
        starts = (self._row_start(maps, a, caption, token - self.tokens.offset[caption]) for a in channels)
        # The mean map over channels is what is judged. Its sum is divided last, and once: rounding before would break
        # ties.
        rows = _total([self._gather(maps, start, image, n) for start in starts])
        divisor = len(channels) * items.divisor[chosen]
        if len(rows) > len(chosen):
            first = offsets_of(count)[:-1]
            if self.protocol.pool == "max":
                rows = np.maximum.reduceat(rows, first)
            else:
                rows *= items.share[entry][:, None]
                rows = np.add.reduceat(rows, first)
        return rows if (divisor == 1).all() else rows / divisor[:, None]

    def _region_rows(
        self, items: Items, maps: MapBlock, channels: Sequence[int], chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        n = int(items.key_count[chosen[0]])
        row = self.alignment.row[items.caption[chosen]]
        token = self._keys()[self._key_offset()[row][:, None] + np.arange(n)]
        starts = (self._row_start(maps, a, row[:, None], token - self.tokens.offset[row][:, None]) for a in channels)
        region = items.entry[items.entry_offset[chosen]]
        column = self.column[self.region_offset[items.image[chosen]] + region]
        rows = _total([np.asarray(maps.flat[start + column[:, None]], np.float64) for start in starts])
        return rows if len(channels) == 1 else rows / len(channels)

    def _row_start(
        self, maps: MapBlock, channel: int, row: NDArray[np.int64], token: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Where the weights of a token start, for rows of the block's captions and tokens counted within them."""
        tokens = np.diff(self.tokens.offset)[row]
        return np.asarray(maps.start[row] + (channel * tokens + token) * self.stored[self.image[row]])

    def _gather(
        self, maps: MapBlock, start: NDArray[np.int64], image: NDArray[np.int64], n: int
    ) -> NDArray[np.float64]:
        """The weights f8[m, n] of the real regions in rows that start somewhere."""
        flat = maps.flat
        if not self.padded and len(flat) % n == 0 and not (start % n).any():
            return np.asarray(flat.reshape(-1, n)[start // n], np.float64)
        column = self.column[self.region_offset[image][:, None] + np.arange(n)]
        return np.asarray(flat[start[:, None] + column], np.float64)

    def _caption_of_token(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.rows)), np.diff(self.tokens.offset))

    def _keys(self) -> NDArray[np.int64]:
        """The tokens that are keys in direction i2t: all but special ones."""
        return np.flatnonzero((self.tokens.span[:, 1] > self.tokens.span[:, 0]) | self.tokens.unknown)

    def _key_offset(self) -> NDArray[np.int64]:
        return np.searchsorted(self._keys(), self.tokens.offset)

    def center(self) -> Sets:
        """For each image, the regions whose centre is nearest the image's."""
        image = np.repeat(np.arange(len(self.region_count)), self.region_count)
        size = self.truth.image_size[image]
        off = (self.box[:, :2] + self.box[:, 2:] - size) / 2
        distance = np.hypot(off[:, 0], off[:, 1]) / np.hypot(size[:, 0], size[:, 1])
        nearest = np.full(len(self.region_count), np.inf)
        np.minimum.at(nearest, image, distance)
        chosen = np.flatnonzero(distance <= nearest[image] + CENTER_ROUNDING)
        offset = np.searchsorted(chosen, self.region_offset)
        return Sets(offset, chosen - self.region_offset[image[chosen]])

    def counts(self) -> dict[str, int]:
        """How much there was of everything."""
        scored = distinct_values(self.mentions.caption)
        return {
            "images": len(self.truth.image_id),
            "captions": int((self.alignment.row[scored] != ABSENT).sum()),
            "phrases": len(self.mentions.phrase),
            "phrases_without_box": int((self.truth.phrase_entity < 0).sum()),
            "words": len(self.mentions.word),
            "regions": int(self.region_count.sum()),
        }

    def problems(self) -> Problems:
        """What could not be aligned, by name."""
        scored = distinct_values(self.mentions.caption)
        absent = scored[self.alignment.row[scored] == ABSENT]
        claimed = {self.export.caption_name(int(self.rows[row])) for row in self.alignment.unaligned}
        mention_caption = np.repeat(self.mentions.caption, np.diff(self.mentions.word_offset))
        tokens = np.diff(self.alignment.token_offset)[self.mentions.word]
        wordless = (tokens == 0) & (self.alignment.row[mention_caption] != ABSENT)
        return Problems(
            absent=[name for c in absent.tolist() if (name := self._caption_name(c)) not in claimed],
            unaligned=[self._unaligned_name(row) for row in self.alignment.unaligned],
            disagreeing=[self.export.caption_name(int(self.rows[row])) for row in self.alignment.disagreeing],
            wordless=[
                f"{self._caption_name(int(c))} {self._word(int(c), int(w))!r}"
                for c, w in zip(mention_caption[wordless], self.mentions.word[wordless], strict=True)
            ],
            warnings=list(self.truth.warnings),
        )

    def _word(self, caption: int, word: int) -> str:
        start, stop = self.alignment.words.span[word].tolist()
        return self.truth.text[caption][start:stop]

    def _caption_name(self, caption: int) -> str:
        image = int(np.searchsorted(self.truth.caption_offset, caption, side="right")) - 1
        return self.truth.caption_name(image, caption)

    def _unaligned_name(self, row: int) -> str:
        text = self.tokens.text[row]
        spans = self.tokens.span[self.tokens.offset[row] : self.tokens.offset[row + 1]].tolist()
        words = " ".join(text[start:stop] for start, stop in spans if start >= 0)
        return f"{self.export.caption_name(int(self.rows[row]))} reads {words[:40]!r}"


def _total(channels: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return channels[0] if len(channels) == 1 else np.asarray(np.sum(channels, axis=0))
