"""Sending a release to the hub: one commit, or nothing."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from speechbrain_ext.hub.folder import REPOSITORY
from speechbrain_ext.hub.refusal import Limits
from speechbrain_ext.hub.release import checked_copy, release_files
from speechbrain_ext.hub.retry import PublishError, with_retries

logger = logging.getLogger(__name__)
MAIN = "main"


class Target:
    """A repository to publish to.

    Arguments
    ---------
    repo_id : str
        `USER/NAME`.
    token : str or bool, optional
        As for huggingface_hub.
    endpoint : str, optional
        Address of the hub.

    Raises
    ------
    ValueError
        If the name is none.

    Example
    -------
    >>> Target("ring-sepformer")
    Traceback (most recent call last):
    ValueError: 'ring-sepformer' is no repository; write USER/NAME
    """

    def __init__(
        self,
        repo_id: str,
        *,
        token: str | bool | None = None,
        endpoint: str | None = None,
    ) -> None:
        check_repo_id(repo_id)
        self.repo_id = repo_id
        self.api = HfApi(endpoint=endpoint, token=token)

    def ask(self, method: str, *arguments, what: str, **keywords) -> object:
        """Call a method of the client for this repository, with retries."""
        return with_retries(
            lambda: getattr(self.api, method)(
                self.repo_id, *arguments, **keywords
            ),
            what=what,
            repo_id=self.repo_id,
        )

    def tags(self) -> dict[str, str]:
        """Ask for the tags and the commits they mark."""
        refs = self.ask("list_repo_refs", what="read the tags")
        return {ref.name: ref.target_commit for ref in refs.tags}

    def send(
        self,
        folder: Path,
        names: Sequence[str],
        *,
        private: bool = False,
        tag: str | None = None,
        message: str = "Publish a release",
    ) -> str:
        """Send files in one commit.

        The repository is made if it is missing. Files that it has already
        are not sent again, so that the same call resumes a failed one. No
        tag is set: see `set_tag`.

        Arguments
        ---------
        folder : Path
            A copy that nobody else writes to, and that was checked.
        names : sequence of str
            Its files.
        private : bool
            Make the repository private. If it exists and is public, nothing
            is sent.
        tag : str, optional
            The tag that is to be set afterwards: nothing is sent if it marks
            another state already.
        message : str
            Of the commit.

        Returns
        -------
        commit : str
            Its hash.

        Raises
        ------
        PublishError
            If the network, the hub, the token or a name is in the way.
        """
        self.ask(
            "create_repo",
            private=private,
            exist_ok=True,
            what="create the repository",
        )
        info = self.ask("repo_info", what="read the repository")
        if private and not info.private:
            raise PublishError(
                f"{self.repo_id} exists and is public, and private=True was "
                "asked for: make it private on the hub or take another name. "
                "Nothing was sent"
            )
        if tag is not None:
            self.check_tag(tag, folder, names)

        def commit() -> str:
            # operations hold the state of a commit: new ones for each attempt
            operations = [
                CommitOperationAdd(name, str(folder / name)) for name in names
            ]
            return self.api.create_commit(
                self.repo_id,
                operations,
                commit_message=message,
                revision=MAIN,
            ).oid

        sent = with_retries(commit, what="send the files", repo_id=self.repo_id)
        logger.info("%s: commit %s", self.repo_id, sent)
        return sent

    def check_tag(self, tag: str, folder: Path, names: Sequence[str]) -> None:
        """Refuse to publish under a tag that marks something else.

        Arguments
        ---------
        tag : str
            To be set later.
        folder : Path
            With the files.
        names : sequence of str
            The files.

        Raises
        ------
        PublishError
            If the tag exists, and not on these very files.
        """
        commit = self.tags().get(tag)
        if commit is None:
            return
        found = self.ask(
            "get_paths_info",
            list(names),
            revision=commit,
            what="read the files of the tag",
        )
        hashes = {f.path: f.lfs.sha256 if f.lfs else f.blob_id for f in found}
        differing = [
            name
            for name in names
            if hashes.get(name) not in file_hashes(folder / name)
        ]
        head = self.ask("repo_info", revision=MAIN, what="read the repository")
        if differing or head.sha != commit:
            what = f"with other content of {', '.join(differing)}"
            raise PublishError(
                f"{self.repo_id}: the tag {tag} exists at commit {commit[:8]} "
                f"{what if differing else 'and is not the latest'}: take "
                "another tag. Nothing was sent"
            )

    def set_tag(self, tag: str, commit: str) -> None:
        """Mark a commit by a tag.

        Arguments
        ---------
        tag : str
            Such as `v1`.
        commit : str
            What it marks.

        Raises
        ------
        PublishError
            If the tag marks another commit, or for reasons of network or hub.
        """
        self.ask(
            "create_tag",
            tag=tag,
            revision=commit,
            exist_ok=True,
            what=f"set the tag {tag}",
        )
        marked = self.tags().get(tag)
        if marked != commit:
            raise PublishError(
                f"{self.repo_id}: the tag {tag} marks {marked}, not {commit}: "
                "take another tag. The files are there, without a tag"
            )


def check_repo_id(repo_id: str) -> None:
    """Raise a ValueError if a name is not that of a repository."""
    if not REPOSITORY.fullmatch(repo_id):
        raise ValueError(f"{repo_id!r} is no repository; write USER/NAME")


def file_hashes(path: Path) -> tuple[str, str]:
    """Hash a file as the hub does: as a large file, and as git."""
    large = hashlib.sha256()
    git = hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with open(path, "rb") as file:
        while block := file.read(2**20):
            large.update(block)
            git.update(block)
    return large.hexdigest(), git.hexdigest()


def upload(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | bool | None = None,
    endpoint: str | None = None,
    limits: Limits | None = None,
    **options,
) -> str:
    """Check a release folder and send it, without loading it back.

    Arguments
    ---------
    folder : str or Path
        The release folder; other files in it are not sent.
    repo_id : str
        `USER/NAME`.
    token, endpoint, limits
        See `publish`.
    **options
        `private`, `tag` and `message` of `publish`. The tag is not set, but
        nothing is sent if it marks another state.

    Returns
    -------
    commit : str
        Its hash.

    Raises
    ------
    PublishError
        If the network, the hub, the token or a name is in the way.
    ValueError
        If the release is not as it should be; see `publish`.
    """
    target = Target(repo_id, token=token, endpoint=endpoint)
    with checked_copy(Path(folder), limits) as (copy, _):
        return target.send(copy, release_files(copy, limits), **options)
