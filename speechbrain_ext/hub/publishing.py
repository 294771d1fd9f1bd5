"""Publishing: upload, download again, compare, and only then tag."""

import filecmp
import tempfile
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from speechbrain_ext.hub.folder import check_repo_id, find_release
from speechbrain_ext.hub.refusal import LIMITS, Limits
from speechbrain_ext.hub.release import checked_copy
from speechbrain_ext.hub.retry import PublishError, with_retries


@dataclass(frozen=True)
class Published:
    """What was published, or would be.

    Arguments
    ---------
    repo_id : str
        The repository.
    files : dict
        Name to size in bytes.
    commit : str, optional
        Hash of the commit; None for a dry run.
    tag : str, optional
        The tag that marks it.
    """

    repo_id: str
    files: dict[str, int]
    commit: str | None = None
    tag: str | None = None

    def __str__(self) -> str:
        """Give a table of the files."""
        state = f"commit {self.commit}" if self.commit else "dry run"
        tag = f", tag {self.tag}" if self.tag else ""
        rows = {**self.files, "bytes together": sum(self.files.values())}
        lines = [f"{size:>12,}  {name}" for name, size in rows.items()]
        return "\n".join([f"{self.repo_id}: {state}{tag}", *lines])


class Target:
    """A repository to publish to.

    Arguments
    ---------
    repo_id : str
        `USER/NAME`.
    token : str or bool, optional
        As for huggingface_hub.

    Raises
    ------
    ValueError
        If the name is none.
    """

    def __init__(self, repo_id: str, token: str | bool | None) -> None:
        check_repo_id(repo_id)
        self.repo_id = repo_id
        self.api = HfApi(token=token)

    def ask(self, method: str, what: str, **options) -> object:
        """Call a method of the client for this repository, with retries."""
        return with_retries(
            lambda: getattr(self.api, method)(self.repo_id, **options),
            what=what,
            repo_id=self.repo_id,
        )

    def tagged(self, tag: str) -> str | None:
        """Ask for the commit that a tag marks."""
        refs = self.ask("list_repo_refs", "read the tags")
        return {x.name: x.target_commit for x in refs.tags}.get(tag)

    def create(self, private: bool) -> None:
        """Make the repository if it is missing, and see that it is private."""
        create = {"private": private, "exist_ok": True}
        self.ask("create_repo", "create the repository", **create)
        info = self.ask("repo_info", "read the repository")
        if private and not info.private:
            raise PublishError(
                f"{self.repo_id} exists and is public, and private=True was "
                "asked for: make it private on the hub or take another name. "
                "Nothing was sent"
            )

    def check_tag(self, tag: str, folder: Path, names: list[str]) -> None:
        """Raise a PublishError if a tag marks other files than these."""
        commit = self.tagged(tag)
        if commit is None:
            return
        others = self.differing(folder, names, commit)
        head = self.ask("repo_info", "read the repository", revision="main")
        if others or head.sha != commit:
            what = f"with other content of {', '.join(others)}"
            raise PublishError(
                f"{self.repo_id}: the tag {tag} exists at commit {commit[:8]} "
                f"{what if others else 'and is not the latest'}: take another "
                "tag. Nothing was sent"
            )

    def send(self, folder: Path, names: list[str], message: str) -> str:
        """Send files in one commit, and give its hash.

        Files that are there already are not sent again, so that the same
        call resumes a failed one.
        """

        def send() -> str:
            # operations hold the state of a commit: new ones for each attempt
            files = [CommitOperationAdd(n, str(folder / n)) for n in names]
            return self.api.create_commit(
                self.repo_id, files, commit_message=message, revision="main"
            ).oid

        return with_retries(send, what="send the files", repo_id=self.repo_id)

    def differing(
        self, folder: Path, names: list[str], commit: str
    ) -> list[str]:
        """Download files to a fresh place, and list those that differ."""
        with tempfile.TemporaryDirectory() as fresh:
            options = {"cache_dir": fresh, "allow_patterns": names}
            what = "load the release back"
            back = self.ask(
                "snapshot_download", what, revision=commit, **options
            )
            _, *others = filecmp.cmpfiles(folder, back, names, shallow=False)
        return sum(others, [])

    def set_tag(self, tag: str, commit: str) -> None:
        """Mark a commit by a tag, or raise a PublishError."""
        new = {"tag": tag, "revision": commit, "exist_ok": True}
        self.ask("create_tag", f"set the tag {tag}", **new)
        marked = self.tagged(tag)
        if marked != commit:
            raise PublishError(
                f"{self.repo_id}: the tag {tag} marks {marked}, not {commit}: "
                "take another tag. The files are there, without a tag"
            )


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    dry_run: bool = False,
    tag: str | None = None,
    message: str = "Publish a release",
    token: str | bool | None = None,
    limits: Limits = LIMITS,
) -> Published:
    """Put a release folder on the hub, and check what arrived there.

    The files are copied, the copy is loaded and checked, and what was checked
    goes up in one commit. All of it is then downloaded again to a fresh place
    and must be the same, byte for byte. Only then the tag is set. After a
    failure the same call resumes; what has arrived is not sent again.

    Arguments
    ---------
    folder : str or Path
        From `build_release`, or a results folder with such a subfolder
        `release`.
    repo_id : str
        `USER/NAME`.
    private : bool
        Make the repository private.
    dry_run : bool
        Check the folder and list the files; nothing is sent, and the hub is
        not asked.
    tag : str, optional
        Name for this state, such as `v1`.
    message : str
        Of the commit.
    token : str or bool, optional
        As for huggingface_hub; by default the one you are logged in with.
    limits : Limits, optional
        Sizes above which it is refused.

    Returns
    -------
    published : Published
        Files, commit and tag; printing it gives a table.

    Raises
    ------
    PublishError
        If network, hub, token or name are in the way, or if what was loaded
        back differs.
    RefusedError
        If the folder holds what `load_folder` refuses.
    ValueError
        If the two files of a module differ, or README.md or hyperparams.yaml
        hold a token or the home folder.
    FileNotFoundError
        If a file is missing, or the folder is neither of the two.
    """
    target = Target(repo_id, token)
    with checked_copy(find_release(folder), limits, repo_id) as (copy, names):
        files = {name: (copy / name).stat().st_size for name in names}
        if dry_run:
            return Published(repo_id, files)
        target.create(private)
        if tag is not None:
            target.check_tag(tag, copy, names)
        commit = target.send(copy, names, message)
        if others := target.differing(copy, names, commit):
            raise PublishError(
                f"{repo_id}: {', '.join(others)} came back otherwise; no tag "
                "was set. Publish again, and if it stays, look at the folder"
            )
    if tag is not None:
        target.set_tag(tag, commit)
    return Published(repo_id, files, commit, tag)
