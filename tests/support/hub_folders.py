"""Small folders in the layout that SpeechBrain publishes."""

import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.models.conv_tasnet import MaskNet

from speechbrain_ext.models import MaskingSeparator, SepFormer, SNRPredictor
from speechbrain_ext.models.separator import filterbank

PIECES = ("encoder", "masknet", "decoder")
PRETRAINER = """
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
FILTERS = """
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
"""
# in the layout of speechbrain/sepformer-wsj02mix
SEPFORMER = f"""# Model: Inference for source separation with SepFormer
{FILTERS}
SBtfintra: !new:speechbrain.lobes.models.dual_path.SBTransformerBlock
  num_layers: 1
  d_model: 8
  nhead: 2
  d_ffn: 16
  dropout: 0
  use_positional_encoding: true
  norm_before: true

SBtfinter: !new:speechbrain.lobes.models.dual_path.SBTransformerBlock
  num_layers: 1
  d_model: 8
  nhead: 2
  d_ffn: 16
  dropout: 0
  use_positional_encoding: true
  norm_before: true

MaskNet: !new:speechbrain.lobes.models.dual_path.Dual_Path_Model
  num_spks: !ref <num_spks>
  in_channels: 8
  out_channels: 8
  num_layers: 1
  K: 20
  intra_model: !ref <SBtfintra>
  inter_model: !ref <SBtfinter>
  norm: ln
  linear_layer_after_inter_intra: false
  skip_around_intra: true
{PRETRAINER}"""
CONV_TASNET = f"""
{FILTERS}
MaskNet: !new:speechbrain.lobes.models.conv_tasnet.MaskNet
  N: 8
  B: 8
  H: 16
  P: 3
  X: 2
  R: 2
  C: !ref <num_spks>
  norm_type: gLN
  causal: false
  mask_nonlinear: relu
{PRETRAINER}"""


# one small module, for tests in which it does not matter
PREDICTOR = """
predictor: !new:speechbrain_ext.models.SNRPredictor
  n_fft: 32
  hop: 16
  hidden: 2
  layers: 1
modules: {predictor: !ref <predictor>}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables: {predictor: !ref <predictor>}
"""


# of a run of ours; its separator may be built by other options
SPECTRAL = """
sample_rate: {sample_rate}
separator: !new:speechbrain_ext.models.SpectralConvTasNet
  num_sources: {num_sources}
  n_fft: 64
  hop: 32
  channels: 8
  hidden: 8
  blocks: 1
  repeats: 1
modules: {{separator: !ref <separator>}}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables: {{separator: !ref <separator>}}
"""


def predictor():
    return SNRPredictor(n_fft=32, hop=16, hidden=2, layers=1).eval()


def sepformer():
    return SepFormer(
        channels=8,
        blocks=1,
        intra_layers=1,
        inter_layers=1,
        heads=2,
        feedforward=16,
        chunk=20,
    ).eval()


def conv_tasnet():
    masknet = MaskNet(N=8, B=8, H=16, P=3, X=2, R=2, C=2)
    return MaskingSeparator(*filterbank(8, 16, masknet)).eval()


LAYOUTS = {
    "sepformer": (SEPFORMER, sepformer),
    "conv_tasnet": (CONV_TASNET, conv_tasnet),
}


def write_folder(folder, text=CONV_TASNET, build=conv_tasnet):
    """Make a folder as SpeechBrain publishes them; gives its separator."""
    folder.mkdir(exist_ok=True)
    (folder / "hyperparams.yaml").write_text(text)
    separator = build()
    for name in PIECES:
        weights = getattr(separator, name).state_dict()
        torch.save(weights, folder / f"{name}.ckpt")
    return separator


def write_spectral(folder, sample_rate=8000, num_sources=2):
    """Make a small release of ours; gives its separator."""
    folder.mkdir(exist_ok=True)
    text = SPECTRAL.format(sample_rate=sample_rate, num_sources=num_sources)
    (folder / "hyperparams.yaml").write_text(text)
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# It\n")
    separator = load_hyperpyyaml(text)["separator"].eval()
    torch.save(separator.state_dict(), folder / "separator.ckpt")
    return separator
