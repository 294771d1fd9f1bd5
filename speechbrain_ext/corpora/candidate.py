"""What a corpus offers: files that may become recordings of a manifest."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """An audio file that may become a recording of a manifest.

    Arguments
    ---------
    source_path : str
        The file, in any format and at any rate.
    id : str
        Unique name; may hold slashes. A converted file is audio/<id>.wav.
    kind, split, speaker, sex, label, text, source, licence : str
        As in ``speechbrain_ext.dataio.manifest``.
    seconds : float
        Length the file must have at least, give or take a tenth of a second
        and 1 %; 0 where that is not known.
    channel : int, optional
        The channel to keep, from 0; by default the mean of all.
    may_be_silent : bool
        Whether the file is usable if it is silent, as the reference of a
        source that says nothing in its mixture.
    together : str
        Name shared by files that are of use only together, such as a mixture
        and its references: if one is skipped, all are. Empty for none.

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
    licence: str = ""
    seconds: float = 0.0
    channel: int | None = None
    may_be_silent: bool = False
    together: str = ""
