"""Release folders of the recipe: its separators, and the estimator."""

import math
from pathlib import Path
from string import Template

from evaluate import GROUPS, split_members

from speechbrain_ext.hub import (
    Card,
    Metric,
    build_release,
    inference_hyperparams,
    training_command,
)
from speechbrain_ext.models import SpectralEncoder
from speechbrain_ext.models.strided_convolution import KERNEL
from speechbrain_ext.models.waveform_encoder import STRIDES

ROOT = Path(__file__).resolve().parents[3]

# in the layout of speechbrain/REAL-M-sisnr-estimator
ESTIMATOR = """\
# Blind SI-SNR estimator, in SpeechBrain's layout
sample_rate: $sample_rate
snrmin: $low
snrmax: $high
use_snr_compression: true
separation_norm_type: stnorm

$encoder
stat_pooling: !new:speechbrain.nnet.pooling.StatisticsPooling

encoder_out: !new:speechbrain.nnet.containers.Sequential
    input_shape: [null, $pooled]
    layer1: !new:speechbrain.nnet.linear.Linear
        input_size: $pooled
        n_neurons: $pooled
    relu: !new:torch.nn.ReLU
    layer2: !new:speechbrain.nnet.linear.Linear
        input_size: $pooled
        n_neurons: $outputs
    sigm: !new:torch.nn.Sigmoid

modules:
    encoder: !ref <encoder>
    encoder_out: !ref <encoder_out>

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        encoder: !ref <encoder>
        encoder_out: !ref <encoder_out>
"""
SPECTRAL = "encoder: !new:speechbrain_ext.models.SpectralEncoder\n"
WAVEFORM = """\
encoder: !new:speechbrain.nnet.containers.Sequential
    input_shape: [null, 2, null]
"""
LAYER = """\
    cnn{number}: !new:speechbrain.nnet.CNN.Conv1d
        in_channels: {inputs}
        out_channels: {outputs}
        kernel_size: {kernel}
        stride: {stride}
        padding: valid
        skip_transpose: true
"""
RECTIFIER = "    relu{number}: !new:torch.nn.ReLU\n"
CITATION = """
@inproceedings{subakan2022realm,
  title={{REAL-M}: Towards Speech Separation on Real Mixtures},
  author={Subakan, Cem and Ravanelli, Mirco and Cornell, Samuele and Grondin, Fran\\c{c}ois},
  booktitle={Proc. ICASSP},
  year={2022}
}
"""  # noqa: E501


def separator_release(
    folder, *, name, epoch, separator, si_sdr, hparams, arguments
):
    """Write a separator of the pool in hub layout.

    Arguments
    ---------
    folder : str or Path
        Where to.
    name : str
        Key of `separators`.
    epoch : int
        After which it is what it is.
    separator : torch.nn.Module
        With the weights of that epoch.
    si_sdr : float
        Of the validation mixtures, in dB.
    hparams : dict
        Of the hyperparameter file.
    arguments : list of str
        Of the command line.
    """
    corpora = " and ".join(hparams["corpora"])
    build_release(
        folder,
        hyperparams=inference_hyperparams(
            Path(hparams["pool_folder"]) / "hyperparams.yaml",
            modules={"separator": f"separators.{name}"},
        ),
        modules={"separator": separator},
        card=Card(
            name=f"{name}, epoch {epoch}",
            summary=(
                "A small separator of two voices, one of the pool whose "
                "separations the blind SI-SNR estimator learns to judge."
            ),
            data=f"{describe_mixtures(hparams)} Clean targets.",
            command=training_command(
                arguments,
                root=ROOT,
                script="recipes/REAL-M/sisnr_estimation/pool.py",
            ),
            usage=(
                "from speechbrain_ext.inference import Separator\n"
                'Separator.from_hparams("USER/NAME")  # or this folder'
            ),
            limits="Meant to be of any quality, good or bad.",
            license="apache-2.0",
            citation=CITATION,
            metrics=[
                Metric(
                    name="SI-SDR",
                    value=round(float(si_sdr), 2),
                    dataset=corpora,
                    split="valid",
                    unit="dB",
                )
            ],
        ),
    )


def describe_mixtures(hparams):
    """Tell what is mixed, and how."""
    low, high = hparams["snr_db"]
    return (
        f"Mixtures of two voices, made on the fly of "
        f"{' and '.join(hparams['corpora'])}: each voice with noise at "
        f"{low:g} to {high:g} dB, {1 - hparams['dry_share']:.0%} of them in "
        "rooms."
    )


def estimator_hyperparams(estimator, sample_rate):
    """Write the inference hyperparams.yaml of an estimator.

    Arguments
    ---------
    estimator : speechbrain_ext.models.SISNREstimator
        The network.
    sample_rate : int
        In Hz.

    Returns
    -------
    text : str
        For `build_release`.
    """
    encoder = estimator.encoder
    return Template(ESTIMATOR).substitute(
        sample_rate=sample_rate,
        low=estimator.snr_min,
        high=estimator.snr_max,
        encoder=encoder_lines(encoder),
        pooled=2 * encoder.channels,
        outputs=2 if estimator.uncertainty else 1,
    )


def encoder_lines(encoder):
    """Write what builds an encoder.

    Arguments
    ---------
    encoder : WaveformEncoder or SpectralEncoder
        The paper's is written in SpeechBrain's own layers.

    Returns
    -------
    lines : str
        YAML.
    """
    if isinstance(encoder, SpectralEncoder):
        return SPECTRAL + "".join(
            f"    {name}: {value}\n"
            for name, value in encoder.arguments.items()
        )
    layers = ""
    for number, stride in enumerate(STRIDES, start=1):
        if number > 1:
            layers += RECTIFIER.format(number=number - 1)
        layers += LAYER.format(
            number=number,
            inputs=encoder.channels if number > 1 else 2,
            outputs=encoder.channels,
            kernel=KERNEL,
            stride=stride,
        )
    return WAVEFORM + layers


def estimator_release(folder, hparams, metrics, arguments):
    """Write the trained estimator in the layout that SpeechBrain publishes.

    Arguments
    ---------
    folder : str or Path
        Where to.
    hparams : dict
        Of the hyperparameter file; the selected checkpoint is loaded.
    metrics : dict
        What `evaluate` returned.
    arguments : list of str
        Of the command line.

    Returns
    -------
    folder : Path
    """
    estimator = hparams["estimator"].cpu()
    rate = hparams["sample_rate"]
    low, high = estimator.snr_min, estimator.snr_max
    members, _ = split_members(hparams)
    network = "with its network"
    if isinstance(estimator.encoder, SpectralEncoder):
        network = "but the network works on spectrograms"
    figures = [
        Metric(
            name=f"{what}, separators {GROUPS[group]}",
            value=round(found[key], 3),
            dataset=corpus,
            split=hparams["corpora"][corpus]["splits"][2],
            unit=unit,
            type=kind,
        )
        for corpus, groups in metrics["corpora"].items()
        for group, found in groups.items()
        for key, what, unit, kind in (
            ("pearson", "Pearson correlation", "", "pearsonr"),
            (
                "error_within_range",
                "mean absolute error within range",
                "dB",
                "mae",
            ),
        )
        if math.isfinite(found[key])
    ]
    return build_release(
        folder,
        hyperparams=estimator_hyperparams(estimator, rate),
        modules={
            "encoder": estimator.encoder,
            "encoder_out": estimator.encoder_out,
        },
        card=Card(
            name="Blind SI-SNR estimator",
            summary=(
                "Tells how good a separation of voices is, without "
                "references: a mixture and one separated source in, the "
                f"source's SI-SNR in dB out, between {low:g} and {high:g} dB. "
                f"The method is that of REAL-M, {network}."
            ),
            data=(
                f"{describe_mixtures(hparams)} They were separated by "
                f"{len(members)} frozen separators: {', '.join(members)}."
            ),
            command=training_command(arguments, root=ROOT),
            usage=(
                "from speechbrain_ext.inference import SISNREstimator\n\n"
                'estimator = SISNREstimator.from_hparams("USER/NAME")\n'
                "estimator.score(\n"
                "    mixture=mixture,  # (batch, time)\n"
                "    estimates=estimates,  # (batch, sources, time)\n"
                f"    sample_rate={rate},\n"
                ")  # (batch, sources), in dB"
            ),
            limits=(
                f"Trained at {rate} Hz on separations of two voices by the "
                "separators named above; others were tested where the figures "
                "say so. The score of one source is off by the error above; "
                "means over many mixtures are what ranks separators."
            ),
            license="apache-2.0",
            citation=CITATION,
            metrics=figures,
            tags=("audio-source-separation", "quality-estimation", "pytorch"),
        ),
    )
