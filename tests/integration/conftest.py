"""Small recordings of many speakers; commands are for slow tests."""

import os

import commands
import numpy as np
import pytest
import soundfile
from trees import voice

RATE = 8000


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    commands.marked_slow = item.get_closest_marker("slow") is not None


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """Twelve speakers and four noises: train and valid, each in a tree."""
    folder = tmp_path_factory.mktemp("recordings")
    generator = np.random.default_rng(0)
    rows = ["path,kind,split,speaker,sex"]
    for split in ("train", "valid", "test"):
        for number in range(8):
            speaker = f"{split}{number}"
            path = folder / split / speaker / "a.wav"
            path.parent.mkdir(parents=True)
            soundfile.write(path, voice(generator, 2.0, RATE), RATE)
            sex = "FM"[number % 2]
            rows.append(
                f"{path.relative_to(folder)},speech,{split},{speaker},{sex}"
            )
        for number in range(3):
            path = folder / split / f"noise{number}.wav"
            soundfile.write(path, 0.1 * generator.standard_normal(24000), RATE)
            rows.append(f"{path.relative_to(folder)},noise,{split},,")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Where corpora are prepared, by all workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "prepared"
    folder.mkdir(exist_ok=True)
    return folder
