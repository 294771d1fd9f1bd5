"""Harmless model folders, which the cases change."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch
from speechbrain.lobes.models import conv_tasnet, dual_path

from hostile.case import Place
from speechbrain_ext.models import ConvTasNet

# as SpeechBrain publishes separators
SEPARATOR = """\
sample_rate: 8000
num_spks: 2
Encoder: !new:speechbrain.lobes.models.dual_path.Encoder
  kernel_size: 16
  out_channels: 8
Decoder: !new:speechbrain.lobes.models.dual_path.Decoder
  in_channels: 8
  out_channels: 1
  kernel_size: 16
  stride: 8
  bias: false
MaskNet: !new:speechbrain.lobes.models.conv_tasnet.MaskNet
  N: 8
  B: 8
  H: 16
  P: 3
  X: 2
  R: 2
  C: 2
  norm_type: gLN
  causal: false
  mask_nonlinear: relu
modules:
  encoder: !ref <Encoder>
  decoder: !ref <Decoder>
  masknet: !ref <MaskNet>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables:
    masknet: !ref <MaskNet>
    encoder: !ref <Encoder>
    decoder: !ref <Decoder>
"""
# as this project publishes them
OURS = """\
sample_rate: 8000
separator: !new:speechbrain_ext.models.ConvTasNet
  num_sources: 2
  channels: 8
  kernel_size: 16
  bottleneck: 8
  hidden: 16
  skip: 8
  blocks: 2
  repeats: 1
modules:
  separator: !ref <separator>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables:
    separator: !ref <separator>
"""
FOLDER = tempfile.TemporaryDirectory(prefix="hostile")


@cache
def base(layout: str) -> Path:
    """Make a harmless folder once; cases copy it."""
    folder = Path(FOLDER.name, layout)
    folder.mkdir()
    text, states = SEPARATOR, state_dicts()
    if layout == "ours":
        text, states = OURS, {"separator": our_separator().state_dict()}
    (folder / "hyperparams.yaml").write_text(text)
    for name, state in states.items():
        torch.save(state, folder / f"{name}.ckpt")
    return folder


def our_separator() -> torch.nn.Module:
    """Give the network of OURS."""
    torch.manual_seed(0)
    return ConvTasNet(
        num_sources=2,
        channels=8,
        kernel_size=16,
        bottleneck=8,
        hidden=16,
        skip=8,
        blocks=2,
        repeats=1,
    )


def state_dicts() -> dict[str, dict]:
    """Give the weights of SEPARATOR."""
    torch.manual_seed(0)
    modules = {
        "encoder": dual_path.Encoder(kernel_size=16, out_channels=8),
        "decoder": dual_path.Decoder(
            in_channels=8, out_channels=1, kernel_size=16, stride=8, bias=False
        ),
        "masknet": conv_tasnet.MaskNet(N=8, B=8, H=16, P=3, X=2, R=2, C=2),
    }
    return {name: module.state_dict() for name, module in modules.items()}


def copy_base(place: Place, layout: str = "separator") -> Path:
    """Copy a harmless folder to where a case gives it; gives its YAML."""
    shutil.copytree(base(layout), place.given, dirs_exist_ok=True)
    secret = place.outside / "secret.ckpt"
    shutil.copy(base("separator") / "encoder.ckpt", secret)
    (place.outside / "secret.yaml").write_text("a: 1\n")
    return place.given / "hyperparams.yaml"
