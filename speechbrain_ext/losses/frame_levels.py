"""How well predicted levels of frames agree with the true ones."""

import torch

from speechbrain_ext.losses.purification import (
    frame_sums,
    purification_weights,
)


def hidden_energy(
    *,
    frame_snr_db: torch.Tensor,
    signal: torch.Tensor,
    window: int = 1024,
    hop: int = 256,
) -> torch.Tensor:
    """Measure how much of a signal's energy a weighted loss does not see.

    Where little of a recording's noise is hidden, purification can change
    little.

    Arguments
    ---------
    frame_snr_db : torch.Tensor
        Levels that make the weights, shape (..., frames), in dB.
    signal : torch.Tensor
        Shape (..., time).
    window, hop : int
        See `frame_sums`.

    Returns
    -------
    ratio : torch.Tensor
        Shape (...), from 0 to 1.

    Example
    -------
    >>> levels = torch.tensor([-50.0, 50.0, 50.0])
    >>> hidden_energy(frame_snr_db=levels, signal=torch.ones(512))
    tensor(0.2605)
    """
    weights = purification_weights(frame_snr_db=frame_snr_db)
    energies = frame_sums(signal.square(), window=window, hop=hop)
    return 1 - (weights * energies).sum(-1) / energies.sum(-1)


def compare_levels(
    *,
    predicted: torch.Tensor,
    true: torch.Tensor,
    speech: torch.Tensor,
    noise: torch.Tensor,
    window: int = 1024,
    hop: int = 256,
) -> dict[str, float]:
    """Compare predicted and true levels of the frames of one recording.

    Arguments
    ---------
    predicted, true : torch.Tensor
        Shape (frames,), in dB.
    speech, noise : torch.Tensor
        What is in the recording, shape (time,).
    window, hop : int
        See `frame_sums`.

    Returns
    -------
    figures : dict
        "error_db", root mean square; "correlation"; "weight_error", mean of
        the absolute difference of weights; in percent "frames_above", frames
        predicted above 0 dB, and "noise_hidden" and "speech_hidden", see
        `hidden_energy`, with "_oracle" for true levels.

    Example
    -------
    >>> levels = torch.tensor([-5.0, 5.0, 0.0])
    >>> figures = compare_levels(
    ...     predicted=levels + 1, true=levels, speech=torch.ones(512),
    ...     noise=torch.ones(512),
    ... )
    >>> round(figures["error_db"], 3), round(figures["correlation"], 3)
    (1.0, 1.0)
    """
    pair = torch.stack((predicted, true))
    weights = purification_weights(frame_snr_db=pair)
    figures = {
        "error_db": (predicted - true).square().mean().sqrt(),
        "correlation": torch.corrcoef(pair)[0, 1],
        "weight_error": (weights[0] - weights[1]).abs().mean(),
        "frames_above": (predicted > 0).float().mean(),
    }
    for end, levels in (("", predicted), ("_oracle", true)):
        for name, signal in (("noise", noise), ("speech", speech)):
            figures[f"{name}_hidden{end}"] = hidden_energy(
                frame_snr_db=levels, signal=signal, window=window, hop=hop
            )
    percent = ("frames_above", "noise_", "speech_")
    return {
        name: figure.item() * (100 if name.startswith(percent) else 1)
        for name, figure in figures.items()
    }
