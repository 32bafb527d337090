"""Overlays against slow references: outlines, brightness, pictures for terminals, files."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import hostile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attneval.errors import DataError
from attneval.report.overlay.outline import loops, outline
from attneval.report.overlay.photos import Photos, as_data_uri, read_photo, shrunk
from attneval.report.overlay.picture import black_png, lines, tiled
from attneval.report.overlay.raster import ATTENDED, pictured
from attneval.report.overlay.scene import Scene, brightness
from attneval.report.overlay.terminal import WAYS, on_terminal, way_of
from attneval.report.overlay.vector import pieces, vector
from attneval.report.overlay.words import described, lines_of, marked

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BOXES = st.lists(
    st.tuples(*[st.integers(0, 7)] * 2, *[st.integers(1, 5)] * 2).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])),
    max_size=6,
)


def scene(**changes: Any) -> Scene:
    """Four cells of an image of 40 by 20, the second and the third attended, the third and the fourth relevant."""
    box = np.array([[0, 0, 20, 10], [20, 0, 40, 10], [0, 10, 20, 20], [20, 10, 40, 20]], np.float64)
    values: dict[str, Any] = {
        "image_id": "7",
        "size": (40, 20),
        "box": box,
        "weight": np.array([0.1, 0.4, 0.3, 0.2]),
        "attended": np.array([False, True, True, False]),
        "relevant": np.array([False, False, True, True]),
        "shapes": np.array([[0.0, 8, 38, 20]]),
        "mask": None,
        "caption": "a small dog and a cat",
        "caption_id": "7#0",
        "word": (8, 11),
        "phrase": (0, 11),
        "other": (16, 21),
        "kind": "spilled",
        "scores": (0.5, 0.5, 0.5),
    }
    return Scene(**{**values, **changes})


@given(BOXES)
def test_an_outline_is_where_the_union_ends(boxes: list[tuple[int, int, int, int]]) -> None:
    covered = {(x, y) for a, b, c, d in boxes for x in range(a, c) for y in range(b, d)}
    expected = set()
    for x, y in covered:
        for other, edge in (
            ((x - 1, y), (x, y, x, y + 1)),
            ((x + 1, y), (x + 1, y, x + 1, y + 1)),
            ((x, y - 1), (x, y, x + 1, y)),
            ((x, y + 1), (x, y + 1, x + 1, y + 1)),
        ):
            if other not in covered:
                expected.add(edge)
    found: list[tuple[float, float, float, float]] = []
    for x1, y1, x2, y2 in outline(np.array(boxes, np.float64).reshape(-1, 4)):
        assert (x1 == x2) != (y1 == y2)
        if y1 == y2:
            found += [(x, y1, x + 1, y1) for x in range(int(x1), int(x2))]
        else:
            found += [(x1, y, x1, y + 1) for y in range(int(y1), int(y2))]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_an_outline_as_a_path() -> None:
    assert lines(outline(np.array([[0.0, 0, 2.25, 1]]))) == "M0 0H2.2V1H0Z"
    assert outline(np.zeros((0, 4))) == []


@given(BOXES)
def test_loops_walk_every_line_once(boxes: list[tuple[int, int, int, int]]) -> None:
    segments = outline(np.array(boxes, np.float64).reshape(-1, 4))
    walked = []
    for corners in loops(segments):
        assert len(corners) >= 4
        for place, (here, there) in enumerate(zip(corners, [*corners[1:], corners[0]], strict=True)):
            (x1, y1), (x2, y2) = sorted((here, there))
            assert (y1 == y2) == (place % 2 == 0)  # level and upright in turn
            walked.append((x1, y1, x2, y2))
    assert sorted(walked) == sorted(segments)


@given(BOXES.filter(bool), st.integers(0, 2**32 - 1))
def test_a_pixel_has_the_largest_weight_over_its_centre(boxes: list[tuple[int, int, int, int]], seed: int) -> None:
    weight = np.random.default_rng(seed).random(len(boxes))
    shown = scene(box=np.array(boxes, np.float64), size=(12, 12), weight=weight)
    field = brightness(shown, 24, 18)
    assert field is not None
    for row in range(18):
        for column in range(24):
            x, y = (column + 0.5) / 2, (row + 0.5) * 12 / 18
            over = [w for w, (a, b, c, d) in zip(weight, boxes, strict=True) if a <= x < c and b <= y < d]
            assert field[row, column] == pytest.approx(max(over, default=0.0) / weight.max())


def test_brightness_without_weights() -> None:
    assert brightness(scene(weight=None), 4, 4) is None
    dark = brightness(scene(weight=np.zeros(4)), 4, 4)
    assert dark is not None
    assert (dark == 0).all()


def test_masks_are_drawn_where_they_are_scored() -> None:
    mask = np.zeros((4, 8), np.bool_)
    mask[1:3, 2:4] = mask[2, 4] = True
    shown = scene(mask=mask)
    assert set(shown.annotated) == {
        (10.0, 5.0, 20.0, 5.0),
        (20.0, 10.0, 25.0, 10.0),
        (10.0, 15.0, 25.0, 15.0),
        (10.0, 5.0, 10.0, 15.0),
        (20.0, 5.0, 20.0, 10.0),
        (25.0, 10.0, 25.0, 15.0),
    }
    assert re.search('class="an"[^>]*><path', vector(shown, None))
    boxed = np.asarray(pictured(scene(attended=np.zeros(4, np.bool_)), None, text=False))
    masked = np.asarray(pictured(scene(attended=np.zeros(4, np.bool_), mask=mask), None, text=False))
    assert (boxed != masked).any()
    assert len(scene().annotated) == 4
    assert scene(shapes=None).annotated == []


def test_cells_are_told_from_boxes() -> None:
    edge = np.arange(4)
    cells = np.array([[x, y, x + 1, y + 1] for y in edge for x in edge], np.float64)
    assert tiled(cells)
    assert not tiled(np.concatenate((cells, cells[:1])))
    assert not tiled(cells[:5])


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_png_of_levels_is_read_back(height: int, width: int, seed: int) -> None:
    alpha = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    head, _, data = black_png(alpha).partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert (pixels[..., 3] == alpha).all()
    assert (pixels[..., :3] == 0).all()


def test_a_picture_shows_its_map_and_what_was_attended() -> None:
    photo = Image.new("RGB", (40, 20), (200, 200, 200))
    pixels = np.asarray(pictured(scene(attended=np.zeros(4, np.bool_), shapes=None), photo, text=False))
    for (x, y), share in (((10, 5), 0.25), ((30, 5), 1.0), ((10, 15), 0.75), ((30, 15), 0.5)):
        assert pixels[y, x, 0] == round(200 * (1 - 0.6 * (1 - share)))
    drawn = np.asarray(pictured(scene(shapes=None), photo, text=False))
    # The strongest is drawn in full, on the border of the second cell, two pixels wide.
    assert [tuple(drawn[y, 30]) == ATTENDED for y in range(7, 13)].count(True) == 2
    assert [tuple(drawn[y, 30]) == ATTENDED for y in range(9, 12)].count(True) == 2
    white = np.asarray(pictured(scene(attended=np.zeros(4, np.bool_)), photo, text=False))
    assert (white.reshape(-1, 3) == 255).all(axis=1).sum() > 20
    whole = pictured(scene(), photo)
    assert whole.width == 40
    assert whole.height > 60
    assert np.asarray(pictured(scene(weight=None), None, text=False)).shape == (20, 40, 3)


def test_words_of_a_scene() -> None:
    assert marked(scene()) == "a small [dog] and {a cat}"
    assert pieces(scene()) == [("a small ", "phrase"), ("dog", "phrase word"), (" and ", ""), ("a cat", "other")]
    assert " ".join(lines_of(scene(), 10)) == "a small [dog] and {a cat}"
    assert all(len(line) <= 40 for line in described(scene(), 40))
    assert " ".join(described(scene(), 40)) == (
        "7#0  spilled: F1 50.0, precision 50.0, recall 50.0; 2 attended, 2 relevant, 1 both, of 4"
    )
    assert "\x1b" not in marked(scene(caption="a\x1b[2Jdog", word=(0, 1), phrase=None, other=None))


def test_a_drawing_of_its_own_is_well_formed() -> None:
    photo = Image.new("RGB", (40, 20), (200, 10, 20))
    text = vector(scene(), photo)
    root = ET.fromstring(text)  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert root.attrib["viewBox"].startswith("0 0 40 ")
    assert "".join("".join(node.itertext()) for node in root.findall(f".//{space}text")[:3]).startswith("a small dog")
    words = [node.text for node in root.iter(f"{space}tspan") if "word" in node.attrib.get("class", "").split()]
    assert words == ["dog"]
    (annotated,) = root.findall(f".//{space}g[@class='an']/{space}rect")
    assert [annotated.attrib[name] for name in ("x", "y", "width", "height")] == ["0", "8", "38", "12"]
    for node in root.iter():
        assert all(value.startswith(("#", "data:image/")) for key, value in node.attrib.items() if key.endswith("href"))


def test_a_hostile_drawing_is_inert() -> None:
    caption = hostile.CAPTION + " \x00\x1b \ud800 \ufffe"
    text = vector(scene(caption=caption, image_id=hostile.IMAGE, word=(0, 5), phrase=None, other=None), None)
    root = ET.fromstring(text)  # noqa: S314
    assert {node.tag.rpartition("}")[2] for node in root.iter()} <= {
        "svg",
        "title",
        "style",
        "rect",
        "g",
        "text",
        "tspan",
        "image",
        "path",
    }
    told = "".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}tspan"))
    assert told == hostile.CAPTION + " \ufffd\ufffd \ufffd \ufffd"


def test_photographs_are_found_by_ids(tmp_path: Path) -> None:
    (tmp_path / "within").mkdir()
    files = {
        "36979.jpg": "36979",
        "within/COCO_val2014_000000000042.png": "42",
        "000000000007.JPG": "7",
        "a b.webp": "a b",
    }
    for name in files:
        Image.new("RGB", (4, 3)).save(tmp_path / name, "PNG")
    (tmp_path / "notes.txt").write_text("no image")
    photos = Photos(tmp_path)
    for name, image_id in files.items():
        assert photos.find(image_id) == tmp_path / name
    for image_id in ("notes", "1", "../36979", "", "2014", "val2014_000000000042"):
        assert photos.find(image_id) is None
    assert photos.read("1", (4, 3)) is None
    assert photos.sizes(["36979", "1"]) == {"36979": (4, 3)}


def test_photographs_have_the_proportions_that_were_annotated(tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    Image.new("RGB", (400, 300), (1, 2, 3)).save(path)
    assert read_photo(path, (800, 600)).size == (400, 300)
    assert read_photo(path, (401, 300)).size == (400, 300)
    with pytest.raises(DataError, match="400 x 300 pixels, annotated are 300 x 400"):
        read_photo(path, (300, 400))
    turned = tmp_path / "2.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (400, 300)).save(turned, exif=exif)
    assert read_photo(turned, (300, 400)).size == (300, 400)
    assert read_photo(turned, (400, 300)).size == (400, 300)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16"])
def test_photographs_of_any_kind(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "1.tif"
    Image.new(mode, (6, 4)).save(path)
    assert read_photo(path, (6, 4)).mode == "RGB"


def test_broken_photographs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "1.jpg"
    Image.new("RGB", (64, 64)).save(path)
    whole = path.read_bytes()
    for data in (b"", b"\xff\xd8\xff", whole[: len(whole) // 2], b"<svg/>"):
        path.write_bytes(data)
        with pytest.raises(DataError, match="cannot be read as an image"):
            read_photo(path, None)
    path.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_photo(path, None)
    with pytest.raises(DataError, match="no folder of images"):
        Photos(path)


def test_smaller_copies() -> None:
    assert shrunk(Image.new("RGB", (1000, 500)), 420).size == (420, 210)
    assert shrunk(Image.new("RGB", (100, 500)), 420).size == (84, 420)
    small = Image.new("RGB", (30, 20))
    assert shrunk(small, 420) is small
    head, _, data = as_data_uri(small).partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (30, 20)


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "mlterm"}, "sixel"),
        ({"TERM": "xterm-256color"}, "blocks"),
        ({"TERM": "screen-256color", "KITTY_WINDOW_ID": "1"}, "blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "x"}, "blocks"),
        ({}, "blocks"),
    ],
)
def test_what_a_terminal_can_show(environment: dict[str, str], way: str) -> None:
    assert way_of(environment) == way


def shown_by_blocks(text: str) -> NDArray[np.uint8]:
    """What a terminal would show: rows of upper and lower halves."""
    rows = []
    for line in text.splitlines():
        upper, lower = [], []
        colours = [0] * 6
        for code, block in re.findall("\x1b\\[([\\d;]*)m|(\u2580)", line):
            if block:
                upper.append(colours[:3])
                lower.append(colours[3:])
            elif code != "0":
                numbers = [int(number) for number in code.split(";")]
                assert numbers[:2] == [38, 2]
                assert numbers[5:7] == [48, 2]
                colours = [*numbers[2:5], *numbers[7:]]
        assert line.endswith("\x1b[0m")
        rows += [upper, lower]
    return np.array(rows, np.uint8)


def shown_by_sixels(text: str) -> NDArray[np.uint8]:
    assert text.startswith("\x1bPq")
    assert text.endswith("\x1b\\\n")
    size = re.match(r'\x1bPq"1;1;(\d+);(\d+)', text)
    assert size
    width, height = int(size[1]), int(size[2])
    pixels, palette = np.zeros((height + 6, width, 3)), {}
    x = y = colour = 0
    for token in re.finditer(r"#(\d+)(;2;(\d+);(\d+);(\d+))?|(?:!(\d+))?([?-~])|([$-])", text[size.end() : -3]):
        if token[1]:
            colour = int(token[1])
            if token[2]:
                palette[colour] = [int(token[k]) * 2.55 for k in (3, 4, 5)]
        elif token[8]:
            x, y = 0, y + 6 * (token[8] == "-")
        else:
            for _ in range(int(token[6] or 1)):
                for bit in range(6):
                    if (ord(token[7]) - 63) >> bit & 1:
                        pixels[y + bit, x] = palette[colour]
                x += 1
            assert x <= width
    return np.rint(pixels[:height]).astype(np.uint8)


@given(st.integers(1, 30), st.integers(1, 25), st.integers(0, 2**32 - 1))
def test_terminals_show_the_picture(width: int, height: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    palette = random.integers(0, 256, (9, 3), np.uint8)
    pixels = palette[random.integers(0, 9, (height, width))]
    picture = Image.fromarray(pixels)
    sixels = shown_by_sixels(on_terminal(picture, "sixel", 80))
    assert np.abs(sixels.astype(int) - pixels).max() <= 2  # a hundred steps of each colour
    if height % 2 == 0:
        assert (shown_by_blocks(on_terminal(picture, "blocks", 80)) == pixels).all()
    kitty = on_terminal(picture, "kitty", 80)
    chunks = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", kitty)
    assert chunks[0][0].startswith("f=100,a=T,")
    assert [head[-1] for head, _ in chunks] == ["1"] * (len(chunks) - 1) + ["0"]
    iterm = re.fullmatch(
        r"\x1b\]1337;File=inline=1;size=(\d+);preserveAspectRatio=1:(.*)\x07\n", on_terminal(picture, "iterm", 80)
    )
    assert iterm
    assert len(base64.b64decode(iterm[2])) == int(iterm[1])
    for data in ("".join(chunk for _, chunk in chunks), iterm[2]):
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert (np.asarray(image) == pixels).all()


@pytest.mark.parametrize("way", WAYS)
def test_pictures_fit_the_width(way: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 900, 3), np.uint8)
    text = on_terminal(Image.fromarray(noise), way, 30)
    if way == "blocks":
        assert shown_by_blocks(text).shape[:2] == (10, 30)
    elif way == "sixel":
        assert shown_by_sixels(text).shape[:2] == (100, 300)
    else:
        data = "".join(re.findall(r"m=\d;([^\x1b]*)", text)) or text.partition("Ratio=1:")[2].rstrip("\x07\n")
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.size == (300, 100)
        assert all(len(chunk) <= 4096 for chunk in re.findall(r"m=\d;([^\x1b]*)", text))


def test_what_the_font_of_pictures_lacks_is_no_empty_box() -> None:
    from PIL import ImageFont

    from attneval.report.overlay.raster import _legible

    font = ImageFont.load_default(15)
    assert _legible("a  [dog], F1 15.4", font, 20) == ["a  [dog], F1 15.4"]
    assert _legible("a café in Łódź", font, 40) == ["a cafe in \\u0141odz"]
    assert _legible("cafe\u0301", font, 40) == ["cafe"]
    spelled = _legible("\u4e2d \u6587 \u5b57", font, 14)
    assert spelled == ["\\u4e2d \\u6587", "\\u5b57"]
