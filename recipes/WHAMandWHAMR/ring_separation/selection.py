"""Choosing a checkpoint by the blind SI-SNR estimator."""

import csv

from speechbrain_ext.console import describe_error
from speechbrain_ext.inference import SISNREstimator
from speechbrain_ext.inference.sisnr_estimator import SHIPPED


def load_judge(hparams):
    """Load the estimator that `selection: blind` asks.

    Arguments
    ---------
    hparams : dict
        `estimator` is null (the one that ships), a folder or a repository.

    Returns
    -------
    module : speechbrain_ext.models.SISNREstimator
        In evaluation mode.

    Raises
    ------
    ValueError
        If it cannot be loaded, or works at another sample rate.
    """
    source = hparams["estimator"] or SHIPPED
    try:
        judge = SISNREstimator.from_hparams(source)
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"estimator: {describe_error(error)}") from error
    if judge.sample_rate != hparams["sample_rate"]:
        raise ValueError(
            f"estimator: {source} works at {judge.sample_rate} Hz, "
            f"sample_rate is {hparams['sample_rate']}; give an estimator of "
            "that rate, or choose another selection"
        )
    # scores are all that is wanted
    judge.module.requires_grad_(False)
    return judge.module


def blind_course(path):
    """Read what the blind estimator said after every epoch.

    Arguments
    ---------
    path : Path
        history.csv of a run.

    Returns
    -------
    curve : dict or None
        "name", "epochs", "predicted", and "true": clean SI-SDRi, or None
        where clean speech is not known; None without blind selection.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["stage"] == "valid"]
    if not rows or not all(row.get("blind_si_snr") for row in rows):
        return None
    true = None
    if all(row.get("clean_si_sdri") for row in rows):
        true = [float(row["clean_si_sdri"]) for row in rows]
    return {
        "name": "validation",
        "epochs": list(range(1, len(rows) + 1)),
        "predicted": [float(row["blind_si_snr"]) for row in rows],
        "true": true,
    }


def print_selection(blind):
    """Print how blind selection compares with the true best epoch."""
    if not blind or not blind["true"]:
        return
    places = range(len(blind["epochs"]))
    chosen = max(places, key=blind["predicted"].__getitem__)
    best = max(places, key=blind["true"].__getitem__)
    regret = blind["true"][best] - blind["true"][chosen]
    print(
        f"blind selection: epoch {blind['epochs'][chosen]}, {regret:.2f} dB "
        f"clean SI-SDRi below the best, epoch {blind['epochs'][best]} "
        "(validation mixtures)"
    )
