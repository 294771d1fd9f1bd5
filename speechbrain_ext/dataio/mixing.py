"""Forming mixtures: batched tensor work on whatever device holds the batch.

Nothing here waits for the device or looks at values. Half precision signals
are computed in float32 and come back in their own type; silent signals stay
silent and never become NaN. Levels are root mean squares, in dB re full
scale.
"""

from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len

# Level of speech before its own gain, in dB re full scale: loud enough, and
# two sources with as much noise each stay below full scale.
LEVEL_DB = -25.0
# Powers are held above this (-200 dB) where they divide.
LEAST_POWER = 1e-20


def scale_to_level(
    signals: torch.Tensor, *, level_db: float | torch.Tensor = LEVEL_DB
) -> torch.Tensor:
    """Bring signals to one level, or each to its own.

    Arguments
    ---------
    signals : torch.Tensor
        Shape (..., time).
    level_db : float or torch.Tensor
        Root mean square over the whole length, in dB re full scale; a tensor
        has shape (...,).

    Returns
    -------
    scaled : torch.Tensor
        Shape (..., time).

    Example
    -------
    >>> scaled = scale_to_level(torch.randn(3, 100), level_db=-20.0)
    >>> scaled.square().mean(-1).sqrt()
    tensor([0.1000, 0.1000, 0.1000])
    """
    if torch.is_tensor(level_db):
        level_db = level_db.unsqueeze(-1)
    return _amplify(signals, _gain_between(signals, 10 ** (level_db / 10)))


def add_noise(
    *, speech: torch.Tensor, noise: torch.Tensor, snr_db: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add noise at given signal-to-noise ratios.

    The ratio is that of the energies over the whole length. To silent speech
    no noise is added: it has no ratio.

    Arguments
    ---------
    speech, noise : torch.Tensor
        Shape (..., time).
    snr_db : torch.Tensor
        Shape (...), in dB.

    Returns
    -------
    noisy, scaled_noise : torch.Tensor, torch.Tensor
        Shape (..., time); the difference of the two is ``speech``.

    Example
    -------
    >>> speech, noise = torch.randn(2, 100), torch.randn(2, 100)
    >>> noisy, scaled_noise = add_noise(
    ...     speech=speech, noise=noise, snr_db=torch.tensor([0.0, 20.0])
    ... )
    >>> (speech.norm(dim=-1) / scaled_noise.norm(dim=-1)).round()
    tensor([ 1., 10.])
    """
    wanted = _power(speech) * 10 ** (-snr_db.unsqueeze(-1) / 10)
    scaled = _amplify(noise, _gain_between(noise, wanted))
    return speech + scaled, scaled


def reverberate(*, signals: torch.Tensor, rirs: torch.Tensor) -> torch.Tensor:
    """Put each signal into its room.

    The largest sample of a response counts as the direct path and is moved
    to time zero, so that the result is aligned with the dry signal. Its level
    is that of the dry signal.

    Arguments
    ---------
    signals : torch.Tensor
        Shape (batch, time).
    rirs : torch.Tensor
        Room impulse responses, shape (batch, taps).

    Returns
    -------
    reverberant : torch.Tensor
        Shape (batch, time).

    Example
    -------
    >>> signals = torch.randn(2, 100)
    >>> rirs = torch.zeros(2, 8)
    >>> rirs[:, 3] = 0.5
    >>> reverberant = reverberate(signals=signals, rirs=rirs)
    >>> torch.allclose(reverberant, signals, atol=1e-5)
    True
    """
    time = signals.shape[-1]
    dry = signals.to(_working_type(signals))
    wet = rirs.to(dry.dtype)
    length = next_fast_len(time + rirs.shape[-1] - 1, real=True)
    spectrum = torch.fft.rfft(dry, length) * torch.fft.rfft(wet, length)
    full = torch.fft.irfft(spectrum, length)
    direct = wet.abs().argmax(-1, keepdim=True)
    places = direct + torch.arange(time, device=direct.device)
    aligned = full.gather(-1, places)
    gain = _gain_between(aligned, _power(dry))
    return (aligned * gain).to(signals.dtype)


def ring_targets(sources: torch.Tensor) -> torch.Tensor:
    """Arrange a ring: each source with the next one, the last with the first.

    Source k stands in mixtures k - 1 and k (Maciejewski & Cornell, arXiv
    2604.08415, abstract).

    Arguments
    ---------
    sources : torch.Tensor
        Shape (N, time), N at least 3.

    Returns
    -------
    targets : torch.Tensor
        Shape (N, 2, time); a view in which each source is kept once for its
        two mixtures: not to be written to.

    Raises
    ------
    ValueError
        If there are fewer than 3 sources.

    Example
    -------
    >>> ring_targets(torch.tensor([[1.0], [2.0], [4.0]])).squeeze(-1)
    tensor([[1., 2.],
            [2., 4.],
            [4., 1.]])
    """
    if len(sources) < 3:
        raise ValueError(
            f"there are {len(sources)} sources; a ring needs at least 3: with "
            "two, both mixtures are the same"
        )
    closed = torch.cat((sources, sources[:1]))
    return closed.unfold(0, 2, 1).transpose(1, 2)


def pair_targets(sources: torch.Tensor) -> torch.Tensor:
    """Arrange pairs: the first source with the second, the third with ....

    Arguments
    ---------
    sources : torch.Tensor
        Shape (2 M, time).

    Returns
    -------
    targets : torch.Tensor
        Shape (M, 2, time); a view of ``sources``.

    Raises
    ------
    ValueError
        If the number of sources is odd or zero.

    Example
    -------
    >>> pair_targets(torch.zeros(4, 10)).shape
    torch.Size([2, 2, 10])
    """
    number = len(sources)
    if number == 0 or number % 2:
        raise ValueError(
            f"there are {number} sources; pairs need an even number of them"
        )
    return sources.reshape(number // 2, 2, -1)


@dataclass(frozen=True)
class Mixtures:
    """A batch of two-speaker mixtures, and all that went into it.

    Arguments
    ---------
    mixture : torch.Tensor
        Shape (batch, time).
    speech, noise, noisy : torch.Tensor
        The parts of each mixture, shape (batch, 2, time): ``noisy`` is
        ``speech + noise``, and its sum over the sources is ``mixture``. They
        are views in which memory is shared: not to be written to.
    sources : torch.Tensor
        The noisy sources that were mixed, shape (N, time).
    """

    mixture: torch.Tensor
    speech: torch.Tensor
    noise: torch.Tensor
    noisy: torch.Tensor
    sources: torch.Tensor


def form_batch(
    batch: dict, *, mixing: str, rirs: torch.Tensor | None = None
) -> Mixtures:
    """Make mixtures of the sources that ``SourceDataset`` read.

    Speech is brought to a level of -25 dB re full scale plus its gain, put
    into its room, given its noise, and mixed. As the noise follows the level
    of the speech, a gain holds for both alike, in all mixtures of a source.

    Arguments
    ---------
    batch : dict
        As ``SourceDataset`` gives it, on any device.
    mixing : str
        "ring" (N mixtures of N sources) or "pairs" (N / 2 mixtures).
    rirs : torch.Tensor, optional
        The room impulse responses that ``batch["rir"]`` points into, shape
        (rooms, taps); needed if the batch has such an entry.

    Returns
    -------
    mixtures : Mixtures
        With batch N or N / 2.

    Raises
    ------
    ValueError
        If ``mixing`` is neither, or the number of sources does not suit it,
        or only one of ``rirs`` and ``batch["rir"]`` is there.

    Example
    -------
    >>> batch = {
    ...     "speech": torch.randn(4, 100),
    ...     "noise": torch.randn(4, 100),
    ...     "snr_db": torch.zeros(4),
    ...     "gain_db": torch.zeros(4),
    ... }
    >>> mixtures = form_batch(batch, mixing="ring")
    >>> mixtures.mixture.shape, mixtures.noisy.shape
    (torch.Size([4, 100]), torch.Size([4, 2, 100]))
    """
    if mixing not in ("ring", "pairs"):
        raise ValueError(f"mixing is {mixing!r}; it must be 'ring' or 'pairs'")
    if (rirs is None) != ("rir" not in batch):
        raise ValueError(
            "rirs and batch['rir'] belong together; "
            f"{'rirs' if rirs is None else 'batch[' + repr('rir') + ']'} "
            "is missing"
        )
    level_db = LEVEL_DB + batch["gain_db"]
    speech = scale_to_level(batch["speech"], level_db=level_db)
    if rirs is not None:
        speech = reverberate(signals=speech, rirs=rirs[batch["rir"]])
    if "noise" in batch:
        sources, noise = add_noise(
            speech=speech, noise=batch["noise"], snr_db=batch["snr_db"]
        )
    else:
        sources, noise = speech, torch.zeros_like(speech)
    targets = ring_targets if mixing == "ring" else pair_targets
    noisy = targets(sources)
    return Mixtures(
        mixture=_sum(noisy),
        speech=targets(speech),
        noise=targets(noise),
        noisy=noisy,
        sources=sources,
    )


def _working_type(signals):
    """float32, or float64 if the signals are."""
    return torch.promote_types(signals.dtype, torch.float32)


def _power(signals):
    """Mean power, shape (..., 1), at least in float32."""
    norm = torch.linalg.vector_norm(
        signals, dim=-1, keepdim=True, dtype=_working_type(signals)
    )
    return norm.square() / signals.shape[-1]


def _gain_between(signals, wanted_power):
    """Find the factor to the wanted power; it is finite for silence."""
    return (wanted_power / _power(signals).clamp_min(LEAST_POWER)).sqrt()


def _amplify(signals, gain):
    """Multiply in the working type, return the signals' own type."""
    return (signals.to(_working_type(signals)) * gain).to(signals.dtype)


def _sum(targets):
    """Add the two sources of each mixture."""
    first, second = targets.unbind(1)
    return first + second
