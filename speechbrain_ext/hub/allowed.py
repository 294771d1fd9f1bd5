"""The classes that a hyperparams.yaml may name, and with which arguments.

Nothing of what is listed here opens a file, goes to the network, imports by
a name it is given, or calls what it is given, with the arguments listed
here. Add a class only after having read its code with that in mind: what
its parameters do with text (open, import, getattr, eval) and with objects
(call). Leave out parameters such as `device`, `dtype`, `source`, `path`.
"""

from collections.abc import Mapping

from speechbrain_ext.hub.allowed_others import (
    ACTIVATIONS,
    ANY_NAME,
    ANY_NUMBER,
    CONV_TASNET,
    DUAL_PATH,
    FEATURES,
    LAYER,
    MASKS,
    MODULE,
    MODULES,
    NNET,
    PLAIN,
    RESEPFORMER,
    TORCH,
    Kind,
    Parameters,
    parameters,
)
from speechbrain_ext.hub.plan import Call

LARGEST_NUMBER = 2**31
PRETRAINER = "speechbrain.utils.parameter_transfer.Pretrainer"

OURS = {
    "ConsistentSeparator": parameters(
        separator=MODULE, consistency={"learned", "uniform", "none"}
    ),
    "MaskingSeparator": parameters(
        "num_sources", encoder=MODULE, masknet=MODULE, decoder=MODULE
    ),
    "SepFormer": parameters(
        "num_sources channels kernel_size blocks intra_layers inter_layers "
        "heads feedforward chunk dropout"
    ),
    "ConvTasNet": parameters(
        "num_sources channels kernel_size bottleneck hidden skip blocks "
        "repeats",
        activation=ACTIVATIONS,
        mask=MASKS,
    ),
    "TDCN": parameters(
        "num_sources channels kernel_size bottleneck hidden blocks repeats "
        "long_skips",
        activation=ACTIVATIONS,
        mask=MASKS,
    ),
    "SpectralConvTasNet": parameters(
        "num_sources n_fft hop channels hidden skip kernel_size blocks repeats",
        mask=MASKS,
        activation=ACTIVATIONS,
    ),
    "SpectralTDCN": parameters(
        "num_sources n_fft hop channels hidden blocks repeats long_skips",
        mask=MASKS,
        activation=ACTIVATIONS,
    ),
    "SpectralSepFormer": parameters(
        "num_sources n_fft hop channels blocks intra_layers inter_layers "
        "heads feedforward chunk overlap",
        mask=MASKS,
    ),
    "SpectralDPRNN": parameters(
        "num_sources n_fft hop channels hidden blocks chunk overlap", mask=MASKS
    ),
    **dict.fromkeys(
        ("SpectralBLSTM", "SpectralGRU"),
        parameters("num_sources n_fft hop hidden layers", mask=MASKS),
    ),
    "SNRPredictor": parameters("n_fft hop hidden layers"),
    "ConformerCTC": parameters(
        "num_tokens sample_rate mels window_ms hop_ms channels size layers "
        "heads feedforward kernel_size dropout"
    ),
    "JointRecogniser": parameters(enhancer=MODULE, recogniser=MODULE),
    "SISNREstimator": parameters("snr_min snr_max uncertainty", encoder=MODULE),
    "WaveformEncoder": parameters("channels"),
    "SpectralEncoder": parameters(
        "n_fft hop channels hidden kernel_size blocks repeats",
        activation=ACTIVATIONS,
    ),
}
ALLOWED: Mapping[str, Parameters] = {
    f"{package}.{name}": kinds
    for package, names in {
        "speechbrain.lobes.models.dual_path": DUAL_PATH,
        "speechbrain.lobes.models.conv_tasnet": CONV_TASNET,
        "speechbrain.lobes.models.resepformer": RESEPFORMER,
        "speechbrain.nnet": NNET,
        "speechbrain": FEATURES,
        "torch.nn": TORCH,
        "speechbrain_ext.models": OURS,
    }.items()
    for name, kinds in names.items()
}


def check_plan(plan: Mapping[str, object]) -> None:
    """Check every name and every argument of a plan.

    Arguments
    ---------
    plan : Mapping
        From `make_plan`.

    Raises
    ------
    RefusedError
        At the first one that is not allowed; the message names its line.

    Example
    -------
    >>> from pathlib import Path
    >>> from speechbrain_ext.hub.refusal import Place
    >>> place = Place(Path("hyperparams.yaml"), 1, "a: !new:os.popen")
    >>> check_plan({"a": Call("!new:", "os.popen", place)})
    Traceback (most recent call last):
    ...
    speechbrain_ext.hub.refusal.RefusedError: hyperparams.yaml, line 1:
    os.popen is not on the list of classes that a folder may name: ...
    """
    for key, value in plan.items():
        if isinstance(value, Call) and value.name == PRETRAINER:
            if key != "pretrainer" or value.kind != "!new:":
                raise value.place.refuse(
                    "a Pretrainer stands elsewhere than at the key pretrainer"
                )
            continue  # see pretrainer.py
        check_value(value)


def check_value(value: object) -> None:
    """Check a value that no constructor takes."""
    if isinstance(value, Call):
        check_call(value)
    elif isinstance(value, dict):
        for item in value.values():
            check_value(item)
    elif isinstance(value, list):
        for item in value:
            check_value(item)


def check_call(call: Call) -> None:
    """Check the name and the arguments of one call.

    Arguments
    ---------
    call : Call
        What the file builds or names.

    Raises
    ------
    RefusedError
        If it is not on the list.
    """
    if call.name not in ALLOWED:
        raise call.place.refuse(
            f"{call.name} is not on the list of classes that a folder may name"
        )
    kinds = ALLOWED[call.name]
    names = [name for name in kinds if name not in (ANY_NAME, ANY_NUMBER)]
    if len(call.positional) > len(names) and ANY_NUMBER not in kinds:
        raise call.place.refuse(f"too many arguments for {call.name}")
    for index, argument in enumerate(call.positional, start=1):
        check_argument(call, str(index), kinds.get(ANY_NUMBER, PLAIN), argument)
    for name, argument in call.keywords.items():
        kind = kinds.get(name, kinds.get(ANY_NAME))
        if kind is None:
            raise call.place.refuse(
                f"{call.name} is not given the argument {name!r}",
                f"Allowed: {', '.join(names) or 'none'}.",
            )
        check_argument(call, name, kind, argument)


def check_argument(call: Call, name: str, kind: Kind, value: object) -> None:
    """Check one argument, and what is built for it.

    Arguments
    ---------
    call : Call
        What takes it.
    name : str
        Its name or number.
    kind : str or frozenset
        What it may be.
    value : object
        From the plan.

    Raises
    ------
    RefusedError
        If it is something else.
    """
    if kind in (MODULE, LAYER):
        kinds = ("!new:",) if kind == MODULE else ("!new:", "!name:")
        fits = isinstance(value, Call) and value.kind in kinds
        fits = fits or (kind == MODULE and value is None)
    elif kind == MODULES:
        items = list(value.values()) if isinstance(value, dict) else value
        fits = isinstance(items, list) and all(
            isinstance(item, Call) and item.kind == "!new:" for item in items
        )
    elif isinstance(kind, frozenset) and isinstance(value, str):
        fits = value in kind
    else:
        fits = is_plain(value)
    if not fits:
        wanted = kind if isinstance(kind, str) else f"one of {sorted(kind)}"
        raise call.place.refuse(
            f"the argument {name!r} of {call.name} is not {wanted}"
        )
    check_value(value)


def is_plain(value: object) -> bool:
    """Tell whether a value is a number of bounded size, or a list of such."""
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) <= LARGEST_NUMBER
    return value is None or isinstance(value, bool)
