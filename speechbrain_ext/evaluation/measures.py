"""Measures of third-party packages, and which of those are installed."""

import importlib.util
import warnings

import torchaudio

#: The packages that a metric needs, and the extra that installs them.
PACKAGES = {
    "si_sdr": ((), ""),
    "sdr": (("fast_bss_eval",), "metrics"),
    "pesq": (("pesq",), "metrics"),
    "stoi": (("pystoi",), "metrics"),
    "estoi": (("pystoi",), "metrics"),
    "dnsmos": (("speechmos", "librosa", "onnxruntime", "requests"), "dnsmos"),
}

# SDR is limited to +-80 dB: as low as our SI-SDR goes.
_SDR_LIMIT_DB = 80.0
# Nominal speech level for DNSMOS, dB re full scale (ITU-T P.56 practice).
_DNSMOS_LEVEL_DB = -26.0


def available():
    """Tell which metrics can be computed with what is installed.

    Returns
    -------
    metrics : dict of bool
        By metric: "si_sdr", "sdr", "pesq", "stoi", "estoi", "dnsmos".

    Example
    -------
    >>> available()["si_sdr"]
    True
    """
    return {name: not missing(name) for name in PACKAGES}


def missing(name):
    """List the packages that a metric needs and that are not installed."""
    packages, _ = PACKAGES[name]
    return [p for p in packages if importlib.util.find_spec(p) is None]


def how_to_install(name):
    """Say what a metric lacks and how to get it."""
    _, extra = PACKAGES[name]
    return f"{name} needs {', '.join(missing(name))}: pip install '.[{extra}]'"


def sdr(*, estimate, target):
    """BSS-eval SDR: the target may pass through a filter of 512 samples.

    Source: Vincent et al., "Performance measurement in blind audio source
    separation", IEEE TASLP 2006, by the package fast_bss_eval.

    Arguments
    ---------
    estimate : torch.Tensor
        Shape (..., time).
    target : torch.Tensor
        Same shape.

    Returns
    -------
    value : torch.Tensor
        Shape (...,), in dB, limited to +-80 dB.

    Raises
    ------
    torch.linalg.LinAlgError
        The target is silent.
    """
    from fast_bss_eval import sdr_loss

    loss = sdr_loss(
        estimate[..., None, :].double(),
        target[..., None, :].double(),
        clamp_db=_SDR_LIMIT_DB,
    )
    return -loss[..., 0]


def pesq(*, estimate, target, sample_rate):
    """PESQ (ITU-T P.862) as MOS-LQO, narrow band or wide band.

    Arguments
    ---------
    estimate : torch.Tensor
        Shape (time,).
    target : torch.Tensor
        Shape (time,).
    sample_rate : int
        Hz.  From 16 kHz up: wide band (P.862.2) at 16 kHz; below: narrow
        band (P.862.1) at 8 kHz.

    Returns
    -------
    value : float
        About 1 (bad) to 4.6.

    Raises
    ------
    pesq.PesqError
        No utterance was found, or the signal is too short.
    """
    from pesq import pesq as measure

    rate = 16000 if sample_rate >= 16000 else 8000
    signals = (
        _resample(signal, sample_rate, rate).numpy()
        for signal in (target, estimate)
    )
    return float(measure(rate, *signals, "wb" if rate == 16000 else "nb"))


def stoi(*, estimate, target, sample_rate, extended=False):
    """Measure the short-time objective intelligibility.

    Source: Taal et al., "An algorithm for intelligibility prediction of
    time-frequency weighted noisy speech", IEEE TASLP 2011, by the package
    pystoi.

    Arguments
    ---------
    estimate : torch.Tensor
        Shape (time,).
    target : torch.Tensor
        Shape (time,).
    sample_rate : int
        Hz; the measure itself works at 10 kHz.
    extended : bool
        The measure of `estoi`.

    Returns
    -------
    value : float
        At most 1.

    Raises
    ------
    RuntimeWarning
        Less than 0.4 s of speech: the measure is not defined.
    """
    from pystoi import stoi as measure

    with warnings.catch_warnings():
        # pystoi returns 1e-5 for too short a signal, with this warning only
        warnings.simplefilter("error", RuntimeWarning)
        value = measure(
            target.double().numpy(),
            estimate.double().numpy(),
            sample_rate,
            extended=extended,
        )
    return float(value)


def estoi(*, estimate, target, sample_rate):
    """Measure the extended short-time objective intelligibility.

    Source: Jensen and Taal, "An algorithm for predicting the intelligibility
    of speech masked by modulated noise maskers", IEEE/ACM TASLP 2016, by the
    package pystoi.

    Arguments
    ---------
    estimate, target, sample_rate
        As of `stoi`.

    Returns
    -------
    value : float
        At most 1.

    Raises
    ------
    RuntimeWarning
        Less than 0.4 s of speech: the measure is not defined.
    """
    return stoi(
        estimate=estimate,
        target=target,
        sample_rate=sample_rate,
        extended=True,
    )


def dnsmos(*, estimate, sample_rate):
    """DNSMOS P.835 and P.808: predicted opinion scores, no reference needed.

    Source: Reddy et al., "DNSMOS P.835", ICASSP 2022, by the package
    speechmos.  The level of a separator's output is often arbitrary and the
    scores depend on it, so the signal is brought to -26 dB re full scale
    (less, where its peaks would clip).

    Arguments
    ---------
    estimate : torch.Tensor
        Shape (time,).
    sample_rate : int
        Hz; resampled to 16 kHz.

    Returns
    -------
    scores : dict of float
        "ovrl", "sig", "bak" and "p808", each about 1 (bad) to 5.

    Raises
    ------
    ValueError
        The estimate is silent.
    """
    from speechmos import dnsmos as measure

    signal = _resample(estimate, sample_rate, 16000)
    rms = signal.square().mean().sqrt()
    if rms == 0:
        raise ValueError("a silent signal has no DNSMOS")
    signal = signal * (10 ** (_DNSMOS_LEVEL_DB / 20) / rms)
    signal = signal / signal.abs().max().clamp(min=1.0)
    scores = measure.run(signal.clamp(-1, 1).numpy(), sr=16000)
    return {
        name: float(scores[f"{name}_mos"])
        for name in ("ovrl", "sig", "bak", "p808")
    }


def _resample(signal, sample_rate, wanted):
    """Resample to the rate that a measure is defined at, float32."""
    return torchaudio.functional.resample(signal.float(), sample_rate, wanted)
