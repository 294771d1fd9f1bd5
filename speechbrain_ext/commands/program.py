"""Separate, enhance, transcribe and score recordings; report and publish runs.

A folder stands for the audio files in it and below; what these commands wrote
there is passed over. What cannot be read or done is listed with the reason,
and the rest is done: exit status 2. A mistake in an option is exit status 1.
In tables (--csv, --json) an item that failed is a row of its own, with the
reason under "skipped".
"""

import argparse
import logging
import sys
from collections.abc import Sequence

from speechbrain_ext import __version__
from speechbrain_ext.commands import recordings, runs
from speechbrain_ext.console import Parser, readable_errors


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands.

    Returns
    -------
    parser : argparse.ArgumentParser

    Example
    -------
    >>> make_parser().parse_args(["enhance", "talk.wav"]).command
    'enhance'
    """
    parser = Parser(
        prog="speechbrain-ext",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="`speechbrain-ext COMMAND --help` tells the options of each.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(
        required=True, dest="command", metavar="COMMAND"
    )
    recordings.add_commands(commands)
    runs.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, print what came of it.

    Arguments
    ---------
    arguments : sequence of str, optional
        Of the command line.

    Raises
    ------
    SystemExit
        With status 1 and a message if it fails, with status 2 if some items
        failed; see `speechbrain_ext.console`.
    """
    with readable_errors(arguments):
        parser = make_parser()
        complete(parser)
        options, others = parser.parse_known_args(arguments)
        if others and not getattr(options, "takes_others", False):
            parser.error(f"unrecognized arguments: {' '.join(others)}")
        options.options = others
        options.words = sys.argv[1:] if arguments is None else arguments
        quiet = getattr(options, "quiet", False)
        logging.basicConfig(
            level=logging.ERROR if quiet else logging.WARNING,
            format="%(message)s",
        )
        options.run(options)


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks how a line goes on, if argcomplete is here."""
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)


def run_as(old: str, *command: str) -> None:
    """Run a command under a name of earlier releases.

    Arguments
    ---------
    old : str
        The name, for a notice.
    *command : str
        What stands for it.
    """
    new = " ".join(("speechbrain-ext", *command))
    print(
        f"`{old}` is called `{new}`; the old name is for this release only",
        file=sys.stderr,
    )
    main([*command, *sys.argv[1:]])
