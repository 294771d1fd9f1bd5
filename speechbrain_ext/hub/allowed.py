"""The classes that a hyperparams.yaml may name, and with which arguments.

Nothing of what is listed here opens a file, goes to the network, imports by
a name it is given, or calls what it is given, with the arguments listed
here. Add a class only after having read its code with that in mind: what
its parameters do with text (open, import, getattr, eval) and with objects
(call). Leave out parameters such as `device`, `dtype`, `source`, `path`.
"""

from collections.abc import Mapping

from speechbrain_ext.hub.plan import Call

LARGEST_NUMBER = 2**31
PRETRAINER = "speechbrain.utils.parameter_transfer.Pretrainer"

# what an argument may be: besides these, a set of the texts that are allowed
PLAIN = "a number, true, false, null or a list of these"
MODULE = "a module built in this file"
LAYER = "a module built in this file, or a class of the list"
MODULES = "a list or mapping of modules built in this file"

Kind = str | frozenset[str]
Parameters = Mapping[str, Kind]


def parameters(plain: str = "", **others: Kind | set[str]) -> Parameters:
    """List the parameters of a class.

    Arguments
    ---------
    plain : str
        Names of those that take numbers, in the order of the signature.
    **others : str or set of str
        Kind of argument, or the texts that are allowed (numbers are too).

    Returns
    -------
    parameters : Mapping
        Name to kind.

    Example
    -------
    >>> parameters("kernel_size", padding={"same"})["padding"]
    frozenset({'same'})
    """
    kinds: dict[str, Kind] = dict.fromkeys(plain.split(), PLAIN)
    for name, kind in others.items():
        kinds[name] = kind if isinstance(kind, str) else frozenset(kind)
    return kinds


RECTIFIERS = {"relu", "gelu"}
ATTENTION = {"regularMHA", "RelPosMHAXL"}
NORMS = {"ln", "gln", "cln", "bn"}
CELLS = {"LSTM", "GRU", "RNN", "LiGRU"}
PADDING = {"same", "valid", "causal"}
PADDING_MODES = {"zeros", "reflect", "replicate", "circular", "constant"}
ACTIVATIONS = {"relu", "prelu", "gelu", "silu", "leaky_relu", "elu", "tanh"}
MASKS = {"relu", "sigmoid", "softmax"}
TRANSFORMER = (
    "num_layers d_model nhead d_ffn input_shape kdim vdim dropout "
    "use_positional_encoding norm_before"
)
# further arguments, by any name or without one, all of the kind given
ANY_NAME, ANY_NUMBER = "**", "*"

DUAL_PATH = {
    "Encoder": parameters("kernel_size out_channels in_channels"),
    "Decoder": parameters(
        "in_channels out_channels kernel_size stride padding output_padding "
        "groups bias dilation"
    ),
    "IdentityBlock": parameters(),
    "SBTransformerBlock": parameters(
        TRANSFORMER, activation=RECTIFIERS, attention_type=ATTENTION
    ),
    "PytorchTransformerBlock": parameters(
        "out_channels num_layers nhead d_ffn dropout use_positional_encoding",
        activation=RECTIFIERS,
    ),
    # SpeechBrain looks rnn_type up in a module, whatever it is
    "SBRNNBlock": parameters(
        "input_size hidden_channels num_layers dropout bidirectional",
        rnn_type=CELLS,
    ),
    "DPTNetBlock": parameters(
        "d_model nhead dim_feedforward dropout", activation=RECTIFIERS
    ),
    "SBConformerEncoderBlock": parameters(
        "num_layers d_model nhead d_ffn input_shape kdim vdim dropout "
        "kernel_size bias use_positional_encoding",
        activation=RECTIFIERS | {"swish"},
        attention_type=ATTENTION,
    ),
    "Dual_Path_Model": parameters(
        "in_channels out_channels num_layers K num_spks skip_around_intra "
        "linear_layer_after_inter_intra use_global_pos_enc max_length",
        intra_model=MODULE,
        inter_model=MODULE,
        norm=NORMS,
    ),
    "SepformerWrapper": parameters(
        "encoder_kernel_size encoder_in_nchannels encoder_out_nchannels "
        "masknet_chunksize masknet_numlayers masknet_useextralinearlayer "
        "masknet_extraskipconnection masknet_numspks intra_numlayers "
        "inter_numlayers intra_nhead inter_nhead intra_dffn inter_dffn "
        "intra_use_positional inter_use_positional intra_norm_before "
        "inter_norm_before",
        masknet_norm=NORMS,
    ),
}
CONV_TASNET = {
    "Encoder": parameters("L N"),
    "Decoder": parameters("L N"),
    "MaskNet": parameters(
        "N B H P X R C causal",
        norm_type={"gLN", "cLN", "BN"},
        mask_nonlinear=MASKS,
    ),
}
RESEPFORMER = {
    "ResourceEfficientSeparator": parameters(
        "input_dim causal num_spk layer unit segment_size dropout",
        nonlinear=MASKS | {"tanh"},
        mem_type={"hc", "h", "c", "id", "av"},
        seg_model=MODULE,
        mem_model=MODULE,
    ),
    "SBTransformerBlock_wnormandskip": parameters(
        TRANSFORMER + " causal use_norm use_skip",
        activation=RECTIFIERS,
        attention_type=ATTENTION,
        norm_type=NORMS,
    ),
}
NNET = {
    "CNN.Conv1d": parameters(
        "out_channels kernel_size input_shape in_channels stride dilation "
        "groups bias skip_transpose weight_norm default_padding",
        padding=PADDING,
        padding_mode=PADDING_MODES,
    ),
    "CNN.Conv2d": parameters(
        "out_channels kernel_size input_shape in_channels stride dilation "
        "groups bias max_norm swap skip_transpose weight_norm",
        padding=PADDING,
        padding_mode=PADDING_MODES,
    ),
    **dict.fromkeys(
        ("RNN.LSTM", "RNN.GRU"),
        parameters(
            "hidden_size input_shape input_size num_layers bias dropout "
            "re_init bidirectional"
        ),
    ),
    "linear.Linear": parameters(
        "n_neurons input_shape input_size bias max_norm combine_dims"
    ),
    # builds the classes it is given: those of this list only
    **dict.fromkeys(
        ("containers.Sequential", "containers.LengthsCapableSequential"),
        parameters("input_shape", **{ANY_NAME: LAYER, ANY_NUMBER: LAYER}),
    ),
    "containers.ModuleList": parameters(**{ANY_NUMBER: MODULE}),
    "pooling.StatisticsPooling": parameters("return_mean return_std"),
    "pooling.AdaptivePool": parameters("output_size"),
    "normalization.BatchNorm1d": parameters(
        "input_shape input_size eps momentum affine track_running_stats "
        "combine_batch_time skip_transpose"
    ),
    "normalization.LayerNorm": parameters(
        "input_size input_shape eps elementwise_affine"
    ),
    "activations.Swish": parameters("beta"),
    "activations.Softmax": parameters("apply_log dim reshape"),
    "dropout.Dropout2d": parameters("drop_rate inplace"),
    "embedding.Embedding": parameters(
        "num_embeddings embedding_dim consider_as_one_hot blank_id"
    ),
}
FEATURES = {
    "lobes.features.Fbank": parameters(
        "deltas context requires_grad sample_rate f_min f_max n_fft n_mels "
        "param_change_factor param_rand_factor left_frames right_frames "
        "win_length hop_length",
        filter_shape={"triangular", "rectangular", "gaussian"},
    ),
    # without window_fn, which would be called
    "processing.features.STFT": parameters(
        "sample_rate win_length hop_length n_fft normalized_stft center "
        "onesided",
        pad_mode=PADDING_MODES,
    ),
    "processing.features.ISTFT": parameters(
        "sample_rate n_fft win_length hop_length normalized_stft center "
        "onesided epsilon"
    ),
}
TORCH = {
    "Linear": parameters("in_features out_features bias"),
    "Conv1d": parameters(
        "in_channels out_channels kernel_size stride dilation groups bias",
        padding={"same", "valid"},
        padding_mode=PADDING_MODES,
    ),
    "ConvTranspose1d": parameters(
        "in_channels out_channels kernel_size stride padding output_padding "
        "groups bias dilation"
    ),
    "BatchNorm1d": parameters(
        "num_features eps momentum affine track_running_stats"
    ),
    "LayerNorm": parameters("normalized_shape eps elementwise_affine bias"),
    "GroupNorm": parameters("num_groups num_channels eps affine"),
    "ReLU": parameters("inplace"),
    "LeakyReLU": parameters("negative_slope inplace"),
    "PReLU": parameters("num_parameters init"),
    "GELU": parameters(approximate={"none", "tanh"}),
    **dict.fromkeys(("Sigmoid", "Tanh", "Identity"), parameters()),
    "Softmax": parameters("dim"),
    "Dropout": parameters("p inplace"),
    "Sequential": parameters(**{ANY_NUMBER: MODULE}),
    "ModuleList": parameters(modules=MODULES, **{ANY_NUMBER: MODULES}),
    "ModuleDict": parameters(modules=MODULES),
}
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
