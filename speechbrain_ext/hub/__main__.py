"""Publish the model of a results folder, or a release folder."""

import logging
from collections.abc import Sequence

from speechbrain_ext.console import Parser, readable_errors
from speechbrain_ext.hub.publishing import publish


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish a folder, print what was done.

    Arguments
    ---------
    arguments : sequence of str, optional
        Of the command line.

    Raises
    ------
    SystemExit
        With status 1 and a message, if it fails.
    """
    parser = Parser(prog="python -m speechbrain_ext.hub", description=__doc__)
    parser.add_argument(
        "folder",
        help="results folder of a recipe, of which the subfolder release is "
        "published, or such a folder itself: hyperparams.yaml, README.md "
        "and weights",
    )
    parser.add_argument(
        "--repo", required=True, metavar="USER/NAME", dest="repo_id"
    )
    parser.add_argument("--private", action="store_true")
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="check the folder and list what would be sent",
    )
    parser.add_argument("--tag", help="name for this state, such as v1")
    parser.add_argument("--message", default="Publish a release")
    options = vars(parser.parse_args(arguments))
    del options["traceback"]  # readable_errors looks for it
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with readable_errors(arguments):
        print(publish(**options))


if __name__ == "__main__":
    main()
