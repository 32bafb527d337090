"""What the package says of itself: extras, classifiers, and no address of what does not exist."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from attneval.cli.doctor import EXTRA_PACKAGES
from attneval.config.extras import to_install

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
FOR_DEVELOPERS = {"all", "docs", "test"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    values: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return values


def test_the_extra_all_has_every_extra_of_users(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    (everything,) = extras["all"]
    listed = re.fullmatch(r"attneval\[(.*)\]", everything)
    assert listed is not None
    assert set(listed[1].split(",")) == set(extras) - FOR_DEVELOPERS
    assert set(EXTRA_PACKAGES) <= set(extras)


def test_classifiers_exist_and_stand_once(project: dict[str, Any]) -> None:
    listed = project["classifiers"]
    assert len(listed) == len(set(listed))
    assert project["requires-python"] == ">=3.10"
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)} <= set(listed)
    trove = pytest.importorskip("trove_classifiers")
    assert set(listed) <= trove.classifiers


def test_no_address_is_a_placeholder(project: dict[str, Any]) -> None:
    assert "urls" not in project  # there is no public address yet
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    for address in re.findall(r"https?://\S+", (ROOT / "CITATION.cff").read_text(encoding="utf-8")):
        assert not re.search(r"example|OWNER|TODO", address), address


def test_hints_name_what_exists(project: dict[str, Any]) -> None:
    for extra in project["optional-dependencies"]:
        hint = to_install(extra)
        assert f"pip install '.[{extra}]' in a clone" in hint
        assert f".whl[{extra}]' with a wheel" in hint
    for path in [*(ROOT / "attneval").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        # The name alone would be looked up in an index, where attneval is not.
        for line in path.read_text(encoding="utf-8").splitlines():
            found = re.search(r"pip install\b[^&]*?\battneval\b(?!-)", line)
            assert not found or "--no-index" in line or "/attneval" in line, f"{path.name}: {line}"


def test_the_documents_name_every_extra(project: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert all(f"| `{extra}` |" in text for extra in project["optional-dependencies"])
