#!/usr/bin/env python3
"""Run the recipe a hyperparameter file belongs to.

    python train.py hparams/ring_sepformer.yaml [--key=value ...]
    torchrun --nproc-per-node=2 train.py hparams/ring_sepformer.yaml

The files under hparams/ are links to recipes/DATASET/TASK/hparams/*.yaml; the
train.py beside that folder is run in this very process, between checks of all
options and the results page. Mistakes end it with one paragraph; --traceback
shows where in the code they occurred.
"""

import sys
from pathlib import Path

from speechbrain_ext.console import MISTAKE, readable_errors

ROOT = Path(__file__).resolve().parent


def recipe_files():
    """Every hyperparameter file of the recipes, relative to the root."""
    return sorted(
        str(path.relative_to(ROOT))
        for path in ROOT.glob("recipes/*/*/hparams/*.yaml")
    )


def find_recipe(name):
    """Find the recipe script and the real path of a hyperparameter file.

    Arguments
    ---------
    name : str
        A path to a YAML file; links are followed.

    Returns
    -------
    script, hparams_file : Path, Path

    Raises
    ------
    SystemExit
        Where there is no such file, or it lies outside
        recipes/DATASET/TASK/hparams (running the train.py beside such a
        file could start this launcher again, for ever).
    """
    hparams_file = Path(name).resolve()
    known = "\n  ".join(headline_files() + recipe_files())
    if not hparams_file.is_file():
        raise SystemExit(
            f"train.py: no hyperparameter file {str(name)!r}. There are:\n"
            f"  {known}"
        )
    inside = hparams_file.is_relative_to(ROOT / "recipes")
    parts = hparams_file.relative_to(ROOT).parts if inside else ()
    script = hparams_file.parent.parent / "train.py"
    if len(parts) != 5 or parts[3] != "hparams" or not script.is_file():
        raise SystemExit(
            f"train.py: {str(name)!r} is not a file of a recipe "
            f"(it resolves to {hparams_file}, not to "
            "recipes/DATASET/TASK/hparams/). Copy your file into that "
            f"folder, or use one of:\n  {known}"
        )
    return script, hparams_file


def headline_files():
    """List the links under hparams/, relative to the root."""
    return sorted(
        str(path.relative_to(ROOT)) for path in ROOT.glob("hparams/*.yaml")
    )


def main(arguments):
    """Run the recipe's script as if it had been started itself."""
    if not arguments or {"-h", "--help"} & set(arguments):
        known = "\n  ".join(headline_files() + recipe_files())
        print(f"{__doc__}\nHyperparameter files:\n  {known}")
        raise SystemExit(0 if arguments else MISTAKE)
    _, hparams_file = find_recipe(arguments[0])
    sys.path.insert(0, str(ROOT))
    with readable_errors():
        from speechbrain_ext.services.launcher import launch

        words = [word for word in arguments[1:] if word != "--traceback"]
        launch(hparams_file, words)


if __name__ == "__main__":
    main(sys.argv[1:])
