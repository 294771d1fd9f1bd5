"""Running a recipe's train.py between checks and a results page.

A recipe is an ordinary recipe of SpeechBrain, and can be started by hand. The
launcher runs it in this very process, so that torchrun works as usual. Before
it, all options are checked, the output folder is locked, the data are
prepared, and a run resumes only as the run that it was; after it, the results
page and the release are made of what the run left in its folder.
"""

import importlib.util
import logging
import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

import torch
from ruamel.yaml import YAML

from speechbrain_ext.console import printable, readable_errors
from speechbrain_ext.hub import training_command
from speechbrain_ext.services.command_line import (
    CheckedCommand,
    check_command_line,
    split_options,
)
from speechbrain_ext.services.configuration import (
    build_node,
    require_buildable,
)
from speechbrain_ext.services.identity import (
    read_plain,
    remember_run,
    replace_text,
    require_same_run,
    run_identity,
)
from speechbrain_ext.services.output_folder import claimed
from speechbrain_ext.services.release import require_releasable
from speechbrain_ext.services.results import make_results
from speechbrain_ext.services.run_folder import DESCRIPTION, REFERENCE, START
from speechbrain_ext.services.stages import (
    find_stages,
    identify_stages,
    is_of_a_stage,
)
from speechbrain_ext.services.start import (
    SEPARATOR,
    find_start,
    place_start,
    require_fitting,
)


def launch(hparams_file: str | os.PathLike, words: Sequence[str]) -> None:
    """Run a recipe: check, prepare, train and test, show the results.

    Arguments
    ---------
    hparams_file : str or PathLike
        A file in the folder hparams of a recipe. Beside its train.py stand
        options.py, which declares what values are legal, and report.yaml,
        which says what the results page and the model card tell.
    words : sequence of str
        Options, ``--key=value``.

    Raises
    ------
    ValueError
        Naming every option with a mistake; or if the output folder holds
        another run, or if another process has it.
    """
    script = find_script(hparams_file)
    # modules of the recipe come first, as where a script is started
    sys.path.insert(0, str(script.parent))
    command, declared = check_recipe(hparams_file, words)
    main = int(os.environ.get("RANK", 0)) == 0
    folder = Path(command.checked.values["output_folder"])
    if main:
        description = find_description(script, command.checked.values)
        require_buildable(command.checked.text)
        require_releasable(command.checked.text, description)
    with claimed(folder) if main else nullcontext():
        if main:
            identify(command, folder, declared)
            describe(description, hparams_file, folder)
        elif command.start is not None:
            command.start.wait(folder)
        # its weights are in the folder, and need no memory here
        command = command._replace(start=None)
        if hasattr(declared, "list_stages"):
            # finished stages of another run are in the output folder
            command.words.append("--start_from=null")
        with (
            short_of_memory(command.checked.values),
            arguments_of(command, script),
            kept_errors(folder),
        ):
            runpy.run_path(str(script), run_name="__main__")
        leave_processes()
        if main:
            # recipes/DATASET/TASK/train.py
            root = script.parents[min(3, len(script.parents) - 1)]
            words = [str(hparams_file), *words]
            make_results(folder, training_command(words, root=root))


@contextmanager
def kept_errors(folder: Path) -> Iterator[None]:
    """Keep the traceback of an error in log.txt, not on the screen.

    An error of the system that names no file is about the output folder.
    """
    # a log that cannot be written is told by what else cannot
    logging.raiseExceptions = False
    try:
        yield
    except Exception as error:
        record = logging.makeLogRecord(
            {
                "name": __name__,
                "levelno": logging.ERROR,
                "levelname": "ERROR",
                "msg": "the run ended by an error",
                "exc_info": sys.exc_info(),
            }
        )
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handle(record)
        nameless = isinstance(error, OSError) and error.filename is None
        if nameless and error.errno is not None:
            error.filename = str(folder)
        raise


@contextmanager
def short_of_memory(values: Mapping) -> Iterator[None]:
    """Say which options to lower where the memory is not enough.

    Arguments
    ---------
    values : mapping
        Options of the recipe.

    Raises
    ------
    MemoryError
        In place of what PyTorch, NumPy or Python raise.

    Example
    -------
    >>> with short_of_memory({"batch_size": 16}):
    ...     torch.empty(2**60)
    Traceback (most recent call last):
    MemoryError: The memory is not enough ... Lower --batch_size (now 16)...
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = str(error)
        if not (
            isinstance(error, MemoryError | torch.OutOfMemoryError)
            or "DefaultCPUAllocator" in said
            or "can't start new thread" in said
        ):
            raise
        options = [
            f"--{name} (now {values[name]})"
            for name in ("batch_size", "segment_seconds", "num_workers")
            if values.get(name)
        ]
        raise MemoryError(
            "The memory is not enough"
            + (f" ({printable(said, 200)})" if said else "")
            + f". Lower {' or '.join(options)}, or train a smaller model. "
            "With lower options it is another run, in an output_folder of "
            "its own"
        ) from error


def leave_processes() -> None:
    """Leave the group of processes that a recipe joined, if there is one."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def find_script(hparams_file: str | os.PathLike) -> Path:
    """Find the script of the recipe that a hyperparameter file belongs to.

    It is the one that the file's name begins with, such as pool.py for
    pool_mini.yaml, and train.py where there is none.
    """
    path = Path(hparams_file).resolve()
    named = path.parent.parent / f"{path.stem.partition('_')[0]}.py"
    return named if named.is_file() else named.with_name("train.py")


def find_description(script: Path, values: Mapping) -> Path:
    """Find what a run's results page tells.

    It is report_STAGE.yaml for the stage that a run trains, report_SCRIPT.yaml
    for a script, report.yaml where there is neither.
    """
    for name in (values.get("stage"), script.stem):
        own = script.with_name(f"report_{name}.yaml")
        if own.is_file():
            return own
    return script.with_name(DESCRIPTION)


def check_recipe(
    hparams_file: str | os.PathLike, words: Sequence[str]
) -> tuple[CheckedCommand, ModuleType]:
    """Check the options of a recipe, without building or writing anything.

    Arguments
    ---------
    hparams_file, words
        See `launch`.

    Returns
    -------
    command : CheckedCommand
    declared : module
        The recipe's options.py, or what its SCRIPTS hold for the script.

    Raises
    ------
    ValueError
        Naming every option with a mistake.
    """
    script = find_script(hparams_file)
    recipe = script.parent
    declared = load_options(recipe / "options.py")
    declared = getattr(declared, "SCRIPTS", {}).get(script.stem, declared)
    starts = []

    def find_all_places(values):
        if hasattr(declared, "list_stages") or SEPARATOR not in values:
            return find_places(values, hasattr(declared, "list_stages"))
        _, given, _ = split_options([str(hparams_file), *words])
        places, start = place_start(hparams_file, values, given)
        starts.append(start)
        return places

    command = check_command_line(
        [str(hparams_file), *words],
        declared.RULES,
        declared.find_conflicts,
        find_all_places,
    )
    for start in filter(None, starts):
        require_fitting(start, command.checked.text)
        command = command._replace(start=start)
    return command, declared


def load_options(path: Path) -> ModuleType:
    """Load the declaration of a recipe's options."""
    spec = importlib.util.spec_from_file_location("options", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_places(values: Mapping, staged: bool = False) -> dict[str, Path]:
    """Find the weights that an option names."""
    place = values.get("start_from")
    if place is None:
        return {}
    if staged:
        return {"start_from": find_stages(place)}
    found = find_start(place, selection=values.get("selection"))
    return {"start_from": found}


def describe(
    description: Path, hparams_file: str | os.PathLike, folder: Path
) -> None:
    """Leave what the results page needs to know in the output folder."""
    shutil.copyfile(description, folder / DESCRIPTION)
    stored = (
        description.parent / "reference" / f"{Path(hparams_file).stem}.json"
    )
    if stored.is_file():
        shutil.copyfile(stored, folder / REFERENCE)


def identify(
    command: CheckedCommand, folder: Path, declared: ModuleType
) -> None:
    """Prepare the data; refuse to resume a run of other settings."""
    manifests = prepare_data(command.checked.text)
    identity = identity_of(command, declared, manifests)
    checkpoints = folder.rglob("CKPT*/CKPT.yaml")
    if not all(is_of_a_stage(path, folder) for path in checkpoints):
        require_same_run(folder, identity)
    values = command.checked.values
    if hasattr(declared, "list_stages"):
        identify_stages(
            folder,
            identity,
            declared.list_stages(values),
            start_from=values.get("start_from"),
        )
    remember_run(folder, identity)
    if command.start is not None:
        command.start.keep(folder)


def identity_of(
    command: CheckedCommand,
    declared: ModuleType,
    manifests: Sequence[Path] = (),
) -> dict:
    """Collect the settings that identify the run of a command.

    Arguments
    ---------
    command : CheckedCommand
        From `check_recipe`.
    declared : module
        The recipe's options.py: FREE names more keys that may change, BOUND
        keys that may not. STAGES names, for each value of the key `stage`,
        what such a run does not read.
    manifests : sequence of Path
        Prepared data.

    Returns
    -------
    identity : dict
    """
    stage = command.checked.values.get("stage")
    unread = getattr(declared, "STAGES", {}).get(stage, ())
    text, start = command.checked.text, command.start
    if start is not None:
        # wherever the output folder is
        place = str(start.place(command.checked.values["output_folder"]))
        text = replace_text(read_plain(text), place, START)
        text["start_from"] = start.digest
    return run_identity(
        text,
        run_opts=vars(command.run_opts),
        free=[*getattr(declared, "FREE", ()), *unread],
        bound=getattr(declared, "BOUND", ()),
        manifests=manifests,
    )


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
    written = []
    nodes = list(find_nodes(YAML().load(text), "prepare"))
    for prepare in build_node(nodes):
        paths = prepare()
        paths = [paths] if isinstance(paths, str | os.PathLike) else paths
        written += map(Path, paths or ())
    return written


def find_nodes(node: object, key: str) -> Iterator[object]:
    """Find what is built at a key, at any depth; or in a mapping there."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == key:
                plain = isinstance(value, Mapping) and not value.tag.value
                yield from value.values() if plain else [value]
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


if __name__ == "__main__":
    with readable_errors():
        options = [word for word in sys.argv[1:] if word != "--traceback"]
        launch(options[0], options[1:])
