"""One scoring of maps: which images count, what is missing, and the sums of blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import AlignmentError, DataError, NothingToScoreError, first_of
from attneval.evaluation.score_block import BlockScores, Inputs, score_absent, score_blocks, split_blocks
from attneval.groundtruth.index import Cached
from attneval.matching.mismatches import Problems
from attneval.metrics.totals import add_totals
from attneval.results.notes import Note, left_out, scored_zero
from attneval.storage.digests import Hashing, sha256_of_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from attneval.config.options import Options
    from attneval.config.protocol import Protocol
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import Source
    from attneval.metrics.totals import Totals
    from attneval.results.items import ItemTable


@dataclass
class Part:
    """The sums of one channel and direction, block by block.

    Attributes:
        tables: Per-image sums of each block.
        totals: See `attneval.evaluation.sum_items.Scored`.
    """

    tables: list[dict[str, NDArray[np.float64]]] = field(default_factory=list)
    totals: Totals = field(default_factory=dict)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Per-image sums of all images."""
        return {name: np.concatenate([table[name] for table in self.tables]) for name in self.tables[0]}


class Run:
    """One scoring: the inputs named so far, and what has been summed.

    Args:
        protocol: How things are judged.
        options: How the work is done.

    Attributes:
        notes: What a reader of the numbers has to know.
        counts: How many images, captions, phrases, ... there were.
        partial: Whether images were left out only to be done sooner.
        ground_truth: The annotations' format.
        parts: Sums of the maps, by channel and direction.
        image_id: Their images.
        items: Their items one by one, block by block.
    """

    def __init__(self, protocol: Protocol, options: Options) -> None:
        self.protocol, self.options = protocol, options
        self.notes: list[Note] = []
        self.counts: dict[str, int] = {}
        self.partial = False
        self.ground_truth = ""
        self.parts: dict[tuple[int, str], Part] = {}
        self.image_id: list[str] = []
        self.items: list[ItemTable] = []
        self._inputs: list[tuple[str, Path, Hashing | str]] = []

    def input(self, role: str, path: str | Path) -> Path:
        """Note a file that goes into the result, with its digest.

        Raises:
            DataError: There is no such file.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
        self._inputs.append((role, path, self.options.digests.get(path) or Hashing(path)))
        return path

    def begin_hashing(self) -> None:
        """Compute digests beside other work."""
        for _, _, digest in self._inputs:
            if isinstance(digest, Hashing):
                digest.start()

    def inputs(self) -> list[tuple[str, Path, str]]:
        """The role, path and digest of each file."""
        return [(role, path, d if isinstance(d, str) else d.hexdigest()) for role, path, d in self._inputs]

    def attention(self, export: AttentionExport, inputs: Inputs, wanted: list[str] | None) -> Callable[[], None]:
        """Begin to score the maps: other processes, if there are any, are at work when this returns.

        Returns:
            What scores them; it raises as this does.

        Raises:
            AlignmentError: Images, captions or words are missing, and the protocol does not allow for that.
        """
        source = inputs.open_source()
        chosen, lacking = self.images(export, source, inputs.gt, wanted)
        # An index is of the images that are exported; where others are read beside them, none is used.
        if self.options.cache and not lacking:
            source = Cached(source, [export.image_id[i] for i in chosen.tolist()])
        for digest in self.options.digests.values():
            digest.hexdigest()  # a process is best forked while it has no other thread
        pieces, jobs = split_blocks(export, chosen, self.options.jobs)
        blocks = score_blocks(inputs, export, source, pieces, jobs)
        return partial(self._sum, blocks, len(chosen), export=export, source=source, gt=inputs.gt, lacking=lacking)

    def images(
        self, export: AttentionExport, source: Source, gt: Path, wanted: list[str] | None
    ) -> tuple[NDArray[np.int64], list[str]]:
        """Hold the images of an export against annotations and a split.

        Returns:
            The rows of those that count, ascending; and the ids of those that are not there and are scored 0.

        Raises:
            AlignmentError: Images are missing, and the protocol does not allow for that.
        """
        chosen = self.choose(export.image_id, wanted)
        unknown = set(source.missing([export.image_id[i] for i in chosen.tolist()]))
        if unknown:
            self._missing(
                f"{len(unknown)} of {len(chosen)} images of {export.path} are not annotated in {gt} "
                f"(first: {first_of(sorted(unknown))})",
                "image ids are the annotation files' names without suffix, or COCO ids; "
                "pass --split to name the images that count, or --missing skip to leave the others out",
            )
            chosen = chosen[[export.image_id[i] not in unknown for i in chosen.tolist()]]
        lacking = self._lacking(export, wanted)
        strangers = source.missing(lacking)
        if strangers:
            raise AlignmentError(f"{len(strangers)} images of the split are not in {gt} (first: {first_of(strangers)})")
        return chosen, lacking

    def _sum(
        self,
        blocks: Iterable[BlockScores],
        images: int,
        *,
        export: AttentionExport,
        source: Source,
        gt: Path,
        lacking: list[str],
    ) -> None:
        problems = Problems()
        digests: dict[str, bytes] = {}
        done = 0
        for scores in blocks:
            self._add(scores)
            problems.extend(scores.problems)
            digests |= scores.digests
            if isinstance(source, Cached) and scores.truth is not None:
                source.collect(scores.truth)
            done += len(scores.image_id)
            if self.options.progress:
                self.options.progress(done, images)
        if lacking:
            scores = score_absent(export, source, self.protocol, lacking, keep_items=self.options.items)
            self._add(scores)
            digests |= scores.digests
        self.ground_truth = source.format
        self._note_annotations(gt, source, digests)
        self.notes += map(Note, dict.fromkeys(problems.warnings))  # an index tells every block of all of them
        captions = len(export.caption_image)
        self.notes += map(Note, problems.disagreements(export.path, captions))
        for text, hint in problems.missing(export.path, captions, self.counts):
            self._missing(text, hint)

    def choose(self, image_id: list[str], wanted: list[str] | None) -> NDArray[np.int64]:
        """The rows of the images that count, ascending."""
        keep = np.arange(len(image_id))
        if wanted is not None:
            listed = set(wanted)
            keep = np.array([i for i, name in enumerate(image_id) if name in listed], np.int64)
            if not len(keep):
                raise NothingToScoreError(
                    f"none of the {len(wanted)} images of the split are among the {len(image_id)}"
                )
        if self.options.limit is not None and self.options.limit < len(keep):
            keep = keep[: self.options.limit]
            self.partial = True
        return keep

    def _lacking(self, export: AttentionExport, wanted: list[str] | None) -> list[str]:
        """The images of a split that the export does not have and that are to be scored 0."""
        if wanted is None or self.partial:
            return []
        exported = set(export.image_id)
        lacking = [image_id for image_id in wanted if image_id not in exported]
        if lacking:
            self._missing(
                f"{len(lacking)} of {len(wanted)} images of the split are not in {export.path} "
                f"(first: {first_of(lacking)})",
                "pass --missing skip to leave them out, or --missing zero to score them 0",
            )
        return lacking if self.protocol.missing == "zero" else []

    def _missing(self, text: str, hint: str) -> None:
        if self.protocol.missing == "error":
            raise AlignmentError(text, hint=hint)
        self.notes.append(left_out(text) if self.protocol.missing == "skip" else scored_zero(text))

    def _add(self, scores: BlockScores) -> None:
        self.image_id += scores.image_id
        self.items += [] if scores.items is None else [scores.items]
        for key, scored in scores.scored.items():
            part = self.parts.setdefault(key, Part())
            part.tables.append(scored.per_image)
            part.totals = add_totals(part.totals, scored.totals)
        for name, count in scores.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count

    def _note_annotations(self, gt: Path, source: object, digests: dict[str, bytes]) -> None:
        if gt.is_file():
            self._inputs.append(("gt", gt, Hashing(gt)))
        else:
            sha256 = source.sha256(digests) if isinstance(source, Cached) else sha256_of_many(digests)
            self._inputs.append(("gt", gt, sha256))
        if isinstance(source, Cached):
            source.save(sha256_of_many(digests))
