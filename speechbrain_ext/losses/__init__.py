"""Pure functions on tensors that score estimates.

Against targets or mixtures in dB; mean square errors, the penalties of MixIT
and the contrastive losses have units of their own.
"""

from speechbrain_ext.losses.active_outputs import (
    ActiveOutputs,
    active_outputs,
)
from speechbrain_ext.losses.contrastive import (
    cbpc,
    info_nce,
    token_cross_entropy,
)
from speechbrain_ext.losses.contrastive_mixtures import (
    contrastive_mixtures,
    contrastive_pairs,
)
from speechbrain_ext.losses.frame_contrast import sample_frames
from speechbrain_ext.losses.frame_levels import compare_levels
from speechbrain_ext.losses.mixit import (
    EXACT_LIMIT,
    check_least_squares,
    mixit,
    remix,
)
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
from speechbrain_ext.losses.universal_separation import (
    average_scores,
    source_scores,
    universal_figures,
)

__all__ = [
    "ActiveOutputs",
    "EXACT_LIMIT",
    "active_outputs",
    "align",
    "average_scores",
    "check_least_squares",
    "cbpc",
    "compare_levels",
    "contrastive_mixtures",
    "contrastive_pairs",
    "covariance",
    "frame_snr_db",
    "info_nce",
    "mixit",
    "padded_snr",
    "pit",
    "purification_weights",
    "purified_mse",
    "purified_si_sdr",
    "purified_snr",
    "remix",
    "sample_frames",
    "scer",
    "semantic",
    "si_sdr",
    "snr",
    "source_scores",
    "sparsity",
    "thresholded_snr",
    "token_cross_entropy",
    "universal_figures",
]
