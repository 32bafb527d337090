"""The index of parsed annotations: written once, read the same, and never in the way."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from attneval.groundtruth import index as cache
from attneval.groundtruth import open_ground_truth
from attneval.groundtruth.index import Cached, cache_folder, just_changed
from attneval.storage.digests import sha256_of_many

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.groundtruth import GroundTruth


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST", 2)
    monkeypatch.setattr(cache, "FINE", 0)  # these tests are quicker than that


def folder_of_indexes() -> Path:
    folder = cache_folder()
    assert folder is not None
    return folder


def written(folder: Path, count: int = 3) -> tuple[Path, list[str]]:
    """Annotations of some images, the second without a box, with types of their own and a flaw."""
    for part in ("Annotations", "Sentences"):
        (folder / part).mkdir(parents=True)
    names = [str(10 + k) for k in range(count)]
    for k, name in enumerate(names):
        edges = "".join(f"<{edge}>{9 * (k + 1)}</{edge}>" for edge in ("xmin", "ymin", "xmax", "ymax"))
        thing = "" if k == 1 else f"<object><name>1</name><bndbox>{edges}</bndbox></object>"
        size = f"<size><width>{100 + k}</width><height>80</height></size>"
        (folder / f"Annotations/{name}.xml").write_text(f"<annotation>{size}{thing}</annotation>", "utf-8")
        text = f"[/EN#1/people/kind{k} A café] .\n[/EN#1/people never closed\n"
        (folder / f"Sentences/{name}.txt").write_text(text, "utf-8")
    return folder, names


def read_and_saved(folder: Path, names: list[str]) -> tuple[bool, GroundTruth]:
    """Read in two blocks, as a run does; whether an index was used."""
    source = Cached(open_ground_truth(folder), names)
    blocks = [source.read(names[:2]), source.read(names[2:])]
    used = source.index is not None
    digests: dict[str, bytes] = {}
    for block in blocks:
        source.collect(block)
        digests |= block.digests
    source.sha256(digests)
    source.save(sha256_of_many(digests))
    return used, source.read(names)


def columns(truth: GroundTruth) -> dict[str, object]:
    values = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in vars(truth).items() if n != "digests"}
    # The bits of types mean the same whatever their order.
    bits = values.pop("phrase_types")
    names = [sorted(name for k, name in enumerate(truth.types) if b >> k & 1) for b in bits]
    return values | {"text": list(truth.text), "phrase_types": names}


def test_a_second_run_reads_the_same_from_the_index(tmp_path: Path) -> None:
    folder, names = written(tmp_path / "entities")
    first, parsed = read_and_saved(folder, names)
    again, indexed = read_and_saved(folder, names)
    assert (first, again) == (False, True)
    assert columns(indexed) == columns(parsed)
    assert parsed.warnings


def test_the_digest_is_kept(tmp_path: Path) -> None:
    folder, names = written(tmp_path / "entities")
    read_and_saved(folder, names)
    whole = open_ground_truth(folder).read(names)
    assert Cached(open_ground_truth(folder), names).sha256({}) == sha256_of_many(whole.digests)


def test_other_images_or_other_files_are_another_index(tmp_path: Path) -> None:
    folder, names = written(tmp_path / "entities")
    read_and_saved(folder, names)
    assert not read_and_saved(folder, names[::-1])[0]
    sentences = folder / f"Sentences/{names[0]}.txt"
    sentences.write_text("[/EN#1/people Another] .\n", "utf-8")
    used, truth = read_and_saved(folder, names)
    assert (used, truth.text[0]) == (False, "Another .")
    # Corners are read from the same files as other boxes.
    assert Cached(open_ground_truth(folder, edges="corner"), names).index is None


@pytest.mark.parametrize("damage", [b"", b"no zip file", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_index_is_written_again(tmp_path: Path, damage: bytes) -> None:
    folder, names = written(tmp_path / "entities")
    read_and_saved(folder, names)
    (index,) = folder_of_indexes().glob("*.npz")
    index.write_bytes(damage)
    assert not read_and_saved(folder, names)[0]
    assert read_and_saved(folder, names)[0]


def test_a_bit_that_was_lost_is_noticed(tmp_path: Path) -> None:
    folder, names = written(tmp_path / "entities")
    _, parsed = read_and_saved(folder, names)
    (index,) = folder_of_indexes().glob("*.npz")
    whole = index.read_bytes()
    for place in range(60, len(whole), 97):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        index.write_bytes(bytes(damaged))
        assert columns(Cached(open_ground_truth(folder), names).read(names)) == columns(parsed)


def test_few_images_and_part_of_a_run_leave_no_index(tmp_path: Path) -> None:
    folder, names = written(tmp_path / "entities")
    read_and_saved(folder, names[:1])
    source = Cached(open_ground_truth(folder), names)
    source.collect(source.read(names[:2]))
    source.save("0" * 64)
    assert not folder_of_indexes().exists()


def test_where_nothing_can_be_written_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in its place", "utf-8")
    folder, names = written(tmp_path / "entities")
    assert not read_and_saved(folder, names)[0]
    assert not read_and_saved(folder, names)[0]


def test_the_indexes_used_longest_ago_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT", 2)
    folder, names = written(tmp_path / "entities", 4)
    for chosen in (names, names[1:], names[2:]):
        read_and_saved(folder, chosen)
    assert len(list(folder_of_indexes().glob("*.npz"))) == 2
    assert Cached(open_ground_truth(folder), names[2:]).index is not None


def test_times_within_which_changes_may_look_the_same() -> None:
    second = 10**9
    now = 1_700_000_000 * second
    # Where times are whole seconds, a second change within one would not be seen.
    assert just_changed(now, now + second)
    assert not just_changed(now, now + 3 * second)
    assert not just_changed(now + 123_456, now + second)
    assert not just_changed(0, now)


def test_files_that_just_changed_have_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, names = written(tmp_path / "gt")
    source = open_ground_truth(folder)
    assert source.state(names)
    assert source.changed_ns > 0
    stat = os.stat

    def in_whole_seconds(path: str, **named: bool) -> SimpleNamespace:
        found, second = stat(path, **named), 10**9
        times = {name: getattr(found, name) // second * second for name in ("st_mtime_ns", "st_ctime_ns")}
        return SimpleNamespace(st_size=found.st_size, st_ino=found.st_ino, st_mode=found.st_mode, **times)

    with monkeypatch.context() as patched:
        patched.setattr("os.stat", in_whole_seconds)
        fresh = Cached(open_ground_truth(folder), names)
    assert not fresh.collecting
    assert fresh.index is None


def test_users_without_a_home_have_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, names = written(tmp_path / "gt")

    def no_home() -> Path:
        raise RuntimeError("there is no home")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", no_home)
    assert not Cached(open_ground_truth(folder), names).collecting
