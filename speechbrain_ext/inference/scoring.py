"""Scoring files, and choosing among separators, without references."""

import logging
import os
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from speechbrain_ext.console import Failures, printable
from speechbrain_ext.corpora.finding import find_audio
from speechbrain_ext.inference.batch import (
    SOURCE,
    FirstFailure,
    list_audio,
    output_stem,
)
from speechbrain_ext.inference.recordings import Recording
from speechbrain_ext.inference.separator import Separator
from speechbrain_ext.inference.sisnr_estimator import SISNREstimator

logger = logging.getLogger(__name__)


def find_estimates(
    mixture: str | Path,
    estimates: str | Path,
    failures: Failures | None = None,
) -> dict[Path, list[Path]]:
    """Find the estimates of mixtures by their names.

    Arguments
    ---------
    mixture, estimates : str or Path
        Two folders; NAME.wav in the one is the mixture of NAME_source1.wav,
        NAME_source2.wav ... in the other, as
        `speechbrain-ext separate` writes them. Both may be the same folder.
    failures : Failures, optional
        Takes the mixtures that have no estimates and the like; by default
        the first one is raised.

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
    failures = FirstFailure() if failures is None else failures
    named, found = {}, {}
    for path in list_audio(mixture):
        name = path.parent.relative_to(mixture) / output_stem(path)
        named.setdefault(name, []).append(path)
    for name, paths in named.items():
        with failures.item(paths[0]):
            if len(paths) > 1:
                raise ValueError(
                    f"{' and '.join(map(str, paths))} have one name; their "
                    "estimates cannot be told apart: rename one"
                )
            found[name] = {}
    mixtures = {path for paths in named.values() for path in paths}
    # all else that lies beside the mixtures was passed over with a line
    beside = Path(os.path.realpath(mixture))
    for path in find_audio(estimates, outputs=True):
        stem, _, number = path.stem.rpartition(SOURCE)
        name = path.parent.relative_to(estimates) / stem
        if path in mixtures:
            continue
        if name in named and number.isdecimal():
            found.get(name, {}).setdefault(int(number), []).append(path)
        elif beside not in Path(os.path.realpath(path)).parents:
            with failures.item(path):
                raise ValueError(
                    f"{path} belongs to no mixture in {mixture}; the estimates "
                    f"of NAME.wav are NAME{SOURCE}1.wav, NAME{SOURCE}2.wav ..."
                )
    pairs = {}
    for name, numbered in found.items():
        (path,) = named[name]
        with failures.item(path):
            if not numbered:
                raise FileNotFoundError(
                    f"{path} has no estimates in {estimates}; they would be "
                    f"{name.name}{SOURCE}1.wav ..."
                )
            for number, paths in numbered.items():
                if len(paths) > 1:
                    raise ValueError(
                        f"{' and '.join(map(str, paths))} are both source "
                        f"{number} of {path}; keep one"
                    )
            pairs[path] = [numbered[number][0] for number in sorted(numbered)]
    return pairs


def score_files(
    estimator: SISNREstimator,
    pairs: Mapping[Path, Sequence[Path]],
    failures: Failures | None = None,
) -> list[dict]:
    """Estimate the SI-SNR of separated files.

    Arguments
    ---------
    estimator : SISNREstimator
        What judges.
    pairs : Mapping
        Mixture to the files of its estimates.
    failures : Failures, optional
        Takes the mixtures that cannot be scored: files are unusable, rates or
        lengths differ, or they do not belong together. By default the first
        one is raised.

    Returns
    -------
    rows : list of dict
        "mixture", "estimate" (paths) and "si_snr" in dB, one per estimate;
        with "error" in dB if the estimator tells it. A silent estimate gets
        the lowest value of the estimator, and a warning.

    Raises
    ------
    ValueError
        If a mixture cannot be scored; the message names the files.

    Example
    -------
    >>> score_files(estimator, {Path("a.wav"): [Path("a_source1.wav")]})
    ... # doctest: +SKIP
    [{'mixture': 'a.wav', 'estimate': 'a_source1.wav', 'si_snr': 7.3}]
    """
    return list(iterate_scores(estimator, pairs, failures))


def iterate_scores(
    estimator: SISNREstimator,
    pairs: Mapping[Path, Sequence[Path]],
    failures: Failures | None = None,
    progress: Callable[[float], object] | None = None,
) -> Iterator[dict]:
    """Give the rows of `score_files` one by one; see `Recording.watched`."""
    failures = FirstFailure() if failures is None else failures
    for mixture, estimates in pairs.items():
        rows = []
        with failures.item(mixture):
            scores, silent = _score_together(
                estimator, [mixture, *estimates], progress
            )
            for index, estimate in enumerate(estimates):
                values = [round(float(score[index]), 2) for score in scores]
                rows.append(
                    {
                        "mixture": str(mixture),
                        "estimate": str(estimate),
                        **dict(zip(("si_snr", "error"), values, strict=False)),
                    }
                )
                if silent[index]:
                    logger.warning(
                        "%s is silent: scored as %g dB",
                        printable(estimate),
                        estimator.module.snr_min,
                    )
        yield from rows


def _score_together(
    estimator: SISNREstimator,
    paths: Sequence[Path],
    progress: Callable[[float], object] | None,
):
    """Score files of one rate and one length, the first one the mixture."""
    with ExitStack() as stack:
        files = [stack.enter_context(Recording(path)) for path in paths]
        rate = files[0].sample_rate
        _require_same("sample rate", files, "sample_rate", "Hz")
        blocks = [files[0].watched(progress), *map(iter, files[1:])]
        try:
            found = estimator.score_blocks(blocks, rate)
        except ValueError as error:
            for rest in blocks:
                deque(rest, maxlen=0)
            _require_same("length", files, "frames", "samples")
            if any(str(file.path) in str(error) for file in files):
                raise
            raise ValueError(f"{paths[0]}: {error}") from error
        _require_same("length", files, "frames", "samples")
        files[0].require_sound()
    return found


def _require_same(
    what: str, files: Sequence[Recording], attribute: str, unit: str
) -> None:
    """Refuse files that differ from the first one."""
    first = getattr(files[0], attribute)
    for file in files[1:]:
        value = getattr(file, attribute)
        if value != first:
            raise ValueError(
                f"{files[0].path} has a {what} of {first} {unit}, {file.path} "
                f"one of {value}; an estimate must be like its mixture"
            )


def rank(
    estimator: SISNREstimator,
    separators: Mapping[str, Separator],
    mixtures: Iterable[Path],
    failures: Failures | None = None,
    progress: Callable[[float], object] | None = None,
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
    failures : Failures, optional
        Takes the mixtures that cannot be separated or scored, by whatever
        separator: they count for none of them. By default the first one is
        raised.
    progress : Callable, optional
        Gets the seconds of audio that a separator has read; see
        `Recording.watched`.

    Returns
    -------
    rows : list of dict
        "separator", "si_snr" (mean over mixtures and sources, in dB),
        "standard_error" (of the differences to the best one, over the
        mixtures; 0 for the best one, None if there is one mixture) and
        "mixtures", the best one first; empty if all mixtures failed.

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
    failures = FirstFailure() if failures is None else failures
    scores = {name: [] for name in separators}
    for path in mixtures:
        with failures.item(path):
            found = {
                name: _score_separator(
                    estimator, separator, path, name, progress
                )
                for name, separator in separators.items()
            }
            for name, score in found.items():
                scores[name].append(score)
    return rank_scores(scores) if any(scores.values()) else []


def _score_separator(
    estimator: SISNREstimator,
    separator: Separator,
    path: Path,
    name: str,
    progress: Callable[[float], object] | None,
) -> float:
    """Score what a separator makes of a mixture."""
    try:
        with (
            separator.separated(path, None, progress) as stored,
            Recording(path) as mixture,
        ):
            rate = mixture.sample_rate
            sources = range(len(stored))
            signals = [mixture, *(stored.blocks(s, rate) for s in sources)]
            scores, _ = estimator.score_blocks(signals, rate, check=False)
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}, {name}: {error}") from error
    return float(scores[0].mean())


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
