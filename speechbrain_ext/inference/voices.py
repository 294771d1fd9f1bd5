"""Who speaks in which output: descriptions of voices, and a match by them."""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path

import torch
import torchaudio
from torch import nn

from speechbrain_ext.inference.waveforms import change_rate

# More outputs than these are sounds, not talkers.
MOST_VOICES = 3
# A voice is described where it is the only one, or much louder than others
# (in power), and not too weak beside the loudest speech so far.
DOMINANCE, AUDIBLE = 4.0, 10**-2.5
# What two orders of the outputs must differ by in the stretch that chunks
# share, relative to what is there, for the better one to be taken at once.
CLEAR = 0.15
# Seconds that a decision is kept open for, if what follows is clear: the more
# was heard of voices, the better they are told.
PATIENCE_SECONDS = 30.0


def require_voices(outputs: int) -> None:
    """Raise where outputs are too few, or too many, to be talkers."""
    if not 1 < outputs <= MOST_VOICES:
        raise ValueError(
            f"talkers=auto: the model gives {outputs} outputs; take one of 2 "
            f"to {MOST_VOICES} voices, or talkers=all"
        )


class Cepstra:
    """Describes a voice by mean and covariance of its cepstra.

    Levels are left out, and microphones and rooms are not: they tell voices
    of one recording apart as well. Each description holds the sums of
    products of the cepstra and 1, over frames, so descriptions are added to
    describe longer stretches.

    Arguments
    ---------
    sample_rate : int
        In Hz.

    Example
    -------
    >>> describe = Cepstra(8000)
    >>> low = torch.sin(torch.arange(8000) / 8)[None]
    >>> noise = torch.randn(1, 8000, generator=torch.manual_seed(0))
    >>> active = torch.ones(1, describe.count(8000), dtype=torch.bool)
    >>> first, second = describe(low, active)[0], describe(noise, active)[0]
    >>> bool(describe.distance(first, 2 * first) < 1)
    True
    >>> bool(describe.distance(first, second) > describe.novelty(second))
    True
    """

    coefficients, bands = 12, 24
    # frames that covariances of few frames are drawn to the common one by
    shrinkage = 20.0
    # distance, per frame, from which on a voice is another one
    per_frame = 6.0

    def __init__(self, sample_rate: int) -> None:
        self.hop = max(1, round(0.016 * sample_rate))
        self.window = torch.hann_window(2 * self.hop)
        self.filters = torchaudio.functional.melscale_fbanks(
            self.hop + 1,
            60.0,
            min(3800.0, sample_rate / 2),
            self.bands,
            sample_rate,
        )
        cosines = torchaudio.functional.create_dct(
            self.coefficients + 1, self.bands, "ortho"
        )
        self.cosines = cosines[:, 1:]

    def count(self, time: int) -> int:
        """Count the frames of a signal."""
        return max(0, time // self.hop - 1)

    def powers(self, signals: torch.Tensor) -> torch.Tensor:
        """Compute the power of each frame: (sources, frames)."""
        frames = self.count(signals.shape[1])
        if not frames:
            return signals.new_zeros(len(signals), 0)
        return signals.unfold(1, 2 * self.hop, self.hop).square().mean(-1)

    def __call__(
        self, signals: torch.Tensor, active: torch.Tensor
    ) -> torch.Tensor:
        """Describe signals by the frames in which they are active.

        Arguments
        ---------
        signals : torch.Tensor
            Shape (sources, time).
        active : torch.Tensor
            Shape (sources, frames), bool.

        Returns
        -------
        descriptions : torch.Tensor
            Shape (sources, 13, 13), float64; zeros where nothing is active.
        """
        size = self.coefficients + 1
        found = torch.zeros(len(signals), size, size, dtype=torch.float64)
        if not active.any():
            return found
        spectra = torch.stft(
            signals,
            2 * self.hop,
            self.hop,
            window=self.window,
            center=False,
            return_complex=True,
        )
        power = spectra.abs().square().mT
        floor = 1e-6 * power.sum(-1).amax()
        cepstra = (power @ self.filters + floor).log() @ self.cosines
        for source, kept in enumerate(active):
            frames = cepstra[source, kept].double()
            frames = torch.cat((torch.ones(len(frames), 1), frames), 1)
            found[source] = frames.mT @ frames
        return found

    def weight(self, description: torch.Tensor) -> torch.Tensor:
        """Tell how much was heard."""
        return description[0, 0]

    def novelty(self, description: torch.Tensor) -> torch.Tensor:
        """Give the distance to a voice that was never heard."""
        return self.per_frame * self.weight(description)

    def distance(
        self, first: torch.Tensor, second: torch.Tensor
    ) -> torch.Tensor:
        """Compute by how much two voices explain all better than one does.

        Twice the logarithm of the ratio of likelihoods of normal
        distributions (the test that is used in speaker diarization).
        """
        parts = [first, second, first + second]
        counts = [self.weight(part) for part in parts]
        means = [part[0, 1:] / n for part, n in zip(parts, counts, strict=True)]
        scatters = [
            part[1:, 1:] - n * torch.outer(mean, mean)
            for part, n, mean in zip(parts, counts, means, strict=True)
        ]
        common = (scatters[0] + scatters[1]) / counts[2]
        common = common + 1e-6 * torch.eye(len(common), dtype=common.dtype)
        costs = [
            n
            * torch.logdet(
                (scatter + self.shrinkage * common) / (n + self.shrinkage)
            )
            for n, scatter in zip(counts, scatters, strict=True)
        ]
        return costs[2] - costs[0] - costs[1]


class Embeddings(Cepstra):
    """Describes a voice by the speaker embeddings of resemblyzer.

    Each description holds the sum of the embeddings, of 1.6 s each, and
    their number. Of the package only the weights are read.

    Arguments
    ---------
    sample_rate : int
        In Hz.
    """

    rate, bands, frames = 16000, 40, 160
    per_frame = 0.25

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self.sample_rate = sample_rate
        self.network, self.linear = _encoder()
        self.filters = torchaudio.functional.melscale_fbanks(
            201, 0.0, 8000.0, 40, self.rate, norm="slaney", mel_scale="slaney"
        )

    def __call__(
        self, signals: torch.Tensor, active: torch.Tensor
    ) -> torch.Tensor:
        """Describe signals; see `Cepstra`. Shape (sources, 257)."""
        size = self.network.hidden_size + 1
        found = torch.zeros(len(signals), size, dtype=torch.float64)
        for source, kept in enumerate(active):
            if not kept.any():
                continue
            # what is not this voice is cut out
            inside = kept.repeat_interleave(self.hop)
            samples = signals[source, : len(inside)][inside]
            samples = change_rate(samples[None], self.sample_rate, self.rate)[0]
            samples = samples / samples.std().clamp_min(1e-12) * 10**-1.5
            if len(samples) < 400:
                continue
            spectrum = torch.stft(
                samples,
                400,
                160,
                window=torch.hann_window(400),
                pad_mode="constant",
                return_complex=True,
            )
            mels = spectrum.abs().square().mT @ self.filters
            if len(mels) > self.frames:
                mels = mels.unfold(0, self.frames, self.frames // 2).mT
            else:
                mels = mels[None]
            hidden = self.network(mels)[1][0][-1]
            vectors = nn.functional.normalize(self.linear(hidden).relu())
            # windows of less count less
            vectors = vectors.double() * mels.shape[1] / self.frames
            total = vectors.sum(0)
            found[source, 0] = len(vectors) * mels.shape[1] / self.frames
            found[source, 1:] = total
        return found

    def weight(self, description: torch.Tensor) -> torch.Tensor:
        """Tell how much was heard."""
        return description[0]

    def distance(
        self, first: torch.Tensor, second: torch.Tensor
    ) -> torch.Tensor:
        """Compute by how much two directions fit better than one does."""
        norms = [part[1:].norm() for part in (first, second, first + second)]
        return norms[0] + norms[1] - norms[2]


def find_describer(sample_rate: int) -> Cepstra:
    """Choose embeddings where the extra `voices` is installed."""
    there = find_spec("resemblyzer") is not None
    return Embeddings(sample_rate) if there else Cepstra(sample_rate)


@cache
@torch.inference_mode(False)
def _encoder() -> tuple[nn.LSTM, nn.Linear]:
    """Load the encoder of resemblyzer (Wan et al., 2018)."""
    folder = Path(find_spec("resemblyzer").submodule_search_locations[0])
    path = folder / "pretrained.pt"
    state = torch.load(path, map_location="cpu", weights_only=True)
    network, linear = nn.LSTM(40, 256, 3, batch_first=True), nn.Linear(256, 256)
    for module, name in ((network, "lstm."), (linear, "linear.")):
        module.requires_grad_(False)
        module.load_state_dict(
            {
                key.removeprefix(name): value
                for key, value in state["model_state"].items()
                if key.startswith(name)
            }
        )
    return network, linear


class Voices:
    """The voices of a recording, output by output.

    Arguments
    ---------
    sample_rate : int
        In Hz.
    describe : Cepstra, optional
        What describes voices; see `find_describer`.

    Attributes
    ----------
    heard : torch.Tensor
        Shape (sources, ...): their descriptions.
    """

    def __init__(
        self, sample_rate: int, describe: Cepstra | None = None
    ) -> None:
        self.describe = describe or find_describer(sample_rate)
        self.patience = round(PATIENCE_SECONDS * sample_rate)
        self.heard = torch.zeros(())
        self._loudest, self._power = 0.0, 0.0

    def listen(self, estimates: torch.Tensor) -> torch.Tensor:
        """Describe the outputs of a chunk where each is the only voice.

        Arguments
        ---------
        estimates : torch.Tensor
            Shape (sources, time).

        Returns
        -------
        descriptions : torch.Tensor
            Shape (sources, ...), to be added to others.
        """
        powers = self.describe.powers(estimates)
        if powers.shape[1]:
            loud = powers.amax(0).quantile(0.95).item()
            self._loudest = max(self._loudest, loud)
        self._power = max(self._power, estimates.square().mean().item())
        others = [
            powers[[other for other in range(len(powers)) if other != source]]
            for source in range(len(powers))
        ]
        rivals = torch.stack([DOMINANCE * other.amax(0) for other in others])
        audible = powers > AUDIBLE * self._loudest
        return self.describe(estimates, audible & (powers >= rivals))

    def orders(
        self, piece: torch.Tensor, before: torch.Tensor
    ) -> list[tuple[int, ...]]:
        """Order the outputs of a chunk by what it shares with another one.

        Arguments
        ---------
        piece, before : torch.Tensor
            Shape (sources, shared).

        Returns
        -------
        orders : list of tuple of int
            Which output of the chunk goes on where: the best order, and those
            that the stretch hardly tells from it.
        """
        products = (piece @ before.mT).tolist()
        agreements = {
            order: sum(products[n][place] for place, n in enumerate(order))
            for order in permutations(range(len(piece)))
        }
        # silence, relative to what was heard, tells nothing
        least = 1e-3 * self._power * before.numel()
        there = (piece.square().sum() + least) * (before.square().sum() + least)
        best = max(agreements.values())
        lowest = best - CLEAR * float(there.sqrt())
        ranked = sorted(agreements, key=agreements.get, reverse=True)
        return [n for n in ranked if agreements[n] >= lowest or n == ranked[0]]

    def assign(
        self, descriptions: torch.Tensor, orders: Sequence[tuple[int, ...]]
    ) -> tuple[int, ...]:
        """Choose among orders by the voices.

        Arguments
        ---------
        descriptions : torch.Tensor
            Shape (sources, ...), as of `listen`.
        orders : sequence of tuple of int
            As of `orders`.

        Returns
        -------
        order : tuple of int
            The one of the smallest distance; the first where none is.
        """
        measure = self.describe
        costs = {}
        for order in orders:
            cost = 0.0
            for place, number in enumerate(order):
                piece, voice = descriptions[number], self.heard[place]
                if not measure.weight(piece):
                    continue
                if measure.weight(voice):
                    cost += float(measure.distance(piece, voice))
                else:
                    cost += float(measure.novelty(piece))
            costs[order] = cost
        return min(orders, key=costs.get)
