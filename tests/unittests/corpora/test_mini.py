"""The embedded corpus: what is committed, and what is made from it."""

import csv
import importlib.util
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rooms import reverberation_time

from speechbrain_ext.corpora import mini
from speechbrain_ext.corpora.procedural import (
    EVENT_CLASSES,
    HELD_OUT_KINDS,
    NOISE_KINDS,
)
from speechbrain_ext.dataio.recordings import read_recordings

ROOT = Path(__file__).parents[3]
MEBIBYTE = 2**20
RATE = 16000


@pytest.fixture(scope="module")
def embedded():
    """The rows of the committed manifest."""
    with open(mini.SPEECH / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def sentences():
    """The texts that the speech was made from."""
    path = ROOT / "tools" / "mini_speech" / "sentences.py"
    spec = importlib.util.spec_from_file_location("sentences", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def voices_of(rows, *splits):
    return {row["voice"] for row in rows if row["split"] in splits}


USER_SPLITS = ("user_train", "user_valid", "user_test")


def test_embedded_speech_has_forty_voices_half_of_them_women(embedded):
    sexes = {row["voice"]: row["sex"] for row in embedded}
    assert len(sexes) == 40
    assert Counter(sexes.values()) == {"F": 20, "M": 20}
    for splits in [("train",), ("valid",), ("test",), USER_SPLITS]:
        count = Counter(sexes[voice] for voice in voices_of(embedded, *splits))
        assert count["F"] == count["M"]


def test_embedded_splits_are_disjoint_in_voices(embedded):
    groups = [
        voices_of(embedded, *splits)
        for splits in [("train",), ("valid",), ("test",), USER_SPLITS]
    ]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 40
    assert all(groups)
    for split in USER_SPLITS:
        assert voices_of(embedded, split) == groups[-1]
    assert {row["split"] for row in embedded} == {
        *("train", "valid", "test"),
        *USER_SPLITS,
    }


def test_embedded_voices_speak_enough(embedded):
    seconds = Counter()
    for row in embedded:
        seconds[row["voice"]] += float(row["duration"])
        assert 1.0 < float(row["duration"]) <= 7.0, row["path"]
    users = voices_of(embedded, *USER_SPLITS)
    assert min(seconds[voice] for voice in users) > 180
    assert min(seconds.values()) > 25


def test_embedded_files_are_those_of_the_manifest(embedded):
    listed = {row["path"] for row in embedded}
    there = {
        str(path.relative_to(mini.SPEECH))
        for path in mini.SPEECH.rglob("*")
        if path.is_file()
    }
    assert len(listed) == len(embedded)
    assert there == listed | {"manifest.csv"}
    for row in embedded:
        information = soundfile.info(mini.SPEECH / row["path"])
        assert information.channels == 1
        assert information.duration == pytest.approx(
            float(row["duration"]), abs=0.001
        )
        assert row["licence"].startswith("Apache-2.0")


def test_embedded_speech_is_small():
    sizes = [path.stat().st_size for path in mini.SPEECH.rglob("*")]
    assert sum(sizes) <= 15 * MEBIBYTE


def test_embedded_texts_come_from_the_grammar_or_the_free_sentences(
    embedded, sentences
):
    def plain(text):
        return text.lower().replace(",", "").rstrip(".?")

    training = {plain(text) for text in sentences.TRAINING_FREE_SENTENCES}
    evaluation = {plain(text) for text in sentences.EVALUATION_FREE_SENTENCES}
    vocabulary = set(sentences.vocabulary())
    spoken_by_grammar = 0
    for row in embedded:
        free = evaluation if row["split"] in ("valid", "test") else training
        if row["text"] not in free:
            assert set(row["text"].split()) <= vocabulary, row["path"]
            spoken_by_grammar += 1
    assert 0.5 < spoken_by_grammar / len(embedded) < 0.85


def test_planned_sounds_have_the_promised_numbers():
    sounds = list(mini.plan_sounds())
    assert len({sound.id for sound in sounds}) == len(sounds)
    counts = Counter((sound.kind, sound.split) for sound in sounds)
    assert counts["noise", "train"] == 40
    assert counts["noise", "test"] == 12
    for split, count in {"train": 12, "valid": 4, "test": 4}.items():
        labels = Counter(
            sound.label
            for sound in sounds
            if (sound.kind, sound.split) == ("event", split)
        )
        assert labels == dict.fromkeys(EVENT_CLASSES, count)
    assert [counts["rir", split] for split in ("train", "valid", "test")] == [
        24,
        6,
        6,
    ]


def test_held_out_noise_kinds_are_planned_in_test_only():
    kinds = {
        split: {
            sound.label
            for sound in mini.plan_sounds()
            if (sound.kind, sound.split) == ("noise", split)
        }
        for split in ("train", "valid", "test")
    }
    assert kinds["test"] == set(NOISE_KINDS)
    assert kinds["test"] - kinds["train"] == set(HELD_OUT_KINDS)
    assert kinds["valid"] == kinds["train"]


SMALL_NOISE_KINDS = ["babble", "fan", "hum", "railway"]


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Speech of four voices a split."""
    generator = np.random.default_rng(0)
    speech = tmp_path_factory.mktemp("small") / "mini_speech"
    rows = []
    for split in ("train", "valid", "test"):
        for index in range(4):
            voice = f"{split}{index}"
            (speech / voice).mkdir(parents=True)
            wave = 0.1 * generator.standard_normal(16000)
            path = f"{voice}/00.opus"
            soundfile.write(
                speech / path, wave, 16000, format="OGG", subtype="OPUS"
            )
            sex = "FM"[index % 2]
            rows.append([path, split, voice, sex, "1.0", "ben sold", "free"])
    write_speech_manifest(speech, rows)
    return speech


def make_small(speech, patch):
    """Make the corpus small: few voices, few and short sounds."""
    patch.setattr(mini, "SPEECH", speech)
    patch.setattr(mini, "NOISE_SECONDS", 1.0)
    for name in ("NOISES", "EVENTS", "ROOMS"):
        counts = dict.fromkeys(("train", "valid", "test"), 1)
        patch.setattr(mini, name, counts)
    patch.setattr(mini, "EVENT_CLASSES", ["bell", "knock"])
    patch.setattr(mini, "NOISE_KINDS", SMALL_NOISE_KINDS)


@pytest.fixture(scope="module")
def first(speech):
    """Where the small corpus was prepared."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(speech, patch)
        return mini.prepare(speech.parent / "out").parent


@pytest.fixture
def small(speech, tmp_path, monkeypatch):
    """A folder, while the corpus is small."""
    make_small(speech, monkeypatch)
    return tmp_path


@pytest.fixture
def manifest(first, small):
    """Of the small corpus, in `small / "out"`, where it was prepared."""
    return Path(shutil.copytree(first, small / "out")) / "manifest.csv"


def write_speech_manifest(folder, rows):
    with open(folder / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow("path split voice sex duration text licence".split())
        writer.writerows(rows)


def contents(folder):
    """The bytes of everything but the journal, which knows the time."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "conversion.jsonl"
    }


def changed(before, after):
    """Audio whose bytes differ, as kind/split/name."""
    assert before.keys() == after.keys()
    return {
        path.removeprefix("audio/").removesuffix(".wav")
        for path in before
        if path.startswith("audio/") and before[path] != after[path]
    }


@pytest.mark.slow
def test_prepare_gives_every_kind_in_every_split(small, manifest):
    assert mini.prepare(small / "out") == manifest
    everything = read_recordings(manifest)
    counts = Counter((r.kind, r.split) for r in everything)
    for split in ("train", "valid", "test"):
        noises = 4 if split == "test" else 3  # the railway is held out
        assert counts["speech", split] == 4
        assert counts["noise", split] == noises
        assert counts["event", split] == 2
        assert counts["rir", split] == 1
    for recording in everything:
        information = soundfile.info(recording.path)
        assert information.frames == recording.samples
        assert information.samplerate == recording.sample_rate == RATE
        assert information.channels == 1
        assert (information.format, information.subtype) == ("WAV", "PCM_16")
        assert recording.source == "mini"
        assert bool(recording.speaker) == (recording.kind == "speech")
        assert bool(recording.label) == (recording.kind in ("noise", "event"))
    speech = read_recordings(manifest, kind="speech", split="test")
    assert [r.speaker for r in speech] == [f"test{i}" for i in range(4)]
    assert [r.sex for r in speech] == ["F", "M", "F", "M"]
    assert speech[0].text == "ben sold"
    assert {r.samples for r in read_recordings(manifest, kind="noise")} == {
        RATE
    }


@pytest.mark.slow
def test_prepared_noise_of_splits_does_not_correlate(first):
    waves = [
        soundfile.read(recording.path)[0]
        for recording in read_recordings(first / "manifest.csv", kind="noise")
    ]
    correlations = np.corrcoef(waves) - np.eye(len(waves))
    assert np.abs(correlations).max() < 0.5


@pytest.mark.slow
def test_babble_speaks_with_the_voices_of_its_split(
    first, small, speech, monkeypatch
):
    monkeypatch.setattr(mini, "SPEECH", small / "mini_speech")
    shutil.copytree(speech, mini.SPEECH)
    path = mini.SPEECH / "valid2" / "00.opus"
    wave = soundfile.read(path)[0]
    soundfile.write(path, wave[::-1], 16000, format="OGG", subtype="OPUS")
    after = contents(mini.prepare(small / "out").parent)
    assert changed(contents(first), after) == {
        "speech/valid2/00",
        "noise/valid/babble_00",
    }


@pytest.mark.slow
def test_prepared_rooms_have_the_time_that_their_row_names(first):
    for recording in read_recordings(first / "manifest.csv", kind="rir"):
        response, _ = soundfile.read(recording.path)
        assert np.abs(response).argmax() == 0
        assert response[0] == pytest.approx(0.9, abs=0.001)
        rt60 = float(recording.text.split()[1])
        assert reverberation_time(response, RATE) == pytest.approx(
            rt60, rel=0.12
        )


@pytest.mark.slow
def test_prepare_gives_equal_bytes_for_equal_arguments(first, small):
    second = mini.prepare(small / "b").parent
    assert contents(first) == contents(second)


def test_prepare_a_second_time_touches_nothing(small, manifest, monkeypatch):
    folder = manifest.parent
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.wav")}
    before = contents(folder)
    monkeypatch.setattr(mini, "_make", None)
    mini.prepare(small / "out")
    assert contents(folder) == before
    assert times == {
        path: path.stat().st_mtime_ns for path in folder.rglob("*.wav")
    }


@pytest.mark.slow
def test_prepare_goes_on_where_it_was_interrupted(first, small, monkeypatch):
    whole = contents(first)
    make, made = mini._make, []

    def make_some(sound, *arguments):
        if len(made) == 9:
            raise KeyboardInterrupt
        made.append(sound.id)
        return make(sound, *arguments)

    monkeypatch.setattr(mini, "_make", make_some)
    with pytest.raises(KeyboardInterrupt):
        mini.prepare(small / "cut")
    assert not (small / "cut" / "manifest.csv").exists()
    made_before = set(made)

    made.clear()
    monkeypatch.setattr(
        mini,
        "_make",
        lambda sound, *rest: made.append(sound.id) or make(sound, *rest),
    )
    cut = contents(mini.prepare(small / "cut").parent)
    assert cut == whole
    assert len(made_before) == 9
    assert not made_before & set(made)


@pytest.mark.parametrize("reason", ["a lost file", "another version"])
def test_no_manifest_stands_beside_unfinished_sounds(
    small, manifest, monkeypatch, reason
):
    if reason == "a lost file":
        Path(read_recordings(manifest, kind="noise")[0].path).unlink()
    else:
        monkeypatch.setattr(mini, "_version", lambda: "2")

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(mini, "_make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mini.prepare(small / "out")
    assert not manifest.exists()


@pytest.mark.slow
def test_another_seed_is_another_folder(small, manifest):
    folder = manifest.parent
    before = contents(folder)
    with pytest.raises(ValueError, match="from seed=0; now it is seed=1"):
        mini.prepare(small / "out", seed=1)
    assert contents(folder) == before
    other = contents(mini.prepare(small / "other", seed=1).parent)
    sounds = {sound.id for sound in mini.plan_sounds()}
    assert changed(before, other) == sounds


@pytest.mark.slow
def test_another_sample_rate_is_another_folder(small):
    manifest = mini.prepare(small / "out", sample_rate=8000)
    with pytest.raises(ValueError, match="sample_rate=8000; now it is"):
        mini.prepare(small / "out", sample_rate=16000)
    for recording in read_recordings(manifest):
        assert soundfile.info(recording.path).samplerate == 8000


@pytest.mark.slow
def test_sounds_of_another_version_are_made_again(
    small, manifest, monkeypatch, caplog
):
    folder = manifest.parent
    before = contents(folder)
    monkeypatch.setattr(mini, "_version", lambda: "2")
    make = mini._make
    monkeypatch.setattr(mini, "_make", lambda *given: 0.5 * make(*given))
    mini.prepare(small / "out")
    sounds = {sound.id for sound in mini.plan_sounds()}
    assert changed(before, contents(folder)) == sounds
    assert "made by another version of the code" in caplog.text


def test_a_sound_that_was_replaced_is_made_again(small, manifest, caplog):
    folder = manifest.parent
    before = contents(folder)
    path = folder / "audio/noise/train/fan_00.wav"
    soundfile.write(path, np.full(RATE, 0.25), RATE)
    mini.prepare(small / "out")
    assert contents(folder) == before
    assert "fan_00.wav is not as it was prepared" in caplog.text


def test_prepare_errors(small, monkeypatch):
    with pytest.raises(ValueError, match="sample_rate is 2000; it must be at"):
        mini.prepare(small / "out", sample_rate=2000)
    monkeypatch.setattr(mini, "SPEECH", small / "nowhere")
    with pytest.raises(
        FileNotFoundError, match="nowhere/manifest.csv; install"
    ):
        mini.prepare(small / "out")
    assert not (small / "out").exists()
