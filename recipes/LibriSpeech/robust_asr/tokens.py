"""The tokens of clean speech: stage 3."""

import logging
import time

import speechbrain as sb
import torch
from data import make_utterances
from speechbrain.utils.distributed import run_on_main
from stages import TOKENIZER, StageFolder
from tqdm import tqdm

from speechbrain_ext.models import frame_mask

logger = logging.getLogger(__name__)


def fit_tokenizer(hparams, teacher, device):
    """Find the clusters, or load those that were found.

    One process finds them, whatever the number: the others wait.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; its tokenizer gets the centroids.
    teacher : torch.nn.Module
        The trained recogniser.
    device : str or torch.device
        Of both.
    """
    folder = StageFolder(hparams, TOKENIZER)
    # by all processes: whether it is finished, the first one finds out
    run_on_main(find_clusters, args=[hparams, teacher, device, folder])
    folder.load_tokenizer(hparams["tokenizer"])


def find_clusters(hparams, teacher, device, folder):
    """Run K-means over clean training speech, unless that was done."""
    if folder.is_finished:
        return
    folder.begin()
    begin = time.process_time()
    used = hparams["tokenizer"].fit(
        clean_frames(hparams, teacher, device),
        torch.Generator().manual_seed(hparams["seed"]),
    )
    logger.info("%d of %d clusters are used", used, hparams["num_clusters"])
    folder.save_tokenizer(
        hparams["tokenizer"],
        used=used,
        cpu_seconds=time.process_time() - begin,
    )


@torch.no_grad()
def clean_frames(hparams, teacher, device):
    """Yield the frames of batches of clean speech, several times over.

    Arguments
    ---------
    hparams, teacher, device
        See `fit_tokenizer`.

    Yields
    ------
    frames : torch.Tensor
        Shape (n, size), without padding.
    """
    utterances = make_utterances(hparams, sb.Stage.TRAIN, noisy=False)
    utterances.to(device)
    most = hparams["tokenizer_batches"]
    for number in tqdm(range(hparams["tokenizer_passes"]), "clusters"):
        utterances.loader.batch_sampler.set_epoch(number)
        for _, batch in zip(range(most), utterances.loader, strict=False):
            speech = utterances.mix(batch)
            frames = teacher(speech.clean, speech.lengths).frames
            yield frames[frame_mask(speech.lengths, frames.shape[1])]
