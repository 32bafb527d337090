"""The page as a whole: what stands on it, what does not, and how it is refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hostile
import numpy as np
import pytest
from here import Here
from pages import FIXTURES, GT, Node, data_of, many_headed, photographs, read_page, sizes_of
from PIL import Image

from attneval.arrays.strings import Strings
from attneval.report.html.chosen import choose_images
from attneval.report.html.page import LARGEST, as_json
from attneval.results.items import ItemTable

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = FIXTURES / "good.npz"


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


@pytest.fixture
def result(here: Here, tmp_path: Path) -> Path:
    assert here("score", GOOD, "--gt", GT, "--items", "-o", "good.json", "-q").code == 0
    return tmp_path / "good.json"


def sections(page: Node) -> list[str]:
    return [section.attributes["id"] for section in page.all("section")]


def test_sections_without_data_are_left_out_with_their_links(here: Here, result: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.json"
    shutil.copy(result, bare)
    assert here("report", bare, "-o", "page.html").code == 0
    page = read_page(tmp_path / "page.html")
    assert sections(page) == ["verdict", "curves", "breakdowns", "retrieval", "joint"]
    assert [link.attributes["href"] for link in page.one("nav").all("a")] == ["#" + name for name in sections(page)]
    assert here("report", result, "-o", "page.html").code == 0
    assert sections(read_page(tmp_path / "page.html")) == [
        "verdict",
        "curves",
        "breakdowns",
        "errors",
        "retrieval",
        "joint",
        "items",
    ]
    assert here("report", result, "--cards", "0", "-o", "page.html").code == 0
    assert "items" not in sections(read_page(tmp_path / "page.html"))


def test_a_result_of_retrieval_alone(here: Here, tmp_path: Path) -> None:
    assert here("score", "--similarity", GOOD, "-o", "alone.json", "-q").code == 0
    assert here("report", "alone.json", "-o", "page.html").code == 0
    page = read_page(tmp_path / "page.html")
    assert sections(page) == ["notes", "retrieval"]
    assert "no annotations" in page.one("section", id="notes").text


def test_the_same_files_give_the_same_bytes(here: Here, result: Path, tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos", sizes_of(GOOD))
    for name in ("a.html", "b.html"):
        drawn: list[str | Path] = ["--attn", GOOD, "--gt", GT, "--images", photos]
        assert here("report", result, *drawn, "-o", name).code == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_no_page_is_too_large(here: Here, result: Path, tmp_path: Path) -> None:
    """Photographs that hardly shrink, and many channels."""
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for name, size in sizes_of(GOOD).items():
        noise = random.integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).save(photos / f"{name}.png")
    assert here("report", result, "--attn", GOOD, "--gt", GT, "--images", photos, "-o", "page.html").code == 0
    page = tmp_path / "page.html"
    assert 1_000_000 < page.stat().st_size <= LARGEST
    gallery: Any = data_of(read_page(page))["gallery"]
    assert len(gallery["items"]) > 100
    assert "left out" in read_page(page).one("section", id="items").text


def test_cards_bound_the_items_and_keep_their_variety(here: Here, result: Path, tmp_path: Path) -> None:
    assert here("report", result, "--cards", "12", "-o", "page.html").code == 0
    gallery: Any = data_of(read_page(tmp_path / "page.html"))["gallery"]
    assert len(gallery["items"]) == 12
    assert len({gallery["captions"][item["c"]][0] for item in gallery["items"]}) == 12
    assert len({item["k"] for item in gallery["items"]}) > 1
    assert "--cards 12" in read_page(tmp_path / "page.html").one("section", id="items").text


def test_nothing_is_fetched(here: Here, result: Path, tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos", sizes_of(GOOD))
    drawn: list[str | Path] = ["--attn", GOOD, "--gt", GT, "--images", photos]
    assert here("report", result, *drawn, "-o", "page.html").code == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = read_page(tmp_path / "page.html")
    for node in page.walk():
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            target = node.attributes.get(name, "#")
            assert target.startswith(("#", "data:image/")), (node.name, target[:80])
        assert not [name for name in node.attributes if name.startswith("on")], node.attributes
    assert page.all("link") == page.all("iframe") == page.all("object") == page.all("base") == []
    policy = page.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
    css = page.one("style").text
    assert "url(" not in css
    assert "@import" not in css
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert all("src" not in script.attributes for script in page.all("script"))


def test_pictures_are_images_of_the_right_shape(here: Here, result: Path, tmp_path: Path) -> None:
    sizes = sizes_of(GOOD)
    photos = photographs(tmp_path / "photos", sizes)
    assert here("report", result, "--images", photos, "-o", "page.html").code == 0
    page = read_page(tmp_path / "page.html")
    for number, image in enumerate(data_of(page)["gallery"]["images"]):
        assert (image["w"], image["h"]) == sizes[image["id"]]
        shown = page.one("image", id=f"photo-{number}")
        assert (int(shown.attributes["width"]), int(shown.attributes["height"])) == sizes[image["id"]]


def test_hostile_texts_stay_texts(here: Here, tmp_path: Path) -> None:
    result, export, gt, photos = hostile.scored(tmp_path)
    plain = tmp_path / "plain.html"
    drawn: list[str | Path] = ["--attn", export, "--gt", gt, "--images", photos]
    assert here("report", result, *drawn, "-o", tmp_path / "page.html").code == 0
    assert here("report", result, "--images", photos, "-o", plain).code == 0
    for path in (tmp_path / "page.html", plain):
        page = read_page(path)
        assert page.all("img") == page.all("u") == []
        assert len(page.all("script")) == 2
        assert all("boom" not in str(node.attributes.keys()) for node in page.walk())
        assert page.one("head").one("title").text == f"{hostile.NAME} \u00b7 attneval"
        assert page.one("h1").text == hostile.NAME
        assert f"note {hostile.NAME}" in page.one("ul", class_="notes").text
        assert hostile.TYPE in [th.text for th in page.one("table", class_="bd").all("th", scope="row")]
        gallery: Any = data_of(page)["gallery"]
        assert gallery["images"][0]["id"] == hostile.IMAGE
        assert gallery["captions"][0][2] == hostile.CAPTION
        captions = {card.one("p", class_="cap").text for card in page.all("article")}
        assert captions == {hostile.CAPTION}
        # Spans count what scripts count: two units beyond the BMP.
        units = hostile.CAPTION.encode("utf-16-le")
        words = {units[2 * item["w"][0] : 2 * item["w"][1]].decode("utf-16-le") for item in gallery["items"]}
        assert words <= set(hostile.WORDS)
        assert "\U0001f415" not in words  # it has no letter, so that it is no item
        assert len(words) > 5
    options = {option.text for option in read_page(plain).one("select", id="f-type").all("option")}
    assert hostile.TYPE in options


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "\u2028\u2029", "\ud800", "a&b", '"\\'])
def test_json_cannot_end_its_element(text: str) -> None:
    written = as_json({"x": text})
    assert json.loads(written) == {"x": text}
    assert not set("<>&\u2028\u2029\ud800") & set(written)


def test_ids_are_unique_and_everything_has_a_name(here: Here, tmp_path: Path) -> None:
    heads = many_headed(tmp_path / "heads.npz", GOOD, [(0, 0), (0, 1), (1, 0), (1, 1)])
    assert here("score", heads, "--gt", GT, "--items", "-o", "heads.json", "-q").code == 0
    photos = photographs(tmp_path / "photos", sizes_of(GOOD))
    drawn: list[str | Path] = ["--attn", heads, "--gt", GT, "--images", photos]
    assert here("report", "heads.json", *drawn, "-o", "page.html").code == 0
    page = read_page(tmp_path / "page.html")
    ids = [node.attributes["id"] for node in page.walk() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    assert page.one("html").attributes["lang"] == "en"
    assert len(page.all("h1")) == 1
    for link in page.all("a"):
        assert link.attributes["href"].split("?")[0][1:] in ids
    for node in page.walk():
        if node.name == "svg" and node.parent is not None and node.parent.name != "svg":
            assert node.attributes.get("aria-hidden") == "true" or node.attributes.get("aria-label"), node.attributes
        if node.name in {"select", "input"}:
            assert within(node, lambda outer: outer.name == "label"), node.attributes
        if node.name == "table":
            assert node.all("caption"), node.attributes
        if node.name == "th":
            assert "scope" in node.attributes, node.text
        if node.name == "section":
            assert node.all("h2")
        if "tabindex" in node.attributes:
            assert node.attributes.get("aria-label")


def test_lines_are_lines_where_styles_are_blocked(here: Here, result: Path, tmp_path: Path) -> None:
    """Servers of artefacts block styles within pages: what is no area must not be filled with black then."""
    assert here("report", result, "--attn", GOOD, "--gt", GT, "-o", "page.html").code == 0
    page = read_page(tmp_path / "page.html")
    paths = [
        node for node in page.walk() if node.name == "path" and not within(node, lambda outer: outer.name == "pattern")
    ]
    assert len(paths) > 5
    for node in paths:
        unfilled = node.has(fill="none") or within(node, lambda outer: outer.has(fill="none"))
        assert unfilled or node.has(class_="cross") or node.has(opacity="0.16"), node.attributes
    for node in page.walk():
        if node.has(class_="tick") or (
            node.has(class_="ci-line") and not within(node, lambda outer: outer.name == "li")
        ):
            assert "stroke" in node.attributes


def within(node: Node, wanted: Callable[[Node], bool]) -> bool:
    return node.parent is not None and (wanted(node.parent) or within(node.parent, wanted))


def test_what_does_not_fit_together_is_refused(here: Here, result: Path, tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos", {"1": (10, 10)})
    (tmp_path / "none").mkdir()
    twin = FIXTURES / "twin.npz"
    cases: list[tuple[list[Any], str]] = [
        ([result, "-o", "page.pdf"], "suffix .html"),
        ([result, "-o", result], "suffix .html"),
        ([result, "--attn", GOOD], "--attn and --gt go together"),
        ([result, "--gt", GT], "--attn and --gt go together"),
        ([result, "--attn", twin, "--gt", GT], "digests differ"),
        ([result, "--images", tmp_path / "nowhere"], "no folder of images"),
        ([result, "--images", photos], "has none of the 60 images"),
        ([GOOD], "is not JSON"),
    ]
    for arguments, words in cases:
        assert words in here.refused("report", *arguments)
    assert not (tmp_path / "report.html").exists()
    wrong = photographs(tmp_path / "wrong", dict.fromkeys(sizes_of(GOOD), (100, 100)))
    assert "annotated are" in here.refused("report", result, "--attn", GOOD, "--gt", GT, "--images", wrong)
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in sizes_of(GOOD):
        (broken / f"{name}.jpg").write_bytes(b"\xff\xd8 no picture")
    assert "cannot be read as an image" in here.refused("report", result, "--images", broken)


def test_annotations_that_were_not_scored_are_refused(here: Here, result: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(GT, other)
    for path in (other / "Annotations").glob("*.xml"):
        path.write_text(re.sub(r"<xmin>\d+</xmin>", "<xmin>1</xmin>", path.read_text()))
    message = here.refused("report", result, "--attn", GOOD, "--gt", other)
    assert "are not those that were scored" in message


def test_items_of_another_result_are_refused(here: Here, result: Path) -> None:
    assert here("score", FIXTURES / "noisy.npz", "--gt", GT, "--items", "-o", "noisy.json", "-q").code == 0
    shutil.copy("noisy.items.npz", "good.items.npz")
    assert "of another result" in here.refused("report", result)


@pytest.mark.parametrize("name", ["jinja2", "PIL"])
def test_what_is_missing_is_named(
    here: Here, result: Path, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    photos = photographs(tmp_path / "photos", sizes_of(GOOD))
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    assert "'.[report]'" in here.refused("report", result, "--images", photos)


def test_an_export_alone_gives_items(here: Here, result: Path, tmp_path: Path) -> None:
    """A result scored without --items: they come from its maps."""
    (tmp_path / "good.items.npz").unlink()
    assert here("report", result, "--attn", GOOD, "--gt", GT, "-o", "page.html").code == 0
    page = read_page(tmp_path / "page.html")
    assert "items" in sections(page)
    assert len(data_of(page)["gallery"]["items"]) > 100
    with np.load(GOOD) as stored:
        assert len(data_of(page)["gallery"]["images"]) <= len(stored["image_size"])


def test_results_that_cannot_be_compared_are_refused(here: Here, result: Path) -> None:
    assert here("score", GOOD, "--gt", GT, "--iou", "0.3", "-o", "other.json", "-q").code == 0
    assert "iou" in here.refused("report", result, "other.json")
    assert here("report", result, "other.json", "--allow-mismatch", "-o", "page.html").code == 0
    assert "iou" in read_page(Path("page.html")).one("section", id="systems").text


def test_images_are_chosen_in_rounds() -> None:
    """Each time the one with the rarest pair that is not shown yet: as a slow search finds."""
    random = np.random.default_rng(5)
    for _ in range(30):
        images, items = int(random.integers(1, 12)), int(random.integers(1, 60))
        caption = np.sort(random.integers(0, images, items))
        table = made_table(images, caption, random.integers(0, 3, items), 1 << random.integers(0, 3, items))
        names = [str(name) for name in table.image_id]
        known = [name for name in names if random.random() < 0.8]
        most = int(random.integers(1, 12))
        pairs = list(zip(table.item_kind.tolist(), table.item_types.tolist(), strict=True))
        of = {n: {p for p, c in zip(pairs, caption, strict=True) if names[c] == n} for n in known}
        left, wanted = sorted(n for n in known if of[n]), set[Any]()
        expected: list[str] = []
        while left and len(expected) < most:
            if not any(of[n] & wanted for n in left):
                wanted = {pair for n in left for pair in of[n]}
            best = min(left, key=lambda n: (min((pairs.count(p) for p in of[n] & wanted), default=10**9), n))
            left.remove(best)
            wanted -= of[best]
            expected.append(best)
        assert choose_images(table, known, most) == expected


def made_table(images: int, caption: Any, kind: Any, types: Any) -> ItemTable:
    """Items of images with a caption and a region each."""
    m = len(caption)
    return ItemTable(
        image_id=Strings.from_texts([f"{k * 7 % 13:02d}" for k in range(images)]),
        caption_image=np.arange(images, dtype=np.int32),
        caption_index=np.zeros(images, np.int16),
        caption_text=Strings.from_texts(["dog"] * images),
        types=Strings.from_texts(["a", "b", "c"]),
        region_offset=np.arange(images + 1),
        region_box=np.tile(np.array([[0, 0, 1, 1]], np.float32), (images, 1)),
        item_caption=np.asarray(caption, np.int32),
        item_span=np.tile(np.array([[0, 3]], np.int32), (m, 1)),
        item_types=np.asarray(types, np.int32),
        item_kind=np.asarray(kind, np.uint8),
        item_scores=np.zeros((m, 3), np.float32),
        item_top=np.zeros((m, 2), np.float32),
        item_other=np.full((m, 2), -1, np.int32),
        attended=np.zeros(m, np.uint8),
        relevant=np.zeros(m, np.uint8),
        scored=np.ones(m, np.bool_),
    )
