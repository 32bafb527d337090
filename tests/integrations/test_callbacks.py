"""Callbacks of trainers log, epoch by epoch, what the model scores at that moment."""

from __future__ import annotations

import copy
import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torchmetrics")
pytest.importorskip("transformers")

from annotations import annotation, thing, write_entities
from extraction.kit import llava, picture, torch

from attneval import Options, Protocol, score
from attneval.extraction import transformers as hf
from attneval.integrations.torchmetrics import AttentionChannels

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = [(100, 80), (80, 100), (120, 60), (60, 60)]
SENTENCES = "[/EN#1/people A man] rides [/EN#2/vehicles a red bicycle] .\n"
EPOCHS = 2
PROTOCOL = Protocol(overlap="center")
NAMES = {"f1", "f1_lift", "pointing", "coverage", "best/f1", "best/layer", "best/head"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("world")
    images = folder / "images"
    images.mkdir()
    made = {}
    for number, (width, height) in enumerate(SIZES):
        picture(width, height, seed=number).save(images / f"{number + 10}.png")
        things = thing("1", (1, 1, width // 2, height)), thing("2", (width // 3, 1, width, height))
        made[str(number + 10)] = (annotation(*things, width=width, height=height), SENTENCES)
    return images, write_entities(folder / "gt", made)


@pytest.fixture
def model() -> Iterator[tuple[Any, Any]]:
    """A model that may be trained: the cached one of the other tests is not touched."""
    cached, processor = llava()
    trained = copy.deepcopy(cached)
    yield trained, processor
    assert all(not module.training for module in cached.modules())


def examples(model: Any, processor: Any, world: tuple[Path, Path]) -> list[dict[str, Any]]:
    """Inputs of the captions, whose tokens are what is to be predicted."""
    adapter, _ = hf.choose_adapter(model, processor, hf.Choices())
    made = []
    for pair in hf.pairs(*world):
        inputs = adapter.prepare(pair.open(), [text for _, text in pair.captions]).inputs
        labels = torch.where(inputs["input_ids"] == model.config.image_token_id, -100, inputs["input_ids"])
        made.append({**inputs, "labels": labels})
    return made


def scored_by_file(model: Any, processor: Any, world: tuple[Path, Path], folder: Path) -> dict[str, float | None]:
    """What the files say of the model as it is now."""
    path = folder / "now.npz"
    hf.export(model, processor, hf.pairs(*world), path, heads="all", check=False)
    result = score(path, world[1], protocol=PROTOCOL, options=Options(resamples=0))
    return {name: result[name] for name in ("f1", "f1_lift", "pointing", "coverage")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("evaluated", [True, False], ids=["evaluated", "trained alone"])
def test_trainer(world: tuple[Path, Path], model: tuple[Any, Any], tmp_path: Path, *, evaluated: bool) -> None:
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from attneval.integrations.transformers import AttentionCallback

    class Logger(TrainerCallback):  # type: ignore[misc] # as loggers of Weights & Biases and TensorBoard are written
        def __init__(self) -> None:
            self.seen: list[dict[str, float]] = []

        def on_log(self, _args: Any, _state: Any, _control: Any, logs: dict[str, float], **_: Any) -> None:
            self.seen.append(dict(logs))

    trained, processor = model
    logger, data = Logger(), examples(trained, processor, world)
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=1,
        learning_rate=0.05,
        eval_strategy="epoch" if evaluated else "no",
        save_strategy="best" if evaluated else "no",
        metric_for_best_model="eval_attention_f1" if evaluated else None,
        logging_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    trainer = Trainer(
        model=trained,
        args=arguments,
        train_dataset=data,
        eval_dataset=data[:1],
        data_collator=lambda rows: rows[0],
        callbacks=[logger],
    )
    run = partial(hf.batches, trained, processor, hf.pairs(*world))
    trainer.add_callback(AttentionCallback(trainer, AttentionChannels(world[1], PROTOCOL), run))
    trainer.train()
    logged = [entry for entry in logger.seen if "eval_attention_f1" in entry]
    assert [entry["epoch"] for entry in logged] == [1.0, 2.0]
    assert {f"eval_attention_{name}" for name in NAMES} <= set(logged[0])
    assert all(type(value) is float for name, value in logged[0].items() if name.startswith("eval_attention"))
    assert logged[0]["eval_attention_mass"] != logged[1]["eval_attention_mass"]
    for name, value in scored_by_file(trained, processor, world, tmp_path).items():
        assert logged[-1][f"eval_attention_{name}"] == pytest.approx(value, abs=1e-6)
    history = [entry for entry in trainer.state.log_history if "eval_attention_f1" in entry]
    assert [entry["eval_attention_f1"] for entry in history] == [entry["eval_attention_f1"] for entry in logged]
    if evaluated:
        assert trainer.state.best_metric == max(entry["eval_attention_f1"] for entry in logged)


def lightning_module(model: Any, data: list[dict[str, Any]]) -> Any:
    from lightning.pytorch import LightningModule

    class Captioner(LightningModule):  # type: ignore[misc] # ships what need not be there
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: dict[str, Any], _index: int) -> torch.Tensor:
            loss: torch.Tensor = self.model(**batch).loss
            return loss

        def validation_step(self, batch: dict[str, Any], _index: int) -> None:
            self.log("val_loss", self.model(**batch).loss, batch_size=1)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.5)

        def train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(data, batch_size=None)

    return Captioner()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("validated", [True, False], ids=["validated", "trained alone"])
def test_lightning(world: tuple[Path, Path], model: tuple[Any, Any], tmp_path: Path, *, validated: bool) -> None:
    pytest.importorskip("lightning")
    import lightning.pytorch as pl
    from lightning.pytorch.loggers import CSVLogger

    from attneval.integrations.lightning import AttentionCallback

    seen: list[tuple[int, dict[str, Any]]] = []

    class Logger(CSVLogger):  # type: ignore[misc] # see above
        def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
            seen.append((step or 0, dict(metrics)))

    trained, processor = model
    data = examples(trained, processor, world)
    run = partial(hf.batches, trained, processor, hf.pairs(*world))
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=Logger(str(tmp_path)),
        callbacks=[AttentionCallback(AttentionChannels(world[1], PROTOCOL), run)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = lightning_module(trained, data)
    loader = torch.utils.data.DataLoader(data[:1], batch_size=None) if validated else None
    trainer.fit(module, val_dataloaders=loader)
    logged = [entry for _, entry in seen if "attention/f1" in entry]
    assert [entry["epoch"] for entry in logged] == [0, 1]
    assert {f"attention/{name}" for name in NAMES} <= set(logged[0])
    assert logged[0]["attention/mass"] != logged[1]["attention/mass"]
    for name, value in scored_by_file(trained, processor, world, tmp_path).items():
        assert logged[-1][f"attention/{name}"] == pytest.approx(value, abs=1e-6)
        assert float(trainer.callback_metrics[f"attention/{name}"]) == pytest.approx(value, abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_the_loop_of_the_documents(world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The code of docs/models.md, with a model, a processor and folders that are there."""
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    section = page.split("## In training and evaluation loops")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    model, processor = llava()
    images, gt = world
    names: dict[str, Any] = {"model": model, "processor": processor}
    printed = []
    for block in blocks[:2]:
        code = block.replace('"flickr30k-images"', repr(str(images))).replace('"flickr30k_entities"', repr(str(gt)))
        exec(code, names)  # noqa: S102 - the page is ours
        printed.append(capsys.readouterr().out)
    values = json.loads(printed[0].replace("'", '"').replace("nan", "NaN"))
    assert {f"attention/{name}" for name in NAMES} <= set(values)
    by_capture = names["metric"].compute()
    assert float(by_capture["f1"]) == pytest.approx(values["attention/f1"], abs=1e-6)
