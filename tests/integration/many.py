"""Run a recipe several times in one process, as its command would.

    python many.py RECIPE_FOLDER COMMANDS.json

COMMANDS.json holds a list of argument lists. Run by the tests: importing
everything takes longer than a tiny training.
"""

import importlib
import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    recipe = importlib.import_module("train")
    for arguments in json.loads(Path(sys.argv[2]).read_text()):
        print("\f", flush=True)  # a new page
        recipe.main(arguments)
