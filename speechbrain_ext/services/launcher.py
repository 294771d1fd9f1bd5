"""Running a recipe's train.py between checks and a results page.

A recipe is an ordinary recipe of SpeechBrain, and can be started by hand. The
launcher runs it in this very process, so that torchrun works as usual. Before
it, all options are checked, the output folder is locked, the data are
prepared, and a run resumes only as the run that it was; after it, the results
page and the release are made of what the run left in its folder.
"""

import importlib.util
import io
import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML

from speechbrain_ext.services.identity import (
    remember_run,
    require_same_run,
    run_identity,
)
from speechbrain_ext.services.results import (
    make_results,
    require_releasable,
)
from speechbrain_ext.services.run_folder import DESCRIPTION
from speechbrain_ext.services.start import find_start
from speechbrain_ext.training.command_line import (
    CheckedCommand,
    check_command_line,
)
from speechbrain_ext.training.output_folder import claim_output
from speechbrain_ext.training.processes import leave_processes


def launch(script: Path, hparams_file: Path, arguments: Sequence[str]) -> None:
    """Run a recipe: check, prepare, train and test, show the results.

    Arguments
    ---------
    script : Path
        The recipe's train.py. Beside it stand options.py, which declares what
        values are legal, and report.yaml, which says what its results page
        and model card tell.
    hparams_file : Path
        The hyperparameter file.
    arguments : sequence of str
        Options, ``--key=value``.

    Raises
    ------
    ValueError
        Naming every option with a mistake; or if the output folder holds
        another run, or if another process has it.
    """
    declared = load_options(script.with_name("options.py"))
    # modules of the recipe come first, as where a script is started
    sys.path.insert(0, str(script.parent))
    command = check_command_line(
        [str(hparams_file), *arguments],
        declared.RULES,
        declared.find_conflicts,
        lambda values: find_places(values, script.parent),
    )
    main = int(os.environ.get("RANK", 0)) == 0
    folder = Path(command.checked.values["output_folder"])
    claim = None
    if main:
        values = command.checked.values
        description = find_description(script, values)
        require_releasable(command.checked.text, description)
        claim = claim_output(folder)
        identify(command, folder, free=free_keys(declared, values))
        shutil.copyfile(description, folder / DESCRIPTION)
    with arguments_of(command, script):
        runpy.run_path(str(script), run_name="__main__")
    leave_processes()
    if main:
        make_results(folder, command=[str(hparams_file), *arguments])
        del claim


def load_options(path: Path) -> ModuleType:
    """Load the declaration of a recipe's options."""
    spec = importlib.util.spec_from_file_location("options", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_description(script: Path, values: Mapping) -> Path:
    """Find report.yaml, or report_STAGE.yaml where there is one."""
    path = script.with_name(f"report_{values.get('stage')}.yaml")
    return path if path.is_file() else script.with_name(DESCRIPTION)


def free_keys(declared: ModuleType, values: Mapping) -> set[str]:
    """Collect the keys that a run may resume with another value of.

    Besides those of every run these are what options.py names: FREE, and in
    STAGES, for a recipe with the key `stage`, what a stage does not read.
    """
    stages = getattr(declared, "STAGES", {})
    return {
        *getattr(declared, "FREE", ()),
        *stages.get(values.get("stage"), ()),
    }


def find_places(values: Mapping, recipe: Path) -> dict[str, Path]:
    """Find the weights and the stored figures that options name."""
    places = {}
    if values.get("start_from") is not None:
        places["start_from"] = find_start(
            values["start_from"], selection=values.get("selection")
        )
    if values.get("reference") is not None:
        places["reference"] = recipe / values["reference"]
    return places


def identify(
    command: CheckedCommand, folder: Path, free: Sequence[str]
) -> None:
    """Prepare the data; refuse to resume a run of other settings."""
    identity = run_identity(
        command.checked.text,
        run_opts=vars(command.run_opts),
        free=free,
        manifests=prepare_data(command.checked.text),
    )
    if any(folder.rglob("CKPT*/CKPT.yaml")):
        require_same_run(folder, identity)
    remember_run(folder, identity)


def prepare_data(text: str) -> list[Path]:
    r"""Call every `prepare` of a hyperparameter file.

    Arguments
    ---------
    text : str
        Its references are resolved.

    Returns
    -------
    manifests : list of Path
        The files that they wrote.

    Example
    -------
    >>> prepare_data("prepare: !name:os.path.join\n    a: results\n")
    [PosixPath('results')]
    """
    stream = io.StringIO()
    nodes = list(find_nodes(YAML().load(text), "prepare"))
    YAML().dump({"found": nodes}, stream)
    written = []
    for prepare in load_hyperpyyaml(stream.getvalue())["found"]:
        paths = prepare()
        paths = [paths] if isinstance(paths, str | os.PathLike) else paths
        written += map(Path, paths or ())
    return written


def find_nodes(node: object, key: str) -> Iterator[object]:
    """Find what stands at a key, at any depth."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == key:
                yield value
            else:
                yield from find_nodes(value, key)


@contextmanager
def arguments_of(command: CheckedCommand, script: Path) -> Iterator[None]:
    """Give this process the arguments that the recipe is started with."""
    before, words = sys.argv, list(command.words)
    if not torch.cuda.is_available() or command.run_opts.device == "cpu":
        # SpeechBrain's default, nccl, needs a GPU for every process
        words.append("--distributed_backend=gloo")
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, Path(command.hparams_file).name)
        file.write_text(command.checked.text, encoding="utf-8")
        sys.argv = [str(script), str(file), *words]
        try:
            yield
        finally:
            sys.argv = before
