"""SepFormer, at any size."""

from speechbrain.lobes.models.dual_path import SBTransformerBlock

from speechbrain_ext.models.lean_dual_path import LeanDualPath
from speechbrain_ext.models.separator import MaskingSeparator, filterbank


class SepFormer(MaskingSeparator):
    """SepFormer, the dual-path transformer of the literature.

    Subakan et al., "Attention Is All You Need in Speech Separation", ICASSP
    2021. The default is the published WSJ0-2mix configuration: 25.7 M
    parameters, made for a GPU; `load_speechbrain` gives it the weights of
    speechbrain/sepformer-wsj02mix. For tests on a CPU take channels=64,
    blocks=1, intra_layers=2, inter_layers=2, heads=4, feedforward=128,
    chunk=100; to learn on one take `SpectralSepFormer`.

    Arguments
    ---------
    num_sources : int
        Sources to separate.
    channels : int
        Learned filters, and channels of the transformers.
    kernel_size : int
        Samples per filter; the stride is half of it.
    blocks : int
        Pairs of an along-chunk and an across-chunk transformer.
    intra_layers, inter_layers : int
        Layers of each transformer along and across chunks.
    heads : int
        Attention heads.
    feedforward : int
        Hidden size of the position-wise parts.
    chunk : int
        Frames per chunk, even; chunks overlap by half.
    dropout : float
        Probability of dropping a value inside the transformers.
    checkpointing : bool
        Whether training computes each layer twice, for about a tenth of the
        memory.

    Raises
    ------
    ValueError
        If kernel_size or chunk is odd.

    Example
    -------
    >>> import torch
    >>> separator = SepFormer(
    ...     channels=8, blocks=1, intra_layers=1, inter_layers=1, heads=2,
    ...     feedforward=8, chunk=20,
    ... )
    >>> separator(torch.randn(2, 1001)).shape
    torch.Size([2, 2, 1001])
    """

    def __init__(
        self,
        num_sources: int = 2,
        channels: int = 256,
        kernel_size: int = 16,
        blocks: int = 2,
        intra_layers: int = 8,
        inter_layers: int = 8,
        heads: int = 8,
        feedforward: int = 1024,
        chunk: int = 250,
        dropout: float = 0.0,
        checkpointing: bool = False,
    ) -> None:
        if chunk % 2:
            raise ValueError(f"chunk={chunk} must be even")

        def transformer(layers: int) -> SBTransformerBlock:
            return SBTransformerBlock(
                num_layers=layers,
                d_model=channels,
                nhead=heads,
                d_ffn=feedforward,
                dropout=dropout,
                use_positional_encoding=True,
                norm_before=True,
            )

        masknet = LeanDualPath(
            in_channels=channels,
            out_channels=channels,
            intra_model=transformer(intra_layers),
            inter_model=transformer(inter_layers),
            num_layers=blocks,
            norm="ln",
            K=chunk,
            num_spks=num_sources,
            skip_around_intra=True,
            linear_layer_after_inter_intra=False,
            checkpointing=checkpointing,
        )
        # LeanDualPath copies one initialization into every block
        for block in masknet.dual_mdl[1:]:
            block.intra_mdl = transformer(intra_layers)
            block.inter_mdl = transformer(inter_layers)
        super().__init__(
            *filterbank(channels, kernel_size, masknet), num_sources
        )
