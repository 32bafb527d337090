"""Names of metrics as other programs and people spell them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIXES = re.compile(r"^(attention|attn|retrieval)[-_ ]?")
_DIRECTIONS = re.compile(r"^(i2t|t2i)")


def meant_by(name: str, known: Iterable[str]) -> list[str]:
    """The known names that another spelling may stand for: `attention_f1` for f1, `recall@1` for r@1 and i2t_r@1."""
    wanted = _bare(name)
    return [other for other in known if wanted in {_bare(other), _DIRECTIONS.sub("", _bare(other))}]


def _bare(name: str) -> str:
    """A name without prefixes, signs and long forms."""
    short = _PREFIXES.sub("", name.lower())
    short = re.sub(r"recall(?=[-_ ]?(@|at|\d))", "r", short)
    short = re.sub(r"(?<=r)[-_ ]?at[-_ ]?(?=\d)", "", short)
    return re.sub(r"[^a-z0-9]", "", short)
