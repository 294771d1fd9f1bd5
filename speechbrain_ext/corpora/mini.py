"""The embedded corpus `mini`: speech of 40 voices, and sounds made by code.

The speech lies in this package (``mini_speech``; ``tools/mini_speech`` says
how it was made). Noise, sound events and room responses are drawn at
preparation time from a seed, so that they cost nothing to carry around.
Splits share no voice, no recording and no draw, and the noise kinds of
``HELD_OUT_KINDS`` are heard in test only.
"""

import csv
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.decoding import decode
from speechbrain_ext.corpora.preparation import prepares
from speechbrain_ext.corpora.procedural import (
    EVENT_CLASSES,
    HELD_OUT_KINDS,
    NOISE_KINDS,
    make_event,
    make_noise,
    make_room,
)
from speechbrain_ext.corpora.procedural.rooms import (
    LONGEST_RT60,
    SHORTEST_RT60,
)

SPEECH = Path(__file__).parent / "mini_speech"
NOISE_SECONDS = 20.0
# Recordings of each noise kind; in test, one of each kind, seen or not
NOISES = {"train": 4, "valid": 1, "test": 1}
EVENTS = {"train": 12, "valid": 4, "test": 4}
BABBLE_UTTERANCES = 6  # of each voice, enough to fill a recording
ROOMS = {"train": 24, "valid": 6, "test": 6}
LICENSE = "Apache-2.0 (made by code of this project)"


class Sound(NamedTuple):
    """One sound to be made by code.

    Arguments
    ---------
    kind : str
        noise, event or rir.
    split : str
        train, valid or test.
    label : str
        Noise kind or event class; "room" for a response.
    index : int
        Counts the sounds that share all of the above.
    rt60 : float
        Of a room, in seconds.
    """

    kind: str
    split: str
    label: str
    index: int
    rt60: float = 0.0

    @property
    def id(self):
        """Name in the manifest; the file is audio/<id>.wav."""
        return f"{self.kind}/{self.split}/{self.label}_{self.index:02d}"


@prepares
def prepare(folder, *, sample_rate=16000, seed=0):
    """Write the `mini` corpus to a folder: audio, and the manifest.

    Interrupted at any moment, the next call resumes where it stopped; a
    finished folder is left as it is. Equal arguments give equal bytes. Made
    by another version of the code, the sounds in the folder are made again,
    and the log says so; made for another seed or sample rate, they stay, and
    that is an error.

    Under DDP call this by ``speechbrain.utils.distributed.run_on_main``.

    Arguments
    ---------
    folder : str or PathLike
        Where to write; made if missing.
    sample_rate : int
        Of everything, in Hz; the speech is known up to 16 kHz.
    seed : int
        Of the noise, the events and the rooms. The speech is always the
        same.

    Returns
    -------
    path : Path
        The manifest, ``folder/manifest.csv``.

    Raises
    ------
    FileNotFoundError
        If the embedded speech is missing from the installed package.
    ValueError
        If the sample rate is below 4000 Hz, too low for the sounds, or the
        folder holds what was made for another seed or sample rate.

    Example
    -------
    >>> manifest = prepare("results/mini", sample_rate=8000)  # doctest: +SKIP
    """
    if sample_rate < 4000:
        raise ValueError(
            f"sample_rate is {sample_rate}; it must be at least 4000 Hz"
        )
    speech = _speech_candidates()
    voices = _Voices(speech, sample_rate)
    version = _version()
    made = [
        Candidate(
            source_path=f"{sound.id}, seed {seed}, code {version}",
            id=sound.id,
            kind=sound.kind,
            split=sound.split,
            label="" if sound.kind == "rir" else sound.label,
            text=f"RT60 {sound.rt60:.3f} s" if sound.kind == "rir" else "",
            source="mini",
            license=LICENSE,
            make=lambda sound=sound: _make(sound, sample_rate, seed, voices),
        )
        for sound in plan_sounds()
    ]
    return convert_all(
        speech + made, folder, sample_rate=sample_rate, minimum_seconds=0.5
    )


def plan_sounds():
    """List the sounds of the corpus.

    Yields
    ------
    sound : Sound
        The reverberation times of a split are spread evenly.

    Example
    -------
    >>> next(plan_sounds()).id
    'noise/train/babble_00'
    """
    for split, count in NOISES.items():
        for label in NOISE_KINDS:
            if label not in HELD_OUT_KINDS or split == "test":
                for index in range(count):
                    yield Sound("noise", split, label, index)
    for split, count in EVENTS.items():
        for label in EVENT_CLASSES:
            for index in range(count):
                yield Sound("event", split, label, index)
    for split, count in ROOMS.items():
        times = np.linspace(SHORTEST_RT60, LONGEST_RT60, 2 * count + 1)[1::2]
        for index, rt60 in enumerate(times):
            yield Sound("rir", split, "room", index, float(rt60))


def _speech_candidates():
    """Read the embedded manifest."""
    path = SPEECH / "manifest.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"the embedded speech is missing: no {path}; install the package "
            "again, with its data"
        )
    with open(path, newline="", encoding="utf-8") as file:
        return [
            Candidate(
                source_path=str(SPEECH / row["path"]),
                id="speech/" + row["path"].removesuffix(".opus"),
                kind="speech",
                split=row["split"],
                speaker=row["voice"],
                sex=row["sex"],
                text=row["text"],
                source="mini",
                license=row["licence"],
                seconds=float(row["duration"]),
            )
            for row in csv.DictReader(file)
        ]


def _version():
    """Digest all that the sounds follow from, besides rate and seed."""
    digest = hashlib.sha256()
    for path in [
        SPEECH / "manifest.csv",
        Path(__file__),
        *sorted(Path(__file__).parent.glob("procedural/*.py")),
    ]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _make(sound, sample_rate, seed, voices):
    """Draw one sound; its stream depends on its name and on the seed."""
    name = f"{seed}/{sound.id}"
    if sound.kind == "noise":
        return make_noise(
            sound.label,
            seconds=NOISE_SECONDS,
            sample_rate=sample_rate,
            seed=name,
            speech=voices.of(sound.split) if sound.label == "babble" else None,
        )
    if sound.kind == "event":
        return make_event(sound.label, sample_rate=sample_rate, seed=name)
    room = make_room(sample_rate=sample_rate, seed=name, rt60=sound.rt60)
    return 0.9 * room.response / np.abs(room.response).max()


class _Voices:
    """The speech that babble is made of, decoded when it is asked for."""

    def __init__(self, candidates, sample_rate):
        self.candidates = candidates
        self.sample_rate = sample_rate
        self.decoded = {}

    def of(self, split):
        """Give the utterances of every voice of a split."""
        if split not in self.decoded:
            voices = {}
            for candidate in self.candidates:
                if candidate.split == split:
                    voices.setdefault(candidate.speaker, []).append(candidate)
            self.decoded[split] = [
                [
                    decode(c.source_path, sample_rate=self.sample_rate).waveform
                    for c in utterances[:BABBLE_UTTERANCES]
                ]
                for utterances in voices.values()
            ]
        return self.decoded[split]
