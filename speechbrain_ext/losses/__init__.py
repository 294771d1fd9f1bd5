"""Pure functions on tensors that score estimates against targets, in dB."""

from speechbrain_ext.losses.pit import align, pit
from speechbrain_ext.losses.scer import scer
from speechbrain_ext.losses.si_sdr import si_sdr, snr, thresholded_snr

__all__ = ["align", "pit", "scer", "si_sdr", "snr", "thresholded_snr"]
