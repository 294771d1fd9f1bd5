"""Norms without learned scale and shift, channels on the last axis.

The linear map that always follows them here holds scale and shift already.
They keep no running statistics: items of a batch never influence each other
and one bad batch leaves no trace.
"""

import torch
import torch.nn.functional as F
from torch import nn


class GlobalLayerNorm(nn.Module):
    """Normalize each item over its frames and channels together.

    The "gLN" of Luo and Mesgarani, "Conv-TasNet", IEEE/ACM TASLP 2019,
    equations 10 and 11.

    Example
    -------
    >>> normalized = GlobalLayerNorm()(7.0 + torch.randn(2, 50, 4))
    >>> bool(normalized.mean(dim=(1, 2)).abs().max() < 1e-5)
    True
    """

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Normalize.

        Arguments
        ---------
        frames : torch.Tensor
            Shape (batch, frames, channels).

        Returns
        -------
        normalized : torch.Tensor
            Same shape, zero mean and unit variance per item.
        """
        return F.layer_norm(frames, frames.shape[1:], eps=1e-8)


class InstanceNorm(nn.Module):
    """Normalize each channel of each item over its frames.

    The norm of TDCN++: Kavalerov et al., "Universal Sound Separation",
    WASPAA 2019, arXiv 1905.03330. What is added to the variance
    is as in the official code; much less would raise the rounding of a
    channel that hardly changes to the level of a signal.

    Example
    -------
    >>> normalized = InstanceNorm()(7.0 + torch.randn(2, 50, 4))
    >>> bool(normalized.mean(dim=1).abs().max() < 1e-5)
    True
    """

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Normalize.

        Arguments
        ---------
        frames : torch.Tensor
            Shape (batch, frames, channels).

        Returns
        -------
        normalized : torch.Tensor
            Same shape, float32: zero mean per item and channel, and unit
            variance where the variance is well above 0.001.
        """
        variance, mean = torch.var_mean(
            frames.float(), dim=1, correction=0, keepdim=True
        )
        return (frames - mean) * torch.rsqrt(variance + 1e-3)


NORMS = {"global": GlobalLayerNorm, "instance": InstanceNorm}
