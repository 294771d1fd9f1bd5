"""Plots of training runs and of results, as PNG files."""

import csv
import math
from pathlib import Path

from matplotlib import rc_context
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from speechbrain_ext.evaluation.plot_style import (
    COLORS,
    INK,
    PALE,
    STYLE,
    look,
    save,
)

# What a value of the history is called; any other by its own name.
_LABELS = {
    "si_sdr": "SI-SDR (dB)",
    "scer": "SCER (dB)",
    "objective": "objective (dB)",
    "scer_weight": "weight of SCER",
    "separation": "separation loss (dB)",
    "enhancement": "negative SI-SNR (dB)",
    "recognition": "CTC loss (nats per character)",
    "cbpc": "CBPC (nats)",
    "info_nce": "InfoNCE (nats)",
    "token": "cross-entropy of tokens (nats)",
    "wer": "word error rate (%)",
    "msi": "MSi (dB)",
    "one_source": "1S (dB)",
    "least_squares_missed": "least squares: share missed",
    "least_squares_cost_db": "least squares: cost (dB)",
}


def training_curves(path, *, history):
    """Draw every value of a training run over the steps, a panel each.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    history : str, Path or list of dict
        The CSV that `speechbrain_ext.training.History` writes, or its rows:
        `step`, `stage` ("train" or "valid") and any values (objective,
        si_sdr, scer, learning_rate ...), not all of them in every row.
        Training and validation share the panel of a value that both have.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        A row has no step or stage, or there is no value to draw.

    Example
    -------
    >>> path = getfixture("tmp_path") / "curves.png"
    >>> rows = [
    ...     {"step": step, "stage": "train", "objective": -step}
    ...     for step in range(5)
    ... ]
    >>> training_curves(path, history=rows).name
    'curves.png'
    """
    courses = _read_courses(history)
    columns = min(len(courses), 2)
    lines = math.ceil(len(courses) / columns)
    with rc_context(STYLE):
        figure = Figure(
            figsize=(4.0 * columns, 2.6 * lines + 0.4), layout="constrained"
        )
        handles = {}
        for index, (name, stages) in enumerate(courses.items()):
            axes = figure.add_subplot(lines, columns, index + 1)
            axes.set_title(_LABELS.get(name, name.replace("_", " ")))
            axes.set_xlabel("step")
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.ticklabel_format(axis="y", scilimits=(-3, 4))
            for stage, (steps, values) in stages.items():
                (handles[stage],) = axes.plot(
                    steps, values, **_stage_style(stage, len(steps))
                )
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside upper right",
            ncols=len(handles),
        )
        return save(figure, path)


def residual_noise_against_snr(path, *, arms):
    """Draw the residual noise of several systems against the input SNR.

    Two gray lines help to read it: the noise that each noisy source held,
    and half the amplitude of both noises of a two-source mixture, which is
    the best without telling speech from noise.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    arms : list of dict
        "name"; "snr", the SNR of each noisy source in dB, one per result;
        "level_db", the residual noise re speech in dB.  Several results at
        one SNR (seeds, utterances) are drawn as points about their mean, SNRs
        being one when they round to the same whole dB.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        There are no arms, an arm has no finite result, or its lists differ
        in length.

    Example
    -------
    >>> path = getfixture("tmp_path") / "noise.png"
    >>> arm = {"name": "SCER", "snr": [0, 5], "level_db": [-7.0, -12.0]}
    >>> residual_noise_against_snr(path, arms=[arm]).exists()
    True
    """
    arms = [(arm["name"], *_pairs(arm, "snr", "level_db")) for arm in arms]
    if not arms:
        raise ValueError("nothing to draw: there are no arms")
    for name, snrs, _ in arms:
        if not snrs:
            raise ValueError(f"arm {name!r} has no finite result")
    every = [snr for _, snrs, _ in arms for snr in snrs]
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 5.0), layout="constrained")
        axes = figure.add_subplot()
        ends = [min(every) - 0.5, max(every) + 0.5]
        for dash, below, label in (
            ((1, 2), 0.0, "as in the noisy source"),
            ((5, 3), -10 * math.log10(2), "half of both noises (a = 1/2)"),
        ):
            axes.plot(
                ends,
                [below - end for end in ends],
                color=PALE,
                linewidth=1.4,
                linestyle=(0, dash),
                label=label,
            )
        for index, (name, snrs, levels) in enumerate(arms):
            color, marker = look(index)
            by_snr = {}
            for snr, level in zip(snrs, levels, strict=True):
                by_snr.setdefault(round(snr), []).append(level)
            means = [(s, sum(v) / len(v)) for s, v in sorted(by_snr.items())]
            axes.plot(
                *zip(*means, strict=True),
                marker,
                ls="-",
                color=color,
                label=name,
            )
            if len(means) < len(levels):
                axes.plot(
                    snrs,
                    levels,
                    marker,
                    color=color,
                    alpha=0.35,
                    markersize=4,
                    markeredgewidth=0,
                )
        axes.set_xlabel("SNR of each noisy source (dB)")
        axes.set_ylabel("residual noise re speech (dB)")
        axes.set_title("Residual noise (lower is better)")
        if len(set(every)) <= 8:
            axes.set_xticks(sorted(set(every)))
        figure.legend(loc="outside lower center", ncols=2)
        return save(figure, path)


def bars(path, *, arms, label, title=""):
    """Draw a bar per system: the mean, with a point for every seed.

    Arguments
    ---------
    path : str or Path
        PNG to write.
    arms : list of dict
        "name" and "values", one value per seed.
    label : str
        What the values are, with the unit.
    title : str
        Above the plot.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        An arm has no finite value.

    Example
    -------
    >>> path = getfixture("tmp_path") / "bars.png"
    >>> arms = [{"name": "ring", "values": [5.0, 5.2]}]
    >>> bars(path, arms=arms, label="SI-SDR improvement (dB)").exists()
    True
    """
    with rc_context(STYLE):
        figure = Figure(
            figsize=(6.4, 0.55 * len(arms) + 1.5), layout="constrained"
        )
        axes = figure.add_subplot()
        for index, arm in enumerate(arms):
            values = [float(v) for v in arm["values"] if math.isfinite(v)]
            if not values:
                raise ValueError(f"arm {arm['name']!r} has no finite value")
            color, marker = look(index)
            mean = sum(values) / len(values)
            axes.barh(index, mean, height=0.6, color=_light(color))
            axes.plot(
                values,
                [index] * len(values),
                marker,
                color=color,
                markeredgecolor="white",
                clip_on=False,
            )
            axes.text(
                1.02,
                index,
                f"{mean:.2f}".replace("-", "\N{MINUS SIGN}"),
                va="center",
                transform=axes.get_yaxis_transform(),
            )
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(arms)), [arm["name"] for arm in arms])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(label)
        axes.set_title(title)
        return save(figure, path)


def _light(color):
    """Return a color mixed with white, opaque."""
    return tuple(0.5 + 0.5 * part for part in to_rgb(color))


def _stage_style(stage, count):
    """Tell how a stage is drawn: training a line, others with markers."""
    if stage == "train":
        return {"color": COLORS[0], "marker": "" if count > 1 else "o"}
    return {"color": COLORS[1], "marker": "o", "linestyle": "--"}


def _read_courses(history):
    """Return {name: {stage: (steps, values)}} of a history."""
    rows = history
    source = "the rows"
    if isinstance(history, str | Path):
        source = f"{history}"
        with open(history, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    courses = {}
    for number, row in enumerate(rows, start=1):
        if not row.get("stage") or row.get("step") in (None, ""):
            raise ValueError(
                f"{source}: row {number} has no step or stage: {row}"
            )
        for name, value in row.items():
            if name in ("step", "stage", "epoch") or value in (None, ""):
                continue
            stages = courses.setdefault(name, {})
            steps, values = stages.setdefault(row["stage"], ([], []))
            steps.append(int(row["step"]))
            values.append(float(value))
    if not courses:
        raise ValueError(f"{source}: no value to draw")
    return courses


def _pairs(series, first, second):
    """Return two lists of a series without the pairs that are not finite."""
    if len(series[first]) != len(series[second]):
        raise ValueError(
            f"{series['name']!r}: {len(series[first])} of {first!r} but "
            f"{len(series[second])} of {second!r}"
        )
    pairs = [
        (float(x), float(y))
        for x, y in zip(series[first], series[second], strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    return [x for x, _ in pairs], [y for _, y in pairs]
