"""Separate, enhance or transcribe files, judge and rank separators."""

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from speechbrain_ext.files import replaced, write_csv
from speechbrain_ext.hub import PublishError
from speechbrain_ext.inference.enhancer import Enhancer
from speechbrain_ext.inference.scoring import (
    find_estimates,
    list_audio,
    rank,
    score_files,
)
from speechbrain_ext.inference.separator import Separator
from speechbrain_ext.inference.sisnr_estimator import SHIPPED, SISNREstimator
from speechbrain_ext.inference.transcriber import Transcriber


def main(arguments: list[str] | None = None) -> None:
    """Run a command, print what came of it.

    Arguments
    ---------
    arguments : list of str, optional
        Of the command line.

    Raises
    ------
    SystemExit
        With a message, if it fails.
    """
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        options.run(options)
    except (ValueError, OSError, PublishError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the commands."""
    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_ext.inference", description=__doc__
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    separate = commands.add_parser(
        "separate", help="separate recordings into files NAME_source1.wav ..."
    )
    separate.set_defaults(run=separate_command)
    separate.add_argument("mixture", help="file or folder")
    separate.add_argument("--separator", required=True, metavar="SOURCE")
    separate.add_argument("--folder", required=True, help="where to write")
    separate.add_argument(
        "--active_only",
        action="store_true",
        help="leave out outputs that hold next to nothing",
    )
    enhance = commands.add_parser(
        "enhance", help="enhance recordings into files NAME_enhanced.wav"
    )
    enhance.set_defaults(run=enhance_command)
    enhance.add_argument("recordings", help="file or folder")
    enhance.add_argument("--enhancer", required=True, metavar="SOURCE")
    enhance.add_argument("--folder", required=True, help="where to write")
    score = commands.add_parser(
        "score", help="estimate the SI-SNR of separated files"
    )
    score.set_defaults(run=score_command)
    score.add_argument("mixture", help="file, or folder of files")
    score.add_argument(
        "estimates",
        nargs="+",
        help="files of one mixture, or a folder of NAME_source1.wav ...",
    )
    ranking = commands.add_parser(
        "rank", help="rank separators on mixtures without references"
    )
    ranking.set_defaults(run=rank_command)
    ranking.add_argument("mixture", help="file or folder")
    ranking.add_argument(
        "--separators", required=True, nargs="+", metavar="SOURCE"
    )
    transcribe = commands.add_parser(
        "transcribe", help="write down what is said in recordings"
    )
    transcribe.set_defaults(run=transcribe_command)
    transcribe.add_argument("recordings", help="file or folder")
    transcribe.add_argument("--transcriber", required=True, metavar="SOURCE")
    transcribe.add_argument(
        "--enhanced", metavar="FOLDER", help="where to write NAME_enhanced.wav"
    )
    for command in (score, ranking):
        command.add_argument(
            "--estimator",
            default=SHIPPED,
            metavar="SOURCE",
            help="by default the one that comes with this package",
        )
    for command in (score, ranking, transcribe):
        command.add_argument("--csv", type=Path, help="also write a CSV file")
        command.add_argument("--json", type=Path, help="also write a JSON file")
    return parser


def separate_command(options: argparse.Namespace) -> None:
    """Separate files, print the names of the results."""
    separator = Separator.from_hparams(options.separator)
    for path, folder in places(options.mixture, options.folder):
        for result in separator.separate_file(
            path, folder, active_only=options.active_only
        ):
            print(result)


def enhance_command(options: argparse.Namespace) -> None:
    """Enhance files, print the names of the results."""
    enhancer = Enhancer.from_hparams(options.enhancer)
    for path, folder in places(options.recordings, options.folder):
        print(enhancer.enhance_file(path, folder))


def places(root: str, folder: str) -> Iterator[tuple[Path, Path]]:
    """Yield each file of a tree, and the folder for what becomes of it."""
    root = Path(root)
    for path in list_audio(root):
        inner = path.parent.relative_to(root) if path != root else Path()
        yield path, Path(folder) / inner


def score_command(options: argparse.Namespace) -> None:
    """Score files, print a table."""
    estimator = SISNREstimator.from_hparams(options.estimator)
    mixture, estimates = Path(options.mixture), options.estimates
    if mixture.is_dir():
        if len(estimates) > 1 or not Path(estimates[0]).is_dir():
            raise ValueError(
                f"{mixture} is a folder; give one folder of estimates, not "
                f"{' '.join(estimates)}"
            )
        pairs = find_estimates(mixture, estimates[0])
    else:
        pairs = {mixture: [Path(path) for path in estimates]}
    rows = score_files(estimator, pairs)
    low, high = estimator.module.snr_min, estimator.module.snr_max
    print(f"{'SI-SNR':>8}  estimate (the estimator's range: {low:g} to "
          f"{high:g} dB)")  # fmt: skip
    for row in rows:
        error = f" +- {row['error']:.1f}" if "error" in row else ""
        print(f"{row['si_snr']:>5.1f} dB{error}  {row['estimate']}")
    mean = sum(row["si_snr"] for row in rows) / len(rows)
    print(f"{mean:>5.1f} dB  mean of {len(rows)}")
    write(rows, options)


def rank_command(options: argparse.Namespace) -> None:
    """Rank separators, print a table."""
    estimator = SISNREstimator.from_hparams(options.estimator)
    separators = {
        source: Separator.from_hparams(source) for source in options.separators
    }
    rows = rank(estimator, separators, list_audio(options.mixture))
    print(f"{'SI-SNR':>8}  behind the best by   separator")
    for row in rows:
        behind = rows[0]["si_snr"] - row["si_snr"]
        spread = "?"
        if row["standard_error"] is not None:
            spread = f"{row['standard_error']:.2f}"
        print(
            f"{row['si_snr']:>5.2f} dB  {behind:>5.2f} +- {spread:4s} dB     "
            f"{row['separator']}"
        )
    print(f"on {rows[0]['mixtures']} mixtures")
    write(rows, options)


def transcribe_command(options: argparse.Namespace) -> None:
    """Recognise files, print their texts."""
    transcriber = Transcriber.from_hparams(options.transcriber)
    rows, wanted = [], options.enhanced is not None
    for path, folder in places(options.recordings, options.enhanced or ""):
        text = transcriber.transcribe_file(path, folder if wanted else None)
        print(f"{path}: {text}")
        rows.append({"recording": str(path), "text": text})
    write(rows, options)


def write(rows: list[dict], options: argparse.Namespace) -> None:
    """Write rows as CSV and as JSON, where asked for."""
    if options.csv:
        write_csv(options.csv, rows)
    if options.json:
        with replaced(options.json) as partial:
            partial.write_text(
                json.dumps(rows, indent=2, allow_nan=False) + "\n"
            )


if __name__ == "__main__":
    main()
