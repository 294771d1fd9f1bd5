from pathlib import Path

import pytest
import torch

from speechbrain_ext.services.command_line import (
    check_command_line,
    split_options,
)

FILE = """
data_folder: !PLACEHOLDER
output_folder: results
save_folder: !ref <output_folder>/save
batches_per_epoch: 5
learning_rate: 0.1
precision: fp32
snr_db: [0.0, 5.0]
noise_snr_db: null
test_snr_db: [-5.0, 0.0]
"""
RULES = {"learning_rate": (float, 0, 1), "batches_per_epoch": (int, 1, None)}


@pytest.fixture
def hparams_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hparams.yaml"
    path.write_text(FILE)
    (tmp_path / "data").mkdir()
    return str(path)


def read(hparams_file, *options):
    return check_command_line(
        [hparams_file, "--data_folder=data", *options], RULES
    )


def test_both_forms_are_taken(hparams_file):
    words = ["--precision", "bf16", "--learning_rate", "1e-4", "--debug"]
    command = read(hparams_file, *words, "--jit_module_keys", "a", "b")
    assert command.checked.values["learning_rate"] == 1e-4
    assert command.checked.values["precision"] == "bf16"
    assert command.run_opts.precision == "bf16"
    assert command.run_opts.debug
    assert command.run_opts.jit_module_keys == ["a", "b"]
    # what the file has no keys for
    assert command.words == ["--debug", "--jit_module_keys", "a", "b"]


MISTAKES = {
    "stray": (["x"], "x: options are given as --KEY=VALUE"),
    "cut_list": (["--learning_rate=1", "2]"], "2]: options are given as"),
    "single_dash": (["-learning_rate=1"], "-learning_rate=1: options are"),
    "bare": (["--learning_rate"], "learning_rate: no value"),
    "twice": (
        ["--learning_rate=1", "--learning_rate=0"],
        "learning_rate: it is given twice, as '1' and '0'",
    ),
    "flag": (["--debug=true"], "debug: it takes no value"),
    "precision": (["--precision=fp8"], "precision: 'fp8' is none of 'fp32'"),
    "backend": (["--distributed_backend=x"], "distributed_backend: 'x' is"),
    "accumulation": (
        ["--grad_accumulation_factor=6"],
        "grad_accumulation_factor: 6 batches make a step, and "
        "batches_per_epoch is 5: the last 5",
    ),
    "accumulation_left": (
        ["--grad_accumulation_factor=2"],
        "batches_per_epoch is 5: the last 1",
    ),
    "no_accumulation": (
        ["--grad_accumulation_factor=0"],
        "grad_accumulation_factor: 0 is below 1",
    ),
    "word": (["--debug_batches=few"], "debug_batches: 'few' is no int"),
    "limit": (["--optimizer_step_limit=1.5"], "limit: '1.5' is no int"),
    "device": (["--device=gpu"], "device: 'gpu' is no device"),
    "meta": (["--device=meta"], "device: meta is not there"),
    "empty": (["--device="], "device: it is empty"),
    "test_only": (["--test_only"], "test_only: there is no checkpoint in"),
    "range": (["--snr_db=[5,-5]"], "snr_db: [5, -5] runs from high to low"),
    "optional_range": (["--noise_snr_db=[1.5, 1]"], "noise_snr_db: [1.5, 1]"),
    "dashes": (["--learning-rate=1"], "did you mean learning_rate?"),
}


@pytest.mark.parametrize("words, told", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told(hparams_file, words, told):
    with pytest.raises(ValueError) as error:
        read(hparams_file, *words)
    assert told in str(error.value)
    assert "1 mistake\n" in str(error.value)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("place", "told"),
    [("nope", "no folder nope"), ("data/list.csv", "no file data/list.csv")],
    ids=["folder", "table"],
)
def test_recordings_that_are_not_there_leave_nothing(hparams_file, place, told):
    with pytest.raises(ValueError, match=f"data_folder: there is {told}"):
        check_command_line([hparams_file, f"--data_folder={place}"], RULES)
    assert not Path("results").exists()


def test_a_device_that_is_not_there_is_told(hparams_file, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device: cuda:1 is not there"):
        read(hparams_file, "--device=cuda:1")


def test_all_are_told_together(hparams_file):
    with pytest.raises(ValueError, match="4 mistakes") as error:
        read(hparams_file, "x", "--device=gpu", "--y=1", "--learning_rate=2")
    for told in ("x: options", "gpu", "y: no such key", "2.0 is above 1"):
        assert told in str(error.value)


def test_an_option_may_be_repeated_as_it_is():
    words = ["my.yaml", "--seed=1", "--debug", "--seed=1", "--debug"]
    assert split_options(words) == ("my.yaml", {"seed": ["1"], "debug": []}, [])


@pytest.mark.parametrize("words", [[], ["--seed=1"]], ids=["none", "option"])
def test_the_file_comes_first(words):
    with pytest.raises(ValueError, match="comes first"):
        split_options(words)


def test_ranges_and_lists_of_snrs_are_told_apart(hparams_file):
    words = ["--snr_db=[5, 5]", "--noise_snr_db=[-5, 5]", "--test_snr_db=[5,0]"]
    hparams = read(hparams_file, *words).checked.values
    assert hparams["snr_db"] == [5, 5] and hparams["test_snr_db"] == [5, 0]


def test_a_trained_run_may_be_tested(hparams_file):
    Path("results/save/CKPT+1").mkdir(parents=True)
    Path("results/save/CKPT+1/CKPT.yaml").touch()
    assert read(hparams_file, "--test_only").run_opts.test_only


def test_places_take_the_place_of_names(hparams_file):
    Path("elsewhere").mkdir()

    def find_places(values):
        assert values["learning_rate"] == 0.1
        return {"data_folder": Path("elsewhere")}

    command = check_command_line(
        [hparams_file, "--data_folder=data"], RULES, None, find_places
    )
    assert command.checked.values["data_folder"] == "elsewhere"
    assert "data_folder: elsewhere" in command.checked.text


@pytest.mark.parametrize(
    "capabilities, words, expected",
    [
        ({"avx2": True, "avx512_bf16": False}, [], "fp32"),
        ({"avx512_bf16": True}, [], "bf16"),
        ({"amx_bf16": True}, [], "bf16"),
        ({"avx2": True}, ["--precision=bf16"], "bf16"),
    ],
    ids=["without", "avx512", "amx", "insisted"],
)
def test_bfloat16_is_for_cpus_that_have_it(
    tmp_path, monkeypatch, caplog, capabilities, words, expected
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = tmp_path / "hparams.yaml"
    path.write_text(f"output_folder: {tmp_path}/out\nprecision: bf16\n")
    command = check_command_line([str(path), *words], {})
    assert command.checked.values["precision"] == expected
    assert ("has no bfloat16" in caplog.text) == (expected == "fp32")
