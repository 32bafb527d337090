"""What is set before a command runs, and that looking a command up sets nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, environment

STATE = "print(gc.get_threshold()[0], os.environ.get('OPENBLAS_NUM_THREADS'))"


def state_after(code: str, **changes: str) -> str:
    """The state of a fresh process after some code."""
    script = f"import gc, os, sys\nfrom attneval.__main__ import main\nfrom attneval.cli import cli\n{code}\n{STATE}"
    kept = {name: value for name, value in environment(**changes).items() if changes or "THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=kept, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


UNTOUCHED = state_after("")


@pytest.mark.parametrize(
    "code",
    [
        "import click; [cli.get_command(click.Context(cli), name) for name in cli.list_commands(None)]",
        "main(['--help'])",
        "main(['train', '--help'])",
    ],
)
def test_looking_up_sets_nothing(code: str) -> None:
    assert state_after(code) == UNTOUCHED


def test_scoring_commands_set_what_they_gain_from() -> None:
    assert state_after("main(['explain'])") == "50000 1"


def test_the_environment_says_how_many_threads() -> None:
    assert state_after("main(['explain'])", OPENBLAS_NUM_THREADS="2") == "50000 2"


@pytest.mark.parametrize("export", ["noisy", "heads"])
def test_a_scoring_imports_nothing_that_only_others_need(export: str) -> None:
    heavy = ["numpy.ma", "csv", "torch", "scipy", "pandas", "matplotlib", "PIL", "jinja2", "fsspec", "distributed"]
    script = (
        "import sys\nfrom attneval.__main__ import main\n"
        f"assert main(['score', 'fixtures/{export}.npz', '--gt', 'fixtures/entities', '--jobs', '1']) == 0\n"
        f"print('imported', [name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "imported []"


def test_completion_without_a_line_is_refused() -> None:
    for asked, code in (("bash_complete", 2), ("nonsense", 2), ("bash_source", 0)):
        done = subprocess.run(
            [sys.executable, "-m", "attneval"],
            env=environment(_ATTNEVAL_COMPLETE=asked),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, asked
        assert "Traceback" not in done.stderr
        assert "internal" not in done.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("OSError(28, 'No space left on device', 'some.npz')", "some.npz: No space left on device"),
        ("OSError(11, 'Resource temporarily unavailable')", "Resource temporarily unavailable"),
        ("MemoryError()", "not enough memory"),
        ("RecursionError()", "nested too deeply"),
        ("OverflowError('x')", "internal error"),
    ],
)
def test_a_net_for_what_the_system_says(error: str, said: str) -> None:
    code = f"import attneval.__main__ as m\ndef broken(_):\n    raise {error}\nm.run = broken\nm.entry()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert said in done.stderr


def test_not_even_what_cannot_be_said_is_a_gate_that_failed() -> None:
    code = (
        "import attneval.__main__ as m\ndef broken(*_):\n    raise MemoryError\nm.run = m._complain = broken\nm.entry()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2


@pytest.mark.skipif(sys.version_info[:3] == (3, 13, 0), reason="numpy cannot be imported there in this version")
def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    code = (
        f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); "
        "from attneval.__main__ import entry; entry()"
    )
    base = [sys.executable, "-c", code]
    environ = environment(PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [*base, "score", str(ROOT / "fixtures/good.npz"), "--gt", str(ROOT / "fixtures/entities"), "-f", "json"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [*base, "score", "a.npz", "--gt", "b", "-o", "c.json"], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "error: the working directory does not exist any more\n")


@pytest.mark.skipif(not Path(os.devnull).parent.joinpath("full").is_char_device(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["--version"]])
def test_help_on_a_full_disk(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "attneval", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
        )
    assert (done.returncode, done.stderr) == (2, "error: stdout cannot be written (No space left on device)\n")
