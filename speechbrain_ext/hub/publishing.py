"""Publishing: upload, load back, compare, and only then tag."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from speechbrain_ext.hub.folder import CARD, HYPERPARAMS
from speechbrain_ext.hub.loading import LoadedFolder, load_folder
from speechbrain_ext.hub.refusal import Limits
from speechbrain_ext.hub.release import (
    checked_copy,
    compare_weights,
    find_release,
    release_files,
    same_bits,
)
from speechbrain_ext.hub.retry import PublishError
from speechbrain_ext.hub.uploading import Target
from speechbrain_ext.hub.weights import read_weights

EXAMPLE_SAMPLES = 8000
END = "no tag was set. Publish again, and if it stays, look at the folder"
ESTIMATOR = {"encoder", "encoder_out"}
RECOGNISERS = ({"joint"}, {"recogniser"})
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
    limits: Limits | None = None,
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
        options = {"private": private, "tag": tag, "message": message}
        commit = target.send(copy, names, **options)

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
