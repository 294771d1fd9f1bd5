"""The release folder of a trained network, ready to be used or published."""

import math
from pathlib import Path

import speechbrain as sb
from data import is_personal, make_speech, speech_of
from networks import choose_network, selection_key

from speechbrain_ext.evaluation import COLUMNS
from speechbrain_ext.hub import (
    RELEASE,
    Card,
    Metric,
    build_release,
    describe_corpus,
    inference_hyperparams,
    training_command,
)

ROOT = Path(__file__).resolve().parents[3]
LICENSE = "apache-2.0"
USAGE = {
    "separator": """
from speechbrain_ext.inference import Enhancer  # the project's package

enhancer = Enhancer.from_hparams("USER/NAME")  # or this folder
enhancer.enhance_file("recording.wav", "enhanced")
""",
    "predictor": """
from speechbrain_ext.inference import load_predictor  # the project's package

predictor = load_predictor("USER/NAME", sample_rate=16000)  # or this folder
frame_snr_db = predictor(noisy)  # (batch, time) to (batch, frames)
""",
}
CITATION = """
@inproceedings{sivaraman2021personalized,
  title={Personalized Speech Enhancement through Self-Supervised Data Augmentation and Purification},
  author={Sivaraman, Aswin and Kim, Sunwoo and Kim, Minje},
  booktitle={Proc. Interspeech},
  year={2021}
}
"""  # noqa: E501
NAMES = {
    "snr_predictor": "Predictor of frame SNRs",
    "generalist": "Speech enhancement for anyone",
    "personalize": "Speech enhancement for one user",
}
PREDICTOR_METRICS = {
    "error_db": ("error of a frame's SNR", "dB"),
    "correlation": ("correlation with the true SNR", ""),
}


def make_release(hparams, summary, arguments):
    """Make OUTPUT_FOLDER/release from the network that was evaluated.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the selected checkpoint is loaded.
    summary : dict of dict
        From `ScoreTable.summary`.
    arguments : list of str
        Of the training's command line.

    Returns
    -------
    folder : Path
        For `Enhancer.from_hparams`, or for `--predictor`.
    """
    folder = Path(hparams["output_folder"])
    name, key, values = "separator", f"enhancers.{hparams['model']}", []
    if hparams["stage"] == "snr_predictor":
        name, key = "predictor", "snr_predictor"
    else:
        values = ["match_level"]
    return build_release(
        folder / RELEASE,
        hyperparams=inference_hyperparams(
            folder / "hyperparams.yaml",
            modules={name: key},
            values=("sample_rate", *values),
        ),
        modules={name: choose_network(hparams)},
        card=make_card(hparams, summary, arguments, USAGE[name]),
    )


def make_card(hparams, summary, arguments, usage):
    """Write the model card: what was done, and nothing that was not."""
    corpus, _ = describe_corpus(hparams["prepare"])
    speech, _ = speech_of(hparams, sb.Stage.TRAIN)
    licences = sorted({row.licence or "not stated" for row in speech})
    return Card(
        name=f"{NAMES[hparams['stage']]}, trained on {corpus}",
        summary=describe_training(hparams),
        data=describe_data(hparams, speech),
        command=training_command(arguments, root=ROOT),
        usage=usage,
        limits=describe_limits(hparams),
        license=LICENSE,
        license_text=(
            f"The weights: {LICENSE}. The recordings that they were trained "
            f"on have licences of their own: {'; '.join(licences)}."
        ),
        citation=CITATION,
        tags=("speech-enhancement", "speech", "pytorch"),
        metrics=list_metrics(hparams, summary, corpus),
    )


def list_metrics(hparams, summary, corpus):
    """List the figures of the card."""
    metrics = []
    for name, figures in summary.items():
        if hparams["stage"] == "snr_predictor":
            label, unit = PREDICTOR_METRICS.get(name, ("", ""))
        else:
            label, unit = COLUMNS[name][:2] if name in COLUMNS else ("", "")
            if label and not hparams["clean_speech_known"]:
                label += " (against the noisy recordings)"
        if label and math.isfinite(figures["mean"]):
            metrics.append(
                Metric(
                    name=label,
                    value=round(figures["mean"], 3),
                    dataset=corpus,
                    unit=unit,
                    split="user_test",
                )
            )
    return metrics


def describe_training(hparams):
    """Tell what the model is, and how it learnt."""
    network = choose_network(hparams)
    parameters = sum(p.numel() for p in network.parameters())
    does = {
        "snr_predictor": "Tells how clean each frame of noisy speech is",
        "generalist": "Takes noise from speech",
        "personalize": "Takes noise from the speech of one user",
    }[hparams["stage"]]
    return (
        f"{does}, at {hparams['sample_rate']} Hz. {type(network).__name__} "
        f"with {parameters:,} parameters. {describe_method(hparams)} "
        f"{hparams['number_of_epochs']} epochs of "
        f"{hparams['batches_per_epoch']} batches of {hparams['batch_size']} "
        f"segments of {hparams['segment_seconds']:g} s, seed "
        f"{hparams['seed']}; checkpoint selected by: {selection_key(hparams)}."
    )


def describe_method(hparams):
    """Tell what was the loss, and what the targets."""
    if hparams["stage"] == "snr_predictor":
        return "Trained on clean speech with noise, whose SNRs are known."
    if hparams["stage"] == "generalist":
        return f"Trained on clean speech with noise, loss {hparams['loss']}."
    if hparams["targets"] == "clean":
        return (
            "Trained on the user's noisy recordings, to which noise was "
            "added, with the clean speech in them as targets."
        )
    method = (
        "Trained on the user's noisy recordings alone, to which noise was "
        "added, with the recordings as targets (pseudo enhancement, arXiv "
        f"2104.02018), loss {hparams['loss']}, "
    )
    method += {
        "none": "all frames alike.",
        "predicted": "frames weighted by how clean a predictor says they are "
        "(data purification).",
        "oracle": "frames weighted by how clean they are, which a user does "
        "not know.",
    }[hparams["purification"]]
    if hparams["positive_weight"] or hparams["negative_weight"]:
        method += (
            " Contrastive mixtures (arXiv 2104.02017), weights "
            f"{hparams['positive_weight']:g} and "
            f"{hparams['negative_weight']:g}."
        )
    if hparams["start_from"] is not None:
        method += " It started from the model of another run of this recipe."
    return method


def describe_data(hparams, speech):
    """Tell what it was trained on."""
    corpus, description = describe_corpus(hparams["prepare"])
    minutes = sum(row.seconds for row in speech) / 60
    speakers = len({row.speaker for row in speech})
    noises = make_speech(hparams, sb.Stage.TRAIN).loader.dataset.noise
    whose = f"of {speakers} speakers"
    if is_personal(hparams):
        whose = "of one user"
        if hparams["clean_speech_known"]:
            whose += ", noisy by noise that was added once"
    return (
        f"Corpus `{corpus}`. {description} Trained on {len(speech)} "
        f"recordings {whose}, {minutes:.1f} minutes, with noise of "
        f"{len(noises)} recordings."
    )


def describe_limits(hparams):
    """Tell what the figures mean, and what was not tested."""
    if hparams["stage"] == "snr_predictor":
        return (
            "The figures are means over recordings of the split user_test, "
            "with noises that were not heard in training. It has learnt "
            "speech with noise; to a second voice it has never listened."
        )
    limits = "One voice in noise; a second voice stays, and reverberation too. "
    if not hparams["clean_speech_known"]:
        return limits + (
            "The figures are against the user's noisy recordings, to which "
            "noise was added. They do not tell how well the recordings "
            "themselves are enhanced."
        )
    if is_personal(hparams):
        limits += f"It is for the user {hparams['user']} alone. "
    return limits + (
        "The figures are means over mixtures of clean speech of the split "
        f"user_test with noises of the split {hparams['test_noise_split']}, "
        f"at {hparams['test_snr_db'][0]:g} to {hparams['test_snr_db'][1]:g} "
        "dB. Nothing else was tested."
    )
