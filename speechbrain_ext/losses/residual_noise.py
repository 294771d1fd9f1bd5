"""How much of the noise is left in separated speech, and whose it is."""

import torch
from scipy.fft import next_fast_len

#: Levels are limited to plus or minus this many dB: an absent part has no
#: finite level.
LIMIT_DB = 100.0

# Added to the normal equations, whose diagonal is one.  Large enough for a
# Cholesky factorisation in float64 however alike the regressors are, small
# enough to move a coefficient by about a billionth.
_RIDGE = 1e-9


def residual_noise(*, estimates, speech, noise, taps=1):
    """Split each estimate into speech, others' speech, noises and artifacts.

    Every estimate is explained, in the least-squares sense, by its own
    speech, the speech of the other sources, its own noise and the noises of
    the other sources::

        e_k = c_s s_k + sum_j c_j s_j + d_k n_k + sum_j d_j n_j + artifact

    The measure was derived for this project (it is in no paper).  For two
    noisy sources of equal level whose noises a separator cannot tell apart,
    the best it can do for noisy targets leaves `own` = `other` = 1/2; noise
    that it recognizes by its own nature (a codec, a hum) shows as `own` much
    larger than `other`; perfect denoising makes both zero.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (batch, sources, time), in the order of the references.
    speech : torch.Tensor
        Clean speech of each source, same shape, as it is in the mixture.
    noise : torch.Tensor
        Noise of each source, same shape, as it is in the mixture.
    taps : int
        Length in samples of the FIR filter allowed on each regressor, centered
        on zero delay.  1 is plain regression; a longer one counts what is
        merely filtered as the part that it came from, not as an artifact.

    Returns
    -------
    parts : dict of torch.Tensor
        Each of shape (batch, sources), float64:

        - own: amplitude of the source's own noise over that of its speech,
          each as a gain on its reference (1: as in the noisy source;
          negative: of opposite polarity).
        - other: the same for the noises of the other sources; NaN for one
          source.
        - level_db: power of all residual noise over that of the speech, dB.
        - interference_db: power of the other sources' speech over that of
          the own speech, dB; NaN for one source.
        - artifact_db: power of what nothing explains over that of the own
          speech, dB.

        Levels are limited to +-100 dB.  Where the estimate or the speech is
        silent, or holds a non-finite sample, every part is NaN.

    Raises
    ------
    ValueError
        The shapes differ or are not (batch, sources, time), or taps is not
        between 1 and time.

    Example
    -------
    >>> generator = torch.Generator().manual_seed(0)
    >>> speech = torch.randn(1, 2, 8000, generator=generator)
    >>> noise = 0.5 * torch.randn(1, 2, 8000, generator=generator)
    >>> estimates = 3 * (speech + 0.4 * noise + 0.1 * noise.flip(1))
    >>> parts = residual_noise(
    ...     estimates=estimates, speech=speech, noise=noise
    ... )
    >>> parts["own"].round(decimals=3).tolist()
    [[0.4, 0.4]]
    >>> parts["other"].round(decimals=3).tolist()
    [[0.1, 0.1]]
    """
    _check(estimates, speech, noise, taps)
    sources = estimates.shape[1]
    usable = (
        _finite(speech).all(dim=1, keepdim=True)
        & _finite(noise).all(dim=1, keepdim=True)
        & _finite(estimates)
        & estimates.ne(0).any(dim=-1)
        & speech.ne(0).any(dim=-1)
    )
    estimates, speech, noise = (
        torch.nan_to_num(signals.detach().double(), posinf=0.0, neginf=0.0)
        for signals in (estimates, speech, noise)
    )
    regressors = torch.cat((speech, noise), dim=1)
    gram, cross = _normal_equations(regressors, estimates, taps)
    weights = _solve(gram, cross)

    # Inner products between the parts of an estimate, from the Gram matrix:
    # their waveforms are never made.  between[b, i, j, k] = <part i, part j>
    # in the estimate of source k.
    between = torch.einsum("biak,biajc,bjck->bijk", weights, gram, weights)
    energy = between.diagonal(dim1=1, dim2=2).movedim(-1, 1)
    explained = 2 * (weights * cross).sum((1, 2)) - between.sum((1, 2))
    artifact = estimates.square().sum(-1) - explained

    # <part i, regressor i> gives a gain its sign.
    center = (taps - 1) // 2
    on_own = gram[:, :, :, :, center].diagonal(dim1=1, dim2=3)
    lean = torch.einsum("biak,bai->bik", weights, on_own)
    reference = on_own[:, center]

    # Which regressors (rows) count as what for which estimate (columns).
    same = torch.eye(sources, dtype=torch.bool, device=estimates.device)
    none = torch.zeros_like(same)
    own_speech = torch.cat((same, none))
    own_noise = torch.cat((none, same))
    other_speech = torch.cat((~same, none))
    other_noise = torch.cat((none, ~same))

    speech_gain = _gain(energy, lean, reference, own_speech)
    target = _power(between, own_speech)
    parts = {
        "own": _gain(energy, lean, reference, own_noise) / speech_gain,
        "other": _gain(energy, lean, reference, other_noise) / speech_gain,
        "level_db": _ratio_db(_power(between, own_noise | other_noise), target),
        "interference_db": _ratio_db(_power(between, other_speech), target),
        "artifact_db": _ratio_db(artifact, target),
    }
    if sources == 1:
        parts["other"] = torch.full_like(target, torch.nan)
        parts["interference_db"] = torch.full_like(target, torch.nan)
    return {
        name: part.masked_fill(~usable, torch.nan)
        for name, part in parts.items()
    }


def _check(estimates, speech, noise, taps):
    """Report shapes and taps that cannot be meant."""
    shapes = {
        "estimates": tuple(estimates.shape),
        "speech": tuple(speech.shape),
        "noise": tuple(noise.shape),
    }
    if len(set(shapes.values())) > 1 or estimates.ndim != 3:
        raise ValueError(
            "estimates, speech and noise must have one common shape "
            f"(batch, sources, time); got {shapes}"
        )
    if not 1 <= taps <= estimates.shape[-1]:
        raise ValueError(
            f"taps must lie between 1 and the {estimates.shape[-1]} samples "
            f"of the signals; got {taps}"
        )


def _finite(signals):
    """Tell which signals hold finite samples only: (..., time) -> (...)."""
    return torch.isfinite(signals).all(dim=-1)


def _normal_equations(regressors, estimates, taps):
    """Correlate delayed regressors with one another and with the estimates.

    Signals count as zero outside their time axis.

    Arguments
    ---------
    regressors : torch.Tensor
        Shape (batch, regressors, time).
    estimates : torch.Tensor
        Shape (batch, sources, time).
    taps : int
        Number of delays of each regressor.

    Returns
    -------
    gram : torch.Tensor
        Shape (batch, regressors, taps, regressors, taps).
    cross : torch.Tensor
        Shape (batch, regressors, taps, sources).
    """
    size = next_fast_len(regressors.shape[-1] + taps, real=True)
    spectra = torch.fft.rfft(regressors, size)
    estimate_spectra = torch.fft.rfft(estimates, size)
    delay = torch.arange(taps, device=regressors.device)
    # sum_t x(t - a) y(t - c) is the correlation of x and y at lag a - c;
    # the transform is circular, so that a negative lag counts from its end.
    lag = (delay[:, None] - delay[None, :]) % size
    own_lag = (delay - (taps - 1) // 2) % size
    gram, cross = [], []
    for spectrum in spectra.unbind(1):
        conjugate = spectrum.conj()[:, None]
        correlation = torch.fft.irfft(conjugate * spectra, size)
        gram.append(correlation[..., lag].movedim(1, 2))
        correlation = torch.fft.irfft(conjugate * estimate_spectra, size)
        cross.append(correlation[..., own_lag].transpose(1, 2))
    return torch.stack(gram, 1), torch.stack(cross, 1)


def _solve(gram, cross):
    """Solve the normal equations; a silent regressor gets the weight 0."""
    shape = cross.shape
    gram = gram.flatten(3, 4).flatten(1, 2)
    cross = cross.flatten(1, 2)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    gram = gram * scale[:, :, None] * scale[:, None, :]
    gram.diagonal(dim1=1, dim2=2).add_(_RIDGE)
    weights = torch.cholesky_solve(
        cross * scale[:, :, None], torch.linalg.cholesky(gram)
    )
    return (weights * scale[:, :, None]).reshape(shape)


def _gain(energy, lean, reference, chosen):
    """RMS gain of the chosen parts over what they came from, with its sign.

    With one tap and one chosen part it is the regression coefficient.
    """
    parts = (energy * chosen).sum(1).clamp(min=0)
    sources = (reference[:, :, None] * chosen).sum(1)
    gain = (parts / torch.where(sources > 0, sources, 1.0)).sqrt()
    return gain * (lean * chosen).sum(1).sign()


def _power(between, chosen):
    """Power of the sum of the chosen parts: (batch, sources)."""
    chosen = chosen.to(between.dtype)
    return torch.einsum("bijk,ik,jk->bk", between, chosen, chosen)


def _ratio_db(power, reference):
    """Ratio of two powers in dB, limited to +-LIMIT_DB."""
    limit = 10 ** (LIMIT_DB / 10)
    tiny = torch.finfo(power.dtype).tiny
    ratio = power.clamp(min=0) / reference.clamp(min=tiny)
    return 10 * ratio.clamp(1 / limit, limit).log10()
