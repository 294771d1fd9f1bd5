"""The recipe's data: rings of sources, read and mixed as the YAML file says."""

import speechbrain as sb
import torch

from speechbrain_ext.dataio import (
    RingSampler,
    SegmentReader,
    SourceAugmentation,
    SourceDataset,
    form_batch,
    make_loader,
    read_impulse_responses,
    read_manifest,
)


class Sources:
    """A loader of sources, and how a batch of it is mixed on the device.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file.
    stage : speechbrain.Stage
        Decides the split, the number and the length of the rings; only
        training augments, and mixes in pairs if asked to.
    rank, world_size : int
        This process and the number of processes that share the rings.

    Attributes
    ----------
    loader : SaveableDataLoader
        Yields what `SourceDataset` reads.
    """

    def __init__(self, hparams, stage, *, rank=0, world_size=1):
        training = stage == sb.Stage.TRAIN
        split, rings, seconds = {
            sb.Stage.TRAIN: (
                hparams["train_split"],
                hparams["rings_per_epoch"],
                hparams["segment_seconds"],
            ),
            sb.Stage.VALID: (
                hparams["valid_split"],
                hparams["valid_rings"],
                hparams["segment_seconds"],
            ),
            sb.Stage.TEST: (
                hparams["test_split"],
                hparams["test_rings"],
                hparams["test_segment_seconds"],
            ),
        }[stage]
        samples = int(seconds * hparams["sample_rate"])
        self.augmentation = None
        if training and (hparams["speed_change"] or hparams["equaliser_db"]):
            self.augmentation = SourceAugmentation(
                samples=samples,
                speed=hparams["speed_change"],
                equaliser_db=hparams["equaliser_db"],
            )
            samples = self.augmentation.samples_to_read
        manifest = hparams["manifest"]
        speech = read_manifest(manifest, kind="speech", split=split)
        noise = None
        if hparams["snr_db"] is not None:
            noise = SegmentReader(
                read_manifest(manifest, kind="noise", split=split),
                segment_samples=samples,
            )
        self.impulse_responses, rooms = None, 0
        if hparams["reverberate"]:
            self.impulse_responses = read_impulse_responses(
                read_manifest(manifest, kind="rir", split=split)
            )
            rooms = len(self.impulse_responses)
        dataset = SourceDataset(
            speech=SegmentReader(speech, segment_samples=samples),
            noise=noise,
            snr_db=hparams["snr_db"],
            gain_db=hparams["gain_db"],
            rirs=rooms,
            variations=self.augmentation.variations if self.augmentation else 0,
        )
        # N mixtures need N sources in a ring, 2 N in pairs
        self.mixing = hparams["mixing"] if training else "ring"
        per_mixture = 2 if self.mixing == "pairs" else 1
        try:
            sampler = RingSampler(
                speakers=[recording.speaker for recording in speech],
                sexes=[recording.sex for recording in speech],
                ring_size=hparams["ring_size"] * per_mixture,
                alternate_sexes=hparams["alternate_sexes"],
                rings=rings,
                seed=hparams["seed"] if training else 0,
                rank=rank,
                world_size=world_size,
            )
        except ValueError as error:
            raise ValueError(f"split {split!r}: {error}") from error
        workers = hparams["num_workers"] if training else 0
        self.loader = make_loader(dataset, sampler, num_workers=workers)

        self.device = torch.device("cpu")

    def to(self, device):
        """Mix on this device from now on; returns itself."""
        self.device = torch.device(device)
        if self.impulse_responses is not None:
            self.impulse_responses = self.impulse_responses.to(device)
        return self

    def mix(self, batch):
        """Augment and mix a batch of sources on the device.

        Arguments
        ---------
        batch : dict
            What the loader yields.

        Returns
        -------
        mixtures : Mixtures
            Of a ring, or of pairs.
        """
        batch = {
            key: value.to(self.device) if torch.is_tensor(value) else value
            for key, value in batch.items()
        }
        if self.augmentation is not None:
            batch = self.augmentation(batch)
        return form_batch(
            batch, mixing=self.mixing, rirs=self.impulse_responses
        )
