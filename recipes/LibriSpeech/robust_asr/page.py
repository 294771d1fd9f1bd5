"""What the results page of a run shows."""

from pathlib import Path

from stages import StageFolder, chosen_stages

from speechbrain_ext.evaluation import (
    COLUMNS,
    Example,
    Result,
    error_rate_against_snr,
    training_curves,
)

CLEAN = "clean"
ERRORS = {"wer": "word error rate", "cer": "character error rate"}
QUALITY = ("si_sdr", "pesq_nb", "pesq_wb", "stoi", "estoi")
AGREEMENT = "agreement"


def name_of(snr):
    """Name the condition of an SNR in dB; None is clean speech."""
    return CLEAN if snr is None else f"{snr:g} dB"


def make_example(row, signals, sample_rate):
    """Put one utterance onto the results page."""
    return Example(
        name=f"{row['condition']}: {row['utterance']}",
        mixture=signals["mixture"].cpu(),
        estimates=signals["estimates"].cpu(),
        references=signals["targets"].cpu(),
        sample_rate=sample_rate,
        scores=[{name: row[name] for name in QUALITY if name in row}],
        note=f"Said: {row['reference']}. Heard: {row['hypothesis']}.",
    )


def draw(hparams, summary):
    """Draw the plots of the results page: a list of (path, caption)."""
    folder = Path(hparams["output_folder"])
    error_rate_against_snr(
        folder / "wer.png",
        arms=[{"name": hparams["front_end"], **points(summary)}],
    )
    plots = [(folder / "wer.png", "Word error rate against the SNR.")]
    for stage in chosen_stages(hparams):
        path = folder / f"training_{stage.name}.png"
        history = StageFolder(hparams, stage.name).path / "history.csv"
        training_curves(path, history=history)
        plots.append((path, f"The course of the stage {stage.name}."))
    return plots


def points(summary):
    """Turn a summary, or some of its conditions, into points of a curve."""
    return {
        "snr_db": [
            None if name == CLEAN else float(name.split()[0])
            for name in summary
        ],
        "wer": [figures["wer"] for figures in summary.values()],
    }


def list_results(summary):
    """List the figures for the results page."""
    results = []
    for condition, figures in summary.items():
        results += [
            Result(f"{condition}: {label}", figures[name], "%", better="lower")
            for name, label in ERRORS.items()
        ]
        results += [
            Result(
                f"{condition}: {COLUMNS[name].label}",
                figures[name],
                COLUMNS[name].unit,
            )
            for name in QUALITY
            if name in figures
        ]
        share = 100 * figures[AGREEMENT]
        results.append(Result(f"{condition}: tokens as in clean", share, "%"))
    return results


def describe(hparams):
    """Say what was run, for the results page."""
    words = ""
    if hparams["closed_vocabulary"]:
        words = " Only utterances all of whose words stand in the training."
    return [
        f"Front end: {hparams['front_end']}; recogniser trained on "
        f"{hparams['recogniser_training']} conditions; shares of the gradient: "
        f"CBPC {hparams['cbpc_share']:g}, InfoNCE "
        f"{hparams['info_nce_share']:g}, tokens {hparams['token_share']:g}; "
        f"shuffled labels: {hparams['shuffle_labels']}; seed "
        f"{hparams['seed']}.",
        f"Tested on the splits {', '.join(hparams['test_splits'])}, decoded "
        f"greedily, without a language model.{words}",
    ]


def print_summary(summary):
    """Print the headline figures."""
    print(f"\n{'condition':12s}{'WER':>9s}{'CER':>9s}{'tokens':>10s}")
    for condition, figures in summary.items():
        print(
            f"{condition:12s}{figures['wer']:7.1f} %{figures['cer']:7.1f} %"
            f"{100 * figures[AGREEMENT]:8.1f} %"
        )
