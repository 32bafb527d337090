"""`attneval show`, and the overlays of `attneval inspect`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import hostile
import numpy as np
import pytest
from commands import attneval, environment, on_terminal
from here import Here
from pages import FIXTURES, GT, photographs, sizes_of
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

GOOD = FIXTURES / "good.npz"
FIRST = "700037"


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return photographs(tmp_path / "photos", sizes_of(GOOD))


def show(here: Here, *arguments: str | Path) -> Any:
    return here("show", GOOD, "--gt", GT, "--image", FIRST, *arguments)


def items(here: Here, **protocol: str) -> list[dict[str, Any]]:
    """The items of the first image, worst first, as inspect tells them."""
    flags = [part for name, value in protocol.items() for part in (f"--{name}", value)]
    assert here("score", GOOD, "--gt", GT, "--items", "-o", "all.json", "-q", *flags).code == 0
    listed: list[dict[str, Any]] = json.loads(
        here("inspect", "all.json", "--image", FIRST, "-n", "1000", "-f", "json").out
    )
    return listed


def test_words_in_a_pipe(here: Here, photos: Path) -> None:
    done = show(here, "--images", photos)
    assert done.code == 0
    assert "\x1b" not in done.out
    assert re.search(r"\[\w+\]", done.out)
    assert f"{FIRST}#" in done.out
    assert done.err.startswith("other items of these captions: ")
    assert show(here, "-q").err == ""


def test_the_worst_item_is_shown_or_the_one_with_a_word(here: Here) -> None:
    listed = items(here)
    worst = listed[0]
    out = " ".join(show(here).out.split())
    assert f"F1 {100 * worst['f1']:.1f}" in out
    other = next(i for i in listed if i["words"].lower() not in {"a", "the"} and i["caption"] != worst["caption"])
    done = show(here, "--caption", other["caption"].partition("#")[2], "--word", other["words"].upper())
    out = " ".join(done.out.split())
    assert f"[{other['words']}]" in out
    assert other["caption"] in out


def test_the_protocol_counts(here: Here) -> None:
    numbers = set()
    for rule in ("top:1", "top:5"):
        out = " ".join(show(here, "--threshold", rule).out.split())
        numbers.add(out.partition(" attended")[0].rpartition(" ")[2])
    assert numbers == {"1", "5"}


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_files(here: Here, photos: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"one.{suffix}"
    done = show(here, "--images", photos, "-o", path)
    assert (done.code, done.out) == (0, "")
    assert path.name in done.err
    first = path.read_bytes()
    assert show(here, "--images", photos, "-o", path).code == 0
    assert path.read_bytes() == first
    if suffix == "png":
        with Image.open(path) as picture:
            width, height = sizes_of(GOOD)[FIRST]
            assert picture.width == width
            assert picture.height > height
    else:
        assert b"data:image/jpeg" in first
    assert show(here, "-o", path).code == 0  # a frame without a photograph
    assert path.read_bytes() != first


def test_terminals(photos: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = ["show", GOOD, "--gt", GT, "--image", FIRST, "--images", photos, "-q"]
    done = on_terminal(*arguments, columns=40)
    assert done.code == 0
    blocks = [line for line in done.out.splitlines() if "\u2580" in line]
    assert len(blocks) > 5
    assert {line.count("\u2580") for line in blocks} == {40}
    kitty = on_terminal(*arguments, columns=40, TERM="xterm-kitty")
    assert kitty.out.startswith("\x1b_Gf=100,a=T,")
    plain = on_terminal(*arguments, columns=40, NO_COLOR="1")
    assert "\x1b" not in plain.out
    assert attneval(*arguments, "--picture", "sixel").out.startswith("\x1bPq")
    assert tmp_path.is_dir()


def test_what_cannot_be_shown_is_refused(here: Here, photos: Path, tmp_path: Path) -> None:
    def refused(*arguments: str | Path) -> str:
        return here.refused("show", GOOD, "--gt", GT, "--image", FIRST, *arguments)

    assert "no item of image" in refused("--word", "zeppelin")
    assert "has no items" in refused("--caption", "77")
    assert ".png or .svg" in refused("-o", "x.gif")
    (tmp_path / "none").mkdir()
    assert "no file of image" in refused("--images", tmp_path / "none")
    assert "not in" in here.refused("show", GOOD, "--gt", GT, "--image", "nobody", "--images", photos)


def test_overlays_of_the_worst_items(here: Here, photos: Path, tmp_path: Path) -> None:
    assert here("score", GOOD, "--gt", GT, "--items", "-o", "all.json", "-q").code == 0
    listed = json.loads(here("inspect", "all.json", "-n", "4", "-f", "json").out)
    folder = tmp_path / "overlays"
    plain = here("inspect", "all.json", "-n", "4", "--images", photos, "-o", "overlays")
    assert plain.code == 0
    assert plain.out == here("inspect", "all.json", "-n", "4").out
    names = sorted(path.name for path in folder.iterdir())
    expected = [f"{n:03d}-{item['caption'].replace('#', '_')}-" for n, item in enumerate(listed, 1)]
    assert [name.startswith(start) for name, start in zip(names, expected, strict=True)] == [True] * 4
    before = {name: (folder / name).read_bytes() for name in names}
    drawn: list[str | Path] = ["--attn", GOOD, "--gt", GT, "--images", photos]
    assert here("inspect", "all.json", "-n", "2", *drawn, "-o", folder, "--overlay-format", "svg").code == 0
    after = sorted(path.name for path in folder.iterdir())
    assert after == [name.replace("png", "svg") for name in names[:2]]  # those from before are gone
    assert b'class="map"' in (folder / after[0]).read_bytes()
    assert here("inspect", "all.json", "-n", "4", *drawn, "-o", folder, "-o", "more.json").code == 0
    assert json.loads((tmp_path / "more.json").read_text()) == listed
    with_maps = {name: (folder / name).read_bytes() for name in names}
    assert all(with_maps[name] != before[name] for name in names)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_folders_that_are_not_ours_are_left_alone(here: Here, photos: Path, tmp_path: Path) -> None:
    assert here("score", GOOD, "--gt", GT, "--items", "-o", "all.json", "-q").code == 0
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.tex").write_text("years of work")
    assert "holds other files (first: chapter.tex)" in here.refused(
        "inspect", "all.json", "--images", photos, "-o", other
    )
    assert (other / "chapter.tex").read_text() == "years of work"
    assert "add -o overlays/" in here.refused("inspect", "all.json", "--images", photos)
    assert "no directory" in here.refused("inspect", "all.json", "--images", photos, "-o", "no/where")
    assert "go together" in here.refused("inspect", "all.json", "--attn", GOOD, "-o", "overlays")
    drawn: list[str | Path] = ["--attn", FIXTURES / "twin.npz", "--gt", GT]
    assert "digests differ" in here.refused("inspect", "all.json", *drawn, "-o", "overlays")
    assert not (tmp_path / "overlays").exists()


def test_hostile_names_make_plain_files(here: Here, tmp_path: Path) -> None:
    result, export, gt, photos = hostile.scored(tmp_path)
    drawn: list[str | Path] = ["--attn", export, "--gt", gt, "--images", photos]
    assert here("inspect", result, *drawn, "-o", "overlays").code == 0
    names = [path.name for path in (tmp_path / "overlays").iterdir()]
    assert len(names) == 9
    assert all(re.fullmatch(r"\d{3}-[\w-]+\.png", name) for name in names)
    done = here("show", export, "--gt", gt, "--image", hostile.IMAGE, "--overlap", "iof", "--missing", "skip")
    assert done.code == 0
    assert "\u202e" not in done.out + done.err
    pixels = np.asarray(Image.open(tmp_path / "overlays" / names[0]))
    assert pixels.std() > 1


def test_one_channel_of_several_and_the_mean_of_a_layer(here: Here) -> None:
    def told(*channel: str) -> str:
        words = ("--image", "700222", "--word", "dog", "-q")
        done = here("show", FIXTURES / "heads.npz", "--gt", GT, *words, *channel)
        assert done.code == 0, done.err
        return str(done.out)

    def scored(channel: str) -> float:
        """The item's F1, as it is scored with the channel alone."""
        scoring = ("score", FIXTURES / "heads.npz", "--gt", GT, "--channel", channel, "--items", "-q")
        assert here(*scoring, "--resamples", "0", "-o", f"{channel}.json").code == 0
        chosen = ("inspect", f"{channel}.json", "--image", "700222", "--word", "dog", "-n", "1000", "-f", "json")
        values = {item["caption"]: item["f1"] for item in json.loads(here(*chosen).out)}
        caption = re.search(r"^(700222#\d)", told("--channel", channel), re.MULTILINE)
        assert caption is not None
        return float(values[caption[1]])

    for channel in ("L3H1", "L4H2", "L3"):
        assert f"F1 {100 * scored(channel):.1f}" in told("--channel", channel)
    assert told("--channel", "all") == told()
    assert told("--channel", "L4H2") != told()


def test_channels_that_one_image_cannot_choose_or_that_are_not_there_are_refused(here: Here) -> None:
    heads = ("show", FIXTURES / "heads.npz", "--gt", GT, "--image", "700222")
    done = here(*heads, "--channel", "top:3@half")
    assert (done.code, done.out) == (2, "")
    assert "top:3@half is chosen by the scores of many images" in done.err
    assert "attneval heads" in done.err
    assert "'L9H9' is none of the 20" in here(*heads, "--channel", "L9H9").err


@pytest.mark.parametrize("module", ["jinja2", "markupsafe", "PIL"])
def test_what_draws_says_which_extra_is_missing(tmp_path: Path, module: str) -> None:
    hidden = ["markupsafe", "jinja2"] if module == "markupsafe" else [module]  # the one comes with the other
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden})); from attneval.__main__ import main; sys.exit(main())"
    )
    stored = tmp_path / "result.json"
    scoring = ("score", GOOD, "--gt", GT, "--items", "-q", "--resamples", "0", "-o", stored)
    assert attneval(*scoring).code == 0
    report = ("report", stored, "-o", tmp_path / "page.html")
    overlays = ("inspect", stored, "-n", "1", "-o", tmp_path / "overlays")
    picture = ("show", GOOD, "--gt", GT, "--image", FIRST, "-o", tmp_path / "one.png")
    drawn: dict[str, list[tuple[str | Path, ...]]] = {"jinja2": [report], "PIL": [overlays, picture]}
    for arguments in drawn.get(module, [report, overlays, picture]):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "which is not installed; pip install '.[report]' in a clone" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"result.json", "result.items.npz"}
