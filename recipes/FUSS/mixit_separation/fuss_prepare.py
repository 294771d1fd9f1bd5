"""Prepare the mixtures of FUSS and their sources as tables.

FUSS_ssdata.tar.gz and FUSS_ssdata_reverb.tar.gz of
https://zenodo.org/records/3743844 unpack to lists of mixtures, each with its
background and up to three foregrounds, and to the audio beside them:
train/example00000.wav, train/example00000_sources/background0_sound.wav,
foreground0_sound.wav and so on.

Source: S. Wisdom et al., "What's all the FUSS about free universal sound
separation data?", ICASSP 2021, arXiv 2011.00803.
"""

import csv
import os

import soundfile
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

SETS = {"train": "train", "valid": "validation", "test": "eval"}
FOLDERS = {"dry": "ssdata", "reverb": "ssdata_reverb"}
KINDS = {"background": "noise", "foreground": "event"}
SAMPLE_RATE = 16000
MOST_SOURCES = 4
COLUMNS = (
    *("ID", "duration", "wav", "samples", "sample_rate", "kind", "spk_id"),
    *("source", "license"),
)


def prepare_fuss(
    data_folder,
    save_folder,
    sample_rate=SAMPLE_RATE,
    condition="dry",
    skip_prep=False,
):
    """Write train.csv, valid.csv and test.csv.

    A mixture is a row of the kind mixture; its background is a noise, its
    foregrounds are events. The references of mixture/NAME are all rows
    KIND/NAME/... A mixture is left out if a file of it cannot be used.

    Arguments
    ---------
    data_folder : str
        Holds ssdata or ssdata_reverb.
    save_folder : str
        Where the tables are written; paths in them begin with $data_root,
        which stands for the data_folder.
    sample_rate : int
        16000, in Hz.
    condition : str
        dry (ssdata) or reverb (ssdata_reverb).
    skip_prep : bool
        Whether to write nothing.

    Returns
    -------
    paths : list of str
        The tables.

    Example
    -------
    >>> prepare_fuss("/data/FUSS", "/results", skip_prep=True)[0]
    '/results/train.csv'
    """
    paths = [os.path.join(save_folder, f"{name}.csv") for name in SETS]
    if skip_prep:
        return paths
    if sample_rate != SAMPLE_RATE:
        raise ValueError(
            f"sample_rate is {sample_rate}; FUSS has {SAMPLE_RATE} Hz"
        )
    root = os.path.join(data_folder, FOLDERS[condition])
    if not os.path.isdir(root):
        raise FileNotFoundError(
            f"data_folder: there is no folder {root}; unpack "
            f"FUSS_{FOLDERS[condition]}.tar.gz of zenodo.org/records/3743844 "
            f"in {data_folder}"
        )
    os.makedirs(save_folder, exist_ok=True)
    for path, name in zip(paths, SETS.values()):
        rows, skipped = [], 0
        for number, files in read_list(root, name):
            try:
                rows += describe(root, FOLDERS[condition], files)
            except (ValueError, OSError) as error:
                skipped += 1
                logger.warning("%s, line %d: %s", name, number, error)
        if not rows:
            raise ValueError(f"data_folder: no mixture of {name} is usable")
        write_table(path, sorted(rows, key=lambda row: row["ID"]))
        if skipped:
            logger.warning("%s: %d mixtures are left out", name, skipped)
    return paths


def read_list(root, name):
    """Yield line number and {ID: file} of the mixtures of a list."""
    path = os.path.join(root, f"{name}_example_list.txt")
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"data_folder: there is no list {path}; is the archive unpacked "
            "whole?"
        )
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        mixture, *sources = line.split("\t")
        if not 1 <= len(set(sources)) == len(sources) <= MOST_SOURCES:
            raise ValueError(
                f"{path}, line {number}: {len(sources)} sources, separated by "
                f"tabs from the mixture; there must be 1 to {MOST_SOURCES}, "
                "none of them twice"
            )
        stem = os.path.splitext(os.path.basename(mixture))[0]
        files = {f"mixture/{name}/{stem}": mixture}
        for source in sources:
            inner = os.path.splitext(os.path.basename(source))[0]
            kind = KINDS.get(inner[:10])
            if kind is None:
                raise ValueError(
                    f"{path}, line {number}: {source} is named neither "
                    "background... nor foreground...; is this a list of FUSS?"
                )
            inner = inner.replace("_sound", "")
            files[f"{kind}/{name}/{stem}/{inner}"] = source
        yield number, files


def describe(root, folder, files):
    """Describe a mixture and its sources, which must have one length."""
    rows = []
    for identity, file in files.items():
        path = os.path.join(root, file)
        if not os.path.isfile(path):
            raise FileNotFoundError(f"there is no {path}")
        info = soundfile.info(path)
        if info.samplerate != SAMPLE_RATE or info.channels != 1:
            raise ValueError(
                f"{path} has {info.channels} channels at {info.samplerate} "
                f"Hz; FUSS has one at {SAMPLE_RATE} Hz"
            )
        if not info.frames or rows and info.frames != rows[0]["samples"]:
            raise ValueError(
                f"{path} has {info.frames} samples, another number than its "
                "mixture, or none: is it cut?"
            )
        rows.append(
            {
                "ID": identity,
                "duration": info.frames / SAMPLE_RATE,
                "wav": "/".join(("$data_root", folder, file)),
                "samples": info.frames,
                "sample_rate": SAMPLE_RATE,
                "kind": identity.split("/")[0],
                "spk_id": "",
                "source": f"FUSS {folder}",
                "license": "CC BY 4.0",
            }
        )
    return rows


def write_table(path, rows):
    """Write a table in one step."""
    partial = path + ".partial"
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, path)
    logger.info("%s lists %d recordings", path, len(rows))
