"""What is never written, whoever asks; all files or none; and what a refusal says."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from coder.repo.patch.edits import FileKind, PatchRefused
from coder.repo.patch.resolve import resolve
from coder.repo.worktree_view import WorktreeView
from tests.patch_tools import ROOT, Tree, applied, blocks, diff, refused, v4a
from tests.work import coder, make_repository

KINDS: Mapping[str, FileKind] = {"link": "symlink", "dir": "symlink", "sub": "submodule"}
FILES = {"a.py": "1\n", "src/deep/b.py": "1\n", "x/c.py": "1\n", "y/c.py": "1\n"}


def adding(path: str) -> list[str]:
    return [
        f"*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch\n",
        f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n",
        blocks("", "x\n", path=path),
    ]


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", ".git/hooks/pre-commit", "d/.GIT/config", "link", "dir/x", "sub/x", "src"]
)
def test_a_forbidden_place_is_not_written_in_any_format(path: str):
    v4a_text, diff_text, block = adding(path)
    for text in (v4a_text, diff_text):
        assert [problem.kind for problem in refused(text, FILES, KINDS)] == ["forbidden"]
    assert refused(block, FILES, KINDS)


@pytest.mark.parametrize("path", ["/etc/passwd", "/home/ann/other/x", f"{ROOT}/../x", f"{ROOT}/.git/config"])
def test_an_absolute_path_counts_only_inside_the_tree(path: str):
    assert {problem.kind for problem in refused(adding(path)[0], FILES)} == {"forbidden"}
    assert applied(adding(f"{ROOT}/new")[0], {}) == {"new": b"x\n"}


@pytest.mark.parametrize("path", ["link", "dir/x", "sub/x", "src"])
def test_links_submodules_and_directories_are_not_updated(path: str):
    assert [problem.kind for problem in refused(v4a("@@", "-1", "+2", path=path), FILES, KINDS)] == ["forbidden"]


@pytest.mark.parametrize("content", [b"\0\1", "a\n".encode("utf-16"), b"1\n\0"], ids=["binary", "utf-16", "nul"])
def test_content_that_is_no_text_is_not_patched(content: bytes):
    assert [problem.kind for problem in refused(v4a("@@", "-1", "+2"), {"a.py": content})] == ["forbidden"]


@pytest.mark.parametrize(
    "header",
    [
        "copy from a.py\ncopy to new.py",
        "new file mode 120000",
        "new file mode 160000",
        "old mode 100644\nnew mode 104755",
        "index 0000000..1111111 120000",
        "GIT binary patch\nliteral 1\n",
        "Binary files a/a.py and b/a.py differ",
        "rename from a.py\nrename to src/deep/b.py",
        "rename from a.py",
        "rename from ../x\nrename to new.py",
        "rename from a.py\nrename to .git/x",
    ],
)
def test_a_header_that_hides_what_it_does_is_refused(header: str):
    assert refused(f"diff --git a/a.py b/a.py\n{header}\n", FILES)


def test_headers_that_name_different_files_are_refused():
    text = "diff --git a/a.py b/a.py\n--- a/src/deep/b.py\n+++ b/src/deep/b.py\n@@ -1 +1 @@\n-1\n+2\n"
    assert [problem.kind for problem in refused(text, FILES)] == ["malformed"]


def test_a_file_is_found_by_the_end_of_its_path_if_only_one_has_it():
    assert applied(v4a("@@", "-1", "+2", path="deep/b.py"), FILES)["src/deep/b.py"] == b"2\n"
    assert applied(v4a("@@", "-1", "+2", path="project/src/deep/b.py"), FILES)["src/deep/b.py"] == b"2\n"
    assert [problem.kind for problem in refused(v4a("@@", "-1", "+2", path="c.py"), FILES)] == ["missing"]
    assert [problem.kind for problem in refused(v4a("@@", "-1", "+2", path="eep/b.py"), FILES)] == ["missing"]


def test_nothing_is_created_or_renamed_onto_a_file_that_is_there():
    for text in adding("a.py"):
        assert [problem.kind for problem in refused(text, FILES)] == ["exists"]
    assert [problem.kind for problem in refused(v4a("*** Move to: x/c.py", "@@", "-1", "+2"), FILES)] == ["exists"]


def test_renames_that_cross_one_another_are_refused():
    def renames(*pairs: tuple[str, str]) -> str:
        return "".join(f"diff --git a/{a} b/{b}\nrename from {a}\nrename to {b}\n" for a, b in pairs)

    files = {"a.py": "1\n", "b.py": "2\n"}
    assert refused(renames(("a.py", "b.py"), ("b.py", "a.py")), files)
    assert refused(renames(("a.py", "b.py"), ("b.py", "c.py")), files)
    assert applied(renames(("b.py", "c.py"), ("a.py", "b.py")), files) == {"b.py": b"1\n", "c.py": b"2\n"}


def test_one_bad_hunk_refuses_every_file():
    text = v4a("@@", "-1", "+2", "*** Update File: x/c.py", "@@", "-nowhere", "+2")
    assert [(problem.path, problem.hunk) for problem in refused(text, FILES)] == [("x/c.py", 1)]


def test_half_a_character_is_refused_and_a_byte_is_kept():
    assert [problem.kind for problem in refused(v4a("@@", "-1", "+\ud83d"), FILES)] == ["malformed"]
    assert applied(v4a("@@", "-1", "+\udce9"), {"a.py": b"1\n"}) == {"a.py": b"\xe9\n"}


def test_protected_paths_and_names_of_secrets_are_told():
    resolution = resolve(adding(".github/ci.yml")[0] + adding(".env")[0], Tree({}))
    assert resolution.protected == (".github/ci.yml",)
    assert resolution.warnings == (".env: by its name it holds secrets",)


def test_who_applies_an_edit_by_hand_is_told_that_a_file_becomes_executable(tmp_path: Path):
    root = make_repository(tmp_path / "repo")
    ended = coder(root, "apply", "-", stdin="diff --git a/calc.py b/calc.py\nold mode 100644\nnew mode 100755\n")
    assert (ended.code, "warning: calc.py becomes executable" in ended.err) == (0, True)
    assert (root / "calc.py").stat().st_mode & 0o111


# ── feedback ─────────────────────────────────────────────────────────────────────────────────────

BODY = "".join(f"line {number} of the text\n" for number in range(1, 60))


def test_a_refusal_quotes_the_nearest_true_lines_with_their_numbers():
    text = v4a("@@", " line 29 of the text", "-line 30 of the test", "+x", " line 31 of the text")
    (problem,) = refused(text, BODY)
    assert (problem.path, problem.hunk, problem.kind) == ("a.py", 1, "not_found")
    assert (30, "line 30 of the text") in problem.nearest
    with pytest.raises(
        PatchRefused, match=r"a\.py, hunk 1: the old lines are not in the file(.|\n)*   30 \| line 30 of"
    ):
        resolve(text, Tree({"a.py": BODY.encode()}))


def test_a_refusal_names_every_candidate_line():
    with pytest.raises(PatchRefused, match="candidates at lines 2, 4"):
        resolve(v4a("@@", "-x", "+y"), Tree({"a.py": b"1\nx\n2\nx\n"}))


def test_a_refusal_of_many_hunks_stays_within_forty_lines():
    text = v4a(*(line for number in range(200) for line in ("@@", f"-line {number} of nothing", "+x")))
    assert len(refused(text, BODY)) == 200


# ── the working tree ─────────────────────────────────────────────────────────────────────────────


def test_the_working_tree_is_seen_without_following_links(tmp_path: Path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "sub" / ".git").mkdir(parents=True)
    outside.mkdir()
    (outside / "x").write_text("1\n")
    (root / "d" / "f.sh").write_text("1\n")
    (root / "d" / "f.sh").chmod(0o755)
    (root / "link").symlink_to(outside / "x")
    (root / "dir").symlink_to(outside)
    os.mkfifo(root / "pipe")
    view = WorktreeView(root)
    seen = {
        path: view.kind(path) for path in ("d", "d/f.sh", "d/g", "d/f.sh/x", "link", "dir/x", "sub", "sub/y", "pipe")
    }
    assert seen == {
        "d": "dir", "d/f.sh": "file", "d/g": "none", "d/f.sh/x": "none", "link": "symlink", "dir/x": "symlink",
        "sub": "submodule", "sub/y": "submodule", "pipe": "symlink",
    }  # fmt: skip
    assert (view.paths(), view.executable("d/f.sh"), view.read("d/f.sh")) == (("d/f.sh",), True, b"1\n")
    for path in ("link", "dir/x", "pipe", "nowhere"):
        with pytest.raises(OSError):
            view.read(path)


def test_a_file_that_cannot_be_read_refuses_the_edit(tmp_path: Path):
    with (tmp_path / "a.py").open("wb") as file:
        file.truncate(40_000_000)
    with pytest.raises(PatchRefused, match="cannot be read"):
        resolve(diff("@@", "-1", "+2"), WorktreeView(tmp_path))


def test_one_name_cannot_become_a_file_and_a_folder():
    text = "*** Begin Patch\n*** Add File: d/e\n+x\n*** Add File: d\n+x\n*** End Patch\n"
    assert [(problem.path, problem.kind) for problem in refused(text, {})] == [("d/e", "forbidden")]
