"""The release folder of a trained separator, ready to be published."""

import math
from pathlib import Path

from speechbrain_ext.dataio import read_manifest
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
USAGE = """
from speechbrain_ext.inference import Separator  # the project's package

separator = Separator.from_hparams("USER/NAME")  # or this folder
separator.separate_file("mixture.wav", "separated")
"""
CITATION = """
@article{maciejewski2026ring,
  title={Ring Mixing with Auxiliary Signal-to-Consistency-Error Ratio Loss for Unsupervised Denoising in Speech Separation},
  author={Maciejewski, Matthew and Cornell, Samuele},
  journal={arXiv preprint arXiv:2604.08415},
  year={2026}
}
"""  # noqa: E501


def make_release(hparams, summary, arguments):
    """Make OUTPUT_FOLDER/release from the separator that was evaluated.

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
        For `python -m speechbrain_ext.hub`.
    """
    folder = Path(hparams["output_folder"])
    return build_release(
        folder / RELEASE,
        hyperparams=inference_hyperparams(folder / "hyperparams.yaml"),
        modules={"separator": hparams["separator"]},
        card=make_card(hparams, summary, arguments),
    )


def make_card(hparams, summary, arguments):
    """Write the model card: what was done, and nothing that was not.

    Arguments
    ---------
    hparams, summary, arguments
        See `make_release`.

    Returns
    -------
    card : Card
    """
    model = type(hparams["separator"]).__name__
    corpus, _ = describe_corpus(hparams["prepare"])
    licences = sorted(
        {row.licence or "not stated" for row in training_recordings(hparams)}
    )
    return Card(
        name=f"{model} for two voices, trained on {corpus}",
        summary=describe_training(hparams),
        data=describe_data(hparams),
        command=training_command(arguments, root=ROOT),
        usage=USAGE,
        limits=describe_limits(hparams),
        license=LICENSE,
        license_text=(
            f"The weights: {LICENSE}. The recordings that they were trained "
            f"on have licences of their own: {'; '.join(licences)}."
        ),
        citation=CITATION,
        metrics=[
            Metric(
                name=COLUMNS[name].label,
                value=round(figures["mean"], 3),
                dataset=corpus,
                unit=COLUMNS[name].unit,
                split=hparams["test_split"],
            )
            for name, figures in summary.items()
            if math.isfinite(figures["mean"])
        ],
    )


def training_recordings(hparams):
    """List the recordings that the training drew from: speech and noise."""
    manifest, split = hparams["manifest"], hparams["train_split"]
    rows = read_manifest(manifest, kind="speech", split=split)
    if hparams["snr_db"] is not None:
        rows += read_manifest(manifest, kind="noise", split=split)
    return rows


def describe_training(hparams):
    """Tell what the model is, and how it learnt."""
    parameters = sum(p.numel() for p in hparams["separator"].parameters())
    method = "mixing of pairs"
    if hparams["mixing"] == "ring":
        method = "ring mixing (arXiv 2604.08415) without the SCER loss"
    if hparams["scer_weight"] > 0:
        method = (
            "ring mixing with the SCER loss (arXiv 2604.08415), weight "
            f"{hparams['scer_weight']:g}"
        )
    if hparams["purification"] is not None:
        method += (
            ", with the frames of the targets weighted by how clean a "
            "predictor says they are (arXiv 2104.02018)"
        )
    targets = {
        "noisy": "the recordings as they are, with their noise",
        "clean": "the speech before noise was added",
    }[hparams["targets"]]
    start = ""
    if hparams["start_from"] is not None:
        start = " It started from the model of another run of this recipe."
    return (
        f"Separates a mixture of two voices at {hparams['sample_rate']} Hz. "
        f"{type(hparams['separator']).__name__} with {parameters:,} "
        f"parameters, trained by {method}. Targets of the training: "
        f"{targets}. {hparams['number_of_epochs']} epochs of "
        f"{hparams['rings_per_epoch']} rings, seed {hparams['seed']}; "
        f"checkpoint selected by: {hparams['selection']}.{start}"
    )


def describe_data(hparams):
    """Tell what it was trained and tested on."""
    corpus, description = describe_corpus(hparams["prepare"])
    rows = training_recordings(hparams)
    speech = [row for row in rows if row.kind == "speech"]
    noises = len(rows) - len(speech)
    hours = sum(row.seconds for row in speech) / 3600
    speakers = len({row.speaker for row in speech})
    noise = "No noise was added: the recordings keep what they have."
    if hparams["snr_db"] is not None:
        low, high = hparams["snr_db"]
        level = f"{low:g} dB" if low == high else f"{low:g} to {high:g} dB"
        noise = (
            f"Noise of {noises} recordings was added to every source, at an "
            f"SNR of {level}."
        )
    return (
        f"Corpus `{corpus}`. {description} Trained on its split "
        f"{hparams['train_split']}: {len(speech)} recordings of {speakers} "
        f"speakers, {hours:.1f} hours. {noise}"
    )


def describe_limits(hparams):
    """Tell what the figures mean, and what was not tested."""
    against = "clean" if hparams["clean_speech_known"] else "noisy"
    same = ""
    if hparams["test_split"] == hparams["valid_split"]:
        same = " That split was also the one for validation."
    return (
        f"Always two outputs, for two voices, at {hparams['sample_rate']} "
        f"Hz. The figures are means over mixtures of two recordings of the "
        f"split {hparams['test_split']}, against the {against} speech.{same} "
        "DNSMOS, where it is shown, was measured on a few mixtures only. "
        "Nothing else was tested: no other corpus, no more or fewer voices."
    )
