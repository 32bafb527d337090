"""A scene in words: its caption with the item marked, and what was attended and relevant."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from attneval.report.table import safe

if TYPE_CHECKING:
    from attneval.report.overlay.scene import Scene


def marked(scene: Scene) -> str:
    """The caption with the item in brackets, and what was attended in its place in braces."""
    text = scene.caption
    spans = [(*scene.word, "[", "]")]
    if scene.other is not None:
        spans.append((*scene.other, "{", "}"))
    for start, stop, left, right in sorted(spans, reverse=True):
        text = f"{text[:start]}{left}{text[start:stop]}{right}{text[stop:]}"
    return str(safe(text))


def lines_of(scene: Scene, width: int) -> list[str]:
    """The caption on lines of some width."""
    return textwrap.wrap(marked(scene), width) or [""]


def described(scene: Scene, width: int) -> list[str]:
    """Describe what was scored, on lines of some width."""
    precision, recall, f1 = (f"{100 * value:.1f}" for value in scene.scores)
    both = int((scene.attended & scene.relevant).sum())
    text = (
        f"{safe(scene.caption_id)}  {scene.kind}: F1 {f1}, precision {precision}, recall {recall}; "
        f"{int(scene.attended.sum())} attended, {int(scene.relevant.sum())} relevant, {both} both, of {len(scene.box)}"
    )
    return textwrap.wrap(text, width)
