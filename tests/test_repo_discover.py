"""Finding the repository: the right root, or a refusal with a reason; never a redirection, never a program."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coder.errors import UserError
from coder.repo.discover import discover, read_config
from tests.repo_tools import Ground, fingerprint, new_ground, run_git


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = new_ground(tmp_path)
    ground.commit(**{"a": "1\n", "d/deep/b": "1\n"})
    return ground


def refusal(place: Path) -> str:
    with pytest.raises(UserError) as failure:
        discover(place)
    assert "\n" not in failure.value.message and failure.value.hint
    return failure.value.message


def test_the_root_is_found_from_any_directory_below(ground: Ground):
    found = discover(ground.root / "d" / "deep")
    assert (found.root, found.git_dir, found.common_dir) == (ground.root, *(ground.root / ".git",) * 2)
    assert (found.head, found.branch, found.state) == (ground.git("rev-parse", "HEAD").strip(), "main", "")


def test_a_link_to_a_directory_inside_leads_to_the_real_root(ground: Ground, tmp_path: Path):
    (tmp_path / "alias").symlink_to(ground.root / "d")
    assert discover(tmp_path / "alias").root == ground.root


def test_no_repository_bare_ones_and_git_directories_are_refused(ground: Ground, tmp_path: Path):
    (tmp_path / "plain").mkdir()
    run_git(tmp_path, "init", "-q", "--bare", "bare.git")
    assert "is not in a git repository" in refusal(tmp_path / "plain")
    assert "bare repository" in refusal(tmp_path / "bare.git")
    assert "bare repository" in refusal(tmp_path / "bare.git" / "refs")
    assert "inside of a git directory" in refusal(ground.root / ".git" / "refs")
    ground.git("config", "core.bare", "true")
    assert "is a bare repository" in refusal(ground.root)


def test_a_bare_repository_hidden_in_the_tree_is_refused(ground: Ground):
    run_git(ground.root / "d", "init", "-q", "--bare", "trap")
    (ground.root / "d" / "trap" / "sub").mkdir()
    assert "bare repository" in refusal(ground.root / "d" / "trap" / "sub")
    assert discover(ground.root / "d").root == ground.root


def test_an_empty_dot_git_is_passed_over_as_git_does(ground: Ground):
    (ground.root / "d" / ".git").mkdir()
    assert discover(ground.root / "d").root == ground.root


def test_detached_and_unborn_heads_are_told(ground: Ground, tmp_path: Path):
    ground.git("checkout", "-q", "--detach")
    assert (discover(ground.root).branch, len(discover(ground.root).head)) == ("", 40)
    ground.git("checkout", "-q", "--orphan", "fresh")
    assert (discover(ground.root).branch, discover(ground.root).head) == ("fresh", "")


def test_packed_and_symbolic_references_are_followed(ground: Ground):
    head = ground.git("rev-parse", "HEAD").strip()
    ground.git("pack-refs", "--all")
    ground.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    ground.git("symbolic-ref", "HEAD", "refs/heads/alias")
    assert (discover(ground.root).head, discover(ground.root).branch) == (head, "alias")


def test_a_head_that_leads_out_of_the_references_is_refused(ground: Ground):
    ground.write(".git/HEAD", "ref: refs/../../secret\n")
    assert "not a branch" in refusal(ground.root)


def test_linked_worktrees_and_separate_git_dirs_are_accepted(ground: Ground, tmp_path: Path):
    ground.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    linked = discover(tmp_path / "linked")
    assert (linked.root, linked.common_dir, linked.branch) == (tmp_path / "linked", ground.root / ".git", "side")
    run_git(tmp_path, "clone", "-q", f"--separate-git-dir={tmp_path / 'apart'}", str(ground.root), "separate")
    assert discover(tmp_path / "separate").git_dir == tmp_path / "apart"


def test_a_worktree_of_a_bare_repository_is_accepted(ground: Ground, tmp_path: Path):
    run_git(tmp_path, "clone", "-q", "--bare", str(ground.root), "bare.git")
    run_git(tmp_path / "bare.git", "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    assert discover(tmp_path / "linked").common_dir == tmp_path / "bare.git"


def test_the_directory_of_a_submodule_is_a_root(ground: Ground, tmp_path: Path):
    (tmp_path / "o").mkdir()
    other = new_ground(tmp_path / "o")
    other.commit(x="1\n")
    ground.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.root), "sub")
    assert discover(ground.root / "sub").git_dir == ground.root / ".git" / "modules" / "sub"


def test_a_git_file_that_nothing_confirms_is_refused(ground: Ground, tmp_path: Path):
    for number, target in enumerate((ground.root / ".git", "evil", "nowhere", "")):
        clone = tmp_path / f"clone{number}"
        clone.mkdir()
        run_git(clone, "init", "-q", "--bare", "evil")
        run_git(clone / "evil", "config", "core.bare", "false")
        (clone / ".git").write_text(f"gitdir: {target}\n")
        assert "belongs to" in refusal(clone) if number < 2 else "names no git directory" in refusal(clone)


def test_a_stolen_worktree_entry_is_refused(ground: Ground, tmp_path: Path):
    ground.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    shutil.copytree(tmp_path / "linked", tmp_path / "copy")
    assert str(tmp_path / "linked") in refusal(tmp_path / "copy")


def test_a_tree_or_a_common_directory_elsewhere_is_refused_and_shown(ground: Ground, tmp_path: Path):
    other = tmp_path / "o"
    other.mkdir()
    victim = new_ground(other)
    victim.commit(x="1\n")
    before = fingerprint(victim.root)
    ground.git("config", "core.worktree", str(victim.root))
    assert str(victim.root) in refusal(ground.root)
    ground.git("config", "--unset", "core.worktree")
    ground.write(".git/commondir", f"{victim.root}/.git\n")
    assert str(victim.root) in refusal(ground.root)
    assert fingerprint(victim.root) == before


def test_a_worktree_setting_of_this_worktree_alone_is_seen(ground: Ground, tmp_path: Path):
    ground.git("config", "extensions.worktreeConfig", "true")
    ground.git("config", "--worktree", "core.worktree", str(tmp_path))
    assert str(tmp_path) in refusal(ground.root)


def test_the_environment_cannot_name_another_repository(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    with ground.open() as repository:
        assert {file.path for file in repository.snapshot().files} == {"a", "d/deep/b"}


def test_unknown_formats_are_refused_by_name(ground: Ground):
    ground.git("config", "core.repositoryformatversion", "1")
    ground.git("config", "extensions.surprise", "1")
    assert "extension surprise" in refusal(ground.root)
    ground.write(".git/config", "[core]\n\trepositoryformatversion = 7\n")
    assert "format version 7" in refusal(ground.root)


def test_reftable_is_read_by_git_or_refused_by_name(tmp_path: Path):
    try:
        ground = new_ground(tmp_path, "--ref-format=reftable")
    except AssertionError:  # a git that cannot make one cannot read one
        (tmp_path / "old").mkdir()
        ground = new_ground(tmp_path / "old")
        ground.git("config", "core.repositoryformatversion", "1")
        ground.git("config", "extensions.refStorage", "reftable")
        assert "references in a form this git cannot read" in refusal(ground.root)
    else:
        ground.commit(a="1\n")
        assert discover(ground.root).head == ground.git("rev-parse", "HEAD").strip()


def start_merge(ground: Ground, *operation: str) -> None:
    ground.git("checkout", "-q", "-b", "side")
    ground.commit(a="side\n")
    ground.git("checkout", "-q", "main")
    ground.commit(a="main\n")
    ground.git(*operation, check=False)


@pytest.mark.parametrize(
    ("operation", "state"),
    [
        (("merge", "side"), "merge"), (("rebase", "side"), "rebase"), (("cherry-pick", "side"), "cherry-pick"),
        (("revert", "HEAD~1"), "revert"), (("bisect", "start"), "bisect"), (("rebase", "--apply", "side"), "rebase"),
    ],
)  # fmt: skip
def test_an_operation_in_progress_is_named(ground: Ground, operation: tuple[str, ...], state: str):
    start_merge(ground, *operation)
    assert discover(ground.root).state == state


def test_a_mailbox_being_applied_is_named(ground: Ground):
    start_merge(ground, "status")
    mail = ground.git("format-patch", "-1", "--stdout", "side")
    ground.git("am", stdin=mail.encode(), check=False)
    assert discover(ground.root).state == "am"


CONFIG = """[core]
	worktree = "a b;c" ; comment
	x = one \\
two # rest
[Sub "With.Case \\"q\\""] Key
[extensions]objectFormat=sha256
# [core]
bare"""


def test_configuration_is_read_as_git_reads_it(tmp_path: Path):
    (tmp_path / "config").write_text(CONFIG)
    listed = run_git(tmp_path, "config", "-z", "--list", "--file", "config").decode()
    expected = dict((*record.split("\n", 1), "")[:2] for record in listed.split("\0")[:-1])
    assert read_config(tmp_path / "config") == expected


def test_a_pipe_or_a_huge_file_in_place_of_a_setting_does_not_hang(ground: Ground):
    (ground.root / ".git" / "config").unlink()
    os.mkfifo(ground.root / ".git" / "config")
    (ground.root / ".git" / "packed-refs").unlink(missing_ok=True)
    assert discover(ground.root).root == ground.root


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_repository_needs_the_users_word(ground: Ground, private_places: Path):
    for place in (ground.root, ground.root / ".git"):
        os.chown(place, 12345, 12345)
    assert "belongs to another user" in refusal(ground.root)
    (private_places / ".gitconfig").write_text(f"[safe]\n\tdirectory = {ground.root}\n")
    assert subprocess.run([sys.executable, "-c", DISCOVER, ground.root], timeout=30).returncode == 0
    ground.git("config", "safe.directory", "*")
    (private_places / ".gitconfig").write_text("[safe]\n\tdirectory = /else\n")
    assert subprocess.run([sys.executable, "-c", DISCOVER, ground.root], timeout=30, stderr=-3).returncode == 1


DISCOVER = "import sys; from pathlib import Path; from coder.repo.discover import discover; discover(Path(sys.argv[1]))"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be someone else's sudo")
def test_sudo_may_work_on_the_repository_of_who_called_it(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    for place in (ground.root, ground.root / ".git"):
        os.chown(place, 12345, 12345)
    monkeypatch.setenv("SUDO_UID", "12345")
    assert discover(ground.root).root == ground.root
    monkeypatch.setenv("SUDO_UID", "12346")
    assert "belongs to another user" in refusal(ground.root)


def test_finding_a_repository_imports_no_git_library(ground: Ground):
    command = [sys.executable, "-X", "importtime", "-c", DISCOVER, ground.root]
    done = subprocess.run(command, capture_output=True, timeout=30)
    imported = {line.rsplit(b"|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0 and not imported & {b"git", b"git.cmd", b"asyncio"}
