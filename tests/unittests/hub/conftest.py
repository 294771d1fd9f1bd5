import sys

import pytest
from hub_folders import write_folder
from hub_server import start_hub

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
    server = start_hub(tmp_path, monkeypatch)
    yield server
    server.close()
