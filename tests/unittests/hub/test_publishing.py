"""What is published is what was checked, and nothing private or unsafe."""

import errno
import os
import pickle
import shutil

import pytest
import torch
from hub_folders import PREDICTOR, predictor
from huggingface_hub import constants
from safetensors.torch import save_file

from speechbrain_ext.commands.program import main
from speechbrain_ext.hub import (
    Card,
    Limits,
    PublishError,
    RefusedError,
    build_release,
    load_folder,
    publish,
    release,
)
from speechbrain_ext.hub.publishing import Target

BIAS, WEIGHT = "network.gru.bias_ih_l0", "network.output.weight"
CARD = Card(
    license="mit",
    **dict.fromkeys(
        "name summary data command usage limits citation".split(), "Example"
    ),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_release(
        tmp_path_factory.mktemp("once") / "release",
        hyperparams=PREDICTOR,
        modules={"predictor": predictor()},
        card=CARD,
    )


@pytest.fixture
def folder(built, tmp_path):
    return shutil.copytree(built, tmp_path / "release")


def refused(hub, folder, kind, match, **options):
    """Publishing is refused, and the hub hears nothing."""
    with pytest.raises(kind, match=match) as caught:
        publish(folder, "me/ring", **options)
    assert str(folder) in str(caught.value)
    assert hub.requests == []


# Both files of a module ----------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["ckpt", "safetensors"])
def test_the_file_that_is_missing_is_made(hub, folder, built, missing):
    (folder / f"predictor.{missing}").unlink()
    found = publish(folder, "me/ring")
    assert set(found.files) == {path.name for path in built.iterdir()}
    assert load_folder("me/ring").modules.keys() == {"predictor"}
    assert not (folder / f"predictor.{missing}").exists()


def test_a_module_without_weights_is_refused(hub, folder):
    for kind in ("ckpt", "safetensors"):
        (folder / f"predictor.{kind}").unlink()
    refused(hub, folder, FileNotFoundError, "predictor.safetensors")


def other_value(weights):
    weights[BIAS] = weights[BIAS].clone()
    weights[BIAS][0] += 1


def other_zero(weights):
    # the same number in other bits
    weights[BIAS] = torch.zeros_like(weights[BIAS])
    weights[BIAS][1] = -0.0


CHANGES = {
    "value": (BIAS, other_value),
    "sign_of_zero": (BIAS, other_zero),
    "additional": ("more", lambda w: w.update(more=torch.ones(1))),
    "missing": (WEIGHT, lambda w: w.pop(WEIGHT)),
    "precision": (WEIGHT, lambda w: w.update({WEIGHT: w[WEIGHT].double()})),
    "shape": (WEIGHT, lambda w: w.update({WEIGHT: w[WEIGHT].reshape(-1)})),
}


@pytest.mark.parametrize("change", CHANGES)
def test_ckpt_is_compared_with_safetensors(hub, folder, change):
    key, alter = CHANGES[change]
    weights = torch.load(folder / "predictor.ckpt")
    alter(weights)
    torch.save(weights, folder / "predictor.ckpt")
    refused(hub, folder, ValueError, rf"predictor\.ckpt: {key} ")


def test_safetensors_are_compared_with_ckpt(hub, folder):
    weights = torch.load(folder / "predictor.ckpt")
    other_value(weights)
    save_file(weights, folder / "predictor.safetensors")
    refused(hub, folder, ValueError, f"predictor.ckpt: {BIAS} ")


def test_ckpt_that_runs_something_is_refused(hub, folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    torch.save({WEIGHT: Evil()}, folder / "predictor.ckpt")
    refused(hub, folder, RefusedError, "predictor.ckpt")
    (folder / "predictor.ckpt").write_bytes(pickle.dumps(Evil()))
    refused(hub, folder, RefusedError, "predictor.ckpt")
    assert not (tmp_path / "run").exists()


def test_file_that_was_written_wrong_is_found(tmp_path, monkeypatch):
    def write(path, weights):
        if path.suffix == ".ckpt":
            weights = {key: value + 1 for key, value in weights.items()}
        write_weights(path, weights)

    write_weights = release.write_weights
    monkeypatch.setattr(release, "write_weights", write)
    with pytest.raises(ValueError, match=r"predictor\.ckpt: "):
        build_release(
            tmp_path,
            hyperparams=PREDICTOR,
            modules={"predictor": predictor()},
            card=CARD,
        )


# What is read, and what is sent --------------------------------------------


@pytest.mark.parametrize("name", ["README.md", "hyperparams.yaml"])
def test_large_texts_are_refused(hub, folder, name):
    with open(folder / name, "a") as file:
        file.write("#" * Limits.yaml_bytes)
    refused(hub, folder, RefusedError, rf"{name} has .*; Limits.yaml_bytes")


def test_weights_are_read_under_the_limits(hub, folder):
    with pytest.raises(RefusedError, match="weight_bytes"):
        publish(folder, "me/ring", limits=Limits(weight_bytes=40))
    # a file with a hole takes no disk, but more than is allowed
    os.truncate(folder / "predictor.ckpt", 3 * Limits.weight_bytes)
    refused(hub, folder, RefusedError, "predictor.ckpt: .*weight_bytes")


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "hyperparams.yaml",
        "predictor.ckpt",
        "predictor.safetensors",
    ],
)
def test_links_and_pipes_are_refused(hub, folder, tmp_path, name):
    path = folder / name
    shutil.move(path, tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    kind = (RefusedError, FileNotFoundError)
    refused(hub, folder, kind, "outside the folder|neither a release")
    path.unlink()
    os.mkfifo(path)
    refused(hub, folder, kind, "not a regular file|neither a release")


@pytest.mark.slow
@pytest.mark.parametrize("when", ["checked", "created"])
def test_what_was_checked_is_sent(hub, folder, when, monkeypatch):
    checked = {path.name: path.read_bytes() for path in folder.iterdir()}

    def swap(*arguments, **keywords):
        for path in folder.iterdir():
            path.write_bytes(b"hf_abcdEFGH12, and worse")
        return original(*arguments, **keywords)

    name = {"checked": "send", "created": "check_tag"}[when]
    original = getattr(Target, name)
    monkeypatch.setattr(Target, name, swap)
    publish(folder, "me/ring", tag="v1")
    repo = hub.repos["me/ring"]
    sent = repo.commits[repo.head]
    assert {n: sent[n] for n in checked} == checked


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["predictor.ckpt", "README.md", "predictor.safetensors"]
)
def test_every_file_that_came_back_is_compared(hub, folder, name):
    hub.corrupt[name] = lambda content: content[:-1] + b"\1"
    with pytest.raises(PublishError, match=f"me/ring: .*{name}.*no tag was"):
        publish(folder, "me/ring", tag="v1")
    assert hub.repos["me/ring"].tags == {}


@pytest.mark.slow
def test_ckpt_that_came_back_with_another_tensor(hub, folder, tmp_path):
    weights = torch.load(folder / "predictor.ckpt")
    other_value(weights)
    torch.save(weights, tmp_path / "other.ckpt")
    other = (tmp_path / "other.ckpt").read_bytes()
    hub.corrupt["predictor.ckpt"] = lambda content: other
    with pytest.raises(PublishError, match="me/ring: predictor.ckpt came back"):
        publish(folder, "me/ring", tag="v1")
    assert hub.repos["me/ring"].tags == {}


@pytest.mark.slow
def test_a_folder_with_the_name_of_the_repository(
    hub, folder, tmp_path, monkeypatch
):
    # what stands here is not what the hub returned
    (tmp_path / "me/ring").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    publish(folder, "me/ring", tag="v1")
    assert hub.repos["me/ring"].tags


@pytest.mark.slow
def test_paths_into_another_repository_are_refused(hub, folder):
    with open(folder / "hyperparams.yaml", "a") as file:
        file.write("  paths: {predictor: me/ring/predictor.ckpt}\n")
    with pytest.raises(FileNotFoundError, match="me/ring/predictor.safete"):
        publish(folder, "you/other")
    assert hub.requests == []
    publish(folder, "me/ring", tag="v1")


# Nothing private -----------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "hyperparams.yaml"])
@pytest.mark.parametrize(
    "line",
    ["# hf_abcdEFGH12", "# api_key: abcdef", "# see HOME/clips"],
    ids=["token", "key", "home"],
)
def test_private_lines_are_refused(
    hub, folder, name, line, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    line = line.replace("HOME", str(tmp_path / "anna"))
    path = folder / name
    path.write_text(f"{path.read_text()}\n{line}\n")
    number = path.read_text().splitlines().index(line) + 1
    refused(hub, folder, ValueError, f"{name}, line {number} holds")
    path.write_text(path.read_text().replace(line, "# *** in DIR"))
    publish(folder, "me/ring")


def test_hyperparams_are_redacted(tmp_path):
    folder = build_release(
        tmp_path,
        hyperparams=f"# of /srv/anna/a.yaml, hf_abcdEFGH12\n{PREDICTOR}"
        "data_folder: /srv/anna/clips\napi_key: abcdef\nnum_tokens: 29\n"
        "half: !ref <num_tokens> / 2\n",
        modules={"predictor": predictor()},
        card=CARD,
    )
    text = (folder / "hyperparams.yaml").read_text()
    assert "anna" not in text and "hf_" not in text and "abcdef" not in text
    assert text.endswith(
        "data_folder: DIR\napi_key: '***'\nnum_tokens: 29\n"
        "half: !ref <num_tokens> / 2\n"
    )


# The command ---------------------------------------------------------------


def failed(capsys, *arguments):
    with pytest.raises(SystemExit, match="^1$"):
        main(["publish", *map(str, arguments)])
    return capsys.readouterr().err


@pytest.mark.parametrize("option", ["--repo", "--tag", "--message", "folder"])
def test_empty_arguments_are_refused(hub, folder, option, capsys):
    words = {"folder": folder, "--repo": "me/ring"}
    words[option] = ""
    first = words.pop("folder")
    rest = [word for pair in words.items() for word in pair]
    assert f"{option} is empty" in failed(capsys, first, *rest)
    assert hub.requests == []


def test_offline_mode_is_told(hub, folder, capsys, waits, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = failed(capsys, folder, "--repo", "me/ring")
    assert "me/ring: could not create the repository" in said
    assert "unset HF_HUB_OFFLINE" in said and "Traceback" not in said
    assert waits == [] and hub.requests == []
    main(["publish", str(folder), "--repo", "me/ring", "--dry_run"])


def test_no_token_is_told(hub, folder, capsys, waits):
    hub.fail("POST", "/api/repos/create", status=401, times=1000)
    said = failed(capsys, folder, "--repo", "me/ring")
    assert "me/ring" in said and "hf auth login" in said
    assert len(said.strip().splitlines()) == 1


def test_traceback_is_shown_on_request(hub, folder, capsys):
    (folder / "README.md").unlink()
    words = (folder, "--repo", "me/ring")
    assert "Traceback" not in failed(capsys, *words)
    assert "Traceback" in failed(capsys, *words, "--traceback")


def test_full_disk_is_told(hub, folder, capsys, waits, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(release.shutil, "copyfile", full)
        said = failed(capsys, folder, "--repo", "me/ring")
    assert "No space left" in said and "Free some space" in said
    monkeypatch.setattr("huggingface_hub.HfApi.snapshot_download", full)
    said = failed(capsys, folder, "--repo", "me/ring")
    assert "me/ring: could not load the release back" in said
    assert "make room" in said and waits == []
