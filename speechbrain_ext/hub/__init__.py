"""The hub: publishing models, and loading them without running what they say.

`load_folder` reads a folder or repository in SpeechBrain's layout,
`inference_hyperparams` and `build_release` make such a folder of a training
run, `publish` puts it on the hub and checks what arrives there;
`fetch_prefixed` brings one of several separators of a repository.
"""

from speechbrain_ext.hub.card import (
    Card,
    Metric,
    publish_command,
    training_command,
)
from speechbrain_ext.hub.download import fetch_prefixed
from speechbrain_ext.hub.folder import RELEASE, find_release
from speechbrain_ext.hub.inference_file import inference_hyperparams
from speechbrain_ext.hub.loading import LoadedFolder, load_folder
from speechbrain_ext.hub.publishing import publish
from speechbrain_ext.hub.refusal import Limits, RefusedError
from speechbrain_ext.hub.release import build_release
from speechbrain_ext.hub.retry import PublishError

__all__ = [
    "Card",
    "RELEASE",
    "Limits",
    "LoadedFolder",
    "Metric",
    "PublishError",
    "RefusedError",
    "build_release",
    "fetch_prefixed",
    "find_release",
    "inference_hyperparams",
    "load_folder",
    "publish",
    "publish_command",
    "training_command",
]
