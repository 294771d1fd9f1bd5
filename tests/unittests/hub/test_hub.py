"""Publishing and loading through the real client and a hub of our own."""

import logging
import os
import re
import shutil

import pytest
import torch
import yaml
from hub_folders import (
    CONV_TASNET,
    LAYOUTS,
    PIECES,
    PREDICTOR,
    conv_tasnet,
    predictor,
    write_folder,
)
from hub_server import Repo
from huggingface_hub import constants
from speechbrain.inference.separation import SepformerSeparation

from speechbrain_ext.commands.program import main
from speechbrain_ext.hub import (
    Card,
    Limits,
    Metric,
    PublishError,
    RefusedError,
    build_release,
    load_folder,
    publish,
    retry,
)
from speechbrain_ext.hub.publishing import Target

pytestmark = pytest.mark.slow

FILES = ["hyperparams.yaml", "README.md"] + [
    f"{name}{suffix}" for name in PIECES for suffix in (".safetensors", ".ckpt")
]
CARD = Card(
    name="Ring Conv-TasNet",
    summary="Separates two voices, learnt from noisy speech only.",
    data="The corpus `mini`: synthetic voices.",
    command="python train.py hparams/ring_sepformer.yaml",
    usage="from speechbrain_ext.hub import load_folder",
    limits="8 kHz; two voices.",
    license="apache-2.0",
    citation="@misc{ring}",
    metrics=[
        Metric(name="SI-SDR improvement", value=4.59, dataset="mini", unit="dB")
    ],
)
SIZES = {"n_fft": 16, "hop": 8, "hidden": 4, "layers": 1}
SMALL = f"""
separator: !new:speechbrain_ext.models.SpectralGRU {SIZES}
modules: {{separator: !ref <separator>}}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables: {{separator: !ref <separator>}}
"""
MIXTURE = torch.randn(1, 1000, generator=torch.Generator().manual_seed(1))


def release(folder, layout="conv_tasnet"):
    text, build = LAYOUTS[layout]
    separator = build()
    build_release(
        folder,
        hyperparams=text,
        modules={name: getattr(separator, name) for name in PIECES},
        card=CARD,
    )
    return separator


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("once") / "release"
    release(folder)
    (folder / "notes.txt").write_text("stays here")
    return folder


@pytest.fixture
def folder(built_once, tmp_path):
    return shutil.copytree(built_once, tmp_path / "release")


@pytest.fixture(scope="module")
def small_built_once(tmp_path_factory):
    return build_release(
        tmp_path_factory.mktemp("small") / "release",
        hyperparams=PREDICTOR,
        modules={"predictor": predictor()},
        card=CARD,
    )


@pytest.fixture
def small(small_built_once, tmp_path):
    """One small module: what fails is the network, whatever is sent."""
    return shutil.copytree(small_built_once, tmp_path / "release")


def no_upload(hub):
    return not hub.asked("PUT", "") and not hub.asked("POST", "/commit/")


# Building -------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_release_is_loaded_by_us_and_by_speechbrain(layout, tmp_path):
    separator = release(tmp_path / "release", layout)
    with torch.no_grad():
        expected = separator(MIXTURE)
        ours = load_folder(tmp_path / "release").separator()(MIXTURE)
    assert torch.equal(ours, expected)
    theirs = SepformerSeparation.from_hparams(
        source=str(tmp_path / "release"), savedir=str(tmp_path / "saved")
    )
    torch.testing.assert_close(
        theirs.separate_batch(MIXTURE).transpose(1, 2)[..., :992],
        expected[..., :992],
        atol=1e-6,
        rtol=1e-5,
    )
    for name in PIECES:
        weights = theirs.mods[name].state_dict()
        for key, value in getattr(separator, name).state_dict().items():
            assert torch.equal(weights[key], value)


def test_whoever_may_read_the_card_may_read_the_weights(folder):
    modes = {path.name: path.stat().st_mode for path in folder.iterdir()}
    assert set(modes.values()) == {modes["README.md"]}, modes


def test_card_has_metadata_and_sections(folder):
    text = (folder / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    data = yaml.safe_load(head)
    assert data["license"] == "apache-2.0"
    assert data["library_name"] == "speechbrain"
    assert data["pipeline_tag"] == "audio-to-audio"
    assert "speechbrain" in data["tags"]
    [entry] = data["model-index"]
    assert entry["name"] == "Ring Conv-TasNet"
    [result] = entry["results"]
    assert result["dataset"]["name"] == "mini"
    assert result["metrics"] == [
        {
            "type": "si-sdr-improvement",
            "value": 4.59,
            "name": "SI-SDR improvement (dB)",
        }
    ]
    assert re.findall("(?m)^## (.*)$", body) == [
        *("Figures", "Data", "How it was trained", "How to use it"),
        *("Limits", "License", "Citation"),
    ]
    assert "| mini | test | SI-SDR improvement | 4.59 dB |" in body
    assert "python train.py hparams/ring_sepformer.yaml" in body


def test_card_with_an_empty_section_is_refused():
    with pytest.raises(ValueError, match="the model card has no limits"):
        Card(**{**vars(CARD), "limits": " "}).text()


def build(tmp_path, **changes):
    separator = conv_tasnet()
    given = {
        "hyperparams": CONV_TASNET,
        "modules": {name: getattr(separator, name) for name in PIECES},
        "card": CARD,
    }
    return build_release(tmp_path / "release", **{**given, **changes})


def test_what_would_not_load_is_not_built(tmp_path):
    with pytest.raises(RefusedError, match="tag !apply:"):
        build(tmp_path, hyperparams=f"{CONV_TASNET}\nbad: !apply:os.getcwd []")
    with pytest.raises(ValueError, match="are not the loadables"):
        build(tmp_path, modules={"encoder": torch.nn.Identity()})
    wide = {name: getattr(conv_tasnet(), name) for name in PIECES}
    wide["decoder"] = torch.nn.ConvTranspose1d(8, 1, 32, bias=False)
    with pytest.raises(ValueError, match="does not fit"):
        build(tmp_path, modules=wide)
    double = {name: getattr(conv_tasnet(), name) for name in PIECES}
    double["decoder"].double()
    with pytest.raises(ValueError, match="torch.float64 and came back other"):
        build(tmp_path, modules=double)


# The round trip -------------------------------------------------------------


def test_published_release_comes_back(hub, folder, tmp_path):
    published = publish(folder, "me/ring", tag="v1")
    repo = hub.repos["me/ring"]
    assert repo.head == published.commit and repo.tags == {"v1": repo.head}
    assert len(repo.commits) == 2  # that of the creation, and one with all
    sent = repo.commits[repo.head]
    assert sorted(sent) == sorted([*FILES, ".gitattributes"])
    for name in FILES:
        assert sent[name] == (folder / name).read_bytes()
    loaded = load_folder("me/ring", revision="v1", savedir=tmp_path / "own")
    with torch.no_grad():
        assert torch.equal(
            loaded.separator()(MIXTURE),
            load_folder(folder).separator()(MIXTURE),
        )
    assert loaded.folder.is_relative_to(tmp_path / "own")
    table = str(published)
    assert "hyperparams.yaml" in table and published.commit in table


def test_dry_run_asks_the_hub_nothing(hub, folder, capsys):
    main(
        [
            "publish",
            str(folder),
            "--repo",
            "me/ring",
            "--dry_run",
            "--tag",
            "v1",
        ]
    )
    assert hub.requests == []
    printed = capsys.readouterr().out
    assert "me/ring: dry run" in printed and "notes.txt" not in printed
    size = (folder / "encoder.ckpt").stat().st_size
    assert re.search(rf"(?m)^ *{size:,}  encoder.ckpt$", printed)
    total = sum((folder / name).stat().st_size for name in FILES)
    assert f"{total:,}  bytes together" in printed


def test_command_line_publishes(hub, small, capsys):
    main(
        ["publish", str(small), "--repo", "me/ring", "--private", "--tag", "v1"]
    )
    assert hub.repos["me/ring"].private
    assert ", tag v1" in capsys.readouterr().out


def test_command_line_says_what_is_missing(hub, folder, capsys):
    (folder / "README.md").unlink()
    for repo, message in {
        "me/ring": "README.md is missing",
        "ring": "'ring' is no repository",
    }.items():
        with pytest.raises(SystemExit, match="^1$"):
            main(["publish", str(folder), "--repo", repo])
        assert re.search(message, capsys.readouterr().err)
    assert hub.requests == []


def test_second_run_sends_nothing(hub, small):
    first = publish(small, "me/ring", tag="v1")
    before = len(hub.asked("PUT", ""))
    second = publish(small, "me/ring", tag="v1")
    assert second == first
    assert len(hub.repos["me/ring"].commits) == 2
    assert len(hub.asked("PUT", "")) == before


def test_tag_of_another_state_is_kept(hub, small):
    first = publish(small, "me/ring", tag="v1")
    requests = len(hub.requests)
    readme = small / "README.md"
    readme.write_text(readme.read_text() + "\nMore.\n")
    message = "the tag v1 exists at commit .*content of README.md: take another"
    with pytest.raises(PublishError, match=message):
        publish(small, "me/ring", tag="v1")
    del hub.requests[:requests]
    assert no_upload(hub)
    assert hub.repos["me/ring"].head == first.commit
    second = publish(small, "me/ring", tag="v2")
    assert hub.repos["me/ring"].tags == {
        "v1": first.commit,
        "v2": second.commit,
    }


def test_private_release_does_not_go_to_a_public_repository(hub, small):
    hub.add("me/ring", {"a": b""})
    with pytest.raises(PublishError, match="exists and is public"):
        publish(small, "me/ring", private=True)
    assert no_upload(hub)


def flip(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("encoder.safetensors", flip),
        ("hyperparams.yaml", lambda x: x.replace(b"relu", b"softmax")),
    ],
)
def test_what_comes_back_otherwise_gets_no_tag(hub, folder, name, change):
    hub.corrupt[name] = change
    with pytest.raises(PublishError, match="me/ring: .*no tag was set"):
        publish(folder, "me/ring", tag="v1")
    assert hub.repos["me/ring"].tags == {}


def test_unknown_layout_is_refused(hub, tmp_path):
    text = CONV_TASNET.replace("  masknet: !ref <MaskNet>\n\n", "\n")
    with pytest.raises(RefusedError, match="none of the layouts"):
        build(tmp_path, hyperparams=text)
    assert hub.requests == []


# Failures -------------------------------------------------------------------

STEPS = {
    "create": ("POST", "/api/repos/create"),
    "preupload": ("POST", "/preupload/"),
    "batch": ("POST", "/objects/batch"),
    "file": ("PUT", "/lfs/"),
    "commit": ("POST", "/commit/"),
    "tree": ("GET", "/tree/"),
    "download": ("GET", "/resolve/"),
    "refs": ("GET", "/refs"),
    "tag": ("POST", "/tag/"),
}
each_step = pytest.mark.parametrize("step", STEPS)


@each_step
def test_hub_that_is_busy_twice(hub, small, step, waits, caplog):
    hub.fail(*STEPS[step], status=503, times=2)
    with caplog.at_level(logging.WARNING):
        published = publish(small, "me/ring", tag="v1")
    assert hub.repos["me/ring"].tags == {"v1": published.commit}
    assert len(hub.repos["me/ring"].commits) == 2
    assert waits and "503" in caplog.text


@each_step
def test_connection_that_drops(hub, small, step, waits):
    hub.fail(*STEPS[step], drop=True)
    published = publish(small, "me/ring", tag="v1")
    assert hub.repos["me/ring"].tags == {"v1": published.commit}
    assert len(hub.repos["me/ring"].commits) == 2
    assert len(waits) >= 1


@pytest.mark.parametrize("step", ["create", "file", "commit", "tag"])
def test_answer_that_is_lost(hub, small, step):
    # the hub has done it already when it is asked again
    hub.fail(*STEPS[step], late=True)
    published = publish(small, "me/ring", tag="v1")
    assert hub.repos["me/ring"].tags == {"v1": published.commit}
    assert len(hub.repos["me/ring"].commits) == 2


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (401, "hf auth login"),
        (403, "right to write"),
        (404, "check the spelling"),
        (402, "the hub refuses this"),
        (412, "the hub refuses this"),
    ],
)
@pytest.mark.parametrize("step", ["create", "commit"])
def test_refusal_of_the_hub_is_explained(hub, small, step, status, mend, waits):
    hub.fail(*STEPS[step], status=status, times=1000)
    with pytest.raises(PublishError, match=f"me/ring: .*{status}.*{mend}"):
        publish(small, "me/ring", tag="v1")
    assert waits == []  # it would not help
    repo = hub.repos.get("me/ring")
    assert repo is None or (len(repo.commits) == 1 and not repo.tags)


def test_name_that_is_taken(hub, small):
    hub.fail(*STEPS["commit"], status=409, times=1000)
    with pytest.raises(PublishError, match="409.*take another name"):
        publish(small, "me/ring")


@pytest.mark.parametrize("step", ["create", "file", "commit"])
def test_hub_that_stays_broken(hub, small, step, waits):
    hub.fail(*STEPS[step], status=500, times=1000)
    message = "me/ring: could not .*500.*attempt 4.*run the same command again"
    with pytest.raises(PublishError, match=message):
        publish(small, "me/ring", tag="v1")
    assert [wait for wait in waits if wait == retry.FIRST_WAIT_SECONDS]
    repo = hub.repos.get("me/ring")
    assert repo is None or (len(repo.commits) == 1 and not repo.tags)
    # and once it works again, the same call completes
    hub.failures.clear()
    arrived = len(hub.stored)
    published = publish(small, "me/ring", tag="v1")
    assert repo is None or arrived == (2 if step == "commit" else 0)
    assert hub.repos["me/ring"].tags == {"v1": published.commit}


def test_what_has_arrived_is_not_sent_again(hub, small):
    hub.fail(*STEPS["commit"], status=500, times=1000)
    with pytest.raises(PublishError):
        publish(small, "me/ring")
    sent = len(hub.asked("PUT", "/lfs/"))
    assert sent == 2
    hub.failures.clear()
    publish(small, "me/ring")
    assert len(hub.asked("PUT", "/lfs/")) == sent


def test_failed_loading_back_leaves_no_tag_and_goes_on(hub, small):
    hub.fail(*STEPS["download"], status=500, times=10_000)
    with pytest.raises(PublishError, match="could not load the release back"):
        publish(small, "me/ring", tag="v1")
    assert hub.repos["me/ring"].tags == {}
    hub.failures.clear()
    published = publish(small, "me/ring", tag="v1")
    assert hub.repos["me/ring"].tags == {"v1": published.commit}
    assert len(hub.repos["me/ring"].commits) == 2


def test_no_hub_at_all(small, hub, waits):
    hub.close()
    with pytest.raises(PublishError, match="me/ring: could not create .*Conn"):
        publish(small, "me/ring")
    assert waits == [2.0, 4.0, 8.0]


def test_tag_that_appears_meanwhile(hub, small, monkeypatch):
    def differing(*arguments):
        repo = hub.repos["me/ring"]
        repo.tags["v1"] = next(iter(repo.commits))
        return []

    monkeypatch.setattr(Target, "differing", differing)
    with pytest.raises(PublishError, match="the tag v1 marks"):
        publish(small, "me/ring", tag="v1")


# Loading from the hub -------------------------------------------------------


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_only_files_that_are_needed_come(hub, published, tmp_path):
    files = files_of(published)
    files |= {"custom.py": b"1 / 0", "huge.bin": b"", "other.ckpt": b""}
    hub.add("me/ring", {**files, "../../outside": b"", "README.md": b"hello"})
    hub.add("me/ring", {})  # the branch has gone on since
    commit = next(iter(hub.repos["me/ring"].commits))
    loaded = load_folder("me/ring", revision=commit)
    assert sorted(os.listdir(loaded.folder)) == sorted(
        ["hyperparams.yaml", "README.md", *(f"{name}.ckpt" for name in PIECES)]
    )
    assert loaded.folder.is_relative_to(constants.HF_HUB_CACHE)
    assert not list(tmp_path.rglob("outside"))


def test_tensors_are_downloaded_once(hub, folder):
    hub.add("me/ring", files_of(folder))
    loaded = load_folder("me/ring")
    names = {path.name for path in loaded.folder.iterdir()}
    assert names == {
        *("hyperparams.yaml", "README.md"),
        *(f"{name}.safetensors" for name in PIECES),
    }


def test_the_cache_is_enough_without_a_hub(hub, folder):
    hub.add("me/ring", files_of(folder))
    first = load_folder("me/ring")
    hub.close()
    second = load_folder("me/ring")
    assert second.folder == first.folder


def test_hostile_repository_is_refused_before_weights_come(
    hub, published, canary
):
    files = files_of(published)
    files["hyperparams.yaml"] += b"\nbad: !apply:canary_module.called [1]\n"
    hub.add("me/evil", files)
    with pytest.raises(RefusedError, match="tag !apply:"):
        load_folder("me/evil")
    assert not hub.asked("GET", r"\.ckpt$") and os.listdir(canary) == []
    with pytest.raises(TypeError):
        load_folder("me/evil", True)  # trust is given by name only


def test_sizes_are_asked_before_anything_is_downloaded(hub, published):
    hub.add("me/ring", files_of(published))
    hub.claimed_sizes["hyperparams.yaml"] = 10**9
    with pytest.raises(RefusedError, match="me/ring: hyperparams.yaml has"):
        load_folder("me/ring")
    assert not hub.asked("GET", "/resolve/")
    hub.claimed_sizes = {"encoder.ckpt": 10**12}
    with pytest.raises(RefusedError, match="encoder.ckpt: 1000000000000"):
        load_folder("me/ring")
    assert not hub.asked("GET", r"\.ckpt$")


def test_repository_with_weights_elsewhere(hub, published):
    files = files_of(published)
    files["hyperparams.yaml"] += b"  paths: {encoder: you/other/encoder.ckpt}\n"
    hub.add("me/ring", files)
    hub.add("you/other", files)
    with pytest.raises(FileNotFoundError, match="you/other/encoder.ckpt"):
        load_folder("me/ring")
    assert not hub.asked("GET", "you/other")


def test_names_of_its_own_repository_are_understood(hub, published):
    files = files_of(published)
    files["hyperparams.yaml"] += b"  paths: {encoder: me/ring/encoder.ckpt}\n"
    hub.add("me/ring", files)
    assert load_folder("me/ring").modules.keys() == set(PIECES)


def test_pinned_to_the_commit_that_was_checked(hub, published, monkeypatch):
    files = files_of(published)
    repo = hub.add("me/ring", files)
    from speechbrain_ext.hub import loading

    def plan_then_change(*arguments):
        plan = read_plan(*arguments)
        worse = b"\nbad: !apply:os.getcwd []\n"
        text = files["hyperparams.yaml"] + worse
        repo.commit({**files, "hyperparams.yaml": text})
        return plan

    read_plan = loading.read_plan
    monkeypatch.setattr(loading, "read_plan", plan_then_change)
    loaded = load_folder("me/ring")
    assert loaded.folder.name == next(iter(repo.commits))


def test_trusted_repository_is_loaded_whole(hub, published, canary):
    files = files_of(published)
    files["hyperparams.yaml"] += b"\nfine: !apply:canary_module.called [1]\n"
    hub.add("me/ring", files)
    loaded = load_folder("me/ring", trust=True)
    assert loaded.hparams["fine"] == 1
    assert sorted(os.listdir(canary)) == ["called", "imported"]


def test_unknown_repository_is_told(hub):
    with pytest.raises(PublishError, match="me/nothing: could not load it"):
        load_folder("me/nothing")


def test_offline_mode_is_one_sentence(hub, published, monkeypatch):
    hub.add("me/ring", files_of(published))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PublishError, match="HF_HUB_OFFLINE") as error:
        load_folder("me/ring")
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_limits_hold_for_the_modules_too(hub, published):
    hub.add("me/ring", files_of(published))
    with pytest.raises(RefusedError, match="more than 10"):
        load_folder("me/ring", limits=Limits(weight_bytes=10))


def test_server_of_the_tests_knows_commits():
    repo = Repo()
    repo.commit({"a": b"1"})
    assert repo.resolve("main") == repo.head and repo.resolve("v9") is None
    assert write_folder.__doc__
