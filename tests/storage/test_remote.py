"""Files at addresses: the same numbers, and no more bytes than are looked at."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import attneval
from servers import Sent, s3, web
from worlds import make_world

from attneval import ExportWriter, Options, Protocol, open_export, score
from attneval.errors import DataError, ExportError, GroundTruthError
from attneval.evaluation.parts import merge
from attneval.storage import remote
from attneval.storage.addresses import RemotePath, is_remote, located
from attneval.storage.digests import digest_of, partial_digest
from attneval.storage.read_files import open_to_read, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")
pytestmark = [
    pytest.mark.extras,
    # Connections of fsspec's own thread are closed when the interpreter ends.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large export with its annotations in one file: nearly all of it is maps."""
    made = tmp_path_factory.mktemp("served")
    world = make_world(1, images=60, captions=2)
    world.entities(made / "annotations.zip")
    random = np.random.default_rng(0)
    with ExportWriter(made / "maps.npz", normalised_over="regions") as out:
        for name, scene in world.scenes.items():
            out.add_image(name, size=(scene.width, scene.height), grid=(40, 40))
        for shown in world.shown:
            weights = random.dirichlet(np.ones(1600), len(shown.tokens)).astype(np.float32)
            out.add_caption(shown.image, weights, index=shown.index, tokens=shown.tokens)
    (made / "split.txt").write_text("\n".join(list(world.scenes)[:10]))
    np.save(made / "similarity.npy", random.random((60, len(world.shown))))
    (made / "good.npz").write_bytes((FIXTURES / "good.npz").read_bytes())
    (made / "grounding.json").write_bytes((FIXTURES / "grounding.json").read_bytes())
    return made


@pytest.fixture
def server(folder: Path) -> Iterator[Sent]:
    with web(folder) as sent:
        yield sent


FLAGS = ("--missing", "skip", "--overlap", "iof", "--resamples", "50", "-q", "-f", "csv")


def by_command(out: Path, *arguments: str | Path) -> dict[str, Any]:
    done = attneval("score", *arguments, *FLAGS, "-o", out)
    assert (done.code, done.err) == (0, "")
    values: dict[str, Any] = json.loads(out.read_text())
    return values


def without_inputs(values: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in values.items() if key != "inputs"})


@pytest.mark.parametrize("flags", [(), ("--jobs", "2")])
def test_a_web_server(folder: Path, server: Sent, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Every file of a scoring at an address."""
    names = ("maps.npz", "annotations.zip", "split.txt", "similarity.npy")
    both = []
    for place in (str(folder), server.address):
        maps, truth, split, similarity = (f"{place}/{name}" for name in names)
        arguments = (maps, "--gt", truth, "--split", split, "--similarity", similarity, *flags)
        both.append(by_command(tmp_path / "result.json", *arguments))
    assert without_inputs(both[0]) == without_inputs(both[1])
    whole, inputs = ({Path(item["path"]).name: item["sha256"] for item in values["inputs"]} for values in both)
    assert inputs["maps.npz"] == partial_digest(folder / "maps.npz")
    assert len(whole["maps.npz"]) == 64
    assert not [request for request in server.requests if request[0] == "GET" and not request[2]]
    if not flags:
        # Ten of sixty images, all columns, and what zip files say of themselves.
        assert server.size["maps.npz"] < 0.25 * (folder / "maps.npz").stat().st_size


def test_a_bucket(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with s3({name: folder / name for name in ("maps.npz", "annotations.zip", "split.txt")}) as sent:
        arguments = [f"s3://bucket/{name}" for name in ("maps.npz", "annotations.zip", "split.txt")]
        maps, truth, split = arguments
        monkeypatch.setenv("AWS_ENDPOINT_URL", sent.address)
        there = by_command(tmp_path / "there.json", maps, "--gt", truth, "--split", split)
        maps, truth, split = (str(folder / name) for name in ("maps.npz", "annotations.zip", "split.txt"))
        here = by_command(tmp_path / "here.json", maps, "--gt", truth, "--split", split)
        assert without_inputs(there) == without_inputs(here)
        assert [item["path"] for item in there["inputs"]] == [arguments[0], arguments[2], arguments[1]]
        assert not [request for request in sent.requests if request[0] == "GET" and not request[2]]
        assert sent.size["maps.npz"] < 0.25 * (folder / "maps.npz").stat().st_size


def test_all_of_an_export_is_read_once(folder: Path, server: Sent) -> None:
    """The blocks of a whole scoring fetch the file's bytes, and hardly any twice."""
    options = Options(resamples=0, cache=False)
    score(
        f"{server.address}/maps.npz",
        f"{server.address}/annotations.zip",
        protocol=Protocol(missing="skip", overlap="iof"),
        options=options,
    )
    assert server.size["maps.npz"] < 1.1 * (folder / "maps.npz").stat().st_size + 30 * remote.BLOCK_BYTES


def test_parts_fetch_their_part(folder: Path, tmp_path: Path) -> None:
    protocol, size, parts = Protocol(missing="skip", overlap="iof"), (folder / "maps.npz").stat().st_size, []
    with web(folder) as sent:
        maps = f"{sent.address}/maps.npz"
        for number in (1, 2, 3, 4):
            sent.size.clear()
            options = Options(resamples=20, part=(number, 4))
            parts.append(score(maps, folder / "annotations.zip", protocol=protocol, options=options))
            assert sent.size["maps.npz"] < 0.45 * size
        sent.size.clear()
        merged = merge(parts)
        assert sent.size["maps.npz"] < 0.15 * size  # no maps
        whole = score(maps, folder / "annotations.zip", protocol=protocol, options=Options(resamples=20))
        assert merged.to_json() == whole.to_json()


def test_a_cluster_reads_addresses(folder: Path, server: Sent, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    maps, truth = f"{server.address}/maps.npz", f"{server.address}/annotations.zip"
    there = by_command(tmp_path / "there.json", maps, "--gt", truth, "--engine", "dask", "--jobs", "2")
    here = by_command(tmp_path / "here.json", folder / "maps.npz", "--gt", folder / "annotations.zip")
    assert without_inputs(there) == without_inputs(here)


def test_annotations_that_are_read_whole(folder: Path, server: Sent, tmp_path: Path) -> None:
    there, here = (
        by_command(tmp_path / "result.json", f"{place}/good.npz", "--gt", f"{place}/grounding.json")
        for place in (server.address, folder)
    )
    assert without_inputs(there) == without_inputs(here)


def test_deflated_members_and_other_layouts(server: Sent, folder: Path) -> None:
    with np.load(folder / "good.npz") as data:
        np.savez_compressed(folder / "deflated.npz", **data)
    a, b = (open_export(f"{place}/deflated.npz") for place in (server.address, folder))
    rows = np.arange(5)
    assert np.array_equal(a.maps["t2i"].take(rows).flat, b.maps["t2i"].take(rows).flat)
    assert list(a.tokens(rows).text) == list(b.tokens(rows).text)


@pytest.mark.parametrize("name", ["nothing.npz", "folder/nothing.npz"])
def test_what_is_not_there(server: Sent, name: str) -> None:
    done = attneval("score", f"{server.address}/{name}", "--gt", FIXTURES / "entities")
    assert (done.code, done.out) == (2, "")
    assert f"error: {server.address}/{name}" in done.err
    done = attneval("score", FIXTURES / "good.npz", "--gt", f"{server.address}/nothing.zip")
    assert done.code == 2
    assert "nothing.zip does not exist" in done.err


def test_a_server_without_ranges(folder: Path) -> None:
    """Nothing is fetched whole behind the user's back."""
    with web(folder, ranges=False) as sent:
        done = attneval("score", f"{sent.address}/maps.npz", "--gt", FIXTURES / "entities")
        assert done.code == 2
        assert "ranges of bytes; copy it here first" in done.err
        assert "maps.npz" not in sent.size


def test_a_network_that_fails_is_asked_again(server: Sent, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    path = located(f"{server.address}/maps.npz")
    with open_to_read(path) as file:
        server.failures = remote.TRIES - 1
        assert file.read(100) == (folder / "maps.npz").read_bytes()[:100]
    with open_to_read(path) as file:
        server.failures = remote.TRIES
        with pytest.raises(OSError, match=r"bytes 0 to \d+ cannot be read .*503"):
            file.read(100)
    server.failures = 0


def test_a_file_that_shrinks_is_noticed(server: Sent, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    shrinking = folder / "shrinking.bin"
    shrinking.write_bytes(bytes(100_000))
    with open_to_read(located(f"{server.address}/shrinking.bin")) as file:
        shrinking.write_bytes(bytes(10))
        with pytest.raises(OSError, match="bytes"):
            file.read(50_000)


def test_ranges_are_those_of_the_file(server: Sent, folder: Path) -> None:
    data = bytes(np.random.default_rng(3).integers(0, 256, 20 * remote.BLOCK_BYTES + 77, np.uint8))
    (folder / "noise.bin").write_bytes(data)
    random = np.random.default_rng(4)
    with open_to_read(located(f"{server.address}/noise.bin")) as file:
        for _ in range(60):
            first, count = (int(number) for number in random.integers(0, len(data), 2))
            count //= int(random.integers(1, 2000))
            file.seek(first)
            assert file.read(count) == data[first : first + count]
        file.seek(0, os.SEEK_END)
        assert (file.tell(), file.read(5)) == (len(data), b"")
        file.seek(-3, os.SEEK_END)
        assert file.read() == data[-3:]
        with pytest.raises(OSError, match="no place"):
            file.raw.seek(-1, os.SEEK_SET)
    server.size.clear()
    assert read_bytes(located(f"{server.address}/noise.bin")) == data
    assert server.size["noise.bin"] == len(data)


def test_a_copy_has_the_same_partial_digest(server: Sent, folder: Path) -> None:
    path = located(f"{server.address}/maps.npz")
    assert digest_of(path) == partial_digest(path) == partial_digest(folder / "maps.npz")
    assert digest_of(folder / "maps.npz") != digest_of(folder / "good.npz")
    assert partial_digest(folder / "split.txt").startswith("partial:")


def test_addresses_as_paths() -> None:
    path = RemotePath("https://user:secret@host/a%20b/maps.tar.npz?X-Amz-Signature=abc&n=1")
    assert is_remote(path)
    assert str(path) == "https://...@host/a%20b/maps.tar.npz?..."
    assert (path.name, path.suffix, path.stem) == ("maps.tar.npz", ".npz", "maps.tar")
    again = pickle.loads(pickle.dumps(path))  # noqa: S301 - made here
    assert (again, hash(again), again.address) == (path, hash(path), path.address)
    assert located(path) is path
    assert str(located("s3://bucket/x?version=3")) == "s3://bucket/x?version=3"
    assert not is_remote(located("C:/maps.npz"))
    assert not is_remote(located("maps:1.npz"))
    assert is_remote(located("simplecache::s3://bucket/maps.npz"))
    assert str(path.parent / "x.zip") == str(RemotePath(f"{path.address.rpartition('/')[0]}/x.zip"))
    assert path != located("https://host/other")


def test_what_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("nosuch://bucket/maps.npz", "s3:///", "https://"):
        with pytest.raises(DataError, match=address[:3]):
            open_export(address)
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(DataError, match=r"s3://bucket/maps.npz needs fsspec; pip install '.\[remote\]' in a clone"):
        open_export("s3://bucket/maps.npz")
    with pytest.raises((GroundTruthError, DataError), match="needs fsspec"):
        score(FIXTURES / "good.npz", "s3://bucket/annotations.zip")


def test_results_are_written_here(tmp_path: Path) -> None:
    done = attneval("score", FIXTURES / "good.npz", "--gt", FIXTURES / "entities", "-o", "s3://bucket/result.json")
    assert done.code == 2
    assert "s3://bucket/result.json is an address" in done.err


def test_damaged_files_at_addresses(server: Sent, folder: Path) -> None:
    (folder / "cut.npz").write_bytes((folder / "good.npz").read_bytes()[:-50])
    with pytest.raises(ExportError, match=r"cut.npz is no complete .npz file"):
        open_export(f"{server.address}/cut.npz")
