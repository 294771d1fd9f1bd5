"""Corpora of mixtures: their separate sources, each utterance once."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate, convert_all
from speechbrain_ext.corpora.splits import warn_of_shared_speakers
from speechbrain_ext.corpora.tree import list_audio

RATES = {8000: "wav8k", 16000: "wav16k"}


def prepare_sources(
    root: Path,
    folder: str | os.PathLike,
    splits: Mapping[str, str],
    folders: Sequence[str],
    utterances: Callable[[str], Sequence[tuple[str, str]]],
    *,
    sample_rate: int,
    version: str,
    minimum_seconds: float,
    argument: str,
    source: str,
    licence: str,
) -> Path:
    """Make the manifest of the sources of mixtures.

    Arguments
    ---------
    root : Path
        Holds ``wav8k/VERSION`` or ``wav16k/VERSION``, with the splits.
    folder : str or PathLike
        Where to write.
    splits, folders, utterances, argument, source, licence
        See `find_sources`.
    sample_rate : int
        8000 or 16000, in Hz.
    version : str
        min or max.
    minimum_seconds : float
        Shorter files are skipped.

    Returns
    -------
    path : Path
        The manifest.

    Raises
    ------
    FileNotFoundError
        If a folder is not there.
    ValueError
        If the rate is another, or nothing is usable.
    """
    if sample_rate not in RATES:
        raise ValueError(
            f"sample_rate={sample_rate}; {source} is made at 8000 and 16000 Hz"
        )
    candidates, skipped = find_sources(
        root / RATES[sample_rate] / version,
        splits,
        folders,
        utterances,
        argument=argument,
        source=source,
        licence=licence,
    )
    warn_of_shared_speakers(candidates)
    return convert_all(
        candidates,
        folder,
        sample_rate=sample_rate,
        minimum_seconds=minimum_seconds,
        skipped=skipped,
    )


def find_sources(
    root: Path,
    splits: Mapping[str, str],
    folders: Sequence[str],
    utterances: Callable[[str], Sequence[tuple[str, str]]],
    *,
    argument: str,
    source: str,
    licence: str,
) -> tuple[list[Candidate], list[tuple[str, str, str]]]:
    """Find the sources of mixtures that are already made, and their noise.

    An utterance that stands in several mixtures of a split is taken once: for
    mixing on the fly the pairs of the corpus do not matter.

    Arguments
    ---------
    root : Path
        Holds a folder for every split.
    splits : mapping
        Split of the manifest to folder below root.
    folders : sequence of str
        Folders of the first source, the second source, ... in each split.
    utterances : Callable
        From the name of a file without its ending to (utterance, speaker)
        of each source; ValueError if the name is none of the corpus.
    argument, source, licence : str
        For errors and for the manifest.

    Returns
    -------
    candidates : list of Candidate
        Speech, and noise from the folder ``noise`` of each split.
    skipped : list of (id, path, reason)
        Files that have no name of the corpus.

    Raises
    ------
    FileNotFoundError
        If a folder is missing.
    ValueError
        If a folder holds no audio, or none whose name is of the corpus.

    Example
    -------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("s1", "s2", "noise"):
    ...     (root / "dev" / name).mkdir(parents=True)
    ...     (root / "dev" / name / "a-1_b-2.wav").touch()
    >>> found, _ = find_sources(
    ...     root, {"valid": "dev"}, ("s1", "s2"),
    ...     lambda name: [(n, n[0]) for n in name.split("_")],
    ...     argument="data_folder", source="ours", licence="CC0",
    ... )
    >>> [(item.id, item.speaker) for item in found if item.speaker]
    [('speech/dev/a-1', 'a'), ('speech/dev/b-2', 'b')]
    """
    candidates, skipped = [], []
    for split, name in splits.items():
        seen = set()
        for number, folder in enumerate(folders):
            paths = list_audio(root / name / folder, argument=argument)
            strange = []
            for path in paths:
                try:
                    utterance, speaker = utterances(path.stem)[number]
                except (ValueError, IndexError):
                    reason = f"is not named like a mixture of {source}"
                    strange.append((path.stem, str(path), reason))
                    continue
                if utterance in seen:
                    continue
                seen.add(utterance)
                candidates.append(
                    Candidate(
                        source_path=str(path),
                        id=f"speech/{name}/{utterance}",
                        kind="speech",
                        split=split,
                        speaker=speaker,
                        source=source,
                        licence=licence,
                    )
                )
            if len(strange) == len(paths):
                raise ValueError(
                    f"{argument}: {paths[0]} is not named like a mixture of "
                    f"{source}, nor is any other file there; is this another "
                    "corpus?"
                )
            skipped += strange
        candidates += [
            Candidate(
                source_path=str(path),
                id=f"noise/{name}/{path.stem}",
                kind="noise",
                split=split,
                source=source,
                licence=licence,
            )
            for path in list_audio(root / name / "noise", argument=argument)
        ]
    return candidates, skipped
