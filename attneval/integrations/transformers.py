"""A callback for the `Trainer` of transformers that logs how a model attends, epoch by epoch.

Needs the extras `hf` and `torchmetrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attneval.config.extras import to_install

try:
    from transformers import TrainerCallback

    from attneval.integrations.runs import score_run
except ImportError as error:
    raise ImportError(f"{error}; {to_install('hf,torchmetrics')}") from error

if TYPE_CHECKING:
    from attneval.integrations.channels import AttentionChannels
    from attneval.integrations.runs import Run

__all__ = ["AttentionCallback"]


class AttentionCallback(TrainerCallback):  # type: ignore[misc] # transformers ships no types
    """Score the model whenever it is evaluated, or after each epoch where it is not.

    The numbers go through `trainer.log` to every logger in `report_to` and to `trainer.state.log_history`. After an
    evaluation they also stand among its metrics, so that `metric_for_best_model="eval_attention_f1"` chooses by them.

    Args:
        trainer: The trainer, to which the callback is to be added: `trainer.add_callback(callback)`.
        metric: What scores the model.
        run: What gives the maps of the model, usually `functools.partial(hf.batches, model, processor, pairs)`.
        prefix: What stands before each name. The trainer's loggers show what begins with `eval_` under `eval/`.
    """

    def __init__(self, trainer: Any, metric: AttentionChannels, run: Run, *, prefix: str = "eval_attention_") -> None:
        self.trainer, self.metric, self.run, self.prefix = trainer, metric, run, prefix
        self._values: dict[str, float] = {}
        self._step = -1

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,  # noqa: ARG002 - the trainer's own signature
        metrics: dict[str, float] | None = None,
        **_others: Any,
    ) -> None:
        """Score the model, once for all sets that it is evaluated on."""
        values = self._log(args, state)
        if metrics is not None:
            metrics.update(values)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_others: Any) -> None:  # noqa: ARG002 - see above
        """Score the model if nothing else is evaluated."""
        if str(getattr(args.eval_strategy, "value", args.eval_strategy)) == "no":
            self._log(args, state)

    def _log(self, args: Any, state: Any) -> dict[str, float]:
        if state.global_step != self._step:
            self._values = score_run(
                self.metric,
                self.run,
                part=args.process_index,
                parts=args.world_size,
                device=args.device,
                prefix=self.prefix,
            )
            self._step = state.global_step
            self.trainer.log(dict(self._values))
        return self._values
