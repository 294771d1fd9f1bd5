"""What the commands write never destroys anything, and is never read again."""

import os
import shutil

import pytest
import soundfile
import torch
from hub_folders import write_folder

from speechbrain_ext.commands.program import main
from speechbrain_ext.inference import Enhancer, Separator
from speechbrain_ext.inference.batch import LONGEST_STEM, output_stem
from speechbrain_ext.models import SpectralGRU


def contents(folder):
    """Name to bytes of all files below, but for the marks."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture
def separate(models):
    def run(root, folder, *options):
        main(
            ["separate", str(root), "--out", str(folder)]
            + ["--model", str(models / "separator"), *options]
        )

    return run


@pytest.fixture
def enhance(models):
    def run(root, folder, *options):
        main(
            ["enhance", str(root), "--out", str(folder)]
            + ["--model", str(models / "enhancer"), *options]
        )

    return run


def fails(command, *arguments, capsys, status=1):
    """Run a command that must end with a message; gives it."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert ended.value.code == status
    return capsys.readouterr().err


# Nothing of the user's is lost ----------------------------------------------


def test_a_file_of_the_user_beside_the_recording_stays(tmp_path, say, separate):
    """It was taken for an output of an earlier run."""
    for name in ("meeting.wav", "meeting_source3.wav", "meeting_source10.wav"):
        say(tmp_path / name)
    before = contents(tmp_path)
    separate(tmp_path / "meeting.wav", tmp_path)
    after = contents(tmp_path)
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {
        "meeting_source1.wav",
        "meeting_source2.wav",
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_stands_in_the_way_is_told_before_work(
    tmp_path, say, separate, capsys, kind
):
    say(tmp_path / "in/a.wav")
    say(tmp_path / "in/talk.wav")
    target = tmp_path / "out/talk_source2.wav"
    target.parent.mkdir()
    if kind == "file":
        target.write_bytes(b"of the user")
    elif kind == "link":
        target.symlink_to(tmp_path / "in/a.wav")
    else:
        target.mkdir()
    before = contents(tmp_path)
    told = fails(separate, tmp_path / "in", tmp_path / "out", capsys=capsys)
    assert "talk_source2.wav" in told and len(told.splitlines()) == 1
    assert contents(tmp_path) == before
    if kind == "file":
        separate(tmp_path / "in", tmp_path / "out", "--overwrite")
        assert target.read_bytes() != b"of the user"


def test_python_refuses_as_the_commands_do(tmp_path, say):
    enhancer = Enhancer(SpectralGRU(hidden=4), sample_rate=8000)
    path = say(tmp_path / "a.wav")
    (tmp_path / "a_enhanced.wav").write_bytes(b"of the user")
    with pytest.raises(FileExistsError, match=r"a_enhanced\.wav is there"):
        enhancer.enhance_file(path, tmp_path)
    assert (tmp_path / "a_enhanced.wav").read_bytes() == b"of the user"
    assert enhancer.enhance_file(path, tmp_path, overwrite=True).is_file()
    # it is ours from here on
    assert enhancer.enhance_file(path, tmp_path).is_file()


@pytest.mark.parametrize(
    "first, second",
    [("talk.wav", "talk.flac"), ("a.b.wav", "a.b.ogg"), ("é.wav", "é.flac")],
    ids=["wav-flac", "two-dots", "accent"],
)
def test_recordings_of_one_name_are_told(
    tmp_path, say, separate, enhance, capsys, first, second
):
    say(tmp_path / "in" / first)
    say(tmp_path / "in" / second)
    for command in (separate, enhance):
        words = [tmp_path / "in", tmp_path / "out"]
        told = fails(command, *words, capsys=capsys, status=2)
        assert first in told and second in told
        assert not (tmp_path / "out").exists()
    # in folders of their own they are no clash
    os.makedirs(tmp_path / "in/other")
    os.rename(tmp_path / "in" / second, tmp_path / "in/other" / second)
    separate(tmp_path / "in", tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 4


@pytest.mark.parametrize(
    "overwrite", [[], ["--overwrite"]], ids=["plain", "over"]
)
def test_a_recording_is_no_place_for_a_result(
    tmp_path, say, separate, capsys, overwrite
):
    say(tmp_path / "talk.wav")
    say(tmp_path / "talk_source1.wav")
    before = contents(tmp_path)
    told = fails(separate, tmp_path, tmp_path, *overwrite, capsys=capsys)
    assert "talk_source1.wav would be read and overwritten" in told
    assert contents(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_tables_replace_nothing_but_tables(
    tmp_path, say, models, capsys, option
):
    say(tmp_path / "in/a.wav")
    table = tmp_path / "mine.txt"
    table.write_text("notes")

    def rank(*options):
        main(
            ["rank", str(tmp_path / "in"), option, str(table), *options]
            + ["--separators", str(models / "separator")]
            + ["--estimator", str(models / "estimator")]
        )

    assert "mine.txt is there already" in fails(rank, capsys=capsys)
    assert table.read_text() == "notes"
    rank("--overwrite")
    first = table.read_text()
    assert first != "notes"
    rank()
    assert table.read_text() == first
    for place in (tmp_path / "in/a.wav", tmp_path / "in"):
        table = place
        told = fails(rank, "--overwrite", capsys=capsys)
        assert str(place) in told
    assert soundfile.info(tmp_path / "in/a.wav").frames == 8000


# Outputs are no inputs ------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("folder", [".", "results", "inner/results"])
def test_a_second_run_gives_the_same_files(
    tmp_path, say, separate, caplog, folder
):
    say(tmp_path / "a.wav")
    say(tmp_path / "inner/b.wav", 500)
    separate(tmp_path, tmp_path / folder)
    first = contents(tmp_path)
    assert len(first) == 6
    caplog.clear()
    separate(tmp_path, tmp_path / folder)
    assert contents(tmp_path) == first
    assert "passed over" in caplog.text


@pytest.mark.slow
def test_another_recording_of_the_same_name_is_told(
    tmp_path, say, models, separate, capsys
):
    for day in ("day1", "day2"):
        say(tmp_path / day / "talk.wav")
    separate(tmp_path / "day1", tmp_path / "out")
    before = contents(tmp_path / "out")
    said = fails(separate, tmp_path / "day2", tmp_path / "out", capsys=capsys)
    assert "day1" in said and "talk_source1.wav" in said
    # nor does a table or another model take the place of a result
    target = tmp_path / "out/talk_source1.wav"
    words = [str(tmp_path / "day2"), "--separators", str(models / "separator")]
    fails(main, ["rank", *words, "--csv", str(target)], capsys=capsys)
    (tmp_path / "other").symlink_to(models / "separator")
    words = ["--out", str(tmp_path / "out"), "--model"]
    words = [str(tmp_path / "day1"), *words, str(tmp_path / "other")]
    fails(main, ["separate", *words], capsys=capsys)
    assert contents(tmp_path / "out") == before
    main(["separate", *words, "--overwrite"])


def test_a_copy_of_separations_is_not_separated(tmp_path, say, separate):
    say(tmp_path / "in/talk.wav")
    separate(tmp_path / "in", tmp_path / "in")
    shutil.copytree(
        tmp_path / "in", tmp_path / "copy", copy_function=shutil.copyfile
    )
    separate(tmp_path / "copy", tmp_path / "out")
    assert contents(tmp_path / "out").keys() == {
        "talk_source1.wav",
        "talk_source2.wav",
    }


def test_results_are_read_where_they_are_named(tmp_path, say, enhance):
    """And what becomes of them there is not read again."""
    say(tmp_path / "in/a.wav")
    enhance(tmp_path / "in", tmp_path / "out")
    for _ in range(2):
        enhance(tmp_path / "out", tmp_path / "out")
        assert sorted(contents(tmp_path / "out")) == [
            "a_enhanced.wav",
            "a_enhanced_enhanced.wav",
        ]


def test_recordings_in_the_folder_of_results_are_told(
    tmp_path, say, enhance, caplog
):
    """Results of an older version have no mark, and lie there as well."""
    say(tmp_path / "in/a.wav")
    say(tmp_path / "in/out/a_enhanced_by_hand.wav")
    enhance(tmp_path / "in", tmp_path / "in/out")
    assert "with 1 files of audio: the results go there" in caplog.text
    assert sorted(contents(tmp_path / "in/out")) == [
        "a_enhanced.wav",
        "a_enhanced_by_hand.wav",
    ]


def test_scores_of_separations_beside_their_recordings(
    tmp_path, say, models, capsys
):
    say(tmp_path / "a.wav")
    say(tmp_path / "inner/b.wav", 500)
    separator = Separator.from_hparams(models / "separator")
    # estimates of a network that has not learnt anything would be refused
    separator.module = Halves()
    for path in sorted(tmp_path.rglob("*.wav")):
        separator.separate_file(path, path.parent)
    main(
        ["score", str(tmp_path), str(tmp_path)]
        + ["--estimator", str(models / "estimator")]
    )
    out = capsys.readouterr().out
    assert out.count("dB  /") == 4 and "mean of 4" in out


class Halves(torch.nn.Module):
    """Two outputs, each of half of the mixture."""

    def forward(self, mixture):
        return torch.stack((mixture / 2, mixture / 2), 1)


# Folders and names ----------------------------------------------------------


@pytest.mark.parametrize("place", ["file", "below", "system"])
def test_a_place_that_cannot_be_written_is_told_first(
    tmp_path, say, capsys, place
):
    path = say(tmp_path / "a.wav")
    folder = {
        "file": path,
        "below": path / "results",
        "system": "/proc/results",
    }[place]
    command = ["enhance", str(path), "--out", str(folder)]
    # a model that is not there: it is not looked at
    told = fails(main, [*command, "--model", "/nowhere"], capsys=capsys)
    assert "results" in told and "nowhere" not in told


@pytest.mark.slow
@pytest.mark.parametrize(
    "stem",
    ["a" * 251, "ä" * 125, "a" + "語" * 83],
    ids=["ascii", "two-bytes", "three-bytes"],
)
def test_long_names_are_shortened(tmp_path, say, models, separate, stem):
    path = say(tmp_path / f"in/{stem}.wav")
    other = say(tmp_path / f"in/{stem[:-1]}b.wav", 500)
    separate(tmp_path / "in", tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 4
    assert output_stem(path) != output_stem(other)
    assert len(os.fsencode(output_stem(path))) <= LONGEST_STEM
    expected = f"{output_stem(path)}_source2.wav"
    assert (tmp_path / "out" / expected).is_file()
    separate(tmp_path / "in", tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 4


def test_home_is_known_without_a_shell(tmp_path, say, monkeypatch, models):
    monkeypatch.setenv("HOME", str(tmp_path))
    say(tmp_path / "a.wav")
    write_folder(tmp_path / "model")
    main(
        ["separate", "~/a.wav", "--out=~/out", "--model", "~/model"],
    )
    assert len(contents(tmp_path / "out")) == 2
