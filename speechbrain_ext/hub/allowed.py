"""The classes that a hyperparams.yaml may build, and with which arguments.

Nothing of what is listed here opens a file, goes to the network, imports by
a name it is given, or calls what it is given, with the arguments listed
here. Add a class only after having read its code with that in mind: what
its parameters do with text (open, import, getattr, eval) and with objects
(call). Leave out parameters such as `device`, `dtype`, `source`, `path`.

Every count and size has an upper bound, so that building takes little time
whatever the file says; how much memory it takes is counted in `building.py`.
"""

import importlib
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass

from speechbrain_ext.hub.document import Call, children

OURS = "speechbrain_ext.models."
DUAL_PATH = "speechbrain.lobes.models.dual_path."
CONV_TASNET = "speechbrain.lobes.models.conv_tasnet."
RESEPFORMER = "speechbrain.lobes.models.resepformer."
NNET = "speechbrain.nnet."
PRETRAINER = "speechbrain.utils.parameter_transfer.Pretrainer"
SEQUENTIAL = NNET + "containers.Sequential"
# layers of a file, those that are built several times counted several times;
# a SepFormer has 34
MOST_LAYERS = 256


@dataclass(frozen=True)
class Real:
    """A finite number between two others."""

    least: float
    most: float


# what an argument may be: a range of whole numbers, a number, true or false,
# one of several texts (frozenset), a class of the list (tuple), or a shape
Kind = range | Real | type | frozenset | tuple | list


def choice(texts: str) -> frozenset[str]:
    """Give the texts that an argument may be."""
    return frozenset(texts.split())


SIZE = range(1, 8193)
REPEAT = range(1, 17)
SHAPE = [SIZE]
SEPARATORS = tuple(
    OURS + name
    for name in "ConsistentSeparator SepFormer ConvTasNet TDCN "
    "SpectralConvTasNet SpectralTDCN SpectralSepFormer SpectralDPRNN "
    "SpectralBLSTM SpectralGRU BandSeparator".split()
)
BLOCKS = (
    RESEPFORMER + "SBTransformerBlock_wnormandskip",
    *(
        DUAL_PATH + name
        for name in "SBTransformerBlock PytorchTransformerBlock SBRNNBlock "
        "DPTNetBlock SBConformerEncoderBlock".split()
    ),
)
LAYERS = (
    *(NNET + "CNN.Conv1d", NNET + "linear.Linear"),
    *("torch.nn.ReLU", "torch.nn.Sigmoid"),
)
MASKNETS = (
    DUAL_PATH + "Dual_Path_Model",
    CONV_TASNET + "MaskNet",
    RESEPFORMER + "ResourceEfficientSeparator",
)
ENCODER, DECODER = DUAL_PATH + "Encoder", DUAL_PATH + "Decoder"
PAIR_ENCODERS = (SEQUENTIAL, OURS + "WaveformEncoder", OURS + "SpectralEncoder")
RECOGNIZER = OURS + "ConformerCTC"
CLASSES = {
    *(*SEPARATORS, *BLOCKS, *LAYERS, *MASKNETS, *PAIR_ENCODERS),
    *(ENCODER, DECODER, RECOGNIZER, OURS + "JointRecognizer"),
    *(OURS + "SNRPredictor", NNET + "pooling.StatisticsPooling"),
}
# names of parameters to what they may be, in every class; others stay at
# their defaults
KINDS: dict[str, Kind] = {
    name: kind
    for names, kind in {
        "num_sources num_spks num_spk C": range(1, 17),
        "blocks repeats num_layers intra_layers inter_layers layers": REPEAT,
        "X R layer": REPEAT,
        "heads nhead": range(1, 129),
        "channels hidden skip bottleneck feedforward size num_tokens": SIZE,
        "d_model d_ffn kdim vdim dim_feedforward N B H unit input_dim": SIZE,
        "in_channels out_channels input_size hidden_channels n_neurons": SIZE,
        "kernel_size stride P dilation": range(1, 1025),
        "n_fft hop max_length": range(1, 65537),
        "chunk K segment_size": range(2, 1025),
        "mels bands": range(1, 257),
        "frames": range(1, 17),
        "sample_rate": range(1000, 768_001),
        "window_ms hop_ms": Real(1, 200),
        "dropout": Real(0, 1),
        "bias causal bidirectional overlap long_skips skip_transpose": bool,
        "use_positional_encoding norm_before use_norm use_skip": bool,
        "skip_around_intra linear_layer_after_inter_intra": bool,
        "use_global_pos_enc combine_dims return_mean return_std": bool,
        "checkpointing": bool,
        "input_shape": SHAPE,
        "consistency": choice("learned uniform none"),
        "activation": choice("relu prelu gelu silu leaky_relu elu tanh swish"),
        "mask mask_nonlinear nonlinear": choice(
            "complex relu sigmoid softmax tanh"
        ),
        "attention_type": choice("regularMHA RelPosMHAXL"),
        "norm norm_type": choice("ln gln cln bn gLN cLN BN global instance"),
        # SpeechBrain looks it up in a module, whatever it is
        "rnn_type": choice("LSTM GRU RNN"),
        "mem_type": choice("hc h c id av"),
        "padding": choice("same valid causal"),
        "separator enhancer": SEPARATORS,
        "recognizer": (RECOGNIZER,),
        "intra_model inter_model seg_model mem_model": BLOCKS,
    }.items()
    for name in names.split()
}
# these are tried out while they are built
NARROWER: dict[tuple[str, str], Kind] = {
    (RECOGNIZER, "channels"): range(1, 513),
    (CONV_TASNET + "MaskNet", "R"): range(1, 9),
    # the stride is half of it
    **{
        (name, "kernel_size"): range(2, 1025)
        for name in (ENCODER, OURS + "SepFormer", OURS + "ConvTasNet")
    },
}
# a window to the step between windows: how often a sample is computed
OVERLAPS = (("n_fft", "hop"), ("window_ms", "hop_ms"))
MOST_OVERLAP = 16
# a class is built as many times as the first ones, multiplied, or as the
# second ones, added, say
MULTIPLIED = ("blocks", "repeats", "num_layers", "layers", "X", "R", "layer")
ADDED = ("intra_layers", "inter_layers")


def find_class(call: Call) -> type:
    """Import the class that a call names, if it is on the list."""
    if call.name not in CLASSES:
        raise call.place.refuse(
            f"{call.name} is not on the list of classes that a folder may build"
        )
    module, _, attribute = call.name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def parameters(call: Call) -> dict[str, object]:
    """Give what each parameter of a class is, or else its default.

    Arguments
    ---------
    call : Call
        Of a class of the list.

    Returns
    -------
    parameters : dict
        In the order of its signature; `inspect.Parameter.empty` without a
        default.
    """
    entity = find_class(call)
    if call.name == DECODER:  # it hands all on
        (entity,) = entity.__bases__
    return {
        name: call.keywords.get(name, parameter.default)
        for name, parameter in inspect.signature(entity).parameters.items()
    }


def check_plan(plan: Mapping[str, object]) -> None:
    """Check every name and every argument of a plan, and how much it builds.

    Arguments
    ---------
    plan : Mapping
        From `parse`.

    Raises
    ------
    RefusedError
        At the first one that is not allowed; the message names its line.

    Example
    -------
    >>> from pathlib import Path
    >>> from speechbrain_ext.hub.refusal import Place
    >>> place = Place(Path("hyperparams.yaml"), 1, "a: !new:os.popen")
    >>> check_plan({"a": Call("os.popen", place)})
    Traceback (most recent call last):
    ...
    speechbrain_ext.hub.refusal.RefusedError: hyperparams.yaml, line 1:
    os.popen is not on the list of classes that a folder may build: ...
    """
    counts: dict[Call, int] = {}
    for key, value in plan.items():
        if key == "pretrainer" and getattr(value, "name", "") == PRETRAINER:
            value = value.keywords.get("loadables")  # see find_loadables
        check_value(value, counts)


def check_value(value: object, counts: dict[Call, int]) -> int:
    """Check all calls in a value, and count the layers that they build."""
    if not isinstance(value, Call):
        return sum(check_value(part, counts) for part in children(value))
    if value not in counts:
        check_call(value)
        given = value.keywords
        layers = 1 + sum(check_value(part, counts) for part in given.values())
        added = sum(given.get(name) or 0 for name in ADDED)
        repeats = [given.get(name) or 1 for name in MULTIPLIED]
        counts[value] = layers * math.prod(repeats) * max(1, added)
        if sum(counts.values()) > MOST_LAYERS:
            raise value.place.refuse(
                f"the file builds more than {MOST_LAYERS} layers"
            )
    return counts[value]


def check_call(call: Call) -> None:
    """Check the name and the arguments of one call, and name them all.

    Arguments
    ---------
    call : Call
        What the file builds or names; arguments without a name get theirs.

    Raises
    ------
    RefusedError
        If it is not on the list.
    """
    names = list(parameters(call))
    given = dict(zip(names, call.positional, strict=False))
    if len(call.positional) > len(names) or given.keys() & call.keywords:
        raise call.place.refuse(f"too many arguments for {call.name}")
    call.keywords, call.positional = given | call.keywords, []
    for name, argument in call.keywords.items():
        kind = LAYERS if call.name == SEQUENTIAL else None
        if name in names:
            kind = NARROWER.get((call.name, name), KINDS.get(name))
        if kind is None:
            raise call.place.refuse(
                f"{call.name} is not given the argument {name!r}",
                f"Allowed: {', '.join(filter(KINDS.get, names)) or 'none'}.",
            )
        wanted = "" if argument is None else mismatch(argument, kind)
        if wanted:
            raise call.place.refuse(
                f"the argument {name!r} of {call.name} is not {wanted}"
            )
    given = parameters(call)
    for window, hop in OVERLAPS:
        sizes = given.get(window), given.get(hop)
        if None not in sizes and sizes[0] > MOST_OVERLAP * sizes[1]:
            raise call.place.refuse(
                f"{window}={sizes[0]} is more than {MOST_OVERLAP} times "
                f"{hop}={sizes[1]}"
            )


def mismatch(value: object, kind: Kind) -> str:
    """Say what a parameter must be, or nothing if the value is that.

    Arguments
    ---------
    value : object
        From a plan.
    kind : Kind
        What it may be; null it may not be here.

    Returns
    -------
    wanted : str
        Empty if the value fits.

    Example
    -------
    >>> mismatch(0, range(1, 5)), mismatch(4, range(1, 5))
    ('a whole number from 1 to 4', '')
    """
    if isinstance(kind, range):
        fits = type(value) is int and value in kind
        wanted = f"a whole number from {kind.start} to {kind.stop - 1}"
    elif isinstance(kind, Real):
        number = type(value) in (int, float)
        fits = number and kind.least <= value <= kind.most
        wanted = f"a number from {kind.least:g} to {kind.most:g}"
    elif kind is bool:
        fits, wanted = type(value) is bool, "true or false"
    elif isinstance(kind, frozenset):
        fits = isinstance(value, str) and value in kind
        wanted = f"one of {sorted(kind)}"
    elif isinstance(kind, tuple):
        fits = isinstance(value, Call) and value.name in kind
        wanted = f"built in this file, as one of {', '.join(kind)}"
    else:
        sizes = isinstance(value, list | tuple) and len(value) <= 4
        fits = sizes and not any(
            mismatch(item, SIZE) for item in value if item is not None
        )
        wanted = f"a list of at most 4 sizes ({mismatch(None, SIZE)}) or null"
    return "" if fits else wanted
