"""Small estimators in the layout that SpeechBrain publishes."""

import torch

from speechbrain_ext.models import SISNREstimator, WaveformEncoder

CHANNELS = 8
LAYER = """\
    cnn{number}: !new:speechbrain.nnet.CNN.Conv1d
        in_channels: {inputs}
        kernel_size: 4
        out_channels: 8
        stride: {stride}
        skip_transpose: true
        padding: valid
    relu{number}: !new:torch.nn.ReLU
"""
LAYERS = "".join(
    LAYER.format(
        number=number,
        inputs=2 if number == 1 else 8,
        stride=1 if number == 1 else 2,
    )
    for number in range(1, 6)
).removesuffix("    relu5: !new:torch.nn.ReLU\n")
ESTIMATOR = f"""\
sample_rate: 8000
snrmin: -10
snrmax: 20
use_snr_compression: true
separation_norm_type: stnorm
encoder: !new:speechbrain.nnet.containers.Sequential
    input_shape: [null, 2, null]
{LAYERS}
stat_pooling: !new:speechbrain.nnet.pooling.StatisticsPooling
encoder_out: !new:speechbrain.nnet.containers.Sequential
    input_shape: [null, 16]
    layer1: !new:speechbrain.nnet.linear.Linear
        input_size: 16
        n_neurons: 16
    relu: !new:torch.nn.ReLU
    layer2: !new:speechbrain.nnet.linear.Linear
        input_size: 16
        n_neurons: 1
    sigm: !new:torch.nn.Sigmoid
modules:
    encoder: !ref <encoder>
    encoder_out: !ref <encoder_out>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        encoder: !ref <encoder>
        encoder_out: !ref <encoder_out>
"""


def make_module(uncertainty=False):
    """An estimator of 8 channels and -10 to 20 dB."""
    torch.manual_seed(0)
    return SISNREstimator(
        snr_min=-10,
        snr_max=20,
        encoder=WaveformEncoder(CHANNELS),
        uncertainty=uncertainty,
    ).eval()


def write_estimator(folder, text=ESTIMATOR, uncertainty=False, outputs=1):
    """Make a folder as SpeechBrain publishes them; gives its network."""
    module = make_module(uncertainty)
    if uncertainty:
        text = text.replace("n_neurons: 1\n", "n_neurons: 2\n")
    weights = {
        "encoder": module.encoder.state_dict(),
        "encoder_out": module.encoder_out.state_dict(),
    }
    if outputs != 1:
        head = weights["encoder_out"]
        for name in ("layer2.w.weight", "layer2.w.bias"):
            head[name] = head[name].repeat_interleave(outputs, 0)
    folder.mkdir(exist_ok=True)
    (folder / "hyperparams.yaml").write_text(text)
    for name, state in weights.items():
        torch.save(state, folder / f"{name}.ckpt")
    return module
