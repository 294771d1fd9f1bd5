"""The release folder of a trained recogniser, ready to be published."""

from pathlib import Path

from data import read_noise, read_speech
from speechbrain import Stage
from stages import chosen_stages

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
from speechbrain_ext.inference import Transcriber  # the project's package

transcriber = Transcriber.from_hparams("USER/NAME")  # or this folder
print(transcriber.transcribe_file("recording.wav"))
"""
CITATION = """
@article{lee2024cluster,
  title={Cluster-Based Pairwise Contrastive Loss for Noise-Robust Speech Recognition},
  author={Lee, Geon Woo and Kim, Hong Kook},
  journal={Sensors},
  volume={24},
  number={8},
  pages={2573},
  year={2024}
}
"""  # noqa: E501
FRONT_ENDS = {
    "none": "without enhancement",
    "separate": "behind an enhancer that was trained by itself",
    "joint": "with an enhancer that was trained together with it",
}


def make_release(hparams, summary, arguments):
    """Make OUTPUT_FOLDER/release from the network that was evaluated.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the joint network is trained.
    summary : dict
        Condition to figures.
    arguments : list of str
        Of the training's command line.

    Returns
    -------
    folder : Path
        For `python -m speechbrain_ext.hub`.
    """
    folder = Path(hparams["output_folder"])
    modules = {"joint": hparams["joint"]}
    if hparams["front_end"] == "none":
        modules = {"recogniser": hparams["joint"].recogniser}
    return build_release(
        folder / RELEASE,
        hyperparams=inference_hyperparams(
            folder / "hyperparams.yaml",
            modules=list(modules),
            values=("sample_rate", "alphabet"),
        ),
        modules=modules,
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
    corpus, _ = describe_corpus(hparams["prepare"])
    rows = read_speech(hparams, Stage.TRAIN)
    noisy = any(stage.noisy for stage in released_stages(hparams))
    if noisy:
        rows += read_noise(hparams, Stage.TRAIN)
    tags = ["automatic-speech-recognition", "pytorch"]
    if hparams["front_end"] != "none":
        tags.append("speech-enhancement")
    licences = sorted({row.licence or "not stated" for row in rows})
    return Card(
        name=f"Recogniser for {'noisy' if noisy else 'clean'} speech, "
        f"trained on {corpus}",
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
        tags=tags,
        pipeline_tag="automatic-speech-recognition",
        metrics=[
            Metric(
                name=f"word error rate, {condition}",
                value=round(figures["wer"], 2),
                dataset=corpus,
                unit="%",
                split=", ".join(hparams["test_splits"]),
                type="wer",
            )
            for condition, figures in summary.items()
        ],
    )


def released_stages(hparams):
    """List the stages that trained what is released."""
    stages = chosen_stages(hparams)
    if hparams["recogniser_training"] == "clean":
        return [stage for stage in stages if stage.name == "clean"]
    return stages


def describe_training(hparams):
    """Tell what the model is, and how it learnt."""
    joint = hparams["joint"]
    parameters = sum(p.numel() for p in joint.recogniser.parameters())
    text = (
        f"Writes down what is said at {hparams['sample_rate']} Hz, a character "
        f"at a time: conformer with CTC ({parameters:,} parameters), "
        f"{FRONT_ENDS[hparams['front_end']]}, decoded greedily."
    )
    if hparams["front_end"] != "none":
        parameters = sum(p.numel() for p in joint.enhancer.parameters())
        name = type(joint.enhancer).__name__
        text += f" The enhancer is a {name} ({parameters:,} parameters)."
    if hparams["front_end"] == "joint":
        text += (
            " Shares of the gradient at its output: CBPC "
            f"{hparams['cbpc_share']:g}, InfoNCE "
            f"{hparams['info_nce_share']:g}, cross-entropy on tokens "
            f"{hparams['token_share']:g}. The contrastive losses are "
            "reconstructed from a paper's abstract."
        )
    epochs = ", ".join(
        f"{stage.name} {hparams['epochs'][stage.name]}"
        for stage in released_stages(hparams)
    )
    return f"{text} Epochs of the stages: {epochs}; seed {hparams['seed']}."


def describe_data(hparams, rows):
    """Tell what it was trained on."""
    corpus, description = describe_corpus(hparams["prepare"])
    parts = [
        f"{len(found)} recordings of {kind} "
        f"({sum(row.seconds for row in found) / 3600:.1f} hours)"
        for kind in ("speech", "noise")
        if (found := [row for row in rows if row.kind == kind])
    ]
    text = f"Corpus `{corpus}`. {description} {' and '.join(parts)}"
    if len(parts) == 1:
        return f"{text}, without noise."
    low, high = hparams["snr_db"]
    return f"{text}, mixed at {low:g} to {high:g} dB."


def describe_limits(hparams):
    """Tell what the figures mean, and what was not tested."""
    same = ""
    if hparams["test_splits"] == hparams["valid_splits"]:
        same = " These were also the splits for validation."
    words = ""
    if hparams["closed_vocabulary"]:
        words = (
            " Only utterances all of whose words stand in the training's texts "
            "were tested; other words are mostly written wrongly."
        )
    return (
        f"It writes the characters {hparams['alphabet']!r} and no others, "
        "without punctuation or numerals. The figures are of the splits "
        f"{', '.join(hparams['test_splits'])} of the corpus, with noise that "
        f"was added.{same}{words} Nothing else was tested."
    )
