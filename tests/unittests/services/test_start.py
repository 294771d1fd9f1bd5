"""What a run may start from: folders, runs, and models of the hub."""

import os

import pytest
import speechbrain as sb
import torch
from checkout import ROOT
from hub_folders import (
    LAYOUTS,
    PREDICTOR,
    SPECTRAL,
    predictor,
    write_folder,
    write_spectral,
)
from hub_server import start_hub
from safetensors.torch import save_file

from speechbrain_ext.hub import PublishError, retry
from speechbrain_ext.hub.separators import load_start
from speechbrain_ext.services.start import read_start

RECIPE = ROOT / "recipes/WHAMandWHAMR/ring_separation"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(retry.time, "sleep", lambda seconds: None)
    server = start_hub(tmp_path, monkeypatch)
    yield server
    server.close()


def write_safetensors(folder):
    separator = write_spectral(folder)
    (folder / "separator.ckpt").unlink()
    save_file(separator.state_dict(), folder / "separator.safetensors")
    return separator


FOLDERS = {
    "release": write_spectral,
    "safetensors": write_safetensors,
    "sepformer": lambda folder: write_folder(folder, *LAYOUTS["sepformer"]),
    "conv_tasnet": lambda folder: write_folder(folder, *LAYOUTS["conv_tasnet"]),
}


def assert_same_output(first, second):
    mixture = torch.randn(2, 1600)
    with torch.no_grad():
        assert torch.equal(first.eval()(mixture), second.eval()(mixture))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_is_read_and_kept_as_it_is(tmp_path, kind):
    separator = FOLDERS[kind](tmp_path / "model")
    start = read_start(str(tmp_path / "model"), selection=None)
    assert (start.name, start.sample_rate, start.num_sources) == (
        *("model", 8000, 2),
    )
    start.keep(tmp_path / "out")
    # a second time nothing is written
    start.keep(tmp_path / "out")
    kept = start.place(tmp_path / "out")
    assert [*kept.parent.iterdir()] == [kept]
    loaded = load_start(kept, sample_rate=8000, num_sources=2)
    # it is one module, whose parameters can be trained
    assert loaded.state_dict().keys() == start.weights.keys()
    assert all(value.requires_grad for value in loaded.parameters())
    assert_same_output(loaded, separator)
    # and is read back as what it was
    again = read_start(str(kept), selection=None)
    assert again.digest == start.digest


def test_the_digest_is_that_of_the_weights_and_of_the_architecture(tmp_path):
    names = ("one", "copy", "other", "mask")
    first, copy, other, mask = (tmp_path / name for name in names)
    separator = write_spectral(first)
    for folder in (copy, mask):
        write_spectral(folder)
    write_spectral(other)
    for folder in (copy, mask):
        (folder / "separator.ckpt").unlink()
        save_file(separator.state_dict(), folder / "separator.safetensors")
    text = (mask / "hyperparams.yaml").read_text()
    (mask / "hyperparams.yaml").write_text(
        text.replace("  hop: 32", "  mask: relu\n  hop: 32")
    )
    digests = [
        read_start(str(folder), selection=None).digest
        for folder in (first, copy, other, mask)
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.slow
def test_the_hub_is_asked_for_a_revision(tmp_path, hub):
    separators = []
    for name in ("old", "new"):
        separators.append(write_safetensors(tmp_path / name))
        files = (tmp_path / name).iterdir()
        hub.add("me/model", {path.name: path.read_bytes() for path in files})
    old, new = hub.repos["me/model"].commits
    hub.repos["me/model"].tags["first"] = old
    for place, commit, separator in (
        ("me/model", new, separators[1]),
        ("me/model@first", old, separators[0]),
        (f"me/model@{old}", old, separators[0]),
    ):
        start = read_start(place, selection=None)
        assert start.name == f"me/model@{commit}"
        assert start.license == "cc-by-4.0"
        for name, value in separator.state_dict().items():
            assert torch.equal(start.weights[name], value), (place, name)


def make_run(folder, text, separators):
    """The output folder of a run; the best checkpoint is the first one."""
    folder.mkdir(parents=True)
    report = (RECIPE / "report.yaml").read_text()
    (folder / "hyperparams.yaml").write_text(text)
    (folder / "report.yaml").write_text(report)
    save = sb.utils.checkpoints.Checkpointer(folder / "save")
    for number, separator in enumerate(separators):
        save.recoverables = {"separator": separator}
        save.save_checkpoint(meta={"objective": number}, name=str(number))


def test_a_run_gives_its_selected_checkpoint(tmp_path, monkeypatch):
    text = SPECTRAL.format(sample_rate=16000, num_sources=2)
    separators = [write_spectral(tmp_path / str(n), 16000) for n in range(2)]
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "results/ring/1", text, separators)
    places = {
        "results/ring/1": separators[0],
        "results/ring/1/save/CKPT+1": separators[1],
    }
    for place, separator in places.items():
        start = read_start(place, selection="objective")
        assert (start.name, start.sample_rate) == (place, 16000)
        start.keep("out")
        kept = start.place("out")
        loaded = load_start(kept, sample_rate=16000, num_sources=2)
        assert_same_output(loaded, separator)
    # weights alone: nothing tells of which separator
    os.remove("results/ring/1/report.yaml")
    start = read_start("results/ring/1", selection="objective")
    assert start.text is None
    assert start.weights.keys() == separators[0].state_dict().keys()


def test_what_is_no_separator_is_told(tmp_path, hub, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "predictor"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(PREDICTOR)
    torch.save(predictor().state_dict(), folder / "predictor.ckpt")
    hub.add("me/empty", {"README.md": b"# Nothing\n"})
    (tmp_path / "me").mkdir()
    for place, kind, said in (
        ("predictor", ValueError, "predictor holds no separator, but: pred"),
        ("me/nothing", FileNotFoundError, "there is no folder me/nothing"),
        ("you/nothing", PublishError, "you/nothing: could not load it"),
        ("./me/model", FileNotFoundError, "there is no folder ./me/model"),
    ):
        with pytest.raises(kind, match=f"^start_from: {said}"):
            read_start(place, selection=None)


def test_a_folder_has_no_revisions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me").mkdir()
    write_spectral(tmp_path / "me/model")
    with pytest.raises(ValueError, match="me/model is a folder here, which"):
        read_start("me/model@main", selection=None)


@pytest.mark.parametrize(
    "card, license",
    [
        ("---\nlicense: mit\n---\n# It\n", "mit"),
        ("---\nlicense: [mit]\n---\n# It\n", None),
        ("---\nlicense: {\n---\n", None),
        ("# It\nlicense: mit\n", None),
        ("", None),
    ],
    ids=["stated", "list", "damaged", "no-head", "empty"],
)
def test_the_license_is_that_of_the_card(tmp_path, card, license):
    write_spectral(tmp_path / "model")
    (tmp_path / "model/README.md").write_text(card)
    start = read_start(str(tmp_path / "model"), selection=None)
    assert start.license == license
