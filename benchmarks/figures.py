"""How a benchmark hands over its figures: a file of names and numbers."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the file, --json."""
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="write the figures there, too"
    )


def write_figures(
    path: Path | None, figures: Mapping[str, float | None]
) -> None:
    """Write figures as JSON; without a path, do nothing.

    Arguments
    ---------
    path : Path or None
        The value of --json.
    figures : Mapping
        Name to number. What was not measured is left out, or None.
    """
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
