"""Classes of SpeechBrain and PyTorch that a hyperparams.yaml may name.

What is said at the head of `allowed.py` holds for all of them.
"""

from collections.abc import Mapping

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
