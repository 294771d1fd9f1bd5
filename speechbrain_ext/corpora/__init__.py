"""Corpora: one ``prepare`` function each, all giving the same manifest."""

from speechbrain_ext.corpora import (
    folder,
    fuss,
    librispeech,
    mini,
    mixtures,
    realm,
    user,
    voxceleb,
)

__all__ = [
    "folder",
    "fuss",
    "librispeech",
    "mini",
    "mixtures",
    "realm",
    "user",
    "voxceleb",
]
