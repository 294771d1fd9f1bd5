"""The layouts of folders that exist: keys, modules, files of weights."""

import inspect
import re
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
    RECOGNISER,
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
        "masknet": tuple(MASKNETS),
        "decoder": (DECODER,),
    },
    {"encoder": PAIR_ENCODERS, "encoder_out": (SEQUENTIAL,)},
    {"predictor": (OURS + "SNRPredictor",)},
    {"recognizer": (RECOGNISER,)},
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
LOADABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
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
    wanted = {
        key: mismatch(hparams[key], kind)
        for key, kind in KEYS.items()
        if key in hparams and mismatch(hparams[key], kind)
    }
    if not wanted and {"snrmin", "snrmax"} <= hparams.keys():
        if not hparams["snrmin"] < hparams["snrmax"]:
            wanted["snrmax"] = "above snrmin"
    alphabet = hparams.get("alphabet", "a")
    if not (
        isinstance(alphabet, str)
        and 0 < len(alphabet) == len(set(alphabet)) <= LONGEST_ALPHABET
        and alphabet.isprintable()
    ):
        wanted["alphabet"] = "a text of printable characters, each of them once"
    for key, kind in sorted(wanted.items()):
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
        check_outputs(module, plan)
    if {"encoder", "masknet", "decoder"} == modules.keys():
        check_filters(**modules)


def check_outputs(module: Call, plan: Mapping[str, object]) -> None:
    """Check that a module gives what the keys say, at the rate they say."""
    recogniser = module.keywords.get("recognizer", module)
    wanted = {"sample_rate": plan.get("sample_rate")}
    if "alphabet" in plan:
        wanted["num_tokens"] = len(plan["alphabet"]) + 1
    require_arguments(recogniser, wanted)
    if module.name in MASKNETS:
        sources = plan.get("num_spks", 2)
        require_arguments(module, {MASKNETS[module.name]: sources})


def check_filters(*, encoder: Call, masknet: Call, decoder: Call) -> None:
    """Check that what is decoded is as long as what was encoded."""
    given = parameters(encoder)
    channels, kernel = given["out_channels"], given["kernel_size"]
    require_arguments(encoder, {"in_channels": 1})
    require_arguments(
        masknet, dict.fromkeys(("in_channels", "N", "input_dim"), channels)
    )
    require_arguments(
        decoder,
        {
            "in_channels": channels,
            "out_channels": 1,
            "kernel_size": kernel,
            "stride": kernel and kernel // 2,
            **{"padding": 0, "dilation": 1},
        },
    )


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
    place : Place
        Where the pretrainer stands.
    """

    name: str
    module: Call
    file: str
    place: Place

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
    >>> linear = Call("!new:", "torch.nn.Linear", place, [1, 1])
    >>> pretrainer = Call("!new:", PRETRAINER, place)
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
    if call.positional:
        raise place.refuse("arguments of the pretrainer have no names")
    given = {"loadables": {}, "paths": {}}
    given |= {name: value for name, value in call.keywords.items() if value}
    for name, value in given.items():
        if name not in ("loadables", "paths"):
            mend = "Only loadables, and paths in the folder."
            raise place.refuse(f"the pretrainer is given {name!r}", mend)
        if not isinstance(value, dict):
            raise place.refuse(f"{name!r} of the pretrainer is no mapping")
    loadables, paths = given["loadables"], given["paths"]
    for name, module in loadables.items():
        if not LOADABLE.fullmatch(name):
            raise place.refuse(f"the loadable {name!r} cannot name a file")
        if not isinstance(module, Call) or module.kind != "!new:":
            raise place.refuse(
                f"the loadable {name!r} is not built in this file"
            )
    found = [
        Loadable(
            name=name,
            module=module,
            file=file_name(paths.get(name, f"{name}.ckpt"), repo_id, place),
            place=place,
        )
        for name, module in loadables.items()
    ]
    taken: set[str] = set()
    for loadable in found:
        files = {file.casefold() for file in loadable.files}
        if taken & files:
            raise place.refuse(
                f"the loadable {loadable.name!r} has its weights in the file "
                "of another one"
            )
        taken |= files
    return found


def file_name(path: object, repo_id: str | None, place: Place) -> str:
    """Check a path of the pretrainer, and make it relative to the folder."""
    mend = "Write the name of a file of the folder, such as encoder.ckpt."
    if not isinstance(path, str) or not FILE_NAME.fullmatch(path):
        raise place.refuse(f"the path {path!r} leads out of the folder", mend)
    owner, _, rest = path.partition("/")
    name, _, inner = rest.partition("/")
    if inner and repo_id in (None, f"{owner}/{name}"):
        path = inner
    if not path.endswith(EXTENSIONS):
        raise place.refuse(
            f"the path {path!r} does not end in {' or '.join(EXTENSIONS)}", mend
        )
    return path
