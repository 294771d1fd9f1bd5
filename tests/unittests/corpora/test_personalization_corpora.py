"""Users of LibriSpeech with noises, and one's own recordings, on tiny trees."""

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from checkout import ROOT
from trees import make_fsd50k, make_librispeech, make_musan, write_voice

from speechbrain_ext.corpora import user
from speechbrain_ext.dataio.recordings import read_recordings

RECIPE = ROOT / "recipes/LibriSpeech/personalized_enhancement"
SPEC = importlib.util.spec_from_file_location(
    "librispeech_users_prepare", RECIPE / "librispeech_users_prepare.py"
)
SCRIPT = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(SCRIPT)
prepare = SCRIPT.prepare_librispeech_users
LABELS = {
    "train": ["Rain,Water", "Male_speech_and_man_speaking,Speech", "Engine"],
    "val": ["Guitar,Musical_instrument,Music", "Rain,Water"],
    "eval": ["Wind", "Singing,Human_voice"],
}
SUBSET = "train-clean-100"


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    speakers = {SUBSET: ["19", "26", "103", "104", "105"]}
    make_librispeech(folder / "libri", speakers, utterances=6, seconds=3.1)
    make_fsd50k(folder / "fsd", LABELS)
    make_musan(folder / "musan")
    return [folder / name for name in ("libri", "fsd", "musan")]


OPTIONS = {
    "users": ["19", "26"],
    "validation_speakers": 1,
    "user_seconds": 6.0,
    "sample_rate": 16000,
}


def read(paths, root):
    """The recordings of the tables, by the name of the table."""
    return {Path(path).stem: read_recordings(path, root=root) for path in paths}


@pytest.mark.slow
def test_users_are_kept_apart(tmp_path, trees):
    libri, fsd, musan = trees
    paths = prepare(libri, fsd, musan, tmp_path / "a", **OPTIONS)
    tables = read(paths, libri)
    found = Counter((row.speaker, row.split) for row in tables["users"])
    for name in ("19", "26"):
        assert found[name, "user_test"] == found[name, "user_valid"] == 2
        assert found[name, "user_train"] == 2
    assert len(tables["train"]) == 12 and len(tables["valid"]) == 6
    speakers = [
        {row.speaker for row in tables[name]}
        for name in ("train", "valid", "users")
    ]
    assert len(set().union(*speakers)) == sum(map(len, speakers)) == 5
    # LibriSpeech is read where it is
    assert Path(tables["train"][0].path).is_relative_to(libri)
    assert tables["train"][0].samples == round(3.1 * 16000)
    again = prepare(libri, fsd, musan, tmp_path / "b", **OPTIONS)
    for one, other in zip(paths, again, strict=True):
        assert Path(one).read_bytes() == Path(other).read_bytes()


@pytest.mark.slow
def test_noises_are_those_without_speech_and_music(tmp_path, trees):
    libri, fsd, musan = trees
    tables = read(prepare(libri, fsd, musan, tmp_path, **OPTIONS), libri)
    found = {
        (row.source, row.label, name.partition("_")[2])
        for name, rows in tables.items()
        for row in rows
        if row.source == "FSD50K"
    }
    assert found == {
        ("FSD50K", "Rain", "train"),
        ("FSD50K", "Engine", "train"),
        ("FSD50K", "Rain", "valid"),
        ("FSD50K", "Wind", "test"),
    }
    counts = {
        split: Counter(row.source for row in tables[f"noise_{split}"])
        for split in ("train", "valid", "test")
    }
    assert counts["train"]["MUSAN free-sound"] == 3
    assert counts["valid"]["MUSAN free-sound"] == 1
    assert counts["test"] == {"MUSAN sound-bible": 4, "FSD50K": 1}
    # clips of 44.1 kHz are copied at the rate of all others
    assert {row.sample_rate for rows in tables.values() for row in rows} == {
        16000
    }


def test_what_is_strange_in_fsd50k_is_left_out(tmp_path, trees, caplog):
    """A clip told twice, a name that leads elsewhere, a damaged file."""
    libri, _, musan = trees
    fsd = make_fsd50k(tmp_path / "fsd", LABELS)
    table = fsd / "FSD50K.ground_truth/dev.csv"
    text = table.read_text()
    first = text.splitlines()[1]
    row = first.replace("101", "../../../fsd/x", 1)
    table.write_text(f"{text}{first}\n{row}\n")
    (fsd / "FSD50K.dev_audio/103.wav").write_bytes(b"damaged")
    tables = read(prepare(libri, fsd, musan, tmp_path / "a", **OPTIONS), libri)
    found = [r.id for r in tables["noise_train"] if r.source == "FSD50K"]
    assert found == ["noise/fsd50k_dev/101"]
    assert "103.wav is left out" in caplog.text
    table.write_text(text.replace(",train\n", ",trian\n", 1))
    with pytest.raises(ValueError, match="clip 101 has the split 'trian'"):
        prepare(libri, fsd, musan, tmp_path / "b", **OPTIONS)


def test_a_preparation_resumes_and_can_be_skipped(tmp_path, trees):
    options = {**OPTIONS, "sample_rate": 8000}
    paths = prepare(*trees, tmp_path, **options)
    copies = sorted((tmp_path / "audio").rglob("*.wav"))
    before = [copy.stat().st_mtime_ns for copy in copies]
    tables = [Path(path).read_bytes() for path in paths]
    assert prepare(*trees, tmp_path, **options) == paths
    assert [copy.stat().st_mtime_ns for copy in copies] == before
    assert [Path(path).read_bytes() for path in paths] == tables
    # speech of another rate is copied, too
    row = read(paths, trees[0])["users"][0]
    assert row.sample_rate == soundfile.info(row.path).samplerate == 8000
    nothing = ["/nowhere"] * 3
    assert prepare(*nothing, tmp_path, skip_prep=True) == paths
    with pytest.raises(FileNotFoundError, match="data_folder: there is no"):
        prepare(*nothing, tmp_path)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"users": ["19", "7"]}, "users: 7 are no speakers"),
        ({"validation_speakers": 3}, "there are 3 speakers, and at least"),
        ({"user_seconds": 60}, "leave none to train on. Make user_seconds"),
    ],
    ids=["stranger", "few_speakers", "short"],
)
def test_users_that_do_not_do(tmp_path, trees, options, message):
    with pytest.raises(ValueError, match=message):
        prepare(*trees, tmp_path, **{**OPTIONS, **options})


def test_the_paper_has_20_users():
    assert len(set(SCRIPT.USERS)) == 20


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
