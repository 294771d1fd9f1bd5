"""Pure functions on tensors that score estimates.

Against targets or mixtures in dB; the penalties of MixIT have units of their
own.
"""

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
    "covariance",
    "mixit",
    "padded_snr",
    "pit",
    "remix",
    "scer",
    "semantic",
    "si_sdr",
    "snr",
    "sparsity",
    "thresholded_snr",
]
