"""Clips to look at and to listen to on the results page."""

import torch

from speechbrain_ext.evaluation import Example
from speechbrain_ext.evaluation.universal_separation import (
    active_references,
    loud_outputs,
)


def make_example(row, estimates, references, mixture, sample_rate):
    """Put active outputs beside their references, the others after them.

    Arguments
    ---------
    row : dict
        Of the clip, from `universal_figures`, with "clip" and "sources".
    estimates, references : torch.Tensor
        Shape (outputs, time), (sources, time).
    mixture : torch.Tensor
        Shape (time,).
    sample_rate : int
        In Hz.

    Returns
    -------
    example : Example
        With as many references as outputs: silent ones are added.
    """
    silence = torch.zeros_like(mixture)
    active = active_references(references)
    assigned = [
        silence if output is None else estimates[output]
        for output in row["assignment"]
    ]
    loud = loud_outputs(estimates, active) if len(active) else []
    extra = [
        estimates[output]
        for output, is_loud in enumerate(loud)
        if is_loud and output not in row["assignment"]
    ]
    signals = assigned + extra or [silence]
    missing = [silence] * (len(signals) - len(active))
    scores = [
        {"SI-SNR (dB)": value, "improvement (dB)": better}
        for value, better in zip(row["si_snr"], row["si_snri"], strict=True)
    ]
    return Example(
        name=f"Clip {row['clip']}: {row['sources']}",
        mixture=mixture,
        estimates=torch.stack(signals),
        references=torch.stack([*active, *missing]),
        sample_rate=sample_rate,
        scores=scores + [{}] * (len(signals) - len(scores)),
        note=(
            f"{row['references']} sources, {row['outputs']} active outputs. "
            "Outputs beyond the sources stand last, with silent references."
        ),
    )
