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
from speechbrain_ext.hub.refusal import Limits
from speechbrain_ext.hub.retry import PublishError, with_retries

PREFIXED = (HYPERPARAMS, "encoder.ckpt", "masknet.ckpt", "decoder.ckpt")
PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Repository:
    """One revision of a hub repository, and the files of it that are here.

    Arguments
    ---------
    repo_id : str
        `USER/NAME`.
    what : str
        What it is asked for, for messages.
    revision : str, optional
        Branch, tag or commit; the main branch by default.
    **options
        Of `huggingface_hub.snapshot_download`.
    """

    def __init__(
        self,
        repo_id: str,
        *,
        what: str = "load it",
        revision: str | None = None,
        **options,
    ) -> None:
        self.repo_id, self.what, self.revision = repo_id, what, revision
        self.options = options

    def fetch(self, choices: Sequence[Sequence[str]], limits: Limits) -> Path:
        """Download files, and nothing else.

        Arguments
        ---------
        choices : sequence of sequences of str
            Of each the first file that the repository has is downloaded.
        limits : Limits
            What is too large is not downloaded, if the hub tells its size.

        Returns
        -------
        folder : Path
            A snapshot in the cache; once the hub has answered, it is always
            that of the same commit.

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
        sizes = self.sizes(names)
        if sizes is not None:
            names = self.choose(choices, sizes, limits)
        folder = self.download(names)
        if sizes is None:
            paths = {name: folder / name for name in names}
            here = {
                n: p.stat().st_size for n, p in paths.items() if p.is_file()
            }
            self.choose(choices, here, limits)
        return folder

    def sizes(self, names: Sequence[str]) -> dict[str, int] | None:
        """Ask for the sizes of files, and stay at the commit that answers.

        Arguments
        ---------
        names : sequence of str
            Files, which need not exist.

        Returns
        -------
        sizes : dict or None
            Bytes of those that exist; None if the hub cannot be reached, and
            only what has been downloaded before can be used.
        """
        found = self._ask(names, dry_run=True)
        if found:
            self.revision = found[0].commit_hash
        if found is None:
            return None
        return {file.filename: file.file_size or 0 for file in found}

    def choose(
        self,
        choices: Sequence[Sequence[str]],
        sizes: dict[str, int],
        limits: Limits,
    ) -> list[str]:
        """Choose the files that exist, and check their sizes.

        Arguments
        ---------
        choices, limits
            See `fetch`.
        sizes : dict
            Bytes of those that exist.

        Returns
        -------
        names : list of str
            One of each choice.
        """
        names = [next((n for n in c if n in sizes), None) for c in choices]
        missing = [
            " and no ".join(choice)
            for choice, name in zip(choices, names, strict=True)
            if name is None and CARD not in choice
        ]
        if missing:
            raise FileNotFoundError(
                f"{self.repo_id} has no {', '.join(missing)}; look at the "
                "names of its files"
            )
        found = {name: sizes[name] for name in names if name}
        for name in [*found]:
            if name.endswith(HYPERPARAMS):
                size = found.pop(name)
                limits.check(f"{self.repo_id}: {name} has", size, "yaml_bytes")
        limits.check_weights(found)
        return [name for name in names if name]

    def download(self, names: Sequence[str] | None = None) -> Path:
        """Download files, all of the repository by default, unchecked."""
        return Path(self._ask(names))

    def _ask(self, names: Sequence[str] | None, **options):
        """Ask the hub, None if it cannot be reached for a dry run."""

        def ask():
            try:
                return snapshot_download(
                    repo_id=self.repo_id,
                    revision=self.revision,
                    allow_patterns=names,
                    **self.options,
                    **options,
                )
            except DryRunError:
                return None

        try:
            return with_retries(ask, what=self.what, repo_id=self.repo_id)
        except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
            raise PublishError(
                f"{self.repo_id}: could not {self.what}: it is not on this "
                "machine, and the hub cannot be asked (no network, or "
                "HF_HUB_OFFLINE is set); connect once, or give a folder"
            ) from error


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
        repository = Repository(
            repo_id,
            what=f"download {prefix}",
            revision=revision,
            token=token,
            endpoint=endpoint,
        )
        choices = [(f"{prefix}_{name}",) for name in missing]
        snapshot = repository.fetch(choices, limits or Limits())
        for name in missing:
            with replaced(folder / name) as partial:
                source = inner_file(snapshot, f"{prefix}_{name}")
                shutil.copyfile(source, partial)
    return folder
