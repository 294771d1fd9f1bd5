"""Mixtures of a manifest whose references are in it too.

Ids tell what belongs together: the references of ``mixture/NAME`` are all
recordings ``KIND/NAME/...`` of other kinds.
"""

import os
from collections import defaultdict
from typing import NamedTuple

import torch

from speechbrain_ext.dataio.recordings import Recording, read_recordings
from speechbrain_ext.dataio.whole_recordings import read_whole


class ReferencedMixture(NamedTuple):
    """A mixture and the sources that it is the sum of.

    Arguments
    ---------
    mixture : Recording
        As it was recorded or made.
    references : tuple of Recording
        In the order of their names; some may be silent. None where only
        the mixture is known.
    """

    mixture: Recording
    references: tuple[Recording, ...]


def find_references(
    manifest: str | os.PathLike,
    *,
    split: str | None = None,
    root: str | os.PathLike | None = None,
    required: bool = True,
) -> list[ReferencedMixture]:
    r"""Find the mixtures of a split, each with its references.

    Arguments
    ---------
    manifest : str or PathLike
        What a corpus's `prepare` wrote.
    split : str, optional
        Of the mixtures; None takes all.
    root : str or PathLike, optional
        What ``$data_root`` in the table stands for.
    required : bool
        Whether a mixture without references is an error.

    Returns
    -------
    mixtures : list of ReferencedMixture
        In the order of their ids.

    Raises
    ------
    FileNotFoundError
        If there is no manifest.
    ValueError
        If it has no mixtures of the split, or one without references that
        are required.

    Example
    -------
    >>> path = getfixture("tmp_path") / "test.csv"
    >>> ids = ["mixture/a", "event/a/dog", "noise/a/rain", "noise/b/sea"]
    >>> rows = [f"{i},{i}.wav,8,8000,{i.split('/')[0]}" for i in ids]
    >>> header = "ID,wav,samples,sample_rate,kind"
    >>> _ = path.write_text("\n".join([header, *rows]))
    >>> (found,) = find_references(path)
    >>> [recording.id for recording in found.references]
    ['event/a/dog', 'noise/a/rain']
    """
    groups, mixtures = defaultdict(list), []
    for recording in read_recordings(manifest, split=split, root=root):
        name = recording.id.partition("/")[2] or recording.id
        if recording.kind in ("", "mixture"):
            mixtures.append((name, recording))
        else:
            groups[name.rpartition("/")[0]].append(recording)
    if not mixtures:
        raise ValueError(
            f"{manifest} has no mixtures{f' of {split}' if split else ''}"
        )
    for name, mixture in mixtures:
        if required and name not in groups:
            raise ValueError(
                f"{manifest}: {mixture.id} has no references; they would be "
                f"called KIND/{name}/..."
            )
    return [
        ReferencedMixture(
            mixture,
            tuple(sorted(groups[name], key=lambda r: r.id.partition("/")[2])),
        )
        for name, mixture in mixtures
    ]


def read_references(
    found: ReferencedMixture, *, sources: int | None = None
) -> torch.Tensor:
    """Read the references of a mixture.

    Their sum is the mixture, without the rounding of the mixture's file.

    Arguments
    ---------
    found : ReferencedMixture
        From `find_references`.
    sources : int, optional
        Silent references are added up to this number.

    Returns
    -------
    references : torch.Tensor
        Shape (sources, time), float32.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file cannot be read or is not what the manifest says, a
        reference has another length than the mixture, or there are more than
        `sources`.

    Example
    -------
    >>> import numpy, soundfile
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, numpy.full(9, 0.5), 8000)
    >>> event = Recording("event/a/x", path, 9, 8000, "event", "test")
    >>> mixture = Recording("mixture/a", path, 9, 8000, "mixture", "test")
    >>> found = ReferencedMixture(mixture, (event,))
    >>> read_references(found, sources=2).sum(dim=1)
    tensor([4.5000, 0.0000])
    """
    count = len(found.references)
    if sources is None:
        sources = count
    if count > sources:
        raise ValueError(
            f"{found.mixture.id} has {count} references; sources is {sources}, "
            "which must be at least as many"
        )
    samples = found.mixture.samples
    references = torch.zeros(sources, samples)
    for row, recording in zip(references, found.references, strict=False):
        if recording.samples != samples:
            raise ValueError(
                f"{recording.id} has {recording.samples} samples, its mixture "
                f"{samples}; they must be of one length"
            )
        row.copy_(torch.from_numpy(read_whole(recording)))
    return references
