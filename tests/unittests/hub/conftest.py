import sys

import pytest
from hub_folders import write_folder
from hub_server import Hub

from speechbrain_ext.hub import retry


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "published"
    write_folder(folder)
    return folder


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A folder that fills when something is run that should not be.

    `canary_module` writes into it when it is imported, and has a class and
    a function that do.
    """
    folder, code = tmp_path / "canary", tmp_path / "code"
    folder.mkdir()
    code.mkdir()
    (code / "canary_module.py").write_text(
        "from pathlib import Path\n"
        f"folder = Path({str(folder)!r})\n"
        "(folder / 'imported').touch()\n"
        "class Thing:\n"
        "    def __init__(self, *arguments, **keywords):\n"
        "        (folder / 'built').touch()\n"
        "def called(*arguments, **keywords):\n"
        "    (folder / 'called').touch()\n"
        "    return 1\n"
    )
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.syspath_prepend(str(code))
    monkeypatch.delitem(sys.modules, "canary_module", raising=False)
    yield folder
    sys.modules.pop("canary_module", None)


@pytest.fixture
def waits(monkeypatch):
    """Waiting times, which are not waited."""
    waited = []
    monkeypatch.setattr(retry.time, "sleep", waited.append)
    return waited


@pytest.fixture
def hub(tmp_path, monkeypatch, waits):
    """The real client, a hub of our own, and nothing of the user's."""
    constants = "huggingface_hub.constants."
    server = Hub()
    for name, value in {
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_TOKEN_PATH": str(tmp_path / "token"),
        # what HF_ENDPOINT sets when the client is imported
        "ENDPOINT": server.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": server.url
        + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_DISABLE_PROGRESS_BARS": True,
    }.items():
        monkeypatch.setattr(constants + name, value)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    yield server
    server.close()
