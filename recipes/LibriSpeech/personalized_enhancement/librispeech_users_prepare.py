"""Prepare users of LibriSpeech, other speakers, and noises, as tables.

Speech is that of LibriSpeech's train-clean-100: the utterances of 20 users
are divided into user_train (about 20 minutes), user_valid and user_test (a
minute each); of the other speakers 20 are for validation, and all others for
training. Noises are the clips of FSD50K without speech and music, which are
around the users, and those of MUSAN, which are added: free-sound in training,
sound-bible in the test.

Source: A. Sivaraman, S. Kim and M. Kim, "Personalized Speech Enhancement
through Self-Supervised Data Augmentation and Purification", Interspeech 2021,
section 3.1, and the authors' public code for the list of users. Which of the
other speakers validate is not published: they are drawn.
"""

import csv
import hashlib
import os

import soundfile
import torch
from speechbrain.augment.time_domain import Resample
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

SUBSET = "train-clean-100"
USERS = (
    *("19", "26", "39", "40", "78", "83", "87", "89", "118", "125"),
    *("163", "196", "198", "200", "201", "250", "254", "307", "405", "446"),
)
# clips with such labels are left out; labels name the families of a sound too
DROPPED = ("speech", "music", "singing")
COLUMNS = (
    *("ID", "duration", "wav", "samples", "sample_rate"),
    *("split", "spk_id", "label", "source", "license"),
)


def prepare_librispeech_users(
    data_folder,
    fsd50k_folder,
    musan_folder,
    save_folder,
    sample_rate=16000,
    users=USERS,
    validation_speakers=20,
    user_seconds=60.0,
    minimum_seconds=3.0,
    seed=0,
    skip_prep=False,
):
    """Write train, valid and users.csv, and noise_train, _valid and _test.csv.

    Arguments
    ---------
    data_folder : str
        The folder LibriSpeech, which holds train-clean-100, or the one that
        it lies in.
    fsd50k_folder : str
        Holds FSD50K.dev_audio, FSD50K.eval_audio and FSD50K.ground_truth.
    musan_folder : str
        Holds noise/free-sound and noise/sound-bible.
    save_folder : str
        Where the tables are written, and copies of files of another sample
        rate, below audio/. Paths of files of LibriSpeech begin with
        $data_root, which stands for the data_folder.
    sample_rate : int
        Of all recordings, in Hz.
    users : sequence of str
        Speakers to personalize for.
    validation_speakers : int
        How many of the other speakers validate.
    user_seconds : float
        Least length of user_test and of user_valid, for each user.
    minimum_seconds : float
        Shorter files are left out.
    seed : int
        Of the divisions.
    skip_prep : bool
        Whether to write nothing.

    Returns
    -------
    paths : list of str
        The tables.
    """
    speech, noise = ("train", "valid", "users"), ("train", "valid", "test")
    names = [*speech, *(f"noise_{split}" for split in noise)]
    paths = [os.path.join(save_folder, f"{name}.csv") for name in names]
    if skip_prep:
        return paths
    corpus = descend(data_folder, "LibriSpeech")
    root = require_folder("data_folder", corpus, SUBSET)
    found = {name: [] for name in names}
    spoken = {}
    for path in list_audio(root):
        speaker = os.path.relpath(path, root).split(os.sep)[0]
        spoken.setdefault(speaker, []).append(path)
    for name, speakers in divide_speakers(
        spoken, [str(user) for user in users], validation_speakers, seed
    ).items():
        for speaker in speakers:
            for path in spoken[speaker]:
                inner = os.path.relpath(path, data_folder)
                row = {
                    "ID": os.path.splitext(
                        os.path.join("speech", os.path.relpath(path, corpus))
                    )[0],
                    "spk_id": speaker,
                    "source": f"LibriSpeech {SUBSET}",
                    "license": "CC BY 4.0",
                    "wav": f"$data_root/{inner}",
                    "path": path,
                }
                found[name].append(row)
    for split, row in [
        *list_fsd50k(fsd50k_folder),
        *list_musan(musan_folder, seed),
    ]:
        found[f"noise_{split}"].append(row)
    os.makedirs(save_folder, exist_ok=True)
    for name, path in zip(names, paths):
        rows = {row["ID"]: row for row in found[name]}
        rows = [
            row
            for row in rows.values()
            if measure(row, save_folder, sample_rate)
            and row["duration"] >= minimum_seconds
        ]
        if name == "users":
            rows = divide_users(rows, user_seconds, seed)
        if not rows:
            raise ValueError(f"no recording is left for {path}")
        write_table(path, rows)
    return paths


def descend(folder, name):
    """Give the folder of this name where a folder has one, else itself."""
    inner = os.path.join(folder, name)
    return inner if os.path.isdir(inner) else folder


def require_folder(argument, *parts):
    """Join a path; raise if there is no such folder."""
    folder = os.path.join(*parts)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{argument}: there is no folder {folder}")
    return folder


def list_audio(folder):
    """List the WAV and FLAC files below a folder."""
    return sorted(
        os.path.join(place, file)
        for place, _, files in os.walk(folder)
        for file in files
        if file.lower().endswith((".wav", ".flac"))
    )


def in_drawn_order(names, seed):
    """Put names into an order that is drawn; it does not depend on others."""
    return sorted(
        set(names),
        key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest(),
    )


def divide_speakers(spoken, users, validation_speakers, seed):
    """Give the speakers of train, valid and users."""
    strangers = [user for user in users if user not in spoken]
    if strangers:
        raise ValueError(
            f"users: {', '.join(strangers)} are no speakers of {SUBSET}"
        )
    others = in_drawn_order(spoken.keys() - set(users), seed)
    if validation_speakers >= len(others):
        raise ValueError(
            f"validation_speakers is {validation_speakers}; besides the "
            f"{len(users)} users there are {len(others)} speakers, and at "
            "least one must be left to train on"
        )
    return {
        "valid": sorted(others[:validation_speakers]),
        "train": sorted(others[validation_speakers:]),
        "users": users,
    }


def divide_users(rows, user_seconds, seed):
    """Divide the utterances of each user: test, validation, training."""
    by_user = {}
    for row in rows:
        by_user.setdefault(row["spk_id"], {})[row["ID"]] = row
    for user, utterances in by_user.items():
        lengths = {"user_test": 0.0, "user_valid": 0.0, "user_train": 0.0}
        for name in in_drawn_order(utterances, seed):
            split = next(
                (
                    split
                    for split in ("user_test", "user_valid")
                    if lengths[split] < user_seconds
                ),
                "user_train",
            )
            lengths[split] += utterances[name]["duration"]
            utterances[name]["split"] = split
        if not lengths["user_train"]:
            raise ValueError(
                f"users: speaker {user} has {sum(lengths.values()):.0f} s of "
                f"utterances; {user_seconds:g} s for the test and as many for "
                "validation leave none to train on. Make user_seconds smaller"
            )
    return rows


def list_fsd50k(folder):
    """List the clips of FSD50K without speech and music, with their splits."""
    splits = {"train": "train", "val": "valid"}
    for part in ("dev", "eval"):
        audio = require_folder("fsd50k_folder", folder, f"FSD50K.{part}_audio")
        table = os.path.join(folder, "FSD50K.ground_truth", f"{part}.csv")
        if not os.path.isfile(table):
            raise FileNotFoundError(f"fsd50k_folder: there is no {table}")
        with open(table, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                labels = row["labels"].lower()
                strange = os.path.basename(row["fname"]) != row["fname"]
                if strange or any(word in labels for word in DROPPED):
                    continue
                split = splits.get(row["split"]) if part == "dev" else "test"
                if split is None:
                    raise ValueError(
                        f"fsd50k_folder: in dev.csv the clip {row['fname']} "
                        f"has the split {row['split']!r}; it is train or val"
                    )
                yield (
                    split,
                    {
                        "ID": f"noise/fsd50k_{part}/{row['fname']}",
                        "label": row["labels"].partition(",")[0],
                        "source": "FSD50K",
                        "license": "Creative Commons, by clip",
                        "path": os.path.join(audio, f"{row['fname']}.wav"),
                    },
                )


def list_musan(folder, seed):
    """List the noises of MUSAN, with their splits."""
    folder = descend(folder, "musan")
    for collection in ("free-sound", "sound-bible"):
        place = require_folder("musan_folder", folder, "noise", collection)
        paths = {
            os.path.splitext(os.path.basename(path))[0]: path
            for path in list_audio(place)
        }
        order = in_drawn_order(paths, seed)
        valid = set(order[: max(1, round(0.1 * len(order)))])
        for name, path in paths.items():
            split = "valid" if name in valid else "train"
            yield (
                "test" if collection == "sound-bible" else split,
                {
                    "ID": f"noise/musan/{collection}/{name}",
                    "source": f"MUSAN {collection}",
                    "license": "free to use, see LICENSE of MUSAN",
                    "path": path,
                },
            )


def measure(row, save_folder, sample_rate):
    """Complete a row, and copy its file where that has another rate.

    Returns whether the file can be used; if not, that is logged.
    """
    source = row.pop("path")
    place = os.path.join("audio", f"{row['ID']}.wav")
    copy = os.path.join(save_folder, place)
    try:
        info = soundfile.info(source)
        if info.samplerate != sample_rate or "wav" not in row:
            if not os.path.isfile(copy):
                convert(source, copy, sample_rate)
            info = soundfile.info(copy)
            row["wav"] = place
    except (OSError, RuntimeError, ValueError) as error:
        logger.warning("%s is left out: %s", source, error)
        return False
    row["duration"] = info.frames / info.samplerate
    row["samples"], row["sample_rate"] = info.frames, info.samplerate
    return True


def convert(source, target, sample_rate):
    """Write a recording at another rate, as 16-bit WAV of one channel."""
    samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
    signal = torch.from_numpy(samples[:, 0])
    if not signal.any():
        raise ValueError("it is silent throughout")
    if rate != sample_rate:
        signal = Resample(rate, sample_rate)(signal[None])[0]
    os.makedirs(os.path.dirname(target), exist_ok=True)
    soundfile.write(
        target + ".partial",
        signal.clamp(-1, 1).numpy(),
        sample_rate,
        subtype="PCM_16",
        format="WAV",
    )
    os.replace(target + ".partial", target)


def write_table(path, rows):
    """Write a table in one step."""
    partial = path + ".partial"
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, path)
    logger.info("%s lists %d recordings", path, len(rows))
