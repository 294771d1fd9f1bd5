"""Settings that identify a run: it resumes only as the run that it was.

All that the resolved YAML file says identifies a run, the classes and the
nested arguments of what it builds included, with the number of processes, and
digests of the prepared data and of the weights it starts from. Left out are
the keys of one short list, `FREE`, whose values do not change what is trained.
"""

import copy
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import TaggedScalar

from speechbrain_ext.files import replaced
from speechbrain_ext.services.options import tag_of

RUN = "run.json"
# top-level keys that a run may resume with another value of
FREE = frozenset(
    {
        *("prepare", "download", "skip_prep"),
        *("number_of_epochs", "epoch_counter", "selection"),
        *("keep_checkpoints", "checkpointer", "ckpt_interval_minutes"),
        *("num_workers", "log_interval", "history", "text_log", "tensorboard"),
        *("train_logger", "examples", "metrics", "more_metrics", "results"),
        *("dnsmos_mixtures", "residual_noise", "pretrainer"),
        *("device", "noprogressbar", "test_only", "debug"),
    }
)
# beginnings and ends of such keys: tests, and folders, whose files are told by
# digests
FREE_BEGINNINGS = ("test_", "_")
FREE_ENDS = ("_folder",)
# keys of models that a run starts from or works with
MODELS = ("start_from", "purification", "predictor", "estimator", "pool_folder")
# options of SpeechBrain's Brain that change what is trained
RUN_OPTIONS = (
    *("precision", "grad_accumulation_factor", "max_grad_norm"),
    *("skip_nonfinite_grads", "auto_mix_prec", "optimizer_step_limit"),
)
WEIGHTS = ("*.ckpt", "*.safetensors")


def run_identity(
    text: str | Mapping,
    *,
    run_opts: Mapping | None = None,
    free: Iterable[str] = (),
    bound: Iterable[str] = (),
    manifests: Iterable[str | os.PathLike] = (),
) -> dict:
    r"""Collect the settings that identify a run.

    Arguments
    ---------
    text : str or Mapping
        A hyperparameter file whose references are resolved, or what
        `read_plain` made of it.
    run_opts : Mapping, optional
        Options of SpeechBrain's Brain; a key of the file comes first.
    free : iterable of str
        More keys that may change, besides `FREE`, those that begin with
        ``test_`` and those that end with ``_folder``.
    bound : iterable of str
        Keys among `FREE` that may not change all the same.
    manifests : iterable of str or PathLike
        Prepared data: digests of these files are taken in.

    Returns
    -------
    identity : dict
        Plain values, as they come back from JSON.

    Example
    -------
    >>> text = "seed: 1\nnet: !new:torch.nn.Linear [2, 1]\nlog_interval: 5\n"
    >>> run_identity(text)["net"]
    {'!new:torch.nn.Linear': [2, 1]}
    >>> sorted(run_identity(text))
    ['net', 'processes', 'seed']
    """
    free = FREE.union(free).difference(bound)
    tree = read_plain(text) if isinstance(text, str) else text
    run_opts = run_opts or {}
    values = {
        key: run_opts[key]
        for key in RUN_OPTIONS
        if key not in tree and run_opts.get(key) is not None
    }
    for key, value in tree.items():
        if key in free:
            continue
        if key in MODELS and isinstance(value, str):
            values[key] = _digest_weights(value)
        elif not key.startswith(FREE_BEGINNINGS) and not key.endswith(
            FREE_ENDS
        ):
            values[key] = _without_places(value)
    if isinstance(values.get("modules"), dict):
        # what stands at a key of its own is told there
        inline = {
            name: module
            for name, module in values.pop("modules").items()
            if module != values.get(name)
        }
        values |= {"modules": inline} if inline else {}
    # a batch for each process makes a step of as many batches
    values["processes"] = int(os.environ.get("WORLD_SIZE", 1))
    digests = [_digest(Path(path)) for path in manifests]
    if digests:
        values["data"] = digests
    return json.loads(json.dumps(values))


def read_plain(text: str) -> dict:
    r"""Read YAML into plain values, without building what its tags name.

    Arguments
    ---------
    text : str
        Its references are resolved.

    Returns
    -------
    values : dict
        What has a tag is a mapping of the tag to its content.

    Example
    -------
    >>> read_plain("net: !new:torch.nn.Linear [2, 1]\nseed: 1\n")
    {'net': {'!new:torch.nn.Linear': [2, 1]}, 'seed': 1}
    """
    return copy.deepcopy(_read_plain(text))


@functools.lru_cache(maxsize=4)
def _read_plain(text: str) -> dict:
    """Parse a text once for all that ask; it is not to be changed."""
    return _plain(YAML().load(text) or {})


def _plain(node: object) -> object:
    """Turn what ruamel.yaml read into plain values, tags included."""
    tag = tag_of(node)
    if isinstance(node, TaggedScalar):
        value = node.value
    elif isinstance(node, Mapping):
        value = {str(key): _plain(item) for key, item in node.items()}
    elif isinstance(node, list):
        value = [_plain(item) for item in node]
    elif isinstance(node, bool | None):
        return node
    elif isinstance(node, int):
        value = int(node)
    elif isinstance(node, float):
        value = float(node)
    else:
        value = str(node)
    return {tag: value} if tag.startswith("!") else value


def replace_text(value: object, old: str, new: str) -> object:
    """Replace a text wherever it stands in plain values.

    Arguments
    ---------
    value : object
        From `read_plain`.
    old, new : str
        What is looked for, and what stands there instead.

    Returns
    -------
    value : object
        A copy.

    Example
    -------
    >>> replace_text({"net": {"!apply:load": ["a/b"]}}, "a/b", "c")
    {'net': {'!apply:load': ['c']}}
    """
    if isinstance(value, dict):
        return {k: replace_text(item, old, new) for k, item in value.items()}
    if isinstance(value, list):
        return [replace_text(item, old, new) for item in value]
    return new if value == old else value


def test_settings(text: str) -> dict:
    r"""Collect the settings of the tests, without which no figures compare.

    Arguments
    ---------
    text : str
        A hyperparameter file whose references are resolved.

    Returns
    -------
    settings : dict
        Plain values, as they come back from JSON.

    Example
    -------
    >>> test_settings("seed: 1\ntest_batches: 8\n")
    {'test_batches': 8}
    """
    settings = {
        key: _without_places(value)
        for key, value in read_plain(text).items()
        if key.startswith("test_")
    }
    return json.loads(json.dumps(settings))


def _without_places(value: object) -> object:
    """Replace paths of files by digests, and leave out those of folders."""
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if isinstance(value, str) and os.sep in value:
        if os.path.isfile(value):
            return _digest(Path(value))
        if os.path.isdir(value):
            return "a folder"
    return value


def _digest(path: Path) -> str:
    """Shorten the content of a file to sixteen hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _digest_weights(place: str) -> str:
    """Digest the weights in a file or folder; a name of the hub stays."""
    path = Path(place)
    if path.is_file():
        return _digest(path)
    files = [file for end in WEIGHTS for file in path.rglob(end)]
    if not files:
        return place
    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(file.relative_to(path).as_posix().encode())
        whole.update(file.read_bytes())
    return whole.hexdigest()[:16]


def differences(ours: Mapping, theirs: Mapping) -> list[str]:
    """Name the settings whose values are not the same, sorted.

    Arguments
    ---------
    ours, theirs : Mapping
        As `run_identity` gives them.

    Returns
    -------
    names : list of str
        Dots lead to nested values.

    Example
    -------
    >>> differences({"a": 1, "b": {"!new:X": {"c": 1}}},
    ...             {"b": {"!new:X": {"c": 2}}})
    ['a', 'b.c']
    """
    names = set()
    for key in ours.keys() | theirs.keys():
        here, there = ours.get(key), theirs.get(key)
        if key in ours and key in theirs and here == there:
            continue
        both = isinstance(here, Mapping) and isinstance(there, Mapping)
        inner = differences(here, there) if both else []
        hidden = key.startswith("!")
        if inner:
            names.update(name if hidden else f"{key}.{name}" for name in inner)
        else:
            names.add(key.partition(":")[2] or key)
    return sorted(names)


def require_same_run(folder: str | os.PathLike, identity: Mapping) -> None:
    """Raise if a folder holds a run of other settings.

    Arguments
    ---------
    folder : str or Path
        Output folder.
    identity : Mapping
        From `run_identity`.

    Raises
    ------
    ValueError
        The message names the folder, the settings and the fix.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> remember_run(folder, {"seed": 1})
    >>> require_same_run(folder, {"seed": 2})
    Traceback (most recent call last):
    ValueError: output_folder: ... holds a run with another seed; resuming ...
    """
    file = Path(folder) / RUN
    if not file.is_file():
        return
    try:
        found = dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"output_folder: {file} cannot be read ({error}); give another "
            "folder, or delete that one"
        ) from error
    if differs := differences(identity, found):
        named = {"processes": "number of processes"}
        differs = [named.get(name, name) for name in differs]
        raise ValueError(
            f"output_folder: {folder} holds a run with another "
            f"{', '.join(differs)}; resuming it would mix the two. Give "
            "another folder, or delete that one"
        )


def remember_run(folder: str | os.PathLike, identity: Mapping) -> None:
    """Write down the settings that identify the run in a folder.

    Arguments
    ---------
    folder : str or Path
        Output folder; made if missing.
    identity : Mapping
        From `run_identity`.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with replaced(Path(folder) / RUN) as partial:
        text = json.dumps(identity, indent=2) + "\n"
        partial.write_text(text, encoding="utf-8")
