from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


class WithoutTorch(pytest.Module):
    """A file of tests that cannot be imported here."""

    def collect(self) -> Iterable[pytest.Item]:
        pytest.skip("needs torch", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if find_spec("torch") is not None:
        return None
    skipped: pytest.Module = WithoutTorch.from_parent(parent, path=module_path)
    return skipped


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated data set; read only."""
    from training.toy import write_toy

    return write_toy(tmp_path_factory.mktemp("toy") / "toy_precomp")


@pytest.fixture(scope="session")
def f8k(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first images of the real data set in the ordinary layout; read only."""
    packed, folder = shared / "f8k_precomp", tmp_path_factory.mktemp("real") / "f8k_precomp"
    folder.mkdir()
    for split, images in (("train", 240), ("dev", 100)):
        features = np.load(packed / f"{split}_ims_int8.npy", mmap_mode="r")[:images]
        np.save(folder / f"{split}_ims.npy", features.astype(np.float32) / 32)
        for kind in ("boxes", "sizes"):
            np.save(folder / f"{split}_{kind}.npy", np.load(packed / f"{split}_{kind}.npy")[:images])
        for kind, lines in (("caps", 5 * images), ("ids", images)):
            text = (packed / f"{split}_{kind}.txt").read_text(encoding="utf-8").splitlines(keepends=True)
            (folder / f"{split}_{kind}.txt").write_text("".join(text[:lines]), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}")
    return SHARED
