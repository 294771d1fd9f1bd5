"""Plots of a run's results page, drawn from what the run left."""

import csv
from pathlib import Path

import soundfile

from speechbrain_ext.evaluation.enhancement_plots import (
    improvement_boxes,
    snr_course,
)
from speechbrain_ext.evaluation.estimator_plots import course_over_epochs
from speechbrain_ext.evaluation.plots import residual_noise_against_snr
from speechbrain_ext.evaluation.recognition_plots import error_rate_against_snr


def residual_noise_by_snr(path: Path, run) -> Path | None:
    """Draw the residual noise of tests at several SNRs.

    Arguments
    ---------
    path : Path
        PNG to write.
    run : RunFolder
        Its tests are named by SNRs, such as "5 dB".

    Returns
    -------
    path : Path or None
        None where there are no such tests.
    """
    arms = {"this model": _levels(run)}
    if run.reference:
        arms["stored"] = {
            name: figures.get("residual_noise_db")
            for name, figures in run.reference["other_tests"].items()
        }
    arms = [
        {
            "name": name,
            "snr": [float(test.split()[0]) for test in levels],
            "level_db": list(levels.values()),
        }
        for name, levels in arms.items()
        if levels and None not in levels.values()
    ]
    return residual_noise_against_snr(path, arms=arms) if arms else None


def _levels(run) -> dict:
    """Mean residual noise of each test at an SNR of its own."""
    levels = {}
    for test in run.tests[1:]:
        summary = run.table(test).summary()
        if "residual_noise_db" in summary:
            levels[test] = summary["residual_noise_db"]["mean"]
    return levels


def blind_selection(path: Path, run) -> Path | None:
    """Draw what the blind estimator said after every epoch.

    Arguments
    ---------
    path : Path
        PNG to write.
    run : RunFolder
        Selected by it.

    Returns
    -------
    path : Path or None
        None where checkpoints were selected otherwise.
    """
    rows = [row for row in run.history if row["stage"] == "valid"]
    if not rows or not all(row.get("blind_si_snr") for row in rows):
        return None
    true = None
    if all(row.get("clean_si_sdri") for row in rows):
        true = [float(row["clean_si_sdri"]) for row in rows]
    curve = {
        "name": "validation",
        "epochs": list(range(1, len(rows) + 1)),
        "predicted": [float(row["blind_si_snr"]) for row in rows],
        "true": true,
    }
    return course_over_epochs(path, curves=[curve])


def word_errors_by_snr(path: Path, run) -> Path:
    """Draw the word error rate of tests at several SNRs.

    Arguments
    ---------
    path : Path
        PNG to write.
    run : RunFolder
        Its tests are named by SNRs, such as "5 dB", or "clean".

    Returns
    -------
    path : Path
    """
    summary = run.summary()
    rates = {
        None if test == "clean" else float(test.split()[0]): (
            summary[f"wer, {test}"]["mean"]
        )
        for test in run.tests
    }
    arm = {"name": "this model", "snr_db": list(rates)}
    return error_rate_against_snr(
        path, arms=[{**arm, "wer": [*rates.values()]}]
    )


def improvements_by_group(path: Path, run) -> Path | None:
    """Draw a box of the SI-SDR improvements of each speaker.

    Arguments
    ---------
    path : Path
        PNG to write.
    run : RunFolder
        Its report.yaml lists si_sdri under `each`.

    Returns
    -------
    path : Path or None
        None where there are none.
    """
    groups = run.each.get("si_sdri")
    return improvement_boxes(path, groups=groups) if groups else None


def frame_levels(path: Path, run) -> Path | None:
    """Draw true and predicted levels of the frames of a recording.

    Arguments
    ---------
    path : Path
        PNG to write.
    run : RunFolder
        Its folder `levels` holds the recording and a table of the levels.

    Returns
    -------
    path : Path or None
        None where there are none.
    """
    folder = run.folder / "levels"
    if not folder.is_dir():
        return None
    waveform, rate = soundfile.read(folder / "recording.wav", dtype="float32")
    with open(folder / "levels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    levels = {name: [float(row[name]) for row in rows] for name in rows[0]}
    return snr_course(
        path,
        waveform=waveform,
        levels=levels,
        sample_rate=rate,
        hop=run.values["hop"],
    )
