"""Separators: one module each, mixture (B, T) in, estimates (B, S, T) out."""

from speechbrain_ext.models.conv_tasnet import ConvTasNet
from speechbrain_ext.models.separator import MaskingSeparator
from speechbrain_ext.models.sepformer import SepFormer
from speechbrain_ext.models.spectral import (
    SpectralConvTasNet,
    SpectralSeparator,
    SpectralSepFormer,
)

__all__ = [
    "ConvTasNet",
    "MaskingSeparator",
    "SepFormer",
    "SpectralConvTasNet",
    "SpectralSepFormer",
    "SpectralSeparator",
]
