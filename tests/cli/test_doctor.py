"""`attneval doctor` says what there is, and what is missing."""

from __future__ import annotations

import csv
import io
import json
from importlib import metadata
from typing import TYPE_CHECKING

from commands import attneval

from attneval import __version__
from attneval.cli import doctor

if TYPE_CHECKING:
    import pytest


def findings() -> dict[tuple[str, str], dict[str, str]]:
    done = attneval("doctor", "-f", "json", NO_COLOR="1", COLUMNS="77", XDG_CACHE_HOME="/nonexistent")
    assert done.code == 0
    return {(one["about"], one["name"]): one for one in json.loads(done.out)["findings"]}


def test_versions_extras_cache_and_terminal() -> None:
    table = findings()
    assert table["attneval", "version"]["value"] == __version__
    assert table["core", "numpy"]["value"] == metadata.version("numpy")
    assert {name for about, name in table if about == "extra"} == set(doctor.EXTRA_PACKAGES)
    assert table["cache", "indexes of annotations"]["value"] == "0 files, 0.0 MB in /nonexistent/attneval"
    assert table["terminal", "columns"]["value"] == "77"
    assert table["terminal", "colour"]["value"] == "off: NO_COLOR is set"


def test_extras_are_those_of_the_package() -> None:
    declared = metadata.metadata("attneval").get_all("Provides-Extra") if _installed() else None
    if declared is not None:
        assert set(doctor.EXTRA_PACKAGES) == set(declared) - {"all", "docs", "test"}


def test_what_is_missing_comes_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.EXTRA_PACKAGES, "report", ("jinja2", "no-such-package"))
    monkeypatch.setitem(doctor.EXTRA_PACKAGES, "torchmetrics", ("numpy",))
    extra = {one.name: one for one in doctor._extras()}
    assert "no-such-package missing" in extra["report"].value
    assert extra["report"].hint.startswith("pip install '.[report]' in a clone, or pip install './attneval-")
    assert not extra["torchmetrics"].hint


def test_every_format() -> None:
    table = list(csv.reader(io.StringIO(attneval("doctor", "-f", "csv").out)))
    assert table[0] == ["about", "name", "value", "hint"]
    assert len(table) == len(findings()) + 1
    assert "What there is" in attneval("doctor").out


def _installed() -> bool:
    try:
        metadata.metadata("attneval")
    except metadata.PackageNotFoundError:
        return False
    return True
