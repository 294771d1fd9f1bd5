"""Pure functions on tensors that score estimates.

Against targets or mixtures in dB; the penalties of MixIT and the contrastive
losses have units of their own.
"""

from speechbrain_ext.losses.contrastive import (
    cbpc,
    info_nce,
    token_cross_entropy,
)
from speechbrain_ext.losses.frame_sampling import sample_frames
from speechbrain_ext.losses.mixit import EXACT_LIMIT, mixit, remix
from speechbrain_ext.losses.padded_snr import padded_snr
from speechbrain_ext.losses.pit import align, pit
from speechbrain_ext.losses.scer import scer
from speechbrain_ext.losses.semantic import semantic
from speechbrain_ext.losses.si_sdr import si_sdr, snr, thresholded_snr
from speechbrain_ext.losses.sparsity import covariance, sparsity

__all__ = [
    "EXACT_LIMIT",
    "align",
    "cbpc",
    "covariance",
    "info_nce",
    "mixit",
    "padded_snr",
    "pit",
    "remix",
    "sample_frames",
    "scer",
    "semantic",
    "si_sdr",
    "snr",
    "sparsity",
    "thresholded_snr",
    "token_cross_entropy",
]
