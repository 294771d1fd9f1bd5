"""Weights of loss terms, from the gradients that the terms give."""

import json
from collections.abc import Mapping

import torch
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import if_main_process


@register_checkpoint_hooks
class GradientBalance:
    """Find weights that set terms' gradients relative to the leading one's.

    On the first steps of a training the norm of each term's gradient at one
    tensor (such as the output of a front end) is measured. The weight of a
    term is its ratio times the mean norm of the leading term over its own;
    after those steps it stays. All processes have the same weights. Add it to
    the Checkpointer's recoverables.

    Arguments
    ---------
    ratios : Mapping
        Name of a term to the ratio wanted, above 0; those of 0 are left out.
    steps : int
        On how many steps is measured, at least 1.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Example
    -------
    >>> balance = GradientBalance({"other": 0.2}, steps=1)
    >>> at = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> balance.measure(at=at, leading=10 * at[0], terms={"other": at[1] / 2})
    >>> balance.weights()
    {'other': 4.0}
    """

    def __init__(self, ratios: Mapping[str, float], *, steps: int = 10) -> None:
        if steps < 1 or any(ratio < 0 for ratio in ratios.values()):
            raise ValueError(
                f"steps is {steps} and ratios {dict(ratios)}; the first must "
                "be at least 1, the others not below 0"
            )
        self.ratios = {name: r for name, r in ratios.items() if r > 0}
        self.steps = steps
        self.measured = 0
        self.sums = dict.fromkeys(["leading", *self.ratios], 0.0)

    @property
    def finished(self) -> bool:
        """Whether the weights stay as they are."""
        return not self.ratios or self.measured >= self.steps

    def measure(
        self,
        *,
        at: torch.Tensor,
        leading: torch.Tensor,
        terms: Mapping[str, torch.Tensor],
    ) -> None:
        """Take the norms of one step, unless there were enough.

        Arguments
        ---------
        at : torch.Tensor
            Where gradients are looked at; the terms depend on it.
        leading : torch.Tensor
            The term that the others are held against, a scalar.
        terms : Mapping
            Name to term, before weighting; all of `ratios` among them.
        """
        if self.finished:
            return
        values = [leading, *(terms[name] for name in self.ratios)]
        norms = torch.stack([_norm(value, at) for value in values])
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(norms)
        if not torch.isfinite(norms).all():
            return  # the step itself will be skipped
        for name, norm in zip(self.sums, norms.tolist(), strict=True):
            self.sums[name] += norm
        self.measured += 1

    def weights(self) -> dict[str, float]:
        """Give the weights found so far; 0 for a term without gradient.

        Returns
        -------
        weights : dict
            Name to weight.
        """
        return {
            name: ratio * self.sums["leading"] / self.sums[name]
            if self.sums[name] > 0
            else 0.0
            for name, ratio in self.ratios.items()
        }

    @mark_as_saver
    def _save(self, path):
        if if_main_process():
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"measured": self.measured, "sums": self.sums}, file)

    @mark_as_loader
    def _load(self, path, end_of_epoch):
        del end_of_epoch
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
        self.measured, self.sums = state["measured"], state["sums"]


def _norm(value: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return the norm of a term's gradient, 0 where it does not depend."""
    if not value.requires_grad:
        return at.new_zeros(())
    (gradient,) = torch.autograd.grad(
        value, at, retain_graph=True, allow_unused=True
    )
    if gradient is None:
        return at.new_zeros(())
    return torch.linalg.vector_norm(gradient, dtype=torch.float32)
