import numpy as np
import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.dataio import (
    Draw,
    RingSampler,
    SegmentReader,
    SourceDataset,
    make_loader,
)


@pytest.fixture
def speech(write):
    """Make a reader of twelve speakers, one recording each."""
    return SegmentReader(
        [
            write(f"s{n:02d}", np.linspace(0.1, 0.9, 400), speaker=f"{n}")
            for n in range(12)
        ],
        segment_samples=64,
    )


@pytest.fixture
def noises(write):
    """Make readers of noises, each with a constant value of its own."""

    def noises(number, segment_samples=64):
        return SegmentReader(
            [
                write(f"n{n}", np.full(300, (n + 1) / 32), kind="noise")
                for n in range(number)
            ],
            segment_samples=segment_samples,
        )

    return noises


def draws_of(seed, number=12):
    seeds = np.random.default_rng(seed).integers(2**63, size=number)
    return [Draw(n, int(seeds[n])) for n in range(number)]


class TestSourceDataset:
    def test_what_a_batch_holds(self, speech, noises):
        dataset = SourceDataset(
            speech=speech, noise=noises(5), snr_db=(0, 20), gain_db=3, rirs=7
        )
        batches = [dataset.__getitems__(draws_of(seed)) for seed in range(40)]
        for batch in batches:
            assert batch["id"] == [f"s{n:02d}" for n in range(12)]
            assert batch["speech"].shape == batch["noise"].shape == (12, 64)
            assert batch["rir"].dtype == torch.int64
            for key in ("speech", "noise", "snr_db", "gain_db"):
                assert batch[key].dtype == torch.float32
        joined = {
            key: torch.cat([batch[key] for batch in batches])
            for key in ("snr_db", "gain_db", "rir")
        }
        for key, low, high in (("snr_db", 0, 20), ("gain_db", -3, 3)):
            values = joined[key]
            assert low <= values.min() < low + 0.1 * (high - low)
            assert high >= values.max() > high - 0.1 * (high - low)
        assert set(joined["rir"].tolist()) == set(range(7))

    def test_parts_that_are_off_are_absent(self, speech):
        dataset = SourceDataset(speech=speech, noise=None, snr_db=None)
        batch = dataset.__getitems__(draws_of(0))
        assert set(batch) == {"id", "speech", "gain_db"}
        assert len(dataset) == 12

    def test_all_follows_from_the_seeds(self, speech, noises):
        def batch(draws):
            dataset = SourceDataset(
                speech=speech, noise=noises(9), snr_db=(0, 9), rirs=5
            )
            return dataset.__getitems__(draws)

        first, second = batch(draws_of(0)), batch(draws_of(0))
        other = batch(draws_of(1))
        for key in set(first) - {"id"}:
            assert torch.equal(first[key], second[key])
            assert not torch.equal(first[key], other[key])

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 30])
    @pytest.mark.parametrize("size", [3, 4, 5, 8, 11])
    def test_noises_of_neighbors_differ(self, speech, noises, number, size):
        dataset = SourceDataset(
            speech=speech, noise=noises(number), snr_db=(0, 0)
        )
        seen = set()
        for seed in range(20):
            batch = dataset.__getitems__(draws_of(seed, size))
            noise = batch["noise"][:, 0].tolist()
            seen.update(noise)
            for place in range(size):
                if number >= 3:
                    assert noise[place] != noise[place - 1]
                if number >= 5:
                    assert noise[place] != noise[place - 2]
            if number == 2:
                assert noise[0] != noise[1]
        assert min(number, 20) <= len(seen) <= number

    def test_wrong_arguments(self, speech, noises):
        with pytest.raises(ValueError, match="segment_samples 64 and noise 9"):
            SourceDataset(speech=speech, noise=noises(1, 9), snr_db=(0, 1))
        with pytest.raises(ValueError, match=r"snr_db is \(5, 1\)"):
            SourceDataset(speech=speech, noise=noises(1), snr_db=(5, 1))
        with pytest.raises(ValueError, match="together; noise is None"):
            SourceDataset(speech=speech, noise=None, snr_db=(0, 1))
        with pytest.raises(ValueError, match="together; snr_db is None"):
            SourceDataset(speech=speech, noise=noises(1), snr_db=None)
        with pytest.raises(ValueError, match="gain_db is -1"):
            SourceDataset(speech=speech, noise=None, snr_db=None, gain_db=-1)


class LoggedReader(SegmentReader):
    """Writes down what is read, from whatever process."""

    def __init__(self, recordings, log, **options):
        super().__init__(recordings, **options)
        self.log = log

    def read(self, index, *arguments):
        with open(self.log, "a") as file:
            file.write(f"{index}\n")
        return super().read(index, *arguments)


def same(first, second):
    return first["id"] == second["id"] and all(
        torch.equal(first[key], second[key]) for key in set(first) - {"id"}
    )


class TestResumption:
    """A run that is stopped in an epoch goes on where its checkpoint is."""

    RINGS = 12

    @pytest.fixture
    def start(self, speech, noises, tmp_path):
        """Make what a run has: a loader, its checkpointer, a log of reads."""

        def start(workers):
            # a log of its own: the workers of an earlier run may go on
            log = tmp_path / f"reads{len(list(tmp_path.glob('reads*')))}"
            log.touch()
            dataset = SourceDataset(
                speech=LoggedReader(speech.recordings, log, segment_samples=64),
                noise=noises(6),
                snr_db=(0, 5),
            )
            sampler = RingSampler(
                speakers=[r.speaker for r in speech.recordings],
                ring_size=4,
                rings=self.RINGS,
            )
            loader = make_loader(dataset, sampler, num_workers=workers)
            checkpointer = Checkpointer(
                tmp_path / "checkpoints", {"loader": loader}
            )
            return sampler, loader, checkpointer, log

        return start

    @pytest.mark.slow
    @pytest.mark.parametrize("stop", [1, 5, 11, 12])
    @pytest.mark.parametrize("workers, later_workers", [(0, 0), (2, 2), (2, 0)])
    def test_within_an_epoch(self, start, workers, later_workers, stop):
        sampler, loader, _, _ = start(0)
        sampler.set_epoch(2)
        wanted = list(loader)
        sampler.set_epoch(3)
        wanted_next = list(loader)

        # two epochs and a part of the next, as training does it
        sampler, loader, checkpointer, _ = start(workers)
        sampler.set_epoch(1)
        assert len(list(loader)) == self.RINGS
        checkpointer.save_checkpoint()
        sampler.set_epoch(2)
        batches = iter(loader)
        for batch in wanted[:stop]:
            assert same(next(batches), batch)
        checkpointer.save_checkpoint(end_of_epoch=False)
        del batches, loader

        sampler, loader, checkpointer, log = start(later_workers)
        checkpointer.recover_if_possible()
        sampler.set_epoch(2)
        rest = list(loader)
        assert len(rest) == self.RINGS - stop
        assert all(map(same, rest, wanted[stop:]))
        # nothing that was skipped has been read
        assert len(log.read_text().split()) == 4 * (self.RINGS - stop)
        # and the epoch after it is whole again
        sampler.set_epoch(3)
        following = list(loader)
        assert len(following) == self.RINGS
        assert all(map(same, following, wanted_next))

    def test_after_an_epoch(self, start):
        sampler, loader, checkpointer, _ = start(0)
        list(loader)
        checkpointer.save_checkpoint(end_of_epoch=True)
        sampler, loader, checkpointer, _ = start(0)
        checkpointer.recover_if_possible()
        assert len(list(loader)) == self.RINGS


def test_variations_follow_from_the_seeds(write):
    readers = [
        SegmentReader(
            [write(f"{kind}{n}", np.full(2000, 0.5)) for n in range(5)],
            segment_samples=100,
        )
        for kind in ("speech", "noise")
    ]
    dataset = SourceDataset(
        speech=readers[0], noise=readers[1], snr_db=(0, 5), variations=3
    )
    draws = [Draw(0, 1), Draw(1, 2)]
    batch, again = dataset.__getitems__(draws), dataset.__getitems__(draws)
    for name in ("speech_variation", "noise_variation"):
        assert batch[name].shape == (2, 3)
        assert batch[name].abs().max() <= 1
        assert torch.equal(batch[name], again[name])
        assert not torch.equal(batch[name][0], batch[name][1])
    assert not torch.equal(batch["speech_variation"], batch["noise_variation"])
