"""hyperparams.yaml files that ask for a lot of memory or time."""

DUAL = "!new:speechbrain.lobes.models.dual_path."
BLOCK = DUAL + "SBTransformerBlock"
MASKNET = "!new:speechbrain.lobes.models.conv_tasnet.MaskNet"
OURS = "!new:speechbrain_ext.models."
LINEAR = "speechbrain.nnet.linear.Linear"
CONV = "speechbrain.nnet.CNN.Conv1d"
SEQUENTIAL = "!new:speechbrain.nnet.containers.Sequential"
# refused by their numbers; name: lines after a harmless file
REFUSED = {
    "layers of text": f"a: {BLOCK} {{num_layers: '9', d_model: 8, nhead: 1}}",
    "layers of arithmetic": "n: 99999\n"
    f"a: {BLOCK} {{num_layers: !ref <n> * <n>, d_model: 8, nhead: 1}}",
    "heads": f"a: {BLOCK} {{num_layers: 1, d_model: 8, nhead: 2000000000}}",
    "width": f"a: {BLOCK} {{num_layers: 1, d_model: 100000000, nhead: 1}}",
    "doublings": f"a: {MASKNET} [8, 8, 8, 3, 60, 1, 2]",
    "transform": f"a: {OURS}SpectralGRU {{n_fft: 4000000000, hop: 2}}",
    "overlap": f"a: {OURS}SpectralGRU {{n_fft: 4096, hop: 1}}",
    "default overlap": f"a: {OURS}SpectralTDCN {{hop: 8}}",
    "overlap of windows": f"a: {OURS}ConformerCTC {{num_tokens: 3, hop_ms: 1}}",
    "chunk": f"a: {OURS}SpectralSepFormer {{chunk: 60000}}",
    "small chunk": f"a: {DUAL}Dual_Path_Model {{K: 1}}",
    "long chunk": f"a: {DUAL}Dual_Path_Model {{K: 60000}}",
    "window": f"a: {OURS}ConformerCTC {{num_tokens: 3, window_ms: 1.0e+9}}",
    "rate": f"a: {OURS}ConformerCTC {{num_tokens: 3, sample_rate: 320000000}}",
    "tokens": f"a: {OURS}ConformerCTC {{num_tokens: 1000000000000}}",
    "positions": f"b: {BLOCK} {{num_layers: 1, d_model: 8, nhead: 1}}\n"
    f"a: {DUAL}Dual_Path_Model {{in_channels: 8, out_channels: 8, "
    "intra_model: !ref <b>, inter_model: !ref <b>, use_global_pos_enc: true, "
    "max_length: 1000000000}",
    "products": f"b: {BLOCK} {{num_layers: 16, d_model: 8, nhead: 1}}\n"
    f"a: {DUAL}Dual_Path_Model {{in_channels: 8, out_channels: 8, "
    "intra_model: !ref <b>, inter_model: !ref <b>, num_layers: 16}",
    "sums": f"a: {OURS}SepFormer {{blocks: 16, intra_layers: 16, "
    "inter_layers: 16}",
    "many modules": "\n".join(
        f"a{i}: {BLOCK} {{num_layers: 16, d_model: 8, nhead: 1}}"
        for i in range(200)
    ),
    "many trials": f"a: {SEQUENTIAL}\n  input_shape: [null, 8]\n"
    + "".join(f"  l{i}: !new:{LINEAR} {{n_neurons: 8}}\n" for i in range(900)),
    "wide trial": f"a: {SEQUENTIAL} {{input_shape: [99999, 99999, 8]}}",
    "long shape": f"a: {SEQUENTIAL} {{input_shape: [{'9, ' * 100}]}}",
    "arguments that double": "\n".join(
        [f"d0: &d0 {OURS}SpectralGRU"]
        + [
            f"d{i}: &d{i} {OURS}JointRecognizer [*d{i - 1}, *d{i - 1}]"
            for i in range(1, 60)
        ]
    ),
}
# each within its bounds, too much together
LARGE = {
    "width": f"a: {BLOCK} {{num_layers: 2, d_model: 8192, nhead: 1}}",
    "network": f"a: {MASKNET} [8192, 8192, 8192, 3, 8, 2, 2]",
    "recurrent": f"a: {OURS}SpectralBLSTM {{hidden: 8192, layers: 4}}",
    "kernel": f"a: {SEQUENTIAL}\n  input_shape: [null, 8192, null]\n"
    f"  l: !new:{CONV} {{in_channels: 8192, out_channels: 8192, "
    "kernel_size: 1023, skip_transpose: true}",
    "trials": f"a: {SEQUENTIAL}\n  input_shape: [8192, 8192, 8192]\n"
    + "".join(
        f"  l{i}: !new:{LINEAR} {{input_size: 8192, n_neurons: 8192}}\n"
        for i in range(9)
    ),
    "buffers": f"b: {BLOCK} {{num_layers: 1, d_model: 8, nhead: 1}}\n"
    f"a: {DUAL}Dual_Path_Model {{in_channels: 8, out_channels: 8, "
    "intra_model: !ref <b>, inter_model: !ref <b>, use_global_pos_enc: true, "
    "max_length: 65536}",
}
