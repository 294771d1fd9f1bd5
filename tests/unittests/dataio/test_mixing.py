import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from speechbrain_ext.dataio import (
    add_noise,
    form_batch,
    pair_targets,
    reverberate,
    ring_targets,
    scale_to_level,
)

HALF = [torch.float16, torch.bfloat16]


def signals(*shape, seed=0, dtype=torch.float32, device="cpu"):
    generator = torch.Generator().manual_seed(seed)
    made = 0.1 * torch.randn(*shape, generator=generator)
    return made.to(device=device, dtype=dtype)


def level_db(signal):
    return 10 * signal.double().square().mean(-1).log10()


def close(first, second, tolerance=1e-3):
    return torch.allclose(
        first.double(), torch.as_tensor(second).double(), atol=tolerance
    )


def batch_of(number, time=400, *, rooms=0, device="cpu", dtype=torch.float32):
    batch = {
        "id": [str(n) for n in range(number)],
        "speech": signals(number, time, seed=1, device=device, dtype=dtype),
        "noise": signals(number, time, seed=2, device=device, dtype=dtype),
        "snr_db": torch.linspace(-5, 20, number, device=device),
        "gain_db": torch.linspace(-2.5, 2.5, number, device=device),
    }
    if rooms:
        batch["rir"] = torch.arange(number, device=device) % rooms
    return batch


class TestLevels:
    @pytest.mark.parametrize("factor", [1e-6, 1.0, 1e3])
    def test_scale_to_level(self, factor):
        scaled = scale_to_level(factor * signals(2, 3, 500), level_db=-31)
        assert scaled.shape == (2, 3, 500)
        assert close(level_db(scaled), -31)

    def test_a_level_for_each_signal(self):
        wanted = torch.tensor([-6.0, -40.0, 12.0])
        scaled = scale_to_level(signals(3, 500), level_db=wanted)
        assert close(level_db(scaled), wanted)

    @pytest.mark.parametrize("noise_factor", [1e-4, 1.0, 1e3])
    def test_add_noise(self, noise_factor):
        snr_db = torch.tensor([-10.0, 0.0, 5.0, 40.0])
        speech, noise = signals(4, 500), noise_factor * signals(4, 500, seed=3)
        noisy, scaled = add_noise(speech=speech, noise=noise, snr_db=snr_db)
        assert close(level_db(speech) - level_db(scaled), snr_db)
        assert torch.equal(noisy, speech + scaled)
        cosine = torch.cosine_similarity(scaled, noise, dim=-1)
        assert close(cosine, 1.0)

    def test_silence_stays_silence(self):
        silence, sound = torch.zeros(2, 50), signals(2, 50)
        snr_db = torch.zeros(2)
        assert torch.equal(scale_to_level(silence), silence)
        noisy, scaled = add_noise(speech=sound, noise=silence, snr_db=snr_db)
        assert torch.equal(noisy, sound) and not scaled.any()
        noisy, scaled = add_noise(speech=silence, noise=sound, snr_db=snr_db)
        assert close(noisy, 0.0, 1e-9) and close(scaled, 0.0, 1e-9)


class TestReverberate:
    def responses(self, taps=120):
        rirs = signals(3, taps, seed=4) * torch.exp(-torch.arange(taps) / 30)
        # the direct path, at another delay in each; sound before it too
        for row, delay in enumerate((0, 7, taps - 1)):
            rirs[row, delay] = 1.5 - 0.9 * row
        return rirs

    def test_against_direct_convolution(self):
        dry, rirs = signals(3, 500), self.responses()
        wet = reverberate(signals=dry, rirs=rirs)
        for signal, rir, result in zip(dry, rirs, wet, strict=True):
            delay = int(rir.abs().argmax())
            full = fftconvolve(signal.double(), rir.double())
            wanted = torch.from_numpy(full[delay : delay + 500])
            wanted *= signal.norm() / wanted.norm()
            assert close(result, wanted, 1e-6)

    def test_level_and_alignment(self):
        dry = signals(3, 4000)
        wet = reverberate(signals=dry, rirs=self.responses())
        assert close(level_db(wet), level_db(dry))
        for signal, result in zip(dry.numpy(), wet.numpy(), strict=True):
            correlation = fftconvolve(result, signal[::-1])
            assert np.abs(correlation).argmax() == len(signal) - 1

    def test_silence(self):
        wet = reverberate(signals=torch.zeros(3, 50), rirs=self.responses())
        assert not wet.any()
        wet = reverberate(signals=signals(3, 50), rirs=torch.zeros(3, 9))
        assert not wet.any()


class TestMixing:
    @pytest.mark.parametrize("number", [3, 4, 7])
    def test_ring(self, number):
        sources = signals(number, 50)
        targets = ring_targets(sources)
        for k in range(number):
            following = sources[(k + 1) % number]
            assert torch.equal(targets[k], torch.stack((sources[k], following)))
        # source k is the first of mixture k and the second of mixture k - 1
        assert torch.equal(targets[:, 0], targets[:, 1].roll(1, 0))

    @pytest.mark.parametrize("number", [2, 4, 10])
    def test_pairs(self, number):
        sources = signals(number, 50)
        targets = pair_targets(sources)
        assert len(targets) == number // 2
        for m in range(number // 2):
            first, second = sources[2 * m], sources[2 * m + 1]
            assert torch.equal(targets[m], torch.stack((first, second)))

    def test_too_few_for_a_ring(self):
        with pytest.raises(ValueError, match="there are 2 sources; a ring"):
            ring_targets(signals(2, 5))

    @pytest.mark.parametrize("number", [0, 3])
    def test_odd_pairs(self, number):
        with pytest.raises(ValueError, match=f"there are {number} sources"):
            pair_targets(signals(number, 5))


class TestFormBatch:
    @pytest.mark.parametrize("mixing, mixtures", [("ring", 6), ("pairs", 3)])
    @pytest.mark.parametrize("noise", [True, False])
    @pytest.mark.parametrize("rooms", [0, 2])
    def test_identities(self, mixing, mixtures, noise, rooms):
        batch = batch_of(6, rooms=rooms)
        if not noise:
            del batch["noise"], batch["snr_db"]
        rirs = signals(rooms, 30) if rooms else None
        made = form_batch(batch, mixing=mixing, rirs=rirs)
        for part in (made.speech, made.noise, made.noisy):
            assert part.shape == (mixtures, 2, 400)
        assert close(made.noisy, made.speech + made.noise, 1e-7)
        assert close(made.mixture, made.noisy.sum(1), 1e-7)
        assert bool(made.noise.any()) == noise
        targets = ring_targets if mixing == "ring" else pair_targets
        assert torch.equal(made.mixture, targets(made.sources).sum(1))

    def test_levels(self):
        batch = batch_of(6, time=8000)
        made = form_batch(batch, mixing="ring")
        speech, noise = made.speech[:, 0], made.noise[:, 0]
        assert close(level_db(speech), -25 + batch["gain_db"])
        assert close(level_db(speech) - level_db(noise), batch["snr_db"])

    def test_both_mixtures_of_a_source_share_all_of_it(self):
        made = form_batch(
            batch_of(6, rooms=3), mixing="ring", rirs=signals(3, 30)
        )
        for part in (made.speech, made.noise, made.noisy):
            assert torch.equal(part[:, 0], part[:, 1].roll(1, 0))

    def test_the_room_is_the_one_that_was_drawn(self):
        batch, rirs = batch_of(4, rooms=3), signals(3, 30)
        batch["gain_db"].zero_()
        made = form_batch(batch, mixing="pairs", rirs=rirs)
        wanted = reverberate(
            signals=scale_to_level(batch["speech"]), rirs=rirs[batch["rir"]]
        )
        assert close(made.speech.flatten(0, 1), wanted, 1e-6)

    @pytest.mark.parametrize("silent", ["speech", "noise"])
    def test_silent_signals(self, silent):
        batch = batch_of(4, rooms=2)
        batch[silent][1] = 0
        made = form_batch(batch, mixing="ring", rirs=signals(2, 30))
        for part in vars(made).values():
            assert part.isfinite().all()
        assert close(getattr(made, silent)[1, 0], 0.0, 1e-9)

    @pytest.mark.parametrize("dtype", HALF)
    def test_half_precision(self, dtype):
        rirs = signals(2, 30)
        reference = form_batch(batch_of(4, rooms=2), mixing="ring", rirs=rirs)
        # squares of these would overflow or vanish in float16
        for factor in (1e-4, 1.0, 1e4):
            batch = batch_of(4, rooms=2)
            for key in ("speech", "noise"):
                batch[key] = (factor * batch[key]).to(dtype)
            made = form_batch(batch, mixing="ring", rirs=rirs.to(dtype))
            for name, part in vars(made).items():
                wanted = getattr(reference, name)
                assert part.dtype == dtype and part.isfinite().all()
                error = (part.float() - wanted).norm() / wanted.norm()
                assert error < 0.05

    @pytest.mark.parametrize("mixing", ["ring", "pairs"])
    def test_inputs_are_left_alone(self, mixing):
        batch, rirs = batch_of(4, rooms=2), signals(2, 30)
        before = {
            key: value.clone()
            for key, value in batch.items()
            if torch.is_tensor(value)
        }
        form_batch(batch, mixing=mixing, rirs=rirs)
        assert all(torch.equal(batch[key], before[key]) for key in before)

    @pytest.mark.slow
    @pytest.mark.parametrize("mixing", ["ring", "pairs"])
    def test_no_value_is_looked_at(self, mixing):
        # tensors on "meta" have no values: whatever would make the host
        # wait for a device raises an error there
        batch = batch_of(4, rooms=2, device="meta")
        rirs = signals(2, 30, device="meta")
        made = form_batch(batch, mixing=mixing, rirs=rirs)
        assert made.mixture.device.type == "meta"

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_no_host_synchronization_on_a_gpu(self):
        batch = batch_of(4, rooms=2, device="cuda")
        rirs = signals(2, 30, device="cuda")
        form_batch(batch, mixing="ring", rirs=rirs)  # plans the transforms
        torch.cuda.set_sync_debug_mode("error")
        try:
            made = form_batch(batch, mixing="ring", rirs=rirs)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        wanted = form_batch(
            batch_of(4, rooms=2), mixing="ring", rirs=rirs.cpu()
        )
        assert close(made.mixture.cpu(), wanted.mixture, 1e-5)

    def test_errors(self):
        batch = batch_of(4)
        with pytest.raises(ValueError, match="mixing is 'rings'"):
            form_batch(batch, mixing="rings")
        with pytest.raises(ValueError, match=r"batch\['rir'\] is missing"):
            form_batch(batch, mixing="ring", rirs=signals(2, 30))
        with pytest.raises(ValueError, match="rirs is missing"):
            form_batch(batch_of(4, rooms=2), mixing="ring")
