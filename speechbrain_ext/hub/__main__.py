"""Publish the model of a results folder, or a release folder."""

import argparse
import logging
import sys

from speechbrain_ext.hub.publishing import publish
from speechbrain_ext.hub.retry import PublishError


def main(arguments: list[str] | None = None) -> None:
    """Publish a folder, print what was done.

    Arguments
    ---------
    arguments : list of str, optional
        Of the command line.

    Raises
    ------
    SystemExit
        With a message, if it fails.
    """
    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_ext.hub", description=__doc__
    )
    parser.add_argument(
        "folder",
        help="results folder of a recipe, of which the subfolder release is "
        "published, or such a folder itself: hyperparams.yaml, README.md "
        "and weights",
    )
    parser.add_argument("--repo", required=True, metavar="USER/NAME")
    parser.add_argument("--private", action="store_true")
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="check the folder and list what would be sent",
    )
    parser.add_argument("--tag", help="name for this state, such as v1")
    parser.add_argument("--message", default="Publish a release")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        published = publish(
            options.folder,
            options.repo,
            private=options.private,
            dry_run=options.dry_run,
            tag=options.tag,
            message=options.message,
        )
    except (PublishError, ValueError, FileNotFoundError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(published)


if __name__ == "__main__":
    main()
