"""Give the files of a case to the package, by its public interfaces."""

import csv
import sys
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import torch

import speechbrain_ext.hub
from hostile.case import Place, Result
from speechbrain_ext.commands import program
from speechbrain_ext.corpora import decoding, download, folder
from speechbrain_ext.inference import Separator

RATE = 8000
torch.set_num_threads(1)  # threads do not survive a fork


def load_model(place: Place) -> Result:
    """Load a model folder, and make a separator of it if it holds one."""
    loaded = speechbrain_ext.hub.load_folder(place.given)
    if loaded.separator() is not None:
        Separator.from_hparams(place.given)
    return Result(True)


def unpack(place: Place) -> Result:
    """Unpack an archive that should hold the folder `corpus`."""
    archive = next(place.given.iterdir())
    download.unpack(archive, place.out / "corpus")
    return Result(True)


def decode(place: Place) -> Result:
    """Decode the one file of a case."""
    path = hostile_file(place)
    try:
        decoded = decoding.decode(path, sample_rate=RATE)
    except decoding.UnusableAudio as error:
        return Result(False, reasons=[str(error)])
    wave = decoded.waveform
    if wave.ndim != 1 or not np.isfinite(wave).all() or abs(wave).max() > 1:
        raise AssertionError("the waveform is not one")
    return Result(True)


def prepare(place: Place) -> Result:
    """Prepare a table, or a tree, that holds good recordings as well."""
    source = place.given / "table.csv"
    if not source.is_file():
        source = place.given
    folder.prepare(source, place.out, sample_rate=RATE)
    taken, skipped = read_prepared(place.out)
    good = sum("good" in Path(row["ID"]).parts for row in taken)
    lost = "" if good >= GOOD_FILES else f"{GOOD_FILES - good} good files"
    return Result(
        any("hostile" in row["ID"] for row in taken),
        lost,
        [row["reason"] for row in skipped],
    )


def read_prepared(out: Path) -> tuple[list[dict], list[dict]]:
    """Read what a preparation took, and what it skipped."""
    tables = []
    csv.field_size_limit(2**30)
    for name in ("manifest.csv", "skipped.csv"):
        rows = []
        if (out / name).is_file():
            with open(
                out / name, newline="", encoding="utf-8", errors="replace"
            ) as file:
                rows = list(csv.DictReader(file))
        tables.append(rows)
    return tables[0], tables[1]


def separate(place: Place) -> Result:
    """Run the command `separate` on a folder with good recordings as well."""
    status = 0
    try:
        program.main(
            ["separate", str(place.given)]
            + ["--model", str(place.root / "model")]
            + ["--out", str(place.out)]
        )
    except SystemExit as end:
        status = end.code or 0
    if isinstance(status, str):
        print(status, file=sys.stderr)
        status = 1
    done = {path.stem for path in place.out.rglob("*_source1.wav")}
    good = sum(f"{number}_source1" in done for number in range(GOOD_FILES))
    lost = "" if good >= GOOD_FILES else f"{GOOD_FILES - good} good files"
    if not lost and status not in (0, 2):
        lost = f"exit status {status}"
    return Result(len(done) > good, lost)


# What makers share -------------------------------------------------------

GOOD_FILES = 3


@cache
def good_sound() -> np.ndarray:
    """Make a second and a bit of tone and noise, PCM-16."""
    time = np.arange(round(1.2 * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    wave = 0.3 * np.sin(2 * np.pi * 330 * time) + 0.05 * noise
    return np.rint(32768 * wave).astype(np.int16)


def write_good(place: Place, below: str = "good") -> list[Path]:
    """Write good recordings."""
    paths = [place.given / below / f"{n}.wav" for n in range(GOOD_FILES)]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        wave = np.roll(good_sound(), 500 * number)
        soundfile.write(path, wave, RATE)
    return paths


def hostile_file(place: Place) -> bytes:
    """Find the file of a case that is not good; its name may be anything."""
    import os

    folder = os.fsencode(place.given / "hostile")
    return os.path.join(folder, sorted(os.listdir(folder))[0])


def warm_up(folder: Path) -> None:
    """Let the package import what it imports late, once for all cases."""
    from hostile.bases import copy_base

    place = Place(folder)
    for below in (place.given, place.out, place.outside):
        below.mkdir(parents=True)
    copy_base(place)
    load_model(place)
