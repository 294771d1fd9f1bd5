"""Corpora: one ``prepare`` function each, all giving the same manifest."""

from speechbrain_ext.corpora import (
    folder,
    fsd50k,
    fuss,
    librispeech,
    librispeech_users,
    mini,
    mixtures,
    musan,
    realm,
    user,
    voxceleb,
)

__all__ = [
    "folder",
    "fsd50k",
    "fuss",
    "librispeech",
    "librispeech_users",
    "mini",
    "mixtures",
    "musan",
    "realm",
    "user",
    "voxceleb",
]
