"""Run a recipe several times in one process, as its command would.

    python many.py RECIPE_FOLDER COMMANDS.json

COMMANDS.json holds a list of argument lists. Run by the tests: importing
everything takes longer than a tiny training.
"""

import importlib
import json
import sys
from pathlib import Path

from speechbrain_ext.services.launcher import launch

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    old = not (folder / "report.yaml").is_file()
    if old:
        sys.path.insert(0, str(folder))
        recipe = importlib.import_module("train")
    for arguments in json.loads(Path(sys.argv[2]).read_text()):
        print("\f", flush=True)  # a new page
        if old:
            recipe.main(arguments)
        else:
            launch(arguments[0], arguments[1:])
