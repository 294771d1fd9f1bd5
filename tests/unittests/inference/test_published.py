"""SpeechBrain's way to load a separator gives the same one as ours."""

import torch
from hub_folders import LAYOUTS, write_folder

from speechbrain_ext.hub.separators import load_separator
from speechbrain_ext.inference import published


def test_both_ways_give_the_same_separator(tmp_path):
    write_folder(tmp_path / "one", *LAYOUTS["conv_tasnet"])
    mixture = torch.randn(2, 1600)
    ours, theirs = (
        load("one", folder=str(tmp_path), sample_rate=8000).eval()(mixture)
        for load in (load_separator, published.load_separator)
    )
    assert torch.equal(ours, theirs)
