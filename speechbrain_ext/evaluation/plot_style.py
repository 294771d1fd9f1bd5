"""The one style of all plots, and how they are written.

A white ground for light documents, colors that color-blind readers can
tell apart (Okabe and Ito), and never color alone: lines also differ in dash
or marker.
"""

import math
from pathlib import Path

from speechbrain_ext.files import replaced

COLORS = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # green
    "#CC79A7",  # purple
    "#E69F00",  # orange
    "#56B4E9",  # sky
)
MARKERS = "osD^vP"
INK = "#1f2933"
PALE = "#7b8794"
STYLE = {
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa5b1",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
}


def look(index):
    """Return the color and the marker of a series."""
    return COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]


def two_decimals(value):
    """Format a number: a true minus, a dash for NaN."""
    if math.isnan(value):
        return "\N{EN DASH}"
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def save(figure, path, *, dpi=150):
    """Write the PNG to a file beside `path`, then put it in its place."""
    with replaced(path) as partial:
        figure.savefig(partial, format="png", dpi=dpi)
    return Path(path)
