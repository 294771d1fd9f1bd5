"""The table of arms and its plots, from the figures of finished runs."""

from collections import defaultdict

from speechbrain_ext.evaluation import bars, residual_noise_against_snr
from speechbrain_ext.training import average_seeds, entry_of, show_decibels

MEANING = {
    "A": "noisy targets, ordinary mixing",
    "B": "ring, without SCER",
    "C": "ring + SCER",
    "D": "clean targets (upper bound)",
}


def rows_of(plan, figures):
    """Average over seeds: a row per corpus, mixing, SNR, arm and weight.

    Arguments
    ---------
    plan : list of Run
        Tells what a run's name means.
    figures : dict
        As `speechbrain_ext.training.read_figures` gives them.

    Returns
    -------
    rows : list of dict
        "corpus", "setting", "snr_db", "arm", "scer_weight", "standard" (the
        weight is the arm's own), "values" (metrics by seed), and mean (and
        deviation, NAME_std) of each metric.
    """
    groups = defaultdict(list)
    for run in plan:
        entry = entry_of(run, figures)
        if entry is not None:
            standard = run.weight is None
            key = (run.corpus, run.setting, run.snr, run.arm)
            key += (entry["scer_weight"], standard)
            groups[key].append(entry["metrics"])
    names = ("corpus", "setting", "snr_db", "arm", "scer_weight", "standard")
    rows = []
    for key, seeds in sorted(groups.items()):
        row = {**dict(zip(names, key, strict=True)), "values": seeds}
        rows.append(row | average_seeds(seeds))
    return rows


def markdown(rows):
    """Write the README's table."""
    lines = [
        "| corpus | mixing | SNR per source | arm | lambda | seeds "
        "| clean SI-SDRi | residual noise | a_own / a_other |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['corpus']} | {row['setting']} | {row['snr_db']} dB "
            f"| {row['arm']}: {MEANING[row['arm']]} | {row['scer_weight']:g} "
            f"| {len(row['values'])} | {show_decibels(row, 'si_sdri')} "
            f"| {show_decibels(row, 'residual_noise_db')} "
            f"| {row['a_own']:.2f} / {row['a_other']:.2f} |"
        )
    return "\n".join(lines)


def draw(rows, folder, prefix=""):
    """Plot each corpus: residual noise against SNR, SI-SDRi at 5 dB."""
    for corpus in sorted({row["corpus"] for row in rows}):
        levels, improvements = [], []
        for arm, meaning in MEANING.items():
            chosen = [
                row
                for row in rows
                if row["corpus"] == corpus
                and row["setting"] == "alternating"
                and row["arm"] == arm
                and row["standard"]
            ]
            points = [
                (row["snr_db"], metrics["residual_noise_db"])
                for row in chosen
                for metrics in row["values"]
            ]
            name = f"{arm}: {meaning}"
            if points:
                snr, level = zip(*points, strict=True)
                levels.append({"name": name, "snr": snr, "level_db": level})
            improvements += [
                {"name": name, "values": [m["si_sdri"] for m in row["values"]]}
                for row in chosen
                if row["snr_db"] == 5
            ]
        if levels:
            residual_noise_against_snr(
                folder / f"{prefix}residual_noise_{corpus}.png", arms=levels
            )
        if improvements:
            bars(
                folder / f"{prefix}si_sdri_{corpus}.png",
                arms=improvements,
                label="clean SI-SDRi (dB)",
                title=f"{corpus}, 5 dB per source",
            )
