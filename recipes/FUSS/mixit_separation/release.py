"""The release folder of a trained separator, ready to be published."""

import math
from pathlib import Path

from data import trained_on

from speechbrain_ext.dataio import read_recordings
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
separator.separate_file("mixture.wav", "separated", active_only=True)
"""
CITATION = """
@inproceedings{wisdom2021sparse,
  title={Sparse, Efficient, and Semantic Mixture Invariant Training: Taming In-the-Wild Unsupervised Sound Separation},
  author={Wisdom, Scott and Jansen, Aren and Weiss, Ron J. and Erdogan, Hakan and Hershey, John R.},
  booktitle={Proc. WASPAA},
  year={2021}
}
"""  # noqa: E501
# name to label, of the means; all in dB, higher is better
FIGURES = {
    "msi": "MSi: SI-SNR improvement, clips of 2 to 4 sources",
    "one_source": "1S: SI-SNR, clips of one source",
    "msi_all": "MSi, sources without an active output counted too",
    "one_source_all": "1S, counted likewise",
}
KINDS = ("speech", "event", "noise", "mixture")


def make_release(hparams, summary, arguments):
    """Make OUTPUT_FOLDER/release from the separator that was evaluated.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the selected checkpoint is loaded.
    summary : dict
        From `speechbrain_ext.evaluation.summarise`.
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
        hyperparams=inference_hyperparams(
            folder / "hyperparams.yaml", values=("sample_rate", "match_level")
        ),
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
    model = type(hparams["network"]).__name__
    corpus, _ = describe_corpus(hparams["prepare"])
    rows = training_recordings(hparams)
    licences = sorted({row.licence or "not stated" for row in rows})
    return Card(
        name=f"{model} for any sounds, trained on {corpus}",
        summary=describe_training(hparams),
        data=describe_data(hparams, rows),
        command=training_command(arguments, root=ROOT),
        usage=USAGE,
        limits=describe_limits(hparams),
        license=LICENSE,
        license_text=(
            f"The weights: {LICENSE}. The recordings that they were trained "
            f"on have licences of their own: {'; '.join(licences)}."
        ),
        citation=CITATION,
        tags=("audio-source-separation", "sound-separation", "pytorch"),
        metrics=[
            Metric(
                name=label,
                value=round(summary[name], 3),
                dataset=corpus,
                unit="dB",
                split=hparams["test_split"],
            )
            for name, label in FIGURES.items()
            if math.isfinite(summary.get(name, math.nan))
        ],
    )


def training_recordings(hparams):
    """List the recordings that the training drew from."""
    rows = read_recordings(hparams["manifest"], split=hparams["train_split"])
    mixtures = [row for row in rows if row.kind == "mixture"]
    if mixtures:
        return mixtures
    options = trained_on(hparams).keywords
    kinds = ["event"]
    kinds += ["speech"] * bool(options["voice_share"])
    kinds += ["noise"] * bool(options.get("noise_share"))
    return [row for row in rows if row.kind in kinds]


def describe_training(hparams):
    """Tell what the model is, and how it learnt."""
    parameters = sum(p.numel() for p in hparams["separator"].parameters())
    method = (
        "mixture-invariant training (MixIT, arXiv 2006.12701): two mixtures "
        "are summed, and its outputs are assigned to them; no separated sound "
        "was a target"
    )
    single = hparams["mixtures"].keywords.get("single_share", 0)
    if single:
        method += (
            f", but {single:.0%} of the mixtures that were summed held a "
            "single sound each, which nothing marked"
        )
    if hparams["objective"] == "supervised":
        method = "supervised training with the separated sources as targets"
    terms = [
        f"{name} weight {hparams[name + '_weight']:g}"
        for name in ("sparsity", "covariance", "semantic")
        if hparams[name + "_weight"] > 0
    ]
    if terms:
        method += f"; added to it (arXiv 2106.00847): {', '.join(terms)}"
    return (
        f"Separates any sounds at {hparams['sample_rate']} Hz into "
        f"{hparams['num_sources']} outputs, of which some may be silent. "
        f"{type(hparams['network']).__name__} with {parameters:,} parameters, "
        f"mixture consistency {hparams['consistency']}, trained by {method}. "
        f"{hparams['number_of_epochs']} epochs of "
        f"{hparams['batches_per_epoch']} batches of {hparams['batch_size']} "
        f"mixtures, seed {hparams['seed']}; checkpoint selected by: "
        f"{hparams['selection']}."
    )


def describe_data(hparams, rows):
    """Tell what it was trained on."""
    corpus, description = describe_corpus(hparams["prepare"])
    counts = {kind: [r for r in rows if r.kind == kind] for kind in KINDS}
    parts = [
        f"{len(found)} of the kind {kind} "
        f"({sum(row.seconds for row in found) / 3600:.1f} hours)"
        for kind, found in counts.items()
        if found
    ]
    return (
        f"Corpus `{corpus}`. {description} Recordings of its split "
        f"{hparams['train_split']}: {', '.join(parts)}."
    )


def describe_limits(hparams):
    """Tell what the figures mean, and what was not tested."""
    same = ""
    if hparams["test_split"] == hparams["valid_split"]:
        same = " That split was also the one for validation."
    figures = (
        "The figures are means over made mixtures of the split "
        f"{hparams['test_split']}.{same}"
    )
    untested = "Nothing else was tested: no other corpus, no real recordings."
    if not hparams["references"]:
        untested = "No other recordings were tried."
        figures = (
            "The recordings have no references, so that no figure tells how "
            "well their sounds are separated."
        )
    levels = (
        "Levels of the outputs are those in the mixture, since they add up to "
        "it."
    )
    if hparams["consistency"] == "none":
        levels = (
            "Outputs need not add up to the mixture; their levels are those "
            "that the network gives."
        )
    return (
        f"Always {hparams['num_sources']} outputs; which of them hold a sound "
        f"is told by `active_outputs`, a rule of thumb. {figures} "
        f"{levels} {untested}"
    )
