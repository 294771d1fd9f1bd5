"""Loading a folder or hub repository without running what it says."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.parameter_transfer import Pretrainer

from speechbrain_ext.console import printable
from speechbrain_ext.hub.allowed import CLASSES, check_plan
from speechbrain_ext.hub.building import build_sizes, materialize
from speechbrain_ext.hub.catalog import resolve
from speechbrain_ext.hub.document import Call, children, parse
from speechbrain_ext.hub.download import download, fetch
from speechbrain_ext.hub.folder import (
    CARD,
    HYPERPARAMS,
    find_folder,
    inner_file,
)
from speechbrain_ext.hub.layouts import (
    Loadable,
    check_keys,
    check_modules,
    find_loadables,
)
from speechbrain_ext.hub.refusal import LIMITS, Limits, RefusedError
from speechbrain_ext.hub.weights import read_weights
from speechbrain_ext.models.lean_dual_path import LeanDualPath
from speechbrain_ext.models.separator import MaskingSeparator
from speechbrain_ext.models.state_dict import check_state_dict

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedFolder:
    """What a folder describes, with its weights.

    Arguments
    ---------
    folder : Path
        Where the files are.
    hparams : dict
        Keys of hyperparams.yaml: plain values, and the modules that have
        weights in a file, or need none.
    modules : dict
        Name to `torch.nn.Module`, on the CPU, in evaluation mode; the same
        objects as in `hparams`.
    """

    folder: Path
    hparams: dict[str, object]
    modules: dict[str, torch.nn.Module]

    def separator(self) -> torch.nn.Module | None:
        """Join what was loaded into one separator.

        Returns
        -------
        separator : torch.nn.Module or None
            Mixtures (batch, time) to estimates (batch, sources, time): the
            module `separator`, or encoder, masknet and decoder as SpeechBrain
            publishes them; None if the folder holds something else.
        """
        if self.modules.keys() == {"encoder", "masknet", "decoder"}:
            pieces = dict(self.modules)
            pieces["masknet"] = LeanDualPath.adopt(pieces["masknet"])
            sources = self.hparams.get("num_spks", 2)
            return MaskingSeparator(**pieces, num_sources=sources)
        if self.modules.keys() == {"separator"}:
            return self.modules["separator"]
        return None


def load_folder(
    source: str | Path,
    *,
    savedir: str | Path | None = None,
    trust: bool = False,
    revision: str | None = None,
    token: str | bool | None = None,
    limits: Limits = LIMITS,
) -> LoadedFolder:
    """Load a model that was published in SpeechBrain's layout.

    A folder has `hyperparams.yaml`, with the keys `modules` and
    `pretrainer`, and a file of weights for each loadable of the pretrainer:
    `NAME.safetensors` if there is one, else `NAME.ckpt`.

    hyperparams.yaml is HyperPyYAML, which can run any Python. It is
    therefore parsed first, and refused unless all it builds is on a list of
    classes with harmless arguments (`speechbrain_ext.hub.allowed`). Until
    all of it has passed, nothing is imported, run or written. Weights are
    read as plain tensors, and must fit the modules before these take memory;
    in half precision they become float32, as the modules are built.

    Arguments
    ---------
    source : str or Path
        A folder, a results folder with a subfolder `release`, a name that
        `speechbrain-ext models` lists, or a hub repository `USER/NAME` or
        `USER/NAME@REVISION`, of which only hyperparams.yaml, README.md and
        the files of weights that the first one names are downloaded; see
        `speechbrain_ext.hub.folder.find_folder`.
    savedir : str or Path, optional
        For a repository: where downloads are kept, laid out like the Hugging
        Face cache, which is the default.
    trust : bool
        Load hyperparams.yaml with plain HyperPyYAML, as SpeechBrain does:
        it may then run anything, with your rights. Only for authors that
        you trust.
    revision : str, optional
        For a repository: branch, tag or commit.
    token : str or bool, optional
        For a repository: as for huggingface_hub.
    limits : Limits, optional
        Sizes above which it is refused.

    Returns
    -------
    loaded : LoadedFolder
        hparams, and modules with their weights.

    Raises
    ------
    RefusedError
        If the folder asks for more than a model needs. The message names
        the file, the line, what stands there and what can be done.
    FileNotFoundError
        If there is no such folder, or a file is missing.
    ValueError
        If weights do not fit their module, or a module has none.
    PublishError
        If the network or the hub is in the way.
    TypeError
        If trust is neither True nor False.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> text = '''
    ... sample_rate: 8000
    ... separator: !new:speechbrain_ext.models.SpectralGRU {hidden: 8}
    ... modules: {separator: !ref <separator>}
    ... pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    ...     loadables: {separator: !ref <separator>}
    ... '''
    >>> _ = (folder / "hyperparams.yaml").write_text(text)
    >>> from speechbrain_ext.models import SpectralGRU
    >>> weights = SpectralGRU(hidden=8).state_dict()
    >>> torch.save(weights, folder / "separator.ckpt")
    >>> load_folder(folder).separator()(torch.randn(1, 8000)).shape
    torch.Size([1, 1, 8000])
    """
    if not isinstance(trust, bool):
        raise TypeError(
            f"trust is {trust!r}; it must be True itself (the folder may run "
            "anything, with your rights) or False"
        )
    source, revision = resolve(source, revision)
    folder = find_folder(source)
    options = {"cache_dir": savedir, "token": token, "revision": revision}
    remote = folder is None
    if revision is not None and not remote:
        logger.warning(
            "%s is a folder here: revision=%s is not looked at",
            printable(source),
            printable(revision),
        )
    if trust:
        if remote:
            folder = Path(download(source, **options))
        logger.warning("%s may run anything: trust=True", source)
        return load_trusted(folder)
    if remote:
        choices = [(HYPERPARAMS,)]
        folder = fetch(source, choices, limits, **options)
    plan, loadables = read_plan(folder, limits, source if remote else None)
    if remote:
        choices += [(CARD,), *(item.files for item in loadables)]
        # of the same commit
        options["revision"] = folder.name
        folder = fetch(source, choices, limits, **options)
    return build_and_load(folder, plan, loadables, limits)


def read_plan(
    folder: Path, limits: Limits = LIMITS, repo_id: str | None = None
) -> tuple[dict[str, object], list[Loadable]]:
    """Read hyperparams.yaml, and check all of it.

    Arguments
    ---------
    folder : Path
        Where it is.
    limits : Limits, optional
        Sizes above which it is refused.
    repo_id : str, optional
        The repository, None for a local folder.

    Returns
    -------
    plan : dict
        Keys to plain values and calls that have not been made.
    loadables : list of Loadable
        The modules that have files of weights.

    Raises
    ------
    RefusedError
        See `load_folder`.
    FileNotFoundError
        If it is missing.
    """
    path = inner_file(folder, HYPERPARAMS)
    with open(path, "rb") as file:
        content = file.read(limits.yaml_bytes + 1)
    limits.check(f"{path} has at least", len(content), "yaml_bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError(f"{path} is no UTF-8 text: {error}") from error
    plan = parse(text, path, limits)
    check_plan(plan)
    check_keys(plan)
    loadables = find_loadables(plan, repo_id)
    check_modules(plan)
    return plan, loadables


def build_and_load(
    folder: Path,
    plan: dict[str, object],
    loadables: list[Loadable],
    limits: Limits,
) -> LoadedFolder:
    """Build the modules, and fill them from one file after the other.

    Arguments
    ---------
    folder : Path
        Where the files of weights are.
    plan : dict
        Checked.
    loadables : list of Loadable
        Its modules with weights.
    limits : Limits
        Sizes above which the weights or modules are refused.

    Returns
    -------
    loaded : LoadedFolder
        hparams, and modules with their weights.
    """
    paths = {item: weights_file(folder, item) for item in loadables}
    limits.check_weights({p: p.stat().st_size for p in paths.values()})
    values = [item.module for item in loadables]
    values += [*plan["modules"].values(), *plan.values()]
    calls = [x for x in values if isinstance(x, Call) and x.name in CLASSES]
    built = build_sizes(calls, limits)
    for item in loadables:
        module = built[item.module]
        weights = read_weights(paths[item])
        check_state_dict(
            paths[item], expected=module.state_dict(), found=weights
        )
        module = materialize(item.module, module)
        module.load_state_dict(weights)
        built[item.module] = module.eval()
    # what has sizes only, such as the blocks of a mask network, is left out
    real = {
        call: module
        for call, module in built.items()
        if not any(x.is_meta for x in (*module.parameters(), *module.buffers()))
    }
    for name, call in plan["modules"].items():
        if call not in real:
            raise ValueError(
                f"{folder / HYPERPARAMS}: the parameters of the module "
                f"{name!r} are in no file of weights; name it among the "
                "loadables of the pretrainer"
            )
    values = {
        key: real.get(value, value) if isinstance(value, Call) else value
        for key, value in plan.items()
        if not key.startswith("__")
    }
    hparams = {key: value for key, value in values.items() if is_plain(value)}
    hparams["modules"] = {x: real[call] for x, call in plan["modules"].items()}
    hparams["pretrainer"] = Pretrainer(
        loadables={item.name: real[item.module] for item in loadables},
        paths={item.name: str(path) for item, path in paths.items()},
    )
    return LoadedFolder(folder, hparams, hparams["modules"])


def is_plain(value: object) -> bool:
    """Tell whether nothing in a value is built."""
    return not isinstance(value, Call) and all(map(is_plain, children(value)))


def weights_file(folder: Path, loadable: Loadable) -> Path:
    """Find the file of weights of a loadable, safetensors if there are."""
    for name in loadable.files:
        path = folder / name
        if path.exists() or path.is_symlink():
            return inner_file(folder, name)
    raise FileNotFoundError(
        f"{folder} has neither {' nor '.join(loadable.files)}, which "
        f"{HYPERPARAMS} (line {loadable.module.place.line}) asks for"
    )


def load_trusted(folder: Path) -> LoadedFolder:
    """Load a folder as SpeechBrain does: its file may run anything.

    Arguments
    ---------
    folder : Path
        Of an author that you trust.

    Returns
    -------
    loaded : LoadedFolder
        hparams, and modules with their weights.
    """
    from speechbrain.utils.fetching import LocalStrategy

    with open(folder / HYPERPARAMS, encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file)
    pretrainer = hparams["pretrainer"]
    pretrainer.collect_files(
        default_source=str(folder), local_strategy=LocalStrategy.NO_LINK
    )
    pretrainer.load_collected()
    for module in hparams["modules"].values():
        module.eval()
    return LoadedFolder(folder, hparams, hparams["modules"])
