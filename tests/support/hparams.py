"""Hyperparameter files, checked and built in this process."""

from hyperpyyaml import load_hyperpyyaml

from speechbrain_ext.services.configuration import check_hparams
from speechbrain_ext.services.options import read_yaml


def load_hparams(path, overrides=None, rules=None):
    """Build what a file names, with options as texts, values or YAML."""
    if isinstance(overrides, str):
        overrides = read_yaml(overrides)
    return load_hyperpyyaml(check_hparams(path, overrides or {}, rules).text)
