"""Options that several commands have."""

import argparse
import os
import re
from pathlib import Path

MODEL = "a folder, the results folder of a run, USER/NAME[@REVISION] of the "
MODEL += "hub, or a name that `speechbrain-ext models` lists"


def home(text: str) -> str:
    """Replace ~ by the user's home folder, which shells do not always do."""
    return os.path.expanduser(text)


def path(text: str) -> Path:
    """Make a path of an option."""
    return Path(home(text))


def device(text: str) -> str:
    """Refuse what is no name of a device."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is none of auto, cpu, cuda, cuda:N and mps"
    )


def count(text: str) -> int:
    """Refuse what is no whole number above 0."""
    if re.fullmatch(r"0*[1-9]\d{0,8}", text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")


def add_device(command: argparse.ArgumentParser) -> None:
    """Add where to compute."""
    command.add_argument(
        "--device",
        type=device,
        default="auto",
        help="auto (a GPU if there is one), cpu, cuda, cuda:N or mps",
    )


def add_computing(command: argparse.ArgumentParser) -> None:
    """Add where and how a separator computes."""
    add_device(command)
    command.add_argument(
        "--precision",
        choices=("fp32", "bf16", "fp16"),
        default="fp32",
        help="what is computed in; the lower ones are faster on GPUs",
    )
    command.add_argument(
        "--batch",
        type=count,
        default=1,
        metavar="N",
        help="chunks computed together, of one or several files",
    )


def add_model(
    command: argparse.ArgumentParser, kind: str, *, many: bool = False
) -> None:
    """Add the model of a command; many of them for one that compares."""
    if many:
        command.add_argument(
            f"--{kind}s",
            required=True,
            nargs="+",
            type=home,
            metavar="MODEL",
            help=f"each {MODEL}",
        )
        return
    command.add_argument("--model", type=home, help=MODEL)
    _add_old_name(command, f"--{kind}", dest="model", type=home)


def add_estimator(command: argparse.ArgumentParser) -> None:
    """Add what estimates the SI-SNR."""
    command.add_argument(
        "--estimator",
        default="sisnr_estimator",
        type=home,
        metavar="MODEL",
        help="by default the one that comes with this package",
    )


def add_out(command: argparse.ArgumentParser, default: str) -> None:
    """Add the folder that a command writes to."""
    command.add_argument(
        "--out",
        type=path,
        default=Path(default),
        metavar="FOLDER",
        help=f"where to write; by default {default}, in the working folder",
    )
    _add_old_name(command, "--folder", dest="out", type=path)


def add_tables(command: argparse.ArgumentParser) -> None:
    """Add the tables that a command also writes."""
    command.add_argument("--csv", type=path, help="also write a CSV file")
    command.add_argument(
        "--json",
        type=path,
        help="also write a JSON file; -: print JSON and nothing else",
    )


def add_page(command: argparse.ArgumentParser) -> None:
    """Add the page that a command also writes."""
    command.add_argument(
        "--page",
        action="store_true",
        help="also write index.html there: a page that shows and plays the "
        "recordings and what became of them",
    )


def add_manners(command: argparse.ArgumentParser) -> None:
    """Add what a command may replace and print."""
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that the same command has not written, too",
    )
    command.add_argument(
        "--quiet",
        action="store_true",
        help="no progress bar and no notices, only results and failures",
    )


def _add_old_name(
    command: argparse.ArgumentParser, flag: str, **options
) -> None:
    """Add an option's name of earlier releases, which the help leaves out."""
    command.add_argument(
        flag, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **options
    )
