"""Where each part of this project goes in SpeechBrain: the tables.

Modules are named without speechbrain_ext, files by their path from the root
of the checkout, ours on the left and SpeechBrain's on the right.
"""

from dataclasses import dataclass

TESTS = "tests/unittests/separation"
DATA_TESTS = "tests/unittests/recordings"
# The library branches: branch -> message of a commit -> what it holds. A
# branch imports only what stands in it and in those that a recipe lists before
# it, which are the same for all recipes.
LIBRARY = {
    "separation-losses": {
        "Losses for separation without clean speech, with tests": {
            "losses.si_sdr": "speechbrain/nnet/loss/si_sdr.py",
            "losses.pit": "speechbrain/nnet/loss/pit.py",
            "losses.scer": "speechbrain/nnet/loss/scer.py",
            "tests/unittests/losses/conftest.py": f"{TESTS}/conftest.py",
            "tests/support/tolerances.py": f"{TESTS}/tolerances.py",
            "tests/unittests/losses/test_si_sdr.py": f"{TESTS}/test_si_sdr.py",
            "tests/unittests/losses/test_pit.py": f"{TESTS}/test_pit.py",
            "tests/unittests/losses/test_scer.py": f"{TESTS}/test_scer.py",
        },
    },
    "ring-mixing": {
        "Ring sampler, mixing on the device, schedules": {
            "dataio.samplers": "speechbrain/dataio/ring_sampler.py",
            "dataio.mixing": "speechbrain/processing/mixing.py",
            "training.schedules": "speechbrain/nnet/step_schedules.py",
        },
    },
    "separation-recordings": {
        "Segments and whole recordings by their CSV files": {
            "dataio.recordings": "speechbrain/dataio/recordings.py",
            "dataio.segments": "speechbrain/dataio/segments.py",
            "dataio.sources": "speechbrain/dataio/sources.py",
            "dataio.references": "speechbrain/dataio/references.py",
            "dataio.whole_recordings": "speechbrain/dataio/whole_recordings.py",
            "dataio.mixed_sounds": "speechbrain/dataio/mixed_sounds.py",
            "dataio.clip_sampler": "speechbrain/dataio/clip_sampler.py",
            "tests/unittests/dataio/conftest.py": f"{DATA_TESTS}/conftest.py",
            "tests/unittests/dataio/test_segments.py": (
                f"{DATA_TESTS}/test_segments.py"
            ),
            "tests/unittests/dataio/test_sources.py": (
                f"{DATA_TESTS}/test_sources.py"
            ),
        },
        "Results and history as CSV files": {
            "training.history": "speechbrain/utils/history.py",
            "training.results_writer": "speechbrain/utils/results_writer.py",
        },
        "Weights of another model, save for parts, with tests": {
            "training.transfer": "speechbrain/utils/weights_transfer.py",
            "tests/unittests/training/test_transfer.py": (
                f"{TESTS}/test_weights_transfer.py"
            ),
        },
    },
    "mixit-losses": {
        "Losses of mixture invariant training, with tests": {
            "losses.active_outputs": "speechbrain/processing/active_outputs.py",
            "losses.assignment": "speechbrain/nnet/loss/mixit_assignment.py",
            "losses.mixit": "speechbrain/nnet/loss/mixit.py",
            "losses.padded_snr": "speechbrain/nnet/loss/padded_snr.py",
            "losses.semantic": "speechbrain/nnet/loss/semantic.py",
            "losses.sparsity": "speechbrain/nnet/loss/sparsity.py",
            "tests/support/mixit_signals.py": f"{TESTS}/mixit_signals.py",
            "tests/unittests/losses/test_active_outputs.py": (
                f"{TESTS}/test_active_outputs.py"
            ),
            "tests/unittests/losses/test_assignment.py": (
                f"{TESTS}/test_mixit_assignment.py"
            ),
            "tests/unittests/losses/test_mixit.py": f"{TESTS}/test_mixit.py",
            "tests/unittests/losses/test_mixit_silence.py": (
                f"{TESTS}/test_mixit_silence.py"
            ),
            "tests/unittests/losses/test_padded_snr.py": (
                f"{TESTS}/test_padded_snr.py"
            ),
            "tests/unittests/losses/test_semantic.py": (
                f"{TESTS}/test_semantic.py"
            ),
            "tests/unittests/losses/test_sparsity.py": (
                f"{TESTS}/test_sparsity.py"
            ),
        },
    },
    "separation-networks": {
        "Convolutional separators": {
            "models.fourier": "speechbrain/processing/fourier.py",
            "models.masks": "speechbrain/lobes/models/masks.py",
            "models.norms": "speechbrain/lobes/models/separation_norms.py",
            "models.temporal_convolution": (
                "speechbrain/lobes/models/temporal_convolution.py"
            ),
            "models.separator": "speechbrain/lobes/models/masking_separator.py",
            "models.conv_tasnet": (
                "speechbrain/lobes/models/masking_conv_tasnet.py"
            ),
            "models.tdcn": "speechbrain/lobes/models/tdcn.py",
            "models.mixture_consistency": (
                "speechbrain/processing/mixture_consistency.py"
            ),
            "tests/unittests/models/test_fourier.py": (
                f"{TESTS}/test_fourier.py"
            ),
            "tests/unittests/models/test_mixture_consistency.py": (
                f"{TESTS}/test_mixture_consistency.py"
            ),
            "tests/unittests/models/test_norms.py": f"{TESTS}/test_norms.py",
            "tests/unittests/models/test_temporal_convolution.py": (
                f"{TESTS}/test_temporal_convolution.py"
            ),
        },
    },
    "dual-path-networks": {
        "SepFormer in less time and memory, with tests": {
            "models.attention": "speechbrain/nnet/fused_attention.py",
            "models.chunks": "speechbrain/processing/chunks.py",
            "models.lean_dual_path": (
                "speechbrain/lobes/models/lean_dual_path.py"
            ),
            "models.sepformer": "speechbrain/lobes/models/sepformer.py",
            "tests/unittests/models/test_lean_dual_path.py": (
                f"{TESTS}/test_lean_dual_path.py"
            ),
        },
    },
    "sisnr-estimator": {
        "Blind estimator of SI-SNR, with tests": {
            "models.pooled_encoder": (
                "speechbrain/lobes/models/pooled_encoder.py"
            ),
            "models.sisnr_estimator": (
                "speechbrain/lobes/models/sisnr_estimator.py"
            ),
            "models.spectral_encoder": (
                "speechbrain/lobes/models/spectral_encoder.py"
            ),
            "models.strided_convolution": (
                "speechbrain/lobes/models/strided_convolution.py"
            ),
            "models.waveform_encoder": (
                "speechbrain/lobes/models/waveform_encoder.py"
            ),
            "tests/unittests/models/test_pooled_encoder.py": (
                f"{TESTS}/test_pooled_encoder.py"
            ),
            "tests/unittests/models/test_sisnr_estimator.py": (
                f"{TESTS}/test_sisnr_estimator.py"
            ),
            "tests/unittests/models/test_spectral_encoder.py": (
                f"{TESTS}/test_spectral_encoder.py"
            ),
        },
    },
    "spectral-networks": {
        "Separators that mask a short-time Fourier transform, with tests": {
            "models.recurrent": "speechbrain/lobes/models/gated_recurrent.py",
            "models.spectral": "speechbrain/lobes/models/spectral_separator.py",
            "tests/unittests/models/test_spectral.py": (
                f"{TESTS}/test_spectral_separator.py"
            ),
        },
    },
    "purification": {
        "Losses that weight frames by how clean they are, with tests": {
            "losses.purification": "speechbrain/nnet/loss/purification.py",
            "losses.contrastive_mixtures": (
                "speechbrain/nnet/loss/contrastive_mixtures.py"
            ),
            "losses.frame_levels": "speechbrain/processing/frame_levels.py",
            "tests/unittests/losses/test_purification.py": (
                f"{TESTS}/test_purification.py"
            ),
        },
        "Predictor of how clean frames are, with tests": {
            "models.snr_predictor": "speechbrain/lobes/models/snr_predictor.py",
            "tests/unittests/models/test_snr_predictor.py": (
                f"{TESTS}/test_snr_predictor.py"
            ),
        },
    },
    "frame-contrast": {
        "Recognizer behind an enhancer, and tokens of its frames": {
            "models.acoustic_tokenizer": (
                "speechbrain/lobes/models/acoustic_tokenizer.py"
            ),
            "models.conformer_ctc": "speechbrain/lobes/models/conformer_ctc.py",
            "models.joint_recognizer": (
                "speechbrain/lobes/models/joint_recognizer.py"
            ),
            "tests/unittests/models/test_acoustic_tokenizer.py": (
                f"{TESTS}/test_acoustic_tokenizer.py"
            ),
        },
        "Contrastive losses of frames and their balance, with tests": {
            "losses.contrastive": "speechbrain/nnet/loss/frame_contrastive.py",
            "losses.frame_contrast": (
                "speechbrain/nnet/loss/frame_contrast_terms.py"
            ),
            "training.gradient_balance": (
                "speechbrain/utils/gradient_balance.py"
            ),
            "tests/unittests/losses/test_contrastive.py": (
                f"{TESTS}/test_frame_contrastive.py"
            ),
            "tests/unittests/losses/test_frame_contrast.py": (
                f"{TESTS}/test_frame_contrast_terms.py"
            ),
            "tests/unittests/training/test_gradient_balance.py": (
                f"{TESTS}/test_gradient_balance.py"
            ),
        },
    },
}

# What stands in no library branch goes with the recipe that needs it.
MODULES = {
    "losses.universal_separation": "speechbrain/utils/universal_separation.py",
    "dataio.augmentation": "speechbrain/augment/sources.py",
    "dataio.corpus": "speechbrain/dataio/corpus_mixtures.py",
    "dataio.noisy_speech": "speechbrain/dataio/noisy_speech.py",
    "dataio.noisy_user": "speechbrain/dataio/noisy_user.py",
    "dataio.pitch": "speechbrain/dataio/voice_pitch.py",
    "dataio.ready_mixtures": "speechbrain/dataio/ready_mixtures.py",
    "dataio.several": "speechbrain/dataio/several_corpora.py",
    "dataio.sound_datasets": "speechbrain/dataio/sound_datasets.py",
    "dataio.sound_mixtures": "speechbrain/dataio/sound_mixtures.py",
    "dataio.sound_samplers": "speechbrain/dataio/sound_sampler.py",
    "dataio.transcripts": "speechbrain/dataio/transcripts.py",
    "dataio.utterances": "speechbrain/dataio/noisy_utterances.py",
    "models.characters": "speechbrain/lobes/models/characters.py",
    "models.consistent_separator": (
        "speechbrain/lobes/models/consistent_separator.py"
    ),
    "models.sound_classifier": "speechbrain/lobes/models/sound_classifier.py",
    "models.separator_pool": "speechbrain/inference/separator_pool.py",
    "inference.published": "speechbrain/inference/published_separators.py",
}

# Definitions that stay here, by the file that they are cut from, with the
# imports that only they need.
CUTS = {
    # SpeechBrain's Pretrainer loads such weights
    "models.separator": ["MaskingSeparator.load_speechbrain"],
    # no recipe that is sent trains these
    "models.spectral": ["SpectralBLSTM", "SpectralDPRNN", "SpectralSepFormer"],
    "models.recurrent": ["DualPathRecurrent", "RecurrentNet", "RecurrentStack"],
    "tests/unittests/models/test_spectral.py": [
        "test_gain_changes_nothing_but_the_level",
        "test_recommended_sizes",
    ],
    "tests/unittests/models/test_lean_dual_path.py": [
        "test_compiles_without_a_break"
    ],
    # SpeechBrain's tests have no mark for those that train
    "tests/unittests/models/test_snr_predictor.py": [
        "test_it_learns_which_frames_are_clean"
    ],
    # SpeechBrain's tests have no fast_bss_eval
    "tests/unittests/losses/test_si_sdr.py": [
        "test_si_sdr_agrees_with_fast_bss_eval"
    ],
}


@dataclass(frozen=True)
class Exchange:
    """What SpeechBrain has in place of a name of ours.

    Arguments
    ---------
    theirs : str
        Dotted name, of ours if that one is sent in its place; empty for a
        base class that is left out.
    without : tuple of str
        Arguments in the YAML that it does not take.
    """

    theirs: str
    without: tuple = ()


EXCHANGES = {
    # that one is safe to be run on strangers' files; SpeechBrain's is not
    "hub.separators.load_separator": Exchange(
        "speechbrain_ext.inference.published.load_separator"
    ),
    "training.optimizers.MuonWithAdam": Exchange(
        "torch.optim.Adam", without=("momentum",)
    ),
    "training.checkpoints.AtomicCheckpointer": Exchange(
        "speechbrain.utils.checkpoints.Checkpointer"
    ),
    "training.processes.run_on_main": Exchange(
        "speechbrain.utils.distributed.run_on_main"
    ),
    "training.nonfinite.SkipNonFinite": Exchange(""),
}


@dataclass(frozen=True)
class Recipe:
    """A recipe and its place in SpeechBrain.

    Arguments
    ---------
    folder : str
        Below recipes/, ours.
    on : tuple of str
        The library branches that it stands on, from below.
    theirs : str
        Below recipes/, SpeechBrain's.
    staged : bool
        Whether it trains in stages; its train.py may be longer.
    improves : bool
        Whether SpeechBrain has this recipe: files of the same names are then
        replaced.
    removes : tuple of str
        Files of SpeechBrain's recipe that ours have no use for.
    keeps : tuple of str
        Files of ours that are not sent.
    ready : bool
        Whether all checks pass; CI then holds it to that.
    """

    folder: str
    on: tuple = ("separation-losses",)
    theirs: str = ""
    staged: bool = False
    improves: bool = False
    removes: tuple = ()
    keeps: tuple = ()
    ready: bool = False

    @property
    def branch(self) -> str:
        """The name of its branch."""
        return self.folder.rpartition("/")[2].replace("_", "-")

    @property
    def place(self) -> str:
        """The folder in SpeechBrain, from the root of its checkout."""
        return f"recipes/{self.theirs or self.folder}"

    @property
    def dataset(self) -> str:
        """The name of its CSV file in SpeechBrain's tests/recipes."""
        return self.place.split("/")[1]


RECIPES = (
    Recipe(
        "FUSS/mixit_separation",
        on=(
            "separation-losses",
            "ring-mixing",
            "separation-recordings",
            "separation-networks",
            "mixit-losses",
        ),
        ready=True,
    ),
    Recipe(
        "LibriSpeech/personalized_enhancement",
        on=(
            "separation-losses",
            "ring-mixing",
            "separation-recordings",
            "separation-networks",
            "spectral-networks",
            "purification",
        ),
        staged=True,
        ready=True,
    ),
    Recipe(
        "LibriSpeech/robust_asr",
        on=(
            "separation-losses",
            "ring-mixing",
            "separation-recordings",
            "separation-networks",
            "spectral-networks",
            "frame-contrast",
        ),
        staged=True,
        keeps=("outside_recognizer.py",),
        ready=True,
    ),
    Recipe(
        "REAL-M/sisnr_estimation",
        on=(
            "separation-losses",
            "ring-mixing",
            "separation-recordings",
            "separation-networks",
            "dual-path-networks",
            "sisnr-estimator",
        ),
        theirs="REAL-M/sisnr-estimation",
        improves=True,
        removes=(
            "create_whamr_rirs.py",
            "dynamic_mixing_librimix.py",
            "dynamic_mixing_wham.py",
            "hparams/pool_sisnrestimator.yaml",
            "prepare_data_librimix.py",
            "prepare_data_wham.py",
            "preprocess_dynamic_mixing_librimix.py",
            "preprocess_dynamic_mixing_wham.py",
            "train_wham.py",
            "wham_room.py",
        ),
        ready=True,
    ),
    Recipe(
        "WHAMandWHAMR/ring_separation",
        on=(
            "separation-losses",
            "ring-mixing",
            "separation-recordings",
            "separation-networks",
            "dual-path-networks",
        ),
        keeps=("hparams/wham_convtasnet.yaml",),
        ready=True,
    ),
)
