"""Files, layouts and shapes that are nearly an export: each is named for what it is, with what helps."""

from __future__ import annotations

import gzip
import json
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import assert_says, floats, header, packed, padded, problems, refusal, saved, utf8, with_token_text, zipped

from attneval.errors import ExportError
from attneval.export.read.boxfile import coco_number
from attneval.export.read.reader import open_export
from attneval.storage.zip_files import ZipReader

if TYPE_CHECKING:
    from pathlib import Path


def npy(tmp_path: Path) -> bytes:
    np.save(tmp_path / "array.npy", np.zeros((2, 3)))
    return (tmp_path / "array.npy").read_bytes()


FILES: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "hdf5": ("maps.h5", b"\x89HDF\r\n\x1a\n" + bytes(90), ("HDF5", "h5py", "ExportWriter")),
    "pickle": ("maps.pkl", pickle.dumps({"attn": [1.0]}), ("pickle", "never loaded", "ExportWriter")),
    "pickle as npz": ("maps.npz", pickle.dumps({"attn": [1.0]}), ("pickle", "never loaded")),
    "gzip": ("maps.npz.gz", gzip.compress(b"x"), ("gzip", "gunzip")),
    "pointer": ("maps.npz", b"version https://git-lfs.github.com/spec/v1\noid", ("Git LFS", "git lfs pull")),
    "page": ("maps.npz", b"<!DOCTYPE html><html>", ("download",)),
    "json": ("result.json", b'{"schema": 1}', ("JSON", "compare", "--gt")),
    "empty": ("maps.npz", b"", ("empty",)),
    "safetensors": ("maps.safetensors", b"\x10" + bytes(7) + b'{"a": 1}', ("safetensors", "attneval pack maps.safet")),
    "old torch": ("maps.pt", pickle.dumps(1), ("PyTorch", "attneval pack maps.pt -o maps.npz")),
    "matlab": ("maps.mat", b"MATLAB 5.0 MAT-file", ("MATLAB", "scipy.io.loadmat")),
    "other": ("maps.bin", b"some bytes", ("no complete .npz file",)),
}


@pytest.mark.parametrize(("name", "data", "parts"), FILES.values(), ids=FILES)
def test_other_kinds_of_files(tmp_path: Path, name: str, data: bytes, parts: tuple[str, ...]) -> None:
    (tmp_path / name).write_bytes(data)
    assert_says(refusal(tmp_path / name), name, *parts)


def test_arrays_and_tensors_alone(tmp_path: Path) -> None:
    (tmp_path / "maps.npy").write_bytes(npy(tmp_path))
    assert_says(refusal(tmp_path / "maps.npy"), "a single array", "np.savez", "--similarity")
    torch = pytest.importorskip("torch")
    torch.save({"attn": torch.zeros(1)}, tmp_path / "maps.pt")
    assert_says(refusal(tmp_path / "maps.pt"), "PyTorch", "attneval pack maps.pt -o maps.npz")


# ---------------------------------------------------------------- zip files


def test_names_with_backslashes(tmp_path: Path) -> None:
    members = {f"maps\\{name}.npy": value for name, value in (("attn", npy(tmp_path)), ("words", npy(tmp_path)))}
    path = zipped(tmp_path / "maps.npz", members)
    assert ZipReader(path).namelist() == ["maps/attn.npy", "maps/words.npy"]
    assert_says(refusal(path), "in the folder 'maps'", "zip the .npy files themselves")


def test_damage_anywhere_is_one_refusal(tmp_path: Path) -> None:
    """Whatever `zipfile` raises: bytes of a sound file replaced, one or a few at a time."""
    data = bytearray(saved(tmp_path / "maps.npz", packed()).read_bytes())
    random = np.random.default_rng(4)
    for _ in range(300):
        broken = bytearray(data)
        end = random.integers(0, 2)
        for _ in range(int(random.integers(1, 4))):
            place = int(random.integers(len(data) - 900, len(data)) if end else random.integers(len(data)))
            broken[place] = int(random.integers(256))
        (tmp_path / "broken.npz").write_bytes(broken)
        try:
            open_export(tmp_path / "broken.npz")
            problems(tmp_path / "broken.npz")
        except ExportError as error:
            assert "broken.npz" in str(error)  # noqa: PT017 - it may be sound as well


@pytest.mark.parametrize("field", ["offset", "method", "size"])
def test_directories_with_impossible_numbers(tmp_path: Path, field: str) -> None:
    path = saved(tmp_path / "maps.npz", padded())
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    place, value = {"offset": (42, 4), "method": (10, 2), "size": (24, 4)}[field]
    data[entry + place : entry + place + value] = b"\xff" * value
    path.write_bytes(data)
    assert_says(refusal(path), "maps.npz")


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "maps.npz", allow_pickle=False, **padded(x_zeros=np.zeros(2**23)))
    assert_says(refusal(tmp_path / "maps.npz"), "x_zeros", "inflates")


# ---------------------------------------------------------------- layouts and shapes


def test_members_under_other_names(tmp_path: Path) -> None:
    members = padded()
    for old, new in (("attn", "attention"), ("words", "tokens"), ("boxes", "bboxes")):
        members[new] = members.pop(old)
    message = refusal(saved(tmp_path / "maps.npz", members))
    assert_says(
        message, "attention is called attn", "tokens is called words", "bboxes is called boxes", "attn=attention"
    )


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"attn": np.full((3, 4, 3, 3), 1 / 3, np.float32)}, ("(3, 4, 3, 3)", "heads", "channels=")),
        (
            {"attn": np.full((3, 4, 3, 3), 1 / 3, np.float32), "boxes": None},
            ("words has shape (3, 3), expected (3, 4)", "[captions, heads, tokens, regions]", "channels="),
        ),
        ({"attn": np.full((3, 4, 3), 1 / 3, np.float32)}, ("(3, 3)", "(3, 4)", "[CLS]")),
        ({"attn": np.full((3, 5, 3), 1 / 3, np.float32)[:, :, :3]}, ("(3, 5)", "[CLS]")),
        ({"attn": np.full((3, 7, 3), 1 / 7, np.float32), "boxes": None}, ("(3, 7, 3)", "transposed")),
    ],
)
def test_shapes_that_are_nearly_right(tmp_path: Path, changes: Any, parts: tuple[str, ...]) -> None:
    message = refusal(saved(tmp_path / "maps.npz", padded(**changes)))
    assert_says(message.replace("words: has", "words has"), *parts)


def test_a_leading_row_that_no_token_has(tmp_path: Path) -> None:
    """Every caption's rows are one late; what is behind its last token gives it away."""
    attn = padded()["attn"]
    attn[1] = floats([0.2, 0.8, 0], [0.5, 0.5, 0], [0, 0, 0])
    (problem,) = problems(saved(tmp_path / "maps.npz", padded(attn=attn)))
    assert_says(problem, "weight behind the last token", "leading row", "4711#3 row 1 of 1 tokens")


@pytest.mark.parametrize("token", ["", "<pad>", "[CLS]", "[PAD]", "</s>"])
@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0])
def test_rows_of_special_tokens_may_hold_anything(tmp_path: Path, token: str, value: float) -> None:
    attn = padded()["attn"]
    attn[2, 0] = value
    words = np.array([["a", "café", "dog"], ["cats", "", ""], [token, "two", ""]])
    meta = np.array('{"normalised_over": "regions"}')
    assert problems(saved(tmp_path / "maps.npz", padded(attn=attn, words=words, meta=meta))) == []
    tokens = utf8("token_text", "a", "café", "dog", "cats", token, "two")
    weights = packed()["attention"].copy()
    weights[9:11] = value
    assert problems(saved(tmp_path / "packed.npz", with_token_text(attention=weights, **tokens))) == []
    words[2, 0] = "<unk>"
    listed = problems(saved(tmp_path / "maps.npz", padded(attn=attn, words=words, meta=meta)))
    assert listed


# ---------------------------------------------------------------- numbers out of range


LARGE = 2**63 - 1


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"image_id_offset": np.array([0, LARGE, -2])}, ("image_id_offset", "falls")),
        ({"token_offset": np.array([0, LARGE, -2, 6])}, ("token_offset", "falls")),
        ({"attention_offset": np.array([0, LARGE, -2, 13])}, ("attention_offset", "falls")),
        ({"region_offset": np.array([0, LARGE, -2])}, ("region_offset", "falls")),
        ({"token_offset": np.array([0, 3, 4, 2**64 - 1], np.uint64)}, ("token_offset", str(2**64 - 1))),
        ({"caption_image": np.array([0, 1, LARGE])}, ("caption_image", f"2 at {LARGE}")),
        ({"caption_image": np.array([0, 1, 2**63], np.uint64)}, ("caption_image", str(2**63))),
        ({"caption_index": np.array([0, 3, 2**40])}, ("caption_index", "36979#1099511627776")),
        (
            {"region_box": None, "region_offset": None, "grid_shape": np.array([[2**20, 2**20], [1, 3]])},
            ("grid_shape", "36979 with [1048576, 1048576]", "more cells than there are weights"),
        ),
        (
            {"region_box": None, "region_offset": None, "grid_shape": np.array([[2**32, 2**32], [1, 3]])},
            ("grid_shape", "more cells than there are weights"),
        ),
    ],
)
def test_numbers_that_would_overflow(tmp_path: Path, changes: Any, parts: tuple[str, ...]) -> None:
    assert_says(refusal(saved(tmp_path / "maps.npz", packed(**changes))), *parts)


@pytest.mark.parametrize("text", ['{"a":' * 10**5, "[" * 10**5, f'{{"kind": {"[" * 90 + "]" * 90}}}', "\ufeff\ufeff{}"])
def test_headers_that_are_no_json(tmp_path: Path, text: str) -> None:
    changes = {"format": np.frombuffer(text.encode(), np.uint8)}
    assert_says(refusal(saved(tmp_path / "maps.npz", packed(**changes))), "format: is no header")


def test_a_header_with_a_number_that_is_infinite(tmp_path: Path) -> None:
    text = header(model="x").tobytes().replace(b'"x"', b"1e999")
    export = open_export(saved(tmp_path / "maps.npz", packed(format=np.frombuffer(text, np.uint8))))
    assert export.header.about == {"model": None}
    assert json.dumps(export.header.about, allow_nan=False)


def test_names_of_coco_files() -> None:
    assert coco_number("COCO_val2014_000000000042") == "42"
    assert coco_number("COCO_val2014_0") == "0"
    for name in ("COCO_val2014_", "COCO_42", "42", "coco_val2014_42", "COCO_val2014_٤٢", "COCO_" + "_0" * 10**6 + "x"):
        assert coco_number(name) == name
