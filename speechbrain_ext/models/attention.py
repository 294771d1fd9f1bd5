"""What transformer layers share: attention, sums and ReLU done fast."""

import torch
import torch.nn.functional as F


def attend(
    query_key_value: torch.Tensor, heads: int, dropout: float = 0.0
) -> torch.Tensor:
    """Attend to all positions, by the fastest way for the device.

    Training in half precision on CPUs is the exception to the fused kernel,
    with which attention there takes 2 to 7 times as long, both ways together,
    as with plain products.

    Arguments
    ---------
    query_key_value : torch.Tensor
        Shape (sequences, frames, 3 * channels): queries, keys and values of
        all heads, as one linear map gives them.
    heads : int
        Attention heads.
    dropout : float
        Probability of dropping an attention weight.

    Returns
    -------
    attended : torch.Tensor
        Shape (sequences, frames, channels).

    Example
    -------
    >>> attend(torch.randn(2, 5, 3 * 8), heads=4).shape
    torch.Size([2, 5, 8])
    """
    sequences, frames, _ = query_key_value.shape
    # views of one tensor, whose gradients go back to it in one copy
    query, key, value = (
        part.transpose(1, 2)
        for part in query_key_value.view(
            sequences, frames, 3, heads, -1
        ).unbind(2)
    )
    half = query.dtype in (torch.bfloat16, torch.float16)
    if half and query.requires_grad and query.device.type == "cpu":
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        weights = scores.softmax(dim=-1).to(value.dtype)
        attended = F.dropout(weights, dropout) @ value
    else:
        attended = F.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout
        )
    return attended.transpose(1, 2).flatten(2)


def add(new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """Add `old` to `new`, in the place of `new` where nobody can tell.

    That is without gradients (an overwritten output of a linear map, which is
    a view, costs the gradient two copies), and where nothing is rounded.

    Arguments
    ---------
    new : torch.Tensor
        The output of a linear map or a norm, which nobody else needs.
    old : torch.Tensor
        Same shape.

    Returns
    -------
    total : torch.Tensor

    Example
    -------
    >>> add(torch.ones(2, dtype=torch.bfloat16), torch.ones(2)).dtype
    torch.float32
    """
    if new.requires_grad or new.dtype != old.dtype:
        return new + old
    return new.add_(old)


def relu(new: torch.Tensor) -> torch.Tensor:
    """Apply ReLU, in the place of `new` without gradients (see `add`).

    Arguments
    ---------
    new : torch.Tensor
        The output of a linear map, which nobody else needs.

    Returns
    -------
    rectified : torch.Tensor

    Example
    -------
    >>> relu(torch.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """
    return new.relu() if new.requires_grad else new.relu_()
