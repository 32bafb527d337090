"""Digests of everything that the product writes, so that a change of structure can be seen to change nothing else.

Digests are of bytes, and the last bit of a number may differ between processors. They are therefore no test but a
tool: `python tests/locks.py record FILE` before a change, `python tests/locks.py check FILE` after it, on one machine.
Real data are looked at where they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
REAL = Path("../shared/data")
FORMATS = ("fixtures/entities", "fixtures/grounding.json")
EXPORTS = ("good", "noisy", "uniform")
PADDED = "uniform.npz"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def written(folder: Path) -> dict[str, str]:
    """The digest of each file of a folder."""
    return {path.name: sha256(path.read_bytes()) for path in sorted(folder.iterdir())}


def command(*arguments: str) -> dict[str, str]:
    """What a command leaves behind, with `OUT` in its arguments for an empty folder; run from the project's root."""
    from attneval.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([argument.replace("OUT", folder) for argument in arguments])
        texts = {
            "stdout": out.getvalue().replace(folder, "OUT"),
            "stderr": err.getvalue().replace(folder, "OUT"),
            "code": str(code),
        }
        return {name: sha256(text.encode()) for name, text in texts.items()} | written(Path(folder))


def scored(*arguments: str) -> dict[str, str]:
    """What `attneval score` writes, in every format."""
    files = [part for suffix in ("json", "csv", "md", "txt") for part in ("-o", f"OUT/r.{suffix}")]
    return command("score", *arguments, "--no-cache", "--items", *files)


def relevance() -> str:
    """A copy of an export that has no direction, so that it can be scored in both."""
    import numpy as np

    path = Path(tempfile.gettempdir()) / "attneval-locks-relevance.npz"
    with np.load(ROOT / "fixtures" / "good.npz") as stored:
        members = {name: stored[name] for name in stored.files}
    header = json.loads(members["format"].tobytes()) | {"kind": "relevance", "normalised_over": "none"}
    members["format"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **members)
    return str(path)


def torchmetrics_states() -> dict[str, str]:
    import numpy as np

    from attneval.integrations.torchmetrics import AttentionF1

    with np.load(ROOT / "fixtures" / PADDED) as members:
        arrays = {name: members[name] for name in members.files}
    metric = AttentionF1(ROOT / "fixtures" / "entities")
    words = [[str(word) for word in row if word] for row in arrays["words"]]
    metric.update(arrays["attn"], words, list(map(str, arrays["caption_ids"])), boxes=arrays["boxes"])
    sums = metric.sums.tolist()
    return {"sums": sha256(json.dumps(sums).encode())}


def cases() -> dict[str, Callable[[], dict[str, str]]]:
    """Everything that is locked, by name."""
    from attneval.config.presets import PRESETS

    made: dict[str, Callable[[], dict[str, str]]] = {}
    for gt, preset, jobs in itertools.product(FORMATS, PRESETS, ("1", "2")):
        made[f"score good {Path(gt).stem} {preset} jobs={jobs}"] = partial(
            scored, "fixtures/good.npz", "--gt", gt, "--preset", preset, "--jobs", jobs
        )
    for export in EXPORTS:
        made[f"score {export}"] = partial(
            scored, f"fixtures/{export}.npz", "--gt", FORMATS[0], "--threshold", "mass:0.5"
        )
    made["score both directions"] = lambda: scored(
        relevance(), "--gt", FORMATS[0], "--direction", "t2i,i2t", "--threshold", "top:3", "--pool", "max"
    )
    made["pack"] = lambda: command("pack", "fixtures/good.npz", "-o", "OUT/packed.npz")
    pair = ("fixtures/good.npz", "fixtures/noisy.npz", "--gt", FORMATS[0])
    made["compare"] = lambda: command("compare", *pair, "-o", "OUT/c.json", "-o", "OUT/c.csv", "-o", "OUT/c.tex")
    made["validate"] = lambda: command("validate", "fixtures/noisy.npz", "--gt", FORMATS[0])
    made["torchmetrics"] = torchmetrics_states
    return made


def real_cases() -> dict[str, Callable[[], dict[str, str]]]:
    """The real files."""
    gt = ("--gt", f"{REAL}/flickr8k_entities.zip")
    regions, grid = f"{REAL}/f8k285_regions.npz", f"{REAL}/f8k285_grid.npz"
    return {
        "real regions": lambda: scored(regions, *gt),
        "real regions phrase": lambda: scored(regions, *gt, "--preset", "mdetr-any", "--jobs", "2"),
        "real grid": lambda: scored(grid, *gt, "--overlap", "iof"),
        "real grid center": lambda: scored(grid, *gt, "--overlap", "center", "--pool", "max", "--unit", "phrase"),
        "real grid union": lambda: scored(grid, *gt, "--boxes", "union", "--threshold", "top:3", "--jobs", "2"),
    }


def main(task: str, path: Path) -> int:
    os.chdir(ROOT)
    everything = cases() | (real_cases() if REAL.is_dir() else {})
    digests = {name: make() for name, make in everything.items()}
    if task == "record":
        path.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
        return 0
    known = json.loads(path.read_text(encoding="utf-8"))
    changed = [
        f"{name}: {part}"
        for name, parts in known.items()
        for part, digest in parts.items()
        if digests.get(name, {}).get(part) != digest
    ]
    sys.stdout.write("\n".join([*changed, f"{len(known)} cases, {len(changed)} changes", ""]))
    return 1 if changed else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1], Path(sys.argv[2]).resolve()))
