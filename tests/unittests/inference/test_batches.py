"""Chunks of several files together give what each gives alone."""

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from speechbrain_ext.corpora.decoding import UnusableAudio
from speechbrain_ext.inference import Enhancer, Separator
from speechbrain_ext.inference.batch import Item
from speechbrain_ext.models import SpectralConvTasNet, SpectralGRU

RATE = 8000
OPTIONS = {"chunk_seconds": 1.0, "overlap_seconds": 0.25}


class Watched(nn.Module):
    """Counts the rows of each call of a module."""

    def __init__(self, module, obstacle=None):
        super().__init__()
        self.module, self.obstacle, self.rows = module, obstacle, []

    def forward(self, mixture):
        self.rows.append(len(mixture))
        if self.obstacle:
            self.obstacle(mixture)
        self.precision = torch.get_autocast_dtype("cpu")
        self.precise = not torch.is_autocast_enabled("cpu")
        return self.module(mixture)


def make(batch=1, obstacle=None, **options):
    torch.manual_seed(0)
    module = SpectralConvTasNet(channels=8, hidden=8, blocks=1).eval()
    watched = Watched(module, obstacle)
    options = {**OPTIONS, "sample_rate": RATE, "batch": batch, **options}
    return Separator(watched, **options)


@pytest.fixture
def items(tmp_path):
    """Recordings of several lengths; two short ones have the same."""
    generator = np.random.default_rng(0)
    found = []
    for number, seconds in enumerate((0.4, 0.4, 3.1, 0.7, 5.0, 1.0)):
        path = tmp_path / f"{number}.wav"
        noise = 0.1 * generator.standard_normal(int(seconds * RATE))
        soundfile.write(path, noise, RATE, "FLOAT")
        found.append(Item(path, tmp_path / "out"))
    return found


def separated(separator, items):
    """Samples of the sources of every item."""
    found = []
    for item, stored in zip(items, separator.separate_each(items), strict=True):
        with stored:
            paths = separator.write(item, stored, overwrite=True)
            found.append([soundfile.read(path)[0] for path in paths])
    return found


@pytest.mark.parametrize("batch", [2, 3, 16])
def test_files_are_the_same_up_to_rounding(items, batch):
    alone, together = make(), make(batch)
    expected = separated(alone, items)
    found = separated(together, items)
    assert set(alone.module.rows) == {1}
    assert len(together.module.rows) < len(alone.module.rows)
    assert sum(together.module.rows) == sum(alone.module.rows)
    assert max(together.module.rows) <= batch
    # a hundred operations on samples up to 1
    atol = 100 * torch.finfo(torch.float32).eps
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=atol)


def test_a_tensor_is_batched_too():
    mixtures = 0.1 * torch.randn(2, 5 * RATE)
    alone, together = make(), make(8)
    expected = alone.separate(mixtures, RATE)
    atol = 100 * torch.finfo(torch.float32).eps
    found = together.separate(mixtures, RATE)
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)
    assert max(together.module.rows) == 8 and len(together.module.rows) == 2


@pytest.mark.parametrize("kind", ["raises", "not-finite", "unreadable"])
def test_a_bad_file_of_a_batch_fails_alone(items, kind):
    bad = items[2]
    samples, _ = soundfile.read(bad.path)
    soundfile.write(bad.path, samples + 9, RATE, "FLOAT")
    if kind == "unreadable":
        bad.path.write_text("a text")

    def obstacle(mixture):
        if mixture.max() > 5:
            if kind == "raises":
                raise RuntimeError("out of memory")
            mixture.mul_(torch.nan)

    separator = make(16, obstacle)
    others = [item for item in items if item is not bad]
    expected = separated(make(), others)
    found, failed = [], []
    results = separator.separate_each(items)
    for item, stored in zip(items, results, strict=True):
        try:
            with stored:
                paths = separator.write(item, stored, overwrite=True)
                found.append([soundfile.read(path)[0] for path in paths])
        except (ValueError, RuntimeError, UnusableAudio):
            failed.append(item)
    assert failed == [bad]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_progress_is_the_seconds_that_were_read(items):
    heard = []
    for stored in make(4).separate_each(items, heard.append):
        with stored:
            pass
    assert sum(heard) == pytest.approx(0.4 + 0.4 + 3.1 + 0.7 + 5.0 + 1.0)


# Precision ------------------------------------------------------------------


@pytest.mark.parametrize(
    "precision, dtype", [("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_half_precision_is_close(precision, dtype):
    mixture = 0.1 * torch.randn(1, 2 * RATE)
    exact, half = make(), make(precision=precision)
    expected = exact.separate(mixture, RATE)
    found = half.separate(mixture, RATE)
    assert exact.module.precise and not half.module.precise
    assert half.module.precision == dtype
    assert found.dtype == torch.float32
    error = (found - expected).square().mean() / expected.square().mean()
    # some ten layers, each of which rounds to the precision
    assert 0 < error.sqrt() < 10 * torch.finfo(dtype).eps


def test_weights_in_half_precision():
    torch.manual_seed(0)

    class Mask(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.tensor([0.25, 0.75]))

        def forward(self, mixture):
            assert mixture.dtype == self.gain.dtype == torch.bfloat16
            return mixture[:, None] * self.gain[:, None]

    mixture = 0.1 * torch.randn(1, 2 * RATE)
    module = Mask().bfloat16()
    separator = Separator(module, sample_rate=RATE, match_level=False)
    with torch.inference_mode():
        found = separator.separate(mixture, RATE)
    expected = mixture[:, None] * torch.tensor([[0.25], [0.75]])
    bound = 2 * torch.finfo(torch.bfloat16).eps
    torch.testing.assert_close(found, expected, rtol=bound, atol=1e-6)


def test_inference_mode_and_files(tmp_path, items):
    enhancer = Enhancer(SpectralGRU(hidden=4), sample_rate=RATE, batch=4)
    with torch.inference_mode():
        path = enhancer.enhance_file(items[4].path, tmp_path / "in_mode")
    outside = enhancer.enhance_file(items[4].path, tmp_path / "outside")
    assert path.read_bytes() == outside.read_bytes()


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"precision": "int8"}], ids=["batch", "precision"]
)
def test_what_is_no_option_is_told(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        make(**options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_gives_the_same(items, precision):
    expected = separated(make(), items)
    separator = make(16, precision=precision)
    separator.module.cuda()
    for ours, theirs in zip(separated(separator, items), expected, strict=True):
        # convolutions may be computed in TF32, whose precision is fp16's
        bound = 20 * torch.finfo(torch.bfloat16).eps * np.std(theirs)
        assert np.std(np.subtract(ours, theirs)) < bound


def test_a_batch_that_needs_too_much_memory_is_separated_singly(items, caplog):
    def obstacle(mixture):
        if len(mixture) > 1:
            raise torch.OutOfMemoryError("of the GPU")

    separator = make(4, obstacle)
    expected = separated(make(), items)
    found = separated(separator, items)
    assert "lower the batch" in caplog.text
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
