"""What mixtures made on the fly and clips that are mixtures share."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class MixedSounds:
    """A batch of mixtures, and what is in them.

    Arguments
    ---------
    mixture : torch.Tensor
        Shape (batch, time).
    references : torch.Tensor or None
        Shape (batch, sources, time), silent ones added; they sum to the
        mixture. None where only mixtures were asked for.
    labels : torch.Tensor
        Shape (batch, classes): 1 where the mixture holds the class.
    """

    mixture: torch.Tensor
    references: torch.Tensor | None
    labels: torch.Tensor


class MixtureBatches:
    """What all mixtures share: the device."""

    device = torch.device("cpu")

    def to(self, device: torch.device | str) -> "MixtureBatches":
        """Mix on this device from now on; returns itself."""
        self.device = torch.device(device)
        return self

    def _moved(self, batch):
        return {
            key: value.to(self.device, non_blocking=True)
            if torch.is_tensor(value)
            else value
            for key, value in batch.items()
        }


def require_even(batch_size, paired):
    """Refuse a batch in which a mixture has no partner."""
    if paired and batch_size % 2:
        raise ValueError(
            f"batch_size is {batch_size}; mixtures are summed two by two, so "
            "it must be even"
        )


def require_rate(data, reader, sample_rate):
    """Refuse recordings of another rate than the one asked for."""
    if reader.sample_rate != sample_rate:
        raise ValueError(
            f"{data} holds recordings at {reader.sample_rate} Hz; "
            f"sample_rate is {sample_rate}: prepare the corpus again, into "
            "another folder"
        )


def class_table(
    labels: Sequence[Sequence[str]], classes: Sequence[str]
) -> torch.Tensor:
    """Turn names of classes into a table of 0 and 1.

    Arguments
    ---------
    labels : sequence of sequence of str
        Of each recording.
    classes : sequence of str
        All of them.

    Returns
    -------
    table : torch.Tensor
        Shape (recordings, classes).

    Example
    -------
    >>> class_table([["b"], [], ["a", "b"]], ["a", "b"])
    tensor([[0., 1.],
            [0., 0.],
            [1., 1.]])
    """
    places = {name: place for place, name in enumerate(classes)}
    table = torch.zeros(len(labels), len(classes))
    for row, names in zip(table, labels, strict=True):
        for name in names:
            row[places[name]] = 1
    return table
