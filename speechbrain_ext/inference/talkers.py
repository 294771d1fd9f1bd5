"""How many voices the outputs of a separator hold, and when."""

from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d

HOP_SECONDS = 0.1
# Levels are those of half a second.
SMOOTHED = 5
# Nobody speaks where all is weaker than loud speech of the recording by this,
# in power; and an output is silent beside one that is stronger by that.
AUDIBLE, BESIDE = 10**-2.5, 10**-1.0
# A voice is the strongest one in this share of the speech at least.
LEAST_SHARE = 0.1
# and its estimated SI-SNR is not below this, in dB: what is below is a part
# of another voice, or noise.
LEAST_SCORE = 1.5
# A pause of a voice that is shorter is no pause.
SHORTEST_SECONDS = 1.0


class Activity:
    """The levels of outputs over time, ten times a second.

    Arguments
    ---------
    sample_rate : int
        In Hz.

    Example
    -------
    >>> activity = Activity(8000)
    >>> noise = torch.randn(1, 80000, generator=torch.manual_seed(0))
    >>> activity.add(torch.cat((noise, 0.01 * noise)))
    >>> activity.find().any(1).tolist()
    [True, False]
    """

    def __init__(self, sample_rate: int) -> None:
        self.hop = max(1, round(HOP_SECONDS * sample_rate))
        self.sample_rate = sample_rate
        # in one piece: small arrays here and there would keep the memory
        # between them from being given back
        self._powers = bytearray()
        self._rest: torch.Tensor | None = None

    def add(self, estimates: torch.Tensor) -> None:
        """Take in the next block: (sources, time)."""
        if self._rest is not None:
            estimates = torch.cat((self._rest, estimates), 1)
        count = estimates.shape[1] // self.hop
        whole, self._rest = estimates.tensor_split([count * self.hop], 1)
        powers = whole.reshape(len(whole), count, self.hop).square().mean(-1)
        self._powers += powers.T.contiguous().numpy().tobytes()
        self._rest = self._rest.clone()

    def find(
        self,
        gains: torch.Tensor | None = None,
        scores: torch.Tensor | None = None,
    ) -> np.ndarray:
        """Tell which outputs hold voices that speak, and when.

        Where nobody speaks, those who spoke before are taken to go on.

        Arguments
        ---------
        gains : torch.Tensor, optional
            Shape (sources,): of the outputs.
        scores : torch.Tensor, optional
            Shape (sources,): blind scores of the outputs, in dB.

        Returns
        -------
        active : numpy.ndarray
            Shape (sources, hops), bool.
        """
        powers = np.frombuffer(self._powers, np.float32)
        powers = powers.reshape(-1, len(self._rest)).T
        if not powers.shape[1]:
            powers = self._rest.square().mean(1, keepdim=True).numpy()
        if gains is not None:
            powers = powers * gains.numpy()[:, None] ** 2
        powers = uniform_filter1d(powers, SMOOTHED, axis=1, mode="nearest")
        total = powers.sum(0)
        speech = total > AUDIBLE * np.quantile(total, 0.95)
        strongest = powers[:, speech].argmax(0)
        count = max(1, len(strongest))
        shares = np.bincount(strongest, minlength=len(powers)) / count
        there = shares >= LEAST_SHARE
        if scores is not None:
            there &= scores.numpy() >= LEAST_SCORE
        # somebody speaks
        there[shares.argmax()] |= not there.any()
        powers[~there] = 0
        active = powers > BESIDE * powers.max(0)
        strongest = powers.argmax(0)
        active[strongest, np.arange(active.shape[1])] = True
        active[~there] = False
        return _lasting(active, speech)

    def intervals(self, active: np.ndarray) -> list[tuple[float, float]]:
        """Tell when an output is active, in seconds.

        Arguments
        ---------
        active : numpy.ndarray
            Shape (hops,): of one output, as of `find`.

        Returns
        -------
        intervals : list of tuple of float
            Beginnings and ends.
        """
        steps = np.flatnonzero(np.diff(active, prepend=False, append=False))
        seconds = (steps * self.hop / self.sample_rate).round(2).tolist()
        return list(zip(seconds[::2], seconds[1::2], strict=True))


def _lasting(active: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Let voices go on where nobody speaks, and over pauses of their own."""
    active = active.copy()
    if speech.any():
        # of the speech before or, at the beginning, of the first one
        last = np.where(speech, np.arange(len(speech)), -1)
        last = np.maximum.accumulate(last)
        active = active[:, np.where(last < 0, speech.argmax(), last)]
    longest = round(SHORTEST_SECONDS / HOP_SECONDS)
    for row in active:
        spoken = np.flatnonzero(row)
        for first, second in pairwise(spoken.tolist()):
            if second - first <= longest:
                row[first:second] = True
    return active
