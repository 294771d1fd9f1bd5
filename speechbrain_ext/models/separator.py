"""Separators that mask learned features, from SpeechBrain's own pieces."""

from pathlib import Path

import torch
import torch.nn.functional as F
from speechbrain.lobes.models.dual_path import Decoder, Encoder
from torch import nn

from speechbrain_ext.models.state_dict import check_state_dict, read_state_dict


class MaskingSeparator(nn.Module):
    """Encoder, mask network and decoder as one module.

    Takes the three pieces of a SpeechBrain separation recipe, so that a
    Brain calls one module (and DDP synchronizes it), and weights go over in
    both directions. Masks may be computed in half precision, encoder and
    decoder always work in float32.

    Arguments
    ---------
    encoder : torch.nn.Module
        Maps (batch, time) to features (batch, channels, frames), without
        padding: SpeechBrain's `dual_path.Encoder`.
    masknet : torch.nn.Module
        Maps features to masks (sources, batch, channels, frames):
        SpeechBrain's `dual_path.Dual_Path_Model` or `conv_tasnet.MaskNet`.
    decoder : torch.nn.ConvTranspose1d
        Maps (batch, channels, frames) to (batch, time): SpeechBrain's
        `dual_path.Decoder`. Its kernel and stride must be the encoder's.
    num_sources : int
        Sources that the mask network gives.

    Example
    -------
    >>> from speechbrain.lobes.models.conv_tasnet import MaskNet
    >>> separator = MaskingSeparator(
    ...     encoder=Encoder(kernel_size=16, out_channels=8),
    ...     masknet=MaskNet(N=8, B=8, H=8, P=3, X=2, R=1, C=3),
    ...     decoder=Decoder(8, 1, kernel_size=16, stride=8, bias=False),
    ...     num_sources=3,
    ... )
    >>> separator(torch.randn(2, 1001)).shape
    torch.Size([2, 3, 1001])
    """

    def __init__(
        self,
        encoder: nn.Module,
        masknet: nn.Module,
        decoder: nn.ConvTranspose1d,
        num_sources: int = 2,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.masknet = masknet
        self.decoder = decoder
        self.num_sources = num_sources

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        """Separate a batch of mixtures.

        Zeros are added until the last sample has a whole frame. (SpeechBrain
        leaves out up to `stride - 1` last samples instead; where there are
        none to leave out, the results are the same.)

        Arguments
        ---------
        mixture : torch.Tensor
            Shape (batch, time), at least one sample.

        Returns
        -------
        estimates : torch.Tensor
            Shape (batch, num_sources, time), float32.
        """
        batch, time = mixture.shape
        kernel, stride = self.decoder.kernel_size[0], self.decoder.stride[0]
        tail = (kernel - time) if time < kernel else (kernel - time) % stride
        with torch.autocast(mixture.device.type, enabled=False):
            features = self.encoder(F.pad(mixture.float(), (0, tail)))
        masks = self.masknet(features)
        with torch.autocast(mixture.device.type, enabled=False):
            masked = (features * masks).flatten(0, 1)
            estimates = self.decoder(masked)
        estimates = estimates.view(self.num_sources, batch, -1)
        return estimates[..., :time].transpose(0, 1)

    def load_speechbrain(self, folder: str | Path) -> None:
        """Load the weights of a published SpeechBrain separator.

        Nothing is changed unless everything fits. Files are read as plain
        tensors: whatever else they may hold is refused, not run.

        Arguments
        ---------
        folder : str | Path
            Holds encoder.ckpt, masknet.ckpt and decoder.ckpt, for example a
            copy of the hub repository speechbrain/sepformer-wsj02mix.

        Raises
        ------
        FileNotFoundError
            If one of the files is missing.
        ValueError
            If a file is no plain state dict, or its keys or shapes are not
            those of this module.

        Example
        -------
        >>> folder = getfixture("tmp_path")
        >>> pieces = filterbank(8, 16, nn.Conv1d(8, 8, 1))
        >>> separator = MaskingSeparator(*pieces, num_sources=1)
        >>> for name in ("encoder", "masknet", "decoder"):
        ...     weights = getattr(separator, name).state_dict()
        ...     torch.save(weights, folder / f"{name}.ckpt")
        >>> separator.load_speechbrain(folder)
        """
        parts = {}
        for name in ("encoder", "masknet", "decoder"):
            path = Path(folder) / f"{name}.ckpt"
            parts[name] = read_state_dict(path)
            expected = getattr(self, name).state_dict()
            check_state_dict(path, expected=expected, found=parts[name])
        for name, weights in parts.items():
            getattr(self, name).load_state_dict(weights)


def filterbank(
    channels: int, kernel_size: int, masknet: nn.Module
) -> tuple[Encoder, nn.Module, Decoder]:
    """Put learned filters around a mask network.

    Arguments
    ---------
    channels : int
        Filters.
    kernel_size : int
        Samples per filter, even; the stride is half of it.
    masknet : torch.nn.Module
        What stands between them.

    Returns
    -------
    pieces : tuple
        Encoder, masknet, decoder.

    Raises
    ------
    ValueError
        If kernel_size is odd.

    Example
    -------
    >>> encoder, _, decoder = filterbank(4, 16, nn.Identity())
    >>> decoder(encoder(torch.randn(2, 160))).shape
    torch.Size([2, 160])
    """
    if kernel_size % 2:
        raise ValueError(
            f"kernel_size={kernel_size} must be even: the stride is half of it"
        )
    encoder = Encoder(kernel_size=kernel_size, out_channels=channels)
    decoder = Decoder(
        in_channels=channels,
        out_channels=1,
        kernel_size=kernel_size,
        stride=kernel_size // 2,
        bias=False,
    )
    return encoder, masknet, decoder
