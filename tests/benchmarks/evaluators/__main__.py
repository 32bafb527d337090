"""`python -m tests.benchmarks.evaluators NAME FILE...`: one of them in a process of its own, as JSON."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

ALSO = {"scan": "torch"}
"""What else a process of some evaluator imports, although what is measured here is done by numpy."""


def main() -> None:
    """Print what it measures, and the seconds that it takes once everything is imported."""
    name, *files = sys.argv[1:]
    module, _, function = name.partition(".")
    if module in ALSO:
        importlib.import_module(ALSO[module])
    evaluator = getattr(importlib.import_module(f"{__package__}.{module}"), function or "evaluate")
    start, before = time.perf_counter(), time.process_time()
    values = evaluator(*map(Path, files))
    told = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - before, "values": values}
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps(told | {"peak": 1024 * peak}))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
