"""One bad recording never ends the work on the others."""

import csv
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from speechbrain_ext.commands.program import main
from speechbrain_ext.console import Failures
from speechbrain_ext.inference import Separator, SISNREstimator, rank
from speechbrain_ext.inference import recordings as recordings_module

BAD = "empty foreign gone nan one_sample pipe silent".split()


@pytest.fixture
def folder(tmp_path, say):
    """Two good recordings among all kinds of bad ones."""
    root = tmp_path / "in"
    say(root / "a.wav")
    say(root / "z/b.wav", 500)
    (root / "empty.wav").touch()
    (root / "foreign.wav").write_text("a text")
    (root / "gone.wav").symlink_to("nowhere.wav")
    soundfile.write(root / "nan.wav", np.full(8000, np.nan), 8000, "FLOAT")
    soundfile.write(root / "one_sample.wav", [0.5], 8000)
    os.mkfifo(root / "pipe.wav")
    # an offset is no sound
    soundfile.write(root / "silent.wav", np.full(8000, 0.25), 8000)
    return root


def run(arguments, status=2):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    assert ended.value.code == status


def skipped(text):
    """Names of the files that the end of a command lists."""
    tail = text.rpartition(" skipped:")[2].strip().splitlines()
    return sorted(
        next(name for name in BAD if f"{name}.wav" in line) for line in tail
    )


@pytest.mark.parametrize("command", ["separate", "enhance"])
def test_separate_and_enhance_go_on(folder, tmp_path, models, capsys, command):
    out = tmp_path / "out"
    model = {"separate": "separator", "enhance": "enhancer"}[command]
    run([command, folder, "--out", out, "--model", models / model])
    told = capsys.readouterr()
    assert skipped(told.err) == BAD
    count = {"separate": 2, "enhance": 1}[command]
    assert len(told.out.splitlines()) == 2 * count
    assert len(list(out.glob("a_*.wav"))) == count
    assert len(list(out.glob("z/b_*.wav"))) == count
    assert not list(out.rglob("*.tmp"))


def test_rank_leaves_them_out_for_all(folder, models, tmp_path, capsys):
    run(
        ["rank", folder, "--separators", models / "separator"]
        + ["--estimator", models / "estimator", "--json", tmp_path / "r.json"]
    )
    told = capsys.readouterr()
    assert skipped(told.err) == BAD and "on 2 mixtures" in told.out
    first, *others = json.loads((tmp_path / "r.json").read_text())
    assert first["mixtures"] == 2
    assert sorted(Path(row["mixture"]).stem for row in others) == BAD
    assert all(row["skipped"] for row in others)


class Loud(nn.Module):
    """Refuses or spoils what has a large peak."""

    def __init__(self, peak, spoils=False):
        super().__init__()
        self.peak, self.spoils = peak, spoils

    def forward(self, mixture):
        if mixture.abs().max() > self.peak:
            if not self.spoils:
                raise RuntimeError("out of memory")
            mixture = mixture * torch.nan
        return torch.stack((mixture, 0.5 * mixture.cumsum(-1)), 1)


@pytest.mark.parametrize("spoils", [False, True], ids=["raises", "spoils"])
def test_a_mixture_that_fails_for_one_counts_for_none(
    tmp_path, say, models, caplog, spoils
):
    paths = [
        say(tmp_path / f"{name}.wav", pitch)
        for name, pitch in (("a", 200), ("b", 300), ("c", 400))
    ]
    samples, rate = soundfile.read(paths[1])
    soundfile.write(paths[1], 4 * samples, rate, "FLOAT")
    separators = {
        "first": Separator(Loud(10.0), sample_rate=8000),
        "second": Separator(Loud(0.5, spoils), sample_rate=8000),
    }
    estimator = SISNREstimator.from_hparams(models / "estimator")
    failures = Failures()
    rows = rank(estimator, separators, paths, failures)
    assert [row["mixtures"] for row in rows] == [2, 2]
    assert [Path(row["item"]).name for row in failures.rows] == ["b.wav"]
    expected = rank(estimator, separators, [paths[0], paths[2]])
    assert rows == expected
    with pytest.raises((ValueError, RuntimeError)):
        rank(estimator, separators, paths)


@pytest.mark.parametrize("kind", ["missing", "shorter", "rate", "foreign"])
def test_score_goes_on(tmp_path, say, models, capsys, kind):
    for name, pitch in (("a", 200), ("b", 300), ("c", 400)):
        say(tmp_path / f"in/{name}.wav", pitch)
        say(tmp_path / f"out/{name}_source1.wav", pitch)
    path = tmp_path / "out/b_source1.wav"
    if kind == "missing":
        path.unlink()
    elif kind == "shorter":
        say(path, 300, seconds=0.9)
    elif kind == "rate":
        say(path, 300, rate=16000)
    else:
        path.write_bytes(b"RIFF of something else")
    run(
        ["score", tmp_path / "in", tmp_path / "out"]
        + ["--estimator", models / "estimator"]
        + ["--csv", tmp_path / "s.csv", "--json", tmp_path / "s.json"]
    )
    told = capsys.readouterr()
    assert "mean of 2" in told.out and "1 skipped" in told.err
    rows = json.loads((tmp_path / "s.json").read_text())
    assert [Path(row["mixture"]).stem for row in rows] == ["a", "c", "b"]
    assert [("skipped" in row) for row in rows] == [False, False, True]
    assert "b" in rows[2]["skipped"]
    with open(tmp_path / "s.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["mixture"] for line in lines] == [
        row["mixture"] for row in rows
    ]
    assert lines[2]["skipped"] == rows[2]["skipped"]
    assert not lines[2]["si_snr"]


def test_a_mixture_without_sound_has_no_score(tmp_path, say, models, capsys):
    say(tmp_path / "in/a.wav")
    say(tmp_path / "out/a_source1.wav")
    for name in ("in/b.wav", "out/b_source1.wav"):
        soundfile.write(tmp_path / name, np.full(8000, 0.1), 8000)
    run(
        ["score", tmp_path / "in", tmp_path / "out"]
        + ["--estimator", models / "estimator"]
    )
    told = capsys.readouterr()
    assert "in/b.wav: silent" in told.err and "mean of 1" in told.out


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_alone_has_its_reason(
    folder, tmp_path, models, capsys, name
):
    path = folder / f"{name}.wav"
    options = ["--model", models / "separator"]
    run(["separate", path, "--out", tmp_path / "out", *options])
    told = capsys.readouterr()
    assert skipped(told.err) == [name] and "0 done, 1 skipped" in told.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["nowhere", "no_audio", "empty_path"])
def test_nothing_to_do_is_a_mistake(tmp_path, models, capsys, kind):
    (tmp_path / "no_audio").mkdir()
    (tmp_path / "no_audio/notes.txt").touch()
    root = "" if kind == "empty_path" else tmp_path / kind
    options = ["--model", models / "enhancer", "--out", tmp_path / "out"]
    run(["enhance", root, *options], status=1)
    told = capsys.readouterr().err
    assert kind in told or "recordings is empty" in told
    assert "Traceback" not in told and not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", ["source", "revision", "kind"])
def test_a_separator_that_cannot_be_loaded_ends_before_work(
    tmp_path, say, models, capsys, where
):
    say(tmp_path / "a.wav")
    wrong = {
        "source": tmp_path / "nowhere",
        "revision": tmp_path,
        "kind": models / "estimator",
    }[where]
    run(
        ["rank", tmp_path / "a.wav", "--json", tmp_path / "r.json"]
        + ["--separators", models / "separator", wrong]
        + ["--estimator", models / "estimator"],
        status=1,
    )
    told = capsys.readouterr().err
    assert f"--separators {wrong}" in told and "Traceback" not in told
    assert not (tmp_path / "r.json").exists()


def test_a_traceback_is_shown_if_asked(tmp_path, capsys):
    options = ["--model", "x/y", "--out", tmp_path / "out"]
    run(["separate", tmp_path / "gone", *options, "--traceback"], status=1)
    assert "Traceback" in capsys.readouterr().err


# Names -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [b"caf\xe9.wav", b"\xff\xfe.wav", b"\x1b[2Jbell\x07.wav"],
    ids=["latin", "no-text", "control"],
)
def test_names_that_no_terminal_takes(tmp_path, say, models, monkeypatch, name):
    import io
    import sys

    path = say(tmp_path / "in" / os.fsdecode(name), format="WAV")
    console = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", console)
    options = ["--model", str(models / "separator")]
    main(["separate", str(path.parent), "--out", str(tmp_path), *options])
    console.seek(0)
    lines = console.buffer.getvalue().splitlines()
    assert len(lines) == 2
    assert all(32 <= letter < 127 for line in lines for letter in line)
    assert len(list(tmp_path.glob("*_source*.wav"))) == 2
    main(
        ["score", str(path), str(path), "--json", str(tmp_path / "s.json")]
        + ["--estimator", str(models / "estimator")]
        + ["--csv", str(tmp_path / "s.csv")]
    )
    (row,) = json.loads((tmp_path / "s.json").read_text())
    assert row["mixture"] == str(path)
    assert (
        os.fsencode(path).rpartition(b"/")[0]
        in (tmp_path / "s.csv").read_bytes()
    )


@pytest.mark.parametrize(
    "error", [KeyError("snr"), AssertionError(), EOFError()]
)
def test_any_error_of_an_item_is_its_own(error):
    failures = Failures()
    with failures.item("in/a.wav"):
        raise error
    (row,) = failures.rows
    assert row["item"] == "in/a.wav" and row["reason"].startswith("in/a.wav: ")
    # but not when nobody is left to be told
    with pytest.raises(BrokenPipeError), failures.item("in/b.wav"):
        raise BrokenPipeError


# The disk --------------------------------------------------------------------


@pytest.mark.parametrize("when", ["first", "second"])
def test_a_full_disk_ends_the_work_and_keeps_what_is_done(
    tmp_path, say, models, capsys, monkeypatch, when
):
    for name in ("a", "b", "c"):
        say(tmp_path / f"in/{name}.wav")
    written = []

    def header(*arguments):
        written.append(arguments)
        if len(written) > {"first": 1, "second": 2}[when]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(*arguments)

    whole = recordings_module.wav_header
    monkeypatch.setattr(recordings_module, "wav_header", header)
    options = ["--model", models / "enhancer", "--out", tmp_path / "out"]
    run(["enhance", tmp_path / "in", *options], status=1)
    told = capsys.readouterr()
    assert "No space left" in told.err and "_enhanced.wav" in told.err
    done = {"first": ["a"], "second": ["a", "b"]}[when]
    left = sorted(path.name for path in (tmp_path / "out").glob("*"))
    assert [name for name in left if not name.startswith(".speech")] == [
        f"{name}_enhanced.wav" for name in done
    ]
    assert len(told.out.splitlines()) == len(done)


def test_an_interruption_leaves_no_half_file(
    tmp_path, say, models, monkeypatch
):
    path = say(tmp_path / "a.wav", seconds=20)
    separator = Separator.from_hparams(models / "separator")
    before = separator.module
    calls = []

    class Interrupted(nn.Module):
        def forward(self, mixture):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return before(mixture)

    separator.module = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        separator.separate_file(path, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]
