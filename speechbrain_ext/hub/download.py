"""Bringing the files of a hub repository, as few as are needed."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from speechbrain_ext.hub.folder import CARD, HYPERPARAMS, check_total
from speechbrain_ext.hub.pretrainer import Loadable
from speechbrain_ext.hub.refusal import Limits, RefusedError
from speechbrain_ext.hub.retry import PublishError, with_retries


class Repository:
    """One revision of a hub repository, and the files of it that are here.

    Arguments
    ---------
    repo_id : str
        `USER/NAME`.
    revision : str, optional
        Branch, tag or commit; the main branch by default.
    savedir : str or Path, optional
        Where downloads are kept; the Hugging Face cache by default.
    token : str or bool, optional
        As for huggingface_hub.
    endpoint : str, optional
        Address of the hub; HF_ENDPOINT or the public hub by default.
    what : str
        What it is asked for, for messages.
    """

    def __init__(
        self,
        repo_id: str,
        *,
        revision: str | None = None,
        savedir: str | Path | None = None,
        token: str | bool | None = None,
        endpoint: str | None = None,
        what: str = "load it",
    ) -> None:
        self.repo_id, self.what = repo_id, what
        self.revision = revision
        self.options = {
            "repo_id": repo_id,
            "cache_dir": savedir,
            "token": token,
            "endpoint": endpoint,
        }

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
        if found is None:
            return None
        if found:
            self.revision = found[0].commit_hash
        return {file.filename: file.file_size or 0 for file in found}

    def fetch(self, names: Sequence[str] | None) -> Path:
        """Download files, and nothing else.

        Arguments
        ---------
        names : sequence of str, optional
            Files; all of the repository by default.

        Returns
        -------
        folder : Path
            A snapshot in the cache.
        """
        return Path(self._ask(names))

    def _ask(self, names: Sequence[str] | None, **options):
        """Ask the hub, None if it cannot be reached for a dry run."""

        def ask():
            try:
                return snapshot_download(
                    **self.options,
                    revision=self.revision,
                    allow_patterns=None if names is None else list(names),
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

    def fetch_hyperparams(self, limits: Limits) -> Path:
        """Download hyperparams.yaml.

        Arguments
        ---------
        limits : Limits
            It may have `yaml_bytes`.

        Returns
        -------
        folder : Path
            Where it is.

        Raises
        ------
        RefusedError
            If it is too large.
        """
        sizes = self.sizes([HYPERPARAMS])
        if sizes and sizes[HYPERPARAMS] > limits.yaml_bytes:
            raise RefusedError(
                f"{self.repo_id}: {HYPERPARAMS} has {sizes[HYPERPARAMS]} "
                f"bytes, more than {limits.yaml_bytes}; published ones have "
                "a few thousand. Limits(yaml_bytes=...) changes that"
            )
        return self.fetch([HYPERPARAMS])

    def fetch_weights(
        self, folder: Path, loadables: Sequence[Loadable], limits: Limits
    ) -> Path:
        """Download the files of weights that hyperparams.yaml names.

        Arguments
        ---------
        folder : Path
            What has been downloaded before.
        loadables : sequence of Loadable
            Of each, safetensors where the repository has them.
        limits : Limits
            They may have `weight_bytes` together.

        Returns
        -------
        folder : Path
            Where they are.

        Raises
        ------
        RefusedError
            If they are too large; nothing has been downloaded then.
        """
        both = [name for item in loadables for name in pair(item)]
        sizes = self.sizes(both)
        here = (
            {name for name in both if (folder / name).is_file()}
            if sizes is None
            else sizes.keys()
        )
        names = [
            item.safetensors if item.safetensors in here else item.file
            for item in loadables
        ]
        if sizes is not None:
            wanted = {name: sizes[name] for name in names if name in sizes}
            check_total(wanted, limits)
        return self.fetch([HYPERPARAMS, CARD, *names])


def pair(loadable: Loadable) -> tuple[str, str]:
    """List the two files that weights may be in, the preferred one first."""
    return loadable.safetensors, loadable.file
