"""Which file of weights belongs to which module."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from speechbrain_ext.hub.allowed import PRETRAINER
from speechbrain_ext.hub.document import Call
from speechbrain_ext.hub.folder import FILE_NAME
from speechbrain_ext.hub.refusal import Place

LOADABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
EXTENSIONS = (".ckpt", ".pt", ".safetensors")


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
    given = {name: value for name, value in call.keywords.items() if value}
    for name, value in given.items():
        if name not in ("loadables", "paths"):
            mend = "Only loadables, and paths in the folder."
            raise place.refuse(f"the pretrainer is given {name!r}", mend)
        if not isinstance(value, dict):
            raise place.refuse(f"{name!r} of the pretrainer is no mapping")
    loadables, paths = given.get("loadables", {}), given.get("paths", {})
    for name, module in loadables.items():
        if not LOADABLE.fullmatch(name):
            raise place.refuse(f"the loadable {name!r} cannot name a file")
        if not isinstance(module, Call) or module.kind != "!new:":
            raise place.refuse(
                f"the loadable {name!r} is not built in this file"
            )
    return [
        Loadable(
            name=name,
            module=module,
            file=file_name(paths.get(name, f"{name}.ckpt"), repo_id, place),
            place=place,
        )
        for name, module in loadables.items()
    ]


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
