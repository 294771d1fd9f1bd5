"""Networks.

Separators take a mixture (B, T) and give estimates (B, S, T); the estimator
takes both and gives levels (B, S); the predictor gives one for each frame of
a noisy signal (B, F). Mixture consistency makes estimates sum to
the mixture. Recognizers take waveforms (B, T) with relative lengths (B,).
"""

from speechbrain_ext.models.acoustic_tokenizer import AcousticTokenizer
from speechbrain_ext.models.band_separator import BandSeparator
from speechbrain_ext.models.characters import CharacterTable
from speechbrain_ext.models.conformer_ctc import (
    ConformerCTC,
    Recognition,
    frame_mask,
)
from speechbrain_ext.models.consistent_separator import ConsistentSeparator
from speechbrain_ext.models.conv_tasnet import ConvTasNet
from speechbrain_ext.models.joint_recognizer import (
    JointOutput,
    JointRecognizer,
)
from speechbrain_ext.models.mixture_consistency import (
    MixtureConsistency,
    mixture_consistency,
)
from speechbrain_ext.models.separator import MaskingSeparator
from speechbrain_ext.models.sepformer import SepFormer
from speechbrain_ext.models.sisnr_estimator import SISNREstimator
from speechbrain_ext.models.snr_predictor import SNRPredictor
from speechbrain_ext.models.sound_classifier import SoundClassifier
from speechbrain_ext.models.spectral import (
    SpectralBLSTM,
    SpectralConvTasNet,
    SpectralDPRNN,
    SpectralGRU,
    SpectralSeparator,
    SpectralSepFormer,
    SpectralTDCN,
)
from speechbrain_ext.models.spectral_encoder import SpectralEncoder
from speechbrain_ext.models.tdcn import TDCN
from speechbrain_ext.models.waveform_encoder import WaveformEncoder

__all__ = [
    "BandSeparator",
    "TDCN",
    "AcousticTokenizer",
    "CharacterTable",
    "ConformerCTC",
    "ConsistentSeparator",
    "ConvTasNet",
    "JointOutput",
    "JointRecognizer",
    "MaskingSeparator",
    "MixtureConsistency",
    "Recognition",
    "SISNREstimator",
    "SNRPredictor",
    "SepFormer",
    "SoundClassifier",
    "SpectralBLSTM",
    "SpectralConvTasNet",
    "SpectralDPRNN",
    "SpectralEncoder",
    "SpectralGRU",
    "SpectralSepFormer",
    "SpectralSeparator",
    "SpectralTDCN",
    "frame_mask",
    "mixture_consistency",
    "WaveformEncoder",
]
