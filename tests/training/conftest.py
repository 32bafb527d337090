from __future__ import annotations

from pathlib import Path

import pytest
import torch

from .toy import write_toy

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated data set; read only."""
    return write_toy(tmp_path_factory.mktemp("toy") / "toy_precomp")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}")
    return SHARED
