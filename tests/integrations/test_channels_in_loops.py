"""What a loop says of a model's layers and heads is what the files say that they are exported to."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torchmetrics")
pytest.importorskip("transformers")

from annotations import annotation, thing, write_entities
from commands import environment
from extraction import others, vlms
from extraction.kit import llava, picture, torch

from attneval import Options, Protocol, score
from attneval.errors import AttnevalError, ProtocolError
from attneval.evaluation.score_heads import score_heads
from attneval.extraction import transformers as hf
from attneval.integrations.runs import score_run
from attneval.integrations.torchmetrics import AttentionChannels, logged

# PaliGemma's processor makes arrays of tensors in a way that numpy deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CLOSE = 1e-6
SENTENCES = (
    "[/EN#1/people A man] rides [/EN#2/vehicles a red bicycle] .\nThe street near [/EN#2/vehicles the bicycle]\n"
)
MORE = "[/EN#1/animals Two dogs] play in [/EN#2/scene a café 's garden] .\n"
SIZES = [(100, 80), (80, 100), (120, 60), (60, 60), (90, 70), (70, 90)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of images and their annotations, some in each half."""
    folder = tmp_path_factory.mktemp("world")
    images = folder / "images"
    images.mkdir()
    made = {}
    for number, (width, height) in enumerate(SIZES):
        picture(width, height, seed=number).save(images / f"{number + 10}.png")
        things = thing("1", (1, 1, width // 2, height)), thing("2", (width // 3, 1, width, height))
        boxes = annotation(*things, width=width, height=height)
        made[str(number + 10)] = (boxes, MORE if number % 2 else SENTENCES)
    return images, write_entities(folder / "gt", made)


def models() -> dict[str, Any]:
    """A model, its processor and what else it is called with, by family."""
    return {
        "llava": lambda: (*llava(), {}),
        "idefics3": lambda: _of(vlms.made("idefics3")),
        "gemma3": lambda: _of(vlms.made("gemma3")),
        "paligemma": lambda: _of(vlms.made("paligemma")),
        "clip": lambda: (*others.clip(), {}),
        "blip": lambda: (*others.blip(), {}),
        "gradcam": lambda: (*others.blip(), {"weights": "gradcam"}),
        "vilt": lambda: (*others.vilt(), {}),
        "grounding dino": lambda: (*others.grounding_dino(), {}),
        "owl": lambda: (*others.owl(), {}),
        "visual bert": lambda: (*others.visual_bert(), {"boxes": {str(k + 10): _regions(k) for k in range(6)}}),
    }


def _of(made: Any) -> tuple[Any, Any, dict[str, Any]]:
    return made.model, made.processor, {"prompt": made.prompt}


def _regions(number: int) -> Any:
    width, height = SIZES[number]
    return tuple(others.regions(width=width, height=height).values())


@pytest.mark.parametrize("name", models())
def test_as_the_file_that_is_exported(world: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    images, gt = world
    model, processor, given = models()[name]()
    pairs = hf.pairs(images, gt)
    path = tmp_path / "maps.npz"
    hf.export(model, processor, pairs, path, heads="all", check=False, **given)
    protocol = Protocol(overlap="center")
    metric = AttentionChannels(gt, protocol)
    for batch in hf.batches(model, processor, pairs, **given):
        metric.update(**batch)
    values = metric.compute()
    names = metric.metrics
    result = score(path, gt, protocol=protocol, options=Options(resamples=0, channel_metrics=names[:-1]))
    for one in names:
        assert float(values[one]) == pytest.approx(result[one], abs=CLOSE, nan_ok=True), one
    assert result.counts["items"] > 0
    places = metric.layer_and_head.tolist()
    if len(places) == 1:
        assert not any("/" in one for one in values)
        return
    for row, (layer, head) in enumerate(places):
        of_channel = result.channels[f"L{layer}H{head}/t2i"]
        for one in names[:-1]:
            assert float(values[f"channels/{one}"][row]) == pytest.approx(of_channel.metrics[one].value, abs=CLOSE)
    best = score_heads(path, gt, protocol=protocol, options=Options(resamples=0)).heads[0]
    assert (best.layer, best.head) == (int(values["best/layer"]), int(values["best/head"]))
    assert float(values["best/f1"]) == pytest.approx(best.metrics["f1"].value, abs=CLOSE)


@pytest.mark.parametrize("limit", [6, 1], ids=["both", "one of them alone"])
def test_two_processes(world: tuple[Path, Path], limit: int) -> None:
    images, gt = world
    script = Path(__file__).parents[1] / "channels_loop.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, script, images, gt, str(limit)],
        check=False,
        capture_output=True,
        text=True,
        env=environment(OMP_NUM_THREADS="1"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = json.loads(done.stdout)
    model, processor = llava()
    metric = AttentionChannels(gt, Protocol(overlap="center"))
    alone = score_run(metric, partial(hf.batches, model, processor, hf.pairs(images, gt, limit=limit)))
    # NaN, where a half has no image, is written as such and differs from itself.
    assert repr(first) == repr(second) == repr(alone)


def test_batches_and_their_order_change_no_bit(world: tuple[Path, Path]) -> None:
    images, gt = world
    model, processor = llava()
    whole, single = AttentionChannels(gt), AttentionChannels(gt)
    batches = list(hf.batches(model, processor, hf.pairs(images, gt)))
    for batch in batches:
        whole.update(**batch)
    for batch in reversed(batches):
        for row in range(len(batch.caption_ids)):
            single.update(
                batch.attention[row : row + 1],
                batch.tokens[row : row + 1],
                batch.caption_ids[row : row + 1],
                batch.regions,
                texts=batch.texts[row : row + 1],
                channels=batch.channels,
                header=batch.header,
                dtype=batch.dtype,
            )
    assert single.sums.tolist() == whole.sums.tolist()
    assert float(whole.compute()["f1"]) > 0


def test_what_capture_gives(world: tuple[Path, Path]) -> None:
    """The loop of the documents: capture, model, update; layers by number, tokens as texts or spans."""
    images, gt = world
    model, processor = llava()
    pairs = hf.pairs(images, gt)
    expected, by_hand = AttentionChannels(gt), AttentionChannels(gt)
    for batch in hf.batches(model, processor, pairs, layers=[1]):
        expected.update(**batch)
    adapter, _ = hf.choose_adapter(model, processor, hf.Choices(heads="all"))
    assert isinstance(adapter, hf.Causal)
    for pair in pairs:
        image, captions = pair.open(), [text for _, text in pair.captions]
        prepared = adapter.prepare(image, captions)
        longest = max(map(len, prepared.tokens))
        rows = torch.full((len(captions), longest), -1)
        for sample, tokens in enumerate(prepared.tokens):
            rows[sample, : len(tokens)] = torch.from_numpy(tokens.position)
        with (
            hf.capture(model, rows=rows, columns=adapter.columns(prepared.inputs), layers=[1]) as maps,
            torch.no_grad(),
        ):
            model(**prepared.inputs)
        by_hand.update(
            maps,
            [tokens.span for tokens in prepared.tokens],
            [f"{pair.image_id}#{number}" for number, _ in pair.captions],
            hf.geometry(processor, image, model=model),
            texts=captions,
        )
    assert by_hand.layer_and_head.tolist() == [[1, head] for head in range(4)]
    assert by_hand.sums.tolist() == expected.sums.tolist()


def test_a_hand_made_batch(tmp_path: Path) -> None:
    """One image 100 x 100 with a dog at the left; two of four regions are relevant to it at IoU 0.5."""
    box = thing("1", (1, 1, 50, 100))
    gt = write_entities(tmp_path, {"7": (annotation(box, width=100, height=100), "[/EN#1/animals a dog] runs\n")})
    boxes = torch.tensor([[0, 0, 50, 100], [0, 0, 50, 60], [50, 0, 100, 100], [40, 0, 100, 100]]).float()
    # "a" attends to regions 0 and 2: precision 1/2, recall 1/2; "dog" to 0, 1 and 2: precision 2/3, recall 1.
    one = torch.tensor([[0.6, 0.1, 0.3, 0], [0.3, 0.3, 0.3, 0.1], [0, 0, 0, 1]])
    # The other head has nothing for "a", and for "dog" the two relevant regions alone.
    other = torch.tensor([[0, 0, 0, 0], [0.2, 0.2, 0, 0], [0, 0, 0, 1.0]])
    metric = AttentionChannels(gt)
    maps = {3: torch.stack([one, other])[None] * 0.5}
    metric.update(maps, [["a", "dog", "runs"]], ["7#0"], boxes)
    values = metric.compute()
    assert metric.layer_and_head.tolist() == [[3, 0], [3, 1]]
    assert values["channels/precision"].tolist() == pytest.approx([7 / 12, 1])
    assert values["channels/recall"].tolist() == pytest.approx([3 / 4, 1])
    assert values["channels/f1"].tolist() == pytest.approx([(1 / 2 + 4 / 5) / 2, 1])
    # Even attention has a precision of 1/2 and a recall of 1; the undefined row has no floor either.
    assert values["channels/f1_lift"].tolist() == pytest.approx([(1 / 2 + 4 / 5) / 2 - 2 / 3, 1 / 3])
    # The mean map: of "a" the defined row alone; of "dog" 0.4, 0.4, 0.15, 0.05, of which two are above 1/4.
    assert float(values["f1"]) == pytest.approx((1 / 2 + 1) / 2)
    assert float(values["coverage"]) == 1
    names = logged(values, "val/")
    assert names["val/f1"] == pytest.approx(3 / 4)
    assert not [name for name in names if "channels" in name]


def test_copies_resets_and_saved_states(world: tuple[Path, Path]) -> None:
    images, gt = world
    model, processor = llava()
    batches = list(hf.batches(model, processor, hf.pairs(images, gt)))
    metric = AttentionChannels(gt)
    metric.update(**batches[0])
    other = pickle.loads(pickle.dumps(copy.deepcopy(metric)))  # noqa: S301 - made here
    for batch in batches[1:]:
        other.update(**batch)
    assert other.sums.tolist() != metric.sums.tolist()
    metric.reset()
    assert metric.sums.shape[1] == 1
    with pytest.warns(UserWarning, match="before"):
        assert np.isnan(float(metric.compute()["f1"]))
    for batch in batches:
        metric.update(**batch)
    assert metric.sums.tolist() == other.sums.tolist()
    metric.to(torch.float16)
    assert metric.sums.dtype == torch.int64


def test_training_goes_on_as_it_was(world: tuple[Path, Path]) -> None:
    images, gt = world
    model, processor = llava()
    model.train()
    try:
        for _ in hf.batches(model, processor, hf.pairs(images, gt), part=1, parts=3):
            assert all(module.training for module in model.modules())
        assert all(parameter.requires_grad for parameter in model.parameters())
        assert all(parameter.grad is None for parameter in model.parameters())
    finally:
        model.eval()


def refused(metric: AttentionChannels, *given: Any, **named: Any) -> str:
    with pytest.raises(AttnevalError) as caught:
        metric.update(*given, **named)
    return str(caught.value)


def test_what_is_refused(world: tuple[Path, Path]) -> None:
    images, gt = world
    model, processor = llava()
    batch = next(iter(hf.batches(model, processor, hf.pairs(images, gt))))
    metric = AttentionChannels(gt, Protocol(overlap="center"))

    def with_(**changed: Any) -> str:
        return refused(metric, **{**dict(batch), **changed})

    maps = batch.attention
    assert "1 images are not in" in with_(caption_ids=["nobody#0", "nobody#1"])
    assert "nobody#x" in with_(caption_ids=["nobody#x", "10#1"])
    assert "NaN" in with_(attention=maps * torch.nan)
    assert "negative" in with_(attention=-maps)
    assert "maps are of 1 captions" in with_(attention=maps[:1])
    assert "8 channels are named, and the maps have 4" in with_(attention=maps[:, :4])
    assert "16 regions, and the maps have 15 columns" in with_(attention=maps[..., :-1])
    assert "have the shapes" in with_(attention={0: maps, 1: maps[:1]}, channels=None)
    assert "no layer was captured" in with_(attention={}, channels=None)
    assert "not given" in with_(texts=None)
    assert "dtype 'int8'" in with_(dtype="int8")
    assert "regions are given for 1 captions" in with_(caption_ids=["10#0", "11#0"], regions=[batch.regions])
    assert int(metric.sums.abs().sum()) == 0
    metric.update(**batch)
    assert "not those of the batches before" in with_(channels=[(9, head) for head in range(8)])
    for protocol in (
        Protocol(threshold="top:3"),
        Protocol(direction="i2t"),
        Protocol(direction="t2i,i2t"),
        Protocol(pointing="upsampled"),
        Protocol(missing="zero"),
        Protocol(average="class"),
    ):
        with pytest.raises(ProtocolError):
            AttentionChannels(gt, protocol)
    with pytest.raises(ProtocolError, match="not ranked by ap"):
        AttentionChannels(gt, metric="ap")
    mixed = AttentionChannels(gt)
    mixed.update(**batch)
    boxes = torch.tensor([[0, 0, 30, 30], [0, 0, 50, 50], [10, 10, 60, 60], [5, 5, 90, 70]] * 4).float()
    assert "overlap iou, those before for iof" in refused(mixed, **{**dict(batch), "regions": boxes})
