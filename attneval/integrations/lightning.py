"""A callback for PyTorch Lightning that logs how a model attends, epoch by epoch.

Needs the extra `lightning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attneval.config.extras import to_install

try:
    try:
        from lightning.pytorch.callbacks import Callback
    except ImportError:
        # The same under its older name.
        from pytorch_lightning.callbacks import Callback

    from attneval.integrations.runs import score_run
except ImportError as error:
    raise ImportError(f"{error}; {to_install('lightning')}") from error

if TYPE_CHECKING:
    from attneval.integrations.channels import AttentionChannels
    from attneval.integrations.runs import Run

__all__ = ["AttentionCallback"]


class AttentionCallback(Callback):  # type: ignore[misc] # may be installed under either name
    """Score the model after each validation, or after each epoch of training where nothing is validated.

    The numbers go where `log` of the module takes them: to the loggers (TensorBoard, Weights & Biases, CSV, ...) and to
    `trainer.callback_metrics`, where checkpoints and early stopping find them.

    Args:
        metric: What scores the model.
        run: What gives the maps of the model, usually `functools.partial(hf.batches, model, processor, pairs)`.
        prefix: What stands before each name.
    """

    def __init__(self, metric: AttentionChannels, run: Run, *, prefix: str = "attention/") -> None:
        super().__init__()
        self.metric, self.run, self.prefix = metric, run, prefix

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Score the model, but for the trial before training."""
        if not trainer.sanity_checking:
            self._log(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Score the model if no validation does."""
        if not trainer.enable_validation:
            self._log(trainer, pl_module)

    def _log(self, trainer: Any, module: Any) -> None:
        values = score_run(
            self.metric,
            self.run,
            part=trainer.global_rank,
            parts=trainer.world_size,
            device=module.device,
            prefix=self.prefix,
        )
        # All processes have the same numbers, whose mean Lightning takes for what the epoch has.
        module.log_dict(values, on_step=False, on_epoch=True, sync_dist=True)
