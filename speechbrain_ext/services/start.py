"""The model that a run starts from: found, checked, kept in its folder."""

import hashlib
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from hyperpyyaml import resolve_references
from ruamel.yaml import YAML, YAMLError
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.hub import RELEASE, inference_hyperparams, load_folder
from speechbrain_ext.hub.building import sizes_only
from speechbrain_ext.hub.catalog import resolve
from speechbrain_ext.hub.folder import CARD, find_folder
from speechbrain_ext.hub.layouts import KEYS
from speechbrain_ext.hub.loading import LoadedFolder
from speechbrain_ext.hub.weights import read_weights, write_weights
from speechbrain_ext.services.configuration import build_node
from speechbrain_ext.services.identity import read_plain
from speechbrain_ext.services.release import (
    describe_release,
    is_adapted,
    read_checkpoint,
)
from speechbrain_ext.services.run_folder import (
    DESCRIPTION,
    HYPERPARAMS,
    ORIGIN,
    START,
    RunFolder,
    plain_values,
)
from speechbrain_ext.training.transfer import matching

# ranks other than the first wait as long as SpeechBrain lets them
LONGEST_WAIT_SECONDS = 1800
SEPARATOR = "separator"
FIX = (
    "hparams/ring_adapt.yaml takes the separator as it is; or give this "
    "file's separator the sizes of that one, or leave such weights out by "
    "--start_without"
)


def find_start(place: str | os.PathLike, *, selection: str | None) -> Path:
    """Find the folder of weights that `start_from` names.

    Arguments
    ---------
    place : str or PathLike
        The output folder of a run, one of its checkpoints, or a release.
    selection : str or None
        What chooses the checkpoint of a run: the smallest value of this name.

    Returns
    -------
    folder : Path
        Holds a file of weights, NAME.ckpt, for each module.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no weights in it.
    ValueError
        If its checkpoints were not measured by the selection.

    Example
    -------
    >>> find_start("/nowhere", selection="objective")
    Traceback (most recent call last):
    FileNotFoundError: start_from: there is no folder /nowhere
    """
    folder = Path(place)
    if not folder.is_dir():
        raise FileNotFoundError(f"start_from: there is no folder {folder}")
    if any(folder.glob("*.ckpt")):
        return folder
    save, found = folder / "save", None
    if save.is_dir():
        found = Checkpointer(save).find_checkpoint(min_key=selection)
    if found is None:
        raise FileNotFoundError(
            f"start_from: there is no checkpoint in {folder}; give the output "
            "folder of a run of this recipe, or a release"
        )
    if selection and math.isnan(found.meta[selection]):
        raise ValueError(
            f"start_from: the checkpoints in {save} were not measured by "
            f"selection {selection!r}; choose the one that the run was made "
            f"with, or give {folder / RELEASE}"
        )
    return found.path


@dataclass(frozen=True, eq=False)
class Start:
    """A separator that a run starts from.

    Arguments
    ---------
    name : str
        For the card: USER/NAME@COMMIT, or a folder without what leads there.
    license : str or None
        What the model's own card says.
    weights : dict
        Of the whole separator.
    text : str, optional
        The inference hyperparams.yaml; None for a checkpoint alone.
    parts : dict, optional
        Name of each module in it to its weights.
    sample_rate, num_sources : int, optional
        None where nothing tells.
    """

    name: str
    license: str | None
    weights: dict[str, torch.Tensor]
    text: str | None = None
    parts: dict[str, dict[str, torch.Tensor]] | None = None
    sample_rate: int | None = None
    num_sources: int | None = None

    @cached_property
    def digest(self) -> str:
        """Shorten what it is to sixteen hexadecimal digits."""
        plain = read_plain(self.text or "")
        whole = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
        for key, value in sorted(self.weights.items()):
            whole.update(f"{key} {value.dtype} {[*value.shape]}".encode())
            whole.update(value.reshape(-1).view(torch.uint8).numpy())
        return whole.hexdigest()[:16]

    def place(self, output_folder: str | os.PathLike) -> Path:
        """Give the folder that a run keeps it in, named by its digest."""
        return Path(output_folder) / START / self.digest

    def keep(self, output_folder: str | os.PathLike) -> None:
        """Write it where a run reads it: whole, and once."""
        target = self.place(output_folder)
        if target.is_dir():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        parts = self.parts or {SEPARATOR: self.weights}
        with tempfile.TemporaryDirectory(dir=target.parent) as partial:
            folder = Path(partial, target.name)
            folder.mkdir()
            if self.text is not None:
                (folder / HYPERPARAMS).write_text(self.text, encoding="utf-8")
            for name, weights in parts.items():
                write_weights(folder / f"{name}.ckpt", weights)
            origin = {"name": self.name, "license": self.license}
            (folder / ORIGIN).write_text(json.dumps(origin), encoding="utf-8")
            folder.rename(target)

    def wait(self, output_folder: str | os.PathLike) -> None:
        """Wait until the first process has written it."""
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while not self.place(output_folder).is_dir():
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"start_from: {self.place(output_folder)} is not there; "
                    "the first process writes it: see what it says"
                )
            time.sleep(0.1)


def read_start(place: str, *, selection: str | None) -> Start:
    """Read the separator that `start_from` names, without running anything.

    Arguments
    ---------
    place : str
        The output folder of a run, one of its checkpoints, a folder that
        `load_folder` reads (a release, or one in SpeechBrain's layout), a
        name of `find_models`, or a hub repository, USER/NAME or
        USER/NAME@REVISION.
    selection : str or None
        See `find_start`.

    Returns
    -------
    start : Start

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no weights in it.
    ValueError
        If it holds no separator, or is refused.
    PublishError
        If the network or the hub is in the way.

    Example
    -------
    >>> read_start("/nowhere", selection="objective")
    Traceback (most recent call last):
    FileNotFoundError: start_from: there is no folder /nowhere; ...
    """
    folder = Path(place)
    bare = (folder / f"{SEPARATOR}.ckpt").is_file()
    bare = bare and not (folder / HYPERPARAMS).is_file()
    with _named():
        if bare or (folder / "save").is_dir():
            found = find_start(folder, selection=selection)
            return _read_checkpoint(found, _shown(place))
        source, revision = resolve(place)
        found = find_folder(source)
        loaded = load_folder(source, revision=revision)
        name = _shown(place) if found else f"{source}@{loaded.folder.name}"
        return _start_of(loaded, name)


@contextmanager
def _named() -> Iterator[None]:
    """Let a fault of a model say which option named it."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        said = str(error)
        if not said.startswith("start_from: "):
            error.args = (f"start_from: {said}",)
        raise


def _shown(place: str) -> str:
    """Name a folder without the places of this machine."""
    path = Path(place)
    private = path.is_absolute() or ".." in path.parts
    return path.resolve().name if private else path.as_posix()


def _start_of(
    loaded: LoadedFolder, name: str, license: str | None = None
) -> Start:
    """Take a separator out of a folder that was loaded."""
    separator = loaded.separator()
    if separator is None:
        raise ValueError(
            f"{name} holds no separator, but: {', '.join(loaded.modules)}"
        )
    text = (loaded.folder / HYPERPARAMS).read_text(encoding="utf-8-sig")
    with tempfile.TemporaryDirectory() as partial:
        path = Path(partial, HYPERPARAMS)
        path.write_text(resolve_references(text).read(), encoding="utf-8")
        text = inference_hyperparams(
            path,
            modules={key: f"modules.{key}" for key in loaded.modules},
            values=[key for key in KEYS if key in loaded.hparams],
        )
    return Start(
        name,
        license or _read_license(loaded.folder / CARD),
        separator.state_dict(),
        text,
        {key: part.state_dict() for key, part in loaded.modules.items()},
        loaded.hparams.get("sample_rate"),
        separator.num_sources,
    )


def _read_checkpoint(checkpoint: Path, name: str) -> Start:
    """Read a checkpoint, and of its run what it is a checkpoint of."""
    file, folder = checkpoint / f"{SEPARATOR}.ckpt", checkpoint.parents[1]
    if not file.is_file():
        raise FileNotFoundError(f"{checkpoint} holds no separator")
    license = _read_license(folder / RELEASE / CARD)
    told = checkpoint.parent.name == "save"
    if not told or not all(
        (folder / n).is_file() for n in (HYPERPARAMS, DESCRIPTION)
    ):
        return Start(name, license, read_weights(file))
    text, modules = describe_release(RunFolder(folder))
    with tempfile.TemporaryDirectory() as partial:
        path = Path(partial)
        (path / HYPERPARAMS).write_text(text, encoding="utf-8")
        parts = read_checkpoint({SEPARATOR: file}, modules)
        for key, weights in parts.items():
            write_weights(path / f"{key}.ckpt", weights)
        return _start_of(load_folder(path), name, license)


def _read_license(card: Path) -> str | None:
    """Read the license in the head of a model's card; None if it has none."""
    if not card.is_file():
        return None
    with open(card, encoding="utf-8", errors="replace") as file:
        _, *parts = file.read(2**16).split("---\n", 2)
    try:
        head = YAML(typ="safe", pure=True).load(parts[0]) if parts else None
    except YAMLError:
        return None
    said = head.get("license") if isinstance(head, Mapping) else None
    known = isinstance(said, str) and re.fullmatch(r"[\w.-]{1,40}", said)
    return said if known else None


def place_start(
    hparams_file: str | os.PathLike, values: Mapping, given: Collection[str]
) -> tuple[dict, Start | None]:
    """Read what a run starts from, and give values that follow from it.

    Arguments
    ---------
    hparams_file : str or PathLike
        The hyperparameter file, with a key `separator`.
    values : Mapping
        Its plain values.
    given : collection of str
        Keys that were given as options.

    Returns
    -------
    values : dict
        `start_from`, the folder in which the run will keep it; where the
        separator is adapted, its sample rate, unless one was given.
    start : Start or None
        None if it starts from nothing.

    Raises
    ------
    ValueError
        If a file that adapts is given none; and as `read_start` raises.
    """
    text = Path(hparams_file).read_text(encoding="utf-8")
    adapts = is_adapted(plain_values(text))
    if values.get("start_from") is None and adapts:
        raise ValueError(
            "start_from: this file adapts a separator; give a run's output "
            "folder, a release, a name that `speechbrain-ext models` lists, "
            "or USER/NAME of the hub"
        )
    if values.get("start_from") is None:
        return {}, None
    start = read_start(values["start_from"], selection=values["selection"])
    found = {}
    if not adapts:
        # the file says what has these weights
        start = replace(start, text=None, parts=None)
    elif start.sample_rate is not None and "sample_rate" not in given:
        found["sample_rate"] = start.sample_rate
    found["start_from"] = start.place(values["output_folder"])
    return found, start


def require_fitting(start: Start, text: str) -> None:
    """Raise if a run cannot start from a separator.

    Arguments
    ---------
    start : Start
        What it starts from.
    text : str
        The hyperparameters of the run, references resolved. The separator
        is taken as it is (`load_start`), or its weights are put into the one
        that the file builds.

    Raises
    ------
    ValueError
        Naming the rates, the numbers of sources, or the first tensor that
        does not fit, and the fix.
    """
    tree, adapts = YAML().load(text), is_adapted(plain_values(text))
    rate, said = tree["sample_rate"], f"start_from: {start.name}"
    if start.sample_rate not in (rate, None):
        raise ValueError(
            f"{said} works at {start.sample_rate} Hz, and sample_rate is "
            f"{rate}; give --sample_rate={start.sample_rate}"
            + ", or leave --sample_rate out"
            * adapts
        )
    if adapts:
        wanted = tree[SEPARATOR]["num_sources"]
        if start.text is None:
            raise ValueError(
                f"{said} holds weights, and nothing tells of which separator; "
                "give a release, or the whole output folder of a run"
            )
        if start.sample_rate is None:
            raise ValueError(
                f"{said}: its {HYPERPARAMS} has no sample_rate; copy the "
                "folder, write it there, and give the copy"
            )
        if start.num_sources != wanted:
            raise ValueError(
                f"{said} has {start.num_sources} output"
                + "s" * (start.num_sources != 1)
                + f", and mixtures of {wanted} talkers are trained with; take "
                f"a separator for {wanted} talkers"
            )
        return
    with sizes_only():
        built = build_node(tree[SEPARATOR]).state_dict()
    both = {**built, **start.weights}
    try:
        left_out = matching(both, tree.get("start_without") or [])
    except ValueError as error:
        raise ValueError(f"start_without: {error}") from None
    for key in both:
        if key in left_out:
            continue
        here, there = (
            f"the shape {tuple(part[key].shape)}" if key in part else "no place"
            for part in (built, start.weights)
        )
        if here != there:
            raise ValueError(
                f"{said} does not fit the separator of this file: {key} has "
                f"{there} there, and {here} here; {FIX}"
            )
