"""Shapes and types that the writer takes, and what it says of maps that are too large, or no attention."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import CATS, DOG, DOG_TOKENS, TWO, add_images, assert_says, captions_of, problems

from attneval.errors import ExportError
from attneval.export.read.reader import open_export
from attneval.export.write.writer import ExportWriter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GRID = (14, 14)


def patches(tokens: int, columns: int = 196) -> NDArray[np.float64]:
    return np.random.default_rng(0).dirichlet(np.ones(columns), tokens)


def refused(path: Path, *, kind: str = "attention", over: str = "regions", **given: Any) -> str:
    """What the writer says of a caption of an image with a grid, or with boxes."""
    out = ExportWriter(path, kind=kind, normalised_over=over, channels=given.pop("channels", ((-1, -1),)))
    out.add_image("1", grid=GRID)
    with pytest.raises(ExportError) as caught:
        out.add_caption("1", **{"index": 0, "tokens": DOG_TOKENS, **given})
    assert str(path) in str(caught.value)
    return str(caught.value)


def refused_batch(path: Path, maps: Any, *, grid: bool = True, **given: Any) -> str:
    out = ExportWriter(path, normalised_over="regions")
    for name in ("1", "2"):
        out.add_image(name, **({"grid": GRID} if grid else {"boxes": [[0, 0, 5, 5]] * 3}))
    with pytest.raises(ExportError) as caught:
        out.add_captions(["1", "2"], maps, **{"indices": [0, 1], "tokens": [["a", "b"], ["c"]], **given})
    return str(caught.value)


# ---------------------------------------------------------------- maps that are too large


def test_a_key_of_cls_is_no_cell(tmp_path: Path) -> None:
    message = refused(tmp_path / "maps.npz", attention=patches(3, 197))
    assert_says(message, "1#0", "(3, 197)", "3 tokens x 196 regions", "197 columns for 196 cells", "[..., 1:]")
    maps = np.zeros((2, 2, 197))
    maps[0], maps[1, :1] = patches(2, 197), patches(1, 197)
    assert_says(refused_batch(tmp_path / "maps.npz", maps), "1#0, ...", "last region", "197 columns for 196 cells")
    maps = np.full((2, 2, 4), 0.25)
    maps[1, 1] = 0
    assert_says(refused_batch(tmp_path / "maps.npz", maps, grid=False), "4 columns for 3 regions", "[CLS]")


def test_a_row_of_cls_needs_a_token(tmp_path: Path) -> None:
    message = refused(tmp_path / "maps.npz", attention=patches(4))
    assert_says(message, "(4, 196)", "3 tokens x 196 regions", "[CLS]", "a token for each row")
    maps = np.zeros((2, 3, 196))
    maps[0], maps[1, :2] = patches(3), patches(2)
    assert_says(refused_batch(tmp_path / "maps.npz", maps), "behind a caption's last token", "leading row")


def test_one_caption_of_a_batch_is_enough(tmp_path: Path) -> None:
    """The longest caption has all its rows; the weight behind another one's last token is an error as well."""
    maps = np.zeros((2, 2, 196))
    maps[0], maps[1] = patches(2), patches(2)
    assert_says(refused_batch(tmp_path / "maps.npz", maps), "behind a caption's last token", "must be zeros")


def test_weights_that_cancel_are_no_zeros(tmp_path: Path) -> None:
    maps = np.zeros((2, 2, 196))
    maps[0], maps[1, :1] = patches(2), patches(1)
    maps[1, 1, :2] = (0.5, -0.5)
    assert_says(refused_batch(tmp_path / "maps.npz", maps), "behind a caption's last token")


def test_a_region_too_many_for_one_image_of_a_batch(tmp_path: Path) -> None:
    out = ExportWriter(tmp_path / "maps.npz", normalised_over="regions")
    add_images(out)
    maps = np.zeros((2, 1, 3))
    maps[0, 0], maps[1, 0] = CATS[0], (0.25, 0.25, 0.5)
    with pytest.raises(ExportError, match="behind a caption's last region"):
        out.add_captions(["4711", "36979"], maps, tokens=[["a"], ["b"]])


@pytest.mark.parametrize(
    ("maps", "parts"),
    [
        (patches(3, 196).T, ("(196, 3)", "transposed")),
        (patches(2), ("(2, 196)", "3 tokens x 196 regions")),
        (patches(3, 195), ("(3, 195)", "196 regions")),
        (np.stack([patches(3)] * 12), ("(12, 3, 196)", "several heads are channels", "channels=")),
        (patches(3)[0], ("(196,)",)),
    ],
)
def test_shapes_are_exact(tmp_path: Path, maps: Any, parts: tuple[str, ...]) -> None:
    assert_says(refused(tmp_path / "maps.npz", attention=maps), *parts)


# ---------------------------------------------------------------- what is taken


@pytest.mark.parametrize("channels", [1, 2])
def test_grids_keep_their_shape(tmp_path: Path, channels: int) -> None:
    flat = np.stack([patches(3)] * channels) if channels > 1 else patches(3)
    given: dict[str, Any] = {"channels": [(0, head) for head in range(channels)], "normalised_over": "regions"}
    for name, maps in (("flat.npz", flat), ("grid.npz", flat.reshape(*flat.shape[:-1], *GRID))):
        with ExportWriter(tmp_path / name, **given) as out:
            out.add_image("1", grid=GRID)
            out.add_caption("1", maps, index=0, tokens=DOG_TOKENS)
            out.add_captions(["1"], maps[None], indices=[1], tokens=[DOG_TOKENS])
            out.add_caption("1", maps, index=2, tokens=DOG_TOKENS)
    assert (tmp_path / "flat.npz").read_bytes() == (tmp_path / "grid.npz").read_bytes()
    assert problems(tmp_path / "grid.npz") == []


def test_whole_numbers_are_ids(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        out.add_image(36979, boxes=[[0, 0, 50, 80], [50, 0, 100, 80]])
        out.add_images(np.array([4711, 5]).tolist(), boxes=np.tile([0.0, 0, 5, 5], (2, 2, 1)))
        out.add_caption(np.int64(36979), DOG, index=np.int32(0), tokens=DOG_TOKENS)
        out.add_captions([4711, "36979"], [TWO, TWO], indices=[0, 1], tokens=[["a", "b"], ["c", "d"]])
        with pytest.raises(ExportError, match=r"image 7 is unknown"):
            out.add_caption(7, DOG, index=1, tokens=DOG_TOKENS)
    export = open_export(tmp_path / "maps.npz")
    assert export.image_id == ["36979", "4711", "5"]
    assert [caption.name for caption in captions_of(export)] == ["36979#0", "4711#0", "36979#1"]


def test_tensors_are_taken(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    maps = torch.tensor([DOG], requires_grad=True)
    with ExportWriter(tmp_path / "plain.npz", normalised_over="regions", channels=[(0, 0), (0, 1)]) as out:
        add_images(out)
        out.add_caption("36979", [DOG, DOG], tokens=DOG_TOKENS, index=0)
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions", channels=[(0, 0), (0, 1)]) as out:
        add_images(out)
        out.add_caption("36979", (maps[0], maps[0]), tokens=DOG_TOKENS, index=torch.tensor(0))
    assert (tmp_path / "maps.npz").read_bytes() == (tmp_path / "plain.npz").read_bytes()


class OnAnotherDevice:
    """A tensor as others see it: it must be brought to the processor before numpy can have it."""

    def __init__(self, values: Any, dtype: str, *, here: bool = False, plain: bool = False) -> None:
        self.values, self.dtype, self.here, self.plain = values, f"other.{dtype}", here, plain

    def __len__(self) -> int:
        return len(self.values)

    def detach(self) -> OnAnotherDevice:
        return OnAnotherDevice(self.values, self.dtype[6:], here=self.here, plain=True)

    def cpu(self) -> OnAnotherDevice:
        return OnAnotherDevice(self.values, self.dtype[6:], here=True, plain=self.plain)

    def float(self) -> OnAnotherDevice:
        return OnAnotherDevice(self.values, "float32", here=self.here, plain=self.plain)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        if not (self.here and self.plain) or self.dtype == "other.bfloat16":
            raise TypeError("cannot be converted")
        return np.array(self.values, np.float32)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_tensors_of_any_library_on_any_device(tmp_path: Path, dtype: str) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("36979", OnAnotherDevice(DOG, dtype), tokens=DOG_TOKENS)
    export = open_export(tmp_path / "maps.npz")
    assert captions_of(export)[0].weights == {"t2i": [DOG]}
    assert export.header.weights_dtype == ("bfloat16" if dtype == "bfloat16" else "")


# ---------------------------------------------------------------- weights that are checked as they are added


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ([np.nan, 0.5], ("NaN or infinite", "36979#0 token 1 has nan")),
        ([np.inf, 0.5], ("NaN or infinite", "token 1 has inf")),
        ([-0.5, 1.5], ("negative", "token 1 has -0.5")),
        ([0.5, 0.6], ("sum to 1 over regions", "token 1 sums to 1.1", "check=False")),
        ([0.0, 0.0], ("token 1 sums to 0", "mass=")),
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_weights_are_checked(tmp_path: Path, row: list[float], parts: tuple[str, ...], batched: bool) -> None:
    maps = [DOG[0], row, DOG[2]]
    given: dict[str, Any] = {"tokens": [DOG_TOKENS], "indices": [0]}
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        one = partial(out.add_caption, "36979", maps, tokens=DOG_TOKENS, index=0)
        with pytest.raises(ExportError) as caught:
            (partial(out.add_captions, ["36979"], np.array([maps]), **given) if batched else one)()
        out.add_caption("36979", DOG, tokens=DOG_TOKENS, index=0)
    assert_says(str(caught.value), str(tmp_path / "maps.npz"), "attention", *parts)
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions", check=False) as out:
        add_images(out)
        out.add_captions(["36979"], np.array([maps]), **given)
    assert problems(tmp_path / "maps.npz")


def test_special_tokens_are_not_checked(tmp_path: Path) -> None:
    maps = np.array([[np.nan, np.nan], DOG[1], [3, 4]])
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("36979", maps, tokens=["[CLS]", "dog", "<pad>"], index=0)
        with pytest.raises(ExportError, match="token 2 sums to 7"):
            out.add_caption("36979", maps, tokens=["[CLS]", "dog", "<unk>"], index=1)
    assert problems(tmp_path / "maps.npz") == []


def test_sums_over_tokens_are_checked(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="tokens") as out:
        add_images(out)
        # The third region of 4711 has no area, so its column is nobody's.
        out.add_caption("4711", [[0.25, 0.5, 7], [0.75, 0.5, 0]], tokens=["a", "b"], index=0)
        with pytest.raises(ExportError, match=r"over tokens.*4711#1 region 1 sums to 0\.9"):
            out.add_caption("4711", [[0.25, 0.5, 7], [0.75, 0.4, 0]], tokens=["a", "b"], index=1)
    assert problems(tmp_path / "maps.npz") == []


def test_letterbox_cells_have_no_sum_over_tokens(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="tokens") as out:
        out.add_image("1", size=(100, 50), grid=(4, 1), affine=(100, 25, 0, -25))
        out.add_caption("1", [[0, 1, 1, 0]], tokens=["a"], index=0)
        with pytest.raises(ExportError, match="region 2 sums to 0"):
            out.add_caption("1", [[1, 1, 0, 0]], tokens=["a"], index=1)
    assert problems(tmp_path / "maps.npz") == []
