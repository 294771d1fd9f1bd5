"""Evaluation of the trained recogniser: words, sound, tokens."""

import json
import statistics
from pathlib import Path

import runs
import speechbrain as sb
import torch
from data import make_utterances
from objectives import decode
from page import (
    AGREEMENT,
    CLEAN,
    QUALITY,
    describe,
    draw,
    list_results,
    make_example,
    name_of,
    print_summary,
)
from release import make_release
from speechbrain.utils.metric_stats import ErrorRateStats
from stages import TOKENIZER, StageFolder, chosen_stages, load_teacher
from tqdm import tqdm

from speechbrain_ext.evaluation import (
    SeparationMetrics,
    normalise_text,
    without_nan,
    write_report,
)
from speechbrain_ext.files import replaced, write_csv
from speechbrain_ext.hub import publish_command
from speechbrain_ext.models import frame_mask


def make_conditions(hparams):
    """Make the test set at every SNR, and clean.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.

    Returns
    -------
    conditions : dict
        Name of the condition to NoisyUtterances; the noises of an utterance
        are the same at every SNR.
    """
    return {
        name_of(snr): make_utterances(
            hparams, sb.Stage.TEST, noisy=snr is not None, snr_db=[snr, snr]
        )
        for snr in (*hparams["test_snr_db"], None)
    }


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
    speech : NoisyUtteranceBatch
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


def count(rows, split):
    """Count what was heard wrongly: of the parts of every text.

    Arguments
    ---------
    rows : list of dict
        From `score`.
    split : Callable
        A text to its parts: words, or characters.

    Returns
    -------
    errors : ErrorRateStats
    """
    errors = ErrorRateStats()
    errors.append(
        [row["utterance"] for row in rows],
        [split(row["hypothesis"]) for row in rows],
        [split(row["reference"]) for row in rows],
    )
    return errors


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
    mistakes : dict
        Utterance to how many words are wrong, and how many there are.
    """
    summary = {"utterances": len(rows)}
    condition = rows[0]["condition"].replace(" ", "_")
    found = {"wer": count(rows, str.split), "cer": count(rows, list)}
    for name, errors in found.items():
        summary[name] = errors.summarize("WER")
        with replaced(folder / f"{name}_{condition}.txt") as partial:
            with open(partial, "w", encoding="utf-8") as file:
                errors.write_stats(file)
    mistakes = {
        utterance["key"]: [utterance["num_edits"], utterance["num_ref_tokens"]]
        for utterance in found["wer"].scores
    }
    for name in (*QUALITY, AGREEMENT):
        values = [row[name] for row in rows if name in row]
        values = [value for value in values if value == value]
        if values:
            summary[name] = statistics.fmean(values)
    return summary, mistakes


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
    rows, examples, summary, mistakes = [], [], {}, {}
    for condition, utterances in conditions.items():
        found, shown = score(hparams, teacher, condition, utterances)
        summary[condition], mistakes[condition] = summarise(found, folder)
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
        content = without_nan(
            {"info": info, "metrics": summary, "mistakes": mistakes}
        )
        text = json.dumps(content, indent=2, allow_nan=False)
        partial.write_text(text + "\n")
    write_csv(folder / "utterances.csv", rows)
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
