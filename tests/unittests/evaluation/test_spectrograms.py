import math

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread

from speechbrain_ext.evaluation import spectrogram_grid

RATE = 8000


@pytest.fixture
def tones():
    """A tone of 1 kHz and one of 3 kHz, half a second."""
    time = torch.arange(RATE // 2) / RATE
    return torch.stack(
        [torch.sin(2 * math.pi * f * time) for f in (1000, 3000)]
    )


@pytest.fixture
def panels(monkeypatch):
    """Collect the panels of the figure that is written, by title."""
    found = {}
    savefig = Figure.savefig

    def save(figure, *arguments, **options):
        for axes in figure.axes:
            if axes.images:
                found[axes.get_title(loc="left")] = axes.images[0]
        return savefig(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", save)
    return found


def test_tones_stand_where_they_belong(tmp_path, tones, panels):
    path = spectrogram_grid(
        tmp_path / "grid.png",
        mixture=tones.sum(0),
        estimates=1e-4 * tones,
        references=tones.flip(0),
        sample_rate=RATE,
        titles=["low", "high"],
    )
    assert imread(path)[..., :3].std() > 0.1
    assert list(panels) == [
        "mixture",
        "low: estimate",
        "high: estimate",
        "low: reference",
        "high: reference",
    ]
    for title, kilohertz in (("low: estimate", 1), ("low: reference", 3)):
        image = panels[title]
        assert image.get_extent() == [0, 0.5, 0, 4]
        levels = image.get_array()
        middle = levels[:, levels.shape[1] // 2]
        assert middle.argmax() / (len(middle) - 1) * 4 == kilohertz
        # each panel is relative to its own maximum
        assert levels.max() == 0 and levels.min() == -70


def test_silent_short_and_non_finite_signals_are_drawn(tmp_path, tones, panels):
    estimates = torch.zeros(3, 50)
    estimates[1] = 1e-3
    estimates[2, 4] = torch.nan
    spectrogram_grid(
        tmp_path / "grid.png",
        mixture=tones[0, :50],
        estimates=estimates,
        sample_rate=RATE,
    )
    assert list(panels)[1:] == [f"source {k}: estimate" for k in (1, 2, 3)]
    assert (panels["source 1: estimate"].get_array() == -70).all()
    assert panels["source 2: estimate"].get_array().max() == 0
    assert (panels["source 3: estimate"].get_array() == -70).all()


def test_counts_that_do_not_match(tmp_path, tones):
    common = {"mixture": tones[0], "estimates": tones, "sample_rate": RATE}
    with pytest.raises(ValueError, match="1 titles for 2 estimates"):
        spectrogram_grid(tmp_path / "a.png", titles=["a"], **common)
    with pytest.raises(ValueError, match=r"references \(1, 4000\)"):
        spectrogram_grid(tmp_path / "a.png", references=tones[:1], **common)
