"""Folders whose files are not what they should be.

Most are those of tools/try_hostile.py.
"""

import json
import os
import pickle
import re
import zipfile

import pytest
import torch
from hostile import weights
from hostile.case import Place
from hostile.containers import Payload
from hub_folders import PIECES, write_folder
from safetensors.torch import save_file

from speechbrain_ext.hub import Limits, RefusedError, load_folder, loading
from speechbrain_ext.hub.weights import read_weights


def pickled_in_script(path, canary):
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(path))
    with zipfile.ZipFile(path, "a") as archive:
        content = pickle.dumps(Payload(canary / "ran"))
        archive.writestr("archive/evil.pkl", content)


def whole_module(path, canary):
    torch.save(torch.nn.Linear(1, 1), path)


def not_finite(path, canary):
    torch.save({"conv1d.weight": torch.full((8, 1, 16), float("nan"))}, path)


def not_finite_safetensors(path, canary):
    tensors = {"a": torch.tensor([1.0, float("inf")])}
    save_file(tensors, path.with_suffix(".safetensors"))


def link_of_a_link_out(path, canary):
    target = path.parent.parent / "outside.ckpt"
    path.rename(target)
    path.with_name("second").symlink_to(target)
    path.symlink_to("second")


DAMAGE = {
    pickled_in_script: "encoder.ckpt is refused",
    whole_module: "encoder.ckpt is refused",
    not_finite: "encoder.ckpt .* tensor conv1d.weight .* infinite",
    not_finite_safetensors: "encoder.safetensors .* tensor a holds .* infinite",
    link_of_a_link_out: "is a link to .*, which is outside the folder",
}
CASES = {
    case.name: case
    for case in weights.cases()
    # a file of 3 GB is written by the tool alone
    if case.expect == "refused" and "3 GB" not in case.name
}


@pytest.fixture
def only_other_modules(monkeypatch):
    """Let no module be made that takes the weights of the encoder."""
    make = loading.materialize

    def make_others(call, sizes):
        assert not call.name.endswith("Encoder")
        return make(call, sizes)

    monkeypatch.setattr(loading, "materialize", make_others)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda item: item.__name__)
def test_refused_before_its_module_takes_memory(
    damage, tmp_path, canary, only_other_modules
):
    folder = tmp_path / "hostile"
    write_folder(folder)
    damage(folder / "encoder.ckpt", canary)
    with pytest.raises(RefusedError, match=DAMAGE[damage]):
        load_folder(folder, limits=Limits(weight_bytes=1_000_000))
    assert os.listdir(canary) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_files_of_the_tool_are_refused(name, tmp_path, only_other_modules):
    place = Place(tmp_path)
    for folder in (place.given, place.outside):
        folder.mkdir()
    CASES[name].make(place)
    with pytest.raises((ValueError, OSError)) as error:
        load_folder(place.given)
    assert not place.canary.exists()
    message = str(error.value)
    assert len(message) < 2000 + 2 * len(str(tmp_path))
    assert message.isprintable()
    # a link into /proc is an error of the system
    assert re.search("encoder|hyperparams.yaml|Errno", message)


@pytest.mark.parametrize("how", ["in an archive", "plainly"])
def test_those_pickles_do_run_where_they_may(how, tmp_path):
    # else the test above could not fail
    place = Place(tmp_path)
    for folder in (place.given, place.outside):
        folder.mkdir()
    CASES[f"archive: pickled {how}"].make(place)
    path = place.given / "encoder.ckpt"
    if how == "plainly":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert place.canary.exists()


def test_code_that_lies_beside_is_not_run(published, canary, monkeypatch):
    text = f"open({str(canary / 'ran')!r}, 'w')"
    for name in ("custom.py", "speechbrain.py", "sitecustomize.py"):
        (published / name).write_text(text)
    monkeypatch.chdir(published)
    assert load_folder(".").modules.keys() == set(PIECES)
    assert os.listdir(canary) == []


def test_weights_of_all_files_count_together(published):
    sizes = [path.stat().st_size for path in published.glob("*.ckpt")]
    load_folder(published, limits=Limits(weight_bytes=10**8))
    with pytest.raises(RefusedError, match="more than .*weight_bytes=...") as e:
        load_folder(published, limits=Limits(weight_bytes=sum(sizes) - 1))
    assert str(sum(sizes)) in str(e.value)


def test_links_inside_the_folder_are_followed(published):
    inner = published / "weights"
    inner.mkdir()
    (published / "encoder.ckpt").rename(inner / "encoder.ckpt")
    (published / "encoder.ckpt").symlink_to("weights/encoder.ckpt")
    assert load_folder(published).modules.keys() == set(PIECES)


def cache_of(published, name="models--me--ring"):
    """Lay a folder out like the cache: a snapshot of links to blobs."""
    blobs = published.parent / name / "blobs"
    snapshot = published.parent / name / "snapshots" / "0123"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for path in published.iterdir():
        path.rename(blobs / f"hash-of-{path.name}")
        (snapshot / path.name).symlink_to(f"../../blobs/hash-of-{path.name}")
    return snapshot


def test_a_snapshot_of_the_cache_may_link_to_its_blobs(published):
    snapshot = cache_of(published)
    assert load_folder(snapshot).modules.keys() == set(PIECES)
    # and nowhere else in the cache
    other = snapshot.parents[2] / "models--you--other" / "blobs"
    other.mkdir(parents=True)
    (snapshot / "encoder.ckpt").resolve().rename(other / "x")
    (snapshot / "encoder.ckpt").unlink()
    (snapshot / "encoder.ckpt").symlink_to((other / "x").resolve())
    with pytest.raises(RefusedError, match="which is outside the folder"):
        load_folder(snapshot)


def test_a_folder_that_only_looks_like_a_cache(published):
    with pytest.raises(RefusedError, match="which is outside the folder"):
        load_folder(cache_of(published, name="anything"))


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_missing_weights_are_named(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match=f"x{suffix}"):
        read_weights(tmp_path / f"x{suffix}")


@pytest.mark.parametrize("dimensions", [9, 1000, 100_000], ids=str)
def test_a_tensor_has_few_dimensions(tmp_path, dimensions):
    entry = {"dtype": "F32", "shape": [1] * dimensions, "data_offsets": [0, 4]}
    header = json.dumps({"a": entry}).encode()
    path = tmp_path / "a.safetensors"
    size = len(header).to_bytes(8, "little")
    path.write_bytes(size + header + bytes(4))
    with pytest.raises(RefusedError, match="dimensions"):
        read_weights(path)
