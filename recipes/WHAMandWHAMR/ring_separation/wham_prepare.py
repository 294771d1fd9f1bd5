"""Prepare the speech and the noise of WHAM! as tables of recordings.

The scripts of WHAM! write wav8k/min/{tr,cv,tt}/{s1,s2,noise}, and the same in
wav16k. The sources of its mixtures, which are utterances of WSJ0, are taken
one by one, and so are the noises: mixing is up to the recipe.

Source: G. Wichern et al., "WHAM!: Extending Speech Separation to Noisy
Environments", Interspeech 2019.
"""

import csv
import os
import re

import soundfile
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

SETS = ("tr", "cv", "tt")
COLUMNS = ("ID", "duration", "wav", "spk_id")


def prepare_wham(data_folder, save_folder, sample_rate=8000, skip_prep=False):
    """Write speech_SET.csv and noise_SET.csv for the sets tr, cv and tt.

    Arguments
    ---------
    data_folder : str
        Of WHAM!: holds wav8k/min or wav16k/min.
    save_folder : str
        Where the tables are written; paths in them begin with $data_root,
        which stands for the data_folder.
    sample_rate : int
        8000 or 16000, in Hz.
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
    rates = {8000: "wav8k", 16000: "wav16k"}
    if sample_rate not in rates:
        raise ValueError(
            f"sample_rate is {sample_rate}; WHAM! has 8000 and 16000 Hz"
        )
    place = os.path.join(rates[sample_rate], "min")
    os.makedirs(save_folder, exist_ok=True)
    tables = iter(paths)
    for folders in (("s1", "s2"), ("noise",)):
        for name in SETS:
            rows = []
            for folder in folders:
                inner = os.path.join(place, name, folder)
                rows += list_recordings(data_folder, inner)
            write_table(next(tables), rows)
    return paths


def list_recordings(data_folder, inner):
    """List the recordings of a folder of WHAM!, as rows of a table."""
    folder = os.path.join(data_folder, inner)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"data_folder: there is no {folder}; give the folder that the "
            "scripts of WHAM! wrote"
        )
    rows = []
    for file in sorted(os.listdir(folder)):
        stem, ending = os.path.splitext(file)
        if ending.lower() != ".wav":
            continue
        info = soundfile.info(os.path.join(folder, file))
        rows.append(
            {
                "ID": "/".join((os.path.basename(inner), stem)),
                "duration": info.frames / info.samplerate,
                "wav": "/".join(("$data_root", *inner.split(os.sep), file)),
                "spk_id": find_speaker(stem, os.path.basename(inner)),
            }
        )
    if not rows:
        raise ValueError(f"data_folder: {folder} holds no WAV file")
    return rows


def find_speaker(stem, folder):
    """Read the speaker of a source off the name of its mixture.

    It names the two utterances of WSJ0, each with its gain, such as
    401c020s_0.70616_01fo031c_-0.70616; they begin with their speakers.
    """
    names = re.findall(r"([0-9a-z]{8})_-?[0-9.]+", stem.lower())
    if folder == "noise" or len(names) != 2:
        return "" if folder == "noise" else stem
    return names[0 if folder == "s1" else 1][:3]


def write_table(path, rows):
    """Write a table in one step."""
    partial = path + ".partial"
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, path)
    logger.info("%s lists %d recordings", path, len(rows))
