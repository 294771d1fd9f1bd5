"""A listening test, and what its listeners say beside the estimator's scores.

    speechbrain-ext listening make MIXTURES \
        --separators MODEL ... --out results/listening
    speechbrain-ext listening plot results/listening scores_*.csv

`make` separates the recordings of a folder by every separator, and writes a
page with some of the separations, drawn so that the estimator's scores are
spread evenly (the paper of REAL-M has 50 of them). Listeners give 1 to 5
points and send the CSV file that the page saves; `plot` draws them against
the scores (the paper's Fig. 4) and prints the correlations.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_ext.evaluation import (
    ListeningItem,
    choose_uniformly,
    compare_with_listeners,
    listening_plot,
    write_listening_page,
)
from speechbrain_ext.inference import Separator, SISNREstimator
from speechbrain_ext.inference.recordings import read_recording
from speechbrain_ext.inference.scoring import list_audio
from speechbrain_ext.outputs import mark_folder


def separate(arguments: argparse.Namespace) -> list[ListeningItem]:
    """Separate and score every recording by every separator."""
    device = arguments.device
    estimator = SISNREstimator.from_hparams(arguments.estimator, device=device)
    separators = [
        Separator.from_hparams(source, device=device)
        for source in arguments.separators
    ]
    items, root = [], Path(arguments.mixtures)
    for path in tqdm(list_audio(arguments.mixtures), "separating"):
        waveform, rate = read_recording(path)
        name = path.stem
        if path != root:
            name = path.relative_to(root).with_suffix("").as_posix()
        waveform = waveform[: round(arguments.seconds * rate)]
        for number, separator in enumerate(separators, start=1):
            estimates = separator.separate(waveform[None], rate)
            score = estimator.score(
                mixture=waveform[None],
                estimates=estimates,
                sample_rate=rate,
                check=False,
            )
            items.append(
                ListeningItem(
                    # the name must not tell listeners which separator it is
                    name=f"{name}-{number}",
                    mixture=waveform,
                    estimates=estimates[0].cpu(),
                    sample_rate=rate,
                    predicted=float(score.mean()),
                )
            )
    return items


def make(arguments: argparse.Namespace) -> None:
    """Write the page."""
    mark_folder(arguments.out, "listening")
    with torch.inference_mode():
        items = separate(arguments)
    chosen = choose_uniformly(
        [item.predicted for item in items],
        min(arguments.count, len(items)),
        seed=arguments.seed,
    )
    page = write_listening_page(
        arguments.out,
        title="How well are the voices separated?",
        items=[items[place] for place in chosen],
        seed=arguments.seed,
    )
    print(
        f"{len(chosen)} of {len(items)} separations: {page}\n"
        "Give listeners the folder without predictions.csv. NAME-1, NAME-2 "
        "... there are the separators in the order of the command line."
    )


def plot(arguments: argparse.Namespace) -> None:
    """Draw the listeners' scores against the estimator's."""
    comparison = compare_with_listeners(arguments.folder, arguments.scores)
    path = Path(arguments.folder) / "listeners.png"
    listening_plot(path, comparison=comparison)
    print(
        f"{len(comparison['items'])} items, {len(comparison['listeners'])} "
        f"listeners: Pearson {comparison['pearson']:.3f}, Spearman "
        f"{comparison['spearman']:.3f}; {path}"
    )
    for name, figures in comparison["listeners"].items():
        print(
            f"    {name}: {figures['count']} items, Pearson "
            f"{figures['pearson']:.3f}, Spearman {figures['spearman']:.3f}"
        )
