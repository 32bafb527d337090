"""What the command line does before it writes, and when what it writes to is closed or full."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, attneval, environment
from here import Here

FIXTURES = ROOT / "fixtures"
SCORE = ("score", FIXTURES / "good.npz", "--gt", FIXTURES / "entities", "-q")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results and items of two systems."""
    folder = tmp_path_factory.mktemp("results")
    for name in ("good", "noisy"):
        attneval(
            "score", FIXTURES / f"{name}.npz", "--gt", FIXTURES / "entities", "--items", "-o", folder / f"{name}.json"
        )
    return folder


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, results: Path, tmp_path: Path) -> Here:
    """The command in this process, in a folder with copies of the results."""
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    shutil.copy(FIXTURES / "good.npz", tmp_path / "maps.npz")
    return Here(capsys, monkeypatch, tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("gate", "good.json", "--min", "f1=0.3", "-o", "good.json"),
        ("gate", "good.json", "--baseline", "noisy.json", "--max-drop", "f1=0.3", "-o", "noisy.json"),
        ("compare", "good.json", "noisy.json", "-o", "./noisy.json"),
        ("compare", "good.json", "--group", "two=noisy.json", "-o", "noisy.json"),
        ("inspect", "good.json", "-o", "good.json"),
        ("inspect", "good.json", "--diff", "noisy.json", "-o", "noisy.json"),
        ("curve", "good.json", "-o", "good.json"),
        ("merge", "good.json", "-o", "good.json"),
        ("merge", "good.json", "-o", "link.json"),
        ("pack", "maps.npz", "-o", "maps.npz"),
        (*SCORE[:3], "good.json", "-o", "good.json"),
        (*SCORE[:4], "--split", "noisy.json", "-o", "noisy.json"),
    ],
    ids=lambda arguments: " ".join(map(str, (arguments[0], *arguments[-1:]))),
)
def test_what_is_read_is_not_overwritten(here: Here, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "link.json").symlink_to("good.json")
    before = contents(tmp_path)
    assert f"-o {arguments[-1].removeprefix('./')} is read as well" in here.refused(*arguments).replace("./", "")
    assert contents(tmp_path) == before


def test_a_file_is_written_once(here: Here, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert "-o sub/../a.json is named twice" in here.refused(*SCORE, "-o", "a.json", "-o", "sub/../a.json")
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("command", [("score", "maps.npz"), ("pack", "maps.npz"), ("merge", "good.json")])
def test_where_nothing_can_be_written_nothing_is_worked_on(
    here: Here, tmp_path: Path, command: tuple[str, ...]
) -> None:
    suffix = ".npz" if command[0] == "pack" else ".json"
    out = f"nowhere/out{suffix}"
    assert f"{out} cannot be written: there is no directory nowhere" in here.refused(*command, "-o", out)
    (tmp_path / f"out{suffix}").mkdir()
    assert "it is a directory" in here.refused(*command, "-o", f"out{suffix}")


@pytest.mark.parametrize("flag", ["--gt", "--split", "--similarity", "--attn"])
def test_nothing_is_no_file(here: Here, flag: str) -> None:
    assert "names no file" in here.refused("score", "maps.npz", flag, "")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--iou", "0.3"), "--iou would change nothing"),
        (("--gt", "nowhere", "--boxes", "union"), "--boxes would change nothing"),
        (("--preset", "default", "--split", "x"), "--split, --preset would change nothing"),
    ],
)
def test_flags_that_decide_nothing_are_refused(here: Here, flags: tuple[str, ...], said: str) -> None:
    assert said in here.refused("compare", "good.json", "noisy.json", *flags)
    assert here("compare", "good.json", "noisy.json", "--resamples", "50", "--seed", "3").code == 0


def test_settings_of_a_file_may_decide_nothing(here: Here, tmp_path: Path) -> None:
    (tmp_path / "attneval.toml").write_text('iou = 0.3\ngt = "nowhere"\n', "utf-8")
    assert here("compare", "good.json", "noisy.json", "--resamples", "50").code == 0


def test_a_seed_is_not_negative(here: Here) -> None:
    assert "'--seed': -1" in here.refused(*SCORE, "--seed", "-1")


def test_items_of_another_result_are_refused(here: Here, tmp_path: Path) -> None:
    assert here("inspect", "good.json").code == 0
    shutil.copy(tmp_path / "noisy.items.npz", tmp_path / "good.items.npz")
    assert "good.items.npz holds the items of another result than good.json" in here.refused("inspect", "good.json")


# ---------------------------------------------------------------- streams


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `attneval LINE` in a shell."""
    command = f"'{sys.executable}' -m attneval {line}"
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )


FULL = pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("gate good.json --min f1=0.1 2>&-", 0),
        ("gate good.json --min f1=0.99 2>&-", 1),
        ("gate good.json --min f1=0.1 >&-", 0),
        ("gate good.json --min f1=0.99 >&- 2>&-", 1),
        ("gate nowhere.json --min f1=0.1 2>&-", 2),
        ("--version >&-", 0),
        pytest.param("gate nowhere.json --min f1=0.1 2>/dev/full", 2, marks=FULL),
    ],
)
def test_closed_streams_change_no_exit_code(results: Path, line: str, code: int) -> None:
    done = shell(line, results)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@FULL
@pytest.mark.parametrize("line", ["explain", "curve good.json -f json", "gate good.json --min f1=0.1"])
def test_a_full_disk_behind_stdout(results: Path, line: str) -> None:
    done = shell(f"{line} >/dev/full", results)
    assert done.returncode == 2
    assert done.stderr.endswith("error: stdout cannot be written (No space left on device)\n")


def test_without_arguments_the_help_is_shown() -> None:
    done = attneval()
    assert (done.code, done.out) == (2, "")
    assert done.err == attneval("--help").out
