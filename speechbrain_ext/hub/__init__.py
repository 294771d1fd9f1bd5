"""The hub: publishing models, and loading them without running what they say.

`load_folder` reads a folder or repository in SpeechBrain's layout,
`build_release` makes such a folder, `publish` puts it on the hub and checks
what arrives there.
"""

from speechbrain_ext.hub.card import Card, Metric
from speechbrain_ext.hub.loading import LoadedFolder, load_folder
from speechbrain_ext.hub.publishing import Published, publish
from speechbrain_ext.hub.refusal import Limits, RefusedError
from speechbrain_ext.hub.release import build_release, release_files
from speechbrain_ext.hub.retry import PublishError
from speechbrain_ext.hub.uploading import upload

__all__ = [
    "Card",
    "Limits",
    "LoadedFolder",
    "Metric",
    "PublishError",
    "Published",
    "RefusedError",
    "build_release",
    "load_folder",
    "publish",
    "release_files",
    "upload",
]
