"""LibriSpeech and noise as tables of recordings."""

import importlib.util

import pytest
from checkout import ROOT
from trees import make_librispeech, write_noise

from speechbrain_ext.dataio import read_recordings

PATH = ROOT / "recipes/LibriSpeech/robust_asr/noisy_librispeech_prepare.py"
SUBSETS = {"train-clean-100": ["19", "26"], "dev-clean": ["84"]}
SUBSETS["test-clean"] = ["61"]


@pytest.fixture(scope="module")
def prepare():
    spec = importlib.util.spec_from_file_location(PATH.stem, PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.prepare_noisy_librispeech


@pytest.fixture
def tree(tmp_path):
    make_librispeech(tmp_path / "LibriSpeech", SUBSETS)
    for number in range(12):
        write_noise(tmp_path / f"noise/{number % 3}/{number}.wav")
    return tmp_path


def arguments(tree, **more):
    return {
        "data_folder": str(tree / "LibriSpeech"),
        "noise_folder": str(tree / "noise"),
        "save_folder": str(tree / "tables"),
        "train_subsets": ["train-clean-100"],
        **more,
    }


def test_tables_hold_utterances_with_texts_and_noises(prepare, tree):
    paths = prepare(**arguments(tree))
    assert [path.rpartition("/")[2] for path in paths] == [
        f"{kind}_{name}.csv"
        for kind in ("speech", "noise")
        for name in ("train", "valid", "test")
    ]
    train = read_recordings(paths[0], root=tree / "LibriSpeech")
    assert {row.speaker for row in train} == {"19", "26"}
    for row in train:
        assert row.sample_rate == 16000 and row.text
        (transcript,) = (
            line.split(" ", 1)[1].strip()
            for path in (tree / "LibriSpeech").rglob("*.trans.txt")
            for line in path.read_text().splitlines()
            if line.startswith(row.id.rpartition("/")[2])
        )
        assert row.text == transcript
    noises = [read_recordings(p, root=tree / "noise") for p in paths[3:]]
    assert [len(rows) for rows in noises] == [10, 1, 1]
    assert len({row.path for rows in noises for row in rows}) == 12


def test_folders_of_the_noise_are_its_division(prepare, tree):
    for name, number in (("train", 3), ("valid", 1), ("test", 2)):
        for index in range(number):
            write_noise(tree / f"own/{name}/{index}.wav")
    paths = prepare(**arguments(tree, noise_folder=str(tree / "own")))
    for path, name in zip(paths[3:], ("train", "valid", "test"), strict=True):
        rows = read_recordings(path, root=tree / "own")
        assert all(row.id.startswith(f"{name}/") for row in rows)


def test_nothing_is_written_where_it_is_skipped(prepare, tree):
    paths = prepare(**arguments(tree, skip_prep=True))
    assert len(paths) == 6 and not (tree / "tables").exists()


@pytest.mark.parametrize(
    "more, message",
    [
        ({"data_folder": "/nowhere"}, "data_folder: there is no /nowhere"),
        ({"noise_folder": "/nowhere"}, "noise_folder: there is no folder"),
        ({"train_subsets": ["train-other-500"]}, "train-other-500"),
    ],
    ids=("speech", "noise", "subset"),
)
def test_what_is_missing_is_named(prepare, tree, more, message):
    with pytest.raises(FileNotFoundError, match=message):
        prepare(**arguments(tree, **more))


def test_other_rates_and_too_few_noises_are_told(prepare, tree):
    write_noise(tree / "slow/0.wav", rate=8000)
    with pytest.raises(ValueError, match="too few WAV or FLAC"):
        prepare(**arguments(tree, noise_folder=str(tree / "slow")))
    for number in (1, 2):
        write_noise(tree / f"slow/{number}.wav", rate=8000)
    with pytest.raises(ValueError, match="has 8000 Hz; it must have 16000"):
        prepare(**arguments(tree, noise_folder=str(tree / "slow")))
