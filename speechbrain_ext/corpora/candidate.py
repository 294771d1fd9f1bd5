"""What a corpus offers: files that may become recordings of a manifest."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Bytes of a part of an id: with an ending it is still a file name.
LONGEST_PART = 200
LONGEST_ID = 2000


@dataclass(frozen=True)
class Candidate:
    """An audio file that may become a recording of a manifest.

    Arguments
    ---------
    source_path : str
        The file, in any format and at any rate; where the sound is made, all
        that it follows from.
    id : str
        Unique name; may hold slashes. A converted file is audio/<id>.wav.
        What would not be safe in a path is changed, see `safe_id`.
    kind, split, speaker, sex, label, text, source, license : str
        As in ``speechbrain_ext.dataio.manifest``.
    seconds : float
        Length the file must have at least, give or take a tenth of a second
        and 1 %; 0 where that is not known.
    channel : int, optional
        The channel to keep, from 0; by default the mean of all.
    make : Callable, optional
        Gives the waveform at the rate that is prepared, float, where a sound
        is made by code and not read.

    Example
    -------
    >>> Candidate("/data/s1/a.flac", "s1/a", "speech", "train", "s1").sex
    ''
    """

    source_path: str
    id: str
    kind: str
    split: str
    speaker: str = ""
    sex: str = ""
    label: str = ""
    text: str = ""
    source: str = ""
    license: str = ""
    seconds: float = 0.0
    channel: int | None = None
    make: Callable[[], np.ndarray] | None = None

    def __post_init__(self):
        object.__setattr__(self, "id", safe_id(self.id))


def safe_id(text: str) -> str:
    """Make an id whose parts can be folders and a file, wherever they lie.

    Arguments
    ---------
    text : str
        Names of strangers, parted by slashes.

    Returns
    -------
    identity : str
        Relative, without ``..``, drives, backslashes and characters that
        cannot be printed, and with parts of a bounded length. A part that
        had to be changed ends in a hash of what it was.

    Example
    -------
    >>> safe_id("//data/../ann/talk 1"), safe_id("C:/a")
    ('data/ann/talk 1', 'C_-82179da1/a')
    """
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    identity = "/".join(map(_safe_part, parts)) or "unnamed"
    if len(identity.encode()) > LONGEST_ID:
        identity = f"{parts[0][:20]}-{name_hash(text)}"
    return identity


def _safe_part(part: str) -> str:
    """Make one part of an id safe."""
    safe = part
    if not part.isprintable() or "\\" in part:
        safe = "".join(
            character if character.isprintable() and character != "\\" else "_"
            for character in part
        )
    if re.fullmatch("[A-Za-z]:", safe):
        safe = f"{safe[0]}_"
    if len(safe.encode()) > LONGEST_PART:
        safe = safe.encode()[: LONGEST_PART - 9].decode(errors="ignore")
    return safe if safe == part else f"{safe}-{name_hash(part)}"


def name_hash(text: str) -> str:
    """Shorten a name to eight hexadecimal digits, whatever is in it."""
    data = text.encode(errors="surrogatepass")
    return hashlib.sha256(data).hexdigest()[:8]
