"""Corpora: one ``prepare`` function each, all giving the same manifest."""

from speechbrain_ext.corpora import (
    folder,
    librispeech,
    mini,
    voxceleb,
    wham,
)

__all__ = ["folder", "librispeech", "mini", "voxceleb", "wham"]
