"""Plots of personalized enhancement, as PNG files.

Source: Sivaraman, Kim and Kim, "Personalized Speech Enhancement through
Self-Supervised Data Augmentation and Purification", Interspeech 2021: its box
plots, and the levels of an utterance on the project's page.
"""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from speechbrain_ext.evaluation.plot_style import (
    COLORS,
    INK,
    PALE,
    STYLE,
    look,
    save,
)

LONG_NAME = 9  # characters that fit below a box


def improvement_boxes(
    path, *, groups, label="SI-SDR improvement (dB)", title=""
):
    """Draw a box plot for each group, with its mean and all values.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    groups : dict
        Name of an arm or user to its values; those that are not finite are
        left out.
    label : str
        Of the values.
    title : str
        Of the plot.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are no groups, or one has no finite value.

    Example
    -------
    >>> path = getfixture("tmp_path") / "boxes.png"
    >>> improvement_boxes(path, groups={"a": [1.0, 2.0], "b": [3.0]}).name
    'boxes.png'
    """
    if not groups:
        raise ValueError("nothing to draw: there are no groups")
    finite = {
        name: [float(v) for v in values if np.isfinite(v)]
        for name, values in groups.items()
    }
    for name, values in finite.items():
        if not values:
            raise ValueError(f"{name!r} has no finite value to draw")
    with rc_context(STYLE):
        figure = Figure(
            figsize=(max(4.0, 1.2 + 0.9 * len(finite)), 4.4),
            layout="constrained",
        )
        axes = figure.add_subplot()
        boxes = axes.boxplot(
            list(finite.values()),
            showmeans=True,
            showfliers=False,
            widths=0.6,
            patch_artist=True,
            medianprops={"color": INK},
            meanprops={
                "marker": "D",
                "markerfacecolor": INK,
                "markeredgecolor": INK,
                "markersize": 5,
            },
        )
        for index, box in enumerate(boxes["boxes"]):
            box.set(facecolor=look(index)[0], alpha=0.45)
        for place, values in enumerate(finite.values(), start=1):
            # beside each other, so that equal values can be told
            spread = np.linspace(-0.15, 0.15, len(values))
            axes.plot(
                place + spread, values, ".", color=PALE, markersize=3, zorder=3
            )
        # names that would run into each other are written aslant
        aslant = max(map(len, finite)) > LONG_NAME
        axes.set_xticks(
            range(1, len(finite) + 1),
            list(finite),
            rotation=30 if aslant else 0,
            ha="right" if aslant else "center",
        )
        axes.set_ylabel(label)
        if title:
            axes.set_title(title)
        return save(figure, path)


def snr_course(path, *, waveform, levels, sample_rate, hop):
    """Draw a waveform, and below it the levels of its frames.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    waveform : torch.Tensor
        Shape (time,).
    levels : dict
        Name, such as true or predicted, to levels in dB, shape (frames,);
        frame f has its middle at sample f * hop.
    sample_rate : int
        In Hz.
    hop : int
        In samples.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are no levels, or more or fewer than frames.

    Example
    -------
    >>> import torch
    >>> path = getfixture("tmp_path") / "levels.png"
    >>> snr_course(
    ...     path, waveform=torch.randn(1000), sample_rate=8000, hop=100,
    ...     levels={"true": torch.randn(11)},
    ... ).name
    'levels.png'
    """
    if not levels:
        raise ValueError("nothing to draw: there are no levels")
    frames = 1 + len(waveform) // hop
    for name, values in levels.items():
        if len(values) != frames:
            raise ValueError(
                f"{name!r} has {len(values)} levels; the waveform has "
                f"{frames} frames"
            )
    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, 4.6), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True)
        seconds = np.arange(len(waveform)) / sample_rate
        top.plot(seconds, waveform, color=PALE, linewidth=0.5)
        top.set_ylabel("noisy speech")
        top.set_yticks([])
        styles = ("-", "--", ":")
        for index, (name, values) in enumerate(levels.items()):
            bottom.plot(
                np.arange(frames) * hop / sample_rate,
                values,
                styles[index % len(styles)],
                color=COLORS[index % len(COLORS)],
                linewidth=1.4,
                label=name,
            )
        bottom.set_xlabel("time (s)")
        bottom.set_ylabel("SNR of the frame (dB)")
        figure.legend(loc="outside upper right", ncols=len(levels))
        return save(figure, path)
