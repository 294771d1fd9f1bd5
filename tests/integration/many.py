"""Run hyperparameter files one after the other, as the launcher would.

    python many.py COMMANDS.json

COMMANDS.json holds a list of argument lists. Run by the tests: importing
everything takes longer than a tiny training.
"""

import json
import sys
from pathlib import Path

from speechbrain_ext.services.launcher import launch

if __name__ == "__main__":
    for arguments in json.loads(Path(sys.argv[1]).read_text()):
        print("\f", flush=True)  # a new page
        launch(arguments[0], arguments[1:])
