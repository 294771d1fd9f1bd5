"""Folders whose files are not what they should be."""

import json
import os
import pickle
import tarfile
import zipfile

import pytest
import torch
from hub_folders import PIECES, write_folder
from safetensors.torch import save_file

from speechbrain_ext.hub import Limits, RefusedError, load_folder, loading
from speechbrain_ext.hub.weights import read_weights


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def pickled_in_archive(path, canary):
    torch.save({"conv1d.weight": Payload(canary / "ran")}, path)


def pickled_as_whole(path, canary):
    torch.save(Payload(canary / "ran"), path)


def pickled_plainly(path, canary):
    path.write_bytes(pickle.dumps(Payload(canary / "ran")))


def pickled_before_archives(path, canary):
    torch.save(
        {"conv1d.weight": Payload(canary / "ran")},
        path,
        _use_new_zipfile_serialization=False,
    )


def pickled_in_tar(path, canary):
    inner = path.with_name("pickle")
    inner.write_bytes(pickle.dumps(Payload(canary / "ran")))
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.add(inner, name)
    inner.unlink()


def pickled_in_script(path, canary):
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(path))
    with zipfile.ZipFile(path, "a") as archive:
        content = pickle.dumps(Payload(canary / "ran"))
        archive.writestr("archive/evil.pkl", content)


def pickled_under_the_name_of_tensors(path, canary):
    torch.save(Payload(canary / "ran"), path.with_suffix(".safetensors"))


def whole_module(path, canary):
    torch.save(torch.nn.Linear(1, 1), path)


def no_dict(path, canary):
    torch.save([torch.zeros(1)], path)


def dict_of_numbers(path, canary):
    torch.save({"conv1d.weight": 1}, path)


def cut(path, canary):
    path.write_bytes(path.read_bytes()[:500])


def empty(path, canary):
    path.write_bytes(b"")


def cut_tensors(path, canary):
    tensors = path.with_suffix(".safetensors")
    save_file({"conv1d.weight": torch.zeros(8, 1, 16)}, tensors)
    tensors.write_bytes(tensors.read_bytes()[:-10])


def huge_header(path, canary):
    size = (2**62).to_bytes(8, "little")
    path.with_suffix(".safetensors").write_bytes(size + b"{}")


def sparse_tensor(path, canary):
    torch.save({"conv1d.weight": torch.zeros(8, 1, 16).to_sparse()}, path)


def not_finite(path, canary):
    torch.save({"conv1d.weight": torch.full((8, 1, 16), float("nan"))}, path)


def not_finite_safetensors(path, canary):
    weights = {"a": torch.tensor([1.0, float("inf")])}
    save_file(weights, path.with_suffix(".safetensors"))


def archive_bomb(path, canary):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", b"\0" * 3_000_000)


def outside(path):
    target = path.parent.parent / "outside"
    target.mkdir()
    torch.save({"a": torch.zeros(1)}, target / "encoder.ckpt")
    return target


def link_out(path, canary):
    target = outside(path) / "encoder.ckpt"
    path.unlink()
    path.symlink_to(target)


def relative_link_out(path, canary):
    outside(path)
    path.unlink()
    path.symlink_to("../outside/encoder.ckpt")


def link_of_a_link_out(path, canary):
    target = outside(path) / "encoder.ckpt"
    path.unlink()
    path.with_name("second").symlink_to(target)
    path.symlink_to("second")


def safetensors_link_out(path, canary):
    target = outside(path) / "encoder.safetensors"
    save_file({"a": torch.zeros(1)}, target)
    path.with_suffix(".safetensors").symlink_to(target)


def dangling_safetensors(path, canary):
    path.with_suffix(".safetensors").symlink_to("nothing")


def link_to_itself(path, canary):
    path.unlink()
    path.symlink_to(path.name)


def pipe(path, canary):
    path.unlink()
    os.mkfifo(path)


def device(path, canary):
    path.unlink()
    path.symlink_to("/dev/zero")


def folder_in_place_of_a_file(path, canary):
    path.unlink()
    path.mkdir()


def hyperparams_link_out(path, canary):
    own = path.with_name("hyperparams.yaml")
    own.rename(path.parent.parent / "other.yaml")
    own.symlink_to("../other.yaml")


def hyperparams_pipe(path, canary):
    own = path.with_name("hyperparams.yaml")
    own.unlink()
    os.mkfifo(own)


def hyperparams_endless(path, canary):
    own = path.with_name("hyperparams.yaml")
    own.unlink()
    own.symlink_to("/dev/zero")


DAMAGE = {
    pickled_in_archive: "encoder.ckpt is refused, nothing of it was run",
    pickled_as_whole: "encoder.ckpt is refused",
    pickled_plainly: "encoder.ckpt is refused",
    pickled_before_archives: "encoder.ckpt is refused",
    pickled_in_tar: "encoder.ckpt is refused",
    pickled_in_script: "encoder.ckpt is refused",
    pickled_under_the_name_of_tensors: "encoder.safetensors is refused",
    whole_module: "encoder.ckpt is refused",
    no_dict: "it has the instruction EMPTY_LIST",
    dict_of_numbers: "not a plain dict of tensors",
    cut: "encoder.ckpt is refused",
    empty: "encoder.ckpt is refused",
    cut_tensors: "encoder.safetensors is refused",
    huge_header: "its header says that it has",
    not_finite: "encoder.ckpt .* tensor conv1d.weight .* infinite",
    not_finite_safetensors: "encoder.safetensors .* tensor a holds .* infinite",
    sparse_tensor: "asks for .*_rebuild_sparse_tensor",
    archive_bomb: "entries of the archive are packed",
    link_out: "is a link to .*outside/encoder.ckpt, which is outside",
    relative_link_out: "which is outside the folder",
    link_of_a_link_out: "which is outside the folder",
    safetensors_link_out: "which is outside the folder",
    dangling_safetensors: "a link that leads nowhere",
    link_to_itself: "a link that leads nowhere",
    pipe: "encoder.ckpt is not a regular file",
    device: "which is outside the folder",
    folder_in_place_of_a_file: "encoder.ckpt is not a regular file",
    hyperparams_link_out: "hyperparams.yaml is a link to .*other.yaml",
    hyperparams_pipe: "hyperparams.yaml is not a regular file",
    hyperparams_endless: "hyperparams.yaml is a link to /dev/zero",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda item: item.__name__)
def test_refused_before_its_module_takes_memory(
    damage, tmp_path, canary, monkeypatch
):
    folder = tmp_path / "hostile"
    write_folder(folder)
    damage(folder / "encoder.ckpt", canary)
    make = loading.materialize

    def make_others(call, sizes):
        assert not call.name.endswith("Encoder")
        return make(call, sizes)

    monkeypatch.setattr(loading, "materialize", make_others)
    with pytest.raises((RefusedError, FileNotFoundError), match=DAMAGE[damage]):
        load_folder(folder, limits=Limits(weight_bytes=1_000_000))
    assert os.listdir(canary) == []


@pytest.mark.parametrize("damage", [pickled_in_archive, pickled_plainly])
def test_those_pickles_do_run_where_they_may(damage, tmp_path, canary):
    # else the test above could not fail
    path = tmp_path / "encoder.ckpt"
    damage(path, canary)
    if damage is pickled_plainly:
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert os.listdir(canary) == ["ran"]


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
