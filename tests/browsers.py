"""Pages in a real browser: a script of the test acts on a copy of the page, and what it finds is read back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
DRIVER = Path(__file__).with_name("browser_driver.js")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom")
FIRST = '<script type="application/json" id="data">'
"""The first script of a page; the driver stands before it, so as to hear of errors in all of them."""


def run(page: Path, script: str, *, fragment: str = "", width: int = 1280) -> Any:
    """Open a page, run a script that returns something, and return that.

    Anything that the page says on the console is a failure.
    """
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    head, end, tail = page.read_text(encoding="utf-8").rpartition("</body>")
    assert head.count(FIRST) == 1
    head = head.replace(FIRST, f"<script>{DRIVER.read_text(encoding='utf-8')}</script>{FIRST}")
    acted = f"try {{ outcome((() => {{ {script} }})()); }} catch (error) {{ errors.push(error.stack); outcome(null); }}"
    copy = page.with_name(f"acted-{page.name}")
    copy.write_text(f"{head}<script>{acted}</script>{end}{tail}", encoding="utf-8")
    place = (f"--window-size={width},900", f"--user-data-dir={page.parent / 'profile'}", copy.as_uri() + fragment)
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, *place],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "HOME": str(page.parent)},
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not console, console
    found = re.search(r'<script type="application/json" id="outcome">(.*?)</script>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:]
    told = json.loads(found[1])
    assert told["errors"] == []
    return told["value"]
