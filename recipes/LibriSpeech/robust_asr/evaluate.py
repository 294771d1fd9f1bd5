"""Evaluation of the trained recogniser: words, sound, tokens."""

import csv
import json
import statistics
from pathlib import Path

import runs
import speechbrain as sb
import torch
from data import make_utterances
from objectives import decode
from release import make_release
from speechbrain.utils.metric_stats import ErrorRateStats
from stages import TOKENIZER, StageFolder, chosen_stages, load_teacher
from tqdm import tqdm

from speechbrain_ext.evaluation import (
    COLUMNS,
    Example,
    Result,
    SeparationMetrics,
    error_rate_against_snr,
    normalise_text,
    training_curves,
    without_nan,
    write_report,
)
from speechbrain_ext.files import replaced
from speechbrain_ext.hub import publish_command
from speechbrain_ext.models import frame_mask

CLEAN = "clean"
ERRORS = {"wer": "word error rate", "cer": "character error rate"}
QUALITY = ("si_sdr", "pesq_nb", "pesq_wb", "stoi", "estoi")
AGREEMENT = "agreement"


def make_conditions(hparams):
    """Make the test set at every SNR, and clean.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.

    Returns
    -------
    conditions : dict
        Name of the condition to NoisyUtterances; the noise of an utterance
        is the same at every SNR.
    """
    test = sb.Stage.TEST
    conditions = {
        name_of(snr): make_utterances(
            hparams, test, noisy=True, snr_db=[snr, snr]
        )
        for snr in hparams["test_snr_db"]
    }
    conditions[CLEAN] = make_utterances(hparams, test, noisy=False)
    return conditions


def name_of(snr):
    """Name the condition of an SNR in dB."""
    return f"{snr:g} dB"


@torch.no_grad()
def score(hparams, teacher, condition, utterances):
    """Enhance, recognise and measure the test set in one condition.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the joint network is the one to judge.
        Only this process evaluates, so it is the bare module.
    teacher : torch.nn.Module
        Whose outputs the tokens are made of.
    condition : str
        Its name.
    utterances : NoisyUtterances
        The test set.

    Returns
    -------
    rows, examples : list of dict, list of Example
    """
    joint = hparams["joint"].eval()
    enhance = hparams["front_end"] != "none"
    device = next(joint.parameters()).device
    measure = SeparationMetrics(
        sample_rate=hparams["sample_rate"], metrics=hparams["metrics"]
    )
    rows, examples = [], []
    utterances.to(device)
    for batch in tqdm(utterances.loader, condition, dynamic_ncols=True):
        speech = utterances.mix(batch)
        output = joint(speech.noisy, speech.lengths, enhance=enhance)
        heard = decode(
            output.recognition.log_probabilities,
            speech.lengths,
            hparams["characters"],
        )
        same = token_agreement(hparams, teacher, speech, output.waveforms)
        ends = (speech.lengths * speech.clean.shape[1]).round().int().tolist()
        for place, end in enumerate(ends):
            signals = {
                "estimates": output.waveforms[place : place + 1, :end],
                "targets": speech.clean[place : place + 1, :end],
                "mixture": speech.noisy[place, :end],
            }
            sound = measure(**signals, utterance=speech.ids[place])[0]
            # clean speech has no noise: its SI-SDR says nothing
            kept = QUALITY[condition == CLEAN :]
            row = {
                "utterance": speech.ids[place],
                "condition": condition,
                "reference": normalise_text(speech.texts[place]),
                "hypothesis": heard[place],
                **{name: sound[name] for name in kept if name in sound},
                AGREEMENT: same[place],
            }
            rows.append(row)
            if len(examples) < hparams["examples"]:
                sample_rate = hparams["sample_rate"]
                examples.append(make_example(row, signals, sample_rate))
    return rows, examples


def token_agreement(hparams, teacher, speech, waveforms):
    """Find the share of frames with the token of their clean twins.

    Arguments
    ---------
    hparams, teacher
        See `score`.
    speech : NoisySpeech
        With the clean twins.
    waveforms : torch.Tensor
        What was recognised, shape (batch, time).

    Returns
    -------
    shares : list of float
        Of each utterance.
    """
    tokens = [
        hparams["tokenizer"](teacher(signal, speech.lengths).frames)
        for signal in (waveforms, speech.clean)
    ]
    mask = frame_mask(speech.lengths, tokens[0].shape[1])
    same = (tokens[0] == tokens[1]) & mask
    return (same.sum(1) / mask.sum(1)).tolist()


def make_example(row, signals, sample_rate):
    """Put one utterance onto the results page."""
    return Example(
        name=f"{row['condition']}: {row['utterance']}",
        mixture=signals["mixture"].cpu(),
        estimates=signals["estimates"].cpu(),
        references=signals["targets"].cpu(),
        sample_rate=sample_rate,
        scores=[{name: row[name] for name in QUALITY if name in row}],
        note=f"Said: {row['reference']}. Heard: {row['hypothesis']}.",
    )


def summarise(rows, folder):
    """Average over the utterances of one condition; write the alignments.

    Arguments
    ---------
    rows : list of dict
        From `score`.
    folder : Path
        Gets wer_CONDITION.txt and cer_CONDITION.txt.

    Returns
    -------
    summary : dict
        "wer" and "cer" in percent, means of all else.
    """
    summary = {"utterances": len(rows)}
    condition = rows[0]["condition"].replace(" ", "_")
    for name, split in (("wer", str.split), ("cer", list)):
        errors = ErrorRateStats()
        errors.append(
            [row["utterance"] for row in rows],
            [split(row["hypothesis"]) for row in rows],
            [split(row["reference"]) for row in rows],
        )
        summary[name] = errors.summarize("WER")
        with replaced(folder / f"{name}_{condition}.txt") as partial:
            with open(partial, "w", encoding="utf-8") as file:
                errors.write_stats(file)
    for name in (*QUALITY, AGREEMENT):
        values = [row[name] for row in rows if name in row]
        values = [value for value in values if value == value]
        if values:
            summary[name] = statistics.fmean(values)
    return summary


def evaluate(hparams, conditions, arguments):
    """Score the trained network, write all results and print a summary.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the joint network is trained.
    conditions : dict
        From `make_conditions`.
    arguments : list of str
        Of the command line, for the model card.
    """
    folder = Path(hparams["output_folder"])
    teacher = load_teacher(hparams)
    rows, examples, summary = [], [], {}
    for condition, utterances in conditions.items():
        found, shown = score(hparams, teacher, condition, utterances)
        summary[condition] = summarise(found, folder)
        rows += found
        examples += shown
    stages = {
        name: StageFolder(hparams, name).result()
        for name in (*(s.name for s in chosen_stages(hparams)), TOKENIZER)
    }
    info = {
        "configuration": runs.configuration(hparams),
        "seed": hparams["seed"],
        "stages": {
            name: {k: v for k, v in result.items() if k != "identity"}
            for name, result in stages.items()
        },
    }
    with replaced(folder / "metrics.json") as partial:
        content = without_nan({"info": info, "metrics": summary})
        text = json.dumps(content, indent=2, allow_nan=False)
        partial.write_text(text + "\n")
    write_rows(folder / "utterances.csv", rows)
    write_report(
        folder,
        title="Recognition in noise",
        figures=list_results(summary),
        notes=describe(hparams),
        plots=draw(hparams, summary),
        examples=examples,
    )
    print_summary(summary)
    release = make_release(hparams, summary, arguments)
    print(f"Figures and page with players: {folder}/index.html")
    print(f"Model to publish: {release}, by the command")
    print(f"  {publish_command(folder)}")


def write_rows(path, rows):
    """Write a line for each utterance and condition."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (
        replaced(path) as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(hparams, summary):
    """Draw the plots of the results page: a list of (path, caption)."""
    folder = Path(hparams["output_folder"])
    error_rate_against_snr(
        folder / "wer.png",
        arms=[{"name": hparams["front_end"], **points(summary)}],
    )
    plots = [(folder / "wer.png", "Word error rate against the SNR.")]
    for stage in chosen_stages(hparams):
        path = folder / f"training_{stage.name}.png"
        history = StageFolder(hparams, stage.name).path / "history.csv"
        training_curves(path, history=history)
        plots.append((path, f"The course of the stage {stage.name}."))
    return plots


def points(summary):
    """Turn a summary into the points of a curve."""
    return {
        "snr_db": [
            None if name == CLEAN else float(name.split()[0])
            for name in summary
        ],
        "wer": [figures["wer"] for figures in summary.values()],
    }


def list_results(summary):
    """List the figures for the results page."""
    results = []
    for condition, figures in summary.items():
        results += [
            Result(f"{condition}: {label}", figures[name], "%", better="lower")
            for name, label in ERRORS.items()
        ]
        results += [
            Result(
                f"{condition}: {COLUMNS[name].label}",
                figures[name],
                COLUMNS[name].unit,
            )
            for name in QUALITY
            if name in figures
        ]
        share = 100 * figures[AGREEMENT]
        results.append(Result(f"{condition}: tokens as in clean", share, "%"))
    return results


def describe(hparams):
    """Say what was run, for the results page."""
    words = ""
    if hparams["closed_vocabulary"]:
        words = " Only utterances all of whose words stand in the training."
    return [
        f"Front end: {hparams['front_end']}; recogniser trained on "
        f"{hparams['recogniser_training']} conditions; shares of the gradient: "
        f"CBPC {hparams['cbpc_share']:g}, InfoNCE "
        f"{hparams['info_nce_share']:g}, tokens {hparams['token_share']:g}; "
        f"shuffled labels: {hparams['shuffle_labels']}; seed "
        f"{hparams['seed']}.",
        f"Tested on the splits {', '.join(hparams['test_splits'])}, decoded "
        f"greedily, without a language model.{words}",
    ]


def print_summary(summary):
    """Print the headline figures."""
    print(f"\n{'condition':12s}{'WER':>9s}{'CER':>9s}{'tokens':>10s}")
    for condition, figures in summary.items():
        print(
            f"{condition:12s}{figures['wer']:7.1f} %{figures['cer']:7.1f} %"
            f"{100 * figures[AGREEMENT]:8.1f} %"
        )
