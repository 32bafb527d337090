from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from training.runs import RESUMABLE, assert_same_runs, peaked, toy_config, without_times
from training.toy import write_toy

from attneval.errors import AttnevalError, ConfigError, DataError
from attneval.training.models.table import MODELS
from attneval.training.run.checkpoint import read_checkpoint
from attneval.training.run.config import ConstraintConfig, TrainConfig, from_dict, to_dict
from attneval.training.run.loop import train

if TYPE_CHECKING:
    from attneval.training.models.similarity import MatchedMaps


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns(toy: Path, tmp_path: Path, name: str) -> None:
    constraints = ConstraintConfig(use=("ccr", "ccs"), weight_ccr=0.1)
    config = toy_config(toy, name, epochs=6, negatives="all", constraints=constraints)
    result = train(config, tmp_path / "run")
    last = result.epochs[-1]
    # Chance among 20 images: Recall@1 0.05, Recall@5 0.25.
    assert last["t2i_r@1"] > 0.12
    assert last["t2i_r@5"] > 0.45
    assert last["matching"] < 0.7 * result.epochs[0]["matching"]
    assert last["ccr"] >= 0
    assert last["ccs"] < result.epochs[0]["ccs"]


def test_attention_is_learnt(toy: Path, tmp_path: Path) -> None:
    result = train(toy_config(toy, epochs=4, select="f1"), tmp_path / "run", attention_scores=peaked)
    scores = [epoch["f1"] for epoch in result.epochs]
    assert scores[-1] > 0.6  # half of the regions hold the named things, so blind attention scores 0.5
    best = read_checkpoint(result.best)
    assert best.epoch == 1 + int(np.argmax(scores))
    assert best.progress is None


def test_log_and_files(toy: Path, tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    config = toy_config(toy, constraints=ConstraintConfig(use=("ccr",)), decay_epochs=1)
    result = train(config, tmp_path / "run", listener=heard.append)
    events = without_times(tmp_path / "run" / "log.jsonl")
    # 300 captions in batches of 20: 15 steps an epoch, a line every 4.
    assert [event["event"] for event in events] == ["start", *["step"] * 3, "epoch", *["step"] * 4, "epoch"]
    assert [event["step"] for event in events if event["event"] == "step"] == [4, 8, 12, 1, 5, 9, 13]
    assert [event["learning_rate"] for event in events if event["event"] == "step"] == [5e-3] * 3 + [5e-4] * 4
    assert sum(event["event"] == "tick" for event in heard) == 30
    start = events[0]
    assert (start["train_captions"], start["dev_images"]) == (300, 20)
    recorded = from_dict(TrainConfig, start["config"])
    assert recorded.model.vocab_size == len(json.loads((tmp_path / "run" / "vocabulary.json").read_text())["word2idx"])
    assert (recorded.model.image_dim, recorded.model.regions) == (16, 6)
    assert read_checkpoint(result.last).config == recorded
    assert set(result.epochs[0]) >= {"loss", "matching", "ccr", "gradient", "i2t_r@1", "rsum", "best"}


def test_repeats_from_the_recorded_configuration(toy: Path, tmp_path: Path) -> None:
    config = toy_config(toy, "saf", epochs=1, constraints=ConstraintConfig(use=("ccs",)))
    first = train(config, tmp_path / "one")
    recorded = read_checkpoint(first.last).config
    assert recorded is not None
    second = train(from_dict(TrainConfig, to_dict(recorded)), tmp_path / "two")
    assert_same_runs(tmp_path / "one", tmp_path / "two")
    assert second.epochs[0]["rsum"] == first.epochs[0]["rsum"]
    other = train(replace(config, seed=1), tmp_path / "three")
    assert other.epochs[0]["loss"] != first.epochs[0]["loss"]


class Killed(BaseException):
    """The process went away."""


@pytest.fixture(scope="module")
def unbroken(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SAF has dropout, batch norm and random swaps: everything that a resumed run could lose."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    train(toy_config(toy, "saf", **RESUMABLE), folder, attention_scores=peaked)
    return folder


@pytest.mark.parametrize("steps", [1, 4, 10, 15, 16, 27, 30])
def test_a_kill_after_any_step_changes_nothing(toy: Path, tmp_path: Path, unbroken: Path, steps: int) -> None:
    config = toy_config(toy, "saf", **RESUMABLE)
    left = steps

    def kill(event: dict[str, Any]) -> None:
        nonlocal left
        left -= event["event"] == "tick"
        if left == 0:
            raise Killed

    with pytest.raises(Killed):
        train(config, tmp_path / "run", attention_scores=peaked, listener=kill)
    torch.manual_seed(999)  # a new process has another random state
    train(config, tmp_path / "run", attention_scores=peaked)
    assert_same_runs(tmp_path / "run", unbroken)


@pytest.mark.parametrize("moment", ["validation", "best", "log", "last"])
def test_a_kill_at_the_end_of_an_epoch_changes_nothing(
    toy: Path, tmp_path: Path, unbroken: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = toy_config(toy, "saf", **RESUMABLE)

    def score(maps: MatchedMaps) -> dict[str, float]:
        if moment == "validation":
            raise Killed
        return peaked(maps)

    def listener(event: dict[str, Any]) -> None:
        if moment == "log" and event["event"] == "epoch":
            raise Killed

    with monkeypatch.context() as patch:
        if moment in ("best", "last"):

            def replace_then_die(path: str, target: Path, _replace: Any = os.replace) -> None:
                _replace(path, target)
                if target.name == f"{moment}.pth.tar" and (target.parent / "best.pth.tar").exists():
                    raise Killed

            def link_then_die(source: str, target: Path, _link: Any = os.link, **options: Any) -> None:
                _link(source, target, **options)
                if target.name == f"{moment}.pth.tar" and (target.parent / "best.pth.tar").exists():
                    raise Killed

            patch.setattr(os, "replace", replace_then_die)
            patch.setattr(os, "link", link_then_die)
        with pytest.raises(Killed):
            train(config, tmp_path / "run", attention_scores=score, listener=listener)
    train(config, tmp_path / "run", attention_scores=peaked)
    assert_same_runs(tmp_path / "run", unbroken)


SCRIPT = """
import importlib, sys
from pathlib import Path
root, name, toy, run = sys.argv[1:]
sys.path.insert(0, root)
import torch
torch.set_num_threads(1)
tests = importlib.import_module(name)
config = tests.toy_config(Path(toy), "saf", **tests.RESUMABLE)
tests.train(config, Path(run), attention_scores=tests.peaked, listener=lambda event: print(event["event"], flush=True))
"""


def test_a_killed_process_is_made_up_for(toy: Path, tmp_path: Path, unbroken: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SCRIPT, str(root), "training.runs", str(toy), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ticks = 0
        for line in process.stdout:
            ticks += line == "tick\n"
            if ticks == 22:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    train(toy_config(toy, "saf", **RESUMABLE), tmp_path / "run", attention_scores=peaked)
    assert_same_runs(tmp_path / "run", unbroken)


def test_a_finished_run_stays_finished_and_may_be_extended(toy: Path, tmp_path: Path) -> None:
    config = toy_config(toy, epochs=1)
    train(config, tmp_path / "run")
    before = (tmp_path / "run" / "last.pth.tar").read_bytes()
    train(config, tmp_path / "run")
    assert (tmp_path / "run" / "last.pth.tar").read_bytes() == before
    longer = train(replace(config, epochs=2), tmp_path / "run")
    straight = train(replace(config, epochs=2), tmp_path / "straight")
    assert [epoch["loss"] for epoch in longer.epochs] == [epoch["loss"] for epoch in straight.epochs]


def test_refuses_to_go_on_with_another_run(toy: Path, tmp_path: Path) -> None:
    config = toy_config(toy, epochs=1)
    train(config, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"last\.pth\.tar is there already"):
        train(config, tmp_path / "run", resume=False)
    with pytest.raises(ConfigError, match=r"other choices: margin was 0\.2, not 0\.3"):
        train(replace(config, margin=0.3), tmp_path / "run")
    other = write_toy(tmp_path / "toy", seed=5)
    with pytest.raises(ConfigError, match="was trained on other data than"):
        train(replace(config, data=str(other)), tmp_path / "run")
    (tmp_path / "run" / "best.pth.tar").replace(tmp_path / "run" / "last.pth.tar")
    with pytest.raises(ConfigError, match="is no run of attneval that can be continued"):
        train(config, tmp_path / "run")


@pytest.mark.parametrize(
    "damage",
    [
        {"optimizer": None},
        {"optimizer": {"state": {}, "param_groups": []}},
        {"random": None},
        {"random": torch.zeros(3, dtype=torch.uint8)},
        {"step": None},
        {"log_bytes": "many"},
    ],
)
def test_a_damaged_checkpoint_is_not_gone_on_with(toy: Path, tmp_path: Path, damage: dict[str, Any]) -> None:
    """None is for what is missing."""
    config = toy_config(toy, epochs=1)
    last = train(config, tmp_path / "run").last
    content = torch.load(last, weights_only=False)
    state = content["attneval"]["progress"]
    for key, value in damage.items():
        state[key] = value
        if value is None:
            del state[key]
    torch.save(content, last)
    with pytest.raises(DataError, match=r"last\.pth\.tar: what it takes to go on with the run is damaged: "):
        train(config, tmp_path / "run")


def test_a_run_whose_best_epoch_is_gone_is_not_gone_on_with(toy: Path, tmp_path: Path) -> None:
    config = toy_config(toy, epochs=1)
    train(config, tmp_path / "run").best.unlink()
    with pytest.raises(DataError, match=r"best\.pth\.tar: is gone, .*; train in another folder"):
        train(config, tmp_path / "run")


def test_what_dev_lacks_shows_before_the_first_step(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy", train=6, dev=2)
    (folder / "dev_boxes.npy").unlink()
    with pytest.raises(DataError, match=r"toy/dev: pfan-t2i needs to know where regions lie"):
        train(toy_config(folder, "pfan-t2i"), tmp_path / "run")
    np.save(folder / "dev_ims.npy", np.load(folder / "dev_ims.npy")[:, :4])
    with pytest.raises(DataError, match=r"toy/dev: saf was built for exactly 6 regions an image; these .* 4 to 4"):
        train(toy_config(folder, "saf"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_f1_that_cannot_be_is_refused_before_the_first_step(toy: Path, tmp_path: Path) -> None:
    config = toy_config(toy, select="f1", gt="annotations")
    with pytest.raises(DataError, match=r"/dev: its attention has no F1, .* against annotations; .*--select rsum"):
        train(config, tmp_path / "run", attention_scores=lambda _: {"ap": 0.5})
    assert not (tmp_path / "run").exists()


def test_refuses_choices_that_cannot_be(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without annotations to score it"):
        train(toy_config(toy, select="f1"), tmp_path / "run")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="mixed precision needs CUDA, not cpu"):
            train(toy_config(toy, amp=True), tmp_path / "run")


def test_an_infinite_loss_stops_the_run(toy: Path, tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy", train=6, dev=2)
    features = np.load(folder / "train_ims.npy")
    features[3] = 1e38  # finite, unlike what becomes of it
    np.save(folder / "train_ims.npy", features)
    with pytest.raises(AttnevalError, match=r"epoch 0, step [0-9]+: .*gradient is not finite"):
        train(toy_config(folder), tmp_path / "run")


def test_a_log_that_is_damaged_is_named(toy: Path, tmp_path: Path) -> None:
    """What is read of it at the end of a run is no longer JSON, or no event."""
    config, run = toy_config(toy, epochs=1), tmp_path / "run"
    train(config, run)
    log = (run / "log.jsonl").read_bytes()
    for damage, said in ((b'{"event" "start"', "line 1 is not JSON"), (b"[]", "a line is no event")):
        first, _, rest = log.partition(b"\n")
        (run / "log.jsonl").write_bytes(damage.ljust(len(first)) + b"\n" + rest)
        with pytest.raises(AttnevalError, match=rf"log\.jsonl.*{said}"):
            train(config, run)


def test_easy_epochs_come_before_the_hardest_negatives(toy: Path, tmp_path: Path) -> None:
    config = toy_config(toy, easy_epochs=0.5)
    losses = [epoch["matching"] for epoch in train(config, tmp_path / "run").epochs]
    easy, hard = (
        train(replace(config, easy_epochs=epochs, epochs=1), tmp_path / str(epochs)).epochs[0]["matching"]
        for epochs in (1.0, 0.0)
    )
    # All 19 negatives cost many times the hardest; half an epoch of them lies between.
    assert 2 * hard < losses[0] < 0.8 * easy
    assert losses[1] < 2 * hard


@pytest.mark.parametrize("negatives", ["hardest", "all"])
@pytest.mark.parametrize("tokens", ["words", "content"])
def test_other_choices_train_too(toy: Path, tmp_path: Path, negatives: str, tokens: str) -> None:
    choices: dict[str, Any] = {"swap": "hardest", "tokens": tokens, "through": "everything"}
    constraints = ConstraintConfig(use=("ccs",), weight_ccs=1.0, **choices)
    config = toy_config(toy, "bfan-prob", negatives=negatives, constraints=constraints, grad_clip=0.0, max_tokens=6)
    result = train(config, tmp_path / "run")
    assert result.epochs[-1]["matching"] < result.epochs[0]["matching"]
