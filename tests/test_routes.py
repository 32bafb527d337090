"""Routes of README.md, which run as printed, and pictures of docs/troubleshooting.md, which show what is."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from commands import attneval

import attneval as attneval_package

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TROUBLE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^\*\*(.+?)\*\*.*?^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
ROUTES = dict(BLOCK.findall(README.partition("## You have ...")[2].partition("## Five lines")[0]))
LARGEST = 15_000
"""Bytes of a picture."""


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a block that this machine can run: nothing is installed, and no model is fetched."""
    for line in text.splitlines():
        words = shlex.split(line)
        if words[:1] == ["attneval"] and words[1] != "export":
            yield words[1:]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script of the pictures makes."""
    pytest.importorskip("PIL")
    folder = tmp_path_factory.mktemp("pictures")
    runpy.run_path(str(ROOT / "docs" / "low-f1" / "make.py"))["make"](folder)
    return folder


@pytest.fixture
def newcomer(tmp_path: Path, pictures: Path) -> Path:
    """A folder with what somebody has, under the names of README.md."""
    (tmp_path / "flickr30k_entities").symlink_to(ROOT / "fixtures" / "entities")
    (tmp_path / "photos").symlink_to(pictures / "photos")
    shutil.copy(ROOT / "fixtures" / "heads.npz", tmp_path / "maps.npz")
    random = np.random.default_rng(0)
    for name in ("similarity", "similarity_before"):
        np.save(tmp_path / f"{name}.npy", random.random((6, 30)))
    return tmp_path


def run(command: list[str], folder: Path) -> None:
    done = attneval(*command, cwd=folder)
    assert done.code == 0, (command, done.err)


def test_there_is_a_route_for_everything_that_people_have() -> None:
    assert [name.partition(",")[0].partition(" that")[0] for name in ROUTES] == [
        "Word-to-region maps and boxes",
        "A grid of patches",
        "A vision-language model",
        "A `.pt` or `.safetensors` of tensors",
        "Only similarities",
        "A pipeline",
        "More than one machine",
    ]
    assert all(len(block.splitlines()) == 3 for block in ROUTES.values())


@pytest.mark.parametrize("name", ROUTES)
def test_routes_run_as_they_are_printed(newcomer: Path, name: str) -> None:
    block = ROUTES[name]
    if "grid.npz" in block:
        write_grid_of_heads(newcomer / "grid.npz")
    if "maps.pt" in block:
        torch = pytest.importorskip("torch")
        with np.load(ROOT / "fixtures" / "uniform.npz") as stored:
            members = {key: torch.from_numpy(value) for key, value in stored.items() if value.dtype.kind in "iuf"}
            listed = {key: value.tolist() for key, value in stored.items() if value.dtype.kind == "U"}
        torch.save(members | listed, newcomer / "maps.pt")
    if "--baseline main.json" in block:
        run(["score", "maps.npz", "--gt", "flickr30k_entities/", "-o", "main.json", "-q"], newcomer)
    for command in commands(block):
        run(command, newcomer)
    for written in re.findall(r" -o (\S+)", block):
        assert (newcomer / written).exists(), written


def write_grid_of_heads(path: Path) -> None:
    """A layer of two heads on a grid: the maps of a sound export, and even ones."""
    made = runpy.run_path(str(ROOT / "docs" / "low-f1" / "make.py"))
    cells = made["CELLS"]
    with attneval_package.ExportWriter(path, normalised_over="regions", channels=[(0, 0), (0, 1)]) as out:
        for scene, captions in made["scenes"]():
            out.add_image(scene.name, size=scene.size, grid=(cells, cells))
            for index, (text, entities) in enumerate(captions):
                maps = np.stack((made["sound"](scene, entities), made["even"](scene, entities)))
                out.add_caption(scene.name, maps, index=index, text=text, tokens=text.split())


# ---------------------------------------------------------------- pictures

SAYS = re.compile(r"!\[[^\]]+\]\(low-f1/(\w+)\.png\)\n(.*?)(?=\n!\[|\Z)", re.DOTALL)


def test_every_section_on_the_cause_of_a_low_f1_has_its_picture() -> None:
    names = [name for name, _ in SAYS.findall(TROUBLE)]
    assert names == list(runpy.run_path(str(ROOT / "docs" / "low-f1" / "make.py"))["PICTURES"])
    assert {path.stem for path in (ROOT / "docs" / "low-f1").glob("*.png")} == set(names)


def test_pictures_are_those_that_the_script_makes(pictures: Path) -> None:
    from PIL import Image

    for path in sorted((ROOT / "docs" / "low-f1").glob("*.png")):
        assert path.stat().st_size < LARGEST, path.name
        with Image.open(path) as kept, Image.open(pictures / path.name) as made:
            pair = [np.asarray(image.convert("RGB"), np.int64) for image in (kept, made)]
        assert pair[0].shape == pair[1].shape
        # Versions of Pillow draw letters and choose colours a little differently.
        assert np.abs(pair[0] - pair[1]).mean() < 6, path.name


def test_the_pictures_exports_are_said_to_be_what_they_are(pictures: Path) -> None:
    said_by_page = {
        name: " ".join(match[1].split())
        for name, text in SAYS.findall(TROUBLE)
        if (match := re.search(r"attneval says:\n\n((?:    .*\n)+)", text))
    }
    assert set(said_by_page) == {"coverage", "floors", "coordinates", "order", "rows", "sinks"}
    for path in sorted((pictures / "exports").glob("*.npz")):
        flags = ("--overlap", "iou") if path.stem == "coverage" else ()
        gt = ("--gt", ROOT / "fixtures" / "entities")
        scored = attneval("score", path, *gt, *flags)
        said = " ".join((scored.out + attneval("validate", path, *gt).out).split())
        if path.stem in said_by_page:
            assert said_by_page[path.stem] in said, path.stem
        else:
            assert "warning:" not in said, path.stem
            assert "its highest floor" not in said, path.stem
    sound = attneval("score", pictures / "exports" / "sound.npz", "--gt", ROOT / "fixtures" / "entities").out
    assert re.search(r"Attention F1 +80\.2", sound)


# ---------------------------------------------------------------- commands above outputs


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_above_every_output_stands_its_command(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"<!-- (?:output|terminal): (attneval .*?) -->\n```text\n", text):
        before = re.findall(r"^```(?:console|sh)\n(.*?)^```\n", text[: match.start()], re.DOTALL | re.MULTILINE)
        assert before, match[1]
        assert match[1] in before[-1].replace("\\\n", " "), f"{page.name}: {match[1]}"
        # Nothing but prose stands between the two.
        between = text[: match.start()].rpartition("```\n")[2]
        assert "\n#" not in between
