"""The classes that a hyperparams.yaml may name, and with which arguments.

Nothing of what is listed here opens a file, goes to the network, imports by
a name it is given, or calls what it is given, with the arguments listed
here. Add a class only after having read its code with that in mind: what
its parameters do with text (open, import, getattr, eval) and with objects
(call). Leave out parameters such as `device`, `dtype`, `source`, `path`.

Every count and size has an upper bound, so that building takes little time
whatever the file says; how much memory it takes is counted in `building.py`.
"""

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
SIZE = range(1, 8193)
REPEAT = range(1, 17)
SHAPE = [SIZE]
SEPARATORS = tuple(
    OURS + name
    for name in (
        *("ConsistentSeparator", "SepFormer", "ConvTasNet", "TDCN"),
        *("SpectralConvTasNet", "SpectralTDCN", "SpectralSepFormer"),
        *("SpectralDPRNN", "SpectralBLSTM", "SpectralGRU"),
    )
)
BLOCKS = (
    *(DUAL_PATH + "SBTransformerBlock", DUAL_PATH + "PytorchTransformerBlock"),
    *(DUAL_PATH + "SBRNNBlock", DUAL_PATH + "DPTNetBlock"),
    DUAL_PATH + "SBConformerEncoderBlock",
    RESEPFORMER + "SBTransformerBlock_wnormandskip",
)
LAYERS = (
    *(NNET + "CNN.Conv1d", NNET + "linear.Linear"),
    *("torch.nn.ReLU", "torch.nn.Sigmoid"),
)
# these take the shape of what stands before them: a class is enough
NAMED_LAYERS = LAYERS[:2]

# name of a parameter to what it may be, in every class
KINDS: dict[str, Kind] = {
    name: kind
    for names, kind in (
        ("num_sources num_spks num_spk C masknet_numspks", range(1, 17)),
        ("blocks repeats num_layers intra_layers inter_layers layers", REPEAT),
        ("X R layer masknet_numlayers intra_numlayers inter_numlayers", REPEAT),
        ("heads nhead intra_nhead inter_nhead", range(1, 129)),
        ("channels hidden skip bottleneck feedforward size num_tokens", SIZE),
        ("d_model d_ffn kdim vdim dim_feedforward N B H unit input_dim", SIZE),
        ("in_channels out_channels input_size hidden_channels", SIZE),
        ("n_neurons intra_dffn inter_dffn", SIZE),
        ("encoder_in_nchannels encoder_out_nchannels", SIZE),
        ("kernel_size encoder_kernel_size stride L P dilation", range(1, 1025)),
        ("n_fft hop", range(1, 65537)),
        ("chunk K masknet_chunksize segment_size max_length", range(1, 65537)),
        ("mels", range(1, 257)),
        ("sample_rate", range(1000, 768_001)),
        ("window_ms hop_ms", Real(1, 200)),
        ("dropout", Real(0, 1)),
        ("bias causal bidirectional overlap long_skips skip_transpose", bool),
        ("use_positional_encoding norm_before use_norm use_skip", bool),
        ("skip_around_intra linear_layer_after_inter_intra", bool),
        ("use_global_pos_enc combine_dims return_mean return_std", bool),
        ("masknet_useextralinearlayer masknet_extraskipconnection", bool),
        ("intra_use_positional inter_use_positional", bool),
        ("intra_norm_before inter_norm_before", bool),
        ("input_shape", SHAPE),
        ("consistency", frozenset({"learned", "uniform", "none"})),
        (
            "activation",
            frozenset("relu prelu gelu silu leaky_relu elu tanh swish".split()),
        ),
        (
            "mask mask_nonlinear nonlinear",
            frozenset({"relu", "sigmoid", "softmax", "tanh"}),
        ),
        ("attention_type", frozenset({"regularMHA", "RelPosMHAXL"})),
        (
            "norm norm_type masknet_norm",
            frozenset("ln gln cln bn gLN cLN BN".split()),
        ),
        # SpeechBrain looks it up in a module, whatever it is
        ("rnn_type", frozenset({"LSTM", "GRU", "RNN", "LiGRU"})),
        ("mem_type", frozenset({"hc", "h", "c", "id", "av"})),
        ("padding", frozenset({"same", "valid", "causal"})),
        ("separator enhancer", SEPARATORS),
        ("recogniser", (OURS + "ConformerCTC",)),
        ("intra_model inter_model seg_model mem_model", BLOCKS),
    )
    for name in names.split()
}
# a class is built as many times as the first ones, multiplied, or as the
# second ones, added, say
MULTIPLIED = "blocks repeats num_layers layers X R layer masknet_numlayers"
ADDED = "intra_layers inter_layers intra_numlayers inter_numlayers"

SPECTRAL = "num_sources n_fft hop mask "
TRANSFORMER = (
    "num_layers d_model nhead d_ffn input_shape kdim vdim dropout activation "
    "use_positional_encoding norm_before attention_type"
)
# name of a class to its parameters, in the order of its signature
CLASSES: Mapping[str, tuple[str, ...]] = {
    name: tuple(names.split())
    for name, names in {
        OURS + "ConsistentSeparator": "separator consistency",
        OURS + "SepFormer": "num_sources channels kernel_size blocks "
        "intra_layers inter_layers heads feedforward chunk dropout",
        OURS + "ConvTasNet": "num_sources channels kernel_size bottleneck "
        "hidden skip blocks repeats activation mask",
        OURS + "TDCN": "num_sources channels kernel_size bottleneck hidden "
        "blocks repeats activation mask long_skips",
        OURS + "SpectralConvTasNet": SPECTRAL + "channels hidden skip "
        "kernel_size blocks repeats activation",
        OURS + "SpectralTDCN": SPECTRAL + "channels hidden blocks repeats "
        "activation long_skips",
        OURS + "SpectralSepFormer": SPECTRAL + "channels blocks intra_layers "
        "inter_layers heads feedforward chunk overlap",
        OURS + "SpectralDPRNN": SPECTRAL + "channels hidden blocks chunk "
        "overlap",
        OURS + "SpectralBLSTM": SPECTRAL + "hidden layers",
        OURS + "SpectralGRU": SPECTRAL + "hidden layers",
        OURS + "SNRPredictor": "n_fft hop hidden layers",
        OURS + "ConformerCTC": "num_tokens sample_rate mels window_ms hop_ms "
        "channels size layers heads feedforward kernel_size dropout",
        OURS + "JointRecogniser": "enhancer recogniser",
        OURS + "WaveformEncoder": "channels",
        OURS + "SpectralEncoder": "n_fft hop channels hidden kernel_size "
        "blocks repeats activation",
        DUAL_PATH + "Encoder": "kernel_size out_channels in_channels",
        DUAL_PATH + "Decoder": "in_channels out_channels kernel_size stride "
        "bias",
        DUAL_PATH + "SBTransformerBlock": TRANSFORMER,
        DUAL_PATH + "PytorchTransformerBlock": "out_channels num_layers nhead "
        "d_ffn dropout activation use_positional_encoding",
        DUAL_PATH + "SBRNNBlock": "input_size hidden_channels num_layers "
        "rnn_type dropout bidirectional",
        DUAL_PATH + "DPTNetBlock": "d_model nhead dim_feedforward dropout "
        "activation",
        DUAL_PATH + "SBConformerEncoderBlock": "num_layers d_model nhead "
        "d_ffn input_shape kdim vdim dropout activation kernel_size bias "
        "use_positional_encoding attention_type",
        DUAL_PATH + "Dual_Path_Model": "in_channels out_channels intra_model "
        "inter_model num_layers norm K num_spks skip_around_intra "
        "linear_layer_after_inter_intra use_global_pos_enc max_length",
        CONV_TASNET + "MaskNet": "N B H P X R C norm_type causal "
        "mask_nonlinear",
        RESEPFORMER + "ResourceEfficientSeparator": "input_dim causal num_spk "
        "nonlinear layer unit segment_size dropout mem_type seg_model "
        "mem_model",
        RESEPFORMER + "SBTransformerBlock_wnormandskip": TRANSFORMER
        + " causal use_norm use_skip norm_type",
        SEQUENTIAL: "input_shape",
        NNET + "CNN.Conv1d": "out_channels kernel_size input_shape "
        "in_channels stride dilation padding bias skip_transpose",
        NNET + "linear.Linear": "n_neurons input_shape input_size bias "
        "combine_dims",
        NNET + "pooling.StatisticsPooling": "return_mean return_std",
        "torch.nn.ReLU": "",
        "torch.nn.Sigmoid": "",
    }.items()
}
# these are tried out while they are built
NARROWER: dict[tuple[str, str], Kind] = {
    (OURS + "ConformerCTC", "channels"): range(1, 513),
    (CONV_TASNET + "MaskNet", "R"): range(1, 9),
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
    >>> check_plan({"a": Call("!new:", "os.popen", place)})
    Traceback (most recent call last):
    ...
    speechbrain_ext.hub.refusal.RefusedError: hyperparams.yaml, line 1:
    os.popen is not on the list of classes that a folder may name: ...
    """
    counts: dict[Call, int] = {}
    for key, value in plan.items():
        if not isinstance(value, Call) or value.name != PRETRAINER:
            check_value(value, counts)
        elif key != "pretrainer" or value.kind != "!new:":
            raise value.place.refuse(
                "a Pretrainer stands elsewhere than at the key pretrainer"
            )
        else:  # see pretrainer.py
            check_value(value.keywords.get("loadables"), counts)


def check_value(value: object, counts: dict[Call, int]) -> int:
    """Check all calls in a value, and count the layers that they build."""
    if isinstance(value, Call) and value in counts:
        return counts[value]
    if isinstance(value, Call):
        check_call(value)
    layers = sum(check_value(part, counts) for part in children(value))
    if isinstance(value, Call):
        given = value.keywords
        added = sum(given.get(name) or 0 for name in ADDED.split())
        repeats = [given.get(name) or 1 for name in MULTIPLIED.split()]
        counts[value] = (1 + layers) * math.prod(repeats) * max(1, added)
        layers = counts[value]
        if sum(counts.values()) > MOST_LAYERS:
            raise value.place.refuse(
                f"the file builds more than {MOST_LAYERS} layers"
            )
    return layers


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
    if call.name not in CLASSES:
        raise call.place.refuse(
            f"{call.name} is not on the list of classes that a folder may name"
        )
    names = CLASSES[call.name]
    if len(call.positional) > len(names):
        raise call.place.refuse(f"too many arguments for {call.name}")
    twice = call.keywords.keys() & set(names[: len(call.positional)])
    call.keywords.update(zip(names, call.positional, strict=False))
    call.positional = []
    for name, argument in call.keywords.items():
        if name in names and name not in twice:
            kind = NARROWER.get((call.name, name), KINDS[name])
        elif call.name == SEQUENTIAL and name.isidentifier():
            kind = LAYERS
        else:
            raise call.place.refuse(
                f"{call.name} is not given the argument {name!r}",
                f"Allowed: {', '.join(names) or 'none'}.",
            )
        if not fits(argument, kind):
            raise call.place.refuse(
                f"the argument {name!r} of {call.name} is not {describe(kind)}"
            )


def fits(value: object, kind: Kind) -> bool:
    """Tell whether a value is null, or what a parameter may be."""
    if value is None:
        return True
    if isinstance(kind, range):
        return type(value) is int and value in kind
    if isinstance(kind, Real):
        number = type(value) in (int, float)
        return number and kind.least <= value <= kind.most
    if kind is bool:
        return type(value) is bool
    if isinstance(kind, frozenset):
        return isinstance(value, str) and value in kind
    if isinstance(kind, tuple):
        named = kind is LAYERS and getattr(value, "name", "") in NAMED_LAYERS
        return isinstance(value, Call) and (
            value.name in kind and (named or value.kind == "!new:")
        )
    return (
        isinstance(value, list | tuple)
        and len(value) <= 4
        and all(item is None or fits(item, SIZE) for item in value)
    )


def describe(kind: Kind) -> str:
    """Say in words what a parameter may be."""
    if isinstance(kind, range):
        return f"a whole number from {kind.start} to {kind.stop - 1}"
    if isinstance(kind, frozenset):
        return f"one of {sorted(kind)}"
    if isinstance(kind, tuple):
        return f"built in this file, as one of {', '.join(kind)}"
    if kind is bool:
        return "true or false"
    if isinstance(kind, Real):
        return f"a number from {kind.least:g} to {kind.most:g}"
    return f"a list of at most 4 sizes ({describe(SIZE)}) or null"
