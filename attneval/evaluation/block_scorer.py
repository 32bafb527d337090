"""The work of an engine on each block, in this process or in another."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record
from attneval.errors import AttnevalError, ExportError
from attneval.evaluation.score_block import score_block
from attneval.groundtruth.index import Cached, Index
from attneval.matching.mismatches import Mismatches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from attneval.config.protocol import Protocol
    from attneval.evaluation.manifest import Paths
    from attneval.evaluation.plan_blocks import Block
    from attneval.evaluation.score_block import BlockSums
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import Source
    from attneval.groundtruth.columns import Reader


@record
class BlockScorer:
    """Scores blocks of one export against one source of annotations.

    It is pickled as the names of its files, with what they are known by, and opens them again where it is unpickled.

    Attributes:
        paths: The files.
        export: The export, opened.
        annotations: Where annotations are read from.
        protocol: How blocks are scored.
        index: The index that annotations are read through, if there is one.
        keep_items: Whether to look at items one by one.
        keep_truth: Whether the annotations are wanted back.
        channel_metrics: The metrics whose sums of every channel alone are wanted.
        names: Names of files that are others than those that were given, in a process elsewhere, with the given ones.
    """

    paths: Paths
    export: AttentionExport
    annotations: Reader
    protocol: Protocol
    index: Path | None = None
    keep_items: bool = False
    keep_truth: bool = False
    channel_metrics: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)

    def __call__(self, block: Block) -> BlockSums:
        """Score a block.

        Raises:
            AttnevalError: Something in it cannot be read or breaks the format.
        """
        if not self.names:
            return self._score(block)
        try:
            sums = self._score(block)
        except AttnevalError as error:
            error.message = self._as_given(error.message)
            error.args = (error.message,)
            raise
        said = {name: list(map(self._as_given, texts)) for name, texts in vars(sums.mismatches).items()}
        truth = sums.truth
        if truth is not None:
            truth = replace(truth, warnings=tuple(map(self._as_given, truth.warnings)))
        return replace(sums, mismatches=Mismatches(**said), truth=truth)

    def _as_given(self, text: str) -> str:
        """A text with files called as they were given."""
        for name in sorted(self.names, key=len, reverse=True):
            text = text.replace(name, self.names[name])
        return text

    def _score(self, block: Block) -> BlockSums:
        if block.absent:
            # What few need is imported for them alone.
            from attneval.evaluation.absent_images import score_absent

            return score_absent(
                block.absent,
                self.export,
                self.annotations,
                self.protocol,
                keep_items=self.keep_items,
                channel_metrics=self.channel_metrics,
            )
        return score_block(
            block,
            self.export,
            self.annotations,
            self.protocol,
            keep_items=self.keep_items,
            keep_truth=self.keep_truth,
            channel_metrics=self.channel_metrics,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        kept = (self.keep_items, self.keep_truth, self.channel_metrics)
        return _opened_again, (self.paths, self.paths.absolute(), self.paths.states(), self.protocol, self.index, *kept)


def block_scorer(
    paths: Paths,
    export: AttentionExport | None,
    source: Source | None,
    protocol: Protocol,
    *,
    keep_items: bool = False,
    channel_metrics: tuple[str, ...] = (),
) -> Callable[[Block], BlockSums]:
    """A scorer of an export's blocks; of no export, or without annotations, there are no blocks to score."""
    if export is None or source is None:
        return _nothing
    through = source if isinstance(source, Cached) else None
    return BlockScorer(
        paths,
        export,
        source,
        protocol,
        index=None if through is None else through.index,
        keep_items=keep_items,
        keep_truth=through is not None and through.collecting,
        channel_metrics=channel_metrics,
    )


def _nothing(block: Block) -> BlockSums:
    raise ValueError(f"{len(block)} images of no export")


def _opened_again(  # noqa: PLR0917 - what `__reduce__` names
    given: Paths,
    absolute: Paths,
    states: tuple[str, ...],
    protocol: Protocol,
    index: Path | None,
    keep_items: bool,  # noqa: FBT001 - what `__reduce__` names
    keep_truth: bool,  # noqa: FBT001
    channel_metrics: tuple[str, ...],
) -> BlockScorer:
    """A scorer in another process, with its own open files.

    Raises:
        ExportError: A file is another one here, as on a machine with an older copy of it.
    """
    # In the same folder files are called as they were there, in another by the whole of their names.
    paths = given if given.absolute() == absolute else absolute
    for path, before, here in zip(paths.files, states, paths.states(), strict=True):
        if here != before:
            raise ExportError(
                f"{path} is not the file here that it was where the work began",
                hint="every machine needs the same files under the same names; a file may not change meanwhile",
            )
    export, source = paths.open_export(), paths.open_ground_truth(protocol)
    if export is None or source is None:
        raise ValueError("an export and annotations were there before")
    read_through = None if index is None else Index.load(index)
    reader = read_through or source
    names = paths.named_as(given)
    return BlockScorer(paths, export, reader, protocol, index, keep_items, keep_truth, channel_metrics, names)
