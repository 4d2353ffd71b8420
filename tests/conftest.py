"""No test sees the developer's own files, keys or servers: home and XDG places are private to each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

collect_ignore = ["suite"]  # repositories of a suite for `coder eval`, with tests of their own


@pytest.fixture(autouse=True)
def private_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh home for every test. PYENV_ROOT and the like keep pointing at the real toolchain."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "CODER_", "GIT_", "XDG_")):
            monkeypatch.delenv(name)
    if "PYENV_ROOT" not in os.environ and (Path.home() / ".pyenv").is_dir():
        monkeypatch.setenv("PYENV_ROOT", str(Path.home() / ".pyenv"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLORTERM", "truecolor")  # whatever terminal the tests are started in
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    yield home
