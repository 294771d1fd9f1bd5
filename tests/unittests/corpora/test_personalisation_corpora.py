"""FSD50K, MUSAN, users of LibriSpeech and one's own, on tiny trees."""

from collections import Counter

import numpy as np
import pytest
import soundfile
from trees import make_fsd50k, make_librispeech, make_musan, write_voice

from speechbrain_ext.corpora import fsd50k, librispeech_users, musan, user
from speechbrain_ext.dataio.recordings import read_recordings

LABELS = {
    "train": ["Rain,Water", "Male_speech_and_man_speaking,Speech", "Engine"],
    "val": ["Guitar,Musical_instrument,Music", "Rain,Water"],
    "eval": ["Wind", "Singing,Human_voice"],
}
SUBSET = "train-clean-100"


def test_fsd50k_without_speech_and_music(tmp_path):
    root = make_fsd50k(tmp_path / "fsd", LABELS)
    rows = read_recordings(fsd50k.prepare(root, tmp_path / "out"))
    assert [(row.id, row.split, row.label) for row in rows] == [
        ("noise/fsd50k_dev/101", "train", "Rain"),
        ("noise/fsd50k_dev/103", "train", "Engine"),
        ("noise/fsd50k_dev/105", "valid", "Rain"),
        ("noise/fsd50k_eval/106", "test", "Wind"),
    ]
    assert {row.source for row in rows} == {"FSD50K"}
    every = fsd50k.prepare(root, tmp_path / "all", dropped=(), kind="event")
    assert len(read_recordings(every, kind="event")) == 7


def test_fsd50k_needs_its_parts(tmp_path):
    root = make_fsd50k(tmp_path / "fsd", LABELS)
    table = root / "FSD50K.ground_truth/dev.csv"
    text = table.read_text()
    table.write_text(text.replace(",train\n", ",trian\n", 1))
    with pytest.raises(ValueError, match="clip 101 has the split 'trian'"):
        fsd50k.prepare(root, tmp_path / "out")
    table.write_text(text.replace("labels", "names", 1))
    with pytest.raises(ValueError, match="has no column 'labels'"):
        fsd50k.prepare(root, tmp_path / "out")
    table.unlink()
    with pytest.raises(FileNotFoundError, match="fsd50k_folder: .*dev.csv"):
        fsd50k.prepare(root, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="FSD50K.dev_audio"):
        fsd50k.prepare(tmp_path, tmp_path / "out")


def test_musan_tests_on_the_other_collection(tmp_path):
    make_musan(tmp_path / "musan", files=5)
    rows = read_recordings(musan.prepare(tmp_path, tmp_path / "out"))
    assert Counter((row.source, row.split) for row in rows) == {
        ("MUSAN free-sound", "train"): 4,
        ("MUSAN free-sound", "valid"): 1,
        ("MUSAN sound-bible", "test"): 5,
    }


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    speakers = {SUBSET: ["19", "26", "103", "104", "105"]}
    make_librispeech(folder / "libri", speakers, utterances=6, seconds=3.1)
    make_fsd50k(folder / "fsd", LABELS)
    make_musan(folder / "musan")
    return [folder / name for name in ("libri", "fsd", "musan")]


def test_users_are_kept_apart(tmp_path, trees):
    options = {
        "users": ["19", "26"],
        "validation_speakers": 1,
        "user_seconds": 6.0,
    }
    manifest = librispeech_users.prepare(*trees, tmp_path / "a", **options)
    rows = read_recordings(manifest, kind="speech")
    found = Counter((row.speaker, row.split) for row in rows)
    for name in ("19", "26"):
        assert found[name, "user_test"] == found[name, "user_valid"] == 2
        assert found[name, "user_train"] == 2
    by_split = Counter(row.split for row in rows)
    assert by_split["train"] == 12 and by_split["valid"] == 6
    again = librispeech_users.prepare(*trees, tmp_path / "b", **options)
    assert [(r.id, r.split) for r in read_recordings(again)] == [
        (r.id, r.split) for r in read_recordings(manifest)
    ]
    noises = Counter(r.source for r in read_recordings(manifest, kind="noise"))
    assert noises == {
        "FSD50K": 4,
        "MUSAN free-sound": 4,
        "MUSAN sound-bible": 4,
    }


@pytest.mark.parametrize(
    "options, message",
    [
        ({"users": ["19", "7"]}, "users: 7 are no speakers"),
        (
            {"users": ["19"], "validation_speakers": 4},
            "there are 4 speakers, and one at least",
        ),
        (
            {"users": ["19"], "validation_speakers": 1},
            "leave none to train on. Make user_seconds smaller",
        ),
    ],
)
def test_users_that_do_not_do(tmp_path, trees, options, message):
    with pytest.raises(ValueError, match=message):
        librispeech_users.prepare(*trees, tmp_path, **options)


def test_the_paper_has_20_users():
    assert len(set(librispeech_users.USERS)) == 20


def test_a_user_is_recordings_and_noises(tmp_path):
    for number in range(5):
        write_voice(tmp_path / f"in/day/{number}.flac", rate=44100)
    write_voice(tmp_path / "noise/train/a.wav")
    rows = read_recordings(
        user.prepare(
            tmp_path / "in", tmp_path / "out", noise_folder=tmp_path / "noise"
        )
    )
    found = Counter((row.kind, row.split) for row in rows)
    assert found == {
        ("mixture", "user_train"): 3,
        ("mixture", "user_valid"): 1,
        ("mixture", "user_test"): 1,
        ("noise", "train"): 1,
    }


def test_a_users_own_splits_are_kept(tmp_path):
    for split in ("train", "valid", "test"):
        write_voice(tmp_path / f"in/{split}/a.wav")
    write_voice(tmp_path / "noise/a.wav")
    paths = [tmp_path / "in", tmp_path / "out"]
    rows = read_recordings(
        user.prepare(*paths, noise_folder=tmp_path / "noise")
    )
    splits = [row.split for row in rows if row.kind == "mixture"]
    assert sorted(splits) == ["user_test", "user_train", "user_valid"]
    soundfile.write(tmp_path / "in/valid/a.wav", np.zeros(16000), 16000)
    with pytest.raises(ValueError, match="of the split user_valid is usable"):
        user.prepare(*paths, noise_folder=tmp_path / "noise")


def test_too_little_of_a_user_is_told(tmp_path):
    write_voice(tmp_path / "in/a.wav")
    with pytest.raises(ValueError, match=r"holds 1 recording; .*ffmpeg -i a"):
        user.prepare(tmp_path / "in", tmp_path / "out")
    for name in "abc":
        soundfile.write(tmp_path / f"in/{name}.wav", np.zeros(16000), 16000)
    write_voice(tmp_path / "noise/a.wav")
    with pytest.raises(ValueError, match="none of the 3 mixture files .*silen"):
        user.prepare(
            tmp_path / "in", tmp_path / "out", noise_folder=tmp_path / "noise"
        )


def test_a_second_user_needs_another_folder(tmp_path):
    """A second user's run replaced what the first one was training on."""
    write_voice(tmp_path / "noise/a.wav")
    for name in ("ann", "bob"):
        for number in range(3):
            write_voice(tmp_path / name / f"{number}.flac")
    options = {"noise_folder": tmp_path / "noise", "sample_rate": 8000}
    manifest = user.prepare(tmp_path / "ann", tmp_path / "out", **options)
    before = {p: p.stat().st_mtime_ns for p in manifest.parent.rglob("*")}
    with pytest.raises(ValueError, match="ann'; now it is data_folder='.*bob"):
        user.prepare(tmp_path / "bob", tmp_path / "out", **options)
    with pytest.raises(ValueError, match="noise'; now it is noise_folder=None"):
        user.prepare(tmp_path / "ann", tmp_path / "out", sample_rate=8000)
    after = {p: p.stat().st_mtime_ns for p in manifest.parent.rglob("*")}
    assert after == before


def test_a_users_tree_that_lacks_a_split_is_told(tmp_path):
    for name in ("train/a", "train/b", "dev/c"):
        write_voice(tmp_path / f"in/{name}.wav")
    write_voice(tmp_path / "noise/a.wav")
    with pytest.raises(ValueError, match="and none for test; add it, or give"):
        user.prepare(
            tmp_path / "in", tmp_path / "out", noise_folder=tmp_path / "noise"
        )


def test_what_fsd50k_tells_of_strange_clips(tmp_path, caplog):
    """A name that leads elsewhere, a clip told twice, a row too long."""
    root = make_fsd50k(tmp_path / "fsd", LABELS)
    expected = read_recordings(fsd50k.prepare(root, tmp_path / "out"))
    table = root / "FSD50K.ground_truth/dev.csv"
    text = table.read_text()
    first = text.splitlines()[1]
    row = first.replace("101", "../../../fsd/x", 1)
    table.write_text(f"{text}{first}\n{row}\n{first},more,cells\n")
    rows = read_recordings(fsd50k.prepare(root, tmp_path / "other"))
    assert [row.id for row in rows] == [row.id for row in expected]
    listed = (tmp_path / "other/skipped.csv").read_text()
    assert "is listed twice" in listed and "fsd/x.wav" in listed
    assert "left out: line" in caplog.text
