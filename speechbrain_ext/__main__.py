"""Commands on what recipes leave: results pages, ablations, listening tests.

python -m speechbrain_ext report OUTPUT_FOLDER
python -m speechbrain_ext ablation recipes/DATASET/TASK/ablation.yaml
python -m speechbrain_ext listening make RECORDINGS --separators SOURCE ...
python -m speechbrain_ext word_errors MANIFEST --separators SOURCE ...
"""

import importlib
import sys

from speechbrain_ext.console import MISTAKE, Parser, readable_errors


def report(words):
    """Write the results page and the release of a run again."""
    from speechbrain_ext.services.results import make_results, store_figures

    parser = Parser(
        prog="python -m speechbrain_ext report", description=report.__doc__
    )
    parser.add_argument("folder", help="the output folder of a run")
    parser.add_argument(
        "--store",
        metavar="JSON",
        help="also keep the figures for other runs to be compared with, such "
        "as a recipe's reference/NAME.json for runs of hparams/NAME.yaml",
    )
    arguments = parser.parse_args(words)
    make_results(arguments.folder)
    if arguments.store is not None:
        store_figures(arguments.folder, arguments.store)


# each is the `main` of a module of its name
SERVICES = ("ablation", "listening", "word_errors")


def main():
    """Run the command that is named first."""
    words = [word for word in sys.argv[1:] if word != "--traceback"]
    command = words[0] if words else ""
    if command not in ("report", *SERVICES):
        print(__doc__)
        asked = command in ("-h", "--help")
        sys.exit(0 if asked else MISTAKE)
    with readable_errors():
        if command == "report":
            report(words[1:])
        else:
            name = f"speechbrain_ext.services.{command}"
            importlib.import_module(name).main(words[1:])


if __name__ == "__main__":
    main()
