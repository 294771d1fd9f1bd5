"""Sending a release to the hub: one commit, or nothing."""

import filecmp
import tempfile
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from speechbrain_ext.hub.folder import REPOSITORY
from speechbrain_ext.hub.release import checked_copy, release_files
from speechbrain_ext.hub.retry import PublishError, with_retries

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
    """

    def __init__(
        self, repo_id: str, token: str | bool | None, endpoint: str | None
    ) -> None:
        check_repo_id(repo_id)
        self.repo_id = repo_id
        self.api = HfApi(endpoint=endpoint, token=token)

    def ask(self, method: str, what: str, **options) -> object:
        """Call a method of the client for this repository, with retries."""
        return with_retries(
            lambda: getattr(self.api, method)(self.repo_id, **options),
            what=what,
            repo_id=self.repo_id,
        )

    def tags(self) -> dict[str, str]:
        """Ask for the tags and the commits they mark."""
        refs = self.ask("list_repo_refs", "read the tags")
        return {ref.name: ref.target_commit for ref in refs.tags}

    def send(
        self,
        folder: Path,
        names: list[str],
        *,
        private: bool = False,
        tag: str | None = None,
        message: str = "Publish a release",
    ) -> str:
        """Send a release in one commit.

        The repository is made if it is missing. Files that it has already
        are not sent again, so that the same call resumes a failed one. No
        tag is set: see `set_tag`.

        Arguments
        ---------
        folder : Path
            From `checked_copy`.
        names : list of str
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
        create = {"private": private, "exist_ok": True}
        self.ask("create_repo", "create the repository", **create)
        info = self.ask("repo_info", "read the repository")
        if private and not info.private:
            raise PublishError(
                f"{self.repo_id} exists and is public, and private=True was "
                "asked for: make it private on the hub or take another name. "
                "Nothing was sent"
            )
        if tag is not None:
            self.check_tag(tag, folder, names)

        def send() -> str:
            # operations hold the state of a commit: new ones for each attempt
            files = [CommitOperationAdd(n, str(folder / n)) for n in names]
            return self.api.create_commit(
                self.repo_id, files, commit_message=message, revision=MAIN
            ).oid

        return with_retries(send, what="send the files", repo_id=self.repo_id)

    def differing(
        self, folder: Path, names: list[str], commit: str, fresh: str
    ) -> tuple[Path, list[str]]:
        """Download files to a fresh place, and tell which are not the same."""
        options = {"cache_dir": fresh, "allow_patterns": names}
        what = "load the release back"
        back = self.ask("snapshot_download", what, revision=commit, **options)
        same, *others = filecmp.cmpfiles(folder, back, names, shallow=False)
        return Path(back), sum(others, [])

    def check_tag(self, tag: str, folder: Path, names: list[str]) -> None:
        """Raise a PublishError if a tag marks other files than these."""
        commit = self.tags().get(tag)
        if commit is None:
            return
        with tempfile.TemporaryDirectory() as fresh:
            _, others = self.differing(folder, names, commit, fresh)
        head = self.ask("repo_info", "read the repository", revision=MAIN)
        if others or head.sha != commit:
            what = f"with other content of {', '.join(others)}"
            raise PublishError(
                f"{self.repo_id}: the tag {tag} exists at commit {commit[:8]} "
                f"{what if others else 'and is not the latest'}: take another "
                "tag. Nothing was sent"
            )

    def set_tag(self, tag: str, commit: str) -> None:
        """Mark a commit by a tag, or raise a PublishError."""
        new = {"tag": tag, "revision": commit, "exist_ok": True}
        self.ask("create_tag", f"set the tag {tag}", **new)
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


def upload(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | bool | None = None,
    endpoint: str | None = None,
    **options,
) -> str:
    """Check a release folder and send it, without loading it back.

    Arguments
    ---------
    folder : str or Path
        The release folder; other files in it are not sent.
    repo_id : str
        `USER/NAME`.
    token, endpoint
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
    with checked_copy(Path(folder)) as (copy, _):
        target = Target(repo_id, token, endpoint)
        return target.send(copy, release_files(copy), **options)
