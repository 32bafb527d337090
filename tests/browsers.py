"""Pages in a real browser: a script of the test acts on a copy of the page, and what it finds is read back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
DRIVER = """
<script>
"use strict";
const errors = [];
window.addEventListener("error", (event) => errors.push(String(event.message)));
window.addEventListener("securitypolicyviolation", (event) => errors.push(`policy: ${event.violatedDirective}`));
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const choose = (id, value) => { const field = document.getElementById(id); field.value = value; field.dispatchEvent(new Event("input", {bubbles: true})); field.dispatchEvent(new Event("change", {bubbles: true})); };
const press = (node, key) => node.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
const outcome = (value) => { const node = document.createElement("script"); node.type = "application/json"; node.id = "outcome"; node.textContent = JSON.stringify({value, errors}).replaceAll("<", "\\\\u003c"); document.body.append(node); };
</script>
"""


def run(page: Path, script: str, *, fragment: str = "", width: int = 1280, **switches: str) -> Any:
    """Open a page, run a script that returns something, and return that.

    Anything that the page says on the console is a failure.
    """
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    text = page.read_text(encoding="utf-8")
    head, end, tail = text.rpartition("</body>")
    acted = page.with_name(f"acted-{page.name}")
    marker = '<script type="application/json" id="data">'
    assert head.count(marker) == 1
    head = head.replace(marker, DRIVER + marker)
    body = f'<script>try {{ outcome((() => {{ {script} }})()); }} catch (error) {{ errors.push(String(error.stack)); outcome(null); }}</script>'
    acted.write_text(head + body + end + tail, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", f"--window-size={width},900"]
    options += [f"--{name.replace('_', '-')}={value}" for name, value in switches.items()]
    profile = page.parent / "profile"
    command = [CHROMIUM, *options, f"--user-data-dir={profile}", "--dump-dom", f"{acted.as_uri()}{fragment}"]
    environment = {**os.environ, "HOME": str(page.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not console, console
    found = re.search(r'<script type="application/json" id="outcome">(.*?)</script>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:]
    outcome = json.loads(found[1])
    assert outcome["errors"] == []
    return outcome["value"]
