"""Measuring rooms."""

import numpy as np


def reverberation_time(response, sample_rate):
    """Fit the RT60 from -5 to -25 dB of the backward integrated energy."""
    energy = np.cumsum(response[::-1].astype(float) ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-12)
    first, last = np.searchsorted(-level, [5.0, 25.0])
    time = np.arange(first, last) / sample_rate
    return float(-60 / np.polyfit(time, level[first:last], 1)[0])
