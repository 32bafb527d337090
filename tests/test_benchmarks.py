"""What benchmarks compare with: evaluators of others, which find what we find, and what they found themselves."""

from __future__ import annotations

import importlib
import math
import threading
import time
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import reference_inputs
from benchmarks import growth
from benchmarks.beside import EXACT, PEERS, compare
from benchmarks.evaluators.inputs import read_annotations, read_maps
from benchmarks.evaluators.scan import evaluate_folds
from benchmarks.evaluators.word_pieces import joined, pieces_of
from benchmarks.made import write_entities, write_export
from benchmarks.peers import one_pass_over_pairs
from benchmarks.timing import rounds

from attneval import Options, Protocol, score

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = Options(resamples=0)
IMAGES = 12


def evaluator(name: str) -> Callable[..., dict[str, float]]:
    """An evaluator, `module` or `module.function`; the test skips where it needs what is not here."""
    module, _, function = name.partition(".")
    if module in {"mdetr", "info_ground", "gvd"}:
        pytest.importorskip("torch")
    if module == "quantus":
        pytest.importorskip("sklearn")
    if module == "multi_grounding":
        pytest.importorskip("scipy")
    found: Callable[..., dict[str, float]] = getattr(
        importlib.import_module(f"benchmarks.evaluators.{module}"), function or "evaluate"
    )
    return found


def ready(module: str, maps: Path, truth: Path, folder: Path) -> Path:
    """What an evaluator reads beside maps: what it makes once of the annotations, or the annotations."""
    if not any(peer.module == module and peer.prepared for peer in PEERS.values()):
        return truth
    evaluator(f"{module}.prepare")(maps, truth, folder)
    return folder


@pytest.mark.parametrize("name", PEERS)
def test_evaluators_of_phrases_find_what_we_find(tmp_path: Path, name: str) -> None:
    peer = PEERS[name]
    truth, maps = tmp_path / "entities", tmp_path / "maps.npz"
    write_export(maps, truth, write_entities(truth, IMAGES, None), grid=(14, 14) if peer.grid else None)
    given = ready(peer.module, maps, truth, tmp_path / "prepared")
    values = evaluator(f"{peer.module}.{peer.agreeing}")(maps, given)
    compare(peer.same, values, score(maps, truth, protocol=peer.protocol, options=QUICK), name)
    # The same with other maps of the same images are other values: the comparison can fail.
    write_export(maps, truth, [f"{number:07d}" for number in range(1, IMAGES)], grid=(14, 14) if peer.grid else None)
    with pytest.raises(AssertionError, match=name):
        compare(peer.same, values, score(maps, truth, protocol=peer.protocol, options=QUICK), name)


def test_the_evaluator_of_folds_finds_what_we_find(tmp_path: Path) -> None:
    scores = np.random.default_rng(3).standard_normal((20, 100)).astype(np.float32)
    scores[np.repeat(np.arange(20), 5), np.arange(100)] += 1
    np.save(tmp_path / "scores.npy", scores)
    values = evaluate_folds(tmp_path / "scores.npy")
    result = score(similarity=[tmp_path / "scores.npy"], protocol=Protocol(folds=5), options=QUICK)
    compare({name: (name, EXACT) for name in values if "_r@" in name or "meanr" in name}, values, result, "folds")
    assert 0.2 < values["t2i_r@1"] < 0.9


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "maps", "values"),
    [
        ("mdetr", "regions", {"r@1": 5.6360, "r@5": 27.4819, "r@10": 47.8025, "coverage": 81.3599}),
        ("info_ground", "regions", {"r@1": 5.8687, "r@5": 27.8180, "r@10": 48.0352, "pointing": 69.8552}),
        ("gvd", "regions", {"class_pointing": 5.1363, "pointing": 6.0238}),
        ("multi_grounding", "grid", {"pointing": 72.5398, "correctness": 63.2806, "boxes": 38.0506}),
    ],
)
def test_evaluators_find_what_those_they_follow_found(
    shared: Path, tmp_path: Path, name: str, maps: str, values: dict[str, float]
) -> None:
    path = shared / f"f8k285_{maps}.npz"
    unpacked(shared, tmp_path, [image for image, _, _ in read_maps(path).caption])
    found = evaluator(name)(path, ready(name, path, tmp_path, tmp_path / "prepared"))
    assert {key: round(100 * found[key], 4) for key in values} == values


def unpacked(shared: Path, folder: Path, images: list[str]) -> None:
    """The annotations of some images as files."""
    with zipfile.ZipFile(shared / "flickr8k_entities.zip") as archive:
        names = {"/".join(name.split("/")[-2:]): name for name in archive.namelist()}
        for name in (f"{part}" for image in images for part in (f"Annotations/{image}.xml", f"Sentences/{image}.txt")):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(archive.read(names[name]))


def test_annotations_are_read_as_the_reference_reads_them(fixtures: Path) -> None:
    images = sorted(path.stem for path in (fixtures / "entities" / "Annotations").iterdir())
    truth = read_annotations(fixtures / "entities", images)
    for image, expected in reference_inputs.read_entities(fixtures / "entities", images, edges="raw").items():
        assert truth.size[image] == expected.size
        for index, caption in expected.captions.items():
            own = [phrase for phrase in truth.captions[image][index] if "notvisual" not in phrase.types]
            spoken = [phrase for phrase in caption.phrases if phrase.entity]
            assert [phrase.entity for phrase in own] == [phrase.entity for phrase in spoken]
            words = [[word for word in phrase.words if any(map(str.isalnum, caption.words[word]))] for phrase in spoken]
            assert [phrase.places for phrase in own] == words
            assert [phrase.words for phrase in own] == [[caption.words[word] for word in row] for row in words]


def test_word_pieces_and_the_words_that_they_spell() -> None:
    vocabulary = {"two", "un", "##aff", "##able", "t", "-", "shirts", "cafe", "!", "$", "字"}
    text = "Two unaffable T-shirts! Café $ 字字 unable unfit"
    pieces = pieces_of(text, vocabulary)
    assert pieces == [
        *("two", "un", "##aff", "##able", "t", "-", "shirts", "!", "cafe", "$", "字", "字", "un", "##able", "[UNK]")
    ]
    words = ["Two", "unaffable", "T-shirts!", "cafe", "$", "字字", "unable"]
    assert joined(pieces, words) == [{0}, {1, 2, 3}, {4, 5, 6, 7}, {8}, {9}, {10, 11}, {12, 13}]


def test_pairs_that_share_an_area() -> None:
    regions = np.array([[[0, 0, 10, 10], [10, 0, 20, 10]], [[0, 0, 4, 4], [2, 2, 6, 6]]], np.float32)
    boxes = np.array([[5, 5, 15, 8], [0, 0, 10, 10], [3, 3, 5, 5]], np.float32)
    assert one_pass_over_pairs(regions, boxes, np.array([0, 0, 1])) == 2 + 1 + 2
    assert one_pass_over_pairs(regions, boxes, np.array([0, 0, 1]), at_once=2) == 5


def test_powers_of_growth() -> None:
    sizes = [10, 100, 1000]
    assert growth.power(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert growth.power(sizes, [-1.0, *map(float, sizes[1:])]) == pytest.approx(1.0)
    assert math.isnan(growth.power(sizes, [1.0, -1.0, -1.0]))


def test_growth_of_a_small_export(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    about: dict[str, Any] = {"regions": 4}
    small = growth.Growing("captions, four regions", (5, 10), lambda size: size // 5, lambda _: about)
    monkeypatch.setattr(growth, "ENTITIES", None)
    assert len(growth.measured(small, 10, 1)) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[:2] for line in lines[:2]] == [
        ["| captions, four regions", "5"],
        [lines[1].split(" | ")[0], "10"],
    ]
    assert lines[2].startswith("| - power of captions")


def test_rounds_wait_for_threads_of_their_tasks_alone() -> None:
    never, ended = threading.Event(), threading.Event()
    earlier = threading.Thread(target=never.wait, daemon=True)
    earlier.start()

    def left_behind() -> None:
        time.sleep(0.05)
        ended.set()

    def task() -> None:
        threading.Thread(target=left_behind).start()

    assert len(rounds([task], 1)[0]) == 1
    assert ended.is_set()
    assert earlier.is_alive()
    never.set()
