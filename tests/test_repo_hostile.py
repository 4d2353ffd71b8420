"""A repository whose every setting is a trap: coder works on it and none of its programs runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coder.repo.commit import commit
from coder.repo.draft import Draft
from coder.repo.git import absolute_path, find_git
from coder.repo.merge import merge3
from coder.repo.patch.edits import PatchRefused
from tests.repo_tools import Ground, fingerprint, new_ground, run_git, set_traps

EDIT = """*** Begin Patch
*** Update File: a.py
@@
-old
+new
*** Add File: b.py
+made
*** End Patch
"""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = new_ground(tmp_path)
    ground.commit(**{"a.py": "old\n2\n3\n", "x.evil": "1\n"})
    (tmp_path / "o").mkdir()
    other = new_ground(tmp_path / "o")
    other.commit(x="1\n")
    ground.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.root), "sub")
    ground.commit(**{".gitattributes": "*.py diff=evil\n*.evil filter=evil\n"})
    set_traps(Ground(ground.root / "sub", ground.places), tmp_path / "markers")
    set_traps(ground, tmp_path / "markers")
    return ground


def markers(tmp_path: Path) -> list[str]:
    return sorted(marker.name for marker in (tmp_path / "markers").iterdir())


def test_the_traps_work_on_plain_git(ground: Ground, tmp_path: Path):
    ground.write("x.evil", "2\n")
    ground.write("sub/x", "2\n")
    for command in (["status"], ["diff"], ["log", "-p"], ["add", "-A"], ["commit", "-m", "x"]):
        ground.git(*command, check=False)
    assert {"included", "filter", "diff", "textconv", "gpg", "hook-post-index-change"} <= set(markers(tmp_path))


def test_no_program_of_the_repository_runs_from_opening_to_committing(
    ground: Ground, tmp_path: Path, private_places: Path
):
    (private_places / ".gitconfig").write_text("[user]\n\tname = U\n\temail = u@example.com\n")
    ground.write("x.evil", "2\n")
    ground.write("sub/x", "2\n")
    ground.write("a.py", "old\n2\n3\nmine\n")
    before = fingerprint(ground.root)
    with ground.open() as repository:
        draft = Draft(repository, repository.snapshot())
        edit = draft.edit(EDIT)
        repository.diff(draft.snapshot.tree, draft.tree)
        repository.log(100)
        repository.read(draft.tree, "x.evil")
        with pytest.raises(PatchRefused, match="filter evil"):
            draft.edit("*** Begin Patch\n*** Update File: x.evil\n@@\n-2\n+3\n*** End Patch\n")
        merge3(b"1\n", b"2\n", b"3\n")
        assert fingerprint(ground.root) == before
        ground.land(draft, repository)
        commit(repository, edit.patch, "mend", "topic", False)
    assert markers(tmp_path) == []
    (ground.root / ".git" / "config").write_text("[core]\n\tbare = false\n")
    assert ground.git("show", "--format=%an %s", "--stat=80", "HEAD").split("\n")[0] == "U mend"


def test_programs_lying_in_the_repository_are_not_taken_for_git(ground: Ground, tmp_path: Path):
    for name in ("git", "env", "pgrep", "ps", "sh"):
        program = ground.write(name, f"#!/bin/sh\ntouch {tmp_path}/markers/{name}\n", 0o755)
        shutil.copy(program, ground.root / "d" if (ground.root / "d").is_dir() else ground.root / f"{name}.copy")
    code = (
        "from pathlib import Path; from coder.repo.repository import Repository; from coder.store import find_places;"
        "Repository.open(Path('.'), find_places(), 's').snapshot()"
    )
    environment = {**os.environ, "PATH": f".:{os.environ['PATH']}", "GIT_EXEC_PATH": str(ground.root)}
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=ground.root, env=environment, timeout=60)
    assert done.returncode == 0 and markers(tmp_path) == []


def test_relative_entries_of_the_path_are_dropped():
    assert absolute_path({"PATH": ".:/usr/bin::bin:/bin"}) == "/usr/bin:/bin"
    assert find_git().startswith("/")


def test_replaced_objects_and_grafts_do_not_change_what_is_read(tmp_path: Path):
    ground = new_ground(tmp_path)
    ground.commit(a="true\n")
    true, false = (
        ground.git("rev-parse", "HEAD:a").strip(),
        ground.git("hash-object", "-w", "--stdin", stdin=b"false\n"),
    )
    ground.git("replace", true, false.strip())
    with ground.open() as repository:
        snapshot = repository.snapshot()
        assert repository.read_blobs([true]) == {true: b"true\n"} and snapshot.files[0].oid == true


def test_a_huge_attributes_file_and_a_deep_tree_are_survived(tmp_path: Path):
    ground = new_ground(tmp_path)
    ground.write(".gitattributes", b"*.x filter=f" * 700_000)
    ground.write("/".join(["d"] * 200) + "/f", "1\n")
    with ground.open() as repository:
        assert len(repository.snapshot().files) == 1  # the attributes are untracked and over the size that is taken
    run_git(ground.root, "add", "-A")
    with ground.open() as repository:
        assert len(repository.snapshot().files) == 2
