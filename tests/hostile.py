"""An annotated image, an export and a result in which every text tries to be more than text."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from attneval import ExportWriter
from attneval.__main__ import main
from attneval.results.items import ItemTable

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "x\"'<b>&y"
TYPE = "<u>\"'&"
WORDS = [
    "</script><script>boom()</script>",
    "<img/src=x/onerror=boom()>",
    "\U0001f415",
    '"onmouseover="boom()',
    "'onfocus='boom()",
    "{{7*7}}{%raw%}",
    "&lt;b&gt;&amp;",
    "<!--",
    "\u202egod",
    "${boom()}",
    "e\u0301",
    "\u2028line",
]
CAPTION = " ".join(WORDS)
NAME = "</title><script>boom()</script><img src=x onerror=boom()>\"'"
SIZE = (120, 90)


def annotated(folder: Path) -> Path:
    """The image in the layout of Flickr30k Entities: three entities, one for every few words."""
    (folder / "Annotations").mkdir(parents=True)
    (folder / "Sentences").mkdir()
    boxes = [(1, 1, 60, 45), (61, 1, 120, 45), (1, 46, 60, 90)]
    objects = "".join(
        f"<object><name>{k}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for k, (a, b, c, d) in enumerate(boxes, 1)
    )
    size = f"<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height><depth>3</depth></size>"
    (folder / "Annotations" / f"{IMAGE}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    phrases = [WORDS[:4], WORDS[4:8], WORDS[8:11]]
    marked = " ".join(f"[/EN#{k}/people {' '.join(words)}]" for k, words in enumerate(phrases, 1))
    (folder / "Sentences" / f"{IMAGE}.txt").write_text(f"{marked} {WORDS[11]}\n", encoding="utf-8")
    return folder


def exported(path: Path) -> Path:
    """Weights over a grid of 6 by 8 cells, different for every word."""
    random = np.random.default_rng(11)
    weights = random.dirichlet(np.full(48, 0.2), len(WORDS))
    with ExportWriter(path, normalised_over="regions", model=NAME) as out:
        out.add_image(IMAGE, size=SIZE, grid=(6, 8))
        ends = np.cumsum([len(word) + 1 for word in WORDS])
        spans = [(int(end) - len(word) - 1, int(end) - 1) for word, end in zip(WORDS, ends, strict=True)]
        out.add_caption(IMAGE, weights, index=0, text=CAPTION, spans=spans)
    return path


def scored(folder: Path) -> tuple[Path, Path, Path, Path]:
    """A result with hostile names; and its export, its annotations and its photographs."""
    gt, export, result = annotated(folder / "gt"), exported(folder / "maps.npz"), folder / "evil.json"
    options = ["--items", "--name", NAME, "--missing", "skip", "--overlap", "iof", "-q"]
    assert main(["score", str(export), "--gt", str(gt), *options, "-o", str(result)]) == 0
    values = json.loads(result.read_text(encoding="utf-8"))
    values["notes"] += [f"note {NAME}"]
    values["inputs"][0]["path"] = f"{NAME}.npz"
    values = _renamed(values)
    items = result.with_name("evil.items.npz")
    _rename_types(items)
    values["items_sha256"] = ItemTable.load(items).sha256()
    result.write_text(json.dumps(values))
    photos = folder / "photos"
    photos.mkdir()
    Image.new("RGB", SIZE, (40, 90, 160)).save(photos / f"{IMAGE}.png")
    return result, export, gt, photos


def _renamed(values: Any) -> Any:
    """JSON values in which a group of items has the name of the type."""
    if isinstance(values, dict):
        return {TYPE if key == "people" else key: _renamed(value) for key, value in values.items()}
    return [_renamed(value) for value in values] if isinstance(values, list) else values


def _rename_types(path: Path) -> None:
    """A phrase type of the items that is no word, as those of other annotation formats may be."""
    with np.load(path) as stored:
        members = {name: stored[name] for name in stored.files}
    text, offset = members["types"].tobytes().decode(), members["types_offset"].tolist()
    names = [text[a:b].replace("people", TYPE) for a, b in itertools.pairwise(offset)]
    encoded = [name.encode() for name in names]
    members["types"] = np.frombuffer(b"".join(encoded), np.uint8)
    members["types_offset"] = np.cumsum([0, *map(len, encoded)])
    np.savez(path, **members)
