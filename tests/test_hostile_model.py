"""A model that means harm: what it writes, reads, calls and claims, met by the whole program."""

from pathlib import Path

import pytest

from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.work import coder, make_repository, state_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def test_a_file_becomes_executable_only_where_that_is_allowed(root: Path) -> None:
    before = state_of(root)
    edit = "diff --git a/calc.py b/calc.py\nold mode 100644\nnew mode 100755\n"
    with FakeOpenAI([free_text_call("apply_patch", edit), text("done")] * 2) as server:
        ended = coder(root, "run", "x", "--no-test", "--output", "json", env=server.environ())
        assert (ended.code, state_of(root)) == (3, before)
        assert "becomes executable" in ended.result["error"]["message"]
        allowed = coder(root, "run", "x", "--no-test", "--allow", "calc.py", env=server.environ())
    assert (allowed.code, (root / "calc.py").stat().st_mode & 0o777) == (0, 0o755)
