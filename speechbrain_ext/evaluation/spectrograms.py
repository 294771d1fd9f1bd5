"""Spectrograms of a mixture, its estimates and the references."""

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from speechbrain_ext.evaluation.plot_style import STYLE, save

# What a spectrogram shows below its maximum.
_RANGE_DB = 70.0


def spectrogram_grid(
    path, *, mixture, estimates, sample_rate, references=None, titles=None
):
    """Draw spectrograms of a mixture, its estimates and the references.

    Each panel spans 70 dB below its own maximum, so that levels do not
    hide what is in it.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    mixture : torch.Tensor
        Shape (time,).
    estimates : torch.Tensor
        Shape (sources, time).
    sample_rate : int
        Hz.
    references : torch.Tensor or None
        Shape (sources, time), where they exist.
    titles : list of str or None
        Name of each source; "source 1" and so on by default.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are not as many references or titles as estimates.

    Example
    -------
    >>> path = getfixture("tmp_path") / "spectrograms.png"
    >>> estimates = torch.randn(2, 8000)
    >>> spectrogram_grid(
    ...     path,
    ...     mixture=estimates.sum(0),
    ...     estimates=estimates,
    ...     sample_rate=8000,
    ... ).exists()
    True
    """
    sources = len(estimates)
    if titles is None:
        titles = [f"source {index + 1}" for index in range(sources)]
    if len(titles) != sources:
        raise ValueError(f"{len(titles)} titles for {sources} estimates")
    if references is not None and references.shape != estimates.shape:
        raise ValueError(
            f"references {tuple(references.shape)} and estimates "
            f"{tuple(estimates.shape)} must have one shape (sources, time)"
        )
    groups = [("estimate", estimates)]
    if references is not None:
        groups.append(("reference", references))
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(
            figsize=(4.4 * max(sources, 2), 2.5 * (1 + len(groups))),
            layout="constrained",
        )
        grid = figure.add_gridspec(1 + len(groups), sources)
        panels = [(grid[0, :], mixture, "mixture")]
        for line, (kind, signals) in enumerate(groups, start=1):
            for column, signal in enumerate(signals):
                title = f"{titles[column]}: {kind}"
                panels.append((grid[line, column], signal, title))
        for place, signal, title in panels:
            axes = figure.add_subplot(place)
            image = axes.imshow(
                _spectrogram_db(signal, sample_rate),
                origin="lower",
                aspect="auto",
                cmap="magma",
                vmin=-_RANGE_DB,
                vmax=0,
                extent=(0, len(signal) / sample_rate, 0, sample_rate / 2000),
            )
            axes.set_title(title)
            axes.set_ylabel("kHz")
            if place.rowspan.stop == grid.nrows:
                axes.set_xlabel("seconds")
        figure.colorbar(
            image,
            ax=figure.axes,
            label="dB re the maximum of each panel",
            aspect=40,
            pad=0.02,
        )
        return save(figure, path, dpi=110)


def _spectrogram_db(signal, sample_rate):
    """Return levels in dB re the maximum, (frequencies, frames)."""
    size = max(2 * round(0.016 * sample_rate), 16)
    signal = torch.nan_to_num(signal.detach().cpu().float())
    if len(signal) < size:
        signal = torch.nn.functional.pad(signal, (0, size - len(signal)))
    spectrum = torch.stft(
        signal,
        size,
        hop_length=size // 4,
        window=torch.hann_window(size),
        return_complex=True,
    )
    power = spectrum.abs().square()
    floor = 10 ** (-_RANGE_DB / 10)
    peak = power.max()
    # silence has no maximum to be relative to: all of it is at the floor
    relative = power / torch.where(peak > 0, peak, 1.0)
    return (10 * relative.clamp(min=floor).log10()).numpy()
