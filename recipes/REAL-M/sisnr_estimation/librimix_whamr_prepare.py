"""Prepare the sources and the noise of LibriMix and WHAMR! as tables.

The scripts of both corpora write mixtures, their sources and their noise to
wav8k/min/SET and wav16k/min/SET. The sources are taken one by one, each
utterance once, and so are the noises: mixing is up to the recipe.

Sources: J. Cosentino et al., "LibriMix: An open-source dataset for
generalizable speech separation", arXiv 2005.11262; M. Maciejewski et al.,
"WHAMR!: Noisy and reverberant single-channel speech separation", ICASSP 2020.
"""

import csv
import os
import re

import soundfile
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

RATES = {8000: "wav8k", 16000: "wav16k"}
COLUMNS = ("ID", "duration", "wav", "spk_id")
# names of mixtures: utterance and speaker of the first and the second source
LIBRIMIX = re.compile(r"((\d+)-\d+-\d+)_((\d+)-\d+-\d+)")
WHAMR = re.compile(r"((\w{3})\w{5})_-?[\d.]+_((\w{3})\w{5})_-?[\d.]+")


def prepare_librimix(
    data_folder,
    save_folder,
    sample_rate=8000,
    skip_prep=False,
    sets=("train-360", "dev", "test"),
):
    """Write librimix_SET.csv and librimix_noise_SET.csv.

    Arguments
    ---------
    data_folder : str
        Libri2Mix: holds wav8k/min or wav16k/min; or the folder that holds
        Libri2Mix.
    save_folder : str
        Where the tables are written; paths in them begin with $data_root,
        which stands for the data_folder.
    sample_rate : int
        8000 or 16000, in Hz.
    skip_prep : bool
        Whether to write nothing.
    sets : sequence of str
        Folders of training, validation and test.

    Returns
    -------
    paths : list of str
        The tables.
    """
    inner = "Libri2Mix"
    if not os.path.isdir(os.path.join(data_folder, inner)):
        inner = ""
    return write_tables(
        data_folder,
        save_folder,
        name="librimix",
        inner=inner,
        sets=sets,
        sources=("s1", "s2"),
        pattern=LIBRIMIX,
        sample_rate=sample_rate,
        skip_prep=skip_prep,
    )


def prepare_whamr(
    data_folder,
    save_folder,
    sample_rate=8000,
    skip_prep=False,
    condition="anechoic",
):
    """Write whamr_SET.csv and whamr_noise_SET.csv for the sets tr, cv, tt.

    Arguments
    ---------
    data_folder : str
        Of WHAMR!: holds wav8k/min or wav16k/min.
    save_folder, sample_rate, skip_prep
        As for `prepare_librimix`.
    condition : str
        anechoic or reverb: which of the sources are taken.

    Returns
    -------
    paths : list of str
        The tables.
    """
    return write_tables(
        data_folder,
        save_folder,
        name="whamr",
        inner="",
        sets=("tr", "cv", "tt"),
        sources=(f"s1_{condition}", f"s2_{condition}"),
        pattern=WHAMR,
        sample_rate=sample_rate,
        skip_prep=skip_prep,
    )


def write_tables(
    data_folder,
    save_folder,
    *,
    name,
    inner,
    sets,
    sources,
    pattern,
    sample_rate,
    skip_prep,
):
    """Write a table of speech and one of noise for every set.

    Arguments
    ---------
    data_folder, save_folder, sample_rate, skip_prep
        See `prepare_librimix`.
    name : str
        The tables begin with it.
    inner : str
        Folder below the data_folder, or nothing.
    sets, sources : sequence of str
        Folders below wav8k/min, and folders of the sources in each of them.
    pattern : re.Pattern
        Of the names of mixtures; its groups are utterance and speaker of the
        first source, then of the second.

    Returns
    -------
    paths : list of str
        The tables.
    """
    paths = []
    for folder in sets:
        tables = [
            os.path.join(save_folder, f"{name}_{kind}{folder}.csv")
            for kind in ("", "noise_")
        ]
        paths += tables
        if skip_prep:
            continue
        if sample_rate not in RATES:
            raise ValueError(
                f"sample_rate is {sample_rate}; {name} has 8000 and 16000 Hz"
            )
        place = os.path.join(inner, RATES[sample_rate], "min", folder)
        speech, noise = {}, {}
        for number, source in enumerate(sources):
            for stem, file in list_files(data_folder, place, source):
                found = pattern.fullmatch(stem)
                if found is None:
                    logger.warning(
                        "%s is left out: no mixture of %s is named so",
                        file,
                        name,
                    )
                    continue
                utterance, speaker = found.groups()[2 * number :][:2]
                speech.setdefault(utterance, (file, speaker))
        if not speech:
            raise ValueError(
                f"data_folder: no file of {os.path.join(data_folder, place)} "
                f"is named like a mixture of {name}; is it another corpus?"
            )
        for stem, file in list_files(data_folder, place, "noise"):
            noise[stem] = (file, "")
        os.makedirs(save_folder, exist_ok=True)
        for path, rows in zip(tables, (speech, noise), strict=True):
            write_table(path, rows, data_folder)
    return paths


def list_files(data_folder, place, source):
    """List the WAV files of a folder, by their names without the ending."""
    folder = os.path.join(data_folder, place, source)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"data_folder: there is no {folder}; give the folder that the "
            "scripts of the corpus wrote"
        )
    for file in sorted(os.listdir(folder)):
        stem, ending = os.path.splitext(file)
        if ending.lower() == ".wav":
            yield stem, "/".join((*place.split(os.sep), source, file))


def write_table(path, rows, data_folder):
    """Write a table in one step."""
    partial = path + ".partial"
    with open(partial, "w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, COLUMNS)
        writer.writeheader()
        for name, (file, speaker) in rows.items():
            info = soundfile.info(os.path.join(data_folder, file))
            writer.writerow(
                {
                    "ID": name,
                    "duration": info.frames / info.samplerate,
                    "wav": f"$data_root/{file}",
                    "spk_id": speaker,
                }
            )
    os.replace(partial, path)
    logger.info("%s lists %d recordings", path, len(rows))
