"""The blind SI-SNR estimator's recipe: its pool, every file, its tools."""

import csv
import importlib.util
import json
import math
import re
import shlex
import shutil
import sys

import pytest
import torch
from commands import (
    ROOT,
    import_from,
    kill_at,
    mistake_in,
    run,
    table_rows,
    train_command,
)
from estimator_folders import write_estimator
from hub_folders import LAYOUTS, PIECES, write_folder
from hub_server import Hub
from trees import make_librimix, make_whamr

from speechbrain_ext.hub import load_folder
from speechbrain_ext.hub.__main__ import main as publish_main
from speechbrain_ext.inference import SISNREstimator
from speechbrain_ext.models import SpectralConvTasNet

pytestmark = pytest.mark.slow

RECIPE = ROOT / "recipes/REAL-M/sisnr_estimation"
ROWS = table_rows(RECIPE.name)
POOL = {
    "pool_epochs": 3,
    "pool_batches": 2,
    "pool_batch_size": 2,
    "pool_segment_seconds": 0.5,
    "valid_batch_size": 2,
    "valid_batches": 1,
    "separators": "{convtasnet: {channels: 8, hidden: 8, blocks: 2}}",
}
SMALL = {
    **POOL,
    "batch_size": 2,
    "segment_seconds": 0.5,
    "number_of_epochs": 2,
    "batches_per_epoch": 3,
    "test_batches": 1,
    "test_segment_seconds": 0.5,
    "log_interval": 1,
    "num_workers": 0,
    "encoder": "{channels: 8}",
}
WORKER = "tests/integration/estimator_worker.py"
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


@pytest.fixture(scope="module")
def pool(trees):
    """The pool that pool.py trains, and what it said."""
    command = [
        sys.executable,
        RECIPE / "pool.py",
        RECIPE / "hparams/sisnr_mini.yaml",
        "--noprogressbar",
        "--only=convtasnet",
        f"--prepared_folder={trees}/data/mini_8000",
        f"--pool_folder={trees}/pool",
        *(f"--{key}={value}" for key, value in POOL.items()),
    ]
    return command, run(command)


def test_the_pool_keeps_first_middle_and_last(pool, trees):
    command, output = pool
    weights = []
    for name, epoch in (("first", 1), ("middle", 2), ("last", 3)):
        folder = trees / "pool/convtasnet" / name
        separator = load_folder(folder).separator()
        weights.append(torch.cat([p.flatten() for p in separator.parameters()]))
        assert (
            f"convtasnet, epoch {epoch}" in (folder / "README.md").read_text()
        )
        assert f"epoch {epoch}, valid: SI-SDR" in output
    assert not any(
        torch.equal(weights[a], weights[b]) for a, b in ((0, 1), (1, 2))
    )
    # what is finished is left alone
    again = run(command)
    assert "is trained already" in again
    assert "epoch 1" not in again


def test_an_unknown_separator_is_told(pool):
    command, _ = pool
    pool_script = import_from(RECIPE, "pool")
    output = mistake_in(pool_script, [*command[2:], "--only=convtasnet,blstn"])
    assert "only: blstn is none of" in output


def load_data_module():
    """The recipe's data.py, under a name of its own."""
    spec = importlib.util.spec_from_file_location(
        "sisnr_data", RECIPE / "data.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_mixture_is_separated_by_its_own_member(pool, trees):
    names = [f"convtasnet/{name}" for name in ("first", "middle", "last")]
    members = load_data_module().Pool(
        names, folder=trees / "pool", sample_rate=8000
    )
    mixture = torch.randn(4, 2000)
    estimates = members.separate(mixture, [2, 0, 2, 1])
    for item, member in enumerate((2, 0, 2, 1)):
        expected = members.modules[member](mixture[item : item + 1])[0]
        torch.testing.assert_close(estimates[item], expected)
    # validation of batches of two asks all three
    turns = [members.in_turn(batch=b, size=2).tolist() for b in range(3)]
    assert turns == [[0, 1], [2, 0], [1, 2]]


def test_a_separator_of_another_kind_is_no_member(pool, trees, tmp_path):
    data = load_data_module()
    shutil.copytree(trees / "pool/convtasnet/last", tmp_path / "other")
    path = tmp_path / "other/hyperparams.yaml"
    text = path.read_text()
    path.write_text(text.replace("sample_rate: 8000", "sample_rate: 16000"))
    with pytest.raises(ValueError, match="works at 16000 Hz, sample_rate is"):
        data.Pool(["other"], folder=tmp_path, sample_rate=8000)
    write_estimator(tmp_path / "estimator")
    with pytest.raises(ValueError, match="estimator holds no separator"):
        data.Pool(["estimator"], folder=tmp_path, sample_rate=8000)
    members = data.Pool(["other"], folder=tmp_path, sample_rate=16000)
    members.modules[0] = SpectralConvTasNet(3, channels=4, hidden=4, blocks=1)
    with pytest.raises(ValueError, match="other gives 3 sources"):
        members.separate(torch.randn(1, 800), [0])


@pytest.fixture
def hub(tmp_path):
    """A hub with the nine separators of the published repository."""
    server = Hub()
    write_folder(tmp_path / "published", *LAYOUTS["conv_tasnet"])
    server.add(
        REPOSITORY,
        {
            f"{kind}{number}_{file}": (
                tmp_path / "published" / file
            ).read_bytes()
            for kind in ("sepformer", "dprnn", "convtasnet")
            for number in (1, 2, 3)
            for file in (
                "hyperparams.yaml",
                *(f"{piece}.ckpt" for piece in PIECES),
            )
        },
    )
    yield server
    server.close()


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: row["Hparam_file"].split("/")[-1]
)
def test_hparams_file_trains_and_reports(
    row, trees, pool, hub, tmp_path, capsys
):
    flags = row["test_debug_flags"].replace("tests/tmp", str(trees))
    options = dict(SMALL)
    published = "librimix" in row["Hparam_file"]
    if published:
        del options["separators"]
    output = run(
        [
            *train_command(
                ROOT / row["Hparam_file"],
                **options,
                output_folder=tmp_path / "out",
            ),
            "--noprogressbar",
            *shlex.split(flags),
        ],
        HF_ENDPOINT=hub.url,
        HF_HOME=str(tmp_path / "hub"),
        HF_HUB_DISABLE_XET="1",
    )
    folder = tmp_path / "out"
    checks = re.fullmatch(r"file_exists=\[(.*)\]", row["test_debug_checks"])
    for name in checks[1].split(","):
        assert (folder / name).stat().st_size > 0, name
    content = json.loads((folder / "metrics.json").read_text())
    info = content["info"]
    assert (info["steps"], info["skipped_steps"]) == (6, 0)
    corpora = {
        "sisnr_mini.yaml": ["mini"],
        "sisnr_folder.yaml": ["mini", "folder"],
    }
    name = row["Hparam_file"].split("/")[-1]
    assert list(content["corpora"]) == corpora.get(name, ["librimix", "whamr"])
    rows = list(csv.DictReader(open(folder / "sources.csv", newline="")))
    groups = ["members"] if published else ["members", "unseen"]
    for corpus, figures in content["corpora"].items():
        assert list(figures) == groups
        for group, values in figures.items():
            keys = ["mean_absolute_error"]
            if not published:  # those here are not trained: below the range
                keys += ["pearson", "spearman"]
            assert all(math.isfinite(values[key]) for key in keys)
            mine = [
                r for r in rows if (r["corpus"], r["group"]) == (corpus, group)
            ]
            # two sources of two mixtures for every separator
            assert len(mine) == values["count"] == 4 * len(values["separators"])
            assert f"{corpus}, {group}" in output
    if published:
        assert len(info["members"]) == 9
        assert hub.asked("HEAD", "dprnn2_masknet.ckpt")
    with open(folder / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    assert [line["stage"] for line in history].count("valid") == 2
    check_release(folder, content, output)
    publish_main([str(folder), "--repo", "me/estimator", "--dry_run"])
    assert "encoder_out.safetensors" in capsys.readouterr().out


def check_release(folder, content, output):
    """The release gives what the selected checkpoint gives."""
    assert str(folder / "release") in output
    estimator = SISNREstimator.from_hparams(folder / "release")
    low, high = content["info"]["range_db"]
    module = estimator.module
    assert (module.snr_min, module.snr_max) == (low, high)
    (checkpoint, *_) = sorted(
        (folder / "save").glob("CKPT*"),
        key=lambda path: error_of(path),
    )
    saved = torch.load(checkpoint / "estimator.ckpt", weights_only=True)
    for name, weight in module.state_dict().items():
        assert torch.equal(weight, saved[name]), name
    card = (folder / "release/README.md").read_text()
    name = "mean absolute error within range, separators of the training"
    corpora = content["corpora"]
    for corpus, groups in corpora.items():
        error = groups["members"]["error_within_range"]
        if error is not None:
            assert (
                f"| {corpus} | test | {name} | {round(error, 3):g} dB" in card
            )
    assert f"made on the fly of {' and '.join(corpora)}" in card


def error_of(checkpoint):
    text = (checkpoint / "CKPT.yaml").read_text()
    return float(re.search(r"absolute_error_db: (\S+)", text)[1])


def test_a_missing_pool_is_told_before_the_training(trees, tmp_path):
    command = train_command(
        RECIPE / "hparams/sisnr_mini.yaml",
        **SMALL,
        output_folder=tmp_path,
        pool_folder=tmp_path / "none",
        prepared_folder=trees / "data/mini_8000",
    )
    output = mistake_in(import_from(RECIPE, "train"), command[2:])
    assert "there is no separator" in output
    assert "train the pool first: python recipes/REAL-M" in output


def test_mistakes_are_told_together(tmp_path):
    recipe = import_from(RECIPE, "train")
    options = {"members": "[]", "snr_db": "5", "output_folder": tmp_path}
    mini = RECIPE / "hparams/sisnr_mini.yaml"
    command = train_command(mini, strategy="both", **options)
    output = mistake_in(recipe, command[2:])
    assert "strategy: 'both' is none of 'pool', 'single'" in output
    output = mistake_in(recipe, train_command(mini, **options)[2:])
    assert "members: at least one separator is needed" in output
    assert "snr_db: 5 is no list" in output


def test_a_listening_test_is_made_and_read(pool, trees, tmp_path):
    script = [sys.executable, RECIPE / "listening.py"]
    separators = [trees / f"pool/convtasnet/{n}" for n in ("first", "last")]
    write_estimator(tmp_path / "estimator")
    output = run(
        [
            *(*script, "make", trees / "recordings/test", "--count=5"),
            *("--separators", *separators, f"--folder={tmp_path}/page"),
            f"--estimator={tmp_path}/estimator",
        ]
    )
    assert "5 of 22 separations" in output
    items = list(
        csv.DictReader(open(tmp_path / "page/predictions.csv", newline=""))
    )
    assert len(items) == 5
    lines = [f"ann,{item['item']},{k % 5 + 1}" for k, item in enumerate(items)]
    (tmp_path / "ann.csv").write_text(
        "\n".join(["listener,item,score", *lines]) + "\n"
    )
    output = run([*script, "plot", tmp_path / "page", tmp_path / "ann.csv"])
    assert "5 items, 1 listeners: Pearson" in output
    assert (tmp_path / "page/listeners.png").stat().st_size > 0


def test_word_errors_beside_scores(pool, trees, tmp_path):
    pytest.importorskip("faster_whisper")
    pytest.importorskip("jiwer")
    write_estimator(tmp_path / "estimator")
    output = run(
        [
            *(sys.executable, RECIPE / "word_errors.py"),
            trees / "data/mini_8000/manifest.csv",
            *("--separators", trees / "pool/convtasnet/last"),
            *("--mixtures=2", f"--json={tmp_path}/errors.json"),
            f"--estimator={tmp_path}/estimator",
        ]
    )
    rows = json.loads((tmp_path / "errors.json").read_text())
    assert [row["separator"][:5] for row in rows] == ["(the ", str(trees)[:5]]
    assert rows[0]["predicted"] is None
    assert -10 < rows[1]["predicted"] < 20
    assert all(0 < row["wer"] < 3 for row in rows)
    assert re.search(r"on \d\d words", output)


def test_another_range_does_not_go_on_with_a_run(pool, trees, tmp_path):
    command = train_command(
        RECIPE / "hparams/sisnr_mini.yaml",
        **{**SMALL, "number_of_epochs": 1},
        members="[convtasnet/last, convtasnet/first]",
        strategy="single",
        unseen="null",
        output_folder=tmp_path,
        pool_folder=trees / "pool",
        prepared_folder=trees / "data/mini_8000",
    )
    output = run([*command, "--noprogressbar"])
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["info"]["members"] == ["convtasnet/last"]
    # what is not used is not met
    groups = content["corpora"]["mini"]
    assert list(groups["members"]["separators"]) == ["convtasnet/last"]
    assert list(groups["unseen"]["separators"]) == ["convtasnet/first"]
    command.append("--learning_rate=0.5")
    output = mistake_in(import_from(RECIPE, "train"), command[2:])
    assert "holds a run with another learning_rate; going on" in output


def mini_command(trees, folder, **options):
    """A short training on `mini`, with the pool of one network."""
    return train_command(
        RECIPE / "hparams/sisnr_mini.yaml",
        **{**SMALL, **options},
        members="[convtasnet/last, convtasnet/first]",
        unseen="[convtasnet/middle]",
        output_folder=folder,
        pool_folder=trees / "pool",
        prepared_folder=trees / "data/mini_8000",
    ) + ["--noprogressbar"]


def test_uncertainty_and_the_figures_of_another_run(pool, trees, tmp_path):
    stored = tmp_path / "stored.json"
    command = mini_command(
        trees, tmp_path / "out", estimator="{uncertainty: true}"
    )
    output = run([*command, f"--store_reference={stored}"])
    assert re.search(r"off by less than the typical error: +\d+%", output)
    figures = json.loads(stored.read_text())["corpora"]["mini"]["members"]
    assert 0 <= figures["share_below_typical"] <= 1
    assert "separators" not in figures
    with open(tmp_path / "out/sources.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(0 < float(row["typical"]) < 30 for row in rows)
    mine = [row for row in rows if row["group"] == "members"]
    below = [
        abs(float(row["predicted"]) - max(float(row["true"]), -10))
        < float(row["typical"])
        for row in mine
    ]
    assert sum(below) / len(below) == pytest.approx(
        figures["share_below_typical"], abs=1e-4
    )
    # the finished run is evaluated again, beside what was stored
    output = run([*command, f"--reference={stored}"])
    assert "mini, members (pool)" in output


def test_speechbrain_loads_the_release(pool, trees, tmp_path):
    """Ours, of spectrograms; its pooling adds noise of about 1e-5."""
    from speechbrain.inference.metrics import SNREstimator

    run(mini_command(trees, tmp_path, number_of_epochs=1))
    theirs = SNREstimator.from_hparams(
        str(tmp_path / "release"), savedir=str(tmp_path / "theirs")
    )
    ours = SISNREstimator.from_hparams(tmp_path / "release")
    torch.manual_seed(0)
    estimates = torch.randn(1, 2, 8000)
    mixture = estimates.sum(1)
    expected = ours.score(
        mixture=mixture, estimates=estimates, sample_rate=8000
    )
    found = theirs.estimate_batch(mixture, estimates.mT)
    torch.testing.assert_close(found[None], expected, atol=0.01, rtol=0)


def test_two_processes_end_with_the_same_parameters(pool, trees, tmp_path):
    command = mini_command(trees, tmp_path / "out")
    run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node=2", ROOT / WORKER, tmp_path, *command[2:]),
        ]
    )
    first, second = (
        torch.load(tmp_path / f"rank{rank}.pt", weights_only=True)
        for rank in (0, 1)
    )
    assert_same(first, second)
    with open(tmp_path / "out/history.csv", newline="") as file:
        steps = [line["step"] for line in csv.DictReader(file)]
    # written by one process
    assert steps == ["1", "2", "3", "3", "4", "5", "6", "6"]


def test_a_killed_run_goes_on(pool, trees, tmp_path):
    options = {
        "batches_per_epoch": 40,
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
    }
    weights = []
    for name in ("whole", "parts"):
        folder = tmp_path / name
        folder.mkdir()
        command = mini_command(trees, folder / "out", **options)
        command[1:2] = [ROOT / WORKER, folder]
        if name == "parts":
            kill_at(50, command, folder / "out/history.csv")
        run(command)
        weights.append(torch.load(folder / "rank0.pt", weights_only=True))
    assert_same(*weights)
    histories = [
        (tmp_path / name / "out/history.csv").read_bytes()
        for name in ("whole", "parts")
    ]
    assert histories[0] == histories[1]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
