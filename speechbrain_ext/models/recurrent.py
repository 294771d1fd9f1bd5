"""Recurrent networks from frames to frames."""

import torch
from torch import nn

from speechbrain_ext.models.dual_path import DualPath
from speechbrain_ext.models.norms import GlobalLayerNorm


def run_layers(layers: nn.RNNBase, frames: torch.Tensor) -> torch.Tensor:
    """Run an LSTM or GRU; on CPUs in float32 whatever autocast says.

    float16 has none there, bfloat16 has one on some CPUs only.

    Arguments
    ---------
    layers : torch.nn.RNNBase
        With batch_first.
    frames : torch.Tensor
        Shape (sequences, frames, channels).

    Returns
    -------
    outputs : torch.Tensor
        Shape (sequences, frames, directions * hidden).

    Example
    -------
    >>> lstm = nn.LSTM(8, 16, batch_first=True)
    >>> run_layers(lstm, torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 16])
    """
    if frames.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return layers(frames)[0]
    with torch.autocast("cpu", enabled=False):
        return layers(frames.float())[0]


class RecurrentStack(nn.Module):
    """A bidirectional LSTM, a linear layer, a norm, and a skip around.

    One path of a block of Luo, Chen and Yoshioka, "Dual-path RNN", ICASSP
    2020, equations 1 to 3, with a norm of each frame in place of one of all
    chunks.

    Arguments
    ---------
    channels : int
        Channels of the frames.
    hidden : int
        Units in each direction.

    Example
    -------
    >>> RecurrentStack(8, 16)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            channels, hidden, batch_first=True, bidirectional=True
        )
        self.projection = nn.Linear(2 * hidden, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Transform sequences of shape (sequences, frames, channels)."""
        outputs = run_layers(self.lstm, frames)
        return frames + self.norm(self.projection(outputs))


class DualPathRecurrent(DualPath):
    """LSTMs along and across chunks, alternating: DPRNN.

    Luo, Chen and Yoshioka, "Dual-path RNN", ICASSP 2020.

    Arguments
    ---------
    inputs, outputs : int
        Channels of the input and of the output frames.
    channels : int
        Channels inside.
    hidden : int
        Units in each direction.
    blocks, chunk, overlap
        See `DualPath`.

    Example
    -------
    >>> network = DualPathRecurrent(10, 20, channels=8, hidden=8, chunk=4)
    >>> network(torch.randn(2, 17, 10)).shape
    torch.Size([2, 17, 20])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        channels: int = 64,
        hidden: int = 128,
        blocks: int = 2,
        chunk: int = 16,
        overlap: bool = False,
    ) -> None:
        super().__init__(
            inputs,
            outputs,
            lambda: RecurrentStack(channels, hidden),
            lambda: RecurrentStack(channels, hidden),
            channels=channels,
            blocks=blocks,
            chunk=chunk,
            overlap=overlap,
        )


class RecurrentNet(nn.Module):
    """Layers of a bidirectional LSTM over whole utterances.

    As in Kolbaek et al., "Multitalker Speech Separation with Utterance-Level
    Permutation Invariant Training of Deep Recurrent Neural Networks",
    IEEE/ACM TASLP 25(10), 2017.

    Arguments
    ---------
    inputs, outputs : int
        Channels of the input and of the output frames.
    hidden : int
        Units in each direction.
    layers : int
        Layers.

    Example
    -------
    >>> RecurrentNet(10, 20, hidden=8)(torch.randn(2, 17, 10)).shape
    torch.Size([2, 17, 20])
    """

    def __init__(
        self, inputs: int, outputs: int, *, hidden: int = 256, layers: int = 2
    ) -> None:
        super().__init__()
        self.norm = GlobalLayerNorm()
        self.lstm = nn.LSTM(
            inputs, hidden, layers, batch_first=True, bidirectional=True
        )
        self.output = nn.Linear(2 * hidden, outputs)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Map (batch, frames, inputs) to (batch, frames, outputs)."""
        return self.output(run_layers(self.lstm, self.norm(frames)))


class GatedRecurrentNet(nn.Module):
    """Layers of a GRU from the past to the future.

    They are normalized over the whole signal, so that a frame does depend on
    those after it, by two numbers.

    Arguments
    ---------
    inputs, outputs : int
        Channels of the input and of the output frames.
    hidden : int
        Units.
    layers : int
        Layers.

    Example
    -------
    >>> GatedRecurrentNet(10, 20, hidden=8)(torch.randn(2, 17, 10)).shape
    torch.Size([2, 17, 20])
    """

    def __init__(
        self, inputs: int, outputs: int, *, hidden: int, layers: int = 2
    ) -> None:
        super().__init__()
        self.norm = GlobalLayerNorm()
        self.gru = nn.GRU(inputs, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, outputs)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Map (batch, frames, inputs) to (batch, frames, outputs)."""
        return self.output(run_layers(self.gru, self.norm(frames)))
