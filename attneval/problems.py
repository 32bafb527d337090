"""What could not be aligned, by name, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Problems:
    """What could not be aligned, by name.

    Attributes:
        absent: Annotated captions without attention.
        unaligned: Exported captions whose tokens are no caption of their image, each with its text.
        disagreeing: Exported captions whose text is another caption than their index says.
        wordless: Annotated words of exported captions without a token.
        warnings: Flaws of the annotations that were read around.
    """

    absent: list[str] = field(default_factory=list)
    unaligned: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)
    wordless: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def extend(self, other: Problems) -> None:
        """Add those of another block."""
        for name, values in vars(self).items():
            values.extend(getattr(other, name))
