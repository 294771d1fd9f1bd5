"""Bringing the files of a hub repository, as few as are needed."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from speechbrain_ext.files import replaced
from speechbrain_ext.hub.folder import (
    CARD,
    HYPERPARAMS,
    check_repo_id,
    inner_file,
)
from speechbrain_ext.hub.refusal import LIMITS, Limits
from speechbrain_ext.hub.retry import PublishError, with_retries

PREFIXED = (HYPERPARAMS, "encoder.ckpt", "masknet.ckpt", "decoder.ckpt")
PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def download(
    repo_id: str,
    names: Sequence[str] | None = None,
    *,
    what: str = "load it",
    **options,
) -> str | list | None:
    """Download files of a hub repository, whatever their sizes.

    Arguments
    ---------
    repo_id : str
        `USER/NAME`.
    names : sequence of str, optional
        Files; all of the repository by default.
    what : str
        What it is asked for, for messages.
    **options
        Of `huggingface_hub.snapshot_download`.

    Returns
    -------
    answer : str, list or None
        From `huggingface_hub.snapshot_download`; None if the hub cannot be
        reached for a dry run.

    Raises
    ------
    PublishError
        If the network or the hub is in the way, and they are not here.
    """

    def ask():
        try:
            return snapshot_download(
                repo_id=repo_id, allow_patterns=names, **options
            )
        except DryRunError:
            return None

    try:
        return with_retries(ask, what=what, repo_id=repo_id)
    except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        raise PublishError(
            f"{repo_id}: could not {what}: it is not on this machine, and "
            "the hub cannot be asked (no network, or HF_HUB_OFFLINE is set); "
            "connect once, or give a folder"
        ) from error


def fetch(
    repo_id: str,
    choices: Sequence[Sequence[str]],
    limits: Limits,
    **options,
) -> Path:
    """Download files of a hub repository that are not too large.

    Arguments
    ---------
    repo_id : str
        `USER/NAME`.
    choices : sequence of sequences of str
        Of each the first file that the repository has is downloaded.
    limits : Limits
        What is too large is not downloaded.
    **options
        See `download`.

    Returns
    -------
    folder : Path
        A snapshot in the cache, with the hash of the commit as its name.

    Raises
    ------
    FileNotFoundError
        If the repository lacks one; README.md may be missing.
    RefusedError
        If they are too large.
    PublishError
        If the network or the hub is in the way, and they are not here.
    """
    names = [name for choice in choices for name in choice]
    found = download(repo_id, names, dry_run=True, **options)
    if found is None:  # what is in the cache is checked when it is read
        return Path(download(repo_id, names, **options))
    sizes = {file.filename: file.file_size or 0 for file in found}
    names, missing = [], []
    for choice in choices:
        there = [name for name in choice if name in sizes]
        names += there[:1]
        if not there and CARD not in choice:
            missing.append(" or ".join(choice))
    if missing:
        raise FileNotFoundError(
            f"{repo_id} has no {', '.join(missing)}; look at the names of its "
            "files"
        )
    texts = [name for name in names if name.endswith(HYPERPARAMS)]
    for name in texts:
        limits.check(f"{repo_id}: {name} has", sizes[name], "yaml_bytes")
    limits.check_weights({n: sizes[n] for n in names if n not in texts})
    options["revision"] = found[0].commit_hash
    return Path(download(repo_id, names, **options))


def fetch_prefixed(repo_id: str, prefix: str, folder: str | Path) -> Path:
    """Bring one of the separators that a repository keeps side by side.

    speechbrain/REAL-M-sisnr-estimator-training has nine of them in one
    place: `PREFIX_hyperparams.yaml`, `PREFIX_encoder.ckpt`,
    `PREFIX_masknet.ckpt` and `PREFIX_decoder.ckpt`, with the prefixes
    sepformer, dprnn and convtasnet, 1 to 3 each. The copy here has the
    layout that `load_folder` reads. Nothing of it is loaded or run.

    Arguments
    ---------
    repo_id : str
        `USER/NAME`.
    prefix : str
        Such as `dprnn1`.
    folder : str or Path
        Files are put into `folder/prefix`. What is there already is neither
        asked for nor compared; delete it to have it brought again.
        Downloads pass through the Hugging Face cache.

    Returns
    -------
    folder : Path
        `folder/prefix`, complete.

    Raises
    ------
    FileNotFoundError
        If the repository lacks one of the files; nothing is written then.
    RefusedError
        If a file is too large; nothing is downloaded or written then.
    PublishError
        If the network or the hub is in the way, and the cache lacks a file.
    ValueError
        If `repo_id` or `prefix` is no such name.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "dprnn1").mkdir()
    >>> for name in PREFIXED:  # nothing is missing: the hub is not asked
    ...     _ = (folder / "dprnn1" / name).write_bytes(b"")
    >>> fetch_prefixed("me/separators", "dprnn1", folder).name
    'dprnn1'
    """
    check_repo_id(repo_id)
    if not PREFIX.fullmatch(prefix):
        raise ValueError(
            f"prefix {prefix!r}: it names a folder, such as dprnn1; letters, "
            "digits, '_' and '-' are allowed"
        )
    folder = Path(folder) / prefix
    missing = [name for name in PREFIXED if not (folder / name).is_file()]
    if missing:
        choices = [(f"{prefix}_{name}",) for name in missing]
        snapshot = fetch(repo_id, choices, LIMITS, what=f"download {prefix}")
        sources = [inner_file(snapshot, f"{prefix}_{n}") for n in missing]
        for name, source in zip(missing, sources, strict=True):
            with replaced(folder / name) as partial:
                shutil.copyfile(source, partial)
    return folder
