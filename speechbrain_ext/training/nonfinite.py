"""Skipping batches whose gradient is not finite, on all ranks together."""

import logging

import torch
import yaml
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import if_main_process

logger = logging.getLogger(__name__)


@register_checkpoint_hooks
class SkipNonFinite:
    """Mix-in for a Brain: a batch with a NaN or infinite gradient is skipped.

    It takes the place of Brain's `optimizers_step`: all parameters are clipped
    together to `max_grad_norm`, and a step whose gradient is not finite
    changes nothing but the count of steps, which schedules follow.

    The decision looks at the norm of the gradient after it was summed over
    the processes: what is not finite on one rank is not finite on any, so
    that all of them skip the same step without another word between them.
    (SpeechBrain's own check counts the losses that are not finite on each
    rank alone: one rank ends with an error, and the others wait for it.)

    The number of skipped steps in a row that is tolerated is the Brain's
    `nonfinite_patience` (a run option of SpeechBrain, default 3). With fp16
    the gradient scaler looks for its scale by skipping; up to 20 skips in a
    row are then its business.

    Put it before Brain: `class Separation(SkipNonFinite, sb.Brain)`.  The
    counts are part of the Brain's checkpoint, so that they survive an
    interruption.

    Example
    -------
    >>> import speechbrain as sb
    >>> class Square(SkipNonFinite, sb.Brain):
    ...     def compute_forward(self, batch, stage):
    ...         return self.modules.layer(batch)
    ...     def compute_objectives(self, predictions, batch, stage):
    ...         return predictions.square().mean()
    >>> brain = Square(
    ...     {"layer": torch.nn.Linear(2, 1)},
    ...     opt_class=lambda p: torch.optim.SGD(p, 0.1),
    ... )
    >>> brain.init_optimizers()
    >>> loss = brain.fit_batch(torch.full((1, 2), float("nan")))
    >>> brain.skipped_steps, bool(brain.modules.layer.weight.isfinite().all())
    (1, True)
    """

    skipped_steps = 0
    skipped_in_a_row = 0
    FP16_PATIENCE = 20

    def check_loss_isfinite(self, loss):
        """Leave the decision to the gradient, which all ranks share."""

    def optimizers_step(self):
        """Clip, then step only where the norm of the gradient is finite.

        Raises
        ------
        ValueError
            If more steps in a row than `nonfinite_patience` were skipped.
        """
        self.scaler.unscale_(self.optimizer)
        parameters = [
            parameter
            for group in self.optimizer.param_groups
            for parameter in group["params"]
        ]
        norm = torch.nn.utils.clip_grad_norm_(
            parameters, self.max_grad_norm or float("inf")
        )
        if torch.isfinite(norm):
            self.skipped_in_a_row = 0
            self.scaler.step(self.optimizer)
        else:
            self._count_skip()
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer_step += 1

    def _count_skip(self):
        """Count and log a skipped step; raise after too many in a row."""
        self.skipped_steps += 1
        self.skipped_in_a_row += 1
        patience = self.nonfinite_patience
        if self.scaler.is_enabled():
            patience = max(patience, self.FP16_PATIENCE)
        logger.warning(
            "Step %d skipped on all processes: its gradient is not finite "
            "(%d skipped so far, %d in a row, at most %d allowed).",
            self.optimizer_step,
            self.skipped_steps,
            self.skipped_in_a_row,
            patience,
        )
        if self.skipped_in_a_row > patience:
            raise ValueError(
                f"{self.skipped_in_a_row} steps in a row had a gradient that "
                "is not finite. No parameter was changed by them. Look for "
                "the cause in the data of these steps, lower the learning "
                "rate, or raise --nonfinite_patience "
                f"(now {self.nonfinite_patience})."
            )

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt):
        """Wait for the step: a checkpoint holds no half summed gradient."""
        if self.step % self.grad_accumulation_factor:
            return False
        return super()._should_save_intra_epoch_ckpt(
            last_ckpt_time, steps_since_ckpt
        )

    @mark_as_saver
    def _save(self, path):
        # all processes have the same path, and not the same average loss
        if not if_main_process():
            return
        super()._save(path)
        counts = {
            "skipped_steps": self.skipped_steps,
            "skipped_in_a_row": self.skipped_in_a_row,
        }
        with open(path, "a", encoding="utf-8") as file:
            yaml.safe_dump(counts, file)

    @mark_as_loader
    def _recover(self, path, end_of_epoch):
        super()._recover(path, end_of_epoch)
        with open(path, encoding="utf-8") as file:
            state = yaml.safe_load(file)
        self.skipped_steps = state["skipped_steps"]
        self.skipped_in_a_row = state["skipped_in_a_row"]
