"""Separators that a repository keeps side by side, under prefixes."""

import re
import shutil
from pathlib import Path

from speechbrain_ext.files import replaced
from speechbrain_ext.hub.download import Repository
from speechbrain_ext.hub.folder import HYPERPARAMS, check_total, inner_file
from speechbrain_ext.hub.refusal import Limits, RefusedError
from speechbrain_ext.hub.uploading import check_repo_id

FILES = (HYPERPARAMS, "encoder.ckpt", "masknet.ckpt", "decoder.ckpt")
PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def fetch_prefixed(
    repo_id: str,
    prefix: str,
    folder: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    limits: Limits | None = None,
) -> Path:
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
    revision : str, optional
        Branch, tag or commit; the main branch by default.
    token : str or bool, optional
        As for huggingface_hub.
    endpoint : str, optional
        Address of the hub; by default HF_ENDPOINT, or the public one.
    limits : Limits, optional
        Sizes above which a file is refused.

    Returns
    -------
    folder : Path
        `folder/prefix`, complete.

    Raises
    ------
    FileNotFoundError
        If the repository lacks one of the files; nothing is written then.
    RefusedError
        If a file is too large; nothing is downloaded then, if the hub tells
        its size, and nothing written.
    PublishError
        If the network or the hub is in the way, and the cache lacks a file.
    ValueError
        If `repo_id` or `prefix` is no such name.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "dprnn1").mkdir()
    >>> for name in FILES:  # nothing is missing: the hub is not asked
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
    sources = {
        name: f"{prefix}_{name}"
        for name in FILES
        if not (folder / name).is_file()
    }
    if not sources:
        return folder
    names = list(sources.values())
    repository = Repository(
        repo_id,
        revision=revision,
        token=token,
        endpoint=endpoint,
        what=f"download {prefix}",
    )
    sizes = repository.sizes(names)
    limits = limits or Limits()
    if sizes is not None:
        check_sizes(repo_id, names, sizes, limits)
    snapshot = repository.fetch(names)
    sizes = {path.name: path.stat().st_size for path in snapshot.iterdir()}
    check_sizes(repo_id, names, sizes, limits)
    for name, source in sources.items():
        with replaced(folder / name) as partial:
            shutil.copyfile(inner_file(snapshot, source), partial)
    return folder


def check_sizes(
    repo_id: str, names: list[str], sizes: dict[str, int], limits: Limits
) -> None:
    """Check that all files exist and are not too large.

    Arguments
    ---------
    repo_id : str
        For messages.
    names : list of str
        The files, one of them perhaps hyperparams.yaml behind its prefix.
    sizes : dict
        Bytes of those that exist.
    limits : Limits
        How much is too much.

    Raises
    ------
    FileNotFoundError
        If one does not exist.
    RefusedError
        If one, or the weights together, are too large.

    Example
    -------
    >>> check_sizes("me/a", ["x_encoder.ckpt"], {}, Limits())
    Traceback (most recent call last):
    ...
    FileNotFoundError: me/a has no x_encoder.ckpt; look at the names of its
    files for the right prefix
    """
    missing = [name for name in names if name not in sizes]
    if missing:
        raise FileNotFoundError(
            f"{repo_id} has no {', '.join(missing)}; look at the names of "
            "its files for the right prefix"
        )
    weights = {}
    for name in names:
        if not name.endswith(HYPERPARAMS):
            weights[name] = sizes[name]
        elif sizes[name] > limits.yaml_bytes:
            raise RefusedError(
                f"{repo_id}: {name} has {sizes[name]} bytes, more than "
                f"{limits.yaml_bytes}; Limits(yaml_bytes=...) changes that"
            )
    check_total(weights, limits)
