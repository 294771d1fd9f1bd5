"""What the separated outputs sound like, learned from labels of mixtures."""

import torch
import torch.nn.functional as F

from speechbrain_ext.losses.si_sdr import in_full_precision

# Cost, in nats, of a class that a mixture without any output should have: as
# if it had an output that holds the class with a probability of exp(-10).
MISSING = 10.0
# Below this logit, log(softplus(logit)) is the logit itself in float32.
LINEAR = -17.0


def semantic(
    *,
    logits: torch.Tensor,
    labels: torch.Tensor,
    assignment: torch.Tensor,
) -> torch.Tensor:
    """Binary cross-entropy of weak labels of mixtures from their outputs.

    A classifier gives the probability p[m, c] that output m holds class c. A
    mixture holds the class if any of its outputs does (noisy-or)::

        P[n, c] = 1 - product over the outputs m of mixture n of (1 - p[m, c])

    and P is compared with the labels of the mixture. With a single output it
    is its ordinary binary cross-entropy. For a class that is absent, every
    output of the mixture is told so; for one that is present, the gradient
    goes to those that hold it most, in proportion, so that the others may
    hold another class or be silent. (Taking the maximum instead would tell
    only the worst output that a class is absent; the mean would ask every
    output for every class.)

    Reconstructed: Wisdom et al., "Sparse, efficient, and semantic mixture
    invariant training", WASPAA 2021, arXiv 2106.00847, train with a
    classification loss of weak labels; how they pool is not known to us.

    Arguments
    ---------
    logits : torch.Tensor
        Log odds of the classes in each output, shape (batch, M, classes). In
        half precision they are computed with in float32.
    labels : torch.Tensor
        Shape (batch, 2, classes), of any type: 1 where a mixture holds a
        class, else 0. Values between are allowed.
    assignment : torch.Tensor
        Shape (batch, 2, M), from `mixit`; no gradient.

    Returns
    -------
    loss : torch.Tensor
        Shape (batch,), in nats: the mean over both mixtures and all classes.
        A mixture without outputs holds nothing: an absent class costs 0, one
        that is present 10, both without gradient.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Example
    -------
    >>> logits = torch.tensor([[[20.0, -20.0], [-20.0, -20.0], [0.0, 20.0]]])
    >>> assignment = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    >>> labels = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> semantic(logits=logits, labels=labels, assignment=assignment)
    tensor([0.1733])
    """
    _check_shapes(logits, labels, assignment)
    logits, labels = in_full_precision(logits, labels)
    # (batch, 2, M, 1) against (batch, 1, M, classes)
    belongs = assignment.unsqueeze(-1) > 0
    every = logits.unsqueeze(1)
    # The negative logarithm of the probability that a class is absent.
    absent = torch.where(belongs, F.softplus(every), 0.0).sum(dim=2)
    present = _negative_log_present(every, belongs, absent)
    loss = labels * present + (1 - labels) * absent
    return loss.mean(dim=(-2, -1))


def _negative_log_present(
    logits: torch.Tensor, belongs: torch.Tensor, absent: torch.Tensor
) -> torch.Tensor:
    """Return -log(1 - exp(-absent)), right for any logits.

    `absent`, the sum of softplus(logit), underflows where no output holds the
    class, just where the gradient is needed. So it is split into
    log(absent), from the logits, and a rest that tends to 0 there.
    """
    safe = logits.clamp(min=LINEAR)
    log = torch.where(logits < LINEAR, logits, F.softplus(safe).log())
    log_absent = torch.where(belongs, log, -torch.inf).logsumexp(dim=2)
    small, large = absent.clamp(1e-30, 1.0), absent.clamp(min=1.0)
    rest = (-torch.expm1(-small) / small).log()
    plain = (-torch.expm1(-large)).log()
    present = torch.where(absent < 1.0, log_absent + rest, plain)
    return torch.where(belongs.any(dim=2), -present, MISSING)


def _check_shapes(
    logits: torch.Tensor, labels: torch.Tensor, assignment: torch.Tensor
) -> None:
    """Raise ValueError unless they are (B, M, C), (B, 2, C) and (B, 2, M)."""
    if logits.dim() == 3:
        batch, sources, classes = logits.shape
        fits = labels.shape == (batch, 2, classes)
        if fits and assignment.shape == (batch, 2, sources):
            return
    raise ValueError(
        f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)} and "
        f"assignment {tuple(assignment.shape)} must be (batch, sources, "
        "classes), (batch, 2, classes) and (batch, 2, sources)"
    )
