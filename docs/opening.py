"""Draw the picture that README opens with, from a run of the ring recipe.

    python docs/opening.py results/ring_sepformer/1

Of the run's first example: the mixture of two noisy voices, what the model
makes of it, and the clean voices, which it has never seen. It writes
docs/opening.png.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import soundfile
import torch

from speechbrain_ext.evaluation.plot_style import STYLE, save

PANELS = {
    "mixture": "In: two voices, noise around both",
    "estimate_1": "Out: first voice",
    "estimate_2": "Out: second voice",
    "reference_1": "Never seen: first voice, clean",
    "reference_2": "Never seen: second voice, clean",
}
WINDOW, HOP = 512, 64
RANGE_DB = 60


def spectrum(path):
    """Compute levels in dB, shape (bins, frames), and the length and band."""
    samples, rate = soundfile.read(path, dtype="float32")
    transform = torch.stft(
        torch.from_numpy(samples),
        WINDOW,
        HOP,
        window=torch.hann_window(WINDOW),
        return_complex=True,
    )
    levels = 20 * torch.log10(transform.abs() + 1e-8)
    return levels, len(samples) / rate, rate / 2000


def main():
    """Draw the picture of the run that is named."""
    example = Path(sys.argv[1], "examples/01")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplot_mosaic(
            [["mixture", "estimate_1", "reference_1"]] * 2
            + [["mixture", "estimate_2", "reference_2"]] * 2,
            figsize=(12, 4.4),
            layout="constrained",
            sharex=True,
            sharey=True,
        )
        for name, title in PANELS.items():
            levels, seconds, band = spectrum(example / f"{name}.wav")
            top = levels.max()
            axes[name].imshow(
                levels,
                origin="lower",
                aspect="auto",
                extent=(0, seconds, 0, band),
                vmin=top - RANGE_DB,
                vmax=top,
                cmap="magma",
                interpolation="bilinear",
            )
            axes[name].set_title(title)
            axes[name].grid(False)
        for name in ("mixture", "estimate_2", "reference_2"):
            axes[name].set_xlabel("seconds")
        axes["mixture"].set_ylabel("kHz")
        save(figure, Path(__file__).with_name("opening.png"), dpi=80)


if __name__ == "__main__":
    main()
