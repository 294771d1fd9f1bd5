"""The blind SI-SNR estimator's recipe: its pool, every file, its commands."""

import csv
import json
import math
import re
import runpy
import shlex
import sys
from types import SimpleNamespace

import pytest
import torch
from commands import ROOT, launch_here, table_rows
from estimator_folders import write_estimator
from hub_folders import LAYOUTS, PIECES, write_folder
from hub_server import Hub
from trees import make_librimix, make_whamr
from workers import train

from speechbrain_ext.commands.program import main as program
from speechbrain_ext.hub import load_folder
from speechbrain_ext.inference import SISNREstimator
from speechbrain_ext.training import History

pytestmark = pytest.mark.slow

RECIPE = ROOT / "recipes/REAL-M/sisnr_estimation"
ROWS = {
    row["Hparam_file"].split("/")[-1]: row for row in table_rows(RECIPE.name)
}
SMALL = {
    "batch_size": 2,
    "segment_seconds": 0.5,
    "number_of_epochs": 2,
    "batches_per_epoch": 3,
    "valid_batch_size": 2,
    "valid_batches": 1,
    "test_batches": 1,
    "test_segment_seconds": 0.5,
    "num_workers": 0,
}
SMALL_POOL = {**SMALL, "number_of_epochs": 3, "batches_per_epoch": 2}
REPOSITORY = "speechbrain/REAL-M-sisnr-estimator-training"


@pytest.fixture(scope="module")
def trees(tmp_path_factory, recordings, prepared):
    folder = tmp_path_factory.mktemp("trees")
    (folder / "data").symlink_to(prepared)
    (folder / "recordings").symlink_to(recordings)
    names = {"train-360": 10, "dev": 20, "test": 30}
    make_librimix(
        folder / "librimix",
        {s: [str(n + k) for k in range(6)] for s, n in names.items()},
    )
    names = {"tr": "0", "cv": "1", "tt": "2"}
    make_whamr(
        folder / "whamr",
        {s: [f"{n}{c}{c}" for c in "abcdef"] for s, n in names.items()},
    )
    return folder


def words_of(name, trees, folder, **options):
    """Options of a row of the table that make it short."""
    flags = ROWS[name]["test_debug_flags"].replace("tests/tmp", str(trees))
    small = SMALL_POOL if name.startswith("pool") else SMALL
    if not name.startswith("pool"):
        small = {**small, "log_interval": 1}
    options = {**small, "output_folder": folder, **options}
    return [
        *(f"--{key}={value}" for key, value in options.items()),
        "--noprogressbar",
        *shlex.split(flags),
    ]


def start(name, words):
    """Launch a file in this process; return what it prints."""
    return launch_here(RECIPE / "hparams" / name, *words)


@pytest.fixture(scope="module")
def pool(trees):
    """What the pool of `mini` leaves, and what it says."""
    folder = trees / "pool/convtasnet"
    return folder, start(
        "pool_mini.yaml", words_of("pool_mini.yaml", trees, folder)
    )


@pytest.fixture(scope="module")
def runs(trees, pool, tmp_path_factory):
    """Folder of every file of the estimator, and what it says."""
    folder = tmp_path_factory.mktemp("runs")
    server = Hub()
    write_folder(folder / "published", *LAYOUTS["conv_tasnet"])
    files = ["hyperparams.yaml", *(f"{piece}.ckpt" for piece in PIECES)]
    # the nine separators of the published repository
    server.add(
        REPOSITORY,
        {
            f"{kind}{number}_{file}": (folder / "published" / file).read_bytes()
            for kind in ("sepformer", "dprnn", "convtasnet")
            for number in (1, 2, 3)
            for file in files
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url
            + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(folder / "hub"),
            "HF_HUB_DISABLE_XET": True,
        }.items():
            patch.setattr(f"huggingface_hub.constants.{key}", value)
        found = {
            name: (
                folder / name,
                start(name, words_of(name, trees, folder / name)),
            )
            for name in ROWS
            if name.startswith("sisnr")
        }
    assert server.asked("HEAD", "dprnn2_masknet.ckpt")
    server.close()
    return found


def check_files(name, folder):
    """What the table says that a run leaves is there."""
    checks = re.fullmatch(
        r"file_exists=\[(.*)\]", ROWS[name]["test_debug_checks"]
    )
    for file in checks[1].split(","):
        assert (folder / file).stat().st_size > 0, file


def check_pool(name, folder):
    """First, middle and last model are there, and are what they say."""
    check_files(name, folder)
    weights = []
    for kept in ("first", "middle", "last"):
        separator = load_folder(folder / kept).separator()
        weights.append(torch.cat([p.flatten() for p in separator.parameters()]))
        card = (folder / kept / "README.md").read_text()
        assert f"convtasnet, {kept} epoch of 3" in card
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    content = json.loads((folder / "metrics.json").read_text())
    figures = content["metrics"]
    assert list(figures)[0] == "si_sdr, last"
    for kept in ("first", "middle", "last"):
        assert math.isfinite(figures[f"si_sdr, {kept}"]["mean"])


def test_the_pool_keeps_first_middle_and_last(pool):
    folder, output = pool
    check_pool("pool_mini.yaml", folder)
    assert "SI-SDR, first " in output
    steps = [row["step"] for row in read(folder / "history.csv")]
    assert steps == ["2", "2", "4", "4", "6", "6"]


@pytest.mark.parametrize(
    "name", ["pool_folder.yaml", "pool_librimix_whamr.yaml"]
)
def test_a_pool_of_other_corpora(name, trees, tmp_path):
    start(name, words_of(name, trees, tmp_path))
    check_pool(name, tmp_path)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "corpora"),
    [
        ("sisnr_mini.yaml", ["mini"]),
        ("sisnr_folder.yaml", ["mini", "folder"]),
        ("sisnr_librimix_whamr.yaml", ["librimix", "whamr"]),
    ],
    ids=["mini", "folder", "official"],
)
def test_hparams_file_trains_and_reports(name, corpora, runs, capsys):
    folder, output = runs[name]
    check_files(name, folder)
    content = json.loads((folder / "metrics.json").read_text())
    info = content["info"]
    assert (info["steps"], info["skipped_steps"]) == (6, 0)
    groups = {
        "sisnr_mini.yaml": {"members": 1, "unseen": 2},  # strategy: single
        "sisnr_folder.yaml": {"members": 2, "unseen": 1},
        "sisnr_librimix_whamr.yaml": {"members": 9},
    }[name]
    tests = [f"{corpus}, {group}" for corpus in corpora for group in groups]
    rows = read(folder / "test_results.csv")
    for test in tests:
        figures = content["metrics"][f"mean_absolute_error, {test}"]
        assert math.isfinite(figures["mean"])
        # two sources of two mixtures for every separator
        mine = [row for row in rows if row["test"] == test]
        assert len(mine) == 4 * groups[test.split(", ")[1]]
        assert f"Mean absolute error, {test} " in output
    history = read(folder / "history.csv")
    assert [row["stage"] for row in history].count("valid") == 2
    check_release(folder, tests, info["selection"])
    if name == "sisnr_mini.yaml":
        assert len(list((folder / "save").glob("CKPT*"))) == 2
        program(["publish", str(folder), "--repo", "me/estimator", "--dry_run"])
        assert "encoder_out.safetensors" in capsys.readouterr().out


def check_release(folder, tests, selection):
    """The release gives what the selected checkpoint gives."""
    module = SISNREstimator.from_hparams(folder / "release").module
    checkpoint = min(
        (folder / "save").glob("CKPT*"),
        key=lambda path: float(
            re.search(rf"{selection}: (\S+)", (path / "CKPT.yaml").read_text())[
                1
            ]
        ),
    )
    saved = torch.load(checkpoint / "estimator.ckpt", weights_only=True)
    for name, weight in module.state_dict().items():
        assert torch.equal(weight, saved[name]), name
    card = (folder / "release/README.md").read_text()
    for test in tests:
        corpus, group = test.split(", ")
        assert f"| {corpus} | test | Mean absolute error, {group} |" in card


def test_the_typical_error_is_a_second_output(runs, trees):
    folder, output = runs["sisnr_folder.yaml"]
    rows = read(folder / "test_results.csv")
    assert all(0 < float(row["typical"]) < 30 for row in rows)
    assert "Ratio below the typical error" in output
    card = (folder / "release/README.md").read_text()
    assert "Ratio below the typical error, members" in card


def test_the_typical_error_is_what_68_percent_are_below():
    import speechbrain as sb

    script = runpy.run_path(str(RECIPE / "train.py"))
    brain = object.__new__(script["SISNREstimation"])
    history = SimpleNamespace(add=lambda *stage, **values: None)
    brain.hparams = SimpleNamespace(snr_min=-10, snr_max=20, history=history)
    errors = torch.linspace(0.0, 10.0, 101)
    objectives = [
        brain.compute_objectives(
            (errors, 0 * errors, torch.full_like(errors, typical)),
            None,
            sb.Stage.TRAIN,
        )
        for typical in range(11)
    ]
    assert torch.stack(objectives).argmin() == 7


def test_speechbrain_loads_the_release(runs, tmp_path):
    """Its pooling adds noise of about 1e-5."""
    from speechbrain.inference.metrics import SNREstimator

    folder, _ = runs["sisnr_mini.yaml"]
    theirs = SNREstimator.from_hparams(
        str(folder / "release"), savedir=str(tmp_path / "theirs")
    )
    ours = SISNREstimator.from_hparams(folder / "release")
    torch.manual_seed(0)
    estimates = torch.randn(1, 2, 8000)
    mixture = estimates.sum(1)
    expected = ours.score(
        mixture=mixture, estimates=estimates, sample_rate=8000
    )
    found = theirs.estimate_batch(mixture, estimates.mT)
    torch.testing.assert_close(found[None], expected, atol=0.01, rtol=0)


def newest(folder, name):
    """The weights of the last checkpoint."""
    files = sorted((folder / "save").glob(f"CKPT*/{name}.ckpt"))
    return torch.load(
        max(files, key=lambda path: path.stat().st_mtime_ns),
        weights_only=True,
    )


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def interrupt(monkeypatch, name, words, row):
    """Launch, and interrupt the run when it writes a row of its history."""
    write = History.write

    def write_or_stop(history, **values):
        if len(history.rows) == row:
            raise KeyboardInterrupt
        return write(history, **values)

    with monkeypatch.context() as patch:
        patch.setattr(History, "write", write_or_stop)
        with pytest.raises(KeyboardInterrupt):
            start(name, words)


def test_an_interrupted_run_resumes(runs, trees, tmp_path, monkeypatch):
    name, (whole, _) = "sisnr_mini.yaml", runs["sisnr_mini.yaml"]
    steps = {"ckpt_interval_minutes": 0, "ckpt_interval_steps": 2}
    words = words_of(name, trees, tmp_path, **steps)
    # within the first epoch, and within the second
    for row in (2, 6):
        interrupt(monkeypatch, name, words, row)
    words.append("--learning_rate=0.5")
    with pytest.raises(ValueError, match="a run with another learning_rate"):
        start(name, words)
    start(name, words[:-1])
    assert_same(newest(whole, "estimator"), newest(tmp_path, "estimator"))
    for file in ("history.csv", "test_results.csv"):
        assert (tmp_path / file).read_bytes() == (whole / file).read_bytes()


def test_an_interrupted_pool_resumes(pool, trees, tmp_path, monkeypatch):
    words = words_of("pool_mini.yaml", trees, tmp_path)
    interrupt(monkeypatch, "pool_mini.yaml", words, 2)
    start("pool_mini.yaml", words)
    assert_same(newest(pool[0], "separator"), newest(tmp_path, "separator"))
    for file in ("history.csv", "test_results.csv"):
        assert (tmp_path / file).read_bytes() == (pool[0] / file).read_bytes()


def test_two_processes_end_with_the_same_parameters(pool, trees, tmp_path):
    name = "sisnr_mini.yaml"
    words = words_of(name, trees, tmp_path / "out")
    first, second = train(
        tmp_path, RECIPE / "hparams" / name, *words, processes=2
    )
    assert_same(first["parameters"], second["parameters"])
    # written by one process
    steps = [row["step"] for row in read(tmp_path / "out/history.csv")]
    assert steps == ["1", "2", "3", "3", "4", "5", "6", "6"]


def test_mistakes_are_told_together(tmp_path):
    mini = [f"--output_folder={tmp_path}", f"--pool_folder={tmp_path}/none"]
    for options, messages in (
        (
            ["--strategy=both", "--snr_max=-70"],
            ["strategy: 'both' is none of", "snr_max: -70.0 is below -60"],
        ),
        (
            ["--members=[]", "--snr_db=5"],
            [
                "members: [] is no list of names, at least 1",
                "snr_db: 5 is no list",
            ],
        ),
        (["--snr_max=-20"], ["snr_min: -10 is not below snr_max, -20"]),
        (
            ["--rooms=null", "--test_split={minni: test}"],
            ["rooms: reverberate needs", "test_split: minni is not in"],
        ),
        # before the training
        ([], ["members: there is no separator", "test_members: there is no"]),
    ):
        with pytest.raises(ValueError) as raised:
            start("sisnr_mini.yaml", [*mini, *options])
        for message in messages:
            assert message in str(raised.value)
    with pytest.raises(ValueError, match="separator: 'blstn' is none of sepf"):
        start("pool_mini.yaml", [mini[0], "--separator=blstn"])


def test_a_listening_test_is_made_and_read(
    pool, trees, tmp_path, monkeypatch, capsys
):
    write_estimator(tmp_path / "estimator")

    def say(*words):
        words = ["-m", "listening", *map(str, words)]
        monkeypatch.setattr(sys, "argv", words)
        program()
        return capsys.readouterr().out

    output = say(
        *("make", trees / "recordings/test", "--count=5"),
        *("--separators", pool[0] / "first", pool[0] / "last"),
        *(f"--out={tmp_path}/page", f"--estimator={tmp_path}/estimator"),
    )
    assert "5 of 22 separations" in output
    items = read(tmp_path / "page/predictions.csv")
    assert len(items) == 5
    lines = [f"ann,{item['item']},{k % 5 + 1}" for k, item in enumerate(items)]
    (tmp_path / "ann.csv").write_text(
        "\n".join(["listener,item,score", *lines]) + "\n"
    )
    output = say("plot", tmp_path / "page", tmp_path / "ann.csv")
    assert "5 items, 1 listeners: Pearson" in output
    assert (tmp_path / "page/listeners.png").stat().st_size > 0


def test_word_errors_beside_scores(pool, trees, tmp_path, monkeypatch, capsys):
    pytest.importorskip("faster_whisper")
    pytest.importorskip("jiwer")
    write_estimator(tmp_path / "estimator")
    words = [
        *("-m", "word_errors", trees / "data/mini_8000/manifest.csv"),
        *("--separators", pool[0] / "last", "--mixtures=2"),
        f"--json={tmp_path}/errors.json",
        f"--estimator={tmp_path}/estimator",
    ]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    program()
    rows = json.loads((tmp_path / "errors.json").read_text())
    assert [row["separator"][:5] for row in rows] == ["(the ", str(trees)[:5]]
    assert rows[0]["predicted"] is None
    assert -10 < rows[1]["predicted"] < 20
    assert all(0 < row["wer"] < 3 for row in rows)
    assert re.search(r"on \d\d words", capsys.readouterr().out)
