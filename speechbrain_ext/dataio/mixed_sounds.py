"""What mixtures made on the fly and clips that are mixtures share."""

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
            key: value.to(self.device) if torch.is_tensor(value) else value
            for key, value in batch.items()
        }


def require_even(batch_size, paired):
    """Refuse a batch in which a mixture has no partner."""
    if paired and batch_size % 2:
        raise ValueError(
            f"batch_size is {batch_size}; mixtures are summed two by two, so "
            "it must be even"
        )


def require_rate(manifest, reader, sample_rate):
    """Refuse recordings of another rate than the one asked for."""
    if reader.sample_rate != sample_rate:
        raise ValueError(
            f"{manifest} holds recordings at {reader.sample_rate} Hz; "
            f"sample_rate is {sample_rate}: prepare the corpus again, into "
            "another folder"
        )
