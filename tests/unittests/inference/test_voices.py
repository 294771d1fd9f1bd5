"""Who speaks in which output, and how many there are."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from speechbrain_ext.commands.program import main
from speechbrain_ext.inference import Separator
from speechbrain_ext.inference import voices as voices_module
from speechbrain_ext.inference.chunking import Signal, separate_signals
from speechbrain_ext.inference.talkers import Activity
from speechbrain_ext.inference.voices import Cepstra, Voices

RATE = 8000


def voice(seconds, formant, seed=0):
    """Noise with a resonance that wanders about, which is its voice."""
    generator = np.random.default_rng(seed)
    samples = generator.standard_normal(int(seconds * RATE))
    spectrum = np.fft.rfft(samples)
    hertz = np.linspace(0, RATE / 2, len(spectrum))
    spectrum *= 1 / (1 + ((hertz - formant) / 200) ** 2)
    samples = np.fft.irfft(spectrum, len(samples))
    swell = 1 + 0.5 * np.sin(np.arange(len(samples)) / 700)
    return (0.1 * swell * samples / samples.std()).astype(np.float32)


def talk(turns, formants=(500, 1500)):
    """Sources (2, time) of turns: who speaks (2: nobody), for how long."""
    time = sum(seconds for _, seconds in turns)
    sources, start = np.zeros((len(formants), int(time * RATE))), 0
    for number, (who, seconds) in enumerate(turns):
        end = start + int(seconds * RATE)
        if who < len(formants):
            said = voice(seconds, formants[who], number)
            sources[who, start:end] = said
        start = end
    return torch.from_numpy(sources).float()


TURNS = [(0, 4), (1, 4), (2, 5), (1, 3), (0, 3), (2, 4), (1, 5), (2, 6), (0, 5)]


def separated(sources, told, seed=1, split=None):
    """Outputs in another order in every chunk, joined."""
    random = np.random.default_rng(seed)
    # silence is the same in both, which tells nothing
    torch.manual_seed(seed)
    noise = 1e-4 * torch.randn(sources.shape[1])
    outputs = sources + 0.2 * sources.flip(0) + noise

    def module(places):
        first = int(places[0, 0])
        order = random.permutation(len(outputs)).tolist()
        return outputs[order, first : first + places.shape[1]][None]

    places = torch.arange(sources.shape[1]).float()[None]
    blocks = [places] if split is None else places.split(split, 1)
    parts = []
    signal = Signal(blocks, lambda _, x: parts.append(x[0]), told and RATE)
    options = {"length": 4 * RATE, "overlap": RATE}
    assert list(separate_signals([signal], module, **options)) == [signal]
    assert signal.error is None
    return torch.cat(parts, -1)


def wrong(sources, outputs):
    """Share of the energy that is in the other output."""
    products = sources[:, None] * outputs
    right = products[0, 0] + products[1, 1]
    other = products[0, 1] + products[1, 0]
    hops = (right - other).unfold(0, 800, 800).sum(1)
    hops = hops[hops.abs() > 1e-3]
    share = (hops < 0).float().mean().item()
    return min(share, 1 - share)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_voices_stay_in_their_outputs_across_silence(seed):
    sources = talk(TURNS)
    assert wrong(sources, separated(sources, True, seed)) == 0


def test_without_voices_chance_decides():
    sources = talk(TURNS)
    shares = [wrong(sources, separated(sources, None, n)) for n in range(6)]
    assert max(shares) > 0.1


def test_blocks_give_what_the_whole_gives():
    sources = talk(TURNS)
    whole = separated(sources, True)
    assert torch.equal(separated(sources, True, split=1000), whole)


def test_embeddings_tell_voices():
    """With the extra `voices`."""
    if find_spec("resemblyzer") is None:
        pytest.skip("pip install '.[voices]'")
    describe = voices_module.find_describer(RATE)
    assert isinstance(describe, voices_module.Embeddings)
    first, second = Voices(RATE, describe).listen(talk([(0, 4), (1, 4)]))
    again, _ = Voices(RATE, describe).listen(talk([(2, 4), (0, 4)]))
    assert describe.weight(first) > 2
    assert describe.distance(first, again) < describe.distance(second, again)


def test_what_is_undecided_is_bounded(monkeypatch):
    """Voices that cannot be told keep no more than is allowed."""
    monkeypatch.setattr(voices_module, "PATIENCE_SECONDS", 6.0)
    same = talk([(2, 3)] + [(0, 4), (1, 4)] * 8, formants=(900, 900))
    same[:, : 3 * RATE] = 0
    held = most = 0

    def blocks():
        nonlocal held
        for block in torch.arange(same.shape[1]).float()[None].split(RATE, 1):
            held += block.shape[1]
            yield block

    def take(mixture, _):
        nonlocal held, most
        most = max(most, held)
        held -= mixture.shape[1]

    def module(places):
        first = int(places[0, 0])
        return same[None, :, first : first + places.shape[1]]

    signal = Signal(blocks(), take, RATE)
    options = {"length": 4 * RATE, "overlap": RATE}
    assert list(separate_signals([signal], module, **options)) == [signal]
    assert held == 0 and most <= (6 + 3 * 4 + 1) * RATE


def test_a_stretch_tells_an_order_or_not():
    voices = Voices(RATE, Cepstra(RATE))
    sources = talk([(0, 2), (1, 2)])
    voices.listen(sources)
    assert voices.orders(sources.flip(0), sources) == [(1, 0)]
    faint = 1e-4 * torch.randn(2, RATE)
    assert len(voices.orders(faint, faint.flip(0))) == 2
    one_voice_in_both = sources[:1].expand(2, -1)
    assert len(voices.orders(one_voice_in_both, one_voice_in_both)) == 2


def test_only_orders_that_the_stretch_allows_are_tried():
    """Of three outputs, the one that speaks there keeps its place."""
    voices = Voices(RATE, Cepstra(RATE))
    silent = torch.zeros(2, 2 * RATE)
    before = torch.cat((talk([(0, 2)])[:1], silent))
    voices.listen(before)
    assert sorted(voices.orders(before.roll(1, 0), before)) == [
        (1, 0, 2),
        (1, 2, 0),
    ]


# How many talkers -----------------------------------------------------------


def active(sources, hops=1):
    activity = Activity(RATE)
    for block in sources.tensor_split(hops, 1):
        activity.add(block)
    return activity, activity.find()


@pytest.mark.parametrize("parts", [1, 7])
def test_talkers_are_counted_and_timed(parts):
    sources = talk([(0, 4), (2, 2), (1, 4), (0, 3)])
    outputs = sources + 0.2 * sources.flip(0)
    activity, found = active(outputs, parts)
    # who spoke before goes on in silence
    (first, again), (second,) = map(activity.intervals, found)
    assert first == pytest.approx((0, 6), abs=0.4)
    assert second == pytest.approx((6, 10), abs=0.4)
    assert again == pytest.approx((10, 13), abs=0.4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_number_of_talkers(count):
    turns = [(n % count, 2) for n in range(6)]
    sources = talk(turns, formants=(400, 1200, 2200))
    outputs = sources + 0.2 * (sources.sum(0) - sources)
    assert active(outputs)[1].any(1).sum() == count


def test_two_who_speak_at_once_are_both_active():
    sources = torch.stack(
        [torch.from_numpy(voice(5, f, f)) for f in (500, 1500)]
    )
    assert active(sources)[1].all()


@pytest.mark.parametrize("time", [9, 800, 4001])
def test_short_recordings_have_a_talker(time):
    sources = torch.stack((torch.ones(time), torch.zeros(time)))
    assert active(sources)[1].any(1).tolist() == [True, False]
    assert active(0 * sources)[1].any(1).sum() == 1


class LowAndHigh(nn.Module):
    """Splits at 1 kHz, not quite."""

    num_sources = 2

    def forward(self, mixture):
        spectrum = torch.fft.rfft(mixture)
        hertz = torch.linspace(0, RATE / 2, spectrum.shape[1])
        share = 0.15 + 0.7 * (hertz < 1000)
        low = torch.fft.irfft(spectrum * share, mixture.shape[1])
        return torch.stack((low, mixture - low), 1)


def test_where_one_speaks_alone_nothing_is_separated(tmp_path):
    sources = talk([(0, 5), (1, 5)], formants=(300, 2500))
    mixture = sources.sum(0)
    soundfile.write(tmp_path / "a.wav", mixture.numpy(), RATE, "FLOAT")
    separator = Separator(LowAndHigh(), sample_rate=RATE, match_level=False)
    paths = separator.separate_file(
        tmp_path / "a.wav", tmp_path, talkers="auto"
    )
    first, second = (soundfile.read(path, dtype="float32")[0] for path in paths)
    middle = 5 * RATE
    for output, own, other in (
        (first, slice(0, middle - RATE), slice(middle + RATE, None)),
        (second, slice(middle + RATE, None), slice(0, middle - RATE)),
    ):
        expected = mixture[own].numpy()
        np.testing.assert_allclose(output[own], expected, atol=1e-5)
        assert not output[other].any()
    # nothing is lost, and nothing clicks
    np.testing.assert_allclose(first + second, mixture.numpy(), atol=1e-5)


@pytest.mark.parametrize("seconds", [0.02, 2.0], ids=["short", "longer"])
def test_the_command_tells_talkers(tmp_path, say, models, capsys, seconds):
    say(tmp_path / "a.wav", seconds=seconds)
    words = ["separate", tmp_path / "a.wav", "--model", models / "separator"]
    words += ["--out", tmp_path / "out", "--talkers", "auto"]
    main([*map(str, words), "--json", str(tmp_path / "t.json")])
    assert "talker" in capsys.readouterr().out
    rows = json.loads((tmp_path / "t.json").read_text())
    assert len(rows) == 2
    assert {row["talkers"] for row in rows} == {
        sum(bool(row["speaks"]) for row in rows)
    }
    for row in rows:
        for start, end in row["speaks"]:
            assert 0 <= start < end <= 2


def loud_and_silent(separator, mixtures):
    """Three outputs of four hold next to nothing."""
    weights = torch.tensor([1, 1e-3, 1e-3, 1e-3])
    return mixtures[:, None] * weights[:, None]


def test_outputs_that_are_left_out_are_told(tmp_path, say, capsys, monkeypatch):
    # all but a tone is silent
    monkeypatch.setattr(Separator, "_separate", loud_and_silent)
    say(tmp_path / "a.wav")
    words = ["separate", tmp_path / "a.wav", "--model", "sound_separator"]
    words += ["--out", tmp_path / "out"]
    main([*map(str, words), "--active-only"])
    said = capsys.readouterr().out
    assert [p.name for p in (tmp_path / "out").glob("*.wav")] == [
        "a_source1.wav"
    ]
    assert "3 of 4 outputs are silent" in said


def test_sounds_are_no_talkers(tmp_path, say, capsys):
    say(tmp_path / "a.wav")
    words = ["separate", tmp_path / "a.wav", "--model", "sound_separator"]
    words += ["--out", tmp_path / "out", "--talkers", "auto"]
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, words)))
    assert stopped.value.code == 1
    assert "4 outputs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
