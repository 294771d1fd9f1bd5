import numpy as np
import pytest
import soundfile
import torch
from hub_folders import CONV_TASNET, LAYOUTS, write_folder
from torch import nn

from speechbrain_ext.corpora.decoding import UnusableAudio
from speechbrain_ext.hub import RefusedError
from speechbrain_ext.inference import Separator

RATE = 8000


class LowAndHigh(nn.Module):
    """Splits at 1 kHz; swaps its outputs at every call; any level."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, mixture):
        self.calls.append(mixture.shape[1])
        spectrum = torch.fft.rfft(mixture)
        hertz = torch.linspace(0, RATE / 2, spectrum.shape[1])
        low = torch.fft.irfft(spectrum * (hertz < 1000), mixture.shape[1])
        sources = torch.stack((low, mixture - low), 1)
        swapped = len(self.calls) % 2 == 0
        return 0.1 * (sources.flip(1) if swapped else sources)


def tones(seconds, rate=RATE, batch=1):
    """A low tone and a louder high one, and their sum."""
    time = torch.arange(int(seconds * rate)) / rate
    low = 0.1 * torch.sin(2 * torch.pi * 300 * time)
    high = 0.3 * torch.sin(2 * torch.pi * 2000 * time)
    sources = torch.stack((low, high)).expand(batch, -1, -1)
    return sources, sources.sum(1)


def make(**options):
    return Separator(LowAndHigh(), sample_rate=RATE, **options)


@pytest.mark.parametrize("seconds", [0.5, 8.0, 8.01, 13.0, 14.0, 33.3])
def test_a_recording_of_any_length_keeps_its_sources_in_order(seconds):
    sources, mixture = tones(seconds, batch=2)
    separator = make()
    estimates = separator.separate(mixture, RATE)
    assert estimates.shape == sources.shape
    # the filter of the test rings at the edges of a chunk
    error = (estimates - sources)[..., 800:-800]
    assert error.abs().max() < 0.02
    assert max(separator.module.calls) <= 8 * RATE
    if seconds >= 8:
        assert set(separator.module.calls) == {8 * RATE}


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_rate_and_level_of_the_input_come_back(rate):
    sources, mixture = tones(10, rate)
    estimates = make().separate(5 * mixture, rate)
    assert estimates.shape == sources.shape
    error = (estimates - 5 * sources)[..., rate:-rate]
    assert error.abs().max() < 0.1


def test_silence_gives_silence():
    estimates = make().separate(torch.zeros(1, 9 * RATE), RATE)
    assert torch.equal(estimates, torch.zeros(1, 2, 9 * RATE))


def test_a_stereo_file_becomes_one_file_for_each_source(tmp_path):
    sources, mixture = tones(9, 16000)
    stereo = torch.stack((mixture[0], mixture[0])).T.numpy()
    soundfile.write(tmp_path / "two.flac", stereo, 16000)
    paths = make().separate_file(tmp_path / "two.flac", tmp_path / "out")
    assert [path.name for path in paths] == [
        "two_source1.wav",
        "two_source2.wav",
    ]
    for path, source in zip(paths, sources[0], strict=True):
        estimate, rate = soundfile.read(path, dtype="float32")
        assert (rate, len(estimate)) == (16000, 9 * 16000)
        error = np.abs(estimate - source.numpy())[16000:-16000]
        assert error.max() < 0.02


class Bands(nn.Module):
    """Splits into bands that add up to the mixture, in another order a call.

    Like a separator under mixture consistency: levels are right, and there
    are more outputs than sounds.
    """

    def __init__(self, bands):
        super().__init__()
        self.bands = bands
        self.calls = 0

    def forward(self, mixture):
        self.calls += 1
        spectrum = torch.fft.rfft(mixture)
        edges = torch.linspace(0, 1, self.bands + 1)
        place = torch.linspace(0, 1 - 1e-6, spectrum.shape[1])
        bands = [
            spectrum * ((place >= low) & (place < high))
            for low, high in zip(edges, edges[1:], strict=False)
        ]
        order = torch.randperm(
            self.bands, generator=torch.Generator().manual_seed(self.calls)
        )
        bands = torch.stack(bands, 1)[:, order]
        return torch.fft.irfft(bands, mixture.shape[1])


@pytest.mark.parametrize("bands", [4, 8, 16])
def test_many_outputs_keep_their_order_over_a_long_recording(bands):
    # tones in every second band; the others are silent
    time = torch.arange(30 * RATE) / RATE
    width = RATE / 2 / bands
    tones = torch.stack(
        [
            0.1 * torch.sin(2 * torch.pi * round((n + 0.5) * width) * time)
            for n in range(0, bands, 2)
        ]
    )
    module = Bands(bands)
    separator = Separator(module, sample_rate=RATE, match_level=False)
    estimates = separator.separate(tones.sum(0)[None], RATE)[0]
    assert module.calls > 3
    power = estimates.square().mean(-1)
    loud = estimates[power > 1e-4]
    assert len(loud) == len(tones)
    similar = (loud @ tones.T).abs()
    assert sorted(similar.argmax(1).tolist()) == list(range(len(tones)))
    error = (loud - tones[similar.argmax(1)])[:, 800:-800]
    assert error.abs().max() < 0.02
    assert (estimates.sum(0) - tones.sum(0))[800:-800].abs().max() < 1e-4


def test_levels_of_the_module_can_be_kept():
    """A faint copy of the mixture would else become a loud one."""

    class Faint(nn.Module):
        def forward(self, mixture):
            return torch.stack((0.99 * mixture, 0.01 * mixture), 1)

    mixture = torch.randn(1, 4000)
    kept = Separator(Faint(), sample_rate=RATE, match_level=False)
    estimates = kept.separate(mixture, RATE)
    torch.testing.assert_close(estimates[:, 1], 0.01 * mixture)
    assert not estimates.is_inference()
    matched = Separator(Faint(), sample_rate=RATE).separate(mixture, RATE)
    torch.testing.assert_close(matched[:, 1], mixture)


@pytest.mark.parametrize("seconds", [3, 20])
def test_only_active_outputs_are_written_the_loudest_first(tmp_path, seconds):
    time = torch.arange(seconds * 16000) / 16000
    weak = 0.05 * torch.sin(2 * torch.pi * 300 * time)
    strong = 0.3 * torch.sin(2 * torch.pi * 2300 * time)
    soundfile.write(tmp_path / "a.wav", (weak + strong).numpy(), 16000)
    separator = Separator(Bands(8), sample_rate=RATE, match_level=False)
    every = separator.separate_file(tmp_path / "a.wav", tmp_path / "every")
    assert len(every) == 8
    paths = separator.separate_file(
        tmp_path / "a.wav", tmp_path / "active", active_only=True
    )
    assert [path.name for path in paths] == ["a_source1.wav", "a_source2.wav"]
    assert sorted(
        path.name for path in (tmp_path / "active").glob("*.wav")
    ) == [*("a_source1.wav", "a_source2.wav")]
    for path, tone in zip(paths, (strong, weak), strict=True):
        written, _ = soundfile.read(path, dtype="float32")
        error = np.abs(written - tone.numpy())[16000:-16000]
        assert error.max() < 0.02


def test_faint_copies_are_not_active_at_matched_levels(tmp_path):
    class Faint(nn.Module):
        def forward(self, mixture):
            return torch.stack((1e-3 * mixture, mixture), 1)

    noise = 0.1 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(tmp_path / "a.wav", noise, RATE, "FLOAT")
    separator = Separator(Faint(), sample_rate=RATE, match_level=True)
    out = tmp_path / "out"
    (path,) = separator.separate_file(tmp_path / "a.wav", out, active_only=True)
    written, _ = soundfile.read(path)
    np.testing.assert_allclose(written, noise, atol=1e-4)


def test_files_of_an_earlier_call_go_and_others_stay(tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(tmp_path / "a[1].wav", noise, RATE)
    out = tmp_path / "out"
    out.mkdir()
    theirs = ["a[1]_source9.wav", "a[1]_source_x.wav", "b_source1.wav"]
    for name in theirs:
        (out / name).write_bytes(b"of the user")
    many = Separator(Bands(4), sample_rate=RATE)
    assert len(many.separate_file(tmp_path / "a[1].wav", out)) == 4
    # the user has changed the last one since
    (out / "a[1]_source4.wav").write_bytes(b"edited")
    few = Separator(Bands(2), sample_rate=RATE)
    paths = few.separate_file(tmp_path / "a[1].wav", out)
    assert len(paths) == 2
    left = sorted(path.name for path in out.glob("*.wav"))
    names = [path.name for path in paths]
    assert left == sorted([*theirs, *names, "a[1]_source4.wav"])
    assert (out / theirs[0]).read_bytes() == b"of the user"
    with pytest.raises(FileExistsError, match="source4.wav is there already"):
        many.separate_file(tmp_path / "a[1].wav", out)
    assert (out / "a[1]_source4.wav").read_bytes() == b"edited"
    assert len(many.separate_file(tmp_path / "a[1].wav", out, overwrite=True))


def test_what_cannot_be_separated_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must be \(batch, time\)"):
        make().separate(torch.zeros(100), RATE)
    broken = torch.zeros(1, 100)
    broken[0, 3] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        make().separate(broken, RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), RATE)
    with pytest.raises(UnusableAudio, match="silent"):
        make().separate_file(tmp_path / "silent.wav", tmp_path)
    with pytest.raises(ValueError, match="must lie between"):
        make(chunk_seconds=1.0, overlap_seconds=1.0)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_folders_in_speechbrains_layout_are_loaded(tmp_path, layout):
    module = write_folder(tmp_path, *LAYOUTS[layout])
    mixture = torch.randn(1, 16000)
    separator = Separator.from_hparams(tmp_path)
    with torch.no_grad():
        expected = module.eval()(mixture)
    found = separator.module(mixture)
    assert torch.allclose(found, expected, atol=1e-6)
    assert separator.separate(mixture, RATE).shape == (1, 2, 16000)


def test_folders_without_what_is_needed_are_refused(tmp_path):
    write_folder(tmp_path, CONV_TASNET.replace("sample_rate: 8000", "a: 1"))
    with pytest.raises(ValueError, match="has no key sample_rate"):
        Separator.from_hparams(tmp_path)
    text = CONV_TASNET + "\nrun: !apply:os.system [true]\n"
    write_folder(tmp_path, text)
    with pytest.raises(RefusedError, match="!apply"):
        Separator.from_hparams(tmp_path)


class Gives(nn.Module):
    """Gives what a function makes of the mixture."""

    def __init__(self, make):
        super().__init__()
        self.make, self.calls = make, 0

    def forward(self, mixture):
        self.calls += 1
        return self.make(mixture[:, None].repeat(1, 2, 1), self.calls)


@pytest.mark.parametrize(
    "make_output",
    [
        pytest.param(lambda x, _: x[..., :-8], id="shorter"),
        pytest.param(lambda x, _: x[..., :0], id="empty"),
        pytest.param(lambda x, _: nn.functional.pad(x, (0, 1)), id="longer"),
        pytest.param(lambda x, _: x[:, :0], id="no-source"),
        pytest.param(lambda x, _: x[:, 0], id="two-axes"),
        pytest.param(lambda x, _: x.transpose(1, 2), id="axes-swapped"),
        pytest.param(lambda x, _: x.repeat(2, 1, 1), id="another-batch"),
        pytest.param(lambda x, n: x.repeat(1, n, 1), id="more-sources-later"),
        pytest.param(lambda x, _: x / 0, id="not-finite"),
        pytest.param(lambda x, _: x + 0j, id="complex"),
        pytest.param(lambda x, _: (x, x), id="a-pair"),
    ],
)
def test_modules_that_give_another_shape(make_output):
    separator = Separator(Gives(make_output), sample_rate=RATE)
    with pytest.raises(ValueError, match="the module gives"):
        separator.separate(tones(15)[1], RATE)
    assert separator.module.calls <= 2
