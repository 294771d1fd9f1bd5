"""A published separator is adapted to recordings of one's own."""

import json
import shutil

import pytest
import torch
from commands import (
    HPARAMS,
    SMALL,
    assert_equal,
    launch_here,
    mistake_in,
    run,
    train_command,
    with_processes,
)
from hub_folders import LAYOUTS, write_folder, write_spectral
from hub_server import start_hub
from trees import make_folder
from workers import kill_at, train

from speechbrain_ext.hub import load_folder
from speechbrain_ext.hub.catalog import DEFAULTS
from speechbrain_ext.hub.separators import load_start
from speechbrain_ext.inference import Separator
from speechbrain_ext.services.launcher import (
    check_recipe,
    identity_of,
    launch,
)
from speechbrain_ext.services.results import make_results

ADAPT = HPARAMS / "ring_adapt.yaml"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return make_folder(folder, [f"speaker{number}" for number in range(40)])


@pytest.fixture
def options(own, tmp_path):
    return {
        **SMALL,
        "data_folder": own,
        "prepared_folder": own.parent / f"{own.name}_data",
        "output_folder": tmp_path / "out",
        "precision": "fp32",
    }


def words_of(options):
    return [f"--{key}={value}" for key, value in options.items()]


# Before the training --------------------------------------------------------


@pytest.mark.slow
def test_the_model_decides_on_the_sample_rate(options, tmp_path):
    write_spectral(tmp_path / "model", sample_rate=16000)
    options["start_from"] = tmp_path / "model"
    command, _ = check_recipe(ADAPT, words_of(options))
    assert command.checked.values["sample_rate"] == 16000
    # nothing is written by a check
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def mistake(file, options):
    return mistake_in(file, **options)


@pytest.mark.slow
def test_the_separator_that_comes_along_is_adapted_by_default(options):
    (found, _), (named, _) = (
        check_recipe(ADAPT, words_of({**options, **model}))
        for model in ({}, {"start_from": DEFAULTS["separator"]})
    )
    assert found.start.name == DEFAULTS["separator"]
    assert found.start.digest == named.start.digest
    said = mistake(ADAPT, {**options, "start_from": "null"})
    assert "start_from: this file adapts a separator; give a run's" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "model, changed, message",
    [
        (
            {"sample_rate": 16000},
            {"sample_rate": 8000},
            "model works at 16000 Hz, and sample_rate is 8000; give "
            "--sample_rate=16000, or leave --sample_rate out",
        ),
        (
            {"num_sources": 3},
            {},
            "model has 3 outputs, and mixtures of 2 talkers are trained",
        ),
        (
            {"num_sources": 1},
            {},
            "model has 1 output, and mixtures of 2 talkers are trained",
        ),
    ],
    ids=["rate", "three", "one"],
)
def test_a_model_for_something_else_is_told(
    options, tmp_path, model, changed, message
):
    write_spectral(tmp_path / "model", **model)
    said = mistake(
        ADAPT, {**options, "start_from": tmp_path / "model"} | changed
    )
    assert said.startswith(f"start_from: {message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_model_without_a_sample_rate_is_told(options, tmp_path):
    write_spectral(tmp_path / "model")
    path = tmp_path / "model/hyperparams.yaml"
    path.write_text(path.read_text().replace("sample_rate: 8000", ""))
    said = mistake(ADAPT, {**options, "start_from": tmp_path / "model"})
    assert "its hyperparams.yaml has no sample_rate" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "file, model, said",
    [
        (
            "ablation_real.yaml",
            "ours",
            "network.bottleneck.weight has the shape (8, 33) there, and the "
            "shape (128, 257) here",
        ),
        (
            "wham_sepformer.yaml",
            "theirs",
            "encoder.conv1d.weight has the shape (8, 1, 16) there, and the "
            "shape (256, 1, 16) here",
        ),
        (
            "ring_folder.yaml",
            "theirs",
            "places has no place there, and the shape (8, 64) here",
        ),
    ],
    ids=["spectral", "waveform", "another-kind"],
)
def test_other_shapes_are_told_with_the_fix(
    options, tmp_path, file, model, said
):
    write_spectral(tmp_path / "ours")
    write_folder(tmp_path / "theirs", *LAYOUTS["sepformer"])
    names = ("data_folder", "output_folder")
    given = {name: options[name] for name in names}
    told = mistake(HPARAMS / file, {**given, "start_from": tmp_path / model})
    assert told.startswith(
        f"start_from: {model} does not fit the separator of this file: {said}; "
        "hparams/ring_adapt.yaml takes the separator as it is"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_weights_that_do_not_fit_are_left_out_on_purpose(options, tmp_path):
    file = HPARAMS / "ablation_real.yaml"
    write_spectral(tmp_path / "ours")
    names = ("data_folder", "output_folder")
    given = {name: options[name] for name in names}
    given["start_from"] = tmp_path / "ours"
    given["start_without"] = "[nothing.*]"
    told = mistake(file, given)
    assert told.startswith("start_without: no weight matches 'nothing.*'")
    for wrong in ("network.*", "[1]"):
        given["start_without"] = wrong
        told = mistake(file, given)
        assert "start_without" in told and "is no list" in told
    given["start_without"] = "[network.*]"
    check_recipe(file, [f"--{name}={value}" for name, value in given.items()])


@pytest.mark.slow
def test_the_weights_identify_a_run(options, tmp_path):
    for name in ("one", "two"):
        write_spectral(tmp_path / name)
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    found = {}
    for name in ("one", "copy", "two"):
        changed = {
            "start_from": tmp_path / name,
            "output_folder": tmp_path / f"out_{name}",
        }
        found[name] = identity_of(
            *check_recipe(ADAPT, words_of(options | changed))
        )
    assert found["one"] == found["copy"] != found["two"]
    assert str(tmp_path) not in json.dumps(found)


@pytest.mark.slow
def test_a_model_of_the_hub_is_the_same_as_its_folder(
    options, tmp_path, monkeypatch
):
    hub = start_hub(tmp_path, monkeypatch)
    write_spectral(tmp_path / "model")
    files = (tmp_path / "model").iterdir()
    hub.add("me/model", {path.name: path.read_bytes() for path in files})
    found = []
    for place in ("me/model", f"me/model@{hub.repos['me/model'].head}"):
        options["start_from"] = place
        found.append(identity_of(*check_recipe(ADAPT, words_of(options))))
    options["start_from"] = tmp_path / "model"
    found.append(identity_of(*check_recipe(ADAPT, words_of(options))))
    hub.close()
    assert found[0] == found[1] == found[2]


# Trained --------------------------------------------------------------------


def released(folder):
    return Separator.from_hparams(folder / "release").module


def assert_same_output(first, second):
    mixture = torch.randn(2, 4000)
    with torch.no_grad():
        assert torch.equal(first.eval()(mixture), second.eval()(mixture))


@pytest.mark.slow
def test_speechbrain_s_layout_goes_in_and_comes_out(options, tmp_path):
    source, out = tmp_path / "sepformer", tmp_path / "out"
    before = write_folder(source, *LAYOUTS["sepformer"])
    (source / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# It\n")
    options["start_from"] = source
    launch_here(ADAPT, **options)
    # what was trained, in the network of the source
    (trained,) = out.glob("save/CKPT*/separator.ckpt")
    weights = torch.load(trained)
    (kept,) = (out / "start").iterdir()
    expected = load_start(kept, sample_rate=8000, num_sources=2)
    assert_same_output(expected, before)
    assert any(
        not torch.equal(weights[name], value)
        for name, value in expected.state_dict().items()
    )
    expected.load_state_dict(weights)
    assert_same_output(released(out), expected)
    loaded = load_folder(out / "release")
    assert loaded.modules.keys() == {"encoder", "masknet", "decoder"}
    card = (out / "release/README.md").read_text()
    assert "license: cc-by-4.0\n" in card and "# sepformer, adapted to" in card
    assert "It is `sepformer`, adapted to 1.3 minutes of noisy rec" in card
    for path in out.glob("release/*.*"):
        assert bytes(tmp_path) not in path.read_bytes(), path
    # another model is another run
    write_folder(tmp_path / "other", *LAYOUTS["sepformer"])
    options["start_from"] = tmp_path / "other"
    said = mistake_in(ADAPT, **options)
    assert "holds a run with another start_from; resuming" in said
    assert len([*(out / "start").iterdir()]) == 1
    # its page and release need the source no more
    files = {path: path.read_bytes() for path in out.glob("release/*.yaml")}
    shutil.rmtree(source), shutil.rmtree(out / "release")
    make_results(out)
    assert {path: path.read_bytes() for path in files} == files
    assert_same_output(released(out), expected)


@pytest.mark.slow
def test_the_card_names_the_model_of_the_hub(options, tmp_path, monkeypatch):
    hub = start_hub(tmp_path, monkeypatch)
    write_folder(tmp_path / "model", *LAYOUTS["conv_tasnet"])
    files = (tmp_path / "model").iterdir()
    hub.add("me/model", {path.name: path.read_bytes() for path in files})
    options["start_from"] = "me/model@main"
    launch(ADAPT, words_of(options))
    commit = hub.repos["me/model"].head
    hub.close()
    card = (tmp_path / "out/release/README.md").read_text()
    assert f"It is `me/model@{commit}`, adapted to" in card
    assert "--start_from=me/model@main" in card
    assert "\nlicense: other\n" in card and "license is not stated" in card
    assert load_folder(tmp_path / "out").modules.keys() >= {"masknet"}


@pytest.mark.slow
def test_an_adapted_run_is_adapted_again_and_starts_others(options, tmp_path):
    first, second, third = (tmp_path / f"out{number}" for number in range(3))
    write_spectral(tmp_path / "model")
    still = {"learning_rate": 0.0, "seed": 2}
    run(
        with_processes(
            train_command(
                ADAPT,
                **options
                | {
                    "output_folder": first,
                    "start_from": tmp_path / "model",
                    "learning_rate": 0.01,
                },
            ),
            2,
        )
    )
    again = {"output_folder": second, "start_from": first}
    launch_here(ADAPT, **options | still | again)
    # by its release, into the network that another file builds
    again = {
        "output_folder": third,
        "start_from": second / "release",
        "separator": "{n_fft: 64, hop: 32, channels: 8, hidden: 8, "
        "blocks: 1, repeats: 1}",
        "include": "['*']",
        "prepared_folder": tmp_path / "data",
        "snr_db": "null",
        "alternate_sexes": False,
        "clean_speech_known": False,
    }
    file = HPARAMS / "ablation_real.yaml"
    launch_here(file, **options | still | again)
    weights = [
        torch.load(next(folder.glob("save/CKPT*/separator.ckpt")))
        for folder in (first, second, third)
    ]
    assert_equal(weights[0], weights[1])
    assert_equal(weights[1], weights[2])
    page = (third / "index.html").read_text()
    assert "Started from release." in page
    card = (third / "release/README.md").read_text()
    assert "It started from the weights of `release`" in card


@pytest.mark.slow
def test_interrupted_it_goes_on_to_the_same_model(options, tmp_path):
    write_folder(tmp_path / "sepformer", *LAYOUTS["sepformer"])
    options |= {
        "start_from": tmp_path / "sepformer",
        "batches_per_epoch": 30,
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
    }
    (whole,) = train(tmp_path, ADAPT, **options)
    history = tmp_path / "parts/history.csv"
    options["output_folder"] = history.parent
    for step in (10, 40):
        kill_at(step, history, tmp_path, ADAPT, **options)
    (parts,) = train(tmp_path, ADAPT, **options)
    assert parts["optimizer_step"] == 60
    assert_equal(whole["parameters"], parts["parameters"])
    other = tmp_path / "out/history.csv"
    assert history.read_bytes() == other.read_bytes()
