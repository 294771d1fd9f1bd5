"""Corpora of mixtures: their separate sources, each utterance once."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from speechbrain_ext.corpora.audio import Candidate
from speechbrain_ext.corpora.tree import list_audio


def find_sources(
    root: Path,
    splits: Mapping[str, str],
    folders: Sequence[str],
    utterances: Callable[[str], Sequence[tuple[str, str]]],
    *,
    argument: str,
    source: str,
    licence: str,
) -> list[Candidate]:
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

    Raises
    ------
    FileNotFoundError
        If a folder is missing.
    ValueError
        If a folder holds no audio, or a file has another name.

    Example
    -------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("s1", "s2", "noise"):
    ...     (root / "dev" / name).mkdir(parents=True)
    ...     (root / "dev" / name / "a-1_b-2.wav").touch()
    >>> found = find_sources(
    ...     root, {"valid": "dev"}, ("s1", "s2"),
    ...     lambda name: [(n, n[0]) for n in name.split("_")],
    ...     argument="data_folder", source="ours", licence="CC0",
    ... )
    >>> [(item.id, item.speaker) for item in found if item.speaker]
    [('speech/dev/a-1', 'a'), ('speech/dev/b-2', 'b')]
    """
    candidates = []
    for split, name in splits.items():
        seen = set()
        for number, folder in enumerate(folders):
            for path in list_audio(root / name / folder, argument=argument):
                try:
                    utterance, speaker = utterances(path.stem)[number]
                except (ValueError, IndexError) as error:
                    raise ValueError(
                        f"{argument}: {path} is not named like a mixture of "
                        f"{source}; is this another corpus, or a file that "
                        "was renamed?"
                    ) from error
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
    return candidates
