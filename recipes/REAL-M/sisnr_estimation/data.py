"""The recipe's data: mixtures of several corpora, and their separations."""

from pathlib import Path

import numpy as np
import speechbrain as sb
import torch

from speechbrain_ext.dataio import CorpusMixtures, SeveralCorpora
from speechbrain_ext.hub import fetch_prefixed, load_folder
from speechbrain_ext.losses import align, pit, si_sdr
from speechbrain_ext.training import data_identity

# what is done to the sources, besides where they are from
MIXING = (
    *("seed", "sample_rate", "snr_db", "gain_db", "dry_share"),
    *("speed_range", "equalizer_db"),
)
# the models of a training that are kept
KEPT = ("first", "middle", "last")
STAGES = (sb.Stage.TRAIN, sb.Stage.VALID, sb.Stage.TEST)


def make_mixtures(
    hparams,
    stage,
    *,
    batch_size,
    batches,
    segment_seconds,
    rank=0,
    world_size=1,
):
    """Make the mixtures of each corpus for a stage.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    stage : speechbrain.Stage
        Decides the split.
    batch_size, batches : int
        Mixtures in a batch, and batches in an epoch of each corpus.
    segment_seconds : float
        Length of the mixtures.
    rank, world_size : int
        This process and the number of processes that share the batches.

    Returns
    -------
    mixtures : dict of CorpusMixtures
        By the corpus's name.
    """
    place = STAGES.index(stage)
    training = stage == sb.Stage.TRAIN
    return {
        name: CorpusMixtures(
            corpus["manifest"],
            split=corpus["splits"][place],
            rooms=hparams["rooms"]["manifest"],
            room_split=["train", "valid", "test"][place],
            sample_rate=hparams["sample_rate"],
            segment_seconds=segment_seconds,
            batch_size=batch_size,
            batches=batches,
            snr_db=hparams["snr_db"],
            gain_db=hparams["gain_db"],
            reverberate=True,
            dry_share=hparams["dry_share"],
            speed_range=hparams["speed_range"] if training else 0.0,
            equalizer_db=hparams["equalizer_db"] if training else 0.0,
            seed=hparams["seed"] if training else 0,
            rank=rank,
            world_size=world_size,
        )
        for name, corpus in hparams["corpora"].items()
    }


def identity(hparams, keys):
    """Collect what makes another run of a run, if it is changed.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    keys : sequence of str
        Of plain values, besides those of the data.

    Returns
    -------
    values : dict
        Plain values.
    """
    values = {key: hparams[key] for key in (*keys, *MIXING)}
    values["corpora"] = {
        name: [data_identity(corpus), corpus["splits"]]
        for name, corpus in hparams["corpora"].items()
    }
    return values


def kept_epochs(hparams):
    """Tell after which epochs a separator of the pool is kept."""
    last = hparams["pool_epochs"]
    return dict(zip(KEPT, (1, (last + 1) // 2, last), strict=True))


def make_training_mixtures(hparams, stage, **options):
    """Make mixtures of all corpora, a batch from one of them at random.

    Arguments
    ---------
    hparams, stage, **options
        As for `make_mixtures`.

    Returns
    -------
    mixtures : SeveralCorpora
    """
    corpora = make_mixtures(hparams, stage, **options)
    training = stage == sb.Stage.TRAIN
    return SeveralCorpora(
        list(corpora.values()),
        seed=hparams["seed"] if training else 0,
        num_workers=hparams["num_workers"] if training else 0,
    )


def oracle(estimates, targets):
    """Put estimates into the order of the targets, and judge them.

    Arguments
    ---------
    estimates, targets : torch.Tensor
        Shape (batch, sources, time).

    Returns
    -------
    aligned : torch.Tensor
        Shape (batch, sources, time): the permutation with the best mean.
    snr : torch.Tensor
        Shape (batch, sources): SI-SNR in dB.
    """
    _, permutation = pit(si_sdr, estimates=estimates, targets=targets)
    aligned = align(estimates, permutation)
    return aligned, si_sdr(estimate=aligned, target=targets)


class Pool:
    """Frozen separators, one of them for every mixture.

    Arguments
    ---------
    members : list of str
        Folders below `folder` in hub layout, or REPOSITORY:PREFIX for the
        separators that a hub repository keeps side by side.
    folder : str or Path
        What `pool.py` wrote; downloads go there too.
    sample_rate : int
        Of the mixtures, in Hz.

    Raises
    ------
    FileNotFoundError
        If a member is not there; the message tells how to make it.
    ValueError
        If a member is no separator, or one for another sample rate.
    """

    def __init__(self, members, *, folder, sample_rate):
        self.names = list(members)
        self.modules = []
        for name in self.names:
            path = Path(folder) / name
            if ":" in name:
                repository, _, prefix = name.partition(":")
                path = fetch_prefixed(
                    repository, prefix, Path(folder) / repository
                )
            elif not path.is_dir():
                raise FileNotFoundError(
                    f"members: there is no separator {path}; train the pool "
                    "first: python recipes/REAL-M/sisnr_estimation/pool.py "
                    "and this YAML file with the same options"
                )
            loaded = load_folder(path)
            module = loaded.separator()
            if module is None:
                raise ValueError(f"members: {path} holds no separator")
            rate = loaded.hparams.get("sample_rate", sample_rate)
            if rate != sample_rate:
                raise ValueError(
                    f"members: {path} works at {rate} Hz, sample_rate is "
                    f"{sample_rate}; take separators of that rate"
                )
            self.modules.append(module.eval().requires_grad_(False))

    def __len__(self):
        return len(self.names)

    def to(self, device):
        """Separate on this device; returns itself."""
        for module in self.modules:
            module.to(device)
        return self

    def in_turn(self, *, batch, size):
        """Choose a member for each item, all in turn from batch to batch.

        Arguments
        ---------
        batch : int
            Number of the batch, from 0.
        size : int
            Its items.

        Returns
        -------
        chosen : numpy.ndarray
            Shape (size,).
        """
        return (batch * size + np.arange(size)) % len(self)

    @torch.no_grad()
    def separate(self, mixture, chosen):
        """Separate each mixture by its own separator.

        Arguments
        ---------
        mixture : torch.Tensor
            Shape (batch, time).
        chosen : sequence of int
            Which member, for each item.

        Returns
        -------
        estimates : torch.Tensor
            Shape (batch, 2, time).

        Raises
        ------
        ValueError
            If a separator gives another number of sources.
        """
        chosen = np.asarray(chosen)
        estimates = mixture.new_empty(len(mixture), 2, mixture.shape[1])
        for member in np.unique(chosen):
            items = torch.from_numpy(np.flatnonzero(chosen == member))
            items = items.to(mixture.device)
            found = self.modules[member](mixture[items])
            if found.shape[1:] != estimates.shape[1:]:
                raise ValueError(
                    f"members: {self.names[member]} gives "
                    f"{found.shape[1]} sources; the mixtures have 2"
                )
            estimates[items] = found.float()
        return estimates
