"""From a manifest to mixtures: segments, samplers and mixing."""

from speechbrain_ext.dataio.augmentation import SourceAugmentation
from speechbrain_ext.dataio.clip_sampler import ClipSampler
from speechbrain_ext.dataio.corpus import CorpusMixtures, read_impulse_responses
from speechbrain_ext.dataio.manifest import write_manifest
from speechbrain_ext.dataio.mixed_sounds import MixedSounds
from speechbrain_ext.dataio.mixing import (
    Mixtures,
    add_noise,
    form_batch,
    pair_targets,
    reverberate,
    ring_targets,
    scale_to_level,
)
from speechbrain_ext.dataio.noisy_speech import (
    NoisyBatch,
    NoisyRecordings,
    NoisySpeech,
)
from speechbrain_ext.dataio.noisy_user import (
    divide_noises,
    draw_noise,
    generator_for,
    simulate_user,
)
from speechbrain_ext.dataio.ready_mixtures import ReadyMixtures
from speechbrain_ext.dataio.recordings import Recording, read_recordings
from speechbrain_ext.dataio.references import (
    ReferencedMixture,
    find_references,
    read_references,
)
from speechbrain_ext.dataio.samplers import (
    Draw,
    RingSampler,
    SharedSampler,
)
from speechbrain_ext.dataio.segments import SegmentReader
from speechbrain_ext.dataio.several import SeveralCorpora
from speechbrain_ext.dataio.sound_mixtures import SoundMixtures
from speechbrain_ext.dataio.sound_samplers import SoundDraw, SoundSampler
from speechbrain_ext.dataio.sources import SourceDataset, make_loader
from speechbrain_ext.dataio.utterances import (
    NoisyUtteranceBatch,
    NoisyUtterances,
    UtteranceDataset,
    UtteranceSampler,
)

__all__ = [
    "ClipSampler",
    "CorpusMixtures",
    "Draw",
    "MixedSounds",
    "Mixtures",
    "NoisyBatch",
    "NoisyRecordings",
    "NoisySpeech",
    "NoisyUtteranceBatch",
    "NoisyUtterances",
    "ReadyMixtures",
    "Recording",
    "ReferencedMixture",
    "RingSampler",
    "SegmentReader",
    "SharedSampler",
    "SeveralCorpora",
    "SoundDraw",
    "SoundMixtures",
    "SoundSampler",
    "SourceAugmentation",
    "SourceDataset",
    "UtteranceDataset",
    "UtteranceSampler",
    "add_noise",
    "divide_noises",
    "draw_noise",
    "find_references",
    "form_batch",
    "generator_for",
    "make_loader",
    "pair_targets",
    "read_impulse_responses",
    "read_recordings",
    "read_references",
    "reverberate",
    "ring_targets",
    "scale_to_level",
    "simulate_user",
    "write_manifest",
]
