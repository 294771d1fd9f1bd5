"""Commands on data, runs and models: all but those on recordings."""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path

from speechbrain_ext.commands.options import (
    add_device,
    add_estimator,
    add_model,
    add_out,
    count,
    home,
    path,
)


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the parsers of the commands."""
    add_prepare(commands)
    report = commands.add_parser(
        "report", help="write the results page and the release of a run again"
    )
    report.set_defaults(run=report_command)
    report.add_argument("folder", type=home, help="the output folder of a run")
    report.add_argument(
        "--store",
        metavar="JSON",
        help="also keep the figures for other runs to be compared with, such "
        "as a recipe's reference/NAME.json for runs of hparams/NAME.yaml",
    )
    add_ablation(commands)
    add_listening(commands)
    errors = commands.add_parser(
        "word_errors",
        help="word error rate of separated speech",
        description="Recognize what separators make of mixtures, beside the "
        "estimator's scores. The recognizer is Whisper tiny.en, from the "
        "extra asr.",
    )
    errors.set_defaults(run=later("services.word_errors", "run"))
    errors.add_argument("manifest", help="what the `prepare` of a corpus wrote")
    add_model(errors, "separator", many=True)
    add_estimator(errors)
    errors.add_argument("--split", default="test")
    errors.add_argument("--mixtures", type=int, default=40, metavar="N")
    errors.add_argument("--seed", type=int, default=0)
    errors.add_argument("--json", type=path, help="also write a JSON file")
    add_device(errors)
    add_publish(commands)
    models = commands.add_parser(
        "models", help="list the models that have a name"
    )
    models.set_defaults(run=later("commands.models", "run"))
    models.add_argument("--json", action="store_true", help="print JSON")


def later(module: str, name: str) -> Callable:
    """Give a function of a module that is imported when it is called."""

    def call(options: argparse.Namespace) -> None:
        found = importlib.import_module(f"speechbrain_ext.{module}")
        getattr(found, name)(options)

    return call


def report_command(options: argparse.Namespace) -> None:
    """Write the results page and the release of a run again."""
    from speechbrain_ext.services.results import make_results, store_figures

    make_results(options.folder)
    if options.store is not None:
        store_figures(options.folder, options.store)


def add_prepare(commands: argparse._SubParsersAction) -> None:
    """Add the parser of `prepare`."""
    prepare = commands.add_parser(
        "prepare", help="turn a folder of recordings into a manifest"
    )
    prepare.set_defaults(run=prepare_command)
    prepare.add_argument(
        "data_folder",
        type=home,
        help="SPEAKER/**/*.wav and the like, or a CSV with the columns path "
        "and speaker",
    )
    add_out(prepare, "prepared")
    prepare.add_argument("--sample_rate", type=count, default=16000)
    for kind in ("noise", "rir", "event"):
        prepare.add_argument(f"--{kind}_folder", type=home, metavar="FOLDER")
    prepare.add_argument("--include", nargs="+", metavar="PATTERN")
    for name, default in (
        ("validation_share", 0.1),
        ("test_share", 0.1),
        ("minimum_seconds", 1.0),
    ):
        prepare.add_argument(f"--{name}", type=float, default=default)
    prepare.add_argument("--seed", type=int, default=0)


PREPARED = "sample_rate noise_folder rir_folder event_folder include "
PREPARED += "validation_share test_share minimum_seconds seed"


def prepare_command(options: argparse.Namespace) -> None:
    """Prepare a folder, print the name of its manifest."""
    from speechbrain_ext.corpora.folder import prepare

    given = {name: getattr(options, name) for name in PREPARED.split()}
    print(prepare(options.data_folder, options.out, **given))


def add_ablation(commands: argparse._SubParsersAction) -> None:
    """Add the parser of `ablation`."""
    ablation = commands.add_parser(
        "ablation",
        help="train the runs of a recipe's ablation, and make its table",
        epilog="Other options are those of the runs.",
    )
    # the runs know their options
    ablation.set_defaults(
        run=later("services.ablation", "run"), takes_others=True
    )
    add = ablation.add_argument
    add("file", help="the ablation.yaml of a recipe")
    add("--data_folder", help="recordings, for the runs that need them")
    add("--output", help="where runs are kept; by default as the file says")
    add("--jobs", type=count, default=2, help="runs at a time")
    add("--only", default="", help="run only what has this in its name")
    add("--missing", action="store_true", help="run what is not stored yet")
    add("--table", action="store_true", help="collect what is finished only")
    add("--store", action="store_true", help="add the figures to reference/")


def add_listening(commands: argparse._SubParsersAction) -> None:
    """Add the parsers of `listening`."""
    listening = commands.add_parser(
        "listening", help="make a listening test, or evaluate its scores"
    ).add_subparsers(required=True, metavar="make|plot", dest="step")
    make = listening.add_parser(
        "make",
        help="separate recordings, and write a page with some of them",
        description="Separate recordings by every separator, and write a page "
        "with some of the separations, so that the estimator's scores are "
        "spread evenly. Listeners give 1 to 5 points, and send the CSV file "
        "that the page saves.",
    )
    make.set_defaults(run=later("services.listening", "make"))
    make.add_argument("mixtures", type=path, help="file or folder")
    add_model(make, "separator", many=True)
    add_out(make, "listening")
    add_estimator(make)
    make.add_argument("--count", type=int, default=50)
    make.add_argument("--seconds", type=float, default=10.0)
    make.add_argument("--seed", type=int, default=0)
    add_device(make)
    plot = listening.add_parser(
        "plot",
        help="draw the listeners' scores against the estimator's",
        description="Draw the points that listeners gave against the "
        "estimator's scores, and print the correlations.",
    )
    plot.set_defaults(run=later("services.listening", "plot"))
    plot.add_argument("folder", type=Path, help="what `make` wrote")
    plot.add_argument("scores", nargs="+", help="CSV files")


def add_publish(commands: argparse._SubParsersAction) -> None:
    """Add the parser of `publish`."""
    publish = commands.add_parser(
        "publish", help="put the model of a results folder on the hub"
    )
    publish.set_defaults(run=publish_command)
    publish.add_argument(
        "folder",
        help="results folder of a recipe, of which the subfolder release is "
        "published, or such a folder itself: hyperparams.yaml, README.md "
        "and weights",
    )
    publish.add_argument(
        "--repo", required=True, metavar="USER/NAME", dest="repo_id"
    )
    publish.add_argument("--private", action="store_true")
    publish.add_argument(
        "--dry_run",
        action="store_true",
        help="check the folder and list what would be sent",
    )
    publish.add_argument("--tag", help="name for this state, such as v1")
    publish.add_argument("--message", default="Publish a release")


def publish_command(options: argparse.Namespace) -> None:
    """Publish a folder, print what was done."""
    from speechbrain_ext.hub import publish

    names = ("folder", "repo_id", "private", "dry_run", "tag", "message")
    print(publish(**{name: getattr(options, name) for name in names}))
