"""The draft takes edits exactly or refuses them as a whole, and never touches the working tree."""

from pathlib import Path

import pytest

from coder.repo.draft import Draft
from coder.repo.patch.edits import PatchRefused
from tests.repo_tools import Ground, contents, fingerprint, new_ground, run_git


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = new_ground(tmp_path)
    ground.commit(**{"a.py": "one\ntwo\n", "d/b.py": "1\n", "tool": "#!/bin/sh\n"})
    return ground


def patch(*parts: str) -> str:
    return "\n".join(("*** Begin Patch", *parts, "*** End Patch")) + "\n"


UPDATE = patch("*** Update File: a.py", "@@", "-two", "+2")


def test_an_edit_becomes_an_exact_patch_and_the_tree_stays(ground: Ground):
    before = fingerprint(ground.root)
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        edit = draft.edit(UPDATE)
        assert (edit.paths, draft.paths, draft.read("a.py")) == (("a.py",), ("a.py",), b"one\n2\n")
        assert repository.apply(draft.snapshot.tree, edit.patch) == draft.tree
        assert draft.files() == repository.files(draft.tree)
    assert fingerprint(ground.root) == before


def test_edits_build_on_each_other(ground: Ground):
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        draft.edit(UPDATE)
        draft.edit(patch("*** Update File: a.py", "@@", "-2", "+three"))
        draft.edit(patch("*** Add File: new/x", "+1", "*** Delete File: d/b.py"))
        assert contents(repository, draft.tree) == {"a.py": b"one\nthree\n", "new/x": b"1\n", "tool": b"#!/bin/sh\n"}
        assert draft.paths == ("a.py", "d/b.py", "new/x")
        assert draft.files() == repository.files(draft.tree)


def test_a_refused_edit_changes_nothing(ground: Ground):
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        with pytest.raises(PatchRefused):
            draft.edit(patch("*** Update File: a.py", "@@", "-two", "+2", "*** Update File: tool", "@@", "-nope", "+x"))
        assert draft.tree == draft.snapshot.tree and draft.paths == ()


def test_taking_an_edit_back_leaves_no_change(ground: Ground):
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        draft.edit(UPDATE)
        draft.edit(patch("*** Update File: a.py", "@@", "-2", "+two"))
        assert draft.tree == draft.snapshot.tree and draft.paths == ()


def test_a_rename_keeps_the_mode(ground: Ground):
    (ground.root / "tool").chmod(0o755)
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        draft.edit(patch("*** Update File: tool", "*** Move to: bin/tool", "@@", " #!/bin/sh", "+true"))
        assert {file.path: file.mode for file in draft.files()}["bin/tool"] == "100755"
        assert draft.read("tool") is None and draft.paths == ("bin/tool", "tool")


def refused(ground: Ground, *parts: str) -> str:
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        with pytest.raises(PatchRefused) as refusal:
            draft.edit(patch(*parts))
        assert draft.tree == draft.snapshot.tree
    return str(refusal.value)


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n"


def test_files_that_git_filters_or_recodes_are_read_only(ground: Ground):
    ground.write(".gitattributes", "*.bin filter=lfs diff=lfs -text\n*.u16 working-tree-encoding=UTF-16\n")
    ground.write("x.bin", LFS)
    ground.write("x.u16", "a\n".encode("utf-16"))
    ground.write("pointer", LFS)
    assert "stored in LFS" in refused(ground, "*** Update File: x.bin", "@@", "-size 12", "+size 13")
    assert "stored in LFS" in refused(ground, "*** Update File: pointer", "@@", "-size 12", "+size 13")
    assert "stored in LFS" in refused(ground, "*** Add File: new.bin", "+x")
    assert "another encoding" in refused(ground, "*** Add File: new.u16", "+x")


def test_what_is_on_disk_but_not_in_the_draft_is_not_overwritten(ground: Ground):
    ground.write(".gitignore", "*.log\nsecret/\n")
    ground.write("x.log", "mine\n")
    ground.write("secret/key", "mine\n")
    for path in ("x.log", "secret/key"):
        assert "ignored or withheld" in refused(ground, f"*** Add File: {path}", "+x")


def test_conflicts_and_files_outside_the_checkout_are_read_only(ground: Ground):
    ground.git("checkout", "-q", "-b", "side")
    ground.commit(**{"a.py": "side\n"})
    ground.git("checkout", "-q", "main")
    ground.commit(**{"a.py": "main\n"})
    ground.git("merge", "side", check=False)
    assert "merge conflicts" in refused(ground, "*** Update File: a.py", "@@", "-main", "+x")
    ground.git("merge", "--abort")
    ground.git("sparse-checkout", "set", "--cone", "nothing")
    assert "sparse" in refused(ground, "*** Update File: d/b.py", "@@", "-1", "+2")


def test_links_and_submodules_are_not_written_through(ground: Ground, tmp_path: Path):
    (ground.root / "link").symlink_to("a.py")
    (ground.root / "dir").symlink_to(tmp_path)
    (tmp_path / "o").mkdir()
    other = new_ground(tmp_path / "o")
    other.commit(x="1\n")
    ground.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.root), "sub")
    for path in ("link", "dir/x", "sub/new"):
        assert refused(ground, f"*** Add File: {path}", "+x")
    assert not (tmp_path / "x").exists()


def test_names_that_collide_where_case_does_not_count_are_refused(ground: Ground):
    ground.git("config", "core.ignorecase", "true")
    assert "same file as a.py" in refused(ground, "*** Add File: A.PY", "+x")


def test_reading_does_not_follow_the_disk_away_from_the_snapshot(ground: Ground):
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        ground.write("a.py", "changed\n")
        assert draft.read("a.py") == b"one\ntwo\n" and repository.work_tree_bytes("a.py") == b"changed\n"


def test_materialising_writes_only_what_differs(ground: Ground, tmp_path: Path):
    (ground.root / "tool").chmod(0o755)
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        draft.edit(patch("*** Update File: tool", "@@", " #!/bin/sh", "+true", "*** Delete File: d/b.py"))
        (tmp_path / "into").mkdir()
        gone = repository.materialise(draft.snapshot.tree, draft.tree, tmp_path / "into")
    assert gone == ("d/b.py",)
    assert [path.name for path in (tmp_path / "into").rglob("*")] == ["tool"]
    assert (tmp_path / "into" / "tool").stat().st_mode & 0o100


def test_the_working_tree_is_read_without_following_links(ground: Ground, tmp_path: Path):
    (tmp_path / "secret").write_text("secret\n")
    (ground.root / "link").symlink_to(tmp_path / "secret")
    (ground.root / "dir").symlink_to(tmp_path)
    with ground.open() as repository:
        found = [repository.work_tree_bytes(path) for path in ("link", "dir/secret", "d", "none", "d/b.py")]
    assert found == [None, None, None, None, b"1\n"]


def test_history_lists_commits_with_their_paths(ground: Ground):
    ground.commit(**{"new\nline": "1\n"})
    run_git(ground.root, "commit", "-q", "--allow-empty", "-m", "nothing\n\nat all")
    with ground.open() as repository:
        assert [(entry.message, entry.paths) for entry in repository.log(10)] == [
            ("nothing\n\nat all", ()), ("more", ("new\nline",)), ("more", ("a.py", "d/b.py", "tool"))
        ]  # fmt: skip
        assert len(repository.log(1)) == 1


def test_a_file_whose_content_was_never_fetched_is_refused(ground: Ground, tmp_path: Path):
    ground.git("config", "uploadpack.allowFilter", "true")
    run_git(tmp_path, "clone", "-q", "--filter=blob:none", "--sparse", f"file://{ground.root}", "clone")
    partial = Ground(tmp_path / "clone", ground.places)
    assert "not here" in refused(partial, "*** Update File: d/b.py", "@@", "-1", "+2")


def test_a_file_that_is_named_like_a_secret_is_never_written(ground: Ground):
    ground.commit(**{".env": "A=1\n", "d/tls.key": "x\n", ".env.example": "A=\n"})
    assert "secrets" in refused(ground, "*** Update File: .env", "@@", "-A=1", "+A=2")
    assert "secrets" in refused(ground, "*** Add File: config/.env.local", "+A=1")
    assert "secrets" in refused(ground, "*** Delete File: d/tls.key")
    assert "secrets" in refused(ground, "*** Update File: a.py", "*** Move to: id_rsa", "@@", "-two", "+2")
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        draft.edit(patch("*** Update File: .env.example", "@@", "-A=", "+A=1"))
        assert draft.paths == (".env.example",)
