"""Signals of a mixture as files that a page plays."""

import math

import soundfile
import torch

# Peak that sounds are lowered to where they would clip.
_PEAK = 0.99


def named_signals(owner, *, mixture, **groups):
    """Name the signals of one mixture, after checking them.

    Arguments
    ---------
    owner : str
        What they belong to, for the errors.
    mixture : torch.Tensor
        Shape (time,).
    **groups : torch.Tensor or sequence of torch.Tensor
        By kind, such as `estimate`: shape (sources, time); may be empty.

    Returns
    -------
    signals : dict of torch.Tensor
        "mixture", then "estimate_1" and so on; float32 on the CPU.

    Raises
    ------
    ValueError
        A signal has not the shape of the mixture, or is not finite.

    Example
    -------
    >>> mixture = torch.zeros(8)
    >>> list(named_signals("a", mixture=mixture, source=torch.zeros(2, 8)))
    ['mixture', 'source_1', 'source_2']
    """
    signals = {"mixture": mixture}
    for kind, group in groups.items():
        for index, signal in enumerate(group):
            signals[f"{kind}_{index + 1}"] = signal
    signals = {n: s.detach().cpu().float() for n, s in signals.items()}
    for name, signal in signals.items():
        if signal.shape != mixture.shape or signal.ndim != 1:
            raise ValueError(
                f"{owner}: {name} {tuple(signal.shape)} and mixture "
                f"{tuple(mixture.shape)} must both be (time,)"
            )
        if not torch.isfinite(signal).all():
            raise ValueError(f"{owner}: {name} holds non-finite samples")
    return signals


def write_sounds(folder, *, signals, sample_rate):
    """Write signals as 16-bit WAV files that keep their levels.

    Where one of them would clip, all of them are lowered together.

    Arguments
    ---------
    folder : Path
        Made if absent.
    signals : dict of torch.Tensor
        File name, without its ending, to shape (time,); see `named_signals`.
    sample_rate : int
        Hz.

    Returns
    -------
    paths : dict of Path
        By the same names.
    lowered_db : float
        By how much all of them are lowered; 0 where none would clip.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> loud = {"mixture": torch.full((8,), 9.9)}
    >>> paths, lowered_db = write_sounds(folder, signals=loud, sample_rate=8000)
    >>> paths["mixture"].name, round(lowered_db, 3)
    ('mixture.wav', 20.0)
    """
    folder.mkdir(parents=True, exist_ok=True)
    peak = max(signal.abs().max().item() for signal in signals.values())
    gain = clipping_gain(peak)
    paths = {name: folder / f"{name}.wav" for name in signals}
    for name, path in paths.items():
        samples = (gain * signals[name]).numpy()
        soundfile.write(path, samples, sample_rate, "PCM_16")
    return paths, lowering_db(gain)


def clipping_gain(peak):
    """Tell what signals of a peak are multiplied by, so that none clips."""
    return _PEAK / max(peak, _PEAK)


def lowering_db(gain):
    """Tell by how much such a gain lowers them; never a negative zero."""
    return abs(20 * math.log10(gain))
