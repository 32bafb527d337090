"""Options: how the work is done, which changes no number but the chance in intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attneval.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    Engine = Callable[..., Any]
    """See `attneval.evaluation.engines`."""
    Progress = Callable[[int, int], None]
    """Called with how many of how many images are done."""

RESAMPLES = 1000
"""Bootstrap resamples behind an interval."""
TRIALS = 10_000
"""Randomizations behind a p-value, unless a large family of tests needs more."""
MOST_TRIALS = 200_000
"""Randomizations that a family of tests gets at most."""
MOST_RESAMPLES = 100_000
"""Bootstrap resamples that an interval has at most."""
ALPHA = 0.05
"""Level of significance."""
SEED = 12345


@dataclass(frozen=True)
class Options:
    """Choices that change no number, only how it is computed and reported.

    Attributes:
        resamples: Bootstrap resamples behind each interval; 0 for none.
        seed: Of the resamples.
        half: Score only the images of one half, `even` or `odd`, see `attneval.statistics.halves`; empty for all.
        channel_metrics: The metrics that are measured of every channel alone; of many channels the usual ones.
        similarity: Whether retrieval is scored where there are similarities.
        limit: Score only the first so many images; the result is marked partial.
        name: How the system is called; the export's file name without suffix by default.
        items: Also look at items one by one, for `attneval inspect`.
        jobs: How many processes share the images, None for two where that pays; the result is the same to the last
            bit.
        part: Score only one part of the images, as number from 1 and how many there are; None for all of them.
        engine: What runs the blocks: a name of `attneval.evaluation.engines`, or `auto`; or an engine itself.
        scheduler: The address of a scheduler, for an engine that takes one; empty for none.
        cache: Whether to keep and use an index of parsed annotations.
        digests: Whether files are read whole for their SHA-256, which a result that is kept has; without, they are
            known by their sizes and their members' checksums.
        progress: Told how many images are done.
    """

    resamples: int = RESAMPLES
    seed: int = SEED
    limit: int | None = None
    similarity: bool = True
    half: str = ""
    channel_metrics: tuple[str, ...] = ()
    name: str | None = None
    items: bool = False
    jobs: int | None = 1
    part: tuple[int, int] | None = None
    engine: str | Engine = "auto"
    scheduler: str = ""
    cache: bool = True
    digests: bool = True
    progress: Progress | None = None

    @property
    def reads_whole(self) -> bool:
        """True if files are read whole for their digests, which jobs that share them do not."""
        return self.digests and self.part is None

    @property
    def why_no_retrieval(self) -> str:
        """Say why there is no retrieval: it ranks among all images. Empty where there is."""
        if self.half or not self.similarity:
            return "the choice of channels says nothing about it"
        return "" if self.part is None else "it ranks among all images, as attneval merge does"

    def __post_init__(self) -> None:
        """Refuse a bootstrap that no result file may hold, and parts that there are not.

        Raises:
            ConfigError: The number of resamples, the seed or the part is out of range.
        """
        if self.part is not None and not 1 <= self.part[0] <= self.part[1]:
            raise ConfigError(f"there is no part {self.part[0]} of {self.part[1]}", hint="parts are counted from 1")
        if not 0 <= self.resamples <= MOST_RESAMPLES:
            raise ConfigError(f"resamples {self.resamples} is out of range", hint=f"use 0 to {MOST_RESAMPLES}")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed {self.seed} is out of range", hint="use a whole number from 0 that fits 63 bits")
