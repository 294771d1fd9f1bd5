"""Evaluation of a trained enhancer, user by user, and its results page."""

import statistics
from pathlib import Path

import runs
import torch
from data import TEST, noises_of, recordings_of_user, users_of
from networks import choose_network
from release import make_release
from tqdm import tqdm

from speechbrain_ext.dataio import (
    add_noise,
    draw_noise,
    generator_for,
    read_recordings,
    scale_to_level,
)
from speechbrain_ext.dataio.segments import read_whole
from speechbrain_ext.evaluation import (
    Example,
    ScoreTable,
    SeparationMetrics,
    available,
    improvement_boxes,
    results_of,
    training_curves,
    write_report,
)
from speechbrain_ext.hub import publish_command
from speechbrain_ext.inference import Enhancer


def list_tests(hparams):
    """List what is tested: (user, recording), and the noises that are added.

    Where clean speech is known it is that; else the user's noisy recordings.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; data are prepared.

    Returns
    -------
    tests, noises : list of (str, Recording), list of Recording

    Raises
    ------
    ValueError
        If there is nothing to test on.
    """
    noises = noises_of(hparams, hparams["test_noise_split"], TEST)
    users = users_of(hparams)
    if not hparams["clean_speech_known"]:
        recordings, _ = recordings_of_user(hparams, "user_test")
        return [(users[0], recording) for recording in recordings], noises
    rows = read_recordings(
        hparams["manifest"], kind="speech", split="user_test"
    )
    return [(row.speaker, row) for row in rows if row.speaker in users], noises


def make_test(hparams, recording, noises, draw):
    """Add noise to a recording, always in the same way.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    recording : Recording
        Of the test.
    noises : list of Recording
        One is added.
    draw : int
        Which of the mixtures of this recording.

    Returns
    -------
    mixture, target : torch.Tensor, torch.Tensor
        Shape (time,), at the level of speech.
    """
    generator = generator_for(draw, recording.id)
    target = scale_to_level(torch.from_numpy(read_whole(recording)))
    noise = draw_noise(noises, len(target), generator)
    ratio = torch.tensor(generator.uniform(*hparams["test_snr_db"]))
    mixture, _ = add_noise(
        speech=target, noise=torch.from_numpy(noise), snr_db=ratio.float()
    )
    return mixture, target


def score(hparams):
    """Enhance all tests and measure them.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the checkpoint to judge is loaded.

    Returns
    -------
    table, improvements, examples : ScoreTable, dict, list of Example
        Scores; user to the SI-SDR improvement of each mixture; the first few
        mixtures of the first user.
    """
    # only this process evaluates, so that the network is the bare module
    rate = hparams["sample_rate"]
    enhancer = Enhancer(
        choose_network(hparams),
        sample_rate=rate,
        match_level=hparams["match_level"],
    )
    known = hparams["clean_speech_known"]
    measure, blind = (
        SeparationMetrics(sample_rate=rate, metrics=names)
        for names in choose_metrics(hparams)
    )
    tests, noises = list_tests(hparams)
    table, improvements, examples = ScoreTable(), {}, []
    for user, recording in tqdm(tests, "test", dynamic_ncols=True):
        for draw in range(hparams["test_draws"]):
            mixture, target = make_test(hparams, recording, noises, draw)
            enhanced = enhancer.enhance(mixture[None], rate).cpu()
            name = f"{user}/{recording.id}/{draw}"
            row = rows_of(measure, mixture, enhanced, target, name)
            if not known and draw == 0:
                # the recording itself, which holds noise enough
                mixture = target
                enhanced = enhancer.enhance(mixture[None], rate).cpu()
                row |= rows_of(blind, mixture, enhanced, target, name)
            table.add(utterance=name, source=0, **row)
            improvements.setdefault(user, []).append(row["si_sdri"])
            if len(examples) < hparams["examples"] and draw == 0:
                examples.append(
                    Example(
                        name=name,
                        mixture=mixture,
                        estimates=enhanced,
                        references=target[None] if known else None,
                        sample_rate=rate,
                        scores=[row] if known else [],
                        note=note_of(hparams),
                    )
                )
    return table, improvements, examples


def rows_of(measure, mixture, enhanced, target, name):
    """Score a mixture before and after its enhancement."""
    signals = {"targets": target[None], "mixture": mixture, "utterance": name}
    (after,) = measure(estimates=enhanced, **signals)
    (before,) = measure(estimates=mixture[None], **signals)
    skipped = ("si_sdr", "si_sdri", "sdr", "sdri")
    return after | {
        f"input_{key}": value
        for key, value in before.items()
        if key not in skipped
    }


def choose_metrics(hparams):
    """Choose what is measured of mixtures, and of recordings themselves.

    Where clean speech is unknown, SI-SDR against the noisy recordings is all
    that mixtures tell, and DNSMOS all that recordings do.
    """
    wanted = hparams["metrics"]
    if wanted is None:
        wanted = [name for name, there in available().items() if there]
    if hparams["clean_speech_known"]:
        return wanted, []
    return ["si_sdr"], [name for name in wanted if name == "dnsmos"]


def note_of(hparams):
    """Say what an example is."""
    if hparams["clean_speech_known"]:
        return "The reference is the clean speech."
    return (
        "The mixture is the recording as it is; nobody knows the clean speech."
    )


def evaluate(hparams, arguments, info):
    """Score the selected checkpoint, write all results and print a summary.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; the checkpoint to judge is loaded.
    arguments : list of str
        Of the command line, for the model card.
    info : dict
        What is known of the training, kept in metrics.json.
    """
    folder = Path(hparams["output_folder"])
    with torch.no_grad():
        table, improvements, examples = score(hparams)
    info = {
        **info,
        "configuration": runs.configuration(hparams),
        "seed": hparams["seed"],
        "improvements": {
            user: [round(value, 3) for value in values]
            for user, values in improvements.items()
        },
    }
    table.write_csv(folder / "utterances.csv")
    table.write_json(folder / "metrics.json", info=info)
    summary = table.summary()
    write_report(
        folder,
        title="Personalised enhancement",
        figures=results_of(summary),
        notes=describe(hparams),
        plots=draw(folder, improvements),
        examples=examples,
    )
    print_summary(summary, improvements)
    release = make_release(hparams, summary, arguments)
    print(f"Figures and page with players: {folder}/index.html")
    print(f"Model to use (enhance RECORDINGS --enhancer {release})")
    print(f"or to publish: {publish_command(folder)}")


def draw(folder, improvements):
    """Draw the plots of the results page: a list of (path, caption)."""
    training_curves(folder / "training.png", history=folder / "history.csv")
    improvement_boxes(folder / "improvements.png", groups=improvements)
    return [
        (folder / "training.png", "The course of the training."),
        (
            folder / "improvements.png",
            "SI-SDR improvement of the mixtures of each user.",
        ),
    ]


def describe(hparams):
    """Say what was run, for the results page."""
    notes = [
        f"Stage {hparams['stage']}, seed {hparams['seed']}, checkpoint "
        f"selected by {hparams['selection']}. Tested on the split user_test, "
        f"with noises of the split {hparams['test_noise_split']} at "
        f"{hparams['test_snr_db'][0]:g} to {hparams['test_snr_db'][1]:g} dB."
    ]
    if hparams["stage"] == "personalize":
        notes.append(
            f"User {hparams['user']}: loss {hparams['loss']}, targets "
            f"{hparams['targets']}, purification {hparams['purification']}, "
            f"started from {hparams['start_from'] or 'nothing'}. The selection "
            "target means the SI-SDR improvement against what was trained "
            "towards: the user has no clean speech."
        )
    if not hparams["clean_speech_known"]:
        notes.append(
            "Figures are against the user's noisy recordings, to which noise "
            "was added: how much of that is removed again. They do not tell "
            "how well the recordings themselves are enhanced: listen to the "
            "examples, which are the recordings as they are. DNSMOS, where it "
            "is shown, is of these too."
        )
    return notes


def print_summary(summary, improvements):
    """Print the means, and the improvement of each user."""
    print()
    for result in results_of(summary):
        print(f"{result.name:40s}{result.value:9.2f} {result.unit}")
    for user, values in improvements.items():
        print(
            f"SI-SDR improvement, user {user}: {statistics.fmean(values):.2f} "
            f"dB over {len(values)} mixtures"
        )
