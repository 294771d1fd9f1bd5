"""Reading a training script's command line."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import speechbrain as sb
from speechbrain.core import RunOptions

from speechbrain_ext.training.configuration import has_key, load_hparams
from speechbrain_ext.training.processes import join_processes


class CommandLine(NamedTuple):
    """What a training script was asked for.

    Arguments
    ---------
    hparams_file : str
        The hyperparameter file.
    hparams : dict
        What it holds, with the options in it.
    run_opts : RunOptions
        Of SpeechBrain's Brain.
    overrides : str
        The options that changed the file, as YAML.
    """

    hparams_file: str
    hparams: dict
    run_opts: RunOptions
    overrides: str


def read_command_line(
    arguments: Sequence[str],
    rules: Mapping,
    find_conflicts: Callable | None = None,
) -> CommandLine:
    r"""Read a command line, join the other processes, check the options.

    `--precision` and `--max_grad_norm` are options of SpeechBrain's Brain,
    which keeps them from the file; where the file has the keys they are put
    back, so that what it says is what is done.

    Arguments
    ---------
    arguments : sequence of str
        The hyperparameter file and options.
    rules, find_conflicts
        See `load_hparams`.

    Returns
    -------
    command_line : CommandLine

    Raises
    ------
    ValueError
        See `load_hparams`.

    Example
    -------
    >>> path = getfixture("tmp_path") / "hparams.yaml"
    >>> _ = path.write_text("seed: 1\nprecision: fp32\n")
    >>> found = read_command_line([str(path), "--precision=bf16"], {})
    >>> found.hparams["precision"], found.run_opts.precision
    ('bf16', 'bf16')
    """
    hparams_file, run_opts, overrides = sb.parse_arguments(list(arguments))
    run_opts = join_processes(run_opts)
    for key in ("precision", "max_grad_norm"):
        if key in run_opts.overridden_args and has_key(hparams_file, key):
            overrides += f"\n{key}: {getattr(run_opts, key)}"
    hparams = load_hparams(hparams_file, overrides, rules, find_conflicts)
    return CommandLine(hparams_file, hparams, run_opts, overrides)
