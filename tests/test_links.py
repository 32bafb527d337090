"""No document has a dead link, in the repository or on the site that Sphinx makes of the same files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "experiments").glob("*.md")),
]
LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    found: set[str] = set()
    for title in titles:
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


def links(page: Path) -> list[str]:
    return LINK.findall(re.sub(r"`[^`\n]*`", "``", prose(page)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for link in links(page):
        if re.match(r"https?://", link):
            assert not re.search(r"example\.(?:com|org)|localhost|TODO|/OWNER|ADDRESS", link), link
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {name}"
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_links_are_seen_at_all() -> None:
    assert sum(len(links(page)) for page in PAGES) > 80
    assert sum("#" in link for page in PAGES for link in links(page)) > 15


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", ".", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.mark.site
def test_the_site_has_every_page_and_finds_it(site: Path) -> None:
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert set(index["docnames"]) == {page.relative_to(ROOT).with_suffix("").as_posix() for page in PAGES}
    # Words are kept by their stems.
    assert {"coverag", "transposed", "signatur"} & set(index["terms"])
    assert (site / "index.html").read_bytes() == (site / "README.html").read_bytes()
    assert 'id="searchbox"' in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.site
def test_the_site_has_no_dead_link(site: Path) -> None:
    pages = [site / page.relative_to(ROOT).with_suffix(".html") for page in PAGES]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            if re.match(r"https?:|mailto:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name.partition("?")[0]).resolve() if name else page
            assert target.is_file(), f"{page.name}: {link}"
            if anchor and target in pages:
                assert f'id="{anchor}"' in target.read_text(encoding="utf-8"), f"{page.name}: {link}"
