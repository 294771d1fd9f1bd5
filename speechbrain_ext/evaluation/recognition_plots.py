"""Plots of recognition in noise, as PNG files."""

import math

from matplotlib import rc_context
from matplotlib.figure import Figure

from speechbrain_ext.evaluation.plot_style import STYLE, look, save

# Clean speech stands so far to the right of the highest SNR, in dB.
CLEAN_GAP = 5.0


def error_rate_against_snr(path, *, arms):
    """Draw the word error rates of several systems against the SNR.

    Clean speech, if there is, stands at the right, behind a gap.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    arms : list of dict
        A line each: "name"; "snr_db", a list in which None is clean speech;
        "wer", a value in percent for each, or a list of values of several
        seeds: then the mean is drawn, and a bar from the least to the most.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are no arms, or the lists of one differ in length.

    Example
    -------
    >>> path = getfixture("tmp_path") / "wer.png"
    >>> arm = {"name": "joint", "snr_db": [0, 10, None], "wer": [40, 20, 9]}
    >>> error_rate_against_snr(path, arms=[arm]).name
    'wer.png'
    """
    if not arms:
        raise ValueError("nothing to draw: there are no arms")
    for arm in arms:
        if len(arm["snr_db"]) != len(arm["wer"]):
            raise ValueError(
                f"{arm['name']!r}: {len(arm['snr_db'])} SNRs for "
                f"{len(arm['wer'])} error rates"
            )
    noisy = sorted({s for a in arms for s in a["snr_db"] if s is not None})
    clean = (noisy[-1] if noisy else 0.0) + CLEAN_GAP
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for index, arm in enumerate(arms):
            _draw_arm(axes, index, arm, clean)
        places, names = list(noisy), [f"{snr:g}" for snr in noisy]
        if any(None in arm["snr_db"] for arm in arms):
            places.append(clean)
            names.append("clean")
        axes.set_xticks(places, names)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("SNR of the noisy speech (dB)")
        axes.set_ylabel("word error rate (%)")
        axes.set_title("Words that were not recognized")
        figure.legend(loc="outside lower center", ncols=2)
        return save(figure, path)


def error_rate_differences(path, *, pairs):
    """Draw how the word error rates of systems differ from another's.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    pairs : list of dict
        A line each, from the top: "name"; and for "noisy" and "clean" speech
        a dict of "delta", "low" and "high", the difference in percent (below 0
        it is better) and where it lies.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are no pairs.

    Example
    -------
    >>> path = getfixture("tmp_path") / "differences.png"
    >>> found = {"delta": -2.0, "low": -3.0, "high": -1.0}
    >>> pair = {"name": "CBPC", "noisy": found, "clean": found}
    >>> error_rate_differences(path, pairs=[pair]).name
    'differences.png'
    """
    if not pairs:
        raise ValueError("nothing to draw: there are no pairs")
    with rc_context(STYLE):
        size = (7.2, 1.4 + 0.45 * len(pairs))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        for index, condition in enumerate(("noisy", "clean")):
            color, marker = look(index)
            found = [pair[condition] for pair in pairs]
            axes.errorbar(
                [one["delta"] for one in found],
                [row + 0.15 * (2 * index - 1) for row in range(len(pairs))],
                xerr=[
                    [one["delta"] - one["low"] for one in found],
                    [one["high"] - one["delta"] for one in found],
                ],
                fmt=marker,
                color=color,
                capsize=3,
                label=f"{condition} speech",
            )
        axes.axvline(0.0, color="0.4", linewidth=1)
        axes.set_yticks(range(len(pairs)), [pair["name"] for pair in pairs])
        axes.invert_yaxis()
        axes.set_xlabel("difference of the word error rate (%); left is better")
        figure.legend(loc="outside lower center", ncols=2)
        return save(figure, path)


def _draw_arm(axes, index, arm, clean):
    """Draw the line of one system, and the spread of its seeds."""
    color, marker = look(index)
    values = [
        list(value) if isinstance(value, list | tuple) else [value]
        for value in arm["wer"]
    ]
    means = [sum(value) / len(value) for value in values]
    spread = [
        [m - min(v) for m, v in zip(means, values, strict=True)],
        [max(v) - m for m, v in zip(means, values, strict=True)],
    ]
    places = [clean if snr is None else snr for snr in arm["snr_db"]]
    # a dash for every six lines, as colors and markers come again
    style = ("-", "--", ":")[index // 6 % 3]
    # the line ends before clean speech: there is no SNR between
    cut = [
        math.nan if place == clean else mean
        for place, mean in zip(places, means, strict=True)
    ]
    axes.plot(places, cut, color=color, linestyle=style, linewidth=1.4)
    axes.errorbar(
        places,
        means,
        yerr=spread,
        fmt=marker,
        color=color,
        capsize=3,
        elinewidth=1,
        label=arm["name"],
    )
