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
# An output is active above this ratio of its power to that of the weakest
# active reference: 20 dB below it.
ACTIVE_RATIO = 0.01
# Keeps SI-SNR between -80 and 80 dB.
LOWEST_RATIO = 1e-8
# The numbers of sources that MSi is taken over.
SEVERAL = (2, 3, 4)
SEPARATIONS = ("under", "equal", "over")
# The official figures, and the same with every source counted.
FIGURES = ("msi", "one_source", "msi_all", "one_source_all")


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

        - references: number of active references.
        - outputs: number of active outputs; None if no reference is active.
        - separation: "under", "equal" or "over"; None likewise.
        - assignment: for each active reference, in order, its output; None
          for a missing one.
        - paired: for each, whether its output is active.
        - si_snr: for each, SI-SNR of its output, in dB.
        - si_snri: for each, improvement over the SI-SNR of the mixture, in dB.

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


def source_scores(row):
    """Turn the figures of a clip into the scores of its sources.

    Means of these over the sources of many clips are the official figures.
    "msi" and "one_source" leave a source out that no active output stands
    for; "msi_all" and "one_source_all" do not, and count it with the SI-SNR
    of whatever output it was assigned (-80 dB if that is silent).

    Arguments
    ---------
    row : dict
        From `universal_figures`.

    Returns
    -------
    scores : list of dict
        For each active reference, in order; a clip without any has one
        without scores.

        - si_snr: of the output that the source was assigned, in dB.
        - si_snri: its improvement, in clips of several sources.
        - msi, msi_all: SI-SNR improvement, in clips of 2 to 4 sources;
          si_snri_2, si_snri_3 and si_snri_4 are "msi" by their number.
        - one_source, one_source_all: SI-SNR, in clips of one source (1S).
        - outputs: number of active outputs; with the first source only, as
          are under, equal and over, of which one is 1 and the others 0.

    Example
    -------
    >>> row = {
    ...     "references": 2, "outputs": 1, "separation": "under",
    ...     "paired": [True, False], "si_snr": [9.0, 0.0],
    ...     "si_snri": [10.0, 2.0],
    ... }
    >>> first, second = source_scores(row)
    >>> first["msi"], second["msi_all"], "msi" in second, first["under"]
    (10.0, 2.0, False, 1)
    """
    count = row["references"]
    if not count:
        return [{}]
    scores = []
    for after, better, paired in zip(
        row["si_snr"], row["si_snri"], row["paired"], strict=True
    ):
        score = {"si_snr": after}
        if count > 1:
            score["si_snri"] = better
        if count == 1:
            score["one_source_all"] = after
        elif count in SEVERAL:
            score["msi_all"] = better
        if count == 1 and paired:
            score["one_source"] = after
        elif count in SEVERAL and paired:
            score["msi"] = score[f"si_snri_{count}"] = better
        scores.append(score)
    scores[0]["outputs"] = row["outputs"]
    for name in SEPARATIONS:
        scores[0][name] = int(row["separation"] == name)
    return scores


def average_scores(scores):
    """Average the official figures over the sources of many clips.

    Arguments
    ---------
    scores : list of dict
        From `source_scores`.

    Returns
    -------
    means : dict
        msi, one_source, msi_all and one_source_all, in dB; NaN where there
        are no such sources. Sources count alike, not clips.

    Example
    -------
    >>> average_scores([{"msi": 4.0}, {"msi": 2.0, "msi_all": 1.0}])["msi"]
    3.0
    """
    means = {}
    for name in FIGURES:
        found = [score[name] for score in scores if name in score]
        means[name] = statistics.fmean(found) if found else math.nan
    return means


def pair_outputs(row, estimates, references):
    """Put active outputs beside their references, the others after them.

    Arguments
    ---------
    row : dict
        Of the clip, from `universal_figures`.
    estimates, references : torch.Tensor
        Of the clip, shape (outputs, time) and (references, time).

    Returns
    -------
    estimates, references : torch.Tensor
        Shape (pairs, time): the active references, each with the output that
        it was assigned, then the other active outputs with silence.

    Example
    -------
    >>> tone = torch.tensor([1.0, -1.0])
    >>> row = {"assignment": [1]}
    >>> pair_outputs(row, torch.stack((tone, 2 * tone)), tone[None])[1]
    tensor([[ 1., -1.],
            [ 0.,  0.]])
    """
    silence = torch.zeros_like(estimates[0])
    active = active_references(references)
    chosen = [
        silence if output is None else estimates[output]
        for output in row["assignment"]
    ]
    loud = loud_outputs(estimates, active) if len(active) else []
    others = [
        estimates[output]
        for output, is_loud in enumerate(loud)
        if is_loud and output not in row["assignment"]
    ]
    chosen = chosen + others or [silence]
    missing = [silence] * (len(chosen) - len(active))
    return torch.stack(chosen), torch.stack([*active, *missing])


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
    return estimates.square().mean(dim=-1) > ACTIVE_RATIO * weakest


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
    ratio = cosine.square().clamp(max=1)
    return 10 * torch.log10((ratio + LOWEST_RATIO) / (1 - ratio + LOWEST_RATIO))


def _unit(signals):
    """Scale signals to energy one; silence stays what it is."""
    energy = signals.square().sum(dim=-1, keepdim=True)
    return signals * energy.clamp(min=1e-16).rsqrt()
