"""The committed fixtures are what their script makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fixtures")
    subprocess.run([sys.executable, str(FIXTURES / "make.py"), str(root)], check=True, capture_output=True)
    return root


def files(root: Path, pattern: str) -> dict[str, Path]:
    return {path.relative_to(root).as_posix(): path for path in sorted(root.glob(pattern))}


def test_text_is_equal_to_the_byte(made: Path) -> None:
    for pattern in ("entities/*/*", "grounding.json"):
        ours, theirs = files(FIXTURES, pattern), files(made, pattern)
        assert list(ours) == list(theirs)
        assert all(path.read_bytes() == theirs[name].read_bytes() for name, path in ours.items())


def test_arrays_are_equal(made: Path) -> None:
    ours, theirs = files(FIXTURES, "*.npz"), files(made, "*.npz")
    assert list(ours) == list(theirs) == ["good.npz", "heads.npz", "noisy.npz", "twin.npz", "uniform.npz"]
    for name, path in ours.items():
        with np.load(path) as a, np.load(theirs[name]) as b:
            assert a.files == b.files
            for member in a.files:
                if a[member].dtype.kind == "f":
                    # The last bit of exp() is the platform's, and half precision may round it up or down.
                    rtol = 1e-3 if a[member].dtype == np.float16 else 1e-5
                    np.testing.assert_allclose(a[member], b[member], rtol=rtol, atol=1e-7)
                else:
                    np.testing.assert_array_equal(a[member], b[member])


def test_fixtures_are_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < 3_000_000
