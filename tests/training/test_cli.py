"""The commands `train` and `export`, from data to a scored export."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from commands import Done, environment
from here import Here

import attneval
from attneval.cli import progress
from attneval.cli.train import View
from attneval.training.models.table import MODELS, model_config
from attneval.training.run.checkpoint import read_checkpoint
from attneval.training.run.config import ConstraintConfig, TrainConfig
from training.authors import V, author_checkpoint
from training.runs import assert_same_runs
from training.toy import write_toy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOTHING = Done(0, "", "")
SMALL = shlex.split("--embed-dim 32 --word-dim 16 --sim-dim 16 --batch-size 20 --learning-rate 5e-3 --min-count 1")


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", MODELS)
def test_an_export_scores_what_training_scored(here: Here, toy: Path, tmp_path: Path, name: str) -> None:
    gt = toy / "entities"
    arguments: tuple[str | Path, ...] = (
        "train",
        "--model",
        name,
        "--data",
        toy,
        "--gt",
        gt,
        "-o",
        "run",
        *SMALL,
        "--negatives",
        "all",
    )
    done = here(*arguments, "--constraints", "ccr,ccs", "--weight-ccr", "0.1", "--epochs", "3", "--select", "f1")
    assert (done.code, done.out) == (0, "run/best.pth.tar\n")
    epochs = [event for event in log_of(tmp_path / "run") if event["event"] == "epoch"]
    lines = done.err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["untrained", "epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert f"attention F1 {100 * epochs[2]['f1']:.1f}" in lines[3]
    assert f"rsum {100 * epochs[2]['rsum']:.1f}" in lines[3]

    best = max(epochs, key=lambda epoch: float(epoch["f1"]))
    assert here("export", "run/best.pth.tar", "--split", "dev", "-o", "maps.npz") == NOTHING
    result = attneval.score(tmp_path / "maps.npz", gt)
    for metric in ("precision", "recall", "f1", "ap", "pointing", "mass", "specificity"):
        assert best[metric] == pytest.approx(result[metric], abs=1e-6), metric
    for metric in ("i2t_r@1", "i2t_r@5", "i2t_r@10", "t2i_r@1", "t2i_r@5", "t2i_r@10", "rsum"):
        assert best[metric] == pytest.approx(result[metric], abs=1e-6), metric
    (start,) = (event for event in log_of(tmp_path / "run") if event["event"] == "start")
    assert best["f1"] > start["untrained"]["f1"]


def test_every_flag_arrives(here: Here, toy: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.json"
    assert here("train", "--model", "scan-t2i", "--data", toy, "-o", "first", *SMALL, "--epochs", "1").code == 0
    words.write_bytes((tmp_path / "first" / "vocabulary.json").read_bytes())
    flags = shlex.split(
        "--embed-dim 24 --word-dim 12 --layers 2 --no-bidirectional --no-normalise-images --no-normalise-captions "
        "--weight-norm --raw-norm softmax --temperature 5 --pooling Mean --pooling-temperature 3 --sim-dim 8 "
        "--sgr-steps 2 --margin-ccr 0.1 --margin-ccs 0.3 --weight-ccr 0.4 --weight-ccs 0.5 --swap hardest "
        "--tokens content --through weights --start 0.5 --warmup 0.25 --epochs 1 --batch-size 25 "
        "--learning-rate 0.001 --decay-epochs 2 --decay 0.5 --grad-clip 1 --margin 0.15 --negatives all "
        "--easy-epochs 0.1 --seed 7 --train-images 20 --val-images 10 --max-tokens 7 --min-count 2 --select rsum "
        "--no-amp --device cpu --log-steps 1 --checkpoint-steps 2"
    )
    done = here(
        *("train", "--model", "bfan-prob", "--constraints", "ccr,ccs", "--data", toy, "--vocabulary", words),
        *("-o", "run", *flags),
    )
    assert done.code == 0
    model = model_config(
        "bfan-prob",
        len(json.loads(words.read_text(encoding="utf-8"))["word2idx"]),
        image_dim=16,
        regions=6,
        embed_dim=24,
        word_dim=12,
        layers=2,
        bidirectional=False,
        normalise_images=False,
        normalise_captions=False,
        weight_norm=True,
        raw_norm="softmax",
        temperature=5.0,
        pooling="Mean",
        pooling_temperature=3.0,
        sim_dim=8,
        sgr_steps=2,
    )
    constraints = ConstraintConfig(
        use=("ccr", "ccs"),
        margin_ccr=0.1,
        margin_ccs=0.3,
        weight_ccr=0.4,
        weight_ccs=0.5,
        swap="hardest",
        tokens="content",
        through="weights",
        start=0.5,
        warmup=0.25,
    )
    assert read_checkpoint(tmp_path / "run" / "last.pth.tar").config == TrainConfig(
        model,
        str(toy),
        constraints,
        epochs=1,
        batch_size=25,
        learning_rate=0.001,
        decay_epochs=2,
        decay=0.5,
        grad_clip=1.0,
        margin=0.15,
        negatives="all",
        easy_epochs=0.1,
        seed=7,
        train_images=20,
        val_images=10,
        max_tokens=7,
        min_count=2,
        vocabulary=str(words),
        device="cpu",
        log_steps=1,
        checkpoint_steps=2,
    )


@pytest.mark.parametrize(
    ("value", "use"), [("none", ()), ("ccr", ("ccr",)), ("ccs", ("ccs",)), ("ccr,ccs", ("ccr", "ccs"))]
)
def test_constraints_by_name(here: Here, toy: Path, tmp_path: Path, value: str, use: tuple[str, ...]) -> None:
    small = [*SMALL, "--epochs", "1", "--train-images", "8", "--val-images", "4"]
    assert here("train", "--model", "scan-t2i", "--constraints", value, "--data", toy, "-o", "run", *small).code == 0
    config = read_checkpoint(tmp_path / "run" / "best.pth.tar").config
    assert config is not None
    assert config.constraints.use == use
    (epoch,) = (event for event in log_of(tmp_path / "run") if event["event"] == "epoch")
    assert {"ccr", "ccs"} & set(epoch) == set(use)


def test_a_run_repeats_from_its_checkpoint(here: Here, toy: Path, tmp_path: Path) -> None:
    small = [*SMALL, "--epochs", "1", "--seed", "3", "--constraints", "ccs"]
    assert here("train", "--model", "saf", "--data", toy, "-o", "one", *small).code == 0
    assert here("train", "--like", "one/best.pth.tar", "-o", "two").code == 0
    assert_same_runs(tmp_path / "one", tmp_path / "two")
    done = here("train", "--like", "one/best.pth.tar", "-o", "three", "--seed", "4", "--constraints", "none")
    assert done.code == 0
    other = read_checkpoint(tmp_path / "three" / "best.pth.tar").config
    assert other is not None
    assert (other.seed, other.constraints.use, other.model.embed_dim) == (4, (), 32)


def test_recorded_choices_stay_with_another_model(here: Here, toy: Path, tmp_path: Path) -> None:
    """The flag changes what differs from model to model; data decide the sizes of words and features."""
    small = [*SMALL, "--epochs", "1", "--train-images", "8", "--val-images", "4"]
    own = ["--temperature", "7", "--pooling-temperature", "3", "--layers", "2", "--raw-norm", "softmax"]
    assert here("train", "--model", "scan-t2i", "--data", toy, "-o", "one", *small, *own).code == 0
    first = read_checkpoint(tmp_path / "one" / "best.pth.tar").config
    assert first is not None
    expected = {
        "scan-t2i": first.model,
        "scan-i2t": replace(first.model, name="scan-i2t", temperature=4.0, pooling_temperature=5.0),
        "bfan-prob": replace(first.model, name="bfan-prob", temperature=20.0, pooling="Mean", pooling_temperature=6.0),
    }
    for name, model in expected.items():
        assert here("train", "--like", "one/best.pth.tar", "--model", name, "-o", name).code == 0
        assert read_checkpoint(tmp_path / name / "best.pth.tar").config == replace(first, model=model)
    done = here("train", "--like", "one/best.pth.tar", "--model", "scan-i2t", "--temperature", "8", "-o", "flag")
    assert done.code == 0
    config = read_checkpoint(tmp_path / "flag" / "best.pth.tar").config
    assert config is not None
    assert (config.model.temperature, config.model.pooling_temperature) == (8.0, 5.0)


def test_flags_of_a_constraint_need_it(here: Here, toy: Path) -> None:
    small = [*SMALL, "--epochs", "1", "--train-images", "8", "--val-images", "4"]
    base: tuple[str | Path, ...] = ("train", "--model", "scan-t2i", "--data", toy, *small)
    assert "does not use the constraint of --weight-ccr; name it" in here.refused(
        *base, "-o", "run", "--weight-ccr", "3"
    )
    flags = ("--constraints", "ccr", "--weight-ccr", "3")
    refused = here.refused(*base, "-o", "run", *flags, "--swap", "hardest", "--margin-ccs", "1")
    assert "the constraint of --margin-ccs, --swap; name it" in refused
    assert here(*base, "-o", "run", *flags).code == 0
    # What a checkpoint records beside its constraints is no flag.
    assert here("train", "--like", "run/best.pth.tar", "-o", "none", "--constraints", "none").code == 0


def test_a_killed_command_goes_on(here: Here, toy: Path, tmp_path: Path) -> None:
    arguments = ["train", "--model", "saf", "--data", str(toy), "--constraints", "ccs", *SMALL]
    arguments += ["--epochs", "2", "--checkpoint-steps", "4", "--log-steps", "1"]
    assert here(*arguments, "-o", "unbroken").code == 0
    command = [sys.executable, "-m", "attneval", *arguments, "-o", str(tmp_path / "killed")]
    log = tmp_path / "killed" / "log.jsonl"
    with subprocess.Popen(command, env=environment(OMP_NUM_THREADS="1"), stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (log.exists() and log.read_bytes().count(b'"event": "step"') >= 6):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done = here(*arguments, "-o", "killed")
    assert done.code == 0
    assert done.err.startswith("going on after epoch ")
    assert_same_runs(tmp_path / "killed", tmp_path / "unbroken")
    again = here(*arguments, "-o", "killed", "-q")
    assert again == Done(0, "killed/best.pth.tar\n", "")


def test_a_terminal_shows_a_bar_and_keeps_the_lines(here: Here, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    done = here("train", "--model", "scan-t2i", "--data", toy, "-o", "run", *SMALL, "--epochs", "2")
    assert (done.code, done.out) == (0, "run/best.pth.tar\n")
    for text in ("epoch 1/2, training", "epoch 1/2  loss", "epoch 2/2, training", "epoch 2/2  loss"):
        assert text in done.err
    assert "%" not in here("train", "--like", "run/best.pth.tar", "-o", "other", "-q").err


def test_the_bar_names_its_stage(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ...]] = []

    @contextmanager
    def shown(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
        seen.append(("open", what))
        yield lambda done, of: seen.append((done, of))
        seen.append(("close", what))

    monkeypatch.setattr(progress, "progress", shown)
    with View(3, quiet=False) as view:
        view({"event": "tick", "epoch": 0, "step": 4, "of": 9})
        view({"event": "tick", "epoch": 0, "step": 5, "of": 9})
        view({"event": "validating", "epoch": 0, "step": 64, "of": 100})
        view({"event": "tick", "epoch": 1, "step": 1, "of": 9})
    first, second, third = "epoch 1/3, training", "epoch 1/3, validation", "epoch 2/3, training"
    assert seen == [
        *[("open", first), (4, 9), (5, 9), ("close", first)],
        *[("open", second), (64, 100), ("close", second)],
        *[("open", third), (1, 9), ("close", third)],
    ]


def test_a_flag_is_a_variable_too(here: Here, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MODEL": "scan-i2t", "CONSTRAINTS": "ccs", "EPOCHS": "1", "VAL_IMAGES": "4"}.items():
        monkeypatch.setenv(f"ATTNEVAL_{name}", value)
    assert here("train", "--data", toy, "-o", "run", *SMALL, "--train-images", "8").code == 0
    config = read_checkpoint(tmp_path / "run" / "best.pth.tar").config
    assert config is not None
    assert (config.model.name, config.constraints.use, config.epochs, config.val_images) == ("scan-i2t", ("ccs",), 1, 4)


def test_train_refuses(here: Here, toy: Path, tmp_path: Path) -> None:
    assert "--model is missing" in here.refused("train", "--data", toy, "-o", "run")
    assert "--data is missing" in here.refused("train", "--model", "sgr", "-o", "run")
    assert "'scam' is not one of" in here.refused("train", "--model", "scam", "--data", toy, "-o", "run")
    assert "nowhere/train_caps.txt: No such file or directory" in here.refused(
        "train", "--model", "sgr", "--data", "nowhere", "-o", "run"
    )
    base = ("train", "--model", "scan-t2i", "--data", toy, "-o", "run")
    assert "epochs must be at least 1, not 0" in here.refused(*base, "--epochs", "0")
    assert "without annotations to score it" in here.refused(*base, "--select", "f1")
    assert "nowhere does not exist" in here.refused(*base, "--gt", "nowhere")
    assert "temperature must be a finite number, not nan" in here.refused(*base, "--temperature", "nan")
    assert "seed must be at most" in here.refused(*base, "--seed", "1" + "0" * 25)
    assert "no device 'meta'" in here.refused(*base, "--device", "meta")
    (tmp_path / "file").write_bytes(b"")
    assert "file/.lock cannot be written" in here.refused(*base[:-1], "file", *SMALL)
    (tmp_path / "entities" / "Annotations").mkdir(parents=True)
    (tmp_path / "entities" / "Sentences").mkdir()
    assert f"20 of 20 images of {toy}/dev are not" in here.refused(*base, "--gt", "entities")
    torch.save(author_checkpoint("sgr"), tmp_path / "sgr.tar")
    assert "sgr.tar: records no choices" in here.refused("train", "--like", "sgr.tar", "--data", toy, "-o", "run")
    assert not (tmp_path / "run").exists()


def test_export_of_an_authors_checkpoint(here: Here, tmp_path: Path) -> None:
    """Two checkpoints of the published layout, averaged; their folder has neither boxes nor sizes."""
    folder = tmp_path / "f30k_precomp"
    folder.mkdir()
    random = np.random.default_rng(0)
    np.save(folder / "test_ims.npy", random.normal(size=(3, 36, 2048)).astype(np.float32))
    (folder / "test_caps.txt").write_text("word4 word5\nword6\n" * 7 + "word7\n", encoding="utf-8")
    (folder / "test_ids.txt").write_text("11\n22\n33\n", encoding="utf-8")
    words = ("<pad>", "<start>", "<end>", "<unk>", *(f"word{index}" for index in range(4, V)))
    index = {word: position for position, word in enumerate(words)}
    content = {"word2idx": index, "idx2word": {str(at): word for word, at in index.items()}, "idx": V}
    (tmp_path / "vocab.json").write_text(json.dumps(content), encoding="utf-8")
    for name in ("sgr", "saf"):
        torch.save(author_checkpoint(name), tmp_path / f"{name}.tar")
    base = ("export", "sgr.tar", "saf.tar", "--data", folder, "-o", "maps.npz")
    assert "sgr.tar: brings no vocabulary; name its JSON file with --vocab" in here.refused(*base)
    assert "image 11 has no boxes" in here.refused(*base, "--vocab", "vocab.json")
    assert not (tmp_path / "maps.npz").exists()
    assert here(*base, "--vocab", "vocab.json", "--no-maps") == NOTHING
    assert attneval.open_export(tmp_path / "maps.npz").header.about["model"] == "sgr + saf"
    both, single = np.load(tmp_path / "maps.npz")["similarity"], []
    for name in ("sgr", "saf"):
        arguments = (f"{name}.tar", "--data", folder, "--vocab", "vocab.json", "--no-maps", "-o", f"{name}.npz")
        assert here("export", *arguments).code == 0
        single.append(np.load(tmp_path / f"{name}.npz")["similarity"])
    np.testing.assert_allclose(both, np.mean(single, axis=0), atol=1e-6)
    assert not np.allclose(single[0], single[1])


def test_a_model_of_full_size_from_training_to_export(here: Here, tmp_path: Path) -> None:
    """The defaults are the papers': 1,024 dimensions, features of 2,048 numbers, 36 regions."""
    folder, random = write_toy(tmp_path / "full_precomp", train=4, dev=2), np.random.default_rng(0)
    for split, images in (("train", 4), ("dev", 2), ("test", 2)):
        np.save(folder / f"{split}_ims.npy", random.normal(size=(images, 36, 2048)).astype(np.float32))
        boxes = np.load(folder / f"{split}_boxes.npy")
        np.save(folder / f"{split}_boxes.npy", np.tile(boxes, (1, 6, 1)))
    arguments = ("--data", folder, "--gt", folder / "entities", "--constraints", "ccr,ccs", "--epochs", "1")
    assert here("train", "--model", "sgr", "-o", "run", *arguments).code == 0
    checkpoint = read_checkpoint(tmp_path / "run" / "best.pth.tar")
    assert checkpoint.config is not None
    model = checkpoint.config.model
    assert (model.embed_dim, model.word_dim, model.sim_dim, model.image_dim, model.regions) == (
        1024,
        300,
        256,
        2048,
        36,
    )
    shapes = {name: tuple(value.shape) for name, value in author_checkpoint("sgr")["model"][2].items()}
    assert {name: tuple(value.shape) for name, value in checkpoint.states[2].items()} == shapes
    assert here("export", "run/best.pth.tar", "-o", "maps.npz").code == 0
    with np.load(tmp_path / "maps.npz") as found:
        assert found["similarity"].shape == (2, 10)
        assert np.isfinite(found["similarity"]).all()


def test_export_refuses(here: Here, toy: Path, tmp_path: Path) -> None:
    small = [*SMALL, "--epochs", "1", "--train-images", "8", "--val-images", "4"]
    assert here("train", "--model", "scan-t2i", "--data", toy, "-o", "run", *small).code == 0
    base = ("export", "run/best.pth.tar", "-o", "maps.npz")
    assert "nothing to export" in here.refused(*base, "--no-maps", "--no-similarity")
    assert "is a scan-t2i, not a sgr" in here.refused(*base, "--model", "sgr")
    assert "val_caps.txt: No such file or directory" in here.refused(*base, "--split", "val")
    assert "no.tar: No such file or directory" in here.refused("export", "no.tar", "-o", "maps.npz")
    assert "nowhere/maps.npz" in here.refused("export", "run/best.pth.tar", "-o", "nowhere/maps.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


@pytest.mark.parametrize("command", [["train", "--model", "sgr", "--data", "d"], ["export", "a.tar"]])
def test_without_torch_the_way_out_is_named(command: list[str], tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.modules['torch'] = None\n"  # what makes an import fail
        "from attneval.__main__ import main\n"
        f"sys.exit(main({[*command, '-o', 'out']!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    hint = "pip install '.[train]' in a clone, or pip install './attneval-0.1.0-py3-none-any.whl[train]' with a wheel"
    assert done.stderr == f"error: this needs PyTorch, which is not installed; {hint}\n"


@pytest.mark.parametrize("command", ["train", "export"])
def test_help_loads_nothing_heavy(command: str) -> None:
    script = (
        "import sys\n"
        "from attneval.__main__ import main\n"
        f"main([{command!r}, '--help'])\n"
        "print(sorted({'numpy', 'rich', 'torch', 'pycocotools'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_supervised_attention_is_the_upper_mark(here: Here, toy: Path, tmp_path: Path) -> None:
    """A few epochs on the annotated regions teach attention more than the same epochs without."""
    scores = {}
    for use in ("none", "supervised"):
        base = ("train", "--model", "scan-t2i", "--data", toy, "--gt", toy / "entities", "--constraints", use)
        done = here(*base, *SMALL, "--epochs", "3", "-o", use)
        assert (done.code, done.out) == (0, f"{use}/best.pth.tar\n")
        scores[use] = [event for event in log_of(tmp_path / use) if event["event"] == "epoch"][-1]
    assert scores["supervised"]["supervised"] > 0
    assert scores["supervised"]["mass"] > scores["none"]["mass"] + 0.1
    assert scores["supervised"]["ap"] > scores["none"]["ap"]
    refused = here.refused("train", "--model", "scan-t2i", "--data", toy, "--constraints", "supervised", "-o", "run")
    assert "attention cannot be supervised without annotations of the training images" in refused
    refused = here.refused(
        *("train", "--model", "scan-i2t", "--data", toy, "--gt", toy / "entities", "--constraints", "supervised"),
        *("-o", "run", *SMALL),
    )
    assert "scan-i2t has no attention from words to regions that could be supervised" in refused
    assert not (tmp_path / "run").exists()


def test_names_are_echoed_safely(here: Here, toy: Path) -> None:
    name = "run\x1b[31m\u202e"
    done = here("train", "--model", "scan-t2i", "--data", toy, "-o", name, *SMALL, "--epochs", "1")
    assert done.code == 0
    assert done.out == "run\\x1b[31m\\u202e/best.pth.tar\n"
