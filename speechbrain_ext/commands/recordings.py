"""Commands on recordings: separate, enhance, score, rank, transcribe."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from speechbrain_ext.commands.options import (
    add_computing,
    add_device,
    add_estimator,
    add_manners,
    add_model,
    add_out,
    add_page,
    add_tables,
    path,
)
from speechbrain_ext.console import Failures, describe_error, printable
from speechbrain_ext.files import write_csv
from speechbrain_ext.outputs import written

STDOUT = Path("-")


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the parsers of the commands."""
    separate = commands.add_parser(
        "separate", help="separate recordings into files NAME_source1.wav ..."
    )
    separate.set_defaults(run=separate_command)
    add_recordings(separate)
    add_model(separate, "separator")
    add_out(separate, "separated")
    separate.add_argument(
        "--active_only",
        action="store_true",
        help="leave out outputs that hold next to nothing",
    )
    separate.add_argument(
        "--talkers",
        choices=("all", "auto"),
        default="all",
        help="auto: find how many voices there are, and when; where one "
        "speaks alone, nothing is separated",
    )
    enhance = commands.add_parser(
        "enhance", help="enhance recordings into files NAME_enhanced.wav"
    )
    enhance.set_defaults(run=enhance_command)
    add_recordings(enhance)
    add_model(enhance, "enhancer")
    add_out(enhance, "enhanced")
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
    add_estimator(score)
    add_device(score)
    ranking = commands.add_parser(
        "rank", help="rank separators on mixtures without references"
    )
    ranking.set_defaults(run=rank_command)
    add_recordings(ranking)
    add_model(ranking, "separator", many=True)
    add_estimator(ranking)
    transcribe = commands.add_parser(
        "transcribe", help="write down what is said in recordings"
    )
    transcribe.set_defaults(run=transcribe_command)
    add_recordings(transcribe)
    add_model(transcribe, "transcriber")
    transcribe.add_argument(
        "--enhanced",
        type=path,
        metavar="FOLDER",
        help="where to write NAME_enhanced.wav",
    )
    for command in (separate, enhance, ranking, transcribe):
        add_computing(command)
    for command in (separate, enhance):
        add_page(command)
    for command in (separate, enhance, score, ranking, transcribe):
        add_tables(command)
        add_manners(command)


def add_recordings(command: argparse.ArgumentParser) -> None:
    """Add what a command reads."""
    command.add_argument(
        "recordings",
        nargs="+",
        type=path,
        help="files, folders, and patterns such as 'talks/*.wav'",
    )


def separate_command(options: argparse.Namespace) -> None:
    """Separate files, print the names of the results."""
    from speechbrain_ext.inference import Separator
    from speechbrain_ext.inference.voices import require_voices

    def outputs_of(items, separator):
        count = separator.count_sources()
        if options.talkers == "auto":
            require_voices(count)
        return [item.sources(count) for item in items]

    write_outputs(
        options,
        lambda: load(Separator, options, "separator"),
        outputs_of,
        active_only=options.active_only,
        talkers=options.talkers,
    )


def enhance_command(options: argparse.Namespace) -> None:
    """Enhance files, print the names of the results."""
    from speechbrain_ext.inference import Enhancer

    write_outputs(
        options,
        lambda: load(Enhancer, options, "enhancer"),
        lambda items, _: [item.enhanced() for item in items],
    )


def write_outputs(
    options: argparse.Namespace,
    load_model: Callable,
    outputs_of: Callable,
    **how,
) -> None:
    """Write what a model makes of each file."""
    from speechbrain_ext.commands.talkers import describe_talkers, tell_outputs
    from speechbrain_ext.inference.batch import find_items, plan

    work = Work(options, "recording")
    items = find_items(options.recordings, options.out, work.failures)
    model = load_model()
    outputs = outputs_of(items, model)
    items = plan(items, outputs, model=model.name, **work.planned())
    done = {}
    with work.recorded(), work.bar(item.path for item in items) as progress:
        results = model.separate_each(items, progress)
        for item, stored in zip(items, results, strict=True):
            with work.failures.item(item.path), stored:
                paths = model.write(
                    item, stored, overwrite=options.overwrite, **how
                )
                spoken = describe_talkers(stored, len(paths))
                for output, more in zip(paths, spoken, strict=True):
                    work.say(output)
                    row = {"recording": str(item.path), "output": str(output)}
                    work.add(**row, **more)
                tell_outputs(work, item.path, stored, len(paths))
                done[item] = paths
    if options.page:
        from speechbrain_ext.commands.page import write_page

        write_page(work, model, items, done)
    work.failures.finish(len(done))


def transcribe_command(options: argparse.Namespace) -> None:
    """Recognize files, print their texts."""
    from speechbrain_ext.inference import Transcriber
    from speechbrain_ext.inference.batch import find_items, plan

    work = Work(options, "recording")
    items = find_items(options.recordings, options.enhanced, work.failures)
    outputs = []
    if options.enhanced is not None:
        outputs = [item.enhanced() for item in items]
    transcriber = load(Transcriber, options, "transcriber")
    if outputs and transcriber.enhancer is None:
        raise ValueError(
            f"--enhanced: {options.model} has no enhancer; leave the option out"
        )
    items = plan(items, outputs, model=transcriber.name, **work.planned())
    with work.recorded(), work.bar(item.path for item in items) as progress:
        for item in items:
            with work.failures.item(item.path):
                text = transcriber.transcribe_file(
                    *item, overwrite=options.overwrite, progress=progress
                )
                work.say(f"{item.path}: {text}")
                work.add(recording=str(item.path), text=text)
    work.failures.finish(len(work.rows))


def score_command(options: argparse.Namespace) -> None:
    """Score files, print a table."""
    from speechbrain_ext.corpora.finding import expand
    from speechbrain_ext.inference import SISNREstimator
    from speechbrain_ext.inference.batch import Item, list_audio, plan
    from speechbrain_ext.inference.scoring import (
        find_estimates,
        iterate_scores,
    )

    work = Work(options, "mixture")
    mixture, estimates = options.recordings, expand(options.estimates)
    if mixture.is_dir():
        if len(estimates) > 1 or not estimates[0].is_dir():
            raise ValueError(
                f"{mixture} is a folder; give one folder of estimates, not "
                f"{' '.join(map(str, estimates))}"
            )
        pairs = find_estimates(mixture, estimates[0], work.failures)
    else:
        pairs = {path: estimates for path in list_audio(mixture)}
    read = [path for pair in pairs.items() for path in (pair[0], *pair[1])]
    plan([Item(path, None) for path in read], **work.planned())
    estimator = SISNREstimator.from_hparams(
        options.estimator, device=options.device
    )
    low, high = estimator.module.snr_min, estimator.module.snr_max
    with work.recorded(), work.bar(pairs) as progress:
        work.say(f"{'SI-SNR':>8}  estimate (the estimator's range: {low:g} to "
            f"{high:g} dB)")  # fmt: skip
        for row in iterate_scores(estimator, pairs, work.failures, progress):
            error = f" +- {row['error']:.1f}" if "error" in row else ""
            work.say(f"{row['si_snr']:>5.1f} dB{error}  {row['estimate']}")
            work.add(**row)
        if work.rows:
            mean = sum(row["si_snr"] for row in work.rows) / len(work.rows)
            work.say(f"{mean:>5.1f} dB  mean of {len(work.rows)}")
    work.failures.finish(len({row["mixture"] for row in work.rows}))


def rank_command(options: argparse.Namespace) -> None:
    """Rank separators, print a table."""
    from speechbrain_ext.inference import Separator, SISNREstimator, rank
    from speechbrain_ext.inference.batch import find_items, plan

    work = Work(options, "mixture")
    items = find_items(options.recordings)
    plan(items, **work.planned())
    paths = [item.path for item in items]
    estimator = SISNREstimator.from_hparams(
        options.estimator, device=options.device
    )
    separators = {}
    for source in options.separators:
        try:
            separators[source] = Separator.from_hparams(
                source, **computing(options)
            )
        except Exception as error:
            reason = describe_error(error)
            raise ValueError(f"--separators {source}: {reason}") from error
    with work.recorded(), work.bar(paths, len(separators)) as progress:
        rows = rank(estimator, separators, paths, work.failures, progress)
        for row in rows:
            work.add(**row)
    if rows:
        work.say(f"{'SI-SNR':>8}  behind the best by   separator")
    for row in rows:
        behind = rows[0]["si_snr"] - row["si_snr"]
        spread = "?"
        if row["standard_error"] is not None:
            spread = f"{row['standard_error']:.2f}"
        work.say(
            f"{row['si_snr']:>5.2f} dB  {behind:>5.2f} +- {spread:4s} dB     "
            f"{row['separator']}"
        )
    if rows:
        work.say(f"on {rows[0]['mixtures']} mixtures")
    work.failures.finish(len(paths) - len(work.failures.rows))


def load(kind: type, options: argparse.Namespace, name: str) -> object:
    """Load the model that is asked for, or the default one."""
    from speechbrain_ext.hub.catalog import DEFAULTS

    source = options.model or DEFAULTS[name]
    return kind.from_hparams(source, **computing(options))


def computing(options: argparse.Namespace) -> dict:
    """Give what a model is to know of where and how to compute."""
    names = ("device", "precision", "batch")
    return {name: getattr(options, name) for name in names}


class Work:
    """What a command says, keeps for its tables, and skips.

    Arguments
    ---------
    options : argparse.Namespace
        Of the command.
    item : str
        What the tables call an item.
    """

    def __init__(self, options: argparse.Namespace, item: str) -> None:
        self.options, self.item = options, item
        self.rows, self.failures = [], Failures()
        given = options.recordings
        roots = given if isinstance(given, list) else [given]
        # of separate and enhance
        is_asked = getattr(options, "page", False)
        self.page = options.out / "index.html" if is_asked else None
        # what the tables are about
        self.source = os.pathsep.join(map(os.path.abspath, roots))

    def say(self, text: object) -> None:
        """Print a line that may hold names of files, above a bar."""
        from tqdm import tqdm

        if self.options.json != STDOUT:
            line = printable(text, 10_000, lines=False)
            tqdm.write(line, file=sys.stdout)
            sys.stdout.flush()

    def add(self, **row) -> None:
        """Keep a row for the tables."""
        self.rows.append(row)

    def planned(self) -> dict:
        """Give what `plan` is to know of the tables and the page."""
        tables = [self.page, self.options.csv, self.options.json]
        if self.options.json == STDOUT:
            tables.pop()
        return {
            "maker": self.options.command,
            "tables": [table for table in tables if table],
            "tables_of": self.source,
            "overwrite": self.options.overwrite,
        }

    @contextmanager
    def bar(self, paths: Iterable[Path], times: int = 1) -> Iterator[Callable]:
        """Show a bar over the seconds of recordings, with an estimate."""
        from tqdm import tqdm

        from speechbrain_ext.inference.recordings import duration

        hidden = self.options.quiet or not sys.stderr.isatty()
        seconds = 0 if hidden else times * sum(map(duration, paths))
        with tqdm(
            desc=self.options.command,
            total=round(seconds) or None,
            unit=" s of audio",
            disable=hidden,
        ) as bar:
            heard = 0.0

            def progress(seconds):
                nonlocal heard
                heard += seconds
                bar.update(int(heard) - bar.n)

            yield progress

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Write rows and failures as CSV and as JSON, however it ends."""
        try:
            yield
        finally:
            rows = self.rows + [
                {self.item: row["item"], "skipped": row["reason"]}
                for row in self.failures.rows
            ]
            if self.options.csv:
                with self.table(self.options.csv) as partial:
                    write_csv(partial, rows)
            if self.options.json:
                text = json.dumps(rows, indent=2, allow_nan=False)
                with self.table(self.options.json) as partial:
                    partial.write_text(f"{text}\n")

    def table(self, table: Path):
        """Open a table or the page, or the standard output."""
        if table == STDOUT:
            return nullcontext(Printed())
        return written(
            table,
            maker=self.options.command,
            source=self.source,
            overwrite=self.options.overwrite,
            whole=False,
        )


class Printed:
    """Stands for a file whose text is printed."""

    def write_text(self, text: str) -> None:
        """Print."""
        print(text, end="", flush=True)
