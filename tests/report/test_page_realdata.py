"""The page of real maps over real photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from browsers import CHROMIUM, run
from pages import data_of, read_page

from attneval.__main__ import main
from attneval.report.html.page import LARGEST

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.realdata


@pytest.mark.parametrize(("name", "overlap"), [("f8k285_grid", "iof"), ("f8k285_regions", "iou")])
def test_a_page_of_real_maps(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, overlap: str
) -> None:
    export, gt = shared / f"{name}.npz", shared / "flickr8k_entities.zip"
    result, page = tmp_path / "result.json", tmp_path / "page.html"
    flags = ["--gt", str(gt), "--overlap", overlap, "--items"]
    assert main(["score", str(export), *flags, "-o", str(result), "-q"]) == 0
    drawn = ["--attn", str(export), "--gt", str(gt), "--images", str(shared / "images")]
    assert main(["report", str(result), *drawn, "-o", str(page), "-q"]) == 0
    capsys.readouterr()
    assert page.stat().st_size < LARGEST
    tree = read_page(page)
    gallery: Any = data_of(tree)["gallery"]
    assert len(gallery["images"]) == 24  # of the 25 photographs one is of none of the 285 images
    assert len(tree.all("image", href="")) == 0
    assert sum("photo-" in node.attributes.get("id", "") for node in tree.all("image")) == 24
    assert len(gallery["items"]) == sum(gallery["captions"][item["c"]][0] < 24 for item in gallery["items"])
    if CHROMIUM is not None:
        script = "return [all().length, $$('#cards .stage use').length, $$('#cards .map').length];"
        assert run(page, script) == [24, 24, 24]
