"""Separators that stand side by side in one repository."""

import pytest
import torch
from hub_folders import (
    CONV_TASNET,
    FILTERS,
    LAYOUTS,
    PIECES,
    PRETRAINER,
    write_folder,
    write_spectral,
)
from huggingface_hub.errors import DryRunError
from speechbrain.lobes.models.dual_path import Dual_Path_Model, SBRNNBlock

from speechbrain_ext.hub import (
    Limits,
    PublishError,
    RefusedError,
    download,
    fetch_prefixed,
    load_folder,
)
from speechbrain_ext.hub.separators import load_start
from speechbrain_ext.models import MaskingSeparator
from speechbrain_ext.models.separator import filterbank

FILES = ["hyperparams.yaml", *(f"{name}.ckpt" for name in PIECES)]
REPO = "me/separators"
BLOCK = """
{name}: !new:speechbrain.lobes.models.dual_path.SBRNNBlock
  num_layers: 1
  input_size: 8
  hidden_channels: 8
  dropout: 0
  bidirectional: true
"""
# in the layout of SpeechBrain's recipe WSJ0Mix/separation, dprnn.yaml
DPRNN = f"""{FILTERS}
{BLOCK.format(name="intra")}  rnn_type: LSTM
{BLOCK.format(name="inter")}
MaskNet: !new:speechbrain.lobes.models.dual_path.Dual_Path_Model
  num_spks: !ref <num_spks>
  in_channels: 8
  out_channels: 8
  num_layers: 2
  K: 20
  intra_model: !ref <intra>
  inter_model: !ref <inter>
  norm: ln
  linear_layer_after_inter_intra: true
  skip_around_intra: true
{PRETRAINER}"""


def dprnn():
    masknet = Dual_Path_Model(
        in_channels=8,
        out_channels=8,
        intra_model=SBRNNBlock(8, 8, 1),
        inter_model=SBRNNBlock(8, 8, 1),
        num_layers=2,
        K=20,
        linear_layer_after_inter_intra=True,
    )
    return MaskingSeparator(*filterbank(8, 16, masknet)).eval()


KINDS = {
    "dprnn1": (DPRNN, dprnn),
    "sepformer2": LAYOUTS["sepformer"],
    # causal, as in SpeechBrain's recipe
    "convtasnet3": (
        CONV_TASNET.replace("norm_type: gLN", "norm_type: 'gLN'"),
        LAYOUTS["conv_tasnet"][1],
    ),
}


@pytest.fixture
def separators(hub, tmp_path):
    """Every kind in one repository; prefix to the module."""
    modules, files = {}, {"README.md": b"three", "other_encoder.ckpt": b""}
    for prefix, layout in KINDS.items():
        folder = tmp_path / "published" / prefix
        folder.parent.mkdir(exist_ok=True)
        modules[prefix] = write_folder(folder, *layout)
        for name in FILES:
            files[f"{prefix}_{name}"] = (folder / name).read_bytes()
    hub.add(REPO, files)
    return modules


@pytest.mark.slow
@pytest.mark.parametrize("prefix", KINDS)
def test_every_kind_is_brought_and_loaded(prefix, separators, tmp_path):
    folder = fetch_prefixed(REPO, prefix, tmp_path / "here")
    assert folder == tmp_path / "here" / prefix
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert not any(path.is_symlink() for path in folder.iterdir())
    mixture = torch.randn(2, 1000)
    with torch.no_grad():
        found = load_folder(folder).separator()(mixture)
        assert torch.equal(found, separators[prefix](mixture))


def test_only_what_is_missing_is_brought(hub, separators, tmp_path):
    folder = fetch_prefixed(REPO, "dprnn1", tmp_path)
    hub.requests.clear()
    fetch_prefixed(REPO, "dprnn1", tmp_path)
    assert hub.requests == []
    (folder / "masknet.ckpt").unlink()
    (folder / "encoder.ckpt").write_bytes(b"mine")
    fetch_prefixed("me/separators", "dprnn1", tmp_path)
    assert (folder / "masknet.ckpt").stat().st_size > 0
    assert (folder / "encoder.ckpt").read_bytes() == b"mine"
    assert not hub.asked("GET", "encoder.ckpt")


def test_a_missing_file_is_named(hub, separators, tmp_path):
    files = hub.repos[REPO].commits[hub.repos[REPO].head]
    del files["dprnn1_masknet.ckpt"]
    with pytest.raises(
        FileNotFoundError, match=f"{REPO} has no dprnn1_masknet.ckpt; look"
    ):
        fetch_prefixed(REPO, "dprnn1", tmp_path / "here")
    with pytest.raises(FileNotFoundError, match="no x_hyperparams.yaml, x_enc"):
        fetch_prefixed(REPO, "x", tmp_path / "here")
    assert not hub.asked("GET", "/resolve/")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    "name, message",
    [
        ("hyperparams.yaml", "1000000000000 bytes, more than 65536"),
        ("encoder.ckpt", r"weight_bytes=\.\.\."),
    ],
)
def test_what_is_too_large_is_not_downloaded(
    name, message, hub, separators, tmp_path
):
    hub.claimed_sizes[f"dprnn1_{name}"] = 10**12
    with pytest.raises(RefusedError, match=message):
        fetch_prefixed(REPO, "dprnn1", tmp_path / "here")
    assert not hub.asked("GET", "/resolve/")
    assert not (tmp_path / "here").exists()


def test_what_the_hub_does_not_tell_is_checked_here(
    separators, monkeypatch, tmp_path
):
    def without_sizes(*, dry_run=False, **options):
        if dry_run:
            raise DryRunError("the hub does not tell")
        return snapshot_download(**options)

    snapshot_download = download.snapshot_download
    monkeypatch.setattr(download, "snapshot_download", without_sizes)
    with pytest.raises(FileNotFoundError, match="x_hyperparams.yaml is miss"):
        fetch_prefixed(REPO, "x", tmp_path / "here")
    assert not (tmp_path / "here").exists()
    folder = fetch_prefixed(REPO, "dprnn1", tmp_path / "here")
    with pytest.raises(RefusedError, match="more than 100;"):
        load_folder(folder, limits=Limits(weight_bytes=100))


@pytest.mark.parametrize("prefix", ["", "..", "a/b", "a*", ".a", "a.b", "[ab]"])
def test_a_prefix_names_one_folder(prefix, hub, tmp_path):
    with pytest.raises(ValueError, match="prefix .*: it names a folder"):
        fetch_prefixed(REPO, prefix, tmp_path)
    with pytest.raises(ValueError, match="'separators' is no repository"):
        fetch_prefixed("separators", "dprnn1", tmp_path)
    assert hub.requests == []


def test_the_network_is_tried_again(hub, separators, waits, tmp_path):
    hub.fail("GET", "dprnn1_decoder.ckpt", status=503)
    hub.fail("HEAD", "dprnn1_masknet.ckpt", status=503)
    hub.fail("GET", "/revision/", drop=True)
    folder = fetch_prefixed(REPO, "dprnn1", tmp_path)
    assert load_folder(folder).separator() is not None
    with pytest.raises(PublishError, match="me/none: could not download x"):
        fetch_prefixed("me/none", "x", tmp_path)


def test_without_a_hub_the_cache_is_enough(separators, tmp_path, monkeypatch):
    fetch_prefixed(REPO, "dprnn1", tmp_path / "first")
    nobody = "http://127.0.0.1:1"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", nobody)
    folder = fetch_prefixed(REPO, "dprnn1", tmp_path / "second")
    assert load_folder(folder).separator() is not None
    with pytest.raises(PublishError, match="sepformer2 .*check the connection"):
        fetch_prefixed(REPO, "sepformer2", tmp_path / "second")
    assert not (tmp_path / "second/sepformer2").exists()


@pytest.mark.parametrize("name", ["unprocessed", "mine:today"])
def test_what_a_run_adapts_is_a_folder_whatever_its_name(name, tmp_path):
    before = write_spectral(tmp_path / name)
    loaded = load_start(tmp_path / name, sample_rate=8000, num_sources=2)
    assert loaded.state_dict().keys() == before.state_dict().keys()
