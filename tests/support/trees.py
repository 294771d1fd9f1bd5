"""Tiny trees of the layouts that corpora come in, with made-up audio."""

import zlib

import numpy as np
import soundfile

CHAPTER = "1240"  # every reader of LibriSpeech reads from it
VIDEO = "1zcIwhmdeo4"  # every speaker of VoxCeleb is seen in it


def voice(generator, seconds, rate):
    """A harmonic tone that swells and glides: enough to be told apart."""
    time = np.arange(round(seconds * rate)) / rate
    pitch = generator.uniform(90, 250)
    glide = 1 + 0.1 * np.sin(2 * np.pi * generator.uniform(0.3, 2) * time)
    phase = 2 * np.pi * pitch * np.cumsum(glide) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 8))
    swell = np.sin(np.pi * generator.uniform(1, 4) * time) ** 2
    return 0.1 * tone * swell + 1e-3 * generator.standard_normal(len(time))


def write_voice(path, *, rate=16000, seconds=1.2):
    """Write a file with a voice of its own, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = _generator(path)
    soundfile.write(path, voice(generator, seconds, rate), rate)
    return path


def write_noise(path, *, rate=16000, seconds=2.0, channels=1):
    """Write a file with white noise, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (round(seconds * rate), channels)
    soundfile.write(path, 0.1 * _generator(path).standard_normal(shape), rate)
    return path


def _generator(path):
    """The same sound wherever the tree stands, another for every file."""
    return np.random.default_rng(zlib.crc32("/".join(path.parts[-4:]).encode()))


def make_folder(root, speakers):
    """Anyone's recordings: two of each speaker, in formats and rates by turns.

    Layout: SPEAKER/session/1.wav and SPEAKER/2.wav (or flac, ogg, mp3).
    """
    for number, speaker in enumerate(speakers):
        ending = ("wav", "flac", "ogg", "mp3")[number % 4]
        rate = (8000, 16000, 44100)[number % 3]
        for name in ("session/1", "2"):
            write_voice(root / speaker / f"{name}.{ending}", rate=rate)
    return root


def make_wham(root):
    """WHAM!, wav8k/min: four mixtures of eight speakers in each set."""
    for first, name in ((0, "tr"), (10, "cv"), (20, "tt")):
        for number in range(first, first + 4):
            one, two = f"{number:02d}a", f"{number:02d}b"
            file = f"{one}c0201_1.25_{two}c0202_-1.25.wav"
            place = root / "wav8k/min" / name
            for folder in ("s1", "s2"):
                write_voice(place / folder / file, rate=8000)
            write_noise(place / "noise" / file, rate=8000, seconds=1.2)
    return root


def make_librispeech(root, speakers, *, utterances=2, seconds=1.2):
    """LibriSpeech, {subset: [speaker, ...]}, two utterances each by default.

    In SPEAKERS.TXT women and men take turns.
    """
    table = [";ID  |SEX| SUBSET           |MINUTES| NAME"]
    for subset, names in speakers.items():
        for number, name in enumerate(names):
            folder = root / subset / name / CHAPTER
            for utterance in range(utterances):
                write_voice(
                    folder / f"{name}-{CHAPTER}-{utterance:04d}.flac",
                    seconds=seconds,
                )
            (folder / f"{name}-{CHAPTER}.trans.txt").write_text(
                f"{name}-{CHAPTER}-0000 CHAPTER ONE\n"
                f"{name}-{CHAPTER}-0001 IT WAS\n"
            )
            table.append(f"{name} | {'FM'[number % 2]} | {subset} | 1 | N. N.")
    (root / "SPEAKERS.TXT").write_text("\n".join(table) + "\n")
    return root


def make_voxceleb(root, speakers):
    """VoxCeleb1, wav/idXXXXX/VIDEO/*.wav, two utterances of each speaker."""
    for speaker in speakers:
        for name in ("00001", "00002"):
            write_voice(root / "wav" / speaker / VIDEO / f"{name}.wav")
    return root


def make_librimix(root, speakers):
    """Libri2Mix of the official scripts, {split: [speaker, ...]}, in pairs."""
    name = "{}-13754-0001_{}-33396-0065.wav"
    return _make_mixed(root, "Libri2Mix", speakers, name, ("s1", "s2"))


def make_whamr(root, speakers):
    """WHAMR! of the official scripts, {split: [speaker, ...]}, in pairs."""
    name = "{}a010b_0.97_{}a010p_-0.97.wav"
    parts = ("s1_anechoic", "s2_anechoic")
    return _make_mixed(root, ".", speakers, name, parts)


def _make_mixed(root, below, speakers, name, parts):
    """A tree of mixtures: a folder for each part, and one of noise."""
    for split, names in speakers.items():
        folder = root / below / "wav8k/min" / split
        for pair in zip(names[::2], names[1::2], strict=True):
            for part in parts:
                write_voice(folder / part / name.format(*pair), rate=8000)
            write_noise(folder / "noise" / name.format(*pair), rate=8000)
    return root


def make_fuss(root, foregrounds, *, condition="ssdata", seconds=1.2):
    """FUSS as unpacked, {split: [foregrounds of each example, ...]}.

    The background of the last example of a split is silent; the file of a
    mixture is the rounded sum of its sources.
    """
    for split, counts in foregrounds.items():
        lines = []
        for number, count in enumerate(counts):
            example = f"{split}/example{number:05d}"
            names = [f"{example}_sources/background0_sound.wav"]
            names += [
                f"{example}_sources/foreground{n}_sound.wav"
                for n in range(count)
            ]
            paths = [root / condition / name for name in names]
            write_noise(paths[0], seconds=seconds)
            if number == len(counts) - 1:
                silence = np.zeros(round(seconds * 16000))
                soundfile.write(paths[0], silence, 16000)
            for path in paths[1:]:
                write_voice(path, seconds=seconds)
            mixture = sum(soundfile.read(path)[0] for path in paths)
            mixture_path = root / condition / f"{example}.wav"
            soundfile.write(mixture_path, mixture, 16000)
            lines.append("\t".join([f"{example}.wav", *names]))
        path = root / condition / f"{split}_example_list.txt"
        path.write_text("\n".join(lines) + "\n")
    return root


def make_fsd50k(root, labels, *, seconds=3.2):
    """FSD50K as unpacked, {split: [labels of each clip, ...]}.

    Splits are train and val, of dev, and eval; labels are parted by commas.
    """
    tables = {"dev": ["fname,labels,mids,split"], "eval": ["fname,labels,mids"]}
    number = 100
    for split, clips in labels.items():
        part = "eval" if split == "eval" else "dev"
        for names in clips:
            number += 1
            write_noise(
                root / f"FSD50K.{part}_audio/{number}.wav",
                rate=44100,
                seconds=seconds,
            )
            row = f'{number},"{names}",/m/0'
            tables[part].append(row if part == "eval" else f"{row},{split}")
    (root / "FSD50K.ground_truth").mkdir(parents=True)
    for part, rows in tables.items():
        path = root / f"FSD50K.ground_truth/{part}.csv"
        path.write_text("\n".join(rows) + "\n")
    return root


def make_musan(root, *, files=4, seconds=3.2):
    """MUSAN as unpacked: so many noises of each collection, and music."""
    for collection in ("free-sound", "sound-bible"):
        for number in range(files):
            name = f"noise-{collection}-{number:04d}.wav"
            write_noise(root / "noise" / collection / name, seconds=seconds)
    write_voice(root / "music/fma/music-fma-0000.wav")
    return root
