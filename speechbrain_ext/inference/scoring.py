"""Scoring files, and choosing among separators, without references."""

import logging
import statistics
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_ext.corpora.finding import find_audio
from speechbrain_ext.inference.recordings import read_recording
from speechbrain_ext.inference.separator import Separator
from speechbrain_ext.inference.sisnr_estimator import SISNREstimator
from speechbrain_ext.models.sisnr_estimator import is_silent

logger = logging.getLogger(__name__)

# what stands between the name of a mixture and the number of a source
SOURCE = "_source"


def list_audio(path: str | Path) -> list[Path]:
    """List a file, or the audio files of a folder and of those below.

    Arguments
    ---------
    path : str or Path
        A file or a folder.

    Returns
    -------
    paths : list of Path
        Sorted.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or no audio in it.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "a.wav").touch()
    >>> [path.name for path in list_audio(folder)]
    ['a.wav']
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"there is no file or folder {path}")
    paths = find_audio(path)
    if not paths:
        raise FileNotFoundError(f"there is no audio file in {path}")
    return paths


def find_estimates(
    mixture: str | Path, estimates: str | Path
) -> dict[Path, list[Path]]:
    """Find the estimates of mixtures by their names.

    Arguments
    ---------
    mixture, estimates : str or Path
        Two folders; NAME.wav in the one is the mixture of NAME_source1.wav,
        NAME_source2.wav ... in the other, as
        `python -m speechbrain_ext.inference separate` writes them.

    Returns
    -------
    estimates : dict
        Mixture to its estimates, in the order of their numbers.

    Raises
    ------
    FileNotFoundError
        If a mixture has no estimates.
    ValueError
        If an estimate has no mixture, or two files have one name.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("in/a.wav", "out/a_source1.wav", "out/a_source2.wav"):
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     (folder / name).touch()
    >>> found = find_estimates(folder / "in", folder / "out")
    >>> [path.name for path in found[folder / "in/a.wav"]]
    ['a_source1.wav', 'a_source2.wav']
    """
    mixture, estimates = Path(mixture), Path(estimates)
    found = {path: {} for path in list_audio(mixture)}
    names = {}
    for path in found:
        name = path.relative_to(mixture).with_suffix("")
        if names.setdefault(name, path) != path:
            raise ValueError(
                f"{names[name]} and {path} have one name; their estimates "
                "cannot be told apart: rename one"
            )
    for path in list_audio(estimates):
        stem, _, number = path.stem.rpartition(SOURCE)
        name = path.relative_to(estimates).with_name(stem)
        if name not in names or not number.isdecimal():
            raise ValueError(
                f"{path} belongs to no mixture in {mixture}; the estimates of "
                f"NAME.wav are NAME{SOURCE}1.wav, NAME{SOURCE}2.wav ..."
            )
        there = found[names[name]].setdefault(int(number), path)
        if there != path:
            raise ValueError(
                f"{there} and {path} are both source {int(number)} of "
                f"{names[name]}; keep one"
            )
    for path, numbered in found.items():
        if not numbered:
            raise FileNotFoundError(
                f"{path} has no estimates in {estimates}; they would be "
                f"{path.stem}{SOURCE}1.wav ..."
            )
    return {
        path: [numbered[number] for number in sorted(numbered)]
        for path, numbered in found.items()
    }


def score_files(
    estimator: SISNREstimator, pairs: Mapping[Path, Sequence[Path]]
) -> list[dict]:
    """Estimate the SI-SNR of separated files.

    Arguments
    ---------
    estimator : SISNREstimator
        What judges.
    pairs : Mapping
        Mixture to the files of its estimates.

    Returns
    -------
    rows : list of dict
        "mixture", "estimate" (paths) and "si_snr" in dB, one per estimate;
        with "error" in dB if the estimator tells it.

    Raises
    ------
    ValueError
        If rates or lengths differ, or the files do not belong together; the
        message names them.

    Example
    -------
    >>> score_files(estimator, {Path("a.wav"): [Path("a_source1.wav")]})
    ... # doctest: +SKIP
    [{'mixture': 'a.wav', 'estimate': 'a_source1.wav', 'si_snr': 7.3}]
    """
    rows = []
    for mixture, estimates in tqdm(pairs.items(), "scoring", disable=None):
        waveforms, rate = read_together([mixture, *estimates])
        try:
            score = estimator.score
            if estimator.module.uncertainty:
                score = estimator.score_with_error
            with warnings.catch_warnings():
                # silence is told below, with the names of the files
                warnings.simplefilter("ignore", UserWarning)
                scores = score(
                    mixture=waveforms[:1],
                    estimates=waveforms[None, 1:],
                    sample_rate=rate,
                )
        except ValueError as error:
            raise ValueError(f"{mixture}: {error}") from error
        for path, waveform in zip(
            (mixture, *estimates), waveforms, strict=True
        ):
            if is_silent(waveform):
                low = estimator.module.snr_min
                logger.warning("%s is silent: scored as %g dB", path, low)
        if torch.is_tensor(scores):
            scores = (scores,)
        for index, estimate in enumerate(estimates):
            values = [round(float(part[0, index]), 2) for part in scores]
            rows.append(
                {
                    "mixture": str(mixture),
                    "estimate": str(estimate),
                    **dict(zip(("si_snr", "error"), values, strict=False)),
                }
            )
    return rows


def read_together(paths: Sequence[Path]) -> tuple[torch.Tensor, int]:
    """Read files that must have one rate and one length.

    Arguments
    ---------
    paths : sequence of Path
        Audio files; channels are averaged. They may be silent.

    Returns
    -------
    waveforms : torch.Tensor
        Shape (files, time).
    sample_rate : int
        In Hz.

    Raises
    ------
    FileNotFoundError
        If one is not there.
    ValueError
        If one is unusable, or rates or lengths differ; the files are named.
    """
    waveforms, rates = zip(
        *(read_recording(path, allow_silence=True) for path in paths),
        strict=True,
    )
    lengths = [len(waveform) for waveform in waveforms]
    for what, values, unit in (
        ("sample rate", rates, "Hz"),
        ("length", lengths, "samples"),
    ):
        for path, value in zip(paths, values, strict=True):
            if value != values[0]:
                raise ValueError(
                    f"{paths[0]} has a {what} of {values[0]} {unit}, {path} "
                    f"one of {value}; an estimate must be like its mixture"
                )
    return torch.stack(waveforms), rates[0]


def rank(
    estimator: SISNREstimator,
    separators: Mapping[str, Separator],
    mixtures: Iterable[Path],
) -> list[dict]:
    """Rank separators by what they make of mixtures without references.

    Arguments
    ---------
    estimator : SISNREstimator
        What judges.
    separators : Mapping
        Name to separator: models, or checkpoints of one.
    mixtures : iterable of Path
        Audio files.

    Returns
    -------
    rows : list of dict
        "separator", "si_snr" (mean over mixtures and sources, in dB),
        "standard_error" (of the differences to the best one, over the
        mixtures; 0 for the best one, None if there is one mixture) and
        "mixtures", the best one first.

    Raises
    ------
    ValueError
        If there are no separators or mixtures.
    """
    mixtures = list(mixtures)
    if not separators or not mixtures:
        raise ValueError(
            f"{len(separators)} separators and {len(mixtures)} mixtures; at "
            "least one of each is needed"
        )
    scores = {name: [] for name in separators}
    for path in tqdm(mixtures, "ranking", disable=None):
        waveform, rate = read_together([path])
        for name, separator in separators.items():
            try:
                score = estimator.score(
                    mixture=waveform,
                    estimates=separator.separate(waveform, rate),
                    sample_rate=rate,
                    check=False,
                )
            except ValueError as error:
                raise ValueError(f"{path}, {name}: {error}") from error
            scores[name].append(float(score.mean()))
    return rank_scores(scores)


def rank_scores(scores: Mapping[str, Sequence[float]]) -> list[dict]:
    """Rank systems by their scores of the same items.

    Arguments
    ---------
    scores : Mapping
        Name to scores, item by item.

    Returns
    -------
    rows : list of dict
        As of `rank`.

    Example
    -------
    >>> for row in rank_scores({"first": [1.0, 2.0], "second": [4.0, 3.0]}):
    ...     print(row["separator"], row["si_snr"], row["standard_error"])
    second 3.5 0.0
    first 1.5 1.0
    """
    means = {name: statistics.fmean(items) for name, items in scores.items()}
    best = max(means, key=means.get)
    rows = []
    for name in sorted(means, key=means.get, reverse=True):
        differences = [
            first - second
            for first, second in zip(scores[best], scores[name], strict=True)
        ]
        spread = 0.0 if name == best else None
        if len(differences) > 1:
            spread = statistics.stdev(differences) / len(differences) ** 0.5
        rows.append(
            {
                "separator": name,
                "si_snr": means[name],
                "standard_error": spread,
                "mixtures": len(differences),
            }
        )
    return rows
