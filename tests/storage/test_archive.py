"""Members of an `.npz`: mapped where they are stored, and nothing that could be a trap."""

from __future__ import annotations

import mmap
import shutil
import struct
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import assert_says, saved, zipped

from attneval.errors import ExportError
from attneval.storage import zip_files as module
from attneval.storage.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]

ARRAYS: dict[str, Array] = {
    "single": np.arange(24, dtype=np.float32).reshape(6, 4),
    "half": np.arange(24, dtype=np.float16).reshape(6, 2, 2),
    "double": np.linspace(0, 1, 6),
    "bytes": np.arange(6, dtype=np.uint8),
    "short": np.arange(12, dtype=np.int16).reshape(6, 2),
    "long": np.arange(6) * 10**12,
    "text": np.array(["a", "", "café", "日本", "😀", "x"]),
    "flags": np.array([True, False, True, True, False, False]),
    "big_endian": np.arange(12, dtype=">f4").reshape(6, 2),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.float32).reshape(6, 4)),
    "fortran_cube": np.asfortranarray(np.arange(48, dtype=np.int32).reshape(6, 4, 2)),
}


def npy(descr: str, shape: str, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An npy file with a header of one's own: `descr` and `shape` are Python literals."""
    return _npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}", body, version)


def _npy(header: str, body: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + body


def refused(path: Path) -> str:
    with pytest.raises(ExportError) as caught:
        Archive(path)
    return str(caught.value)


def patched(path: Path, member: str, field: int, *values: int, layout: str) -> Path:
    """Overwrite a field of a member's entry in the zip's central directory."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        directory = archive.start_dir
        for info in archive.infolist():
            if info.filename == f"{member}.npy":
                break
            directory += 46 + len(info.filename.encode())
    assert data[directory : directory + 4] == b"PK\x01\x02"
    struct.pack_into(layout, data, directory + field, *values)
    path.write_bytes(data)
    return path


def mapping_of(array: Array) -> mmap.mmap:
    """The mapping whose pages an array shows."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    assert isinstance(base, mmap.mmap)
    return base


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
@pytest.mark.parametrize("name", ARRAYS)
def test_members_and_windows_are_what_numpy_loads(tmp_path: Path, name: str, save: Callable[..., None]) -> None:
    path = tmp_path / "maps.npz"
    save(path, **ARRAYS)
    archive = Archive(path)
    with np.load(path) as data:
        expected = data[name]
    assert archive.names == tuple(ARRAYS)
    assert archive.shape(name) == expected.shape
    assert archive.dtype(name) == expected.dtype
    np.testing.assert_array_equal(archive.array(name), expected, strict=True)
    for start, stop in ((0, 6), (0, 0), (2, 3), (1, 5), (5, 6), (6, 6)):
        np.testing.assert_array_equal(archive.window(name, start, stop), expected[start:stop], strict=True)


def test_a_window_of_a_stored_member_maps_its_own_pages_alone(tmp_path: Path) -> None:
    values = np.arange(2**18, dtype=np.float32).reshape(-1, 256)  # a megabyte
    archive = Archive(saved(tmp_path / "maps.npz", {"before": np.zeros(1000), "attention": values}))
    window = archive.window("attention", 500, 503)
    assert window.tolist() == values[500:503].tolist()
    mapped = mapping_of(window)
    assert window.nbytes <= len(mapped) < window.nbytes + mmap.ALLOCATIONGRANULARITY
    assert len(mapping_of(archive.array("attention"))) >= values.nbytes


def test_windows_outlive_the_archive_and_the_name_of_the_file(tmp_path: Path) -> None:
    archive = Archive(saved(tmp_path / "maps.npz", {"attention": np.arange(5000)}))
    window = archive.window("attention", 4000, 4003)
    del archive
    (tmp_path / "maps.npz").unlink()
    assert window.tolist() == [4000, 4001, 4002]


def test_windows_cannot_be_written_to(tmp_path: Path) -> None:
    archive = Archive(saved(tmp_path / "maps.npz", {"attention": np.zeros(3)}))
    for array in (archive.window("attention", 0, 2), archive.array("attention")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_deflated_member_is_inflated_once(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "maps.npz", attention=np.arange(10))
    archive = Archive(tmp_path / "maps.npz")
    whole = archive.array("attention")
    assert archive.array("attention") is whole
    assert np.shares_memory(archive.window("attention", 3, 5), whole)


def test_members_are_read_at_any_offset(tmp_path: Path) -> None:
    # A local header has 30 bytes, the name, and 20 of zip64 sizes, so names of every length give every remainder.
    members = {"abcdefgh"[:length]: np.arange(5, dtype=np.float64) + length for length in range(1, 9)}
    archive = Archive(saved(tmp_path / "maps.npz", members))
    assert {archive.array(name).flags.aligned for name in members} == {True, False}
    for length, name in enumerate(members, start=1):
        assert archive.array(name).tolist() == [length, length + 1, length + 2, length + 3, length + 4]
        assert archive.window(name, 1, 3).sum() == 3 + 2 * length


@pytest.mark.parametrize("large", [True, False], ids=["zip64", "plain"])
def test_local_headers_with_and_without_zip64_sizes(tmp_path: Path, large: bool) -> None:
    path = tmp_path / "maps.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("attention.npy", "w", force_zip64=large) as stream:
        np.save(stream, np.array([7, 8, 9]))
    (extra,) = struct.unpack_from("<H", path.read_bytes(), 28)
    assert extra == (20 if large else 0)
    assert Archive(path).window("attention", 1, 3).tolist() == [8, 9]


def test_numpy_writes_zip64_headers(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", {"attention": np.zeros(2)})
    assert struct.unpack_from("<H", path.read_bytes(), 28) == (20,)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0), (0, 0, 2)], ids=str)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_members_without_entries(tmp_path: Path, shape: tuple[int, ...], save: Callable[..., None]) -> None:
    save(tmp_path / "maps.npz", attention=np.zeros(shape, np.float32), last=np.ones(1))
    archive = Archive(tmp_path / "maps.npz")
    assert archive.array("attention").shape == shape
    assert archive.window("attention", 0, shape[0]).shape == shape
    assert archive.array("last").tolist() == [1]


def test_a_member_of_one_number(tmp_path: Path) -> None:
    archive = Archive(saved(tmp_path / "maps.npz", {"number": np.array(5), "meta": np.array("{}")}))
    assert archive.array("number").shape == ()
    assert archive.array("number") == 5
    assert str(archive.array("meta")) == "{}"


@pytest.mark.parametrize("version", [(1, 0), (2, 0)], ids=str)
def test_npy_versions_that_are_read(tmp_path: Path, version: tuple[int, int]) -> None:
    path = zipped(tmp_path / "maps.npz", {"m.npy": npy("'<i4'", "(2,)", struct.pack("<2i", 3, -4), version)})
    assert Archive(path).array("m").tolist() == [3, -4]


def test_an_empty_zip_has_no_members(tmp_path: Path) -> None:
    assert Archive(zipped(tmp_path / "maps.npz", {})).names == ()


# ---------------------------------------------------------------- refusals

NUMBERS = np.arange(4, dtype="<f4").tobytes()
HEADER = len(npy("'<f4'", "(4,)"))


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_pickled_objects_are_refused_without_running_them(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    np.savez(tmp_path / "maps.npz", attention=np.zeros(2), words=np.array([Trap(mark)], object))
    assert_says(refused(tmp_path / "maps.npz"), "maps.npz", "words", "pickled")
    assert not mark.exists()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.6, 0.9, 0.99, 1.0])
def test_a_file_that_is_cut_off(tmp_path: Path, part: float, save: Callable[..., None]) -> None:
    path = tmp_path / "maps.npz"
    save(path, **ARRAYS)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * (len(data) - 1))])
    assert_says(refused(path), str(path), "no complete .npz file", "cut off")


@pytest.mark.parametrize("gone", [1, 100, 1000])
@pytest.mark.parametrize("start", [10, 500])
def test_a_file_that_lacks_bytes_in_its_middle(tmp_path: Path, start: int, gone: int) -> None:
    path = saved(tmp_path / "maps.npz", ARRAYS)
    data = path.read_bytes()
    path.write_bytes(data[:start] + data[start + gone :])
    assert_says(refused(path), str(path))


@pytest.mark.parametrize("content", [b"", b"no zip file at all\n" * 10, NUMBERS, npy("'<f4'", "(4,)", NUMBERS)])
def test_what_is_no_zip_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "maps.npz").write_bytes(content)
    assert_says(refused(tmp_path / "maps.npz"), "maps.npz", "no complete .npz file")


def test_what_is_no_file(tmp_path: Path) -> None:
    assert_says(refused(tmp_path / "maps.npz"), str(tmp_path / "maps.npz"), "No such file")
    assert_says(refused(tmp_path), str(tmp_path), "directory")


@pytest.mark.parametrize(
    ("member", "parts"),
    [
        pytest.param(b"just text", ["no numpy array"], id="text"),
        pytest.param(b"", ["no numpy array"], id="empty"),
        pytest.param(npy("'<f4'", "(4,)")[:40], ["no numpy array"], id="half a header"),
        pytest.param(npy("'<f4'", "(-4,)", NUMBERS), ["negative shape (-4,)"], id="negative shape"),
        pytest.param(npy("'<f4'", "(-2, -2)", NUMBERS), ["negative shape (-2, -2)"], id="shape of positive product"),
        pytest.param(npy("'<f4'", "(4,)", NUMBERS, (3, 0)), ["npy version 3.0"], id="version 3"),
        pytest.param(npy("'<f4'", "(4,)", NUMBERS, (1, 7)), ["npy version 1.7"], id="version 1.7"),
        pytest.param(
            npy("'<f4'", "(5,)", NUMBERS), ["(5,)", "float32", f"{HEADER + 20} bytes", f"{HEADER + 16} bytes"], id="few"
        ),
        pytest.param(
            npy("'<f4'", "(3,)", NUMBERS),
            ["(3,)", "float32", f"{HEADER + 12} bytes", f"{HEADER + 16} bytes"],
            id="many",
        ),
        pytest.param(npy("'<f4'", f"({2**70},)", NUMBERS), [str(2**70), "float32"], id="huge"),
        pytest.param(npy("'<f4'", f"({2**40}, {2**40})", NUMBERS), [str(2**40)], id="huge product"),
        pytest.param(npy("'|O'", "(1,)", b"\x80\x04N."), ["pickled"], id="object"),
        pytest.param(npy("('|O', (2,))", "(1,)", b"\x80\x04N."), ["pickled"], id="objects in a subarray"),
        pytest.param(npy("[('a', '<f4'), ('b', '<f4')]", "(2,)", NUMBERS), ["structured"], id="structured"),
        pytest.param(npy("'no type'", "(4,)", NUMBERS), ["no numpy array", "no type"], id="type"),
        pytest.param(_npy("__import__('os').getcwd()", NUMBERS), ["no numpy array"], id="code"),
        pytest.param(_npy("(" * 3000 + ")" * 3000, b""), ["no numpy array"], id="deep"),
        pytest.param(_npy("{" + " " * 20000 + "}", b""), ["no numpy array"], id="long"),
        pytest.param(npy("'<f4'", "((4,)", NUMBERS), ["no numpy array"], id="parenthesis"),
        pytest.param(npy("'<f4'", "(True,)", b"1234"), ["True"], id="bool"),
        pytest.param(npy("'<U0'", f"({10**12},)"), [str(10**12)], id="no width"),
        pytest.param(npy("'|S0'", f"({10**12},)"), [str(10**12)], id="no bytes"),
        pytest.param(npy("'<f4'", f"({2**62}, 0)"), [str(2**62)], id="beyond numpy"),
        pytest.param(npy("('<f4', (2,))", "(2,)", NUMBERS), ["m"], id="subarray"),
    ],
)
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_members_that_are_not_what_they_say(tmp_path: Path, member: bytes, parts: list[str], compression: int) -> None:
    path = zipped(tmp_path / "maps.npz", {"good.npy": npy("'<f4'", "(4,)", NUMBERS), "m.npy": member}, compression)
    assert_says(refused(path), str(path), "member m", *parts)


def test_sizes_beyond_the_file(tmp_path: Path) -> None:
    path = zipped(tmp_path / "maps.npz", {"m.npy": npy("'<f4'", "(1000000,)", NUMBERS)})
    size = len(npy("'<f4'", "(1000000,)")) + 4_000_000
    patched(path, "m", 20, size, size, layout="<II")
    said = refused(path)
    assert_says(said, "maps.npz", "member m")
    # Newer interpreters notice themselves that the member would reach into what stands behind it.
    if "Overlapped" not in str(said):
        assert_says(said, str(size), str(path.stat().st_size))


def test_encrypted_members(tmp_path: Path) -> None:
    path = patched(saved(tmp_path / "maps.npz", {"a": np.zeros(2), "b": np.zeros(2)}), "b", 8, 1, layout="<H")
    assert_says(refused(path), "maps.npz", "member b", "encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bz2", "lzma"])
def test_other_compressions(tmp_path: Path, method: int) -> None:
    path = zipped(tmp_path / "maps.npz", {"attention.npy": npy("'<f4'", "(4,)", NUMBERS)}, method)
    assert_says(refused(path), "maps.npz", "member attention", "packed in a way numpy does not write")


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    zeros = np.zeros(2**24 + 1, np.uint8)
    path = tmp_path / "maps.npz"
    np.savez_compressed(path, attention=zeros)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("attention.npy")
    assert info.file_size > 200 * info.compress_size
    assert_says(refused(path), "maps.npz", "member attention", str(info.compress_size), str(info.file_size))


@pytest.mark.parametrize(("count", "opens"), [(2**24 - 128, True), (2**24 - 127, False)])
def test_sixteen_megabytes_inflate_freely(tmp_path: Path, count: int, opens: bool) -> None:
    np.savez_compressed(tmp_path / "maps.npz", attention=np.zeros(count, np.uint8))  # and 128 bytes of header
    if opens:
        assert Archive(tmp_path / "maps.npz").shape("attention") == (count,)
    else:
        assert_says(refused(tmp_path / "maps.npz"), "attention", str(2**24 + 1))


@pytest.mark.parametrize(("deflated", "opens"), [(100, False), (101, True)])
def test_inflating_two_hundredfold_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deflated: int, opens: bool
) -> None:
    monkeypatch.setattr(module, "INFLATE_FREELY", 1000)
    path = tmp_path / "maps.npz"
    np.savez_compressed(path, attention=np.zeros(20050 - 128, np.uint8))
    # The sizes that count are the declared ones, so that they are known before anything is inflated.
    patched(path, "attention", 20, deflated, 20050, layout="<II")
    if opens:
        assert Archive(path).shape("attention") == (19922,)
    else:
        assert_says(refused(path), "attention", "from 100 to 20050 bytes")


def test_a_deflated_member_with_wrong_bytes(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    np.savez_compressed(path, attention=np.random.default_rng(1).random(5000))
    data = bytearray(path.read_bytes())
    data[20000] ^= 0x55
    path.write_bytes(data)
    archive = Archive(path)
    with pytest.raises(ExportError) as caught:
        archive.array("attention")
    assert_says(str(caught.value), "maps.npz", "attention", "damaged")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_checksums(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "maps.npz"
    save(path, first=np.zeros(3), second=np.random.default_rng(1).random(2000), third=np.zeros(3))
    assert Archive(path).broken() is None
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x01
    path.write_bytes(data)
    assert Archive(path).broken() == "second"


def test_a_deflated_member_with_a_wrong_start(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    np.savez_compressed(path, attention=np.arange(100.0))
    data = bytearray(path.read_bytes())
    start = 30 + len("attention.npy") + 20
    data[start : start + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert_says(refused(path), "maps.npz", "attention")


def test_checksums_of_bytes_that_do_not_inflate(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    np.savez_compressed(path, first=np.zeros(3), attention=np.random.default_rng(1).random(4000))
    data = path.read_bytes()
    for place in range(len(data) // 4, len(data) * 3 // 4, 301):
        path.write_bytes(data[:place] + b"\xff" * 8 + data[place + 8 :])
        assert Archive(path).broken() == "attention"


@pytest.mark.parametrize(
    ("field", "value", "layout"),
    [pytest.param(6, 99, "<H", id="zip version 9.9"), pytest.param(8, 0x20, "<H", id="patched data")],
)
def test_zip_features_that_python_lacks(tmp_path: Path, field: int, value: int, layout: str) -> None:
    path = patched(saved(tmp_path / "maps.npz", {"attention": np.zeros(3)}), "attention", field, value, layout=layout)
    assert_says(refused(path), "maps.npz")


def test_an_offset_beyond_any_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", {"attention": np.zeros(3)})
    end = bytearray(path.read_bytes())
    # The directory's own offset, at the end of the file, says how many bytes were put before the zip.
    struct.pack_into("<I", end, len(end) - 6, 2**32 - 2)
    path.write_bytes(end)
    assert_says(refused(path), "maps.npz")


@pytest.mark.parametrize("second", ["attention.npy", "attention"])
def test_a_member_that_is_there_twice(tmp_path: Path, second: str) -> None:
    path = tmp_path / "maps.npz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of duplicates
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("attention.npy", npy("'<f4'", "(4,)", NUMBERS))
            archive.writestr(second, npy("'<f4'", "(4,)", NUMBERS[::-1]))
    assert_says(refused(path), "maps.npz", "attention", "twice")


def test_refused_files_are_closed(tmp_path: Path) -> None:
    # Warnings are errors here, those of files that are left open included.
    path = saved(tmp_path / "maps.npz", {"attention": np.zeros(3), "words": np.array([None])})
    refused(path)
    shutil.copy(path, tmp_path / "other.npz")
    path.write_bytes(b"")
    refused(path)
