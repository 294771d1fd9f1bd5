"""A run resumes only as the run that it was."""

import json

import pytest

from speechbrain_ext.services.identity import (
    differences,
    remember_run,
    require_same_run,
    run_identity,
    test_settings,
)

test_settings.__test__ = False
TEXT = """
seed: 1
output_folder: results/a
train_split: train
net: !new:torch.nn.Linear
    in_features: 2
    out_features: [1, 2]
optimizer: !name:torch.optim.Adam
    lr: 0.1
modules:
    net: !ref <net>
    inner: !new:torch.nn.ReLU
test_batches: 8
number_of_epochs: 3
total_batches: 300
start_from: null
train_data: a.csv
"""


@pytest.mark.parametrize(
    "old, new, name",
    [
        ("seed: 1", "seed: 2", "seed"),
        ("train_split: train", "train_split: valid", "train_split"),
        ("in_features: 2", "in_features: 3", "net.in_features"),
        ("nn.Linear", "nn.LazyLinear", "net"),
        ("[1, 2]", "[1, 3]", "net.out_features"),
        ("lr: 0.1", "lr: 0.2", "optimizer.lr"),
        ("optim.Adam", "optim.SGD", "optimizer"),
        ("nn.ReLU", "nn.ELU", "modules.inner"),
        ("total_batches: 300", "total_batches: 400", "total_batches"),
        ("seed: 1", "seed: 1\nnew_key: 5", "new_key"),
        ("seed: 1\n", "", "seed"),
        ("lr: 0.1", "lr: true", "optimizer.lr"),
    ],
)
def test_any_setting_makes_another_run(old, new, name):
    assert old in TEXT
    first, second = run_identity(TEXT), run_identity(TEXT.replace(old, new))
    assert name in ",".join(differences(first, second))


@pytest.mark.parametrize(
    "old, new",
    [
        ("results/a", "results/b"),
        ("test_batches: 8", "test_batches: 9"),
        ("number_of_epochs: 3", "number_of_epochs: 4"),
        ("seed: 1", "seed: 1\nnum_workers: 4"),
    ],
)
def test_some_settings_are_free(old, new):
    assert run_identity(TEXT) == run_identity(TEXT.replace(old, new))
    declared = run_identity(TEXT.replace("seed: 1", "seed: 2"), free=["seed"])
    assert declared == run_identity(TEXT, free=["seed"])


def test_options_of_the_brain_and_processes_count(monkeypatch, tmp_path):
    alone = run_identity(TEXT, run_opts={"precision": "fp32"})
    half = run_identity(TEXT, run_opts={"precision": "bf16"})
    assert differences(alone, half) == ["precision"]
    # a key of the file comes first, as in the Brain
    said = TEXT + "precision: fp16\n"
    assert run_identity(said, run_opts={"precision": "bf16"}) == run_identity(
        said, run_opts={"precision": "fp32"}
    )
    monkeypatch.setenv("WORLD_SIZE", "2")
    two = run_identity(TEXT, run_opts={"precision": "fp32"})
    assert differences(alone, two) == ["processes"]
    remember_run(tmp_path, alone)
    with pytest.raises(ValueError, match="another number of processes"):
        require_same_run(tmp_path, two)


def test_files_count_by_what_they_hold(tmp_path):
    places = []
    for name, content in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.csv").write_text(content)
        (tmp_path / name / "net.ckpt").write_text(content)
        places.append(tmp_path / name)
    identities = [
        run_identity(
            TEXT.replace("a.csv", str(place / "m.csv")).replace(
                "start_from: null", f"start_from: {place}"
            ),
            manifests=[place / "m.csv"],
        )
        for place in places
    ]
    assert identities[0] == identities[1]
    assert differences(identities[0], identities[2]) == [
        *("data", "start_from", "train_data"),
    ]


def test_a_folder_of_another_run_is_refused(tmp_path):
    identity = run_identity(TEXT)
    require_same_run(tmp_path, identity)
    remember_run(tmp_path, identity)
    require_same_run(tmp_path, json.loads(json.dumps(identity)))
    other = run_identity(TEXT.replace("lr: 0.1", "lr: 1"))
    with pytest.raises(ValueError, match="another optimizer.lr"):
        require_same_run(tmp_path, other)
    (tmp_path / "run.json").write_text("[")
    with pytest.raises(ValueError, match="run.json cannot be read"):
        require_same_run(tmp_path, identity)


def test_settings_of_tests_are_told_apart():
    assert test_settings(TEXT) == {"test_batches": 8}
