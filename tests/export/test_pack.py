"""Exports of any layout and container, and shards of them, as one packed file."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import (
    ATTENTION,
    Caption,
    assert_says,
    captions_of,
    floats,
    header,
    packed,
    padded,
    problems,
    raw,
    saved,
    utf8,
    with_token_text,
)

from attneval.errors import ExportError
from attneval.export import pack as module
from attneval.export.pack import open_any, pack
from attneval.export.read.reader import open_export

Members = dict[str, Any]

# The padded layout carries the padding regions along; here every token looks at three.
FIRST = Caption("36979#0", ["a", "café", "dog"], {"t2i": [[[0.25, 0.75, 0], [0.5, 0.5, 0], [1, 0, 0]]]})
SECOND = Caption("4711#3", ["cats"], {"t2i": [[[0.5, 0.5, 0]]]})
THIRD = Caption("36979#1", [None, "two"], {"t2i": [[[0.125, 0.875, 0], [0, 1, 0]]]})

SHARD: Members = {
    **utf8("image_id", "36979"),
    "image_size": np.array([[100, 80]]),
    "region_offset": np.array([0, 2]),
    "region_box": floats([0, 0, 50, 80], [50, 0, 100, 80]),
    "caption_image": np.array([0]),
    "caption_index": np.array([4]),
    **utf8("caption_text", "Dogs"),
    "token_offset": np.array([0, 1]),
    "token_span": np.array([[0, 4]]),
    "attention_offset": np.array([0, 2]),
    "attention": floats(0.25, 0.75),
}
"""Changes that make `packed` another shard: one more caption of 36979."""


def shard(**changes: Any) -> Members:
    return packed(**{**SHARD, **changes})


def stored(path: Path) -> Members:
    with np.load(path, allow_pickle=False) as data:
        return dict(data)


def refused(paths: list[Path], target: Path) -> str:
    with pytest.raises(ExportError) as caught:
        pack(paths, target)
    assert not target.exists()
    return str(caught.value)


# ---------------------------------------------------------------- one file


def test_padded_becomes_packed(tmp_path: Path) -> None:
    about = {"kind": "relevance", "normalised_over": "regions", "model": "SCAN", "é": [1]}
    sizes = np.array([[100, 80], [60, 50]])
    source = saved(tmp_path / "padded.npz", padded(meta=np.array(json.dumps(about)), image_size=sizes))
    assert pack([source], tmp_path / "maps.npz") == []
    export = open_export(tmp_path / "maps.npz")
    assert (export.header.kind, export.header.normalised_over) == ("relevance", "regions")
    assert {"model": "SCAN", "é": [1]}.items() <= export.header.about.items()
    assert export.image_id == ["36979", "4711"]
    assert export.image_size is not None
    assert export.image_size.tolist() == sizes.tolist()
    assert export.regions.boxes(np.array([0, 1]), sizes).tolist() == [
        *([0, 0, 50, 80], [50, 0, 100, 80], [0, 0, 0, 0]),
        *([0, 0, 60, 50], [10, 10, 20, 30], [5, 5, 5, 5]),
    ]
    assert captions_of(export) == [FIRST, SECOND, THIRD]
    assert problems(tmp_path / "maps.npz") == []
    members = stored(tmp_path / "maps.npz")
    assert members["attention"].size == 3 * 3 + 1 * 3 + 2 * 3
    assert members["attention"].dtype == np.float32


def test_a_grid_stays_a_grid(tmp_path: Path) -> None:
    source = saved(tmp_path / "padded.npz", padded(attn=padded()["attn"][:, :, None, :], boxes=None))
    pack([source], tmp_path / "maps.npz")
    export = open_export(tmp_path / "maps.npz")
    assert captions_of(export) == [FIRST, SECOND, THIRD]
    assert stored(tmp_path / "maps.npz")["grid_shape"].tolist() == [[1, 3], [1, 3]]
    assert "grid_affine" not in stored(tmp_path / "maps.npz")


def test_an_affine_grid_stays_one(tmp_path: Path) -> None:
    affine = floats([50, 40.5, 0, -1], [20, 50, 0, 0.25])
    changes = {"region_box": None, "region_offset": None, "grid_shape": np.array([[2, 1], [1, 3]])}
    source = saved(tmp_path / "source.npz", packed(grid_affine=affine, **changes))
    pack([source], tmp_path / "maps.npz")
    assert stored(tmp_path / "maps.npz")["grid_affine"].tolist() == affine.tolist()
    assert captions_of(open_export(tmp_path / "maps.npz")) == ATTENTION


def test_images_without_captions_are_kept(tmp_path: Path) -> None:
    boxes = np.concatenate([padded()["boxes"][:2], np.ones((1, 3, 4), np.float32)])
    source = saved(
        tmp_path / "padded.npz", padded(image_ids=np.array(["36979", "4711", "unseen"]), boxes=boxes, image_size=None)
    )
    pack([source], tmp_path / "maps.npz")
    export = open_export(tmp_path / "maps.npz")
    assert export.image_id == ["36979", "4711", "unseen"]
    assert export.regions.offset.tolist() == [0, 3, 6, 9]
    assert captions_of(export) == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize(
    ("given", "expected"), [("<f2", "float16"), (">f2", "float16"), ("<f4", "float32"), ("<f8", "float32")]
)
@pytest.mark.parametrize("layout", [packed, padded])
def test_half_precision_is_kept(tmp_path: Path, layout: Any, given: str, expected: str) -> None:
    name = "attention" if layout is packed else "attn"
    source = saved(tmp_path / "source.npz", layout(**{name: layout()[name].astype(given)}))
    pack([source], tmp_path / "maps.npz")
    assert str(stored(tmp_path / "maps.npz")["attention"].dtype) == expected
    expected_captions = ATTENTION if layout is packed else [FIRST, SECOND, THIRD]
    assert captions_of(open_export(tmp_path / "maps.npz")) == expected_captions


def test_single_precision_beside_half_is_kept(tmp_path: Path) -> None:
    back = np.full(13, 1 / 3, np.float32)
    source = saved(
        tmp_path / "source.npz",
        packed(
            format=header(kind="logit", normalised_over="none"),
            attention=packed()["attention"].astype(np.float16),
            attention_i2t=back,
        ),
    )
    pack([source], tmp_path / "maps.npz")
    assert stored(tmp_path / "maps.npz")["attention_i2t"].tolist() == back.tolist()


def test_padding_is_left_behind(tmp_path: Path) -> None:
    weights = padded()["attn"]
    weights[1, 1:] = np.nan
    pack([saved(tmp_path / "padded.npz", padded(attn=weights))], tmp_path / "maps.npz")
    assert captions_of(open_export(tmp_path / "maps.npz")) == [FIRST, SECOND, THIRD]


def test_channels_both_directions_and_spans(tmp_path: Path) -> None:
    source = saved(
        tmp_path / "source.npz",
        packed(
            format=header(kind="logit", normalised_over="none"),
            channel=np.array([[6, 0], [6, 3]]),
            attention_offset=np.array([0, 12, 18, 26]),
            attention=np.arange(26, dtype=np.float32),
            attention_i2t=-np.arange(26, dtype=np.float32),
        ),
    )
    pack([source], tmp_path / "maps.npz")
    before, after = open_export(source), open_export(tmp_path / "maps.npz")
    assert after.channel.tolist() == [[6, 0], [6, 3]]
    assert captions_of(after) == captions_of(before)
    assert stored(tmp_path / "maps.npz")["token_span"].tolist() == packed()["token_span"].tolist()


def test_tokens_and_texts_are_kept(tmp_path: Path) -> None:
    source = saved(tmp_path / "source.npz", with_token_text(**utf8("caption_text", "A café-dog", "Cats", "")))
    pack([source], tmp_path / "maps.npz")
    export = open_export(tmp_path / "maps.npz")
    assert captions_of(export) == captions_of(open_export(source))
    assert export.caption_text is not None
    assert list(export.caption_text.take(np.arange(3))) == ["A café-dog", "Cats", ""]
    assert stored(tmp_path / "maps.npz")["token_text"].tobytes() == "acafédogcats<start>two".encode()


def test_packing_again_changes_nothing(tmp_path: Path) -> None:
    once, twice = tmp_path / "once.npz", tmp_path / "twice.npz"
    pack([saved(tmp_path / "padded.npz", padded())], once)
    pack([saved(tmp_path / "padded.npz", padded())], twice)
    assert once.read_bytes() == twice.read_bytes()
    pack([once], twice)
    assert once.read_bytes() == twice.read_bytes()


@pytest.mark.parametrize("name", ["good.npz", "noisy.npz"])
def test_what_is_packed_stays_as_it_is(fixtures: Path, tmp_path: Path, name: str) -> None:
    assert pack([fixtures / name], tmp_path / "maps.npz") == []
    # What stands around members is written by the interpreter's zipfile, by older ones in another way.
    assert members_as_stored(tmp_path / "maps.npz") == members_as_stored(fixtures / name)


def members_as_stored(path: Path) -> list[tuple[str, int, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(one.filename, one.compress_type, archive.read(one)) for one in archive.infolist()]


def test_a_file_may_be_packed_in_its_own_place(tmp_path: Path) -> None:
    pack([saved(tmp_path / "other.npz", padded())], tmp_path / "expected.npz")
    path = saved(tmp_path / "maps.npz", padded())
    pack([path], path)
    assert path.read_bytes() == (tmp_path / "expected.npz").read_bytes()


@pytest.mark.parametrize("block", [1, 16, 40, 10**6])
def test_blocks_of_any_size_give_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    source = saved(tmp_path / "source.npz", with_token_text())
    pack([source], tmp_path / "expected.npz")
    monkeypatch.setattr(module, "BLOCK_BYTES", block)
    pack([source], tmp_path / "maps.npz")
    assert (tmp_path / "maps.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()


def test_similarity_of_one_file_is_kept(tmp_path: Path) -> None:
    scores = floats([1, 2, 3], [4, 5, 6])
    notes = pack([saved(tmp_path / "source.npz", packed(similarity=scores))], tmp_path / "maps.npz")
    assert notes == []
    assert stored(tmp_path / "maps.npz")["similarity"].tolist() == scores.tolist()


def test_similarities_alone(tmp_path: Path) -> None:
    scores = floats([1, 2, 3], [4, 5, 6])
    source = saved(tmp_path / "source.npz", padded(attn=None, words=None, boxes=None, similarity=scores))
    assert pack([source], tmp_path / "maps.npz") == []
    export = open_export(tmp_path / "maps.npz")
    assert export.maps == {}
    assert [export.caption_name(row) for row in range(3)] == ["36979#0", "4711#3", "36979#1"]
    assert export.similarity is not None
    assert export.similarity.rows(0, 2).tolist() == scores.tolist()
    assert problems(tmp_path / "maps.npz") == []


def test_warnings_are_passed_on(tmp_path: Path) -> None:
    (note,) = pack([saved(tmp_path / "source.npz", packed(notes=np.zeros(3)))], tmp_path / "maps.npz")
    assert_says(note, "source.npz", "notes")


@pytest.mark.realdata
def test_real_patches_are_packed(shared: Path, tmp_path: Path) -> None:
    source = shared / "f8k285_grid.npz"
    assert pack([source], tmp_path / "maps.npz") == []
    before, after = open_export(source), open_export(tmp_path / "maps.npz")
    assert after.image_id == before.image_id
    assert after.token_offset.tolist() == before.token_offset.tolist()
    for rows in (np.array([0, 1, 2]), np.array([1424, 700])):
        assert captions_of(after, rows.tolist()) == captions_of(before, rows.tolist())
    assert problems(tmp_path / "maps.npz") == []


# ---------------------------------------------------------------- shards


def test_shards_become_one(tmp_path: Path) -> None:
    paths = [saved(tmp_path / "a.npz", packed()), saved(tmp_path / "b.npz", shard())]
    assert pack(paths, tmp_path / "maps.npz") == []
    export = open_export(tmp_path / "maps.npz")
    assert export.image_id == ["36979", "4711"]
    assert captions_of(export) == [*ATTENTION, Caption("36979#4", ["Dogs"], {"t2i": [[[0.25, 0.75]]]})]
    assert problems(tmp_path / "maps.npz") == []


def test_shards_of_different_images(tmp_path: Path) -> None:
    first, second = shard(), shard(**utf8("image_id", "1"), **utf8("caption_text", "cats"))
    paths = [saved(tmp_path / "a.npz", first), saved(tmp_path / "b.npz", second)]
    pack(paths, tmp_path / "maps.npz")
    export = open_export(tmp_path / "maps.npz")
    assert export.image_id == ["36979", "1"]
    assert [caption.name for caption in captions_of(export)] == ["36979#4", "1#4"]
    assert [caption.tokens for caption in captions_of(export)] == [["Dogs"], ["cats"]]
    pack(paths[::-1], tmp_path / "turned.npz")
    assert open_export(tmp_path / "turned.npz").image_id == ["1", "36979"]


def test_the_parts_of_a_file_become_that_file(fixtures: Path, tmp_path: Path) -> None:
    whole = stored(fixtures / "uniform.npz")
    paths = []
    for number, rows in enumerate((slice(0, 100), slice(100, 103), slice(103, None))):
        paths.append(saved(tmp_path / f"{number}.npz", {name: values[rows] for name, values in whole.items()}))
    pack(paths, tmp_path / "parts.npz")
    pack([fixtures / "uniform.npz"], tmp_path / "whole.npz")
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_similarity_of_shards_is_left_out_with_a_note(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path / "a.npz", packed(similarity=np.ones((2, 3), np.float32))),
        saved(tmp_path / "b.npz", shard(similarity=np.ones((1, 1), np.float32))),
    ]
    (note,) = pack(paths, tmp_path / "maps.npz")
    assert_says(note, "similarity", "shards")
    assert "similarity" not in stored(tmp_path / "maps.npz")


@pytest.mark.parametrize(("halves", "expected"), [((True, True), "float16"), ((True, False), "float32")])
def test_shards_of_half_and_single_precision(tmp_path: Path, halves: tuple[bool, bool], expected: str) -> None:
    first, second = packed(), shard(attention=floats(1 / 3, 2 / 3))
    for members, half in zip((first, second), halves, strict=True):
        members["attention"] = members["attention"].astype(np.float16 if half else np.float32)
    pack([saved(tmp_path / "a.npz", first), saved(tmp_path / "b.npz", second)], tmp_path / "maps.npz")
    weights = stored(tmp_path / "maps.npz")["attention"]
    assert str(weights.dtype) == expected
    assert weights[13:].tolist() == second["attention"].tolist()


GRID = {"region_box": None, "region_offset": None, "grid_shape": np.array([[1, 2]])}
NO_TOKENS = {"token_span": None, "caption_text": None, "caption_text_offset": None}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"format": header(kind="relevance")}, "kind"),
        ({"format": header(normalised_over="none")}, "normalised_over"),
        ({"channel": np.array([[3, -1]])}, "channels"),
        ({"attention_i2t": floats(1, 1)}, "maps"),
        ({"image_size": None}, "image_size"),
        (GRID, "grid"),
        ({**NO_TOKENS, **utf8("token_text", "Dogs")}, "token_text"),
    ],
)
def test_shards_that_do_not_fit(tmp_path: Path, changes: Members, field: str) -> None:
    paths = [saved(tmp_path / "a.npz", packed()), saved(tmp_path / "b.npz", shard(**changes))]
    assert_says(refused(paths, tmp_path / "maps.npz"), *map(str, paths), f"{field} differ")


def test_shards_whose_grids_do_not_fit(tmp_path: Path) -> None:
    affine = {"grid_affine": floats([50, 80, 0, 0])}
    paths = [saved(tmp_path / "a.npz", shard(**GRID)), saved(tmp_path / "b.npz", shard(**GRID, **affine))]
    assert_says(refused(paths, tmp_path / "maps.npz"), "a.npz", "b.npz", "grid_affine differ")


def test_every_difference_is_named(tmp_path: Path) -> None:
    changes = {"format": header(kind="logit"), "image_size": None}
    paths = [saved(tmp_path / "a.npz", packed()), saved(tmp_path / "b.npz", shard(**changes))]
    assert_says(refused(paths, tmp_path / "maps.npz"), "kind, image_size differ")


@pytest.mark.parametrize(
    "changes",
    [
        {"region_box": floats([0, 0, 50, 80], [50, 0, 100, 79])},
        {"region_offset": np.array([0, 1]), "region_box": floats([0, 0, 50, 80]), "attention": floats(1, 0)},
        {"image_size": np.array([[100, 81]])},
    ],
    ids=["box", "count", "size"],
)
def test_an_image_with_other_regions(tmp_path: Path, changes: Members) -> None:
    if "region_offset" in changes:
        changes = {**changes, "token_offset": np.array([0, 2]), "token_span": np.array([[0, 1], [1, 4]])}
    paths = [saved(tmp_path / "a.npz", packed()), saved(tmp_path / "b.npz", shard(**changes))]
    assert_says(refused(paths, tmp_path / "maps.npz"), *map(str, paths), "36979", "other regions")


def test_a_caption_in_two_shards(tmp_path: Path) -> None:
    paths = [saved(tmp_path / "a.npz", packed()), saved(tmp_path / "b.npz", shard(caption_index=np.array([1])))]
    assert_says(refused(paths, tmp_path / "maps.npz"), str(paths[1]), "36979#1", "earlier shard")


# ---------------------------------------------------------------- what is refused


def test_maps_without_boxes(tmp_path: Path) -> None:
    source = saved(tmp_path / "source.npz", padded(boxes=None))
    assert_says(refused([source], tmp_path / "maps.npz"), str(source), "no region boxes")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"attention": np.ones(13, np.float32)}, ("attention", "sum to 1", "36979#0 token 0")),
        ({"attention": -packed()["attention"]}, ("attention", "negative")),
        ({"attention": np.full(13, np.nan, np.float32)}, ("attention", "NaN")),
        ({"token_span": np.full((6, 2), 99)}, ("token_span", "outside", "36979#0 token 0")),
        ({"token_offset": np.array([0, 3, 4, 5])}, ("token_span", "(6, 2)", "(5, 2)")),
    ],
    ids=["sums", "negative", "NaN", "spans", "columns"],
)
def test_a_file_that_breaks_the_format(tmp_path: Path, changes: Members, parts: tuple[str, ...]) -> None:
    good = saved(tmp_path / "good.npz", shard(caption_index=np.array([4])))
    bad = saved(tmp_path / "bad.npz", packed(**changes))
    assert_says(refused([bad], tmp_path / "maps.npz"), str(bad), *parts)
    assert_says(refused([good, bad], tmp_path / "maps.npz"), str(bad), *parts)


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"region_box": np.full((5, 4), -9, np.float32)}, "region_box"),
        ({"similarity": np.full((2, 3), np.nan, np.float32)}, "similarity"),
    ],
)
def test_boxes_and_similarities_that_break_the_format(tmp_path: Path, changes: Members, member: str) -> None:
    bad = saved(tmp_path / "bad.npz", packed(**changes))
    assert_says(refused([bad], tmp_path / "maps.npz"), str(bad), member)


@pytest.mark.parametrize("key", ["path", "dtype", "channels", "self"])
def test_meta_may_have_any_key(tmp_path: Path, key: str) -> None:
    source = saved(tmp_path / "padded.npz", padded(meta=np.array(json.dumps({key: "x"}))))
    pack([source], tmp_path / "maps.npz")
    assert open_export(tmp_path / "maps.npz").header.about[key] == "x"


def test_a_version_in_meta_is_not_that_of_the_packed_file(tmp_path: Path) -> None:
    meta = {"format": "attneval", "version": [1, 5], "kind": "attention"}
    pack([saved(tmp_path / "padded.npz", padded(meta=np.array(json.dumps(meta))))], tmp_path / "maps.npz")
    assert json.loads(stored(tmp_path / "maps.npz")["format"].tobytes())["version"] == [1, 0]


# ---------------------------------------------------------------- tensors


def tensors(members: Members, **changes: Any) -> dict[str, Any]:
    """Members as tensors; text as UTF-8 bytes and offsets."""
    torch = pytest.importorskip("torch")
    plain: Members = {}
    for name, values in members.items():
        if values.dtype.kind == "U":
            texts = [str(text) for text in values.reshape(-1)]
            plain |= utf8(name, *texts) if values.ndim else {name: raw(texts[0].encode())}
        else:
            plain[name] = values
    found = {name: torch.from_numpy(np.array(values)) for name, values in plain.items()}
    return {name: value for name, value in {**found, **changes}.items() if value is not None}


def torch_file(path: Path, values: Any) -> Path:
    pytest.importorskip("torch").save(values, path)
    return path


def safetensors_file(path: Path, values: Any) -> Path:
    pytest.importorskip("safetensors.torch").save_file(values, path)
    return path


META = {"meta": np.array('{"normalised_over": "regions", "model": "é"}')}


@pytest.mark.parametrize(
    ("write", "suffix"), [(torch_file, ".pt"), (torch_file, ".pth"), (safetensors_file, ".safetensors")]
)
@pytest.mark.parametrize("members", [packed(), with_token_text(), padded(**META)], ids=["packed", "tokens", "padded"])
def test_tensors_are_packed_like_arrays(tmp_path: Path, write: Any, suffix: str, members: Members) -> None:
    pack([saved(tmp_path / "arrays.npz", members)], tmp_path / "expected.npz")
    source = write(tmp_path / f"tensors{suffix}", tensors(members))
    assert pack([source], tmp_path / "maps.npz") == []
    assert (tmp_path / "maps.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()


def test_text_as_lists(tmp_path: Path) -> None:
    texts = {name: values.tolist() for name, values in padded(**META).items() if values.dtype.kind == "U"}
    own = {name: values for name, values in padded().items() if values.dtype.kind != "U"}
    source = torch_file(tmp_path / "maps.pt", {**tensors(own), **texts})
    export = open_any(source)
    assert captions_of(export) == [FIRST, SECOND, THIRD]
    assert export.header.about == {"model": "é"}


@pytest.mark.parametrize(("write", "suffix"), [(torch_file, ".pt"), (safetensors_file, ".safetensors")])
def test_half_precision_of_tensors_is_kept(tmp_path: Path, write: Any, suffix: str) -> None:
    half = tensors(packed(attention=packed()["attention"].astype(np.float16)))
    pack([write(tmp_path / f"maps{suffix}", half)], tmp_path / "maps.npz")
    assert stored(tmp_path / "maps.npz")["attention"].dtype == np.float16


@pytest.mark.parametrize(
    ("write", "suffix"),
    [(torch_file, ".pt"), pytest.param(safetensors_file, ".safetensors")],
)
def test_brain_floats_become_single_precision(tmp_path: Path, write: Any, suffix: str) -> None:
    values = tensors(packed())
    values["attention"] = values["attention"].bfloat16()
    pack([write(tmp_path / f"maps{suffix}", values)], tmp_path / "maps.npz")
    assert stored(tmp_path / "maps.npz")["attention"].dtype == np.float32
    assert captions_of(open_export(tmp_path / "maps.npz")) == ATTENTION


def test_shards_in_different_containers(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path / "a.npz", packed()),
        torch_file(tmp_path / "b.pt", tensors(shard())),
        safetensors_file(tmp_path / "c.safetensors", tensors(shard(caption_index=np.array([2])))),
    ]
    pack(paths, tmp_path / "maps.npz")
    names = [caption.name for caption in captions_of(open_export(tmp_path / "maps.npz"))]
    assert names == ["36979#0", "4711#3", "36979#1", "36979#4", "36979#2"]


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [None, 0, 2, 4])
@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_malicious_pickle_is_refused_without_running_it(tmp_path: Path, suffix: str, protocol: int | None) -> None:
    pytest.importorskip("torch")
    mark, source = tmp_path / "ran", tmp_path / f"maps{suffix}"
    if protocol is None:
        torch_file(source, {"attn": Trap(mark)})
    else:
        source.write_bytes(pickle.dumps({"attn": Trap(mark)}, protocol))
    assert_says(refused([source], tmp_path / "maps.npz"), str(source), "unpickling")
    assert not mark.exists()


def test_other_things_in_a_torch_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    source = tmp_path / "maps.pt"
    values = tensors(packed())
    target = tmp_path / "maps.npz"
    assert_says(refused([torch_file(source, {**values, "epoch": 3})], target), str(source), "epoch", "neither")
    assert_says(refused([torch_file(source, {**values, "cfg": {"a": 1}})], target), str(source), "cfg", "neither")
    assert_says(refused([torch_file(source, torch.zeros(3))], target), str(source), "Tensor", "dict")
    assert_says(refused([torch_file(source, {3: torch.zeros(3)})], target), str(source), "dict of tensors")
    assert_says(refused([torch_file(source, [torch.zeros(3)])], target), str(source), "list", "dict")
    assert_says(refused([torch_file(source, {"words": [{"a": 1}]})], target), str(source), "words")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"words": [["a", "b"], ["c"]]}, id="ragged list"),
        pytest.param({"words": raw(b"\xff\xfe"), "words_offset": np.arange(10)}, id="bytes that are no text"),
        pytest.param({"words": raw(b"abc"), "words_offset": np.arange(4)}, id="too few words"),
    ],
)
def test_text_in_torch_files_that_cannot_be_used(tmp_path: Path, changes: Members) -> None:
    torch = pytest.importorskip("torch")
    own = {
        name: torch.from_numpy(np.array(values)) if isinstance(values, np.ndarray) else values
        for name, values in changes.items()
    }
    source = torch_file(tmp_path / "maps.pt", tensors(padded(), **own))
    assert_says(refused([source], tmp_path / "maps.npz"), str(source), "words")


def test_a_tensor_that_requires_grad_is_read(tmp_path: Path) -> None:
    values = tensors(packed())
    values["attention"].requires_grad_()
    assert captions_of(open_any(torch_file(tmp_path / "maps.pt", values))) == ATTENTION


def test_a_sparse_tensor(tmp_path: Path) -> None:
    values = tensors(packed())
    source = torch_file(tmp_path / "maps.pt", {**values, "attention": values["attention"].to_sparse()})
    assert_says(refused([source], tmp_path / "maps.npz"), str(source), "attention")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b""),
        pytest.param(b"hello world"),
        pytest.param(b"\x80\x02."),
        b"\0" * 100,
        b"PK\x03\x04 and no more",
    ],
)
def test_what_is_no_torch_file(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("torch")
    (tmp_path / "maps.pt").write_bytes(content)
    assert_says(refused([tmp_path / "maps.pt"], tmp_path / "maps.npz"), str(tmp_path / "maps.pt"))


def test_nobody_is_told_to_load_a_file_unsafely(tmp_path: Path) -> None:
    source = torch_file(tmp_path / "maps.pt", {"attn": Trap(tmp_path / "ran")})
    message = refused([source], tmp_path / "maps.npz")
    assert "\x1b" not in message
    assert "trust the source" not in message


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 100, b"\x10" + b"\0" * 7 + b'{"a":{"dtype":'])
def test_what_is_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("safetensors")
    source = tmp_path / "maps.safetensors"
    source.write_bytes(content)
    assert_says(refused([source], tmp_path / "maps.npz"), str(source), "no safetensors file")


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".safetensors"])
def test_what_is_not_there(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("safetensors" if suffix == ".safetensors" else "numpy" if suffix == ".npz" else "torch")
    source = tmp_path / f"none{suffix}"
    assert_says(refused([source], tmp_path / "maps.npz"), str(source), "No such file")
