"""Reading a training script's command line."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import speechbrain as sb
import torch
from speechbrain.core import RunOptions
from speechbrain.utils.run_opts import HELP_TEXTS

from speechbrain_ext.console import printable
from speechbrain_ext.services.configuration import (
    CheckedHparams,
    check_hparams,
    read_keys,
)
from speechbrain_ext.services.options import find_mistakes, read_option
from speechbrain_ext.services.output_folder import (
    find_absent_sources,
    find_place_mistakes,
)
from speechbrain_ext.services.start import Start
from speechbrain_ext.training.processes import is_bfloat16_fast

_DEFAULTS = vars(RunOptions())
_FLAGS = {key for key, value in _DEFAULTS.items() if value is False}
_LISTS = {"jit_module_keys", "compile_module_keys"}
RUN_OPTIONS = {*HELP_TEXTS, *_LISTS} & _DEFAULTS.keys()
_PRECISIONS = ["fp32", "fp16", "bf16"]
# options of SpeechBrain's Brain with narrower values than their type
_RUN_RULES = {
    "precision": _PRECISIONS,
    "eval_precision": _PRECISIONS,
    "distributed_backend": ["nccl", "gloo", "mpi"],
    "debug_batches": (int, 1, None),
    "grad_accumulation_factor": (int, 1, None),
    "nonfinite_patience": (int, 0, None),
    "optimizer_step_limit": (int, 1, None),
}
# keys that say how many batches an epoch has
logger = logging.getLogger(__name__)


class CheckedCommand(NamedTuple):
    """A command line without mistakes, before anything is built.

    Arguments
    ---------
    hparams_file : str
        The hyperparameter file.
    checked : CheckedHparams
        Its text and values, with the options in it.
    run_opts : RunOptions
        Of SpeechBrain's Brain.
    words : list of str
        The options of SpeechBrain's Brain that the file has no keys for.
    start : Start, optional
        The separator that it starts from.
    """

    hparams_file: str
    checked: CheckedHparams
    run_opts: RunOptions
    words: list[str]
    start: Start | None = None


def check_command_line(
    arguments: Sequence[str],
    rules: Mapping,
    find_conflicts: Callable | None = None,
    find_places: Callable[[dict], Mapping] | None = None,
) -> CheckedCommand:
    r"""Read a command line, and check all options.

    `--precision` and others are options of SpeechBrain's Brain, which keeps
    them from the file; where the file has the keys they are put back, so
    that what it says is what is done.

    Arguments
    ---------
    arguments : sequence of str
        The hyperparameter file and options.
    rules, find_conflicts
        See `check_hparams`.
    find_places : Callable, optional
        Given the file's plain values, says which of them are names of places,
        and where these are.

    Returns
    -------
    command : CheckedCommand

    Raises
    ------
    ValueError
        See `check_hparams`.

    Example
    -------
    >>> path = getfixture("tmp_path") / "hparams.yaml"
    >>> _ = path.write_text("output_folder: out\nprecision: fp32\n")
    >>> words = [str(path), "--precision=bf16", "--grad_accumulation_factor=2"]
    >>> command = check_command_line(words, {})
    >>> command.checked.values["precision"], command.words
    ('bf16', ['--grad_accumulation_factor=2'])
    """
    hparams_file, given, mistakes = split_options(arguments)
    run_opts, values, faults = _read_run_options(hparams_file, given)
    own = {k: words[-1] for k, words in given.items() if k not in RUN_OPTIONS}
    known = read_keys(hparams_file)
    own |= {k: v for k, v in values.items() if k in known}

    def find_all_conflicts(values):
        found = find_conflicts(values) if find_conflicts else []
        found += find_place_mistakes(values)
        found += find_absent_sources(values, own)
        return found + _find_run_mistakes(values, run_opts)

    rules = {
        **{k: r for k, r in _RUN_RULES.items() if k in known},
        **rules,
    }

    def check():
        return check_hparams(
            hparams_file, own, rules, find_all_conflicts, mistakes + faults
        )

    checked, changed = check(), {}
    if "precision" not in own and checked.values.get("precision") == "bf16":
        if not is_bfloat16_fast(run_opts.device):
            logger.warning(
                "precision: this CPU has no bfloat16 arithmetic; training in "
                "fp32 (--precision=bf16 insists)"
            )
            changed["precision"] = "fp32"
    if find_places and (places := find_places(checked.values)):
        changed |= {key: str(place) for key, place in places.items()}
    if changed:
        own |= changed
        checked = check()
    words = []
    for key, found in given.items():
        if key in _FLAGS | _LISTS:
            words += [f"--{key}", *found]
        elif key in RUN_OPTIONS and key not in own:
            words.append(f"--{key}={values[key]}")
    return CheckedCommand(hparams_file, checked, run_opts, words)


def split_options(
    arguments: Sequence[str],
) -> tuple[str, dict[str, list[str]], list[str]]:
    """Split a command line into options, without reading their values.

    Arguments
    ---------
    arguments : sequence of str
        The hyperparameter file, then `--key=value` or `--key value`.

    Returns
    -------
    hparams_file : str
    options : dict
        Key to the words behind it: one, but for flags and lists.
    mistakes : list of str
        One line each.

    Raises
    ------
    ValueError
        If the hyperparameter file does not come first.

    Example
    -------
    >>> split_options(["my.yaml", "--seed=2", "--user", "me", "--debug"])
    ('my.yaml', {'seed': ['2'], 'user': ['me'], 'debug': []}, [])
    """
    words = list(arguments)
    if not words or words[0].startswith("-") or not words[0].strip():
        raise ValueError(
            "the hyperparameter file comes first, such as: "
            "train.py hparams/ring_folder.yaml --data_folder=DIR"
        )
    hparams_file, options, mistakes = words.pop(0), {}, []
    while words:
        word = words.pop(0)
        shown = printable(word, 100)
        key, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not key:
            mistakes.append(
                f"{shown}: options are given as --KEY=VALUE; a value with "
                "spaces must be quoted"
            )
            continue
        if key in _FLAGS:
            if equals:
                mistakes.append(f"{key}: it takes no value, give --{key}")
            found = []
        elif equals:
            found = [value]
        else:
            several = key in _LISTS
            found = []
            while words and not words[0].startswith("--"):
                found.append(words.pop(0))
                if not several:
                    break
            if not found:
                mistakes.append(f"{key}: no value; give it as --{key}=VALUE")
                continue
        if options.setdefault(key, found) != found:
            mistakes.append(
                f"{key}: it is given twice, as {options[key][0]!r} and "
                f"{found[0]!r}"
            )
    return hparams_file, options, mistakes


def _read_run_options(
    hparams_file: str, given: Mapping[str, list[str]]
) -> tuple[RunOptions, dict, list[str]]:
    """Read the options of SpeechBrain's Brain; give mistakes as well."""
    arguments, mistakes, values = [hparams_file], [], {}
    for key in given.keys() & RUN_OPTIONS:
        if key in _FLAGS | _LISTS:
            arguments += [f"--{key}", *given[key]]
            continue
        kind = type(_DEFAULTS[key])
        rule = (kind, None, None) if kind in (int, float) else None
        rule = _RUN_RULES.get(key, rule)
        try:
            value = read_option(key, given[key][0], default="", rule=rule)
        except ValueError as error:
            mistakes.append(f"{key}: {error}")
            continue
        found = find_mistakes({key: value}, {key: rule}) if rule else []
        mistakes += found
        if not found:
            arguments.append(f"--{key}={value}")
            values[key] = value
    _, run_opts, _ = sb.parse_arguments(arguments)
    # of two of them SpeechBrain keeps the text
    limit = values.get("optimizer_step_limit")
    run_opts = dataclasses.replace(run_opts, optimizer_step_limit=limit)
    mistakes += _find_device_mistakes(run_opts.device)
    return run_opts, values, mistakes


def _find_device_mistakes(name: str | None) -> list[str]:
    """Tell whether a device is there."""
    if name is None:
        return []
    try:
        device = torch.device(name)
    except RuntimeError:
        return [
            f"device: {name!r} is no device; choose cpu, cuda or cuda:NUMBER"
        ]
    there = {"cpu": 1}
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator().type
        there[kind] = torch.accelerator.device_count()
    if (device.index or 0) < there.get(device.type, 0):
        return []
    found = ", ".join(f"{kind} ({n})" for kind, n in there.items())
    return [
        f"device: {name} is not there, or this build of torch has no support "
        f"for it; there are: {found}"
    ]


def _find_run_mistakes(values: Mapping, run_opts: RunOptions) -> list[str]:
    """List what the Brain's options and the file's values make together."""
    mistakes = [
        f"{key}: {value} runs from high to low; the lower one comes first"
        for key, value in values.items()
        if _is_range(key, value) and value[0] > value[1]
    ]
    batches = run_opts.grad_accumulation_factor
    left = values.get("batches_per_epoch", 0) % batches
    if left:
        mistakes.append(
            f"grad_accumulation_factor: {batches} batches make a step, and "
            f"batches_per_epoch is {values['batches_per_epoch']}: the last "
            f"{left} would go into no step; take a multiple"
        )
    save = values.get("save_folder")
    if run_opts.test_only and save is not None:
        if not any(Path(save).glob("CKPT*/CKPT.yaml")):
            mistakes.append(
                f"test_only: there is no checkpoint in {save}; train first, "
                "or give the output_folder of a trained run"
            )
    return mistakes


def _is_range(key: str, value: object) -> bool:
    """Tell whether a value is a range that SNRs are drawn from."""
    return (
        key.endswith("snr_db")
        and not key.startswith(("test_", "sweep_"))
        and isinstance(value, list)
        and len(value) == 2
        and all(type(item) in (int, float) for item in value)
    )
