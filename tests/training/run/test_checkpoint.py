from __future__ import annotations

import os
import pickle
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training.authors import PARTS, author_checkpoint
from training.toy import small_captions, small_images, small_model

from attneval.errors import DataError
from attneval.training.data.batches import ImageBatch
from attneval.training.data.vocabulary import SPECIALS, Vocabulary
from attneval.training.models.attention import Pairs
from attneval.training.models.table import MODELS
from attneval.training.run.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from attneval.training.run.config import TrainConfig

WORDS = Vocabulary((*SPECIALS, *map(str, range(26))))


def ours(name: str, path: Path) -> Checkpoint:
    model = small_model(name)
    config = TrainConfig(model=model.config, data="d")
    progress = {"step": 3, "random": torch.get_rng_state(), "nested": [{"a": (1, 2.5)}]}
    return Checkpoint(str(path), model.state_dicts(), 2, 123.4, 77, None, config, WORDS, progress)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_author_files_load(tmp_path: Path, name: str, zipped: bool) -> None:
    content = author_checkpoint(name)
    path = tmp_path / "model_best.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    checkpoint = read_checkpoint(path)
    assert (checkpoint.epoch, checkpoint.best_rsum, checkpoint.steps) == (12, 487.5, 3400)
    assert checkpoint.options == content["opt"]
    assert checkpoint.config is None
    model = checkpoint.build()
    assert model.config.name == name
    assert not model.training
    for state, given in zip(model.state_dicts(), content["model"], strict=True):
        assert list(state) == list(given) or set(state) == set(given)
        for key, value in given.items():
            assert torch.equal(state[key], value.reshape(state[key].shape)), key
    images = small_images(2, regions=36)
    batch = ImageBatch(torch.randn(2, 36, 2048), images.mask, images.block_ids, images.block_weights)
    with torch.no_grad():
        pairs = Pairs(model.encode_images(batch), model.encode_captions(small_captions([5, 3])))
        assert torch.isfinite(model.similarity(pairs, model.attend(pairs))).all()


@pytest.mark.parametrize("name", MODELS)
def test_ours_go_round(tmp_path: Path, name: str) -> None:
    path = tmp_path / "last.pth.tar"
    written = ours(name, path)
    write_checkpoint(path, written)
    read = read_checkpoint(path)
    assert (read.epoch, read.best_rsum, read.steps) == (2, 123.4, 77)
    assert (read.config, read.vocabulary) == (written.config, WORDS)
    assert read.progress is not None
    assert read.progress["nested"] == [{"a": (1, 2.5)}]
    for key, value in read.build(name).state_dict().items():
        assert torch.equal(value, small_model(name).state_dict()[key])


def test_ours_are_in_the_authors_layout(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.tar", ours("saf", tmp_path / "a.tar"))
    content = torch.load(tmp_path / "a.tar", weights_only=False)
    assert list(content) == ["epoch", "model", "best_rsum", "opt", "Eiters", "attneval"]
    assert isinstance(content["opt"], Namespace)
    assert content["opt"].module_name == "SAF"
    assert content["opt"].embed_size == 8
    assert [next(iter(state)) for state in content["model"]][:2] == ["fc.weight", "embed.weight"]


class Payload:
    """Runs a command when it is unpickled without restrictions."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"{sys.executable} -c \"open(r'{self.marker}', 'w')\"",)


@pytest.mark.parametrize("where", ["opt", "extra", "inside opt"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_is_never_run(tmp_path: Path, where: str, zipped: bool) -> None:
    marker, path = tmp_path / "ran", tmp_path / "model_best.pth.tar"
    content = author_checkpoint("bfan-equal")
    if where == "inside opt":
        content["opt"].payload = Payload(marker)
    else:
        content[where] = Payload(marker)
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match="holds something that a checkpoint has no need of") as caught:
        read_checkpoint(path)
    assert "system" in str(caught.value)
    assert str(path) in str(caught.value)
    assert not marker.exists()
    path.write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(DataError):
        read_checkpoint(path)
    assert not marker.exists()


def test_only_the_namespace_is_allowed_whatever_others_allow(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    torch.save({**author_checkpoint("bfan-equal"), "opt": Path("x")}, path)
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([type(Path()), Path])
    try:
        with pytest.raises(DataError, match="pathlib"):
            read_checkpoint(path)
        assert type(Path()) in torch.serialization.get_safe_globals()
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
    assert Namespace not in torch.serialization.get_safe_globals()


@pytest.mark.parametrize("number", [np.float64(487.5), np.float32(487.5), np.int64(487), np.dtype(">f8").type(487.5)])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("module", ["numpy._core", "numpy.core"])
def test_numbers_of_numpy_are_read(tmp_path: Path, number: Any, zipped: bool, module: str) -> None:
    path = tmp_path / "a.tar"
    content = {**author_checkpoint("bfan-equal"), "best_rsum": number}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    if not zipped:  # older versions of numpy call the same module by another name
        path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", f"{module}.multiarray".encode()))
    read = read_checkpoint(path).best_rsum
    assert type(read) is float
    assert read == float(number)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array([1.0]), "GLOBAL numpy.*_reconstruct"),
        (np.datetime64("2020-01-01"), "'M8' is no type of a number"),
        (np.str_("12"), "'U2' is no type of a number"),
        (np.complex128(1), "'c16' is no type of a number"),
    ],
)
def test_other_values_of_numpy_are_not(tmp_path: Path, value: Any, reason: str) -> None:
    path = tmp_path / "a.tar"
    torch.save({**author_checkpoint("bfan-equal"), "best_rsum": value}, path)
    with pytest.raises(DataError, match=reason):
        read_checkpoint(path)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_wrapped_model_gets_advice(tmp_path: Path, part: int) -> None:
    path = tmp_path / "a.tar"
    content = author_checkpoint("saf")
    content["model"][part] = {f"module.{key}": value for key, value in content["model"][part].items()}
    torch.save(content, path)
    with pytest.raises(DataError, match=rf"a\.tar: model\[{part}\] has 'module\.' before each key.*DataParallel"):
        read_checkpoint(path).build("saf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"fc.weight": torch.ones(1)}}, "model is a dict, not a list of state dicts"),
        ({"model": []}, "model is a list, not a list of state dicts"),
        ({"opt": {"embed_size": 3}}, "opt is a dict, not an argparse.Namespace"),
        ({"epoch": "12"}, "epoch is a str, not a number"),
        ({"epoch": float("nan")}, "epoch is nan, not a finite number"),
        ({"Eiters": torch.tensor(float("inf"))}, "Eiters is inf, not a finite number"),
        ({"attneval": {"layout": 99}}, "was written in layout 99"),
        ({"attneval": {"layout": 1, "config": {"x": 1}}}, "what attneval recorded is damaged"),
        ({"attneval": {"layout": 1}}, "what attneval recorded is damaged"),
    ],
)
def test_refuses_what_does_not_belong(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "a.tar"
    torch.save({"epoch": 1, "model": [{"a": torch.ones(1)}], "best_rsum": 1.0, **change}, path)
    with pytest.raises(DataError, match=message) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


def test_refuses_other_files(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with pytest.raises(DataError, match="No such file or directory"):
        read_checkpoint(path)
    for content in (b"", b"hello world", b"no checkpoint", b"PK\x03\x04 damaged"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.tar: (is damaged or no checkpoint: .{20}|holds something)"):
            read_checkpoint(path)
    torch.save({"weights": torch.ones(1)}, path)
    with pytest.raises(DataError, match="has only weights; a checkpoint holds epoch, model"):
        read_checkpoint(path)
    torch.save(torch.ones(1), path)
    with pytest.raises(DataError, match="is a Tensor"):
        read_checkpoint(path)


def test_refuses_another_model(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write_checkpoint(path, ours("sgr", path))
    with pytest.raises(DataError, match=r"a\.tar: is a sgr, not a saf"):
        read_checkpoint(path).build("saf")
    content = author_checkpoint("sgr")
    content["model"][2]["sim_eval_w.weight"] = torch.ones(1, 5)
    torch.save(content, path)
    with pytest.raises(DataError, match=r"model\[2\]: sim_eval_w.weight has shape \[1, 5\], this model \[1, 256\]"):
        read_checkpoint(path).build()
    torch.save(author_checkpoint("scan-t2i"), path)
    with pytest.raises(DataError, match=r"a\.tar: is no checkpoint of|a\.tar: saf has 3 state dicts"):
        read_checkpoint(path).build("saf")


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("progress", [1], "progress is a list"),
        ("config", [1], "TypeError"),
        ("constraints", [1], "TypeError"),
        ("vocabulary", ["a"], "a vocabulary begins with <pad>"),
        ("name", "scam", "config: model: name must be one of scan-t2i, .* not 'scam'"),
        ("epochs", 0, "epochs must be at least 1, not 0"),
    ],
)
def test_refuses_a_damaged_record(tmp_path: Path, part: str, value: object, message: str) -> None:
    path = tmp_path / "a.tar"
    write_checkpoint(path, ours("sgr", path))
    content = torch.load(path, weights_only=False)
    record = content["attneval"]
    places = {"name": record["config"]["model"], "epochs": record["config"], "constraints": record["config"]}
    places.get(part, record)[part] = value
    torch.save(content, path)
    with pytest.raises(DataError, match=rf"a\.tar: what attneval recorded is damaged: {message}"):
        read_checkpoint(path)


def test_a_record_from_before_a_choice_keeps_what_was_done_then(tmp_path: Path) -> None:
    """Constraints moved everything before their reach could be chosen, whatever the default is now."""
    path = tmp_path / "a.tar"
    write_checkpoint(path, ours("scan-t2i", path))
    content = torch.load(path, weights_only=False)
    recorded = read_checkpoint(path).config
    assert recorded is not None
    assert recorded.constraints.through == "weights"
    del content["attneval"]["config"]["constraints"]["through"]
    torch.save(content, path)
    expected = replace(recorded, constraints=replace(recorded.constraints, through="everything"))
    assert read_checkpoint(path).config == expected


@pytest.mark.parametrize("value", [torch.full((8,), torch.nan), torch.ones(8).to_sparse(), torch.ones(8) * 1j])
def test_refuses_weights_that_are_no_finite_numbers(tmp_path: Path, value: torch.Tensor) -> None:
    path = tmp_path / "a.tar"
    checkpoint = ours("scan-t2i", path)
    checkpoint.states[0]["fc.bias"] = value
    write_checkpoint(path, checkpoint)
    with pytest.raises(DataError, match=r"a\.tar: model\[0\]: fc\.bias is not made of finite numbers"):
        read_checkpoint(path).build()


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pth.tar"
    write_checkpoint(path, ours("sgr", path))
    old = path.read_bytes()

    def fail(_content: object, file: Any) -> None:
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(DataError, match=r"last\.pth\.tar cannot be written \(disk full\)"):
        write_checkpoint(path, ours("saf", path))
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]
