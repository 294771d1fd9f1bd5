"""Publishing: upload, load back, compare, and only then tag."""

import filecmp
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import CommitOperationAdd, HfApi

from speechbrain_ext.hub.folder import (
    CARD,
    HYPERPARAMS,
    check_repo_id,
    find_release,
)
from speechbrain_ext.hub.loading import LoadedFolder, load_folder
from speechbrain_ext.hub.refusal import LIMITS, Limits
from speechbrain_ext.hub.release import (
    checked_copy,
    compare_weights,
    release_files,
    same_bits,
)
from speechbrain_ext.hub.retry import PublishError, with_retries
from speechbrain_ext.hub.weights import read_weights

EXAMPLE_SAMPLES = 8000
END = "no tag was set. Publish again, and if it stays, look at the folder"
ESTIMATOR = {"encoder", "encoder_out"}
RECOGNISERS = ({"joint"}, {"recognizer"})
Run = Callable[[LoadedFolder, torch.Tensor], torch.Tensor]


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
        head = self.ask("repo_info", "read the repository", revision="main")
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


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    dry_run: bool = False,
    tag: str | None = None,
    message: str = "Publish a release",
    example: torch.Tensor | None = None,
    run: Run | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    limits: Limits = LIMITS,
) -> Published:
    """Put a release folder on the hub, and check what arrived there.

    The files are copied, the copy is checked, and what was checked goes up in
    one commit. All of it is then downloaded again to a fresh place and
    loaded: the files must be the same, and so must the output for an
    example, bit for bit. Only then the tag is set. After a failure the same
    call resumes; what has arrived is not sent again.

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
    example : torch.Tensor, optional
        Input to compare with; noise of a fixed seed by default.
    run : callable, optional
        Maps what was loaded and the example to a tensor. Known by default:
        separators of encoder, masknet and decoder, the SI-SNR estimator of
        encoder and encoder_out, and a single module that takes a batch.
    token : str or bool, optional
        As for huggingface_hub; by default the one you are logged in with.
    endpoint : str, optional
        Address of the hub; by default HF_ENDPOINT, or the public one.
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
    target = Target(repo_id, token, endpoint)
    run = run or run_modules
    with (
        checked_copy(find_release(folder), limits) as (copy, here),
        tempfile.TemporaryDirectory() as fresh,
    ):
        names = release_files(copy, limits)
        if names != release_files(copy, limits, repo_id):
            raise ValueError(
                f"{folder}: paths of the pretrainer in {HYPERPARAMS} name "
                f"another repository than {repo_id}; leave its name out"
            )
        files = {name: (copy / name).stat().st_size for name in names}
        example = make_example(here) if example is None else example
        output = run_seeded(run, here, example)
        if dry_run:
            return Published(repo_id, files)
        target.create(private)
        if tag is not None:
            target.check_tag(tag, copy, names)
        commit = target.send(copy, names, message)
        back, others = target.differing(copy, names, commit, fresh)
        compare(repo_id, copy, back, others)
        there = load_folder(back, limits=limits)
        if not same_bits(output, run_seeded(run, there, example)):
            raise PublishError(
                f"{repo_id}: what was loaded back gives another output; {END}"
            )
    if tag is not None:
        target.set_tag(tag, commit)
    return Published(repo_id, files, commit, tag)


def compare(repo_id: str, sent: Path, back: Path, others: list[str]) -> None:
    """Raise a PublishError if files came back from the hub otherwise.

    Arguments
    ---------
    repo_id : str
        For the message.
    sent, back : Path
        Folders with what was sent, and what the hub returned.
    others : list of str
        The files that are not the same.
    """
    try:
        for name in others:
            if name not in (HYPERPARAMS, CARD):  # which tensor is it?
                weights = read_weights(sent / name), read_weights(back / name)
                compare_weights(name, *weights)
            raise ValueError(f"{name} came back otherwise")
    except (ValueError, OSError) as error:
        raise PublishError(f"{repo_id}: {error}; {END}") from error


def run_seeded(
    run: Run, loaded: LoadedFolder, example: torch.Tensor
) -> torch.Tensor:
    """Run a model in a way that can be repeated.

    Arguments
    ---------
    run : callable
        See `publish`.
    loaded : LoadedFolder
        The model.
    example : torch.Tensor
        Its input.

    Returns
    -------
    output : torch.Tensor
        The same for the same weights (SpeechBrain's statistics pooling
        draws noise in evaluation too, hence the seed).
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return run(loaded, example)


def make_example(loaded: LoadedFolder) -> torch.Tensor:
    """Make an input: noise of a fixed seed, (1, time) or (1, 2, time)."""
    channels = (2,) if set(loaded.modules) == ESTIMATOR else ()
    generator = torch.Generator().manual_seed(0)
    shape = (1, *channels, EXAMPLE_SAMPLES)
    return 0.1 * torch.randn(shape, generator=generator)


def run_modules(loaded: LoadedFolder, example: torch.Tensor) -> torch.Tensor:
    """Run one of the layouts that are known.

    Arguments
    ---------
    loaded : LoadedFolder
        See `publish`.
    example : torch.Tensor
        Mixture (batch, time); for an estimator mixture and estimate
        (batch, 2, time).

    Returns
    -------
    output : torch.Tensor
        Estimates (batch, sources, time), levels, log-probabilities of a
        recogniser's tokens, or what the module gives.

    Raises
    ------
    PublishError
        If the layout is not known.

    Example
    -------
    >>> model = torch.nn.Identity()
    >>> loaded = LoadedFolder(Path(), {}, {"model": model})
    >>> run_modules(loaded, torch.ones(1, 2))
    tensor([[1., 1.]])
    """
    modules, hparams = loaded.modules, loaded.hparams
    separator = loaded.separator()
    if separator is not None:
        return separator(example)
    first, *others = modules.values()
    if modules.keys() == ESTIMATOR and "stat_pooling" in hparams:
        features = modules["encoder"](example).permute(0, 2, 1)
        return modules["encoder_out"](hparams["stat_pooling"](features))
    if modules.keys() in RECOGNISERS:
        output = first(example, example.new_ones(len(example)))
        return getattr(output, "recognition", output).log_probabilities
    if not others:
        return first(example)
    raise PublishError(
        f"how to run the modules {sorted(modules)} is not known; pass "
        "run=..., which maps what was loaded and an example to a tensor"
    )
