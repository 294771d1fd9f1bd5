"""The program: its options, old names, inputs, outputs, models by name."""

import json
import runpy
import subprocess
import sys
from types import SimpleNamespace

import pytest
import soundfile
import torch
import tqdm

from speechbrain_ext.commands.program import main, make_parser
from speechbrain_ext.commands.recordings import Work


def names(folder):
    return sorted(path.name for path in folder.rglob("*.wav"))


def fails(capsys, *words, status=1):
    """What a command that cannot go on says."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    assert ended.value.code == status
    return capsys.readouterr().err


# Options --------------------------------------------------------------------


@pytest.mark.parametrize("command", ["", "separate", "publish", "ablation"])
def test_help_imports_no_torch(command, tmp_path):
    code = (
        "import sys\nfrom speechbrain_ext.commands.program import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'speechbrain', 'numpy', 'huggingface_hub'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    words = [sys.executable, "-c", code, *command.split(), "--help"]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"usage: speechbrain-ext {command}".strip())


def test_every_command_has_a_line_of_help(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = capsys.readouterr().out
    wanted = "separate enhance score rank transcribe prepare report ablation "
    wanted += "listening word_errors publish models"
    assert all(f"\n    {name}" in told for name in wanted.split())


@pytest.mark.parametrize(
    "old, new",
    [
        (
            "separate a --separator m --folder o",
            "separate a --model m --out o",
        ),
        ("enhance a --enhancer m --folder o", "enhance a --model m --out o"),
        ("transcribe a --transcriber m", "transcribe a --model m"),
        (
            "separate a --active-only",
            "separate a --active_only",
        ),
        (
            "listening make a --separators m --folder=o",
            "listening make a --separators m --out=o",
        ),
    ],
    ids=["separate", "enhance", "transcribe", "hyphen", "listening"],
)
def test_old_names_of_options_mean_the_same(old, new):
    parse = make_parser().parse_args
    first, second = vars(parse(old.split())), vars(parse(new.split()))
    first.pop("run"), second.pop("run")
    assert first == second


def test_the_help_has_the_new_names_only(capsys):
    with pytest.raises(SystemExit):
        main(["separate", "--help"])
    told = capsys.readouterr().out
    assert "--model" in told and "--out" in told
    assert "--separator" not in told and "--folder" not in told


@pytest.mark.parametrize(
    "words",
    [
        "separate a --device gpu",
        "enhance a --device cuda:x",
        "separate a --batch 0",
        "separate a --precision int8",
        "separate a --seed 3",
        "separate",
        "",
        "seperate a",
    ],
)
def test_mistakes_are_told(words, capsys):
    told = fails(capsys, *words.split())
    assert "usage: speechbrain-ext" in told and "Traceback" not in told


def test_a_device_that_is_not_there(tmp_path, say, models, capsys):
    path = say(tmp_path / "a.wav")
    for command in (
        ["separate", path, "--model", models / "separator"],
        ["score", path, path],
        ["rank", path, "--separators", models / "separator"],
    ):
        told = fails(capsys, *command, "--device", "cuda:99")
        assert "'cuda:99' cannot be used" in told
    assert names(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("there", ["cuda", "mps", "cpu"])
def test_auto_takes_the_first_device_that_is_there(monkeypatch, there):
    from speechbrain_ext.inference.waveforms import find_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there == "cuda")
    mps = "torch.backends.mps.is_available"
    monkeypatch.setattr(mps, lambda: there != "cpu")
    asked = []
    monkeypatch.setattr(torch, "zeros", lambda *_, device: asked.append(device))
    assert find_device("auto").type == there
    assert [device.type for device in asked] == [there]


def test_a_shell_may_ask_how_a_line_goes_on(monkeypatch, capsys):
    asked = []
    module = SimpleNamespace(autocomplete=asked.append)
    monkeypatch.setitem(sys.modules, "argcomplete", module)
    main(["models", "--json"])
    (parser,) = asked
    assert parser.prog == "speechbrain-ext"


@pytest.mark.parametrize("old", ["inference", "hub"])
def test_old_modules_say_their_new_name(old, monkeypatch, capsys, recwarn):
    words = {"inference": ["score", "/nowhere.wav", "x"], "hub": ["/nowhere"]}
    words = [*words[old], *["--repo", "me/x"] * (old == "hub")]
    monkeypatch.setattr(sys, "argv", ["x", *words])
    with pytest.raises(SystemExit, match="1"):
        runpy.run_module(f"speechbrain_ext.{old}", run_name="__main__")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert f"python -m speechbrain_ext.{old}" in told[0]
    assert "speechbrain-ext" in told[0] and "/nowhere" in told[1]


# Inputs and outputs ---------------------------------------------------------


def test_files_folders_and_patterns_together(tmp_path, say, models):
    for name in ("a", "b", "in/c", "in/deep/d", "e[1]"):
        say(tmp_path / f"{name}.wav")
    model = ["--model", str(models / "separator")]
    out = tmp_path / "out"
    roots = ["in", "[ab].wav", "in/c.wav", "e[1].wav", "*.wav"]
    roots = [str(tmp_path / root) for root in roots]
    main(["separate", *roots, "--out", str(out), *model])
    found = [path.relative_to(out).as_posix() for path in out.rglob("*1.wav")]
    stems = ("a", "b", "c", "deep/d", "e[1]")
    assert sorted(found) == sorted(f"{stem}_source1.wav" for stem in stems)


def test_a_pattern_reads_no_results(tmp_path, say, models, caplog, capsys):
    say(tmp_path / "a.wav")
    words = [str(tmp_path / "*.wav"), "--out", str(tmp_path)]
    words = ["separate", *words, "--model", str(models / "separator")]
    main(words)
    first = names(tmp_path)
    main(words)
    assert names(tmp_path) == first and len(first) == 3
    assert "2 files that this project wrote are passed over" in caplog.text
    none = tmp_path / "*.flac"
    assert "no file matches" in fails(capsys, "separate", none)


def test_names_that_clash_are_skipped_and_the_rest_is_done(
    tmp_path, say, models, capsys
):
    for name in ("one/talk.wav", "two/talk.wav", "two/other.wav"):
        say(tmp_path / name)
    roots = [tmp_path / "one", tmp_path / "two"]
    model = ["--model", models / "separator", "--out", tmp_path / "out"]
    told = fails(capsys, "separate", *roots, *model, status=2)
    assert "1 done, 2 skipped" in told
    assert told.count("rename one") == 2
    assert names(tmp_path / "out") == ["other_source1.wav", "other_source2.wav"]


def test_tables_of_separations(tmp_path, say, models, capsys):
    say(tmp_path / "in/a.wav")
    (tmp_path / "in/b.wav").write_text("a text")
    words = ["separate", tmp_path / "in", "--model", models / "separator"]
    words += ["--out", tmp_path / "out", "--csv", tmp_path / "t.csv"]
    fails(capsys, *words, "--json", tmp_path / "t.json", status=2)
    rows = json.loads((tmp_path / "t.json").read_text())
    assert [sorted(row) for row in rows] == [
        *2 * [["output", "recording"]],
        ["recording", "skipped"],
    ]
    outputs = [row["output"] for row in rows[:2]]
    assert outputs == sorted(map(str, (tmp_path / "out").glob("*.wav")))
    assert (tmp_path / "t.csv").read_text().count("\n") == 4


def test_json_alone_is_printed(tmp_path, say, models, capsys):
    say(tmp_path / "in/a.wav")
    words = [str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    main(
        ["enhance", *words, "--json", "-", "--batch", "4", "--device=cpu"]
        + ["--model", str(models / "enhancer"), "--precision=bf16"]
    )
    (row,) = json.loads(capsys.readouterr().out)
    assert soundfile.info(row["output"]).frames == 8000
    assert names(tmp_path / "out") == ["a_enhanced.wav"]


@pytest.mark.parametrize("kind", ["terminal", "quiet", "pipe"])
def test_the_bar_counts_seconds_of_audio(tmp_path, say, monkeypatch, kind):
    paths = [say(tmp_path / f"{n}.wav", seconds=n) for n in (1.5, 2.0)]
    (tmp_path / "bad.wav").write_text("a text")
    bars, bar = [], tqdm.tqdm

    def watched(**options):
        bars.append(bar(**options))
        return bars[-1]

    monkeypatch.setattr(tqdm, "tqdm", watched)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: kind != "pipe", False)
    options = SimpleNamespace(
        recordings=tmp_path, quiet=kind == "quiet", command="separate"
    )
    work = Work(options, "recording")
    with work.bar([*paths, tmp_path / "bad.wav"], times=2) as progress:
        for _ in range(14):
            progress(0.5)
        # closed, it is not shown either
        shown = not bars[0].disable
    assert shown == (kind == "terminal")
    if shown:
        assert bars[0].total == bars[0].n == 7


@pytest.mark.slow
def test_quiet_commands_give_no_notices(tmp_path, say, models, caplog, capsys):
    say(tmp_path / "in/a.wav")
    (tmp_path / "in/.b.wav").touch()
    words = ["enhance", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    words += ["--model", str(models / "enhancer")]
    main(words)
    assert "1 hidden audio files" in caplog.text
    result = subprocess.run(
        [sys.executable, "-m", "speechbrain_ext", *words, "--quiet"],
        capture_output=True,
        text=True,
    )
    written = f"{tmp_path / 'out/a_enhanced.wav'}\n"
    assert (result.stdout, result.returncode) == (written, 0)
    assert capsys.readouterr().out == written
    assert "hidden" not in result.stderr


# Models by name -------------------------------------------------------------


def test_a_command_without_a_model(tmp_path, say, monkeypatch):
    say(tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path)
    main(["enhance", "a.wav"])
    assert names(tmp_path / "enhanced") == ["a_enhanced.wav"]
    main(["separate", "a.wav"])
    assert names(tmp_path / "separated") == ["a_source1.wav", "a_source2.wav"]


def test_a_model_of_the_package_by_its_name(tmp_path, say, capsys):
    path = say(tmp_path / "a.wav")
    words = ["--model", "sound_separator", "--active-only"]
    main(["separate", str(path), "--out", str(tmp_path / "out"), *words])
    assert names(tmp_path / "out")
    told = fails(
        capsys, "separate", path, "--model", "sound_seperator", "--device=cpu"
    )
    assert "speechbrain-ext models" in told


def test_the_models_of_the_package_are_described(capsys):
    main(["models"])
    table = capsys.readouterr().out
    main(["models", "--json"])
    models = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    for name, row in models.items():
        assert f"\n{name} " in f"\n{table}"
        license = "mit" if row["extra"] else "apache-2.0"
        assert row["license"] == license and row["does"].endswith(".")
    shipped = {name for name, row in models.items() if row["size"]}
    assert shipped == {
        *("sisnr_estimator", "frame_snr_predictor", "sound_separator"),
        *("speech_enhancer", "speech_separator"),
    }
    assert models["frame_snr_predictor"]["sample_rate"] == 16000
    assert "mini" in models["sound_separator"]["trained_on"]


def test_a_folder_is_prepared(tmp_path, say, capsys):
    for speaker in "abcde":
        say(tmp_path / f"data/{speaker}/1.wav", seconds=1.5)
    out = tmp_path / "out"
    words = ["--out", str(out), "--sample-rate", "8000"]
    main(["prepare", str(tmp_path / "data"), *words])
    assert (tmp_path / "out/manifest.csv").is_file()
    assert capsys.readouterr().out.strip() == str(out / "manifest.csv")
