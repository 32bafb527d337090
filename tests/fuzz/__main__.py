"""`python -m tests.fuzz`: damaged files and faults of the system by the thousand, and what they did."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .campaign import Broken

OUTCOMES = ("done", "refused", "gate failed", "killed", "broken")
SHOWN = 5
"""Cases of a kind of breach that are shown."""


def main() -> int:
    """Run the cases that are asked for.

    Returns:
        0 if no law was broken, else 1.
    """
    # Helpers of the tests stand beside this folder.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from .campaign import NAMES, Campaign
    from .server import ROOT

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20, help="of each target (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what everything follows from (default %(default)s)")
    parser.add_argument("--target", action="append", choices=NAMES, metavar="NAME", help=f"{', '.join(NAMES)}")
    parser.add_argument("--case", type=int, help="one case alone, whose files are left and whose command is shown")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder that holds the attneval under test")
    parser.add_argument("--keep", type=Path, help="a new folder in which the last case of each target is left")
    chosen = parser.parse_args()
    cases = range(chosen.cases) if chosen.case is None else range(chosen.case, chosen.case + 1)
    broken: list[Broken] = []
    say(f"seed {chosen.seed}, {len(cases)} cases a target")
    say("  ".join(f"{name:>12}" for name in ("target", "seconds", *OUTCOMES)))
    with Campaign(chosen.seed, root=chosen.root.resolve(), keep=chosen.keep) as campaign:
        for name in chosen.target or NAMES:
            start = time.monotonic()
            try:
                counts = campaign.run(name, cases)
            except (AssertionError, IndexError, KeyError) as error:
                # Another attneval may not do what the files are made with.
                say(f"{name:>12}  cannot be run: {str(error).strip()[:100]}")
                continue
            broken += counts.broken
            cells = [name, f"{time.monotonic() - start:.0f}", *(str(counts.outcomes[each]) for each in OUTCOMES)]
            say("  ".join(f"{cell:>12}" for cell in cells))
    show(broken, chosen.seed)
    return 1 if broken else 0


def show(broken: list[Broken], seed: int) -> None:
    """Show what was broken, the same kind of breach together, and how to repeat it."""
    kinds = Counter((each.target, each.breach) for each in broken)
    for (target, breach), count in kinds.most_common():
        say("")
        say(f"{target}: {breach} ({count})")
        for each in [each for each in broken if (each.target, each.breach) == (target, breach)][:SHOWN]:
            say(f"  --target {target} --seed {seed} --case {each.case}: attneval {each.line}")
            say(f"    {each.text[:300]}")
            say(f"    {each.said}")


def say(line: str) -> None:
    """Write a line to stdout, in which what damaged files hold can do no harm."""
    shown = line.encode("ascii", "backslashreplace").decode()
    sys.stdout.write("".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
