"""Evaluation where nobody knows the sounds: the loss, and active outputs."""

import statistics
from types import SimpleNamespace

import torch
from objectives import form_input, separation_loss
from tqdm import tqdm

from speechbrain_ext.evaluation import Example, Result
from speechbrain_ext.inference import active_outputs

COLUMNS = ("clip", "sources", "outputs", "loss")
NOTE = (
    "The recordings have no references, so nothing here tells how well their "
    "sounds are separated: there are no SI-SNRs. The loss is that of MixIT on "
    "sums of two test clips; an output counts as active if it is at most 30 dB "
    "below the loudest one. Listen to the examples."
)


@torch.no_grad()
def score(hparams, mixtures):
    """Separate the test set; measure what needs no references.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the checkpoint to judge is loaded.
    mixtures : ReadyMixtures
        The test set in pairs, on the separator's device.

    Returns
    -------
    rows, kept : list of dict, list of Example
        A row for each clip: its name, its recording, the number of active
        outputs and the loss of the pair that it is in; some examples of each
        number of active outputs.
    """
    separator, options = hparams["separator"].eval(), SimpleNamespace(**hparams)
    rows, kept = [], {}
    for batch in tqdm(mixtures.loader, "test", dynamic_ncols=True):
        mixed = mixtures.mix(batch)
        pairs = separator(form_input(mixed, options)).float()
        loss, _ = separation_loss(pairs, mixed, options)
        estimates = separator(mixed.mixture).float()
        order, active = active_outputs(estimates=estimates)
        for place, recording in enumerate(batch["id"]):
            found = order[place][active[place][order[place]]]
            row = {
                "clip": f"{len(rows):05d}",
                "sources": recording,
                "outputs": len(found),
                "loss": loss[place // 2].item(),
            }
            rows.append(row)
            group = kept.setdefault(row["outputs"], [])
            if len(group) < hparams["examples"] and len(found):
                group.append(
                    Example(
                        name=f"Clip {row['clip']}: {recording}",
                        mixture=mixed.mixture[place].cpu(),
                        estimates=estimates[place][found].cpu(),
                        sample_rate=hparams["sample_rate"],
                        note=f"{len(found)} active outputs, the loudest first.",
                    )
                )
    return rows, [e for _, group in sorted(kept.items()) for e in group]


def summarise(rows):
    """Average over the clips."""
    return {
        "clips": len(rows),
        "loss": statistics.fmean(row["loss"] for row in rows),
        "outputs": statistics.fmean(row["outputs"] for row in rows),
    }


def list_results(summary):
    """List the figures for the results page."""
    return [
        Result("loss of MixIT", summary["loss"], "dB", better="lower"),
        Result("active outputs of a clip, mean", summary["outputs"]),
        Result("clips", float(summary["clips"])),
    ]


def print_summary(summary):
    """Print the figures, and what they do not tell."""
    print(f"\n{'loss of MixIT':52s}{summary['loss']:9.2f} dB")
    print(f"{'active outputs of a clip, mean':52s}{summary['outputs']:9.2f}")
    print(NOTE)
