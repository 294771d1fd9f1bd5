"""Figures of universal separation: any sounds, and any number of them.

Source: the official evaluation of FUSS (google-research/sound-separation,
models/dcase2020_fuss_baseline/evaluate_lib.py and train/metrics.py); S.
Wisdom et al., "What's all the FUSS about free universal sound separation
data?", ICASSP 2021, arXiv 2011.00803.
"""

import math
import statistics

import torch
from scipy.optimize import linear_sum_assignment

# A reference of a smaller root mean square is silent.
SILENT_RMS = 1e-8
# An output is active above this share of the power of the weakest active
# reference: 20 dB below it.
ACTIVE_SHARE = 0.01
# Keeps SI-SNR between -80 and 80 dB.
LOWEST_SHARE = 1e-8
# The numbers of sources that MSi is taken over.
SEVERAL = (2, 3, 4)
SEPARATIONS = ("under", "equal", "over")


def universal_figures(*, estimates, references, mixture):
    """Measure how mixtures of unknown numbers of sources were separated.

    References that are not silent are active. Each of them gets an output of
    its own so that the sum of their SI-SNRs is highest (the Hungarian
    method). An output is active if its power is above a hundredth of that of
    the weakest active reference, whether it was assigned or not; fewer
    active outputs than active references are under-separation, more are
    over-separation.

    SI-SNR is that of the official evaluation: no mean is removed, and it
    comes close to 80 dB or -80 dB softly, so that a perfect output has 80 dB.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (outputs, time) or (clips, outputs, time). Missing outputs,
        where there are fewer than active references, count as silent.
    references : torch.Tensor
        Shape (references, time) or (clips, references, time), padded with
        silent ones.
    mixture : torch.Tensor
        Shape (time,) or (clips, time): the sum of the references.

    Returns
    -------
    rows : list of dict
        One for each clip:

        references : number of active references.
        outputs : number of active outputs; None if no reference is active.
        separation : "under", "equal" or "over"; None likewise.
        assignment : for each active reference, in order, its output; None
            for a missing one.
        paired : for each, whether its output is active.
        si_snr : for each, SI-SNR of its output, in dB.
        si_snri : for each, improvement over the SI-SNR of the mixture, in dB.

    Raises
    ------
    ValueError
        The shapes do not belong together, or samples are not finite.

    Example
    -------
    >>> first = torch.tensor([1.0, -1.0, 1.0, -1.0])
    >>> second = torch.tensor([1.0, 1.0, -1.0, -1.0])
    >>> (row,) = universal_figures(
    ...     estimates=torch.stack((0 * first, second + 0.1 * first, first)),
    ...     references=torch.stack((first, second)),
    ...     mixture=first + second,
    ... )
    >>> row["separation"], row["assignment"]
    ('equal', [2, 1])
    >>> [round(value) for value in row["si_snri"]]
    [80, 20]
    """
    if estimates.ndim == 2:
        estimates, references, mixture = (
            signal[None] for signal in (estimates, references, mixture)
        )
    _check(estimates, references, mixture)
    return [
        _figures_of_clip(*(signal.detach().double() for signal in signals))
        for signals in zip(estimates, references, mixture, strict=True)
    ]


def summarise(rows):
    """Sum up the rows of many clips.

    The official figures are over pairs whose output is active. They leave a
    source out that no active output stands for; "msi_all" and
    "one_source_all" do not, and count it with the SI-SNR of whatever output
    it was assigned (-80 dB if that is silent).

    Arguments
    ---------
    rows : list of dict
        From `universal_figures`.

    Returns
    -------
    summary : dict
        clips : number of clips with an active reference.
        silent_clips : number of those without; nothing else counts them.
        msi : mean SI-SNR improvement of the sources of clips with 2 to 4, in
            dB; NaN where there are none. Sources count alike, not clips.
        one_source : mean SI-SNR of the sources of clips with one (1S), in dB.
        msi_all, one_source_all : the same over all active references.
        under, equal, over : number of clips of each separation.
        by_references : for each number of references, a dict of clips,
            si_snr, si_snri, outputs (mean number of active outputs), under,
            equal and over.

    Raises
    ------
    ValueError
        There is no clip with an active reference.

    Example
    -------
    >>> row = {
    ...     "references": 2, "outputs": 1, "separation": "under",
    ...     "paired": [True, False], "si_snr": [9.0, 0.0],
    ...     "si_snri": [10.0, 2.0],
    ... }
    >>> summary = summarise([row])
    >>> summary["msi"], summary["msi_all"], summary["under"]
    (10.0, 6.0, 1)
    """
    groups = {}
    for row in rows:
        groups.setdefault(row["references"], []).append(row)
    silent = len(groups.pop(0, []))
    if not groups:
        raise ValueError(
            f"none of {silent} clips has an active reference: there is "
            "nothing to sum up"
        )
    several = [row for count in SEVERAL for row in groups.get(count, [])]
    single = groups.get(1, [])
    every = [row for group in groups.values() for row in group]
    return {
        "clips": len(every),
        "silent_clips": silent,
        "msi": _mean(several, "si_snri"),
        "one_source": _mean(single, "si_snr"),
        "msi_all": _mean(several, "si_snri", active_only=False),
        "one_source_all": _mean(single, "si_snr", active_only=False),
        **_count_separations(every),
        "by_references": {
            count: {
                "clips": len(group),
                "si_snr": _mean(group, "si_snr"),
                "si_snri": _mean(group, "si_snri"),
                "outputs": statistics.fmean(row["outputs"] for row in group),
                **_count_separations(group),
            }
            for count, group in sorted(groups.items())
        },
    }


def active_references(references):
    """Leave out the references that are silent: (references, time)."""
    power = references.square().mean(dim=-1)
    return references[power.sqrt() > SILENT_RMS]


def loud_outputs(estimates, references):
    """Tell which outputs are active: a bool for each.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (outputs, time).
    references : torch.Tensor
        The active ones, shape (references, time); at least one.
    """
    weakest = references.square().mean(dim=-1).min()
    return estimates.square().mean(dim=-1) > ACTIVE_SHARE * weakest


def _check(estimates, references, mixture):
    """Report shapes and samples that cannot be meant."""
    shapes = {
        "estimates": tuple(estimates.shape),
        "references": tuple(references.shape),
        "mixture": tuple(mixture.shape),
    }
    clips_and_time = {
        (shapes["estimates"][0], shapes["estimates"][-1]),
        (shapes["references"][0], shapes["references"][-1]),
        shapes["mixture"],
    }
    if (
        estimates.ndim != 3
        or references.ndim != 3
        or len(clips_and_time) > 1
        or not estimates.numel()
    ):
        raise ValueError(
            "estimates and references must be (clips, outputs, time) and "
            "(clips, references, time), the mixture (clips, time), or all "
            f"without clips; got {shapes}"
        )
    signals = (estimates, references, mixture)
    for name, signal in zip(shapes, signals, strict=True):
        finite = torch.isfinite(signal).flatten(1).all(dim=1)
        if not finite.all():
            clip = int(finite.logical_not().nonzero()[0])
            raise ValueError(f"{name}: clip {clip} has samples not finite")


def _figures_of_clip(estimates, references, mixture):
    """Measure one clip: (outputs, time), (references, time), (time,)."""
    references = active_references(references)
    count, outputs = len(references), len(estimates)
    if not count:
        return {
            "references": 0,
            **dict.fromkeys(("outputs", "separation")),
            **{n: [] for n in ("assignment", "paired", "si_snr", "si_snri")},
        }
    missing = estimates.new_zeros(max(0, count - outputs), len(mixture))
    estimates = torch.cat((estimates, missing))
    loud = loud_outputs(estimates, references)
    values = _si_snr(estimates, references).cpu().numpy()
    before = _si_snr(mixture[None], references)[:, 0].tolist()
    lines, columns = linear_sum_assignment(values, maximize=True)
    si_snr = values[lines, columns].tolist()
    found = int(loud.sum())
    return {
        "references": count,
        "outputs": found,
        "separation": SEPARATIONS[1 + (found > count) - (found < count)],
        "assignment": [n if n < outputs else None for n in columns.tolist()],
        "paired": [bool(loud[n]) for n in columns],
        "si_snr": si_snr,
        "si_snri": [a - b for a, b in zip(si_snr, before, strict=True)],
    }


def _si_snr(estimates, references):
    """SI-SNR of all pairs by their cosines, (references, estimates), dB."""
    cosine = _unit(references) @ _unit(estimates).mT
    share = cosine.square().clamp(max=1)
    return 10 * torch.log10((share + LOWEST_SHARE) / (1 - share + LOWEST_SHARE))


def _unit(signals):
    """Scale signals to energy one; silence stays what it is."""
    energy = signals.square().sum(dim=-1, keepdim=True)
    return signals * energy.clamp(min=1e-16).rsqrt()


def _mean(rows, name, *, active_only=True):
    """Average over the sources of all rows; NaN where there are none."""
    values = [
        value
        for row in rows
        for value, paired in zip(row[name], row["paired"], strict=True)
        if paired or not active_only
    ]
    return statistics.fmean(values) if values else math.nan


def _count_separations(rows):
    """Count the clips of each separation."""
    found = [row["separation"] for row in rows]
    return {name: found.count(name) for name in SEPARATIONS}
