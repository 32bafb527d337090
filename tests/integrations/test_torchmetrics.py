"""The metrics inside a training loop say what the command says of the same maps."""

from __future__ import annotations

import copy
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torchmetrics")

import torch
from commands import attneval, environment
from torchmetrics import MetricCollection
from validation_loop import ENTITIES, FIXTURES, Sample, batches, samples

from attneval import Options, Protocol, score
from attneval.errors import AlignmentError, AttnevalError, ProtocolError
from attneval.evaluation import score_block as blocks
from attneval.integrations.torchmetrics import AttentionF1, AttentionMetrics, AttentionPrecision, AttentionRecall

if TYPE_CHECKING:
    from torchmetrics import Metric

KINDS: list[type[AttentionPrecision | AttentionRecall | AttentionF1]] = [
    AttentionPrecision,
    AttentionRecall,
    AttentionF1,
]
NAMES = ("precision", "recall", "f1")
CLOSE = 1e-6


def of_the_command(tmp_path: Path, *arguments: str) -> dict[str, float]:
    """What the command line says of the fixture that the batches are made of."""
    out = tmp_path / "result.json"
    done = attneval("score", FIXTURES / "noisy.npz", "--gt", ENTITIES, "--resamples", "0", *arguments, "-q", "-o", out)
    assert (done.code, done.err) == (0, "")
    return {name: metric["value"] for name, metric in json.loads(out.read_text())["metrics"].items()}


def values_of(collection: AttentionMetrics) -> dict[str, float]:
    return {name: float(value) for name, value in collection.compute().items()}


def close(values: dict[str, float], expected: dict[str, float], prefix: str = "") -> bool:
    return all(abs(values[prefix + name] - expected[name]) < CLOSE for name in NAMES)


@pytest.mark.parametrize(
    "protocol",
    [
        {},
        {"average": "micro"},
        {"unit": "phrase", "threshold": "max:0.5", "pool": "max"},
        {"iou": "0.3", "unreachable": "zero", "threshold": "top:3"},
    ],
    ids=["default", "micro", "phrases", "zero"],
)
def test_as_the_command_line(tmp_path: Path, protocol: dict[str, str]) -> None:
    flags = [part for name, value in protocol.items() for part in (f"--{name}", value)]
    expected = of_the_command(tmp_path, *flags)
    prefix = "micro_" if protocol.get("average") == "micro" else ""
    for kind, name in zip(KINDS, NAMES, strict=True):
        metric = kind(ENTITIES, Protocol.from_dict(dict(protocol)))
        for batch in batches(samples(), 64):
            metric.update(*batch)
        assert abs(float(metric.compute()) - expected[prefix + name]) < CLOSE


def test_a_hand_made_batch(tmp_path: Path) -> None:
    """One image 100 x 100 with a dog at the left; two of four regions are relevant to it at IoU 0.5."""
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Sentences").mkdir()
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>50</xmax><ymax>100</ymax></bndbox>"
    size = "<size><width>100</width><height>100</height></size>"
    (tmp_path / "Annotations/7.xml").write_text(f"<annotation>{size}<object><name>1</name>{box}</object></annotation>")
    (tmp_path / "Sentences/7.txt").write_text("[/EN#1/animals a dog] runs\n")
    boxes = torch.tensor([[[0, 0, 50, 100], [0, 0, 50, 60], [50, 0, 100, 100], [40, 0, 100, 100]]]).float()
    # "a" attends to regions 0 and 2: precision 1/2, recall 1/2; "dog" to 0, 1 and 2: precision 2/3, recall 1.
    attention = torch.tensor([[[0.6, 0.1, 0.3, 0], [0.3, 0.3, 0.3, 0.1], [0, 0, 0, 1]]])
    metric = AttentionMetrics(tmp_path)
    metric.update(attention, [["a", "dog", "runs"]], ["7#0"], boxes)
    values = values_of(metric)
    assert values == pytest.approx({"precision": 7 / 12, "recall": 3 / 4, "f1": (1 / 2 + 4 / 5) / 2}, abs=CLOSE)


def test_a_grid_of_patches(tmp_path: Path) -> None:
    chosen = samples()
    longest = max(len(own.tokens) for own in chosen)
    grid = torch.rand(len(chosen), longest, 3, 4, generator=torch.Generator().manual_seed(0))
    for row, own in enumerate(chosen):
        grid[row, len(own.tokens) :] = 0
    words = np.array([own.tokens + [""] * (longest - len(own.tokens)) for own in chosen])
    ids = np.array([own.caption_id for own in chosen])
    np.savez(tmp_path / "grid.npz", attn=grid.numpy(), words=words, caption_ids=ids)
    protocol = Protocol(overlap="iof")
    result = score(tmp_path / "grid.npz", ENTITIES, protocol=protocol, options=Options(resamples=0))
    metric = AttentionF1(ENTITIES, protocol)
    for rows in torch.split(torch.arange(len(chosen)), 50):
        batch = [chosen[row] for row in rows.tolist()]
        metric.update(grid[rows], [sample.tokens for sample in batch], [sample.caption_id for sample in batch])
    assert abs(float(metric.compute()) - (result["f1"] or 0)) < CLOSE


def test_weights_over_tokens(tmp_path: Path) -> None:
    chosen = samples()
    weights = [torch.rand(own.attention.shape, generator=torch.Generator().manual_seed(1)) for own in chosen]
    over_tokens = [own / own.sum(dim=0) for own in weights]
    back = [Sample(own.caption_id, own.tokens, maps, own.boxes) for own, maps in zip(chosen, over_tokens, strict=True)]
    whole = next(batches(back, len(back)))
    longest = whole[0].shape[1]
    words = np.array([own.tokens + [""] * (longest - len(own.tokens)) for own in back])
    meta = np.array(json.dumps({"normalised_over": "tokens"}))
    np.savez(tmp_path / "back.npz", attn=whole[0], words=words, caption_ids=whole[2], boxes=whole[3], meta=meta)
    protocol = Protocol(direction="i2t")
    result = score(tmp_path / "back.npz", ENTITIES, protocol=protocol, options=Options(resamples=0))
    metric = AttentionRecall(ENTITIES, protocol, normalised_over="tokens")
    for batch in batches(back, 64):
        metric.update(*batch)
    assert abs(float(metric.compute()) - (result["recall"] or 0)) < CLOSE


@pytest.mark.parametrize("sizes", ["217,83", "300,0"])
def test_two_processes(tmp_path: Path, sizes: str) -> None:
    script = Path(__file__).parents[1] / "validation_loop.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, script, sizes],
        check=False,
        capture_output=True,
        text=True,
        env=environment(OMP_NUM_THREADS="1"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    values = json.loads(done.stdout)
    expected = of_the_command(tmp_path)
    assert close(values, expected, prefix="val_")
    assert [values[kind.__name__] for kind in KINDS] == [values[f"val_{name}"] for name in NAMES]


def test_any_split_gives_the_same_to_the_last_bit() -> None:
    chosen = samples()
    shuffled = [chosen[row] for row in np.random.default_rng(0).permutation(len(chosen)).tolist()]
    states = []
    for order, size in ((chosen, 300), (chosen, 7), (shuffled, 32)):
        metric = AttentionF1(ENTITIES)
        for batch in batches(order, size):
            metric.update(*batch)
        states.append(metric.sums.tolist())
    assert states[0] == states[1] == states[2]


class Validated(torch.nn.Module):
    """A module as PyTorch Lightning runs it: metrics are submodules, updated by steps, read and reset by epochs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.metrics = AttentionMetrics(ENTITIES, prefix="val_")
        self.f1 = AttentionF1(ENTITIES)

    def validation_step(self, batch: tuple[Any, ...]) -> torch.Tensor:
        attention, *others = batch
        self.metrics.update(attention * self.scale, *others)
        step: torch.Tensor = self.f1(attention * self.scale, *others)
        return step

    def on_validation_epoch_end(self) -> dict[str, float]:
        values = {name: float(value) for name, value in self.metrics.compute().items()}
        values["f1"] = float(self.f1.compute())
        self.metrics.reset()
        self.f1.reset()
        return values


def test_a_loop_in_the_style_of_lightning(tmp_path: Path) -> None:
    expected = of_the_command(tmp_path)
    module = Validated().to("cpu")
    for batch in list(batches(samples(), 64))[:2]:  # the sanity check before training
        module.validation_step(batch)
    module.on_validation_epoch_end()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        module.train()
        optimiser.zero_grad()
        torch.autograd.backward((module.scale - 1).square())
        optimiser.step()
        module.eval()
        steps = [float(module.validation_step(batch)) for batch in batches(samples(), 64)]
        values = module.on_validation_epoch_end()
        assert close(values, expected, prefix="val_")
        assert values["f1"] == values["val_f1"]
        # A step says what its batch alone scores.
        first = AttentionF1(ENTITIES)
        first.update(*next(batches(samples(), 64)))
        assert steps[0] == float(first.compute())
        assert len(set(steps)) == len(steps) == 5
    assert list(module.state_dict()) == ["scale"]


def test_copies_go_their_own_way() -> None:
    first, second, *_ = batches(samples(), 64)
    metric = AttentionMetrics(ENTITIES)
    metric.update(*first)
    others = [copy.deepcopy(metric), pickle.loads(pickle.dumps(metric)), metric.clone(prefix="test_")]  # noqa: S301
    before = list(values_of(metric).values())
    for other in others:
        assert list(values_of(other).values()) == before
        other.update(*second)
        assert list(values_of(other).values()) != before
    assert list(values_of(metric).values()) == before
    assert set(values_of(others[2])) == {"test_precision", "test_recall", "test_f1"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is judged while a test runs."""
    from attneval.integrations import torchmetrics as module

    calls: list[Any] = []
    judge = blocks.score_block

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(given)
        return judge(*given, **named)

    monkeypatch.setattr(module, "score_block", counted)
    return calls


def test_a_collection_judges_a_batch_once(calls: list[Any]) -> None:
    metric = AttentionMetrics(ENTITIES)
    for batch in batches(samples(), 150):
        metric.update(*batch)
    assert len(calls) == 2


NO_CAPTIONS: tuple[Any, ...] = (torch.zeros(0, 5, 12), [], [], torch.zeros(0, 12, 4))


@pytest.mark.parametrize(
    "other",
    [
        AttentionF1(ENTITIES, Protocol(iou=0.9)),
        AttentionF1(ENTITIES, Protocol(iou=0.5000001, min_area=1e-9)),
        AttentionF1(ENTITIES / ".." / "entities"),
        AttentionF1(ENTITIES, gt_format="entities"),
        AttentionF1(ENTITIES, kind="similarity"),
        AttentionF1(ENTITIES, normalised_over="regions"),
    ],
    ids=["protocol", "hardly another protocol", "annotations", "format", "kind", "axis"],
)
def test_a_collection_keeps_apart_what_is_judged_otherwise(other: AttentionF1, calls: list[Any]) -> None:
    metrics = MetricCollection({"one": AttentionF1(ENTITIES), "other": other.clone()})
    metrics.update(*NO_CAPTIONS)  # after which all states are alike
    alone = other.clone()
    for batch in batches(samples(), 150):
        metrics.update(*batch)
        alone.update(*batch)
    assert len(calls) == 6
    assert float(metrics.compute()["other"]) == float(alone.compute())


def test_a_collection_of_what_is_judged_alike_judges_it_once(tmp_path: Path, calls: list[Any]) -> None:
    micro = Protocol(average="micro")
    metrics = MetricCollection({"f1": AttentionF1(ENTITIES), "micro": AttentionPrecision(str(ENTITIES), micro)})
    metrics.update(*NO_CAPTIONS)
    for batch in batches(samples(), 150):
        metrics.update(*batch)
    assert len(calls) == 2
    expected = of_the_command(tmp_path)
    assert abs(float(metrics.compute()["f1"]) - expected["f1"]) < CLOSE
    assert abs(float(metrics.compute()["micro"]) - expected["micro_precision"]) < CLOSE


def test_a_saved_state_goes_on_where_it_means_the_same() -> None:
    first, *rest = batches(samples(), 100)
    whole, part = AttentionF1(ENTITIES), AttentionF1(ENTITIES)
    whole.update(*first)
    part.update(*first)
    part.persistent(mode=True)
    loaded = AttentionF1(ENTITIES)
    loaded.load_state_dict(copy.copy(part.state_dict()))
    for batch in rest:
        whole.update(*batch)
        loaded.update(*batch)
    assert loaded.sums.tolist() == whole.sums.tolist()
    with pytest.raises(RuntimeError, match="Unexpected key"):
        AttentionF1(ENTITIES, Protocol(iou=0.9)).load_state_dict(part.state_dict())


def test_arrays_are_as_good_as_tensors() -> None:
    attention, tokens, ids, boxes = next(batches(samples(), 300))
    metric, arrays = AttentionF1(ENTITIES), AttentionF1(ENTITIES)
    metric.update(attention, tokens, ids, boxes)
    arrays.update(attention.numpy(), tokens, ids, boxes.numpy())
    assert arrays.sums.tolist() == metric.sums.tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64], ids=str)
def test_sums_are_whole_numbers_whatever_the_type(dtype: torch.dtype) -> None:
    metric, expected = AttentionMetrics(ENTITIES), AttentionMetrics(ENTITIES)
    for number, batch in enumerate(batches(samples(), 100)):
        metric.update(*batch)
        expected.update(*batch)
        if number == 1:
            metric.set_dtype(dtype)
            metric.to(dtype)
    assert values_of(metric) == values_of(expected)


def test_half_precision_and_no_captions() -> None:
    chosen = samples()
    metric, half = AttentionPrecision(ENTITIES), AttentionPrecision(ENTITIES)
    metric.update(*NO_CAPTIONS)
    for attention, tokens, ids, boxes in batches(chosen, 300):
        metric.update(attention, tokens, ids, boxes)
        half.update(attention.bfloat16(), tokens, ids, boxes)
    assert abs(float(metric.compute()) - float(half.compute())) < 0.02


def test_nothing_seen_is_no_number() -> None:
    metric = AttentionF1(ENTITIES)
    with pytest.warns(UserWarning, match="before"):
        assert np.isnan(float(metric.compute()))


def refused(metric: Metric, *batch: Any) -> str:
    with pytest.raises(AttnevalError) as caught:
        metric.update(*batch)
    return str(caught.value)


def test_what_is_refused() -> None:
    attention, tokens, ids, boxes = next(batches(samples(), 10))
    metric = AttentionF1(ENTITIES)
    with pytest.raises(ProtocolError, match="missing zero"):
        AttentionF1(ENTITIES, Protocol(missing="zero"))
    assert "nobody" in refused(metric, attention, tokens, ["nobody#0", *ids[1:]], boxes)
    assert "NaN" in refused(metric, attention * torch.nan, tokens, ids, boxes)
    assert "(10, 24, 12), expected (9, " in refused(metric, attention, tokens, ids[:9], boxes)
    assert "words" in refused(metric, attention, [[*own, *("a",) * 30] for own in tokens], ids, boxes)
    assert "boxes" in refused(metric, attention, tokens, ids, boxes[:, :-1])
    wrong = AttentionF1(ENTITIES, normalised_over="tokens")
    assert "sum to 1" in refused(wrong, attention, tokens, ids, boxes)
    # Nothing of a refused batch is counted.
    assert metric.sums.tolist() == [0] * 7


def test_captions_that_do_not_fit_are_refused_or_left_out() -> None:
    attention, tokens, ids, boxes = next(batches(samples(), 10))
    tokens = [["nothing", "like", "it"], *tokens[1:]]
    attention = up_to(attention, tokens)
    with pytest.raises(AlignmentError, match="1 captions are no caption of their image"):
        AttentionF1(ENTITIES).update(attention, tokens, ids, boxes)
    lenient, rest = (AttentionF1(ENTITIES, Protocol(missing="skip")) for _ in range(2))
    lenient.update(attention, tokens, ids, boxes)
    rest.update(attention[1:], tokens[1:], ids[1:], boxes[1:])
    assert lenient.sums.tolist() == rest.sums.tolist()
    cut = [own[: len(own) // 2] for own in tokens]
    with pytest.raises(AlignmentError, match="annotated words have no token"):
        AttentionF1(ENTITIES).update(up_to(attention, cut)[1:], cut[1:], ids[1:], boxes[1:])
    # Weight that is left behind the tokens is no caption that was cut.
    assert "weight behind the last token" in refused(AttentionF1(ENTITIES), attention[1:], cut[1:], ids[1:], boxes[1:])


def up_to(attention: torch.Tensor, tokens: list[list[str]]) -> torch.Tensor:
    """The same weights, zeros behind the last token of each caption."""
    cut = attention.clone()
    for row, own in enumerate(tokens):
        cut[row, len(own) :] = 0
    return cut


def test_nothing_else_needs_it() -> None:
    modules = "attneval.cli, attneval.evaluation.score, attneval.results.merge"
    script = f"import sys, {modules}; print('torchmetrics' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_torchmetrics_it_says_how_to_get_it() -> None:
    script = "import sys; sys.modules['torchmetrics'] = None; import attneval.integrations.torchmetrics"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install '.[torchmetrics]' in a clone" in done.stderr


def test_the_loop_of_the_documents_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (FIXTURES.parent / "docs" / "scale.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(FIXTURES.parent)
    exec(compile(block, "scale.md", "exec"), {"loader": batches(samples(), 64)})  # noqa: S102 - our own text
    expected = score(FIXTURES / "noisy.npz", ENTITIES, options=Options(resamples=0))
    values = {f"val_{name}": round(expected[name] or 0, 3) for name in sorted(NAMES)}
    assert capsys.readouterr().out == f"{values}\n"
