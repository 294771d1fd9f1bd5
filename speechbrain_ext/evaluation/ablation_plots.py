"""Plots of ablations, drawn from the rows of their tables."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from speechbrain_ext.evaluation.plots import bars, residual_noise_against_snr


def draw_ring(folder: Path, rows: Sequence[Mapping]) -> None:
    """Draw residual noise by SNR, and SI-SDRi at 5 dB, of each corpus.

    Arguments
    ---------
    folder : Path
        Where the PNG files are written.
    rows : sequence of dict
        From `speechbrain_ext.services.ablation.Ablation.rows`.
    """
    chosen = [
        row
        for row in rows
        if row["factors"]["setting"] == "alternating"
        and row["factors"]["weight"] in (0, 1.75)
    ]
    for corpus in sorted({row["factors"]["corpus"] for row in chosen}):
        levels, improvements = {}, []
        for name, row in _named(chosen, corpus):
            snr = row["factors"]["snr"]
            level = levels.setdefault(
                name, {"name": name, "snr": [], "level_db": []}
            )
            for metrics in row["values"]:
                level["snr"].append(snr)
                level["level_db"].append(metrics["residual_noise_db"])
            if snr == 5:
                values = [metrics["si_sdri"] for metrics in row["values"]]
                improvements.append({"name": name, "values": values})
        residual_noise_against_snr(
            folder / f"ablation_residual_noise_{corpus}.png",
            arms=list(levels.values()),
        )
        if improvements:
            bars(
                folder / f"ablation_si_sdri_{corpus}.png",
                arms=improvements,
                label="clean SI-SDRi (dB)",
                title=f"{corpus}, 5 dB per source",
            )


def _named(
    rows: Sequence[Mapping], corpus: str
) -> Iterator[tuple[str, Mapping]]:
    """Give the rows of a corpus with their names, sorted by these."""
    found = [
        (f"{row['factors']['arm']}: {row['labels']['arm']}", row)
        for row in rows
        if row["factors"]["corpus"] == corpus
    ]
    yield from sorted(found, key=lambda pair: pair[0])
