"""Evaluation of the predictor of frame SNRs, and its results page."""

from pathlib import Path

import runs
import torch
from data import noises_of
from evaluate import list_tests
from release import make_release
from tqdm import tqdm

from speechbrain_ext.dataio import add_noise, draw_noise, generator_for
from speechbrain_ext.dataio.segments import read_whole
from speechbrain_ext.evaluation import (
    Result,
    ScoreTable,
    snr_course,
    training_curves,
    write_report,
)
from speechbrain_ext.hub import publish_command
from speechbrain_ext.losses import frame_snr_db, purification_weights
from speechbrain_ext.losses.purification import frame_sums

FIGURES = {
    "error_db": ("error of the level of a frame, root mean square", "dB"),
    "correlation": ("correlation of predicted and true levels", ""),
    "weight_error": ("error of the weight of a frame, mean", ""),
    "frames_above": ("frames predicted above 0 dB", "%"),
    "noise_hidden": ("noise that predicted weights hide, of its energy", "%"),
    "noise_hidden_oracle": ("noise that true weights hide", "%"),
    "speech_hidden": ("speech that predicted weights hide", "%"),
    "speech_hidden_oracle": ("speech that true weights hide", "%"),
}


@torch.no_grad()
def score(hparams):
    """Predict the levels of noisy recordings like the users'.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the checkpoint to judge is loaded.

    Returns
    -------
    table, course : ScoreTable, dict
        Scores of each recording; waveform and levels of the first one.
    """
    predictor = hparams["snr_predictor"].eval()
    device = next(predictor.parameters()).device
    tests, _ = list_tests(hparams)
    # noises around users, which the predictor has not heard
    noises = noises_of(hparams, hparams["train_noise_split"], "user")
    frames = {"window": hparams["window"], "hop": hparams["hop"]}
    table, course = ScoreTable(), None
    for user, recording in tqdm(tests, "test", dynamic_ncols=True):
        generator = generator_for(0, recording.id)
        clean = torch.from_numpy(read_whole(recording))
        noise = torch.from_numpy(draw_noise(noises, len(clean), generator))
        ratio = torch.tensor(generator.uniform(*hparams["user_snr_db"]))
        # levels of frames are counted from a mean power of 1
        clean = clean / clean.square().mean().sqrt()
        noisy, _ = add_noise(speech=clean, noise=noise, snr_db=ratio.float())
        wanted = frame_snr_db(
            target=clean,
            noisy=noisy,
            clamp_db=hparams["level_clamp_db"],
            **frames,
        )
        found = predictor(noisy[None].to(device))[0].cpu()
        table.add(
            utterance=f"{user}/{recording.id}",
            source=0,
            **compare(found, wanted),
            **hidden_by_weights(found, clean, noisy, frames),
            **hidden_by_weights(wanted, clean, noisy, frames, "_oracle"),
        )
        if course is None:
            course = {"waveform": noisy, "true": wanted, "predicted": found}
    return table, course


def compare(found, wanted):
    """Compare predicted and true levels of one recording."""
    weights = [
        purification_weights(frame_snr_db=levels) for levels in (found, wanted)
    ]
    pair = torch.stack((found, wanted))
    return {
        "error_db": (found - wanted).square().mean().sqrt().item(),
        "correlation": torch.corrcoef(pair)[0, 1].item(),
        "weight_error": (weights[0] - weights[1]).abs().mean().item(),
        "frames_above": 100 * (found > 0).float().mean().item(),
    }


def hidden_by_weights(levels, clean, noisy, frames, suffix=""):
    """Tell how much of a recording the loss does not see, in percent.

    Where little of its noise is hidden, purification can change little.
    """
    weights = purification_weights(frame_snr_db=levels)
    shares = {}
    for name, signal in (("noise", noisy - clean), ("speech", clean)):
        energies = frame_sums(signal.square(), **frames)
        seen = (weights * energies).sum() / energies.sum()
        shares[f"{name}_hidden{suffix}"] = 100 * (1 - seen).item()
    return shares


def evaluate(hparams, arguments, info):
    """Score the selected checkpoint, write all results and print a summary.

    Arguments
    ---------
    hparams, arguments, info
        See `evaluate.evaluate`.
    """
    folder = Path(hparams["output_folder"])
    table, course = score(hparams)
    info = {
        **info,
        "configuration": runs.configuration(hparams),
        "seed": hparams["seed"],
    }
    table.write_csv(folder / "utterances.csv")
    table.write_json(folder / "metrics.json", info=info)
    summary = table.summary()
    training_curves(folder / "training.png", history=folder / "history.csv")
    snr_course(
        folder / "levels.png",
        waveform=course["waveform"],
        levels={name: course[name] for name in ("true", "predicted")},
        sample_rate=hparams["sample_rate"],
        hop=hparams["hop"],
    )
    write_report(
        folder,
        title="Predictor of frame SNRs",
        figures=[
            Result(label, summary[name]["mean"], unit)
            for name, (label, unit) in FIGURES.items()
        ],
        notes=[
            "Tested on the users' recordings of the split user_test, with "
            "noises that stand around users and that the predictor has not "
            f"heard, at {hparams['user_snr_db'][0]:g} to "
            f"{hparams['user_snr_db'][1]:g} dB."
        ],
        plots=[
            (folder / "training.png", "The course of the training."),
            (folder / "levels.png", "Levels of the frames of a recording."),
        ],
    )
    print()
    for name, (label, unit) in FIGURES.items():
        print(f"{label:52s}{summary[name]['mean']:9.2f} {unit}")
    release = make_release(hparams, summary, arguments)
    print(f"Figures and plots: {folder}/index.html")
    print(f"Predictor, for --predictor: {release}")
    print(f"or to publish: {publish_command(folder)}")
