"""Recordings and models for the commands."""

import numpy as np
import pytest
import soundfile
from estimator_folders import write_estimator
from hub_folders import write_folder

from speechbrain_ext.hub import Card, build_release
from speechbrain_ext.models import SpectralGRU

RATE = 8000
ENHANCER = """
sample_rate: 8000
separator: !new:speechbrain_ext.models.SpectralGRU
    hidden: 4
    layers: 2
modules: {separator: !ref <separator>}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables: {separator: !ref <separator>}
"""
SAYS = dict.fromkeys(
    ["name", "summary", "data", "command", "usage", "limits", "citation"], "x"
)


@pytest.fixture
def say():
    """Write a recording: tones that begin at a pitch of their own."""

    def write(path, pitch=300, seconds=1.0, rate=RATE, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(int(seconds * rate)) / rate
        tones = 0.2 * np.sin(2 * np.pi * pitch * time * (1 + time))
        file = str(path).encode("utf-8", "surrogateescape")
        soundfile.write(file, tones, rate, format=options.get("format"))
        return path

    return write


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with a separator of two sources, an enhancer, an estimator."""
    root = tmp_path_factory.mktemp("models")
    write_folder(root / "separator")
    write_estimator(root / "estimator")
    build_release(
        root / "enhancer",
        hyperparams=ENHANCER,
        modules={"separator": SpectralGRU(hidden=4)},
        card=Card(license="mit", **SAYS),
    )
    return root
