"""Tokens of speech: K-means clusters of what a recognizer's encoder gives.

Mini-batch K-means: Sculley, "Web-scale k-means clustering", WWW 2010, begun
as by Arthur and Vassilvitskii, "k-means++", SODA 2007.
"""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import nn

# Frames gathered for the first centroids, for each of them.
FRAMES_PER_TOKEN = 20
# After so many batches, clusters that got no frame begin anew.
PATIENCE = 20


class AcousticTokenizer(nn.Module):
    """Labels of frames: the nearest of K centroids.

    The tokens of Lee and Kim, Sensors 24(8) 2573, 2024 (reconstructed): the
    frames are a recognizer's encoder outputs on clean speech. The centroids
    are a buffer: they move with the module, are in its state, and get no
    gradient.

    Arguments
    ---------
    num_tokens : int
        K, at least 2.
    size : int
        Of a frame.

    Raises
    ------
    ValueError
        If a number is too small.

    Example
    -------
    >>> tokenizer = AcousticTokenizer(2, 3)
    >>> frames = torch.eye(3)[[0, 0, 1, 1]]
    >>> used = tokenizer.fit([frames], torch.Generator().manual_seed(0))
    >>> first, second = tokenizer(torch.eye(3)[:2])
    >>> used, bool(first != second)
    (2, True)
    """

    def __init__(self, num_tokens: int, size: int) -> None:
        super().__init__()
        if num_tokens < 2 or size < 1:
            raise ValueError(
                f"num_tokens is {num_tokens} and size {size}; they must be at "
                "least 2 and 1"
            )
        self.register_buffer("centroids", torch.zeros(num_tokens, size))
        self.register_buffer("counts", torch.zeros(num_tokens))

    @torch.no_grad()
    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Label frames.

        Arguments
        ---------
        frames : torch.Tensor
            Shape (..., size), on the module's device.

        Returns
        -------
        labels : torch.Tensor
            Shape (...), from 0 to K - 1, int64.
        """
        return self._distances(frames.float()).argmin(-1)

    @torch.no_grad()
    def fit(
        self, batches: Iterable[torch.Tensor], generator: torch.Generator
    ) -> int:
        """Find the centroids, a batch at a time.

        Clusters that no frame falls into for some batches begin anew, at a
        frame that is far from all centroids.

        Arguments
        ---------
        batches : iterable of torch.Tensor
            Frames, shape (n, size) each: several times the corpus, if it is
            small.
        generator : torch.Generator
            On the CPU; the result follows from it and the frames.

        Returns
        -------
        used : int
            How many clusters the first batches fall into.

        Raises
        ------
        ValueError
            If there are fewer frames than tokens.
        """
        first, batches = [], iter(batches)
        wanted = FRAMES_PER_TOKEN * len(self.centroids)
        for frames in batches:
            first.append(frames.float())
            if sum(map(len, first)) >= wanted:
                break
        number = sum(map(len, first))
        if number < len(self.centroids):
            raise ValueError(
                f"there are {number} frames for {len(self.centroids)} tokens; "
                "give more speech, or take fewer tokens"
            )
        self._begin(torch.cat(first), generator)
        recent = torch.zeros_like(self.counts)
        for index, frames in enumerate(chain(first, batches), start=1):
            recent += self._move(frames.float())
            if index % PATIENCE == 0:
                self._begin_anew(frames.float(), recent == 0, generator)
                recent.zero_()
        return self(torch.cat(first)).unique().numel()

    def _distances(self, frames: torch.Tensor) -> torch.Tensor:
        """Return squared distances to the centroids, less the frames' own."""
        with torch.autocast(frames.device.type, enabled=False):
            norms = self.centroids.square().sum(-1)
            return norms - 2 * frames @ self.centroids.mT

    def _begin(self, frames: torch.Tensor, generator: torch.Generator) -> None:
        """Choose the first centroids, far from each other (k-means++)."""
        self.counts.zero_()
        chosen = torch.randint(len(frames), (), generator=generator)
        nearest = torch.full_like(frames[:, 0], torch.inf)
        for index in range(len(self.centroids)):
            self.centroids[index] = frames[chosen]
            distance = (frames - self.centroids[index]).square().sum(-1)
            nearest = torch.minimum(nearest, distance)
            chosen = _draw(nearest, 1, generator)[0]

    def _move(self, frames: torch.Tensor) -> torch.Tensor:
        """Take a batch into the means; return how many fell into each."""
        labels = self(frames)
        number = torch.zeros_like(self.counts)
        number.index_add_(0, labels, torch.ones_like(frames[:, 0]))
        sums = torch.zeros_like(self.centroids).index_add_(0, labels, frames)
        self.counts += number
        rate = (number / self.counts.clamp(min=1))[:, None]
        mean = sums / number.clamp(min=1)[:, None]
        self.centroids.copy_(torch.lerp(self.centroids, mean, rate))
        return number

    def _begin_anew(
        self,
        frames: torch.Tensor,
        empty: torch.Tensor,
        generator: torch.Generator,
    ) -> None:
        """Put empty clusters where frames are far from every centroid."""
        number = int(empty.sum())
        if number == 0:
            return
        own = frames.square().sum(-1)
        far = (self._distances(frames).amin(-1) + own).clamp(min=0)
        chosen = _draw(far, min(number, len(frames)), generator)
        places = empty.nonzero().squeeze(-1)[: len(chosen)]
        self.centroids[places] = frames[chosen]
        self.counts[places] = 0


def _draw(
    weights: torch.Tensor, number: int, generator: torch.Generator
) -> torch.Tensor:
    """Draw places in proportion to their weights, none twice."""
    weights = weights.double().cpu()
    weights = weights + weights.sum() * 1e-9 + 1e-30  # where all are zero
    return torch.multinomial(weights, number, generator=generator)
