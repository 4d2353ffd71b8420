"""A snapshot is the working tree's bytes as a tree, and leaves the repository as it was."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coder.repo import snapshot as limits
from coder.repo.repository import FileState
from coder.repo.shadow import prune_shadows
from coder.repo.sizes import sizes_on_disk
from coder.values import Withheld
from tests.repo_tools import Ground, contents, fingerprint, new_ground, run_git


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return new_ground(tmp_path)


def test_a_snapshot_holds_tracked_changed_staged_and_new_files(ground: Ground):
    ground.commit(**{"kept": "1\n", "changed": "1\n", "gone": "1\n", "d/deep": "1\n", ".gitignore": "*.log\n"})
    ground.write("changed", "2\n")
    ground.write("staged", "1\n")
    ground.git("add", "staged")
    ground.write("staged", "2\n")
    ground.write("new", "1\n")
    ground.write("x.log", "ignored\n")
    (ground.root / "gone").unlink()
    with ground.open() as repository:
        found = contents(repository, repository.snapshot().tree)
    assert found == {
        ".gitignore": b"*.log\n", "kept": b"1\n", "changed": b"2\n", "d/deep": b"1\n", "staged": b"2\n", "new": b"1\n"
    }  # fmt: skip


def test_a_snapshot_leaves_every_byte_of_the_repository_alone(ground: Ground):
    ground.commit(a="1\n", b="2\n")
    ground.write("a", "changed\n")
    ground.write("b", "2\n")  # the same content with another time: `git status` would refresh the index
    before = fingerprint(ground.root)
    with ground.open() as repository:
        repository.snapshot()
        repository.snapshot()
    assert fingerprint(ground.root) == before


def test_a_held_index_lock_is_no_obstacle_and_stays(ground: Ground):
    ground.commit(a="1\n")
    lock = ground.write(".git/index.lock", b"")
    ground.write("a", "2\n")
    with ground.open() as repository:
        assert contents(repository, repository.snapshot().tree) == {"a": b"2\n"}
    assert lock.exists()


def test_later_snapshots_and_later_sessions_see_what_changed(ground: Ground):
    ground.commit(a="1\n", b="1\n")
    with ground.open("one") as repository:
        first = repository.snapshot().tree
        ground.write("a", "2\n")
        second = repository.snapshot().tree
    ground.write("a", "3\n")
    with ground.open("two") as repository:
        assert contents(repository, repository.snapshot().tree) == {"a": b"3\n", "b": b"1\n"}
        assert contents(repository, first)["a"] + contents(repository, second)["a"] == b"1\n2\n"


def test_a_change_of_the_same_size_within_the_same_instant_is_seen(ground: Ground):
    ground.commit(a="1\n")
    with ground.open() as repository:
        for round in range(20):
            ground.write("a", f"{round % 10}\n")
            tree = repository.snapshot().tree
            assert contents(repository, tree) == {"a": f"{round % 10}\n".encode()}


def test_a_file_that_is_untracked_and_ignored_later_leaves_the_snapshot(ground: Ground):
    ground.commit(a="1\n", b="1\n")
    with ground.open() as repository:
        assert "b" in contents(repository, repository.snapshot().tree)
        ground.git("rm", "-q", "--cached", "b")
        ground.write(".gitignore", "b\n")
        assert set(contents(repository, repository.snapshot().tree)) == {"a", ".gitignore"}


def test_an_unborn_branch_and_an_empty_repository_have_snapshots(ground: Ground):
    with ground.open() as repository:
        assert repository.location.head == "" and repository.snapshot().files == ()
        ground.write("first", "1\n")
        assert contents(repository, repository.snapshot().tree) == {"first": b"1\n"}
        assert repository.log(10) == ()


def test_links_are_kept_as_links_and_never_followed(ground: Ground, tmp_path: Path):
    (tmp_path / "secret").write_text("secret\n")
    ground.commit(a="1\n")
    (ground.root / "out").symlink_to("../secret")
    (ground.root / "dangling").symlink_to("nowhere")
    with ground.open() as repository:
        snapshot = repository.snapshot()
        assert contents(repository, snapshot.tree) == {"a": b"1\n", "out": b"../secret", "dangling": b"nowhere"}
    assert {note.path for note in snapshot.withheld} == {"out", "dangling"}
    assert [file.mode for file in snapshot.files] == ["100644", "120000", "120000"]


def test_files_whose_directory_became_a_link_are_gone(ground: Ground, tmp_path: Path):
    ground.commit(**{"d/x": "1\n", "a": "1\n"})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("elsewhere\n")
    (ground.root / "d" / "x").unlink()
    (ground.root / "d").rmdir()
    (ground.root / "d").symlink_to(tmp_path / "other")
    with ground.open() as repository:
        assert set(contents(repository, repository.snapshot().tree)) == {"a", "d"}


def test_files_and_directories_may_change_places(ground: Ground):
    ground.commit(**{"a": "file\n", "d/x": "1\n"})
    (ground.root / "a").unlink()
    ground.write("a/inner", "1\n")
    (ground.root / "d" / "x").unlink()
    (ground.root / "d").rmdir()
    ground.write("d", "file now\n")
    with ground.open() as repository:
        assert contents(repository, repository.snapshot().tree) == {"a/inner": b"1\n", "d": b"file now\n"}


ODD_NAMES = [b"new\nline", b"tab\there", b'quo"te', b"-dash", b"$(touch m)", b"a;b", b"\xff\xfe", b"n" * 255,
             "é".encode(), "e\u0301".encode(), b":(glob)*", b" lead", b"trail ", b"back\\slash"]  # fmt: skip


def test_odd_names_are_kept_byte_for_byte(ground: Ground):
    for name in ODD_NAMES:
        with open(os.path.join(os.fsencode(ground.root), name), "wb") as file:
            file.write(name)
    ground.git("add", "--", *ODD_NAMES[:7])
    with ground.open() as repository:
        snapshot = repository.snapshot()
        found = contents(repository, snapshot.tree)
        assert {os.fsencode(path): content for path, content in found.items()} == {name: name for name in ODD_NAMES}
        assert all(repository.read(snapshot.tree, path) == content for path, content in found.items())
        changed = repository.write_tree(snapshot.tree, {path: FileState(b"x\n" * 3) for path in found})
        assert {file.path for file in repository.diff(snapshot.tree, changed)} == set(found)
        assert repository.apply(snapshot.tree, repository.patch(snapshot.tree, changed)) == changed


def test_too_large_and_too_many_untracked_files_are_withheld_and_named(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_UNTRACKED_BYTES", 100)
    monkeypatch.setattr(limits, "MAX_UNTRACKED_FILES", 3)
    ground.commit(tracked=b"t" * 1000)
    ground.write("big", b"b" * 1000)
    for number in range(5):
        ground.write(f"many/{number}", b"1")
    with ground.open() as repository:
        snapshot = repository.snapshot()
        assert set(contents(repository, snapshot.tree)) == {"tracked", "many/0", "many/1"}
    assert snapshot.withheld == (
        Withheld("big", "untracked and large (1,000 bytes)"),
        Withheld("many", "3 more untracked files than the limit of 3: add them to .gitignore"),
    )


def test_a_repository_inside_and_special_files_are_left_out(ground: Ground):
    ground.commit(a="1\n")
    ground.write("inner/f", "1\n")
    run_git(ground.root / "inner", "init", "-q")
    os.mkfifo(ground.root / "pipe")
    with ground.open() as repository:
        snapshot = repository.snapshot()
        assert set(contents(repository, snapshot.tree)) == {"a"}
    assert snapshot.withheld == (Withheld("inner/", "a repository of its own"),)


def test_a_submodule_stays_as_it_is_staged_and_none_of_its_settings_run(ground: Ground, tmp_path: Path):
    other = new_ground(tmp_path / "o" if (tmp_path / "o").mkdir() is None else tmp_path)
    other.commit(x="1\n")
    ground.commit(a="1\n")
    ground.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.root), "sub")
    ground.git("commit", "-qm", "sub")
    pinned = ground.git("rev-parse", "HEAD:sub").strip()
    marker = tmp_path / "ran"
    run_git(ground.root / "sub", "config", "core.fsmonitor", f"touch {marker}; false")
    run_git(ground.root / "sub", "commit", "-q", "--allow-empty", "-m", "moved on")
    marker.unlink(missing_ok=True)
    with ground.open() as repository:
        snapshot = repository.snapshot()
    assert [(f.path, f.oid) for f in snapshot.files if f.mode == "160000"] == [("sub", pinned)]
    assert Withheld("sub", "a submodule") in snapshot.withheld and not marker.exists()


def test_hidden_changes_are_seen_though_git_was_told_to_assume_there_are_none(ground: Ground):
    ground.commit(a="1\n", b="1\n", c="1\n")
    ground.git("update-index", "--assume-unchanged", "a")
    ground.git("update-index", "--skip-worktree", "b", "c")
    ground.write("a", "2\n")
    ground.write("b", "2\n")
    (ground.root / "c").unlink()
    before = ground.git("ls-files", "-v")
    with ground.open() as repository:
        snapshot = repository.snapshot()
        assert contents(repository, snapshot.tree) == {"a": b"2\n", "b": b"2\n", "c": b"1\n"}
    assert snapshot.withheld == (Withheld("c", "outside the sparse checkout"),)
    assert ground.git("ls-files", "-v") == before


@pytest.mark.parametrize("mode", [("--cone",), ("--cone", "--sparse-index"), ("--no-cone",)])
def test_a_sparse_checkout_keeps_what_is_outside(ground: Ground, mode: tuple[str, ...]):
    ground.commit(**{"in/a": "1\n", "out/b": "1\n", "top": "1\n"})
    ground.git("sparse-checkout", "set", *mode, *(("in",) if "--cone" in mode else ("/in/", "/top")))
    assert not (ground.root / "out").exists()
    ground.write("in/a", "2\n")
    with ground.open() as repository:
        snapshot = repository.snapshot()
        assert contents(repository, snapshot.tree) == {"in/a": b"2\n", "out/b": b"1\n", "top": b"1\n"}
    assert snapshot.withheld == (Withheld("out/b", "outside the sparse checkout"),)


def edit_in_the_second_of_the_index(ground: Ground, path: str) -> None:
    """Change a file to other bytes of the same size so soon after git wrote its index that no time tells them apart."""
    for _ in range(20):
        time.sleep(1.02 - time.time() % 1)
        ground.write(path, "1\n")
        ground.git("update-index", "--refresh")
        ground.write(path, "2\n")
        if int((ground.root / ".git" / "index").stat().st_mtime) == int((ground.root / path).stat().st_ctime):
            time.sleep(1.02 - time.time() % 1)
            return
    raise AssertionError("never within one second")


def test_an_edit_in_the_second_of_the_index_is_seen_though_the_index_is_written_anew(ground: Ground):
    ground.commit(**{"in/a": "1\n", "out/b": "1\n"})
    ground.git("sparse-checkout", "set", "--no-cone", "/in/")
    edit_in_the_second_of_the_index(ground, "in/a")
    with ground.open() as repository:
        assert contents(repository, repository.snapshot().tree)["in/a"] == b"2\n"


def test_intent_to_add_and_conflicts_are_taken_from_the_disk(ground: Ground):
    ground.commit(a="1\n")
    ground.git("checkout", "-q", "-b", "side")
    ground.commit(a="side\n")
    ground.git("checkout", "-q", "main")
    ground.commit(a="main\n")
    ground.git("merge", "side", check=False)
    ground.write("later", "later\n")
    ground.git("add", "-N", "later")
    with ground.open() as repository:
        snapshot = repository.snapshot()
        found = contents(repository, snapshot.tree)
        assert repository.location.state == "merge"
    assert found["later"] == b"later\n" and b"<<<<<<<" in found["a"]
    assert snapshot.read_only == (Withheld("a", "has merge conflicts"),)


ATTRIBUTES = "* text=auto\n*.crlf eol=crlf\n*.id ident\n*.u16 working-tree-encoding=UTF-16LE\n*.up filter=upper\n"


@pytest.mark.parametrize("seeded", [True, False])
def test_a_tree_holds_the_bytes_on_disk_whatever_attributes_say(ground: Ground, seeded: bool):
    ground.git("config", "filter.upper.clean", "tr a-z A-Z")
    ground.git("config", "filter.upper.smudge", "tr A-Z a-z")
    disk = {
        ".gitattributes": ATTRIBUTES.encode(), "auto": b"a\r\nb\r\n", "x.crlf": b"a\r\nb\r\n", "mixed": b"a\r\nb\n",
        "x.id": b"$Id: 0123456789012345678901234567890123456789 $\n", "x.u16": "h\u00e9\n".encode("utf-16-le"),
        "x.up": b"lower\n",
    }  # fmt: skip
    for name, content in disk.items():
        ground.write(name, content)
    if seeded:
        ground.git("add", "-A")
        ground.git("commit", "-qm", "all")
        ground.git("status")
    with ground.open() as repository:
        assert contents(repository, repository.snapshot().tree) == disk
        assert contents(repository, repository.snapshot().tree) == disk


def test_autocrlf_of_the_user_does_not_reach_the_tree(ground: Ground, private_places: Path):
    (private_places / ".gitconfig").write_text("[core]\n\tautocrlf = true\n")
    ground.commit(a=b"1\r\n2\r\n")
    with ground.open() as repository:
        assert contents(repository, repository.snapshot().tree) == {"a": b"1\r\n2\r\n"}


def test_ignore_rules_of_the_user_and_of_the_repository_count(ground: Ground, private_places: Path):
    (private_places / ".gitconfig").write_text("[core]\n\texcludesFile = ~/mine\n")
    (private_places / "mine").write_text("*.mine\n")
    ground.write(".git/info/exclude", "*.own\n")
    ground.write(".gitignore", "*.tmp\n!keep.tmp\n")
    ground.write("d/.gitignore", "/inner\n")
    for name in ("a.mine", "a.own", "a.tmp", "keep.tmp", "d/inner", "d/e/inner"):
        ground.write(name, "1\n")
    listed = set(ground.git("ls-files", "-z", "-c", "-o", "--exclude-standard").split("\0")[:-1])
    with ground.open() as repository:
        assert set(contents(repository, repository.snapshot().tree)) == listed
    assert listed == {".gitignore", "keep.tmp", "d/.gitignore", "d/e/inner"}


def test_modes_are_kept_where_the_repository_trusts_them(ground: Ground):
    ground.commit(plain="1\n")
    ground.write("tool", "1\n", 0o755)
    with ground.open() as repository:
        assert {f.path: f.mode for f in repository.snapshot().files} == {"plain": "100644", "tool": "100755"}


def test_without_trusted_modes_the_index_says_what_is_executable(ground: Ground):
    ground.git("config", "core.fileMode", "false")
    ground.commit(plain="1\n", tool="1\n")
    with ground.open("one") as repository:
        repository.snapshot()
    ground.git("update-index", "--chmod=+x", "tool")
    ground.write("plain", "1\n", 0o755)
    with ground.open("two") as repository:
        assert {f.path: f.mode for f in repository.snapshot().files} == {"plain": "100644", "tool": "100755"}


def test_missing_objects_of_a_partial_clone_are_never_fetched(ground: Ground, tmp_path: Path):
    ground.commit(**{"in/a": "1\n", "out/b": "much\n"})
    ground.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    run_git(tmp_path, "clone", "-q", "--filter=blob:none", "--sparse", f"file://{ground.root}", str(clone))
    run_git(clone, "sparse-checkout", "set", "in")
    partial = Ground(clone, ground.places)
    before = fingerprint(clone / ".git")
    with partial.open() as repository:
        snapshot = repository.snapshot()
        sizes = {file.path: file.size for file in snapshot.files}
        edited = repository.write_tree(snapshot.tree, {"in/a": FileState(b"2\n")})
        assert repository.read(edited, "out/b") is None and repository.read(edited, "in/a") == b"2\n"
        assert b"in/a" in repository.patch(snapshot.tree, edited)
    assert sizes == {"in/a": 2, "out/b": -1} and fingerprint(clone / ".git") == before


def test_a_blob_that_was_pruned_is_taken_from_the_disk_again(ground: Ground):
    ground.commit(a="1\n")
    ground.write("staged", "only staged\n")
    ground.git("add", "staged")
    with ground.open("one") as repository:
        repository.snapshot()
    ground.git("rm", "-q", "--cached", "staged")
    ground.git("prune", "--expire=now")
    with ground.open("two") as repository:
        assert contents(repository, repository.snapshot().tree) == {"a": b"1\n", "staged": b"only staged\n"}


def test_a_shallow_clone_a_worktree_and_a_separate_git_dir_have_snapshots(ground: Ground, tmp_path: Path):
    ground.commit(a="1\n")
    ground.commit(a="2\n")
    run_git(tmp_path, "clone", "-q", "--depth=1", f"file://{ground.root}", "shallow")
    run_git(tmp_path, "clone", "-q", f"--separate-git-dir={tmp_path / 'apart'}", str(ground.root), "separate")
    ground.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    for name, commits in (("shallow", 1), ("separate", 2), ("linked", 2)):
        place = Ground(tmp_path / name, ground.places)
        place.write("new", "1\n")
        with place.open() as repository:
            assert contents(repository, repository.snapshot().tree) == {"a": b"2\n", "new": b"1\n"}, name
            assert len(repository.log(10)) == commits


def test_a_split_index_is_read(ground: Ground):
    ground.git("config", "core.splitIndex", "true")
    ground.commit(a="1\n", b="1\n")
    ground.git("update-index", "--split-index")
    ground.write("a", "2\n")
    ground.git("add", "a")
    before = fingerprint(ground.root)
    with ground.open() as repository:
        assert contents(repository, repository.snapshot().tree) == {"a": b"2\n", "b": b"1\n"}
    assert fingerprint(ground.root) == before


def test_an_index_that_is_split_anew_and_new_exclusions_are_followed_within_a_session(ground: Ground):
    ground.commit(a="1\n", b="1\n")
    with ground.open() as repository:
        repository.snapshot()
        ground.git("update-index", "--split-index")
        ground.write(".git/info/exclude", "*.own\n")
        ground.write("x.own", "1\n")
        assert contents(repository, repository.snapshot().tree) == {"a": b"1\n", "b": b"1\n"}


def test_sha256_repositories_work(tmp_path: Path):
    ground = new_ground(tmp_path, "--object-format=sha256")
    ground.commit(a="1\n")
    ground.write("new", "1\n")
    with ground.open() as repository:
        snapshot = repository.snapshot()
        assert len(snapshot.tree) == 64 and repository.blob_id(b"1\n") == snapshot.files[0].oid
        edited = repository.write_tree(snapshot.tree, {"a": FileState(b"2\n"), "new": None})
        assert repository.apply(snapshot.tree, repository.patch(snapshot.tree, edited)) == edited


def test_a_damaged_index_is_a_clear_error(ground: Ground):
    ground.commit(a="1\n")
    ground.write(".git/index", b"garbage")
    with ground.open() as repository, pytest.raises(Exception, match="cannot be read") as failure:
        repository.snapshot()
    assert type(failure.value).__name__ == "UserError"


def test_sessions_at_once_do_not_disturb_each_other(ground: Ground):
    ground.commit(**{f"f{number}": f"{number}\n" for number in range(50)})

    def work(name: str) -> set[str]:
        with ground.open(name) as repository:
            return {repository.snapshot().tree for _ in range(5)}

    with ThreadPoolExecutor(4) as pool:
        trees = set().union(*pool.map(work, ("one", "two", "three", "four")))
    assert trees == {ground.git("rev-parse", "HEAD^{tree}").strip()}


def test_sessions_clean_up_after_themselves_and_after_the_dead(ground: Ground):
    ground.commit(a="1\n")
    repository = ground.open("live")
    work = repository.shadow.work.parent
    (work / "dead-xyz").mkdir()
    (work / "dead-xyz" / "index.lock").touch()
    with ground.open("other"):
        assert len(list(work.iterdir())) == 2
    repository.snapshot()
    repository.close()
    assert list(work.iterdir()) == []


def test_a_shadow_that_a_crash_damaged_is_made_again(ground: Ground):
    ground.commit(a="1\n")
    ground.write("new", "new\n")
    with ground.open() as repository:
        oid = repository.blob_id(b"new\n")
        repository.snapshot()
        place = repository.shadow.place / "objects" / oid[:2] / oid[2:]
    place.chmod(0o600)
    place.write_bytes(b"")
    with ground.open() as repository:
        assert contents(repository, repository.snapshot().tree) == {"a": b"1\n", "new": b"new\n"}


def test_a_crowded_shadow_is_emptied_when_nobody_uses_it(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    ground.commit(a="1\n")
    ground.write("new", "new\n")
    with ground.open() as repository:
        oid = repository.blob_id(b"new\n")
        repository.snapshot()
        crowd = repository.shadow.place / "objects" / "17"
        crowd.mkdir(exist_ok=True)
        for number in range(200):
            (crowd / f"{number:038x}").touch()
        with ground.open("other"):
            assert crowd.exists()
    with ground.open() as repository:
        assert not crowd.exists() and repository.read_blobs([oid]) == {}
        assert contents(repository, repository.snapshot().tree) == {"a": b"1\n", "new": b"new\n"}


def test_borrowed_objects_are_found_however_they_are_named(ground: Ground, tmp_path: Path):
    ground.commit(a="1\n")
    run_git(tmp_path, "clone", "-q", "--shared", str(ground.root), "clone")
    run_git(tmp_path, "clone", "-q", "--shared", "clone", "again")
    (tmp_path / "clone/.git/objects/info/alternates").write_text("../../../project/.git/objects\n")
    with Ground(tmp_path / "again", ground.places).open() as repository:
        assert contents(repository, repository.snapshot().tree) == {"a": b"1\n"}
        assert len(repository.log(9)) == 1


def test_shadows_that_nobody_used_for_long_are_removed(ground: Ground):
    ground.commit(a="1\n")
    with ground.open() as repository:
        repository.snapshot()
        place = repository.shadow.place
        assert prune_shadows(ground.places, time.time() + 9) == 0
    assert prune_shadows(ground.places, time.time() - 9) == 0 and place.exists()
    assert prune_shadows(ground.places, time.time() + 9) == 1 and not place.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_that_cannot_be_read_are_named_and_the_rest_is_taken(ground: Ground):
    ground.commit(a="1\n")
    ground.write("closed", "1\n", 0)
    with ground.open() as repository:
        snapshot = repository.snapshot()
        assert contents(repository, snapshot.tree) == {"a": b"1\n"}
    assert snapshot.withheld == (Withheld("closed", "cannot be read: permission denied"),)


def test_a_filter_counts_though_the_attributes_that_name_it_are_gone_from_the_disk(ground: Ground):
    ground.git("config", "filter.upper.clean", "tr a-z A-Z")
    ground.write("deep/er/.gitattributes", "*.up filter=upper\n")
    ground.write("deep/er/down/a.up", "lower\n")
    ground.git("add", "-A")
    ground.git("commit", "-qm", "all")
    (ground.root / "deep/er/.gitattributes").unlink()
    with ground.open() as repository:
        assert contents(repository, repository.snapshot().tree) == {"deep/er/down/a.up": b"lower\n"}


def test_another_process_finds_the_same_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in a folder").mkdir()
    (tmp_path / "in a folder" / "\udcff\n").write_bytes(b"four")
    (tmp_path / "link").symlink_to("far away")
    paths = ["in a folder/\udcff\n", "gone", "link"]
    here = sizes_on_disk(tmp_path, paths)
    monkeypatch.setattr("coder.repo.sizes.MANY", 0)
    assert here == sizes_on_disk(tmp_path, paths) == {"in a folder/\udcff\n": 4, "link": 8}
