"""One scoring: which images count, what is missing, and how the sums of blocks become a result."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attneval.block import MEAN
from attneval.blocks import BlockScores, Inputs, score_absent, score_blocks, split_blocks
from attneval.cache import Cached
from attneval.errors import AlignmentError, DataError, ExportError, NothingToScoreError, first_of
from attneval.files import Hashing, sha256_of_many
from attneval.metrics.retrieval import NonFiniteScoreError, retrieval_columns, retrieval_ranks
from attneval.problems import Problems
from attneval.result import Input, Result
from attneval.scores import Scores, add_totals, summarise
from attneval.stats import RESAMPLES, SEED, ImageSums, RankTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from attneval.export.content import AttentionExport
    from attneval.export.similarity import Similarity
    from attneval.itemfile import ItemTable
    from attneval.protocol import Protocol
    from attneval.scoring import Totals

    Progress = Callable[[int, int], None]
    """Called with how many of how many images are done."""

LEFT_OUT = ": left out"


@dataclass(frozen=True)
class Options:
    """What does not change a number but how it is computed and told.

    Attributes:
        resamples: Bootstrap resamples behind each interval; 0 for none.
        seed: Of the resamples.
        limit: Score only the first so many images; the result is marked partial.
        name: How the system is called; the export's file name without suffix by default.
        items: Also look at items one by one, for `attneval inspect`.
        jobs: How many processes share the images; the result is the same to the last bit.
        cache: Whether to keep and use an index of parsed annotations.
        progress: Told how many images are done.
    """

    resamples: int = RESAMPLES
    seed: int = SEED
    limit: int | None = None
    name: str | None = None
    items: bool = False
    jobs: int = 1
    cache: bool = True
    progress: Progress | None = None


@dataclass
class _Part:
    """The sums of one channel and direction, block by block."""

    tables: list[dict[str, NDArray[np.float64]]] = field(default_factory=list)
    totals: Totals = field(default_factory=dict)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        return {name: np.concatenate([table[name] for table in self.tables]) for name in self.tables[0]}


class Run:
    """One scoring: the inputs named so far, and what has been summed.

    Args:
        protocol: How things are judged.
        options: How the work is done.
    """

    def __init__(self, protocol: Protocol, options: Options) -> None:
        self.protocol, self.options = protocol, options
        self.notes: list[str] = []
        self._inputs: list[tuple[str, Path, Hashing | str]] = []
        self._counts: dict[str, int] = {}
        self._partial = False
        self._ground_truth = ""
        self._parts: dict[tuple[int, str], _Part] = {}
        self._image_id: list[str] = []
        self._items: list[ItemTable] = []
        self._retrieval: tuple[list[str], dict[str, NDArray[np.float64]], dict[str, RankTable]] | None = None

    def input(self, role: str, path: str | Path) -> Path:
        """Note a file that goes into the result; its digest is computed beside other work.

        Raises:
            DataError: There is no such file.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
        self._inputs.append((role, path, Hashing(path)))
        return path

    def attention(self, export: AttentionExport, inputs: Inputs, wanted: list[str] | None) -> None:
        """Score the maps.

        Raises:
            AlignmentError: Images, captions or words are missing, and the protocol does not allow for that.
        """
        chosen = self._choose(export.image_id, wanted)
        source = inputs.open_source()
        unknown = set(source.missing([export.image_id[i] for i in chosen.tolist()]))
        if unknown:
            self._missing(
                f"{len(unknown)} of {len(chosen)} images of {export.path} are not annotated in {inputs.gt} "
                f"(first: {first_of(sorted(unknown))})",
                "image ids are the annotation files' names without suffix, or COCO ids; "
                "pass --split to name the images that count, or --missing skip to leave the others out",
            )
            chosen = chosen[[export.image_id[i] not in unknown for i in chosen.tolist()]]
        lacking = self._lacking(export, wanted)
        strangers = source.missing(lacking)
        if strangers:
            raise AlignmentError(
                f"{len(strangers)} images of the split are not in {inputs.gt} (first: {first_of(strangers)})"
            )
        if self.options.cache:
            source = Cached(source, [export.image_id[i] for i in chosen.tolist()])
        problems = Problems()
        digests: dict[str, bytes] = {}
        done = 0
        if self.options.jobs > 1:
            self._finish_hashing()  # a process is best forked while it has no other thread
        pieces = split_blocks(export, chosen, self.options.jobs)
        for piece, scores in zip(pieces, score_blocks(inputs, export, source, pieces, self.options.jobs), strict=True):
            self._add(scores)
            problems.extend(scores.problems)
            digests |= scores.truth.digests
            if isinstance(source, Cached):
                source.collect(scores.truth)
            done += len(piece[0])
            if self.options.progress:
                self.options.progress(done, len(chosen))
        if lacking:
            scores = score_absent(source, self.protocol, lacking, keep_items=self.options.items)
            self._add(scores)
            digests |= scores.truth.digests
        self._ground_truth = source.format
        self._note_annotations(inputs.gt, source, digests)
        self.notes += problems.warnings
        captions = len(export.caption_image)
        self.notes += problems.disagreements(export.path, captions)
        for text, hint in problems.missing(export.path, captions, self._counts):
            self._missing(text, hint)

    def _choose(self, image_id: list[str], wanted: list[str] | None) -> NDArray[np.int64]:
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
            self._partial = True
        return keep

    def _lacking(self, export: AttentionExport, wanted: list[str] | None) -> list[str]:
        """The images of a split that the export does not have and that are to be scored 0."""
        if wanted is None or self._partial:
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
        self.notes.append(text + (LEFT_OUT if self.protocol.missing == "skip" else ": scored 0"))

    def _add(self, scores: BlockScores) -> None:
        self._image_id += scores.truth.image_id
        self._items += [] if scores.items is None else [scores.items]
        for key, scored in scores.scored.items():
            part = self._parts.setdefault(key, _Part())
            part.tables.append(scored.per_image)
            part.totals = add_totals(part.totals, scored.totals)
        for name, count in scores.counts.items():
            self._counts[name] = self._counts.get(name, 0) + count

    def _note_annotations(self, gt: Path, source: object, digests: dict[str, bytes]) -> None:
        if gt.is_file():
            self._inputs.append(("gt", gt, Hashing(gt)))
        else:
            sha256 = source.sha256(digests) if isinstance(source, Cached) else sha256_of_many(digests)
            self._inputs.append(("gt", gt, sha256))
        if isinstance(source, Cached):
            source.save(sha256_of_many(digests))

    def retrieval(self, scores: Similarity, wanted: list[str] | None) -> None:
        """Rank by similarity.

        Raises:
            ExportError: A score is not finite, or the images do not divide into the folds.
        """
        keep = self._choose(scores.image_id, wanted)
        chosen = scores.of_images(keep)
        try:
            ranks = retrieval_ranks(
                chosen.matrix, chosen.caption_image, ties=self.protocol.ties, folds=self.protocol.folds
            )
        except NonFiniteScoreError as error:
            # Where it is in the file, not among what was chosen of it.
            image, caption = int(keep[error.image]), int(scores.captions_of(keep)[error.caption])
            raise ExportError(f"similarity: {NonFiniteScoreError(image, caption, error.value)}") from error
        except ValueError as error:
            raise ExportError(f"similarity: {error}") from error
        columns = retrieval_columns(ranks, len(chosen.image_id))
        tables = {name: RankTable(r.image, r.rank(), r.fold) for name, r in ranks.items()}
        self._retrieval = (chosen.image_id, columns, tables)
        self._counts |= {"retrieval_images": len(chosen.image_id), "retrieval_captions": len(chosen.caption_image)}

    def result(self, export: AttentionExport | None, default_name: str) -> Result:
        """Put everything together.

        Raises:
            NothingToScoreError: There is nothing to put together.
        """
        headline = self._parts.get((MEAN, self.protocol.directions[0]))
        if headline is not None and not sum(table["items"].sum() for table in headline.tables):
            raise NothingToScoreError("no annotated phrase with a box has attention", hint="check the image ids")
        if headline is None and self._retrieval is None:
            raise NothingToScoreError(f"there is nothing to score: {'; '.join(self.notes)}")
        if self._partial:
            self.notes.append(f"PARTIAL: only the first {self.options.limit} images were scored")
        scores = self._scores(headline, with_retrieval=True)
        channels = {}
        if len(self._parts) > 1:
            channels = {
                _channel_name(export, *key): self._scores(part, with_retrieval=False)
                for key, part in self._parts.items()
            }
        if headline is not None:
            items = {k: int(scores.sums.columns[k].sum()) for k in ("items", "reached")}
            self._counts |= {"items": items["items"], "unreachable": items["items"] - items["reached"]}
        return Result(
            name=self.options.name or default_name,
            protocol=self.protocol,
            scores=scores,
            counts=self._counts,
            channels=channels,
            inputs=self._finish_hashing(),
            model=export.header.about if export is not None else {},
            notes=self.notes,
            partial=self._partial,
            ground_truth=self._ground_truth,
            resamples=self.options.resamples,
            seed=self.options.seed,
            items=self._joined_items(),
        )

    def _joined_items(self) -> ItemTable | None:
        if not self._items:
            return None
        from attneval.itemfile import ItemTable

        return ItemTable.joined(self._items)

    def _finish_hashing(self) -> list[Input]:
        done = ((role, path, d if isinstance(d, str) else d.hexdigest()) for role, path, d in self._inputs)
        return [Input(role, str(path), digest) for role, path, digest in done]

    def _scores(self, part: _Part | None, *, with_retrieval: bool) -> Scores:
        """Scores from the sums of a part, the images in the order of their ids."""
        retrieval = self._retrieval if with_retrieval else None
        image_id = sorted({*(self._image_id if part else ()), *(retrieval[0] if retrieval else ())})
        row = {name: i for i, name in enumerate(image_id)}
        columns: dict[str, NDArray[np.float64]] = {}
        ranks: dict[str, RankTable] = {}
        sources = [(self._image_id, part.columns())] if part else []
        if retrieval:
            sources.append(retrieval[:2])
        for names, table in sources:
            place = np.array([row[name] for name in names], np.int64)
            for column, values in table.items():
                columns[column] = np.zeros(len(image_id))
                columns[column][place] = values
        if retrieval:
            place = np.array([row[name] for name in retrieval[0]], np.int64)
            ranks = {d: dataclasses.replace(table, image=place[table.image]) for d, table in retrieval[2].items()}
        return summarise(
            ImageSums(image_id, columns, ranks),
            part.totals if part else {},
            self.protocol,
            resamples=self.options.resamples,
            seed=self.options.seed,
        )


def _channel_name(export: AttentionExport | None, channel: int, direction: str) -> str:
    """`all/t2i` for the mean of the channels or the only one, `L3H5/t2i` for layer 3, head 5."""
    if channel == MEAN or export is None:
        return f"all/{direction}"
    layer, head = export.channel[channel].tolist()
    name = ("" if layer < 0 else f"L{layer}") + ("" if head < 0 else f"H{head}")
    return f"{name or f'channel {channel}'}/{direction}"
