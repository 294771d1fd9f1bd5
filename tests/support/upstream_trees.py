"""A small project and a small checkout, for the tests of tools/upstream.py."""

import subprocess
import textwrap

from upstream.destinations import Recipe

COLUMNS = (
    "Task,Dataset,Script_file,Hparam_file,Data_prep_file,Readme_file,"
    "Result_url,HF_repo,test_debug_flags,test_debug_checks,performance"
)
PLACE = "recipes/Speech/ring"
RECIPE = Recipe("Speech/ring", on=("core",))

PROJECT = {
    "speechbrain_ext/__init__.py": "",
    "speechbrain_ext/losses/__init__.py": """
        from speechbrain_ext.losses.scer import scer
        from speechbrain_ext.losses.si_sdr import energy
        """,
    "speechbrain_ext/losses/si_sdr.py": '''
        """Energies."""

        import functools


        @functools.cache
        def energy(values: tuple[float, ...]) -> float:
            """Return the energy."""
            return sum(x * y for x, y in zip(values, values, strict=True))
        ''',
    "speechbrain_ext/losses/scer.py": '''
        """The ratio; see speechbrain_ext.losses.si_sdr.energy.

        >>> from speechbrain_ext.losses import energy, scer
        >>> scer([2.0]) / energy((2.0,))
        0.5
        """

        from speechbrain_ext.losses import energy as power
        from speechbrain_ext.losses import si_sdr


        def scer(first: list | None) -> float:
            """Return the ratio."""
            return power(tuple(first)) / si_sdr.energy((1.0, 1.0))
        ''',
    "speechbrain_ext/models/__init__.py": (
        "from .network import Network as SmallNetwork\n"
    ),
    "speechbrain_ext/models/network.py": '''
        """A network."""

        import json

        from speechbrain_ext.console import say
        from speechbrain_ext.models.layers import WIDTH


        class Network:
            """A network."""

            width = WIDTH

            def load(self, path):
                """Load it."""
                say(json.loads(path))
        ''',
    "speechbrain_ext/models/layers.py": '"""Layers."""\n\nWIDTH = 2\n',
    "speechbrain_ext/console.py": "def say(text): ...\n",
    "speechbrain_ext/training/__init__.py": """
        from .checkpoints import AtomicCheckpointer
        from .nonfinite import SkipNonFinite
        from .optimizers import MuonWithAdam
        """,
    "speechbrain_ext/training/checkpoints.py": (
        "class AtomicCheckpointer: ...\n"
    ),
    "speechbrain_ext/training/nonfinite.py": "class SkipNonFinite: ...\n",
    "speechbrain_ext/training/optimizers.py": "class MuonWithAdam: ...\n",
    f"{PLACE}/train.py": '''
        #!/usr/bin/env python3
        """Train a ring."""

        import sys

        import speechbrain as sb
        from hyperpyyaml import load_hyperpyyaml

        from speechbrain_ext.losses import scer
        from speechbrain_ext.training import SkipNonFinite


        class Ring(SkipNonFinite, sb.Brain):
            """A ring."""

            def compute_objectives(self, predictions, batch, stage):
                """Return the loss."""
                return self.hparams.weight * scer(predictions)


        if __name__ == "__main__":
            from speech_prepare import prepare

            hparams = load_hyperpyyaml(sys.argv[1])
            prepare(hparams["data_folder"], hparams["optimizer"])
            Ring(hparams["modules"], hparams["checkpointer"])
        ''',
    f"{PLACE}/speech_prepare.py": '''
        """Prepare the corpus."""


        def prepare(folder, optimizer):
            """Write the CSV files."""
        ''',
    f"{PLACE}/hparams/ring.yaml": """
        # Command: python train.py recipes/Speech/ring/hparams/ring.yaml
        seed: 1
        __set_seed: !apply:speechbrain.utils.seed_everything [!ref <seed>]
        data_folder: !PLACEHOLDER
        weight: 1.5
        momentum: 0.9 # kept: only the argument goes

        network: !new:speechbrain_ext.models.SmallNetwork
            momentum: !ref <momentum>
        modules:
            network: !ref <network>
        optimizer: !name:speechbrain_ext.training.MuonWithAdam
            lr: 0.001

            momentum: 0.9
        checkpointer: !new:speechbrain_ext.training.AtomicCheckpointer
            recoverables:
                network: !ref <network>
        """,
    f"{PLACE}/hparams/ring_mini.yaml": (
        "prepare: !name:speechbrain_ext.corpora.mini.prepare\n"
    ),
    f"{PLACE}/README.md": """
        # Ring

        <!-- not upstream -->
        `python -m speechbrain_ext report FOLDER` writes a page.
        <!-- end not upstream -->

        | Release | hyperparams file | HuggingFace link | Full model link |
        |---|---|---|---|
        | - | ring.yaml | Not Avail. | Not Avail. |
        """,
    f"{PLACE}/ablation.yaml": "base: ring\n",
    f"{PLACE}/reference/ring.json": "{}\n",
    f"{PLACE}/notes.txt": "of ours\n",
}

CHECKOUT = {
    "speechbrain/__init__.py": "",
    "speechbrain/nnet/__init__.py": "",
    "speechbrain/nnet/loss/__init__.py": "",
    "speechbrain/lobes/models/dual_path.py": '"""Theirs."""\n',
    "recipes/Speech/other/train.py": "",
    "tests/__init__.py": "",
    "tests/recipes/Speech.csv": (
        f"{COLUMNS}\nOther,Speech,recipes/Speech/other/train.py,"
        'other.yaml,,,,,"--a=[1, 2]",,1.0 dB\n'
    ),
    "tests/consistency/test_recipe.py": """
        import os


        def check(recipe_folder):
            assert os.listdir(recipe_folder) == ["Speech.csv"]


        test_recipe_list = test_recipe_files = check
        test_mandatory_files = test_README_links = check
        """,
    "tests/consistency/test_yaml.py": """
        def test_yaml_script_consistency(recipe_folder):
            print("ERROR: variable unused")
            assert not open(recipe_folder + "/Speech.csv").read().count("bad")
        """,
    "tests/utils/check_docstrings.py": """
        def check_docstrings(base_folder, check_folders):
            return all(open(path).read()[0] == '"' for path in check_folders)
        """,
    # makes a step for each epoch that the flags ask for
    "tests/utils/recipe_tests.py": """
        import csv
        import os


        def run_recipe_tests(filters_fields, filters, run_opts):
            code = "import speechbrain.nnet.loss.scer"
            assert os.system(f"python -c '{code}'") == 0
            rows = list(csv.DictReader(open("tests/recipes/Speech.csv")))
            (number,) = [
                number
                for number, row in enumerate(rows, start=2)
                if row[filters_fields[0]] in filters[0]
            ]
            steps = rows[number - 2]["test_debug_flags"].split("=")[1]
            folder = f"tests/tmp/Speech_row_{number:02d}"
            os.makedirs(folder + "/save")
            with open(folder + "/save/brain.ckpt", "w") as file:
                file.write(f"optimizer_step: {steps}\\n")
            with open(folder + "/train_log.txt", "w") as file:
                file.write("epoch: 1 - train loss: 1.0, scer: 2.50e-01\\n")
            return True
        """,
    "tests/.gitignore": "tmp\n",
    "pyproject.toml": """
        [tool.ruff]
        target-version = "py38"

        [tool.ruff.lint]
        select = ["E", "W", "F", "I"]

        [tool.ruff.lint.isort]
        known-first-party = ["speechbrain"]
        """,
    ".yamllint.yaml": (
        "extends: default\nrules:\n  document-start: disable\n"
        "  comments: disable\n"
        "  truthy: {allowed-values: ['True', 'False'], level: error}\n"
    ),
    ".dict-speechbrain.txt": "fro\n",
    "lint-requirements.txt": "ruff==0.12.4\n",
}


def write_tree(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).removeprefix("\n"))
    return folder


def row(**changed):
    return {
        "Hparam_file": "Speech/ring/hparams/ring.yaml",
        "Script_file": "train.py",
        "Task": "Separation",
        "test_debug_flags": "--number_of_epochs=2",
        "performance": "",
        "nonzero": "scer",
    } | changed


def change(folder, name, old, new):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def git(folder, *words):
    return subprocess.run(
        ["git", *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()
