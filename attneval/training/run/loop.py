"""Training: from a configuration to checkpoints and a log.

A run is a function of its configuration and data. All that decides its future (weights, optimizer, random state,
place in the data) is saved at once, so a run that is killed and started again ends with the same weights as one
that is not, on the same kind of machine and number of threads.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attneval.errors import ConfigError, DataError
from attneval.storage.json_text import parse_json
from attneval.training.data.rundata import RunData
from attneval.training.models.similarity import MatchedMaps, check_images, similarity_matrix
from attneval.training.models.table import MODELS
from attneval.training.run.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from attneval.training.run.config import to_dict
from attneval.training.run.folder import locked
from attneval.training.run.progress import Progress
from attneval.training.run.refusals import refuse_non_finite, refuse_other_choices
from attneval.training.run.retrieval import recall
from attneval.training.run.runlog import RunLog
from attneval.training.run.updates import Updater

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from attneval.training.data.captions import EncodedCaptions
    from attneval.training.data.precomputed import Split
    from attneval.training.data.relevant import RelevantRegions
    from attneval.training.run.config import TrainConfig

    Listener = Callable[[dict[str, Any]], None]
    AttentionScores = Callable[[MatchedMaps], Mapping[str, float]]
    AnnotatedRegions = Callable[[Split, EncodedCaptions], RelevantRegions]

LAST, BEST, LOG, VOCABULARY = "last.pth.tar", "best.pth.tar", "log.jsonl", "vocabulary.json"


@dataclass(frozen=True)
class TrainResult:
    """Files and scores that a run left behind.

    Args:
        best: Checkpoint of the best epoch.
        last: Checkpoint of the last one, to go on from.
        epochs: The log's line of each epoch.
    """

    best: Path
    last: Path
    epochs: list[dict[str, Any]]


def train(
    config: TrainConfig,
    output: Path,
    *,
    resume: bool = True,
    attention_scores: AttentionScores | None = None,
    relevant_regions: AnnotatedRegions | None = None,
    listener: Listener | None = None,
) -> TrainResult:
    """Train a model, or go on with a run that was interrupted.

    Args:
        config: Every choice. Vocabulary size, feature size and regions are taken from the data.
        output: Folder of `last.pth.tar`, `best.pth.tar`, `log.jsonl` and `vocabulary.json`.
        resume: Go on from `last.pth.tar` if there is one; otherwise its presence is an error.
        attention_scores: Scores the attention of the dev captions, before training and after each epoch; gives
            numbers by name. `f1` decides the best epoch where the configuration says so.
        relevant_regions: Gives the annotated relevant regions of the training captions; called, once, where attention
            is supervised.
        listener: Called with each event of the log, and with events that are not logged: `resume`, `tick` after each
            step, and `validating` while a validation goes on.

    Raises:
        ConfigError: The choices contradict each other or those of the run to go on with.
        DataError: The data cannot be used.
        AttnevalError: A loss is infinite or not a number.
    """
    data = RunData.open(config)
    if "supervised" in config.constraints.use:
        if relevant_regions is None:
            raise ConfigError(
                "attention cannot be supervised without annotations of the training images", hint="name them with --gt"
            )
        if "t2i" not in MODELS[config.model.name].directions:
            raise ConfigError(f"{config.model.name} has no attention from words to regions that could be supervised")
        data = replace(data, relevant=relevant_regions(data.train, data.train_captions))
        if not data.relevant:
            raise DataError(f"{data.train.source}: no region is relevant for an annotated word of these captions")
    return _Trainer(config, output, data, attention_scores, listener).run(resume=resume)


class _Trainer:
    """One run; see `train`."""

    def __init__(
        self,
        config: TrainConfig,
        output: Path,
        data: RunData,
        attention_scores: AttentionScores | None,
        listener: Listener | None,
    ) -> None:
        if config.select == "f1" and attention_scores is None:
            raise ConfigError("the best epoch cannot be chosen by attention F1 without annotations to score it")
        regions, image_dim = data.train.feature_shape
        model = replace(config.model, vocab_size=len(data.vocabulary), image_dim=image_dim, regions=regions)
        self.config = replace(config, model=model)
        self.output = output
        self.data = data
        self.attention_scores = attention_scores
        self.listener = listener
        self.updater = Updater(self.config, data)
        self.model = self.updater.model
        for split in (data.train, data.dev):  # dev would not be read before the end of an epoch
            check_images(self.model, split)
        self.progress = Progress()

    def run(self, *, resume: bool) -> TrainResult:
        # What cannot be used, annotations that do not fit included, shows here: before there is a folder.
        start = {} if (self.output / LAST).exists() else self._start()
        with locked(self.output):
            return self._run(start, resume=resume)

    def _run(self, start: dict[str, Any], *, resume: bool) -> TrainResult:
        """Begin with the log's first event, or go on with the run that is there."""
        last = self.output / LAST
        kept = 0
        if last.exists():
            if not resume:
                raise ConfigError(f"{last} is there already", hint="go on with that run, or choose another folder")
            kept = self._restore(read_checkpoint(last))
        self.log = RunLog(self.output / LOG, kept, self.listener)
        try:
            if kept:
                self.log.show({"event": "resume", "epoch": self.progress.epoch, "step": self.progress.step})
            else:
                self.data.vocabulary.write(self.output / VOCABULARY)
                self.log.write(start or self._start())
            while self.progress.epoch < self.config.epochs:
                self._epoch()
                self._validate()
                self._save(LAST)
        finally:
            self.log.close()
        lines = (self.output / LOG).read_text(encoding="utf-8").splitlines()
        where = str(self.output / LOG)
        events = [parse_json(line, f"{where} line {number}") for number, line in enumerate(lines, 1)]
        if not all(isinstance(event, dict) and "event" in event for event in events):
            raise DataError(f"{where} is no log of a run: a line is no event")
        epochs = [event for event in events if event["event"] == "epoch"]
        return TrainResult(self.output / BEST, last, epochs)

    def _start(self) -> dict[str, Any]:
        return {
            "event": "start",
            "config": to_dict(self.config),
            "train_images": self.data.train.images,
            "train_captions": len(self.data.train_captions),
            "dev_images": self.data.dev.images,
            "dev_captions": len(self.data.dev_captions),
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "torch": torch.__version__,
            "device": str(self.updater.device),
            "threads": torch.get_num_threads(),
            "untrained": self._attention(),
        }

    def _epoch(self) -> None:
        """The rest of the current epoch."""
        config, progress = self.config, self.progress
        batches = self.data.batches(config.seed, progress.epoch, config.batch_size)
        rate = config.learning_rate * config.decay ** (
            progress.epoch // config.decay_epochs if config.decay_epochs else 0
        )
        self.updater.set_rate(rate)
        self.model.train()
        while progress.step < len(batches):
            started = time.perf_counter()
            moment = progress.epoch + progress.step / len(batches)
            strength = config.constraints.strength(moment)
            negatives = "all" if moment < config.easy_epochs else config.negatives
            logged = bool(config.log_steps) and (progress.steps + 1) % config.log_steps == 0
            losses, seen = self.updater.step(batches[progress.step], negatives, strength, observe=logged)
            refuse_non_finite(losses, f"epoch {progress.epoch}, step {progress.step}")
            progress.add(losses, seen)
            progress.seconds += time.perf_counter() - started
            where = {"epoch": progress.epoch, "step": progress.step, "of": len(batches)}
            self.log.show({"event": "tick", **where})
            if logged:
                rates = {"learning_rate": rate, "strength": strength, "seconds": progress.seconds}
                self.log.write({"event": "step", **where, **losses, **seen, **rates})
            if config.checkpoint_steps and progress.steps % config.checkpoint_steps == 0:
                self._save(LAST)

    def _validate(self) -> None:
        """Score the dev split, log it, and keep the weights if they are the best so far."""
        started = time.perf_counter()
        data, progress = self.data, self.progress

        def on_progress(done: int) -> None:
            of = len(data.dev_captions)
            self.log.show({"event": "validating", "epoch": progress.epoch, "step": done, "of": of})

        similarity = similarity_matrix(self.model, data.dev, data.dev_captions, on_progress=on_progress)
        recalls = recall(similarity, data.dev.caption_image)
        scores = {**recalls.named(), **self._attention()}
        refuse_non_finite(scores, f"epoch {progress.epoch}, validation")
        value = scores[self.config.select]
        is_best = value > progress.best
        losses = progress.next_epoch()
        progress.best = max(progress.best, value)
        progress.best_rsum = max(progress.best_rsum, recalls.rsum)
        progress.seconds += time.perf_counter() - started
        if is_best:
            self._save(BEST)
        self.log.write(
            {
                "event": "epoch",
                "epoch": progress.epoch,
                **losses,
                **scores,
                "best": is_best,
                "seconds": progress.seconds,
            }
        )

    def _attention(self) -> dict[str, float]:
        """The attention of the dev captions, scored; a score may use random numbers, training goes on without them."""
        if self.attention_scores is None:
            return {}
        with torch.random.fork_rng():
            scores = dict(self.attention_scores(MatchedMaps(self.model, self.data.dev, self.data.dev_captions)))
        if self.config.select == "f1" and "f1" not in scores:
            raise DataError(
                f"{self.data.dev.source}: its attention has no F1, by which the best epoch is chosen: nothing can be "
                f"scored against {self.config.gt or 'the annotations'}",
                hint="see whether the regions of dev reach annotated boxes, or choose by the recalls (--select rsum)",
            )
        return scores

    def _save(self, name: str) -> None:
        """Write a checkpoint; only the last one carries what it takes to go on."""
        progress: dict[str, Any] | None = None
        if name == LAST:
            progress = {
                **asdict(self.progress),
                **self.updater.state(),
                "log_bytes": self.log.size(),
                "data": self.data.fingerprint,
            }
        write_checkpoint(
            self.output / name,
            Checkpoint(
                str(self.output / name),
                self.model.state_dicts(),
                self.progress.epoch,
                100 * self.progress.best_rsum,
                self.progress.steps,
                config=self.config,
                vocabulary=self.data.vocabulary,
                progress=progress,
            ),
        )

    def _restore(self, checkpoint: Checkpoint) -> int:
        """Go on from a checkpoint; gives the size of its log.

        Raises:
            ConfigError: It belongs to another run.
            DataError: It is damaged, or the best epoch's is gone.
        """
        state = checkpoint.progress
        if checkpoint.config is None or state is None:
            raise ConfigError(f"{checkpoint.source}: is no run of attneval that can be continued")
        refuse_other_choices(checkpoint.config, self.config, checkpoint.source)
        if state.get("data") != self.data.fingerprint or checkpoint.vocabulary != self.data.vocabulary:
            raise ConfigError(f"{checkpoint.source}: was trained on other data than {self.config.data} holds now")
        self.model.load_state_dicts(checkpoint.states, checkpoint.source)
        try:
            self.updater.load_state(state)
            self.progress = Progress(**{key: state[key] for key in asdict(self.progress)})
            log_bytes = int(state["log_bytes"])
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise DataError(
                f"{checkpoint.source}: what it takes to go on with the run is damaged: {error!r}"
            ) from error
        best = self.output / BEST
        if self.progress.epoch and not best.exists():
            raise DataError(f"{best}: is gone, and with it the best epoch of this run", hint="train in another folder")
        return log_bytes
