"""The layouts of folders that exist: keys, modules, files of weights."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from speechbrain_ext.console import printable
from speechbrain_ext.hub.allowed import (
    DECODER,
    ENCODER,
    KINDS,
    MASKNETS,
    OURS,
    PAIR_ENCODERS,
    PRETRAINER,
    RECOGNIZER,
    SEPARATORS,
    SEQUENTIAL,
    Real,
    mismatch,
    parameters,
)
from speechbrain_ext.hub.document import Call
from speechbrain_ext.hub.folder import FILE_NAME
from speechbrain_ext.hub.refusal import Place, RefusedError

# name of a module to the classes that it may be of
LAYOUTS: tuple[Mapping[str, tuple[str, ...]], ...] = (
    {"separator": SEPARATORS},
    {
        "encoder": (ENCODER,),
        "masknet": MASKNETS,
        "decoder": (DECODER,),
    },
    {"encoder": PAIR_ENCODERS, "encoder_out": (SEQUENTIAL,)},
    {"predictor": (OURS + "SNRPredictor",)},
    {"recognizer": (RECOGNIZER,)},
    {"joint": (OURS + "JointRecognizer",)},
)
KEYS = {
    **{key: KINDS[key] for key in ("sample_rate", "num_spks")},
    "match_level": bool,
    "use_snr_compression": bool,
    "snrmin": Real(-1000, 1000),
    "snrmax": Real(-1000, 1000),
}
LONGEST_ALPHABET = 1000
EXTENSIONS = (".ckpt", ".pt", ".safetensors")


def check_keys(hparams: Mapping[str, object]) -> None:
    """Check the values that users of a model rely on, where they are given.

    Arguments
    ---------
    hparams : Mapping
        The keys of hyperparams.yaml.

    Raises
    ------
    RefusedError
        If one is out of its range; the message names it.

    Example
    -------
    >>> check_keys({"sample_rate": 0})
    Traceback (most recent call last):
    ...
    speechbrain_ext.hub.refusal.RefusedError: hyperparams.yaml: sample_rate is
    0; it must be a whole number from 1000 to 768000
    """
    given = KEYS.keys() & hparams.keys()
    wanted = {key: mismatch(hparams[key], KEYS[key]) for key in sorted(given)}
    if not any(wanted.values()) and {"snrmin", "snrmax"} <= given:
        if hparams["snrmin"] >= hparams["snrmax"]:
            wanted["snrmax"] = "above snrmin"
    alphabet = hparams.get("alphabet", "a")
    if not (
        isinstance(alphabet, str)
        and 0 < len(alphabet) == len(set(alphabet)) <= LONGEST_ALPHABET
        and alphabet.isprintable()
    ):
        wanted["alphabet"] = "a text of printable characters, each of them once"
    for key, kind in wanted.items():
        if kind:
            value = printable(repr(hparams[key]), 100)
            raise RefusedError(
                f"hyperparams.yaml: {key} is {value}; it must be {kind}"
            )


def check_modules(plan: Mapping[str, object]) -> None:
    """Check that `modules` has one of the layouts, and fits its keys.

    Arguments
    ---------
    plan : Mapping
        Passed by `check_plan` and `check_keys`.

    Raises
    ------
    RefusedError
        If modules have other names or classes, or give another number of
        sources or characters than the keys say.
    ValueError
        If there are none.
    """
    modules = plan.get("modules")
    if not isinstance(modules, dict) or not modules:
        raise ValueError("hyperparams.yaml has no key modules with modules")
    layout = next((x for x in LAYOUTS if x.keys() == modules.keys()), None)
    if layout is None:
        known = "; ".join(" and ".join(item) for item in LAYOUTS)
        raise RefusedError(
            f"hyperparams.yaml: the modules {printable(sorted(modules), 200)} "
            f"are none of the layouts that are known: {known}"
        )
    for name, module in modules.items():
        if wanted := mismatch(module, layout[name]):
            raise RefusedError(
                f"hyperparams.yaml: modules[{name!r}] is not {wanted}"
            )
    check_agreement(modules, plan)


def check_agreement(
    modules: Mapping[str, Call], plan: Mapping[str, object]
) -> None:
    """Check that modules fit the keys, and each other."""
    wanted = {"sample_rate": plan.get("sample_rate")}
    if "alphabet" in plan:
        wanted["num_tokens"] = len(plan["alphabet"]) + 1
    for module in modules.values():
        require_arguments(module.keywords.get("recognizer", module), wanted)
    if "masknet" not in modules:
        return
    given = parameters(modules["encoder"])
    channels, kernel = given["out_channels"], given["kernel_size"]
    sources = plan.get("num_spks", 2)
    require_arguments(modules["encoder"], {"in_channels": 1})
    # each mask network has a name of its own for both numbers
    wanted = dict.fromkeys(("in_channels", "N", "input_dim"), channels)
    wanted |= dict.fromkeys(("num_spks", "C", "num_spk"), sources)
    require_arguments(modules["masknet"], wanted)
    # what is decoded is as long as what was encoded
    wanted = {"in_channels": channels, "out_channels": 1, "kernel_size": kernel}
    wanted |= {"stride": kernel and kernel // 2, "padding": 0, "dilation": 1}
    require_arguments(modules["decoder"], wanted)


def require_arguments(call: Call, wanted: Mapping[str, object]) -> None:
    """Refuse a call whose arguments, where it has them, are others."""
    given = parameters(call)
    for name in sorted(wanted.keys() & given.keys()):
        # what is missing is told by the class itself
        fits = given[name] in (wanted[name], inspect.Parameter.empty)
        if wanted[name] is not None and not fits:
            raise call.place.refuse(
                f"{name} is {given[name]}, and the rest of the file asks for "
                f"{wanted[name]}"
            )


@dataclass(frozen=True, eq=False)
class Loadable:
    """A module and the file of its weights.

    Arguments
    ---------
    name : str
        Key of the module in the pretrainer's `loadables`.
    module : Call
        What builds it.
    file : str
        Relative to the folder.
    """

    name: str
    module: Call
    file: str

    @property
    def files(self) -> tuple[str, str]:
        """The two files that its weights may be in, the preferred one first."""
        path = PurePosixPath(self.file)
        return str(path.with_suffix(".safetensors")), self.file


def find_loadables(
    plan: Mapping[str, object], repo_id: str | None = None
) -> list[Loadable]:
    """Read the pretrainer of a plan.

    As for SpeechBrain, weights of the loadable NAME are in `NAME.ckpt`
    unless `paths` says otherwise. A path may begin with the id of the
    repository itself (`USER/NAME/encoder.ckpt`), as some published ones do;
    in a local folder it is taken for the id of the repository that the
    folder is a copy of. Nothing is ever fetched from elsewhere.

    Arguments
    ---------
    plan : Mapping
        From `parse`.
    repo_id : str, optional
        The repository, None for a local folder.

    Returns
    -------
    loadables : list of Loadable
        In the order of the file.

    Raises
    ------
    RefusedError
        If the pretrainer would do more than load files of the folder.
    ValueError
        If the file has no pretrainer.

    Example
    -------
    >>> from pathlib import Path
    >>> place = Place(Path("hyperparams.yaml"), 1, "")
    >>> linear = Call("torch.nn.Linear", place, [1, 1])
    >>> pretrainer = Call(PRETRAINER, place)
    >>> pretrainer.keywords["loadables"] = {"model": linear}
    >>> [loadable] = find_loadables({"pretrainer": pretrainer})
    >>> loadable.files
    ('model.safetensors', 'model.ckpt')
    """
    call = plan.get("pretrainer")
    if not isinstance(call, Call) or call.name != PRETRAINER:
        raise ValueError(
            f"hyperparams.yaml has no key pretrainer with !new:{PRETRAINER}"
        )
    place = call.place
    given = {name: value for name, value in call.keywords.items() if value}
    loadables, paths = given.pop("loadables", {}), given.pop("paths", {})
    if given or call.positional:
        raise place.refuse(
            f"the pretrainer is given {', '.join(given) or 'a list'}",
            "Only loadables, and paths in the folder.",
        )
    if not isinstance(loadables, dict) or not isinstance(paths, dict):
        raise place.refuse("loadables and paths are not mappings")
    for name, module in loadables.items():
        if not isinstance(module, Call):
            raise place.refuse(
                f"the loadable {name!r} is not built in this file"
            )
    return [
        Loadable(
            name=name,
            module=module,
            file=file_name(paths.get(name, f"{name}.ckpt"), repo_id, place),
        )
        for name, module in loadables.items()
    ]


def file_name(path: object, repo_id: str | None, place: Place) -> str:
    """Check a path of the pretrainer, and make it relative to the folder."""
    mend = "Write the name of a file of the folder, such as encoder.ckpt."
    if not isinstance(path, str) or not FILE_NAME.fullmatch(path):
        raise place.refuse(f"the path {path!r} leads out of the folder", mend)
    *owner, inner = path.split("/", 2)
    if len(owner) == 2 and repo_id in (None, "/".join(owner)):
        path = inner
    if not path.endswith(EXTENSIONS):
        raise place.refuse(
            f"the path {path!r} does not end in {' or '.join(EXTENSIONS)}", mend
        )
    return path
