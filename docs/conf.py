"""The site of the documents: `sphinx-build -W -c docs . site`, from the very files that are read in the repository.

README.md is its first page, so the folder of sources is the repository's. Links between pages are those of Markdown.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.shell import BashLexer
from sphinx.highlighting import lexers

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "attneval"
author = "The attneval developers"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "docs/*.md", "docs/experiments/*.md"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Measures what image-text models attend to",
    "fixed_sidebar": True,
    "page_width": "72rem",
    "body_max_width": "56rem",
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html", "relations.html"]}
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 4
highlight_language = "text"
# Commands stand in these blocks without a prompt, and Pygments takes for output what has none.
lexers["console"] = BashLexer()

CONTENTS = """

```{{toctree}}
:hidden:
:maxdepth: 1

{pages}
```
"""


def _pages() -> list[str]:
    """The pages beside the first one, in the order in which README.md names them, then the others."""
    root = Path(__file__).parents[1]
    text = (root / "README.md").read_text(encoding="utf-8").partition("## Read on")[2]
    paths = [*root.glob("docs/*.md"), *root.glob("docs/experiments/*.md"), root / "CHANGELOG.md"]
    names = [path.relative_to(root).with_suffix("").as_posix() for path in paths]
    return sorted(names, key=lambda name: (text.find(f"]({name}.md)") % (1 << 30), name))


def _with_contents(_app: Sphinx, name: str, source: list[str]) -> None:
    """Give the first page the table of contents that Markdown in a repository needs none of."""
    if name == root_doc:
        source[0] += CONTENTS.format(pages="\n".join(_pages()))


def _with_index(app: Sphinx, failed: Exception | None) -> None:
    """Call the first page index.html as well."""
    if failed is None and app.builder.name == "html":
        shutil.copy(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    """Connect both to the build."""
    app.connect("source-read", _with_contents)
    app.connect("build-finished", _with_index)
