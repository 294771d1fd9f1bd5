"""Losses whose frames count by how clean their target is: data purification.

Source: Sivaraman, Kim and Kim, "Personalized Speech Enhancement through
Self-Supervised Data Augmentation and Purification", Interspeech 2021, arXiv
2104.02018. Details that the paper leaves open (centered frames, dB of single
frames) are those of the authors' public research code.

Frames are centered: frame f has its middle at sample f * hop, zeros stand
around the signal, and there are 1 + time // hop. `frame_sums` is the only
place that cuts frames, so that levels, weights and losses share them.
"""

import torch
import torch.nn.functional as F

from speechbrain_ext.losses.si_sdr import (
    TINY,
    check_lengths,
    decibels,
    in_full_precision,
    remove_mean,
    without_autocast,
)

# Added to energies where a level is a quotient of them, as in the paper.
FLOOR = 1e-8
# Weights are held above this where they divide.
LEAST_WEIGHT = 1e-12


def frame_sums(
    values: torch.Tensor, *, window: int = 1024, hop: int = 256
) -> torch.Tensor:
    """Sum values over frames, weighted by the square of a Hann window.

    Of squares of a signal these are the energies of its windowed frames; of
    the products of two signals, the inner products of such frames.

    Arguments
    ---------
    values : torch.Tensor
        Shape (..., time).
    window, hop : int
        In samples; the window must be a multiple of twice the hop.

    Returns
    -------
    sums : torch.Tensor
        Shape (..., 1 + time // hop).

    Raises
    ------
    ValueError
        If the hop does not fit the window.

    Example
    -------
    >>> frame_sums(torch.ones(600), window=512, hop=256)
    tensor([ 96.5000, 192.0000, 168.8961])
    """
    if hop < 1 or window % (2 * hop):
        raise ValueError(
            f"window={window} must be a multiple of twice hop={hop}"
        )
    time = values.shape[-1]
    frames, parts = 1 + time // hop, window // hop
    padded = F.pad(values, (window // 2, window // 2 + -time % hop))
    squares = torch.hann_window(
        window, dtype=values.dtype, device=values.device
    ).square()
    # every sample is touched once: sums of hops, then of the hops of a frame
    sums = padded.unflatten(-1, (-1, hop)) @ squares.view(parts, hop).T
    return sum(sums[..., part : part + frames, part] for part in range(parts))


def frame_snr_db(
    *,
    target: torch.Tensor,
    noisy: torch.Tensor,
    window: int = 1024,
    hop: int = 256,
    clamp_db: float | None = 20.0,
) -> torch.Tensor:
    """Signal-to-noise ratio of each frame (equation 2): how clean it is.

    Arguments
    ---------
    target : torch.Tensor
        The clean signal, shape (..., time).
    noisy : torch.Tensor
        The same with noise, shape (..., time).
    window, hop : int
        See `frame_sums`.
    clamp_db : float or None
        Values are held within +- so many dB (ours; silent frames reach +-106
        dB and would rule an error in dB). None leaves them, as the paper
        does.

    Returns
    -------
    value : torch.Tensor
        Shape (..., 1 + time // hop), in dB; 0 where both are silent.

    Raises
    ------
    ValueError
        If the two signals differ in length.

    Example
    -------
    >>> target = torch.ones(512)
    >>> frame_snr_db(target=target, noisy=1.1 * target).round()
    tensor([20., 20., 20.])
    """
    check_lengths(target=target, noisy=noisy)
    target, noisy = in_full_precision(target, noisy)
    with without_autocast(target):
        sizes = {"window": window, "hop": hop}
        signal = frame_sums(target.square(), **sizes)
        noise = frame_sums((target - noisy).square(), **sizes)
        value = 10 * torch.log10((signal + FLOOR) / (noise + FLOOR))
        return value if clamp_db is None else value.clamp(-clamp_db, clamp_db)


def purification_weights(
    *,
    frame_snr_db: torch.Tensor,
    beta: float = 1.0,
    offset: float = 0.0,
    normalize: bool = False,
) -> torch.Tensor:
    """Turn levels of frames into their weights (equation 4).

    sigmoid(beta * level + offset): a frame whose target is mostly noise
    hardly counts. No gradient flows through them.

    Arguments
    ---------
    frame_snr_db : torch.Tensor
        True or predicted, shape (..., frames), in dB.
    beta, offset : float
        Steepness, and shift before the sigmoid.
    normalize : bool
        Whether the weights of each signal are brought to a mean of 1 (ours):
        then a noisy signal counts as much as a clean one, and only its frames
        compete.

    Returns
    -------
    weights : torch.Tensor
        Shape (..., frames), from 0 to 1 unless normalized.

    Example
    -------
    >>> purification_weights(frame_snr_db=torch.tensor([-20.0, 0.0, 20.0]))
    tensor([2.0612e-09, 5.0000e-01, 1.0000e+00])
    """
    (levels,) = in_full_precision(frame_snr_db.detach())
    weights = torch.sigmoid(beta * levels + offset)
    if normalize:
        mean = weights.mean(dim=-1, keepdim=True)
        weights = weights / mean.clamp_min(LEAST_WEIGHT)
    return weights


def purified_mse(
    *,
    estimate: torch.Tensor,
    target: torch.Tensor,
    frame_snr_db: torch.Tensor | None,
    beta: float = 1.0,
    offset: float = 0.0,
    normalize: bool = False,
    window: int = 1024,
    hop: int = 256,
) -> torch.Tensor:
    """Mean square error of windowed frames, weighted (equation 5).

    The means over time are removed from both signals first, as in the
    authors' code.

    Arguments
    ---------
    estimate, target : torch.Tensor
        Shape (..., time).
    frame_snr_db : torch.Tensor or None
        How clean the frames of the target are, shape (..., 1 + time // hop),
        in dB. None gives every frame the weight 1: the same loss without
        purification, against which to measure it.
    beta, offset, normalize
        See `purification_weights`.
    window, hop : int
        See `frame_sums`.

    Returns
    -------
    loss : torch.Tensor
        Shape (...,).

    Raises
    ------
    ValueError
        If the signals differ in length, or there are more or fewer levels
        than frames.

    Example
    -------
    >>> estimate, target = torch.randn(2, 3, 1000)
    >>> levels = torch.full((3, 4), -100.0)
    >>> purified_mse(estimate=estimate, target=target, frame_snr_db=levels)
    tensor([0., 0., 0.])
    """
    estimate, target = prepare_pair(estimate, target)
    with without_autocast(target):
        error = remove_mean(target - estimate)
        losses = frame_sums(error.square(), window=window, hop=hop) / window
        weights = _weights(frame_snr_db, losses, beta, offset, normalize)
        return (weights * losses).mean(dim=-1)


def purified_snr(
    *,
    estimate: torch.Tensor,
    target: torch.Tensor,
    frame_snr_db: torch.Tensor | None,
    beta: float = 1.0,
    offset: float = 0.0,
    normalize: bool = False,
    window: int = 1024,
    hop: int = 256,
) -> torch.Tensor:
    """SNR of windowed frames, weighted; higher is better.

    Arguments
    ---------
    estimate, target, frame_snr_db, beta, offset, normalize, window, hop
        See `purified_mse`.

    Returns
    -------
    value : torch.Tensor
        Shape (...,): mean over the frames of weight times SNR in dB. Frames
        below -80 dB, and silent ones, count as -80.

    Raises
    ------
    ValueError
        See `purified_mse`.

    Example
    -------
    >>> target = torch.tensor([1.0, -1.0] * 500)
    >>> purified_snr(
    ...     estimate=0.9 * target, target=target, frame_snr_db=None
    ... )
    tensor(20.0...)
    """
    estimate, target = prepare_pair(estimate, target)
    with without_autocast(target):
        target, estimate = remove_mean(target), remove_mean(estimate)
        sizes = {"window": window, "hop": hop}
        power = frame_sums(target.square(), **sizes)
        error = frame_sums((target - estimate).square(), **sizes)
        values = decibels(power, error, power)
        weights = _weights(frame_snr_db, values, beta, offset, normalize)
        return (weights * values).mean(dim=-1)


def purified_si_sdr(
    *,
    estimate: torch.Tensor,
    target: torch.Tensor,
    frame_snr_db: torch.Tensor | None,
    beta: float = 1.0,
    offset: float = 0.0,
    normalize: bool = False,
    window: int = 1024,
    hop: int = 256,
) -> torch.Tensor:
    """SI-SDR of windowed frames, weighted; higher is better.

    Each frame is scaled by itself, as in the authors' code.

    Arguments
    ---------
    estimate, target, frame_snr_db, beta, offset, normalize, window, hop
        See `purified_mse`.

    Returns
    -------
    value : torch.Tensor
        Shape (...,): mean over the frames of weight times SI-SDR in dB.
        Frames below -80 dB, and silent ones, count as -80.

    Raises
    ------
    ValueError
        See `purified_mse`.

    Example
    -------
    >>> target, noise = torch.randn(2, 4, 4000).double()
    >>> value = purified_si_sdr(
    ...     estimate=3 * (target + 0.1 * noise),
    ...     target=target,
    ...     frame_snr_db=None,
    ... )
    >>> bool(((value - 20).abs() < 1).all())
    True
    """
    estimate, target = prepare_pair(estimate, target)
    with without_autocast(target):
        target, estimate = remove_mean(target), remove_mean(estimate)
        sizes = {"window": window, "hop": hop}
        power = frame_sums(target.square(), **sizes)
        product = frame_sums(target * estimate, **sizes)
        level = frame_sums(estimate.square(), **sizes)
        # in this order: gradients stay finite where both are silent
        projection = product / (power + TINY) * product
        rest = (level - projection).clamp_min(0)
        values = decibels(projection, rest, power)
        weights = _weights(frame_snr_db, values, beta, offset, normalize)
        return (weights * values).mean(dim=-1)


def prepare_pair(
    estimate: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Check two signals, and bring them to full precision."""
    check_lengths(estimate=estimate, target=target)
    return in_full_precision(estimate, target)


def _weights(levels, losses, beta, offset, normalize):
    """Make weights of levels; 1 where there are none."""
    if levels is None:
        return torch.ones_like(losses)
    check_frames(levels, losses)
    return purification_weights(
        frame_snr_db=levels, beta=beta, offset=offset, normalize=normalize
    )


def check_frames(levels: torch.Tensor, losses: torch.Tensor) -> None:
    """Refuse levels that were taken from other frames than the losses.

    Arguments
    ---------
    levels, losses : torch.Tensor
        Shape (..., frames).

    Raises
    ------
    ValueError
        If they have not equally many frames.
    """
    if levels.shape[-1] != losses.shape[-1]:
        raise ValueError(
            f"frame_snr_db has {levels.shape[-1]} frames and the loss "
            f"{losses.shape[-1]}; take both of signals of one length, with "
            "the same window and hop"
        )
