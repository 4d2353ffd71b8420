"""A commit that must not stay leaves no trace: HEAD, branches, logs and index are byte for byte as before."""

from pathlib import Path

import pytest

from coder.errors import CoderError, Failed
from coder.repo.commit import commit
from coder.repo.repository import FileState
from coder.repo.standing import put_back, standing
from tests.repo_tools import Ground, fingerprint, new_ground


@pytest.fixture
def ground(tmp_path: Path, private_places: Path) -> Ground:
    (private_places / ".gitconfig").write_text("[user]\n\tname = Ursula\n\temail = u@example.com\n")
    ground = new_ground(tmp_path)
    ground.commit(a="1\n", b="1\n")
    return ground


def seen(ground: Ground) -> dict[str, str]:
    """All of .git but objects, directories, logs without an entry, and the last message, which says nothing."""
    git = ground.root / ".git"
    files = {name: value for name, value in fingerprint(git).items() if (git / name).is_file()}
    silent = {name for name in files if name.startswith("logs/") and not (git / name).read_bytes()}
    return {
        name: value
        for name, value in files.items()
        if name not in silent and not name.startswith(("objects/", "COMMIT_EDITMSG"))
    }


def commit_and_put_back(ground: Ground, branch: str | None, hooks: bool) -> None:
    with ground.open() as repository:
        tree = repository.snapshot().tree
        patch = repository.patch(tree, repository.write_tree(tree, {"made": FileState(b"1\n")}))
        ground.write("made", "1\n")
        before = standing(ground.root)
        commit(repository, patch, "mend it", branch, hooks)
        assert standing(ground.root) != before
        put_back(ground.root, before, standing(ground.root))


@pytest.mark.parametrize("hooks", [False, True])
@pytest.mark.parametrize("branch", [None, "topic/one"])
@pytest.mark.parametrize("kind", ["branch", "detached", "unborn", "own"])
def test_all_is_as_it_was(ground: Ground, tmp_path: Path, kind: str, branch: str | None, hooks: bool):
    if kind == "detached":
        ground.git("switch", "-q", "--detach")
    elif kind == "unborn":
        (tmp_path / "fresh").mkdir()
        ground = new_ground(tmp_path / "fresh")
    elif kind == "own":
        ground.write("b", "staged\n")
        ground.git("add", "b")
        ground.write("b", "not staged\n")
    before = seen(ground)
    commit_and_put_back(ground, branch, hooks)
    after = seen(ground)
    if kind == "unborn":
        after.pop("logs/HEAD")
    assert after == before
    assert ground.git("status", "--porcelain") == ("" if kind != "own" else "MM b\n") + "?? made\n"


def test_what_moved_since_is_left_alone(ground: Ground):
    with ground.open() as repository:
        before = standing(ground.root)
        tree = repository.snapshot().tree
        patch = repository.patch(tree, repository.write_tree(tree, {"a": FileState(b"2\n")}))
        ground.write("a", "2\n")
        commit(repository, patch, "mend it", None, False)
        after = standing(ground.root)
        ground.git("commit", "-q", "--allow-empty", "-m", "another")
        now = seen(ground)
        with pytest.raises(Failed, match="changed since the commit"):
            put_back(ground.root, before, after)
        (ground.root / ".git" / "index.lock").write_text("")
        with pytest.raises(CoderError, match="another git process"):
            put_back(ground.root, before, after)
    (ground.root / ".git" / "index.lock").unlink()
    assert seen(ground) == now
