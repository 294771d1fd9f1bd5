"""Separate, enhance or transcribe files, judge and rank separators.

A folder stands for the audio files in it and below; what these commands wrote
there is passed over. What cannot be read or done is listed with the reason,
and the rest is done: exit status 2. In tables (--csv, --json) such an item is
a row of its own, with the reason under "skipped".
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from speechbrain_ext.console import (
    Failures,
    Parser,
    describe_error,
    printable,
    readable_errors,
)
from speechbrain_ext.files import write_csv
from speechbrain_ext.inference.batch import Item, find_items, list_audio, plan
from speechbrain_ext.inference.enhancer import Enhancer
from speechbrain_ext.inference.scoring import (
    find_estimates,
    iterate_scores,
    rank,
)
from speechbrain_ext.inference.separator import Separator
from speechbrain_ext.inference.sisnr_estimator import SHIPPED, SISNREstimator
from speechbrain_ext.inference.transcriber import Transcriber
from speechbrain_ext.outputs import written


def main(arguments: list[str] | None = None) -> None:
    """Run a command, print what came of it.

    Arguments
    ---------
    arguments : list of str, optional
        Of the command line.

    Raises
    ------
    SystemExit
        With status 1 and a message if it fails, with status 2 if some files
        cannot be used; see `speechbrain_ext.console`.
    """
    with readable_errors(arguments):
        options = make_parser().parse_args(arguments)
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        options.run(options)


def home(text: str) -> str:
    """Replace ~ by the user's home folder, which shells do not always do."""
    return os.path.expanduser(text)


def path(text: str) -> Path:
    """Make a path of an option."""
    return Path(home(text))


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the commands."""
    parser = Parser(
        prog="python -m speechbrain_ext.inference",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        required=True, dest="command", metavar="COMMAND"
    )
    separate = commands.add_parser(
        "separate", help="separate recordings into files NAME_source1.wav ..."
    )
    separate.set_defaults(run=separate_command)
    separate.add_argument("recordings", type=path, help="file or folder")
    separate.add_argument(
        "--separator", required=True, type=home, metavar="SOURCE"
    )
    separate.add_argument(
        "--active_only",
        action="store_true",
        help="leave out outputs that hold next to nothing",
    )
    enhance = commands.add_parser(
        "enhance", help="enhance recordings into files NAME_enhanced.wav"
    )
    enhance.set_defaults(run=enhance_command)
    enhance.add_argument("recordings", type=path, help="file or folder")
    enhance.add_argument(
        "--enhancer", required=True, type=home, metavar="SOURCE"
    )
    score = commands.add_parser(
        "score", help="estimate the SI-SNR of separated files"
    )
    score.set_defaults(run=score_command)
    score.add_argument(
        "recordings",
        type=path,
        metavar="mixture",
        help="file, or folder of files",
    )
    score.add_argument(
        "estimates",
        nargs="+",
        type=path,
        help="files of one mixture, or a folder of NAME_source1.wav ...",
    )
    ranking = commands.add_parser(
        "rank", help="rank separators on mixtures without references"
    )
    ranking.set_defaults(run=rank_command)
    ranking.add_argument("recordings", type=path, help="file or folder")
    ranking.add_argument(
        "--separators", required=True, nargs="+", type=home, metavar="SOURCE"
    )
    transcribe = commands.add_parser(
        "transcribe", help="write down what is said in recordings"
    )
    transcribe.set_defaults(run=transcribe_command)
    transcribe.add_argument("recordings", type=path, help="file or folder")
    transcribe.add_argument(
        "--transcriber", required=True, type=home, metavar="SOURCE"
    )
    transcribe.add_argument(
        "--enhanced",
        type=path,
        metavar="FOLDER",
        help="where to write NAME_enhanced.wav",
    )
    for command in (separate, enhance):
        command.add_argument(
            "--folder", required=True, type=path, help="where to write"
        )
        command.set_defaults(csv=None, json=None)
    for command in (score, ranking):
        command.add_argument(
            "--estimator",
            default=SHIPPED,
            type=home,
            metavar="SOURCE",
            help="by default the one that comes with this package",
        )
    for command in (score, ranking, transcribe):
        command.add_argument("--csv", type=path, help="also write a CSV file")
        command.add_argument("--json", type=path, help="also write a JSON file")
    for command in (separate, enhance, score, ranking, transcribe):
        command.add_argument(
            "--overwrite",
            action="store_true",
            help="replace files that the same command has not written, too",
        )
    return parser


def separate_command(options: argparse.Namespace) -> None:
    """Separate files, print the names of the results."""
    items = find_items(options.recordings, options.folder)
    separator = Separator.from_hparams(options.separator)
    count = separator.count_sources()
    outputs = [item.sources(count) for item in items]
    items = plan(items, outputs, model=separator.name, **tables(options))
    failures = Failures()
    for item in tqdm(items, "separating", disable=None):
        with failures.item(item.path):
            for result in separator.separate_file(
                *item,
                active_only=options.active_only,
                overwrite=options.overwrite,
            ):
                say(result)
    failures.finish(len(items) - len(failures.rows))


def enhance_command(options: argparse.Namespace) -> None:
    """Enhance files, print the names of the results."""
    items = find_items(options.recordings, options.folder)
    enhancer = Enhancer.from_hparams(options.enhancer)
    outputs = [item.enhanced() for item in items]
    items = plan(items, outputs, model=enhancer.name, **tables(options))
    failures = Failures()
    for item in tqdm(items, "enhancing", disable=None):
        with failures.item(item.path):
            say(enhancer.enhance_file(*item, overwrite=options.overwrite))
    failures.finish(len(items) - len(failures.rows))


def transcribe_command(options: argparse.Namespace) -> None:
    """Recognize files, print their texts."""
    wanted, outputs = options.enhanced is not None, []
    if wanted:
        items = find_items(options.recordings, options.enhanced)
        outputs = [item.enhanced() for item in items]
    else:
        items = [Item(path, None) for path in list_audio(options.recordings)]
    transcriber = Transcriber.from_hparams(options.transcriber)
    if wanted and transcriber.enhancer is None:
        raise ValueError(
            f"--enhanced: {options.transcriber} has no enhancer; leave the "
            "option out"
        )
    items = plan(items, outputs, model=transcriber.name, **tables(options))
    rows, failures = [], Failures()
    with recorded(rows, failures, "recording", options):
        for item in tqdm(items, "transcribing", disable=None):
            with failures.item(item.path):
                text = transcriber.transcribe_file(
                    *item, overwrite=options.overwrite
                )
                say(f"{item.path}: {text}")
                rows.append({"recording": str(item.path), "text": text})
    failures.finish(len(rows))


def score_command(options: argparse.Namespace) -> None:
    """Score files, print a table."""
    mixture, estimates = options.recordings, options.estimates
    rows, failures = [], Failures()
    if mixture.is_dir():
        if len(estimates) > 1 or not estimates[0].is_dir():
            raise ValueError(
                f"{mixture} is a folder; give one folder of estimates, not "
                f"{' '.join(map(str, estimates))}"
            )
        pairs = find_estimates(mixture, estimates[0], failures)
    else:
        pairs = {path: estimates for path in list_audio(mixture)}
    read = [path for pair in pairs.items() for path in (pair[0], *pair[1])]
    plan([Item(path, None) for path in read], **tables(options))
    estimator = SISNREstimator.from_hparams(options.estimator)
    low, high = estimator.module.snr_min, estimator.module.snr_max
    with recorded(rows, failures, "mixture", options):
        say(f"{'SI-SNR':>8}  estimate (the estimator's range: {low:g} to "
            f"{high:g} dB)")  # fmt: skip
        for row in iterate_scores(estimator, pairs, failures):
            error = f" +- {row['error']:.1f}" if "error" in row else ""
            say(f"{row['si_snr']:>5.1f} dB{error}  {row['estimate']}")
            rows.append(row)
        if rows:
            mean = sum(row["si_snr"] for row in rows) / len(rows)
            say(f"{mean:>5.1f} dB  mean of {len(rows)}")
    failures.finish(len({row["mixture"] for row in rows}))


def rank_command(options: argparse.Namespace) -> None:
    """Rank separators, print a table."""
    paths = list_audio(options.recordings)
    plan([Item(path, None) for path in paths], **tables(options))
    estimator = SISNREstimator.from_hparams(options.estimator)
    separators = {}
    for source in options.separators:
        try:
            separators[source] = Separator.from_hparams(source)
        except Exception as error:
            reason = describe_error(error)
            raise ValueError(f"--separators {source}: {reason}") from error
    rows, failures = [], Failures()
    with recorded(rows, failures, "mixture", options):
        rows += rank(estimator, separators, paths, failures)
    if rows:
        say(f"{'SI-SNR':>8}  behind the best by   separator")
    for row in rows:
        behind = rows[0]["si_snr"] - row["si_snr"]
        spread = "?"
        if row["standard_error"] is not None:
            spread = f"{row['standard_error']:.2f}"
        say(
            f"{row['si_snr']:>5.2f} dB  {behind:>5.2f} +- {spread:4s} dB     "
            f"{row['separator']}"
        )
    if rows:
        say(f"on {rows[0]['mixtures']} mixtures")
    failures.finish(len(paths) - len(failures.rows))


def say(text: object) -> None:
    """Print a line that may hold names of files, above a progress bar."""
    tqdm.write(printable(text, 10_000, lines=False), file=sys.stdout)
    sys.stdout.flush()


def tables(options: argparse.Namespace) -> dict:
    """Give what `plan` is to know of the tables that are asked for."""
    asked = [file for file in (options.csv, options.json) if file is not None]
    return {
        "maker": options.command,
        "tables": asked,
        "tables_of": os.path.abspath(options.recordings),
        "overwrite": options.overwrite,
    }


@contextmanager
def recorded(
    rows: list[dict],
    failures: Failures,
    item: str,
    options: argparse.Namespace,
) -> Iterator[None]:
    """Write rows and failures as CSV and as JSON, however the work ends."""
    try:
        yield
    finally:
        skipped = [
            {item: row["item"], "skipped": row["reason"]}
            for row in failures.rows
        ]
        keep = {
            "maker": options.command,
            "source": os.path.abspath(options.recordings),
            "overwrite": options.overwrite,
            "whole": False,
        }
        if options.csv:
            with written(options.csv, **keep) as partial:
                write_csv(partial, rows + skipped)
        if options.json:
            with written(options.json, **keep) as partial:
                text = json.dumps(rows + skipped, indent=2, allow_nan=False)
                partial.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
