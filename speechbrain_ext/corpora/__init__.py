"""Corpora: one ``prepare`` function each, all giving the same manifest."""

from speechbrain_ext.corpora import (
    folder,
    librimix,
    librispeech,
    mini,
    realm,
    voxceleb,
    wham,
    whamr,
)

__all__ = [
    "folder",
    "librimix",
    "librispeech",
    "mini",
    "realm",
    "voxceleb",
    "wham",
    "whamr",
]
