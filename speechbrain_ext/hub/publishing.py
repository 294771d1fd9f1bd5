"""Publishing: upload, load back, compare, and only then tag."""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from speechbrain_ext.hub.loading import LoadedFolder, load_folder
from speechbrain_ext.hub.release import (
    compare_weights,
    find_release,
    release_files,
    same_bits,
)
from speechbrain_ext.hub.retry import PublishError, with_retries
from speechbrain_ext.hub.uploading import check_repo_id, set_tag, upload

logger = logging.getLogger(__name__)

EXAMPLE_SAMPLES = 8000
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
        lines = [f"{self.repo_id}: {state}{tag}"]
        lines += [f"{size:>12,}  {name}" for name, size in self.files.items()]
        return "\n".join(
            [*lines, f"{sum(self.files.values()):>12,}  bytes together"]
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
) -> Published:
    """Put a release folder on the hub, and check what arrived there.

    The files go up in one commit. They are then downloaded again to a fresh
    place and loaded, and must give the same output for an example as the
    folder here, bit for bit. Only then the tag is set. After a failure the
    same call goes on where it ended; what has arrived is not sent again.

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
    FileNotFoundError
        If a file is missing, or the folder is neither of the two.
    """
    check_repo_id(repo_id)
    folder = find_release(folder)
    run = run or run_modules
    files = {
        name: (folder / name).stat().st_size for name in release_files(folder)
    }
    here = load_folder(folder)
    if example is None:
        example = make_example(here)
    output = run_seeded(run, here, example)
    if dry_run:
        return Published(repo_id, files)
    commit = upload(
        folder,
        repo_id,
        private=private,
        tag=tag,
        message=message,
        token=token,
        endpoint=endpoint,
    )
    with tempfile.TemporaryDirectory() as fresh:
        there = with_retries(
            lambda: load_folder(
                repo_id,
                savedir=fresh,
                revision=commit,
                token=token,
                endpoint=endpoint,
            ),
            what="load the release back",
            repo_id=repo_id,
        )
        compare(repo_id, here, there, output, run_seeded(run, there, example))
    if tag is not None:
        set_tag(repo_id, tag, commit, token=token, endpoint=endpoint)
    return Published(repo_id, files, commit, tag)


def compare(
    repo_id: str,
    here: LoadedFolder,
    there: LoadedFolder,
    output: torch.Tensor,
    output_there: torch.Tensor,
) -> None:
    """Check that the hub gives back what was sent.

    Arguments
    ---------
    repo_id : str
        For the message.
    here, there : LoadedFolder
        From the folder and from the hub.
    output, output_there : torch.Tensor
        What they made of the example.

    Raises
    ------
    PublishError
        If weights or outputs differ.
    """
    end = "no tag was set; publish again, and if it stays, look at the folder"
    for name, module in here.modules.items():
        try:
            compare_weights(
                there.folder,
                name,
                module.state_dict(),
                there.modules[name].state_dict(),
            )
        except (KeyError, ValueError) as error:
            raise PublishError(f"{repo_id}: {error}; {end}") from error
    if not same_bits(output, output_there):
        raise PublishError(
            f"{repo_id}: the model that was loaded back gives another output "
            f"for the example; {end}"
        )


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
    shape = (1, EXAMPLE_SAMPLES)
    if set(loaded.modules) == ESTIMATOR:
        shape = (1, 2, EXAMPLE_SAMPLES)
    generator = torch.Generator().manual_seed(0)
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
    if set(modules) == ESTIMATOR and "stat_pooling" in hparams:
        features = modules["encoder"](example).permute(0, 2, 1)
        return modules["encoder_out"](hparams["stat_pooling"](features))
    if set(modules) in RECOGNISERS:
        (module,) = modules.values()
        output = module(example, example.new_ones(len(example)))
        return getattr(output, "recognition", output).log_probabilities
    if len(modules) == 1:
        return next(iter(modules.values()))(example)
    raise PublishError(
        f"{loaded.folder}: how to run the modules {sorted(modules)} is not "
        "known; pass run=..., which maps what was loaded and an example to a "
        "tensor"
    )
