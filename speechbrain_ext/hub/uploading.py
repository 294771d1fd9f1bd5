"""Sending a release folder to the hub: one commit, or nothing."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from speechbrain_ext.hub.folder import REPOSITORY
from speechbrain_ext.hub.release import release_files
from speechbrain_ext.hub.retry import PublishError, with_retries

logger = logging.getLogger(__name__)
MAIN = "main"


def upload(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    tag: str | None = None,
    message: str = "Publish a release",
    token: str | bool | None = None,
    endpoint: str | None = None,
) -> str:
    """Send the files of a release folder in one commit.

    The repository is made if it is missing. Files that it has already are
    not sent again, so that the same call goes on where a failed one ended.
    No tag is set: see `set_tag`.

    Arguments
    ---------
    folder : str or Path
        See `release_files`; other files in it are not sent.
    repo_id : str
        `USER/NAME`.
    private : bool
        Make the repository private. If it exists and is public, nothing is
        sent.
    tag : str, optional
        The tag that is to be set afterwards: nothing is sent if it marks
        another state already.
    message : str
        Of the commit.
    token : str or bool, optional
        As for huggingface_hub.
    endpoint : str, optional
        Address of the hub.

    Returns
    -------
    commit : str
        Its hash.

    Raises
    ------
    PublishError
        If the network, the hub, the token or a name is in the way.
    FileNotFoundError
        If a file of the release is missing.
    """
    check_repo_id(repo_id)
    folder = Path(folder)
    names = release_files(folder)
    api = HfApi(endpoint=endpoint, token=token)
    with_retries(
        lambda: api.create_repo(repo_id, private=private, exist_ok=True),
        what="create the repository",
        repo_id=repo_id,
    )
    info = with_retries(
        lambda: api.repo_info(repo_id),
        what="read the repository",
        repo_id=repo_id,
    )
    if private and not info.private:
        raise PublishError(
            f"{repo_id} exists and is public, and private=True was asked "
            "for: make it private on the hub or take another name. Nothing "
            "was sent"
        )
    if tag is not None:
        check_tag(api, repo_id, tag, folder, names)

    def send() -> str:
        # operations hold the state of a commit: new ones for each attempt
        operations = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name)
            for name in names
        ]
        return api.create_commit(
            repo_id, operations, commit_message=message, revision=MAIN
        ).oid

    commit = with_retries(send, what="send the files", repo_id=repo_id)
    logger.info("%s: commit %s", repo_id, commit)
    return commit


def check_repo_id(repo_id: str) -> None:
    """Check the name of a repository.

    Arguments
    ---------
    repo_id : str
        `USER/NAME`.

    Raises
    ------
    ValueError
        If it is none.

    Example
    -------
    >>> check_repo_id("me/ring-sepformer")
    """
    if not REPOSITORY.fullmatch(repo_id):
        raise ValueError(f"{repo_id!r} is no repository; write USER/NAME")


def tags(api: HfApi, repo_id: str) -> dict[str, str]:
    """Ask for the tags of a repository and the commits they mark."""
    refs = with_retries(
        lambda: api.list_repo_refs(repo_id),
        what="read the tags",
        repo_id=repo_id,
    )
    return {ref.name: ref.target_commit for ref in refs.tags}


def check_tag(
    api: HfApi, repo_id: str, tag: str, folder: Path, names: Sequence[str]
) -> None:
    """Refuse to publish under a tag that marks something else.

    Arguments
    ---------
    api : HfApi
        Client of the hub.
    repo_id : str
        The repository.
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
    commit = tags(api, repo_id).get(tag)
    if commit is None:
        return
    found = with_retries(
        lambda: api.get_paths_info(repo_id, list(names), revision=commit),
        what="read the files of the tag",
        repo_id=repo_id,
    )
    hashes = {
        file.path: file.lfs.sha256 if file.lfs else file.blob_id
        for file in found
    }
    differing = [
        name
        for name in names
        if hashes.get(name) not in file_hashes(folder / name)
    ]
    head = with_retries(
        lambda: api.repo_info(repo_id, revision=MAIN).sha,
        what="read the repository",
        repo_id=repo_id,
    )
    if differing or head != commit:
        what = f"with other content of {', '.join(differing)}" * bool(differing)
        raise PublishError(
            f"{repo_id}: the tag {tag} exists at commit {commit[:8]} "
            f"{what or 'and is not the latest'}: take another tag. Nothing "
            "was sent"
        )


def file_hashes(path: Path) -> tuple[str, str]:
    """Hash a file as the hub does: as a large file, and as git."""
    content = path.read_bytes()
    header = f"blob {len(content)}\0".encode()
    return (
        hashlib.sha256(content).hexdigest(),
        hashlib.sha1(header + content).hexdigest(),
    )


def set_tag(
    repo_id: str,
    tag: str,
    commit: str,
    *,
    token: str | bool | None = None,
    endpoint: str | None = None,
) -> None:
    """Mark a commit by a tag.

    Arguments
    ---------
    repo_id : str
        The repository.
    tag : str
        Such as `v1`.
    commit : str
        What it marks.
    token : str or bool, optional
        As for huggingface_hub.
    endpoint : str, optional
        Address of the hub.

    Raises
    ------
    PublishError
        If the tag marks another commit, or for reasons of network or hub.
    """
    api = HfApi(endpoint=endpoint, token=token)
    with_retries(
        lambda: api.create_tag(
            repo_id, tag=tag, revision=commit, exist_ok=True
        ),
        what=f"set the tag {tag}",
        repo_id=repo_id,
    )
    marked = tags(api, repo_id).get(tag)
    if marked != commit:
        raise PublishError(
            f"{repo_id}: the tag {tag} marks {marked}, not {commit}: take "
            "another tag. The files are there, without a tag"
        )
