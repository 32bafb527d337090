"""The annotation files of a scoring, and what they are read by: enough to open them again in another process."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from attneval.groundtruth.reading import Reading
from attneval.groundtruth.registry import open_ground_truth
from attneval.storage.addresses import located

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TypeAlias

    from attneval.config.protocol import Protocol
    from attneval.groundtruth.columns import Source

    GivenFiles: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | AnnotationFiles"
    """A path, several, or what was made of them."""


@dataclass(frozen=True)
class AnnotationFiles:
    """Annotation files that belong together.

    Attributes:
        paths: The files, or directories of them.
        format: A format's name to force it, or `auto`.
        sizes: Files of image sizes, for formats that have none.
        synonyms: A list of category names, for captions whose words are matched with categories.
        split_name: The split of a file that holds several.
        classes: A list of classes of words, to which the last word of each phrase belongs; None for the categories of
            the format.
    """

    paths: tuple[Path, ...]
    format: str = "auto"
    sizes: tuple[Path, ...] = ()
    synonyms: Path | None = None
    split_name: str | None = None
    classes: Path | None = None

    @classmethod
    def from_argument(cls, given: GivenFiles, format: str = "auto") -> AnnotationFiles:  # noqa: A002 - see open
        """Take one path or several.

        Args:
            given: The paths, or annotation files, which stay as they are.
            format: A format's name to force it, or `auto`.
        """
        if isinstance(given, AnnotationFiles):
            return given
        listed = [given] if isinstance(given, (str, os.PathLike)) else given
        return cls(tuple(map(located, listed)), format)

    def to_dict(self) -> dict[str, Any]:
        """Give the files as JSON values."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(map(str, value)) if isinstance(value, tuple) else None if value is None else str(value)
            for name, value in plain.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AnnotationFiles:
        """Read files from JSON values.

        Raises:
            TypeError: They are of none.
        """
        paths = {name: tuple(map(located, values[name])) for name in ("paths", "sizes")}
        one = {name: located(values[name]) for name in ("synonyms", "classes") if values[name] is not None}
        return cls(**{**values, **paths, **one})

    def absolute(self) -> AnnotationFiles:
        """The same files for processes in other folders."""
        return replace(
            self,
            paths=tuple(path.absolute() for path in self.paths),
            sizes=tuple(path.absolute() for path in self.sizes),
            synonyms=None if self.synonyms is None else self.synonyms.absolute(),
            classes=None if self.classes is None else self.classes.absolute(),
        )

    def open(self, protocol: Protocol) -> Source:
        """Open them, as a protocol has them read.

        Raises:
            GroundTruthError: They are of no format, or cannot be read.
        """
        reading = Reading(
            edges=protocol.edges,
            masks=protocol.geometry == "mask",
            expression=protocol.expression,
            mentions=protocol.mentions,
            category_words=protocol.category_words,
            synonyms=self.synonyms,
            sizes=self.sizes,
            split_name=self.split_name,
        )
        source = open_ground_truth(self.paths, self.format, reading=reading)
        if self.classes is None:
            return source
        from attneval.groundtruth.last_words import ClassedSource

        return ClassedSource(source, self.classes)

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths))
