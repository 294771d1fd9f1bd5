"""From a training run's hyperparams.yaml to one for inference."""

import io
import re
from pathlib import Path

import pytest
import torch
import yaml
from hub_folders import LAYOUTS, PIECES, write_folder
from hyperpyyaml import load_hyperpyyaml, resolve_references

from speechbrain_ext.commands.program import main
from speechbrain_ext.hub import (
    Card,
    build_release,
    find_release,
    inference_hyperparams,
    load_folder,
    publish,
)
from speechbrain_ext.hub.loading import read_plan
from speechbrain_ext.models import ConvTasNet

RECIPE = (
    Path(__file__).resolve().parents[3]
    / "recipes/WHAMandWHAMR/ring_separation/hparams"
)
CARD = Card(
    license="mit",
    **dict.fromkeys(
        "name summary data command usage limits citation".split(), "Example"
    ),
)
SAVED = """# Generated 2026-11-21 from:
# ring_sepformer.yaml
seed: 1
__set_seed: !apply:canary_module.called [1]
sample_rate: 8000           # of all recordings
band: &id003 [50.0, 1e3, ~, yes, 'no', '1e3']
epoch_counter: &id002 !new:canary_module.Thing
  limit: 12
optimizer: !name:torch.optim.Adam
  lr: 0.004

# Model ---------------------------------------------------------------------
block: &id004 !new:speechbrain_ext.models.SpectralGRU
  n_fft: 16      # samples
  hop: 8
  hidden: 4
  layers: 1
separator: &id001 !new:speechbrain_ext.models.ConsistentSeparator

# Evaluation ----------------------------------------------------------------
  separator: *id004
  consistency: none
modules:
  separator: *id001
test_band: *id003
checkpointer: !new:canary_module.Thing
  recoverables:
    separator: *id001
    counter: *id002
"""


@pytest.fixture
def saved(tmp_path):
    """A results folder; nothing of its file must be imported or built."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(SAVED)
    return folder


SIZES = {"channels": 8, "kernel_size": 16, "bottleneck": 4, "hidden": 4}
SIZES |= {"skip": 4, "blocks": 1, "repeats": 1}


@pytest.fixture
def trained(tmp_path):
    """A results folder of a separator that can be published."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(
        "sample_rate: 8000\n"
        f"separator: &id001 !new:speechbrain_ext.models.ConvTasNet {SIZES}\n"
        "modules:\n  separator: *id001\n"
        "checkpointer: !new:canary_module.Thing\n"
    )
    return folder


def separator():
    return ConvTasNet(**SIZES).eval()


def release(folder, module):
    return build_release(
        folder / "release",
        hyperparams=inference_hyperparams(folder / "hyperparams.yaml"),
        modules={"separator": module},
        card=CARD,
    )


def test_aliases_are_written_out_and_nothing_is_built(saved, canary):
    text = inference_hyperparams(
        saved / "hyperparams.yaml", values=["test_band", "sample_rate"]
    )
    block = "separator: !new:speechbrain_ext.models.SpectralGRU\n        n_fft"
    assert text.count(block) == 1
    assert not re.search(r"[&*]id\d|canary|#", text)
    assert list(yaml.compose(text).value[0][0].value) == list("test_band")
    # as HyperPyYAML read the training's own file
    values = load_hyperpyyaml("band: [50.0, 1e3, ~, yes, 'no', '1e3']")["band"]
    assert load_hyperpyyaml(text)["test_band"] == values
    assert list(canary.iterdir()) == []


@pytest.mark.parametrize("trust", [False, True])
def test_release_gives_what_was_trained(trained, trust):
    module = separator()
    folder = release(trained, module)
    loaded = load_folder(folder, trust=trust)
    assert loaded.hparams["sample_rate"] == 8000
    mixture = torch.randn(1, 500)
    with torch.no_grad():
        assert torch.equal(loaded.separator()(mixture), module(mixture))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_three_modules_as_speechbrain_trains_them(layout, tmp_path):
    text, build = LAYOUTS[layout]
    expected = write_folder(tmp_path, text, build)
    # the keys are Encoder, MaskNet and Decoder there: the modules' own here
    for name in ("Encoder", "MaskNet", "Decoder"):
        text = re.sub(
            rf"\b{name}:(?= !new)|<{name}>", lambda m: m[0].lower(), text
        )
    save(text.partition("pretrainer:")[0], tmp_path / "hyperparams.yaml")
    text = inference_hyperparams(
        tmp_path / "hyperparams.yaml",
        modules=PIECES,
        values=["sample_rate", "num_spks"],
    )
    (tmp_path / "hyperparams.yaml").write_text(text)
    mixture = torch.randn(1, 1000)
    with torch.no_grad():
        found = load_folder(tmp_path).separator()(mixture)
        assert torch.equal(found, expected(mixture))


def save(text, path, overrides=None):
    """Write a file as speechbrain.create_experiment_directory does."""
    with open(path, "w") as file:
        stream = resolve_references(io.StringIO(text), overrides)
        file.write(stream.read())


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    # that file has no network of its own
    sorted({*RECIPE.glob("*.yaml")} - {RECIPE / "ring_adapt.yaml"}),
    ids=lambda p: p.stem,
)
def test_every_file_of_the_recipe(path, tmp_path):
    text = path.read_text()
    open_keys = re.findall(r"(?m)^(\w+): !PLACEHOLDER", text)
    save(text, tmp_path / "hyperparams.yaml", dict.fromkeys(open_keys, "-"))
    text = inference_hyperparams(tmp_path / "hyperparams.yaml")
    (tmp_path / "hyperparams.yaml").write_text(text)
    plan, [loadable] = read_plan(tmp_path)
    given = re.search(
        r"(?m)^separator: !new:(\S+)\n((?:    .*\n)+)", path.read_text()
    )
    assert plan["sample_rate"] == 8000
    assert plan["modules"]["separator"] is loadable.module
    assert loadable.module.name == given[1]
    assert loadable.module.keywords == yaml.safe_load(given[2])


@pytest.mark.parametrize(
    "before, after, options, message",
    [
        ("sample_rate: 8000", "rate: 1", {}, "no key 'sample_rate'; name keys"),
        ("separator: &", "model: &", {}, "no key 'separator'; name keys"),
        ("", "", {"values": ["block"]}, "'block' is no plain value"),
        (
            "~, yes",
            "!name:os.getcwd ''",
            {"values": ["band"]},
            "'band' is no pl",
        ),
        ("", "", {"modules": ["seed"]}, "'seed' is not built by !new:"),
        ("", "", {"modules": ["optimizer"]}, "'optimizer' is not built by"),
        ("limit: 12", "limit: [12", {}, "is not YAML: .*line 9"),
        (SAVED, "- 1", {}, "is not a mapping"),
        (SAVED, "", {}, "is not a mapping"),
    ],
)
def test_mistakes_name_file_and_key(saved, before, after, options, message):
    path = saved / "hyperparams.yaml"
    path.write_text(SAVED.replace(before, after, 1))
    with pytest.raises(ValueError, match=f"^{path}.*{message}"):
        inference_hyperparams(path, **options)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.yaml"):
        inference_hyperparams(tmp_path / "none.yaml")


# Publishing a results folder ------------------------------------------------


@pytest.fixture
def run(trained):
    release(trained, separator())
    return trained


@pytest.mark.slow
def test_command_line_publishes_a_results_folder(hub, run, capsys):
    main(["publish", str(run), "--repo", "me/ring", "--dry_run"])
    assert hub.requests == []
    assert "separator.safetensors" in capsys.readouterr().out
    main(["publish", str(run), "--repo", "me/ring"])
    files = hub.repos["me/ring"].commits[hub.repos["me/ring"].head]
    for name in ("hyperparams.yaml", "README.md", "separator.ckpt"):
        assert files[name] == (run / "release" / name).read_bytes()


def test_results_and_release_folder_are_the_same_to_publish(hub, run):
    first = publish(run, "me/ring", dry_run=True)
    assert first == publish(run / "release", "me/ring", dry_run=True)
    assert find_release(run / "release") == run / "release"


def test_a_folder_that_is_neither_is_an_error(hub, saved, tmp_path, capsys):
    message = "neither a release folder .* nor a results folder"
    for folder in (saved, tmp_path / "nothing"):
        with pytest.raises(FileNotFoundError, match=message):
            publish(folder, "me/ring")
    with pytest.raises(SystemExit, match="^1$"):
        main(["publish", str(saved), "--repo", "me/ring"])
    assert re.search(f"{saved} is {message}", capsys.readouterr().err)
    # a release that lost a file is told as such
    (saved / "release").mkdir()
    with pytest.raises(SystemExit, match="^1$"):
        main(["publish", str(saved), "--repo", "me/ring"])
    assert "release/hyperparams.yaml is missing" in capsys.readouterr().err
    assert hub.requests == []
