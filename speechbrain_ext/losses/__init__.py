"""Pure functions on tensors that score estimates.

Against targets or mixtures in dB; mean square errors and the penalties of
MixIT have units of their own.
"""

from speechbrain_ext.losses.contrastive_mixtures import contrastive_mixtures
from speechbrain_ext.losses.mixit import EXACT_LIMIT, mixit, remix
from speechbrain_ext.losses.padded_snr import padded_snr
from speechbrain_ext.losses.pit import align, pit
from speechbrain_ext.losses.purification import (
    frame_snr_db,
    purification_weights,
    purified_mse,
    purified_si_sdr,
    purified_snr,
)
from speechbrain_ext.losses.scer import scer
from speechbrain_ext.losses.semantic import semantic
from speechbrain_ext.losses.si_sdr import si_sdr, snr, thresholded_snr
from speechbrain_ext.losses.sparsity import covariance, sparsity

__all__ = [
    "EXACT_LIMIT",
    "align",
    "contrastive_mixtures",
    "covariance",
    "frame_snr_db",
    "mixit",
    "padded_snr",
    "pit",
    "purification_weights",
    "purified_mse",
    "purified_si_sdr",
    "purified_snr",
    "remix",
    "scer",
    "semantic",
    "si_sdr",
    "snr",
    "sparsity",
    "thresholded_snr",
]
