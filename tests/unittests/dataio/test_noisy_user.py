"""Noises for different purposes, and simulated users."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ext.dataio import (
    Recording,
    divide_noises,
    draw_noise,
    find_references,
    read_references,
    simulate_user,
)
from speechbrain_ext.dataio.noisy_user import check_speech, read_noises


def noise(number, label="", source="a"):
    name = f"{source}{label}{number}"
    return Recording(
        name, f"/{name}", 9, 8000, "noise", "train", label=label, source=source
    )


def test_roles_have_no_noise_in_common():
    noises = [noise(n, label) for label in ("rain", "sea") for n in range(6)]
    roles = {"predictor": None, "user": None, "injected": None}
    divided = divide_noises(noises, roles)
    taken = [found.id for part in divided.values() for found in part]
    assert sorted(taken) == sorted(found.id for found in noises)
    for part in divided.values():
        assert sorted(n.label for n in part) == ["rain", "rain", "sea", "sea"]
    assert divide_noises(noises[::-1], roles) == divided


def test_roles_of_a_source_of_their_own_share_it_with_none():
    noises = [noise(n, source=s) for s in "ab" for n in range(4)]
    roles = {"predictor": "a", "user": "a", "injected": "b"}
    divided = divide_noises(noises, roles)
    assert [len(divided[role]) for role in roles] == [2, 2, 4]
    assert {n.source for n in divided["injected"]} == {"b"}
    with pytest.raises(ValueError, match="too few noises for user: .*source c"):
        divide_noises(noises, {"user": "c"})
    with pytest.raises(ValueError, match="shares it with user, injected"):
        divide_noises(noises[:1], {"user": None, "injected": None})


@pytest.fixture
def sounds(write):
    generator = np.random.default_rng(0)
    speech = [
        write(f"speech/u/{n}".replace("/", "_"), x, speaker="u")
        for n, x in enumerate(0.3 * generator.standard_normal((4, 4000)))
    ]
    noises = [
        write(f"noise{n}", 0.1 * generator.standard_normal(m), kind="noise")
        for n, m in enumerate((1500, 9000))
    ]
    return speech, noises


def test_a_user_is_the_same_every_time(sounds, tmp_path):
    manifests = [
        simulate_user(*sounds, tmp_path / name, snr_db=[0, 10], seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    first, again, other = (
        [found.mixture for found in find_references(m, split="train")]
        for m in manifests
    )
    for one, two, three in zip(first, again, other, strict=True):
        samples = [soundfile.read(r.path)[0] for r in (one, two, three)]
        assert np.array_equal(samples[0], samples[1])
        assert not np.array_equal(samples[0], samples[2])
        assert one.speaker == "u" and one.kind == "mixture"
    ratios = []
    for found in find_references(manifests[0], split="train"):
        assert [r.kind for r in found.references] == ["noise", "speech"]
        around, clean = read_references(found)
        mixture, _ = soundfile.read(found.mixture.path, dtype="float32")
        assert np.abs(mixture - (around + clean).numpy()).max() < 1e-4
        ratio = 10 * (clean.square().mean() / around.square().mean()).log10()
        ratios.append(float(ratio))
    assert 0 <= min(ratios) < max(ratios) <= 10


def test_loud_recordings_do_not_clip(write, tmp_path):
    generator = np.random.default_rng(0)
    speech = write("loud", np.clip(generator.standard_normal(4000), -0.9, 0.9))
    around = write("noise", 0.5 * generator.standard_normal(4000), kind="noise")
    manifest = simulate_user(
        [speech], [around], tmp_path / "user", snr_db=[0, 0], seed=0
    )
    (found,) = find_references(manifest, split="train")
    mixture, _ = soundfile.read(found.mixture.path)
    assert np.abs(mixture).max() == pytest.approx(0.99, abs=1e-3)
    around, clean = read_references(found)
    assert np.abs(mixture - (around + clean).numpy()).max() < 1e-4


def test_pieces_of_noise_are_not_silent(write):
    half = np.concatenate((np.zeros(7990), 0.5 * np.ones(10)))
    quiet = write("half", half, kind="noise")
    for seed in range(20):
        piece = draw_noise([quiet], 100, np.random.default_rng(seed))
        assert piece.any() and len(piece) == 100
    assert len(draw_noise([quiet], 20000, np.random.default_rng(0))) == 20000


def test_nothing_to_simulate_with(sounds, tmp_path):
    with pytest.raises(ValueError, match="there is no noise to simulate"):
        simulate_user(sounds[0], [], tmp_path, snr_db=[0, 1], seed=0)


def test_a_user_is_made_anew_where_files_are_damaged(sounds, tmp_path):
    options = {"snr_db": [0, 10], "seed": 1}
    simulate_user(*sounds, tmp_path / "u", **options)
    files = sorted((tmp_path / "u" / "audio").rglob("*.wav"))
    before = [f.read_bytes() for f in files]
    assert len(files) == 12
    files[3].write_bytes(b"damaged")
    simulate_user(*sounds, tmp_path / "u", **options)
    assert [f.read_bytes() for f in files] == before


def test_names_of_a_table_do_not_lead_outside(sounds, tmp_path):
    """Nor do spreadsheets run what they hold."""
    speech, noises = sounds
    bad = replace(speech[0], id="speech/../../../taken", speaker="=1+1")
    table = simulate_user([bad], noises, tmp_path / "u", snr_db=[0, 1], seed=0)
    assert not list(tmp_path.rglob("taken*"))
    assert ",=1+1" not in (tmp_path / "u/manifest.csv").read_text()
    (found,) = find_references(table, split="train")
    assert found.mixture.speaker == "=1+1"


def table_of(rows, path):
    """Write a table of recordings."""
    columns = "ID,wav,samples,sample_rate,kind,split,label,source\n"
    path.write_text(columns + "".join(f"{row}\n" for row in rows))
    return path


def test_noises_of_every_purpose_are_disjoint(tmp_path):
    table = table_of(
        [
            f"{split}{n},{split}{n}.wav,9,8,noise,{split},rain,"
            for split in ("train", "test")
            for n in range(7)
        ]
        + ["b,b.wav,9,8,noise,train,babble,"],
        tmp_path / "table.csv",
    )
    options = {
        "tables": {"train": table, "test": table},
        "splits": {"train": "train", "test": "test"},
        "labels_dropped": ["babble"],
        "sources": dict.fromkeys(("predictor", "user", "test")),
    }
    found = [
        {noise.id for noise in read_noises(part, purpose, **options)}
        for part, purpose in (
            ("train", "predictor"),
            ("train", "user"),
            ("test", "test"),
        )
    ]
    assert [len(names) for names in found] == [4, 3, 7]
    assert len(set().union(*found)) == 14
    options["sources"]["user"] = "MUSAN"
    with pytest.raises(ValueError, match="split 'train': there are too few"):
        read_noises("train", "user", **options)


class Deaf(torch.nn.Module):
    """Finds speech in a ratio of the frames."""

    def __init__(self, ratio):
        super().__init__()
        self.ratio = ratio

    def forward(self, noisy):
        levels = torch.full((1, 100), -5.0)
        levels[:, : round(100 * self.ratio)] = 5.0
        return levels


@pytest.mark.parametrize(
    "ratio, warned", [(0.2, True), (0.5, False)], ids=["little", "much"]
)
def test_little_speech_is_told(sounds, caplog, ratio, warned):
    with caplog.at_level("INFO"):
        check_speech(sounds[0], Deaf(ratio))
    assert f"In {100 * ratio:.0f} % of the frames" in caplog.text
    assert ("That is little" in caplog.text) == warned


def test_recordings_without_speech_are_refused(sounds, caplog):
    with pytest.raises(ValueError, match=r"hold no speech: in 5.0 %"):
        check_speech(sounds[0], Deaf(0.05))
    check_speech(sounds[0], None)
    assert "was not checked" in caplog.text
