"""The command line: exit codes, where output goes, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, Done, attneval, environment, on_terminal
from here import Here

GOOD = ("score", "--attn", "fixtures/good.npz", "--gt", "fixtures/entities")


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """The command in this process, from the project's folder, where a process of its own would show nothing more."""
    return Here(capsys, monkeypatch, ROOT)


def refused(done: Done, *parts: str) -> None:
    """Exit code 2, nothing on stdout, one line on stderr that says all of it."""
    assert done.code == 2
    assert not done.out
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1
    for part in parts:
        assert part in done.err


def test_version() -> None:
    done = attneval("--version")
    assert (done.code, done.out) == (0, "attneval, version 0.1.0\n")


def test_the_installed_command_is_the_module() -> None:
    command = Path(sys.executable).with_name("attneval")
    if not command.exists():
        pytest.skip("the package is not installed")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == attneval("--version").out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["scor"], ["'scor'", "did you mean score?"]),
        (["score", "--nonsense"], ["--nonsense", "attneval score --help"]),
        (["score", "no.npz", "--gt", "fixtures/entities"], ["no.npz", "does not exist"]),
        (["score", "fixtures", "--gt", "fixtures/entities"], ["fixtures", "not a file"]),
        ([*GOOD[:3], "--gt", "nowhere"], ["nowhere", "does not exist"]),
        ([*GOOD[:3], "--gt", "docs"], ["docs", "Annotations/"]),
        ([*GOOD[:3], "--gt", "fixtures/good.npz"], ["fixtures/good.npz", "Annotations/"]),
        ([*GOOD, "--threshold", "top:0"], ["'top:0'", "top:k"]),
        ([*GOOD, "--unit", "letter"], ["letter", "word", "phrase"]),
        ([*GOOD, "--min", "f2=0.3"], ["'f2'", "did you mean f1?"]),
        ([*GOOD, "--min", "f1"], ["'f1'", "METRIC=VALUE"]),
        ([*GOOD, "-o", "result.yaml"], ["result.yaml", ".json"]),
        ([*GOOD, "--limit", "0"], ["--limit"]),
        ([*GOOD, "fixtures/twin.npz"], ["fixtures/good.npz", "fixtures/twin.npz"]),
        ([*GOOD, "--boxes", "any", "--boxes", "merged"], ["--boxes", "2 times"]),
        (["score"], ["nothing to score", "--gt"]),
        (["score", "fixtures/uniform.npz"], ["nothing to score"]),
        (["explain", "f2"], ["'f2'", "f1"]),
        (["pack", "fixtures/good.npz"], ["--output"]),
    ],
)
def test_what_cannot_be_evaluated_exits_with_2(here: Here, arguments: list[str], parts: list[str]) -> None:
    refused(here(*arguments), *parts)


@pytest.mark.parametrize(
    "arguments", [("scor",), ("score", "no.npz", "--gt", "fixtures/entities"), (*GOOD, "--iou", "2")]
)
def test_what_is_refused_is_refused_to_the_shell_too(here: Here, arguments: tuple[str, ...]) -> None:
    done = attneval(*arguments)
    refused(done)
    assert done == here(*arguments)


def test_gate_in_one_step() -> None:
    assert attneval(*GOOD, "--min", "f1=0.7", "--max", "entropy=0.6", "-q").code == 0
    done = attneval(*GOOD, "--min", "f1=0.9", "--min", "recall=0.1")
    assert done.code == 1
    assert "FAILED: f1 >= 0.9 (is 0.707006" in done.err
    assert "passed: recall >= 0.1" in done.err
    assert "Attention F1" in done.out  # the table is printed either way


def test_a_partial_result_passes_no_gate(here: Here) -> None:
    done = here(*GOOD, "--limit", "3", "--min", "f1=0")
    assert done.code == 2
    assert "PARTIAL" in done.err
    assert done.out == ""  # nothing is shown of what is refused
    assert "note: PARTIAL: only the first 3 images were scored" in here(*GOOD, "--limit", "3").out


def test_a_metric_that_was_not_measured_passes_no_gate(here: Here) -> None:
    done = here("score", "fixtures/uniform.npz", "--gt", "fixtures/entities", "--min", "rsum=0")
    assert done.code == 2
    assert "rsum was not measured" in done.err


def test_json_on_stdout_is_the_file(tmp_path: Path) -> None:
    done = attneval(*GOOD, "-f", "json", "-o", tmp_path / "r.json")
    assert done.out == (tmp_path / "r.json").read_text(encoding="utf-8")
    values = json.loads(done.out)
    assert values["schema"] == 1
    assert values["metrics"]["f1"].keys() == {"value", "ci", "n", "higher_is_better", "above_floor"}
    assert [item["role"] for item in values["inputs"]] == ["attn", "gt"]


def test_several_outputs_by_suffix(here: Here, tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("r.json", "r.csv", "r.md", "r.txt")]
    done = here(*GOOD, *(part for path in outputs for part in ("-o", path)))
    assert (tmp_path / "r.txt").read_text() == done.out
    assert (tmp_path / "r.md").read_text().startswith("**Attention of good")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text())))
    value = json.loads((tmp_path / "r.json").read_text())["metrics"]["f1"]["value"]
    assert [float(line["value"]) for line in lines if line["metric"] == "f1" and not line["group"]] == [value]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.json", "r.md", "r.txt"]


def test_a_refused_run_leaves_the_old_output(here: Here, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("old")
    done = here("score", "fixtures/good.npz", "--gt", "fixtures/entities", "--folds", "7", "-o", tmp_path / "r.json")
    refused(done, "60 images", "7 folds")
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    assert (tmp_path / "r.json").read_text() == "old"


def test_an_output_that_cannot_be_written(here: Here, tmp_path: Path) -> None:
    done = here(*GOOD, "-o", tmp_path / "no" / "r.json")
    refused(done, str(tmp_path / "no" / "r.json"), "cannot be written")


def test_same_name_for_attn_and_argument_is_fine(here: Here) -> None:
    assert here(*GOOD, "fixtures/good.npz", "-q").code == 0


def test_options_come_from_the_environment() -> None:
    done = attneval(*GOOD, ATTNEVAL_THRESHOLD="max:0.5")
    assert "threshold:max:0.5" in done.out
    assert "threshold:abs:0.1" in attneval(*GOOD, "--threshold", "abs:0.1", ATTNEVAL_THRESHOLD="max:0.5").out


def test_boxes_takes_a_rule_a_file_or_both(here: Here, tmp_path: Path) -> None:
    with np.load(ROOT / "fixtures" / "good.npz") as data:
        members = dict(data)
    boxes = members.pop("region_box").reshape(60, 12, 4)
    members.pop("region_offset")
    np.savez(tmp_path / "bare.npz", **members)
    np.save(tmp_path / "boxes.npy", boxes)
    bare = ("score", tmp_path / "bare.npz", "--gt", "fixtures/entities", "--name", "good")
    refused(here(*bare), "bare.npz", "no region boxes", "--boxes")
    with_file = here(*bare, "--boxes", tmp_path / "boxes.npy")
    assert with_file.out == here(*GOOD).out
    both = here(*bare, "--boxes", tmp_path / "boxes.npy", "--boxes", "merged")
    assert both.out == here(*GOOD, "--boxes", "merged").out
    assert "boxes:merged" in both.out


def test_quiet_and_notes(here: Here) -> None:
    done = here("score", "fixtures/uniform.npz", "--gt", "fixtures/entities")
    assert "note: retrieval was not scored: there are no similarities" in done.out
    assert not done.err


def test_text_from_files_cannot_move_the_cursor(tmp_path: Path) -> None:
    name = "evil\x1b[2J\x07[bold]\u202e"
    done = attneval(*GOOD, "--name", name)
    assert "\x1b" not in done.out
    assert r"evil\x1b[2J\x07[bold]\u202e" in done.out
    shown = on_terminal(*GOOD, "--name", name, columns=120)
    assert r"evil\x1b[2J\x07[bold]\u202e" in shown.out
    bad = tmp_path / "\x1b[31mred.npz"
    bad.write_bytes(b"nothing")
    assert "\x1b" not in attneval("score", bad, "--gt", "fixtures/entities").err


def test_a_closed_pipe_exits_with_141() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "attneval", *GOOD, "-f", "json"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert not done.stderr


def test_an_interrupt_exits_with_130(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import time, attneval.evaluation.score\n"
        "def slow(*args, **kwargs):\n"
        "    print('waiting', flush=True)\n"
        "    time.sleep(60)\n"
        "attneval.evaluation.score.score = slow\n"
    )
    command = [sys.executable, "-m", "attneval", *GOOD]
    where = environment(PYTHONPATH=str(tmp_path))
    with subprocess.Popen(
        command,
        env=where,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Where the tests run in the background of a shell, interrupts are ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads are running
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


def test_an_internal_error_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import attneval.evaluation.score\n"
        "def broken(*args, **kwargs):\n"
        "    raise RuntimeError('boom')\n"
        "attneval.evaluation.score.score = broken\n"
    )
    done = attneval(*GOOD, PYTHONPATH=str(tmp_path))
    refused(done, "internal error", "boom", "-v")
    loud = attneval(*GOOD, "-v", PYTHONPATH=str(tmp_path))
    assert loud.code == 2
    assert "Traceback" in loud.err


def test_an_internal_error_is_told_in_brief(monkeypatch: pytest.MonkeyPatch, here: Here) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("x" * 100_000)

    monkeypatch.setattr("attneval.evaluation.score.score", broken)
    done = here(*GOOD)
    refused(done, "internal error: ValueError('xxx")
    assert len(done.err) < 700


def test_validate_lists_every_problem(here: Here, tmp_path: Path) -> None:
    with np.load(ROOT / "fixtures" / "good.npz") as data:
        members = dict(data)
    members["attention"][5] = np.nan
    members["region_box"][0] = [10, 0, 5, 5]
    members["similarity"][2, 3] = np.inf
    np.savez(tmp_path / "bad.npz", **members)
    done = here("validate", tmp_path / "bad.npz")
    assert done.code == 2
    assert done.out.splitlines()[-1] == "3 problems"
    for part in ("700037 region 0", "NaN or infinite weights", "NaN or infinite scores"):
        assert part in done.out
    fine = here("validate", "fixtures/good.npz", "--gt", "fixtures/entities")
    assert (fine.code, fine.out.splitlines()[-1]) == (0, "0 problems")


def test_validate_counts_what_is_scored_as_score_does(here: Here) -> None:
    checked = here("validate", "fixtures/good.npz", "--gt", "fixtures/entities").out.splitlines()
    scored = here(*GOOD, "--resamples", "0").out.splitlines()
    assert checked[0].startswith("fixtures/good.npz: 60 images, 300 captions, ")
    assert checked[1].removeprefix("scored of these: ") in scored
    assert "60 images, 290 captions, 517 phrases, 1342 items, 101 unreachable" in scored


def test_rules_that_cannot_be_decided_are_refused_before_anything_is_written(here: Here, tmp_path: Path) -> None:
    """No region reaches an overlap of 1, so that no item is scored."""
    done = here(*GOOD, "--resamples", "0", "--iou", "1", "--max", "f1=0.5", "-o", tmp_path / "r.json")
    assert (done.code, done.out, list(tmp_path.iterdir())) == (2, "", [])
    assert "f1 is undefined" in done.err


def test_one_image_is_no_plural(here: Here) -> None:
    done = here(*GOOD, "--resamples", "0", "--limit", "1")
    assert "1 image, 5 captions, " in done.out
    assert "note: 1 image is few; " in done.out
    assert "only the first image was scored" in done.out


def test_quiet_is_about_stderr_alone(here: Here) -> None:
    loud, quiet = here(*GOOD, "--resamples", "0"), here(*GOOD, "--resamples", "0", "-q")
    assert (quiet.out, quiet.err) == (loud.out, "")


def test_validate_similarities_alone(here: Here, tmp_path: Path) -> None:
    with np.load(ROOT / "fixtures" / "good.npz") as data:
        names = ("format", "image_id", "image_id_offset", "caption_image", "caption_index", "similarity")
        members = {name: data[name] for name in names}
    np.savez(tmp_path / "similarity.npz", **members)
    done = here("validate", tmp_path / "similarity.npz", "--gt", "fixtures/entities")
    assert done.code == 0
    assert done.out.splitlines()[-2:] == [
        f"{tmp_path / 'similarity.npz'}: 60 images, 300 captions, maps none, similarity 60x300",
        "0 problems",
    ]
    (tmp_path / "split.txt").write_text("700037 nobody\n", "utf-8")
    missing = here(
        "validate", tmp_path / "similarity.npz", "--gt", "fixtures/entities", "--split", tmp_path / "split.txt"
    )
    assert missing.code == 2
    assert "1 of 2 images of the split are not in" in missing.out


def test_validate_against_annotations(here: Here, tmp_path: Path) -> None:
    with np.load(ROOT / "fixtures" / "uniform.npz") as data:
        members = dict(data)
    members["words"][0, 0] = "xyz"
    members["caption_ids"][7] = "nobody#2"
    np.savez(tmp_path / "odd.npz", **members)
    done = here("validate", tmp_path / "odd.npz", "--gt", "fixtures/entities")
    assert done.code == 2
    assert "700037#0 reads 'xyz bright orange" in done.out
    assert re.search(r"1 of 61 images .* not annotated .*nobody", done.out)
    assert "left out" not in done.out


def test_pack_then_score_is_the_same(here: Here, tmp_path: Path) -> None:
    assert here("pack", "fixtures/uniform.npz", "-o", tmp_path / "packed.npz").code == 0
    options = ("--gt", "fixtures/entities", "--name", "same", "--threshold", "top:3")
    padded = here("score", "fixtures/uniform.npz", *options)
    assert here("score", tmp_path / "packed.npz", *options).out == padded.out


def test_progress_is_shown_on_a_terminal_only_when_it_takes_a_while() -> None:
    # The fixtures take a fraction of a second: nothing is shown even with stderr on a terminal.
    assert "scored images" not in on_terminal(*GOOD, columns=100).out


@pytest.mark.realdata
def test_the_main_job_on_real_data(shared: Path) -> None:
    for name, options in (("f8k285_grid.npz", ("--overlap", "iof")), ("f8k285_regions.npz", ())):
        done = attneval("score", "--attn", shared / name, "--gt", shared / "flickr8k_entities.zip", *options)
        assert done.code == 0, done.err
        assert "285 images, 1422 captions, 3868 phrases, 9144 items" in done.out


@pytest.mark.parametrize("start", ["", "sys.setprofile(lambda *_: None); ", "sys.settrace(lambda *_: None); "])
def test_the_end_leaves_time_to_those_who_measure(start: str) -> None:
    """Without them the process ends at once, with all that was printed."""
    code = (
        f"import atexit, sys; from attneval.__main__ import entry; atexit.register(print, 'measured'); {start}entry()"
    )
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("attneval, version")
    assert done.stdout.splitlines()[1:] == ["measured"] * bool(start)
