"""What a target's files must agree on, whatever a command says of them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .inputs import Run
    from .server import Outcome
    from .ways import Damage


def mean(result: Mapping[str, Any], metric: str) -> tuple[float, float] | None:
    """A metric's stored value, and the quotient of its per-image sums; None where a result does not hold both.

    Nothing of attneval is asked.
    """
    try:
        stored, sums = result["metrics"][metric], result["per_image"][metric]
        return float(stored["value"]), math.fsum(sums) / stored["n"]
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None


def values_follow_from_sums(run: Run, folder: Path, damage: Damage, done: Outcome) -> Iterator[str]:
    """A result whose values are not what its sums say is refused, or that is said."""
    del run
    if done.code == 2 or "r.json" not in done.arguments or "r.json" not in damage.files or "r.json" in done.err:
        return
    try:
        result = json.loads((folder / "r.json").read_text("utf-8"))
    except ValueError:
        return
    held = result.get("metrics") if isinstance(result, dict) else None
    for metric in held if isinstance(held, dict) else ():
        pair = mean(result, metric)
        if pair is not None and not math.isclose(*pair, rel_tol=1e-9, abs_tol=1e-12):
            yield f"takes a {metric} of {pair[0]:.4g} in silence, and the sums say {pair[1]:.4g}"


def alike_types(run: Run, folder: Path, damage: Damage, done: Outcome) -> Iterator[str]:
    """Types that stand at the same phrases have the same numbers and the same items."""
    if not damage.alike or done.code:
        return
    if "json" in done.arguments:
        groups = json.loads(done.out)["by"]["type"]
        for alike in damage.alike:
            kinds = {json.dumps(groups.get(name), sort_keys=True) for name in alike}
            if len(kinds) > 1:
                yield f"gives {len(alike)} types of the same phrases {len(kinds)} different values"
    if "--items" in done.arguments:
        shown = run(folder, ("inspect", "r.json", "-f", "json", "--worst", "1000"))
        items = json.loads(shown.out) if shown.code == 0 else []
        for alike in damage.alike:
            several = {len(set(alike) & set(item["types"])) for item in items}
            if several != {0, len(alike)}:
                yield f"items have {sorted(several)} of the {len(alike)} types of their phrase"
