import os
import signal

import pytest

from speechbrain_ext.outputs import read_mark
from speechbrain_ext.services.output_folder import (
    claim_output,
    find_place_mistakes,
)


def in_another_process(function):
    """Run a function in a fork; the reading end tells when it has ended."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            function()
            os.write(writer, b"well")
            signal.pause()
        except ValueError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    return process, said


def end(process):
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def test_a_folder_is_marked_as_output(tmp_path):
    claim_output(tmp_path / "new").close()
    assert read_mark(tmp_path / "new").whole
    (tmp_path / "mine.wav").touch()
    claim_output(tmp_path).close()
    assert not read_mark(tmp_path).whole


def test_of_two_processes_one_may_write(tmp_path):
    claim = claim_output(tmp_path)
    process, said = in_another_process(lambda: claim_output(tmp_path))
    end(process)
    assert f"another process is training in {tmp_path}" in said
    claim.close()
    process, said = in_another_process(
        lambda: globals().update(kept=claim_output(tmp_path))
    )
    try:
        assert said == "well"
        with pytest.raises(ValueError, match="another process is training"):
            claim_output(tmp_path)
    finally:
        end(process)
    # a kill leaves nothing behind
    claim_output(tmp_path).close()


def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    claim_output(tmp_path).close()


@pytest.mark.parametrize("below", ["", "results/1"], ids=["itself", "below"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="output_folder: .* cannot be written"):
        claim_output(tmp_path / "file" / below)


def places(**keys):
    return find_place_mistakes(keys)


def test_places_that_do_not_meet_are_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "table.csv").touch()
    out = {"output_folder": "out", "prepared_folder": "out/data"}
    assert places(data_folder="data", noise_folder=None, **out) == []
    # results below the recordings: a search passes over them
    assert places(data_folder=".", **out) == []
    # a table beside the results
    assert places(data_folder="table.csv", output_folder=".") == []
    # recordings below the working folder, which takes the results
    assert places(data_folder="data", output_folder=".") == []
    # what another run has prepared
    assert places(data_folder="other/data", **out) == []


@pytest.mark.parametrize(
    "keys, told",
    [
        (
            {"data_folder": "data", "output_folder": "data"},
            "output_folder: data is the data_folder",
        ),
        (
            {"noise_folder": "link", "output_folder": "data/"},
            "output_folder: data/ is the noise_folder",
        ),
        (
            {"data_folder": "data", "prepared_folder": "./data/"},
            "prepared_folder: ./data/ is the data_folder",
        ),
        (
            {"data_folder": "data/table.csv", "prepared_folder": "data"},
            "prepared_folder: data is the data_folder",
        ),
        (
            {"data_folder": "data/a", "prepared_folder": "data"},
            "data_folder: data/a lies in the prepared_folder",
        ),
        (
            {"rir_folder": "out/save/x", "save_folder": "out/save"},
            "rir_folder: out/save/x lies in the save_folder",
        ),
        (
            {"data_folder": "x", "output_folder": "data/table.csv/1"},
            "table.csv is a file",
        ),
    ],
    ids="same link prepared table inside save file".split(),
)  # fmt: skip
def test_places_that_meet_are_told(tmp_path, monkeypatch, keys, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/table.csv").touch()
    (tmp_path / "link").symlink_to("data")
    (mistake,) = places(**keys)
    assert told in mistake
