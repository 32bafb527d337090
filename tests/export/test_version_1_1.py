"""What version 1.1 adds: rows without mass, windows of regions, names of channels, the type that weights had."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import (
    CAT_BOXES,
    CATS,
    DOG,
    DOG_TOKENS,
    TWO,
    add_images,
    assert_says,
    captions_of,
    floats,
    header,
    packed,
    problems,
    refusal,
    saved,
    utf8,
    write,
)

from attneval.errors import ExportError
from attneval.export.pack import pack
from attneval.export.read.reader import open_export
from attneval.export.read.shards import join_shards
from attneval.export.write.writer import ExportWriter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def said(path: Path) -> dict[str, Any]:
    """The header of a file."""
    with np.load(path) as members:
        found: dict[str, Any] = json.loads(members["format"].tobytes())
    return found


def with_zeros(*rows: int) -> NDArray[np.float32]:
    """The weights of `packed`, rows of zeros in 36979#0."""
    values = packed()["attention"].copy()
    for row in rows:
        values[2 * row : 2 * row + 2] = 0
    return np.asarray(values, np.float32)


MASS = floats(0.5, 0, 0.25, 0.125, 0, 1)
EVERY = np.arange(3)


def test_a_file_that_uses_nothing_new_says_1_0(tmp_path: Path) -> None:
    assert said(write(tmp_path / "maps.npz"))["version"] == [1, 0]
    assert "weights_dtype" not in said(tmp_path / "maps.npz")
    export = open_export(tmp_path / "maps.npz")
    assert export.row_mass(EVERY) is None
    assert [part.tolist() for part in export.window(EVERY)] == [[0, 0, 0], [2, 3, 2]]
    assert export.channel_names == ["channel 0"]


# ---------------------------------------------------------------- rows without mass


def test_masses_are_read_by_captions(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", packed(row_mass=MASS, attention=with_zeros(1)))
    assert problems(path) == []
    export = open_export(path)
    for rows, expected in (([0, 1, 2], MASS), ([2, 0], [0, 1, 0.5, 0, 0.25]), ([1], [0.125]), ([], [])):
        found = export.row_mass(np.array(rows, np.int64))
        assert found is not None
        assert found.tolist() == list(expected)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"row_mass": MASS}, ("row_mass: is 0, but the rows have weights", "first: 36979#0 token 1)")),
        ({"row_mass": MASS - 1}, ("row_mass", "negative", "36979#0 token 0 -0.5")),
        ({"row_mass": MASS * np.nan}, ("row_mass", "no number", "36979#0 token 0")),
        ({"row_mass": MASS[:5]}, ("row_mass", "(5,)", "(6)")),
        ({"row_mass": np.arange(6)}, ("row_mass", "int64", "floats")),
        ({"attention": with_zeros(1)}, ("sum to 1", "36979#0 token 1 sums to 0")),
    ],
)
def test_masses_that_cannot_be(tmp_path: Path, changes: Any, parts: tuple[str, ...]) -> None:
    assert_says(problems(saved(tmp_path / "maps.npz", packed(**changes)))[0], *parts)


def test_undefined_rows_break_no_rule_on_sums_over_tokens(tmp_path: Path) -> None:
    values = floats(0.25, 0.5, 0, 0, 0.25, 0.25, 1, 1, 1, 0.125, 0.75, 0.875, 0.25)
    changes = {"format": header(normalised_over="tokens"), "attention": values}
    assert_says(problems(saved(tmp_path / "maps.npz", packed(**changes)))[0], "over tokens", "36979#0 region 0")
    assert problems(saved(tmp_path / "maps.npz", packed(row_mass=floats(1, 0, 1, 1, 1, 1), **changes))) == []


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_the_writer_takes_masses(tmp_path: Path, nothing: float) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("36979", [DOG[0], [nothing] * 2, DOG[2]], tokens=DOG_TOKENS, mass=[0.5, 0, 0.25])
        batch = np.zeros((2, 2, 3))
        batch[0, 0], batch[1, :, :2] = CATS[0], TWO
        out.add_captions(
            ["4711", "36979"], batch, indices=[1, 2], tokens=[["cats"], ["a", "b"]], mass=[[0.125, 0], [1, 0.75]]
        )
    assert said(tmp_path / "maps.npz")["version"] == [1, 1]
    assert problems(tmp_path / "maps.npz") == []
    export = open_export(tmp_path / "maps.npz")
    assert captions_of(export)[0].weights["t2i"] == [[DOG[0], [0, 0], DOG[2]]]
    found = export.row_mass(EVERY)
    assert found is not None
    assert found.tolist() == [0.5, 0, 0.25, 0.125, 1, 0.75]


def test_the_writer_normalises_what_is_cut_from_larger_maps(tmp_path: Path) -> None:
    raw = np.array([[[0.125, 0.375], [0, 0], [0.25, 0]], [[0.5, 0], [0.25, 0.25], [0, 0.125]]])
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions", channels=[(0, 0), (0, 1)]) as out:
        add_images(out)
        out.add_caption("36979", raw, tokens=DOG_TOKENS, mass="sum")
    export = open_export(tmp_path / "maps.npz")
    assert captions_of(export)[0].weights["t2i"] == [[[0.25, 0.75], [0, 0], [1, 0]], [[1, 0], [0.5, 0.5], [0, 1]]]
    found = export.row_mass(EVERY[:1])
    assert found is not None
    assert found.tolist() == [0.5, 0, 0.25, 0.5, 0.5, 0.125]


@pytest.mark.parametrize(
    ("mass", "parts"),
    [
        ([0.5, 0.5], ("mass", "(1, 2)", "3 tokens")),
        ([0.5, 0.0, 0.5], ("row_mass: is 0, but", "token 1")),
        ([0.5, -1.0, 0.5], ("row_mass", "token 1 -1")),
        ("total", ("'total'", "'sum'")),
    ],
)
def test_masses_that_the_writer_refuses(tmp_path: Path, mass: Any, parts: tuple[str, ...]) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("4711", CATS, tokens=["cats"], mass=[1])
        with pytest.raises(ExportError) as caught:
            out.add_caption("36979", DOG, tokens=DOG_TOKENS, mass=mass)
        with pytest.raises(ExportError, match="not described like"):
            out.add_caption("36979", DOG, tokens=DOG_TOKENS)
    assert_says(str(caught.value), *parts)


# ---------------------------------------------------------------- windows


def windowed(**changes: Any) -> dict[str, Any]:
    """`packed`, where 4711#3 is over the last two of three regions and 36979#1 over the second of two."""
    return packed(
        **{
            "caption_region": np.array([[0, 2], [1, 2], [1, 1]]),
            "attention_offset": np.array([0, 6, 8, 10]),
            "attention": floats(0.25, 0.75, 0.5, 0.5, 1, 0, 0.5, 0.5, 1, 1),
            **changes,
        }
    )


def test_windows_of_captions(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", windowed()))
    assert problems(tmp_path / "maps.npz") == []
    assert [part.tolist() for part in export.window(np.array([2, 1]))] == [[1, 1], [1, 2]]
    block = export.maps["t2i"].take(np.array([1, 2]))
    assert block.flat.tolist() == [0.5, 0.5, 1, 1]
    assert block.start.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"caption_region": np.array([[0, 2], [2, 2], [1, 1]])}, ("4711#3 [2, 2] of 3",)),
        ({"caption_region": np.array([[0, 2], [1, 2], [-1, 1]])}, ("36979#1 [-1, 1] of 2",)),
        ({"caption_region": np.array([[0, 2], [1, 2], [2**63 - 1, 2]])}, (f"36979#1 [{2**63 - 1}, 2] of 2",)),
        ({"caption_region": np.array([[0, 2], [1, 2], [1, -1]])}, ("36979#1 [1, -1] of 2",)),
        ({"caption_region": np.array([[0, 2], [1, 2]])}, ("(2, 2)", "(3, 2)")),
        ({"caption_region": np.array([[0, 2], [0, 3], [1, 1]])}, ("attention_offset", "4711#3", "expected 3")),
        (
            {"region_box": None, "region_offset": None, "grid_shape": np.array([[1, 2], [1, 3]])},
            ("caption_region", "no region_box"),
        ),
    ],
)
def test_windows_that_cannot_be(tmp_path: Path, changes: Any, parts: tuple[str, ...]) -> None:
    assert_says(refusal(saved(tmp_path / "maps.npz", windowed(**changes))), *parts)


def test_sums_over_tokens_are_of_the_window(tmp_path: Path) -> None:
    """The third region of 4711 has no area; the window of 4711#3 holds it as its second column."""
    changes = {"format": header(normalised_over="tokens")}
    weights = floats(0.25, 0.5, 0.5, 0.25, 0.25, 0.25, 1, 0, 0.5, 0.5)
    path = saved(tmp_path / "maps.npz", windowed(attention=weights, **changes))
    assert problems(path) == []
    weights[6:8] = (0, 1)
    (problem,) = problems(saved(path, windowed(attention=weights, **changes)))
    assert_says(problem, "first: 4711#3 region 0 sums to 0)")


def test_the_writer_takes_windows(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        out.add_image("36979", boxes=[*CAT_BOXES, *CAT_BOXES])
        out.add_caption("36979", DOG, index=0, tokens=DOG_TOKENS, window=(0, 2))
        maps = np.zeros((2, 1, 3))
        maps[0, 0, :2], maps[1, 0] = (0.25, 0.75), (0, 0.5, 0.5)
        out.add_captions(["36979"] * 2, maps, indices=[1, 2], tokens=[["a"], ["b"]], windows=[(4, 2), (1, 3)])
        for window in ((5, 2), (-1, 2), (0, 7)):
            with pytest.raises(ExportError, match=r"is no .first, count. of the 6 regions"):
                out.add_caption("36979", DOG, index=5, tokens=DOG_TOKENS, window=window)
        with pytest.raises(ExportError, match="expected 1 channels x 3 tokens x 3 regions"):
            out.add_caption("36979", DOG, index=5, tokens=DOG_TOKENS, window=(0, 3))
    assert said(tmp_path / "maps.npz")["version"] == [1, 1]
    assert problems(tmp_path / "maps.npz") == []
    export = open_export(tmp_path / "maps.npz")
    assert export.caption_region is not None
    assert export.caption_region.tolist() == [[0, 2], [4, 2], [1, 3]]
    assert export.maps["t2i"].take(EVERY).flat.tolist()[6:] == [0.25, 0.75, 0, 0.5, 0.5]


def test_grids_have_no_windows(tmp_path: Path) -> None:
    out = ExportWriter(tmp_path / "maps.npz")
    out.add_image("1", grid=(2, 2))
    with pytest.raises(ExportError, match="has a grid, and no boxes"):
        out.add_caption("1", [[1]], tokens=["a"], window=(0, 1))


# ---------------------------------------------------------------- names of channels


def named(*names: str, channel: Any = ((0, 0), (0, 0))) -> dict[str, Any]:
    """`packed` with two channels."""
    weights = packed()["attention"]
    twice = np.concatenate([np.tile(part, 2) for part in np.split(weights, [6, 9])])
    changes = utf8("channel_name", *names) if names else {}
    offset = np.array([0, 12, 18, 26])
    return packed(channel=np.array(channel), attention=twice, attention_offset=offset, **changes)


def test_channels_are_told_apart_by_name(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", named("decoder.cross.3", "step 10")))
    assert export.channel_names == ["decoder.cross.3", "step 10"]
    assert open_export(saved(tmp_path / "plain.npz", named(channel=((3, 5), (-1, 2))))).channel_names == ["L3H5", "H2"]


@pytest.mark.parametrize(
    ("members", "parts"),
    [
        (named(), ("channel", "the same (layer, head) twice", "1 [0, 0]")),
        (named("a", "a"), ("channel_name", "the same name twice", "1 'a'")),
        (named("a", " "), ("channel_name", "no name", "1 ' '")),
        (named("a", "all"), ("channel_name", "no name", "1 'all'")),
        (named("a", "b\x1b[2J"), ("channel_name", "no name")),
        (named("a"), ("channel_name",)),
    ],
)
def test_channels_that_nothing_tells_apart(tmp_path: Path, members: Any, parts: tuple[str, ...]) -> None:
    assert_says(refusal(saved(tmp_path / "maps.npz", members)), *parts)


def test_the_writer_takes_names_of_channels(tmp_path: Path) -> None:
    given = {"channels": [(0, 0), (0, 0)], "normalised_over": "regions"}
    with ExportWriter(tmp_path / "maps.npz", channel_names=["a", "b"], **given) as out:  # type: ignore[arg-type]
        add_images(out)
        out.add_caption("4711", [CATS, CATS], tokens=["cats"])
    assert said(tmp_path / "maps.npz")["version"] == [1, 1]
    assert open_export(tmp_path / "maps.npz").channel_names == ["a", "b"]
    for names in (None, ["a"], ["a", "a"], ["a", ""], ["a", "all"], ["a", 3]):
        with pytest.raises(ExportError, match="channel"):
            ExportWriter(tmp_path / "no.npz", channel_names=names, **given)  # type: ignore[arg-type]


# ---------------------------------------------------------------- the type that weights had


@pytest.mark.parametrize(("dtype", "refused"), [("bfloat16", False), ("float16", False), ("float32", True), ("", True)])
def test_the_tolerance_is_that_of_the_type(tmp_path: Path, dtype: str, refused: bool) -> None:
    values = packed()["attention"].copy()
    values[2] = 0.5025
    members = packed(attention=values, format=header(weights_dtype=dtype or None))
    assert bool(problems(saved(tmp_path / "maps.npz", members))) == refused


def test_the_writer_says_the_type_of_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    weights = torch.softmax(torch.randn(3, 2, generator=torch.manual_seed(1)), -1).requires_grad_()
    for dtype, version in ((torch.float32, [1, 0]), (torch.float16, [1, 1]), (torch.bfloat16, [1, 1])):
        with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
            out.add_image(36979, boxes=torch.tensor([[0, 0, 50, 80], [50, 0, 100, 80]]))
            out.add_caption(torch.tensor(36979), weights.to(dtype), index=0, tokens=DOG_TOKENS)
        assert said(tmp_path / "maps.npz").get("weights_dtype", "float32") == str(dtype).removeprefix("torch.")
        assert said(tmp_path / "maps.npz")["version"] == version
        expected = weights.detach().to(dtype).float().tolist()
        assert captions_of(open_export(tmp_path / "maps.npz"))[0].weights == {"t2i": [expected]}


def test_the_writer_is_told_the_type(tmp_path: Path) -> None:
    off = np.array([[0.5, 0.5025], [0.5, 0.5]])
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions", weights_dtype="bfloat16") as out:
        add_images(out)
        out.add_caption("36979", off, tokens=["a", "b"])
    assert said(tmp_path / "maps.npz")["weights_dtype"] == "bfloat16"
    assert problems(tmp_path / "maps.npz") == []
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        with pytest.raises(ExportError, match=r"token 0 sums to 1\.00"):
            out.add_caption("36979", off, tokens=["a", "b"])
        out.add_caption("36979", off[1:], tokens=["b"])


# ---------------------------------------------------------------- packing and shards


def everything(path: Path, first: int) -> Path:
    """A file that uses all of it; its captions are numbered from `first`."""
    with ExportWriter(
        path,
        normalised_over="regions",
        channels=[(0, 0), (0, 0)],
        channel_names=["a", "b"],
        weights_dtype="bfloat16",
    ) as out:
        out.add_image("36979", boxes=[*CAT_BOXES, *CAT_BOXES])
        for index, window in enumerate(((0, 2), (3, 2))):
            maps, mass = np.array([DOG, [[0, 0], *DOG[1:]]]), [[1, 0.5, 0.25], [0, 0.5, 0.25 + index]]
            out.add_caption("36979", maps, index=first + index, tokens=DOG_TOKENS, window=window, mass=mass)
    return path


def test_packing_keeps_it(tmp_path: Path) -> None:
    paths = [everything(tmp_path / "a.npz", 0), everything(tmp_path / "b.npz", 2)]
    assert pack(paths[:1], tmp_path / "same.npz") == []
    with np.load(paths[0]) as before, np.load(tmp_path / "same.npz") as after:
        assert sorted(before) == sorted(after)
        assert all(np.array_equal(before[name], after[name]) for name in before if name != "format")
    assert said(tmp_path / "same.npz") == said(paths[0])
    joined = join_shards([open_export(path) for path in paths])
    pack(paths, tmp_path / "both.npz")
    for export in (joined, open_export(tmp_path / "both.npz")):
        rows = np.array([3, 0])
        assert [part.tolist() for part in export.window(rows)] == [[3, 0], [2, 2]]
        found = export.row_mass(rows)
        assert found is not None
        assert found.tolist() == [1, 0.5, 0.25, 0, 0.5, 1.25, 1, 0.5, 0.25, 0, 0.5, 0.25]
        assert export.channel_names == ["a", "b"]
        assert export.header.weights_dtype == "bfloat16"
    assert problems(tmp_path / "both.npz") == []


def test_shards_must_be_alike(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "b.npz", normalised_over="regions", channels=[(0, 0), (0, 1)]) as out:
        out.add_image("36979", boxes=[*CAT_BOXES, *CAT_BOXES])
        out.add_caption("36979", np.full((2, 1, 6), 1 / 6), index=7, tokens=["a"])
    shards = [open_export(path) for path in (everything(tmp_path / "a.npz", 0), tmp_path / "b.npz")]
    with pytest.raises(ExportError, match="channels, channel_name, row_mass, caption_region differ"):
        join_shards(shards)


def test_brain_floats_of_tensor_files(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    values = torch.from_numpy(packed()["attention"].copy())
    values[2] = 0.498  # 0.498046875 as bfloat16
    members = {name: torch.from_numpy(np.array(value)) for name, value in packed().items()}
    members["attention"] = values.bfloat16()
    torch.save(members, tmp_path / "maps.pt")
    safetensors.save_file(members, tmp_path / "maps.safetensors")
    for name in ("maps.pt", "maps.safetensors"):
        pack([tmp_path / name], tmp_path / "maps.npz")
        assert said(tmp_path / "maps.npz")["weights_dtype"] == "bfloat16"
        assert problems(tmp_path / "maps.npz") == []
