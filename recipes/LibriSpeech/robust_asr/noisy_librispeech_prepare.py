"""Prepare LibriSpeech and a folder of noise as tables of recordings.

The utterances are those of subsets of LibriSpeech, with their texts. Noise may
be any folder of WAV or FLAC files at the rate of LibriSpeech, 16 kHz, such as
the folder `noise` of MUSAN. If it has the folders train, valid and test they
are taken; otherwise its files are divided.

Download: http://www.openslr.org/12 (LibriSpeech), 17 (MUSAN)
"""

import csv
import os
import random

import soundfile
from speechbrain.utils.data_utils import get_all_files
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

SETS = ("train", "valid", "test")
SAMPLE_RATE = 16000
COLUMNS = ("ID", "duration", "wav", "spk_id", "wrd")


def prepare_noisy_librispeech(
    data_folder,
    noise_folder,
    save_folder,
    train_subsets=("train-clean-100", "train-clean-360", "train-other-500"),
    valid_subsets=("dev-clean",),
    test_subsets=("test-clean",),
    held_out_ratio=0.1,
    seed=0,
    skip_prep=False,
):
    """Write speech_SET.csv and noise_SET.csv for the sets train, valid, test.

    Arguments
    ---------
    data_folder : str
        The folder `LibriSpeech`, which holds the subsets.
    noise_folder : str
        Of noise recordings.
    save_folder : str
        Where the tables are written. Paths in them begin with $data_root and
        $noise_folder, which stand for the two folders.
    train_subsets, valid_subsets, test_subsets : list
        Subsets of LibriSpeech.
    held_out_ratio : float
        Of the noises for validation, and as many for the test, where the
        noise has no folders train, valid and test.
    seed : int
        Of the division of the noises.
    skip_prep : bool
        Whether to write nothing.

    Returns
    -------
    paths : list of str
        The tables.
    """
    paths = [
        os.path.join(save_folder, f"{kind}_{name}.csv")
        for kind in ("speech", "noise")
        for name in SETS
    ]
    if skip_prep:
        return paths
    os.makedirs(save_folder, exist_ok=True)
    tables = iter(paths)
    for subsets in (train_subsets, valid_subsets, test_subsets):
        rows = []
        for subset in subsets:
            rows += list_utterances(data_folder, subset)
        write_table(next(tables), rows)
    for files in divide_noises(noise_folder, held_out_ratio, seed):
        rows = [describe(path, noise_folder, "$noise_folder") for path in files]
        write_table(next(tables), rows)
    return paths


def list_utterances(data_folder, subset):
    """List the utterances of a subset with their texts, as rows of a table."""
    folder = os.path.join(data_folder, subset)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"data_folder: there is no {folder}; give the folder LibriSpeech, "
            "with this subset in it"
        )
    texts = {}
    for path in get_all_files(folder, match_and=[".trans.txt"]):
        with open(path, encoding="utf-8") as file:
            for line in file:
                utterance, _, text = line.strip().partition(" ")
                texts[utterance] = text
    rows = []
    for path in sorted(get_all_files(folder, match_and=[".flac"])):
        row = describe(path, data_folder, "$data_root")
        name = os.path.splitext(os.path.basename(path))[0]
        row["spk_id"] = name.split("-")[0]
        row["wrd"] = texts.get(name, "")
        rows.append(row)
    return rows


def divide_noises(noise_folder, held_out_ratio, seed):
    """Divide the noises into three lists of files: train, valid and test."""
    if not os.path.isdir(noise_folder):
        raise FileNotFoundError(
            f"noise_folder: there is no folder {noise_folder}"
        )
    folders = [os.path.join(noise_folder, name) for name in SETS]
    if all(map(os.path.isdir, folders)):
        lists = [list_audio(folder) for folder in folders]
    else:
        files = list_audio(noise_folder)
        random.Random(seed).shuffle(files)
        number = max(1, round(held_out_ratio * len(files)))
        lists = [
            sorted(files[2 * number :]),
            sorted(files[:number]),
            sorted(files[number : 2 * number]),
        ]
    if not all(lists):
        raise ValueError(
            f"noise_folder: {noise_folder} has too few WAV or FLAC files; "
            "train, valid and test need one each"
        )
    return lists


def list_audio(folder):
    """List the audio files of a folder and those below it, sorted."""
    return sorted(get_all_files(folder, match_or=[".wav", ".flac"]))


def describe(path, root, variable):
    """Describe a recording as a row of a table; its path begins with a name."""
    info = soundfile.info(path)
    if info.samplerate != SAMPLE_RATE:
        raise ValueError(
            f"{path} has {info.samplerate} Hz; it must have {SAMPLE_RATE}: "
            "convert it first"
        )
    inner = os.path.relpath(path, root).replace(os.sep, "/")
    return {
        "ID": os.path.splitext(inner)[0],
        "duration": info.frames / info.samplerate,
        "wav": f"{variable}/{inner}",
        "spk_id": "",
        "wrd": "",
    }


def write_table(path, rows):
    """Write a table in one step."""
    partial = path + ".partial"
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, path)
    logger.info("%s lists %d recordings", path, len(rows))
