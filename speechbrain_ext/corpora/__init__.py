"""Corpora: one ``prepare`` function each, all giving the same manifest."""

from speechbrain_ext.corpora import (
    folder,
    fuss,
    librimix,
    librispeech,
    mini,
    mixtures,
    realm,
    user,
    voxceleb,
    wham,
    whamr,
)

__all__ = [
    "folder",
    "fuss",
    "librimix",
    "librispeech",
    "mini",
    "mixtures",
    "realm",
    "user",
    "voxceleb",
    "wham",
    "whamr",
]
