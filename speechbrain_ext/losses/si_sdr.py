"""Signal-to-distortion ratios in dB, higher is better.

Three metrics of an estimate against its target: `si_sdr`, `snr` and
`thresholded_snr`. They share one set of conventions.

- Any leading axes, broadcast against each other; the last axis is time.
- Half precision is computed, and returned, in float32 and outside autocast;
  float64 stays float64. Nothing waits for the device.
- Values stay finite. A ratio below 1e-8 counts as 1e-8, so no value is below
  -80 dB; a silent estimate (SI-SDR only) or a silent target has that value and
  no gradient. Whatever lies 160 dB below the target counts as silence.
"""

import functools
import math

import torch

# Energy, relative to the target's, that counts as silence.
SILENCE = 1e-16
# Added to energies that are zero for a silent target: below any recording's,
# and large enough for the gradient of its quotient to stay finite in float32.
TINY = 1e-20
# Added to every ratio: -80 dB, the value of an estimate with nothing right.
LOWEST_RATIO = 1e-8


def si_sdr(
    *,
    estimate: torch.Tensor,
    target: torch.Tensor,
    zero_mean: bool = True,
) -> torch.Tensor:
    """Scale-invariant signal-to-distortion ratio.

    The estimate is split into its projection on the target and a rest:
    ``10 log10(|projection|^2 / |rest|^2)``. Neither the level nor the sign of
    the estimate matters. Source: Le Roux et al., "SDR - half-baked or well
    done?", ICASSP 2019, arXiv 1811.02508, the definition of SI-SDR.

    Arguments
    ---------
    estimate : torch.Tensor
        Shape (..., time).
    target : torch.Tensor
        Shape (..., time), the leading axes broadcast with the estimate's.
    zero_mean : bool
        Whether the mean over time is removed from both signals first. On by
        default, as in most training code (SpeechBrain's among it); the paper
        leaves the mean in.

    Returns
    -------
    value : torch.Tensor
        Shape (...,), in dB, at least -80. -80 if either signal is silent.

    Raises
    ------
    ValueError
        If the two signals differ in length or do not broadcast.

    Example
    -------
    >>> target = torch.tensor([1.0, -1.0, 1.0, -1.0])
    >>> noise = torch.tensor([1.0, 1.0, -1.0, -1.0])
    >>> si_sdr(estimate=3 * (target + 0.1 * noise), target=target)
    tensor(20.0000)
    """
    check_lengths(estimate=estimate, target=target)
    signals = torch.broadcast_tensors(*in_full_precision(estimate, target))
    with without_autocast(target):
        return decibels(*_Projection.apply(*signals, zero_mean))


def snr(*, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Signal-to-noise ratio, ``10 log10(|target|^2 / |target - estimate|^2)``.

    The level of the estimate matters and the mean is left in. A silent
    estimate has 0 dB.

    Arguments
    ---------
    estimate : torch.Tensor
        Shape (..., time).
    target : torch.Tensor
        Shape (..., time), the leading axes broadcast with the estimate's.

    Returns
    -------
    value : torch.Tensor
        Shape (...,), in dB, at least -80. -80 if the target is silent.

    Raises
    ------
    ValueError
        If the two signals differ in length or do not broadcast.

    Example
    -------
    >>> target = torch.tensor([1.0, -1.0, 1.0, -1.0])
    >>> snr(estimate=0.9 * target, target=target)
    tensor(20.0000)
    """
    return thresholded_snr(estimate=estimate, target=target, snr_max=math.inf)


def thresholded_snr(
    *,
    estimate: torch.Tensor,
    target: torch.Tensor,
    snr_max: float = 30.0,
) -> torch.Tensor:
    """Signal-to-noise ratio that saturates softly at `snr_max`.

    ``10 log10(|target|^2 / (|target - estimate|^2 + tau |target|^2))`` with
    tau = 10^(-snr_max / 10), so that an example that is solved already stops
    dominating the gradient. Source: Wisdom et al., "Unsupervised sound
    separation using mixture invariant training", NeurIPS 2020, arXiv
    2006.12701, the negative thresholded SNR, here with its sign turned.

    Arguments
    ---------
    estimate : torch.Tensor
        Shape (..., time).
    target : torch.Tensor
        Shape (..., time), the leading axes broadcast with the estimate's.
    snr_max : float
        The value of a perfect estimate, in dB.

    Returns
    -------
    value : torch.Tensor
        Shape (...,), in dB, between -80 and `snr_max`. -80 if the target is
        silent.

    Raises
    ------
    ValueError
        If the two signals differ in length or do not broadcast.

    Example
    -------
    >>> target = torch.tensor([1.0, -1.0, 1.0, -1.0])
    >>> thresholded_snr(estimate=target, target=target)
    tensor(30.)
    """
    check_lengths(estimate=estimate, target=target)
    estimate, target = in_full_precision(estimate, target)
    with without_autocast(target):
        power = energy(target)
        error = energy(target - estimate) + 10 ** (-snr_max / 10) * power
        return decibels(power, error, power)


def pairwise_si_sdr(
    *,
    estimates: torch.Tensor,
    targets: torch.Tensor,
    zero_mean: bool = True,
) -> torch.Tensor:
    """Find the SI-SDR of every estimate with every target by inner products.

    No signal is made for a pair. It is meant for choosing an assignment: the
    rest's energy is a difference here, and float32 rounds it by some tenths of
    a dB at 40 dB, more above.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (..., sources, time).
    targets : torch.Tensor
        Shape (..., sources, time).
    zero_mean : bool
        As in `si_sdr`.

    Returns
    -------
    value : torch.Tensor
        Shape (..., sources of targets, sources of estimates), in dB.

    Example
    -------
    >>> targets = torch.randn(5, 2, 800)
    >>> pairwise_si_sdr(estimates=targets[:, :1], targets=targets).shape
    torch.Size([5, 2, 1])
    """
    estimates, targets = in_full_precision(estimates, targets)
    with without_autocast(targets):
        product = targets @ estimates.mT
        power, level = energy(targets), energy(estimates)
        if zero_mean:
            # What the signals would have without their means.
            share = -1 / targets.shape[-1]
            offset, shift = targets.sum(dim=-1), estimates.sum(dim=-1)
            power = torch.addcmul(power, offset, offset, value=share)
            power = power.clamp(min=0)
            level = torch.addcmul(level, shift, shift, value=share)
            offset, shift = offset.unsqueeze(-1), shift.unsqueeze(-2)
            product = torch.addcmul(product, offset, shift, value=share)
        power = power.unsqueeze(-1)
        projected = product / (power + TINY) * product
        rest = (level.unsqueeze(-2) - projected).clamp(min=0)
        return decibels(projected, rest, power)


def pairwise_snr(
    *,
    estimates: torch.Tensor,
    targets: torch.Tensor,
    snr_max: float = math.inf,
) -> torch.Tensor:
    """Find the SNR of every estimate with every target by inner products.

    See `pairwise_si_sdr` for the purpose and the precision.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (..., sources, time).
    targets : torch.Tensor
        Shape (..., sources, time).
    snr_max : float
        As in `thresholded_snr`; infinite for the plain SNR.

    Returns
    -------
    value : torch.Tensor
        Shape (..., sources of targets, sources of estimates), in dB.

    Example
    -------
    >>> targets = torch.randn(5, 2, 800)
    >>> pairwise_snr(estimates=targets[:, :1], targets=targets).shape
    torch.Size([5, 2, 1])
    """
    estimates, targets = in_full_precision(estimates, targets)
    with without_autocast(targets):
        product = targets @ estimates.mT
        power = energy(targets).unsqueeze(-1)
        error = energy(estimates).unsqueeze(-2) - 2 * product + power
        error = error.clamp(min=0) + 10 ** (-snr_max / 10) * power
        return decibels(power, error, power)


def check_lengths(**signals: torch.Tensor) -> None:
    """Raise ValueError unless the signals are equally long and broadcast.

    Arguments
    ---------
    **signals : torch.Tensor
        Shape (..., time) each, by the names the message shall use.
    """
    shapes = [signal.shape for signal in signals.values()]
    alike = len({shape[-1:] for shape in shapes}) == 1 and len(shapes[0]) > 0
    try:
        torch.broadcast_shapes(*shapes)
    except RuntimeError:
        alike = False
    if not alike:
        named = ", ".join(f"{n} {tuple(s.shape)}" for n, s in signals.items())
        raise ValueError(
            f"{named}: the last axis (time) must be equally long and the "
            "leading axes must broadcast; cut or pad the signals to one length"
        )


def in_full_precision(*signals: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Convert signals to one type: float64 if any has it, else float32.

    Arguments
    ---------
    *signals : torch.Tensor
        Of any real type.

    Returns
    -------
    signals : tuple[torch.Tensor, ...]
        The same tensors where their type was right already.
    """
    types = (signal.dtype for signal in signals)
    dtype = functools.reduce(torch.promote_types, types, torch.float32)
    return tuple(signal.to(dtype) for signal in signals)


def without_autocast(signal: torch.Tensor) -> torch.autocast:
    """Return a context in which autocast is off on the signal's device.

    Arguments
    ---------
    signal : torch.Tensor
        Any tensor.

    Returns
    -------
    context : torch.autocast
        To be used in a `with` statement.
    """
    return torch.autocast(device_type=signal.device.type, enabled=False)


def remove_mean(signal: torch.Tensor) -> torch.Tensor:
    """Subtract the mean over time (the last axis)."""
    total = signal.sum(dim=-1, keepdim=True)
    return torch.sub(signal, total, alpha=1 / signal.shape[-1])


def inner_product(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Sum the products over time (the last axis)."""
    return torch.linalg.vecdot(first, second)


def energy(signal: torch.Tensor) -> torch.Tensor:
    """Sum the squares over time (the last axis)."""
    return inner_product(signal, signal)


def decibels(
    signal: torch.Tensor, distortion: torch.Tensor, power: torch.Tensor
) -> torch.Tensor:
    """Turn two energies and the target's into a finite ratio in dB.

    Arguments
    ---------
    signal : torch.Tensor
        Any shape.
    distortion : torch.Tensor
        Shapes broadcast.
    power : torch.Tensor
        The target's energy, by which it is told what is silent.

    Returns
    -------
    value : torch.Tensor
        10 log10(signal / distortion), at least -80.
    """
    distortion = torch.add(distortion, power, alpha=SILENCE) + TINY
    ratio = signal / distortion
    return 10 * torch.log10(ratio + LOWEST_RATIO)


class _Projection(torch.autograd.Function):
    """Energies of the projection, the rest and the target.

    The rest r = e - gain y is orthogonal to y (and, with `zero_mean`, both to
    a constant). So every gradient is a sum of y and r with one weight each,
    and autograd would pass over the signals three times as often. This can be
    differentiated once; a second time raises an error.
    """

    @staticmethod
    def forward(ctx, estimate, target, zero_mean):
        """Return the three energies."""
        if zero_mean:
            target = remove_mean(target)
        power = energy(target)
        product = inner_product(estimate, target)
        gain = product / (power + TINY)
        rest = torch.addcmul(estimate, gain.unsqueeze(-1), target, value=-1)
        if zero_mean:
            rest = remove_mean(rest)
        ctx.save_for_backward(target, rest, gain)
        return gain * product, energy(rest), power

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, by_projection, by_rest, by_power):
        """Return the gradients of both signals."""
        target, rest, gain = ctx.saved_tensors
        of_estimate = of_target = None
        if ctx.needs_input_grad[0]:
            of_estimate = _sum(gain * by_projection, target, by_rest, rest)
        if ctx.needs_input_grad[1]:
            across = gain * (by_projection - by_rest)
            of_target = _sum(by_power, target, across, rest)
        return of_estimate, of_target, None


def _sum(along, target, across, rest):
    """Return 2 (along * target + across * rest), both weights per signal."""
    along, across = 2 * along.unsqueeze(-1), across.unsqueeze(-1)
    return torch.addcmul(along * target, across, rest, value=2)
