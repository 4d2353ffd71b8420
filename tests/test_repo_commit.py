"""A commit holds HEAD plus the approved hunks and nothing else; a commit that fails leaves everything as it was."""

import threading
from pathlib import Path

import pytest

from coder.errors import CoderError, Failed, Refused, UserError
from coder.repo.commit import Committed, commit
from coder.repo.diff import parse_patch, select
from coder.repo.repository import FileState
from coder.values import ReviewDecision
from tests.repo_tools import Ground, fingerprint, new_ground, run_git

LINES = b"".join(b"%d\n" % number for number in range(30))


@pytest.fixture
def ground(tmp_path: Path, private_places: Path) -> Ground:
    (private_places / ".gitconfig").write_text("[user]\n\tname = Ursula\n\temail = u@example.com\n")
    ground = new_ground(tmp_path)
    ground.commit(a=LINES, b="1\n")
    return ground


def change(ground: Ground, **files: bytes | None) -> bytes:
    """Make the approved change in the working tree; the patch of it, against the tree as it was before."""
    with ground.open() as repository:
        before = repository.snapshot().tree
        states = {path: None if text is None else FileState(text) for path, text in files.items()}
        after = repository.write_tree(before, states)
        for path, text in files.items():
            if text is None:
                (ground.root / path).unlink()
            else:
                ground.write(path, text)
        return repository.patch(before, after)


def do(ground: Ground, patch: bytes, branch: str | None = None, hooks: bool = False, message: str = "mend it") -> str:
    return make(ground, patch, branch, hooks, message).oid


def make(
    ground: Ground, patch: bytes, branch: str | None = None, hooks: bool = False, message: str = "mend it"
) -> Committed:
    with ground.open() as repository:
        return commit(repository, patch, message, branch, hooks)


def committed(ground: Ground) -> str:
    return ground.git("show", "--format=%an <%ae> %s", "--name-status", "HEAD")


def edit(text: bytes, number: int, line: bytes) -> bytes:
    return text.replace(b"\n%d\n" % number, b"\n%s\n" % line, 1)


@pytest.mark.parametrize("hooks", [False, True])
def test_only_the_approved_files_are_committed(ground: Ground, hooks: bool):
    ground.write("b", "mine\n")
    ground.git("add", "b")
    ground.write("b", "mine too\n")
    ground.write("new of mine", "1\n")
    before = ground.git("status", "--porcelain")
    oid = do(ground, change(ground, a=edit(LINES, 3, b"three"), made=b"1\n"), hooks=hooks)
    assert oid == ground.git("rev-parse", "HEAD").strip()
    assert committed(ground) == "Ursula <u@example.com> mend it\n\nM\ta\nA\tmade\n"
    assert ground.git("status", "--porcelain") == before
    assert ground.git("fsck", "--strict", "--full") == ""
    assert ground.git("reflog", "-1", "--format=%gs") == "commit: mend it\n"


@pytest.mark.parametrize("hooks", [False, True])
def test_own_changes_in_the_same_file_stay_uncommitted(ground: Ground, hooks: bool):
    ground.write("a", edit(LINES, 25, b"mine"))
    do(ground, change(ground, a=edit(edit(LINES, 25, b"mine"), 3, b"three")), hooks=hooks)
    assert ground.git("show", "HEAD:a").encode() == edit(LINES, 3, b"three")
    assert ground.git("diff", "--cached", "--name-only") == ""
    assert ground.git("diff", "-U0", "a").splitlines()[-2:] == ["-25", "+mine"]


def test_own_staged_changes_in_the_same_file_stay_staged(ground: Ground):
    ground.write("a", edit(LINES, 25, b"staged"))
    ground.git("add", "a")
    do(ground, change(ground, a=edit(edit(LINES, 25, b"staged"), 3, b"three")))
    assert ground.git("show", "HEAD:a").encode() == edit(LINES, 3, b"three")
    assert ground.git("diff", "--cached", "-U0", "a").splitlines()[-2:] == ["-25", "+staged"]
    assert ground.git("diff") == "" and ground.git("status", "--porcelain") == "M  a\n"


@pytest.mark.parametrize("hooks", [False, True])
def test_changes_that_cannot_be_told_apart_are_refused_and_nothing_is_written(ground: Ground, hooks: bool):
    ground.write("a", edit(LINES, 4, b"mine"))
    patch = change(ground, a=edit(edit(LINES, 4, b"mine"), 3, b"three"))
    before = fingerprint(ground.root)
    with pytest.raises(Refused, match="cannot be separated"):
        do(ground, patch, hooks=hooks)
    assert fingerprint(ground.root) == before


def test_an_untracked_file_that_was_changed_is_not_separable(ground: Ground):
    ground.write("mine", "1\n")
    with pytest.raises(Refused, match="not in HEAD"):
        do(ground, change(ground, mine=b"2\n"))


def test_deletions_renames_and_modes_are_committed(ground: Ground):
    patch = change(ground, b=None, moved=edit(LINES, 3, b"three"), a=None)
    do(ground, patch)
    assert ground.git("show", "--format=", "--name-status", "-M", "HEAD") == "D\tb\nR092\ta\tmoved\n"
    assert ground.git("status", "--porcelain") == ""


def test_a_selection_of_hunks_is_committed(ground: Ground):
    whole = change(ground, a=edit(edit(LINES, 3, b"three"), 25, b"x"))
    ground.write("a", edit(LINES, 3, b"three"))
    do(ground, select(parse_patch(whole), ReviewDecision({"a": frozenset({0})})))
    assert ground.git("show", "HEAD:a").encode() == edit(LINES, 3, b"three")
    assert ground.git("status", "--porcelain") == ""


@pytest.mark.parametrize("hooks", [False, True])
def test_the_first_commit_of_a_repository_can_be_made(tmp_path: Path, ground: Ground, hooks: bool):
    (tmp_path / "o").mkdir()
    fresh = new_ground(tmp_path / "o")
    fresh.write("mine", "1\n")
    do(fresh, change(fresh, made=b"1\n"), hooks=hooks)
    assert fresh.git("show", "--format=%s", "--name-only", "HEAD") == "mend it\n\nmade\n"
    assert fresh.git("status", "--porcelain") == "?? mine\n"


@pytest.mark.parametrize("hooks", [False, True])
def test_a_new_branch_is_made_and_switched_to(ground: Ground, hooks: bool):
    main = ground.git("rev-parse", "main")
    do(ground, change(ground, b=b"2\n"), branch="topic/one", hooks=hooks)
    assert ground.git("branch", "--show-current") == "topic/one\n" and ground.git("rev-parse", "main") == main
    assert ground.git("rev-parse", "HEAD~1") == main and ground.git("status", "--porcelain") == ""
    ground.git("switch", "-q", "-")
    assert ground.git("branch", "--show-current") == "main\n"


@pytest.mark.parametrize("name", ["-x", "a..b", "a b", "x.lock", "", "refs/../x", "HEAD", "a\nb"])
def test_bad_branch_names_are_refused(ground: Ground, name: str):
    patch = change(ground, b=b"2\n")
    with pytest.raises(UserError, match="not a name for a branch"):
        do(ground, patch, branch=name)


def test_a_branch_that_exists_is_refused(ground: Ground):
    with pytest.raises(Refused, match="exists already"):
        do(ground, change(ground, b=b"2\n"), branch="main")


def test_a_detached_head_and_a_linked_worktree_can_commit(ground: Ground, tmp_path: Path):
    ground.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    linked = Ground(tmp_path / "linked", ground.places)
    oid = do(linked, change(linked, b=b"2\n"))
    assert linked.git("rev-parse", "HEAD").strip() == oid and linked.git("status", "--porcelain") == ""
    assert ground.git("status", "--porcelain") == "" and ground.git("show", "HEAD:b") == "1\n"


@pytest.mark.parametrize("hooks", [False, True])
def test_hooks_and_signing_run_only_when_asked_for(ground: Ground, tmp_path: Path, hooks: bool):
    seen = tmp_path / "seen"
    ground.write("b", "mine\n")
    hook = f'#!/bin/sh\ngit diff --cached --name-only >> {seen}\necho "$OPENAI_API_KEY" >> {seen}\n'
    ground.write(".git/hooks/pre-commit", hook, 0o755)
    ground.write(".git/hooks/commit-msg", '#!/bin/sh\necho "Reviewed: yes" >> "$1"\n', 0o755)
    do(ground, change(ground, made=b"1\n"), hooks=hooks)
    assert (seen.read_text() if seen.exists() else "") == ("made\n\n" if hooks else "")
    assert ("Reviewed: yes" in ground.git("log", "-1", "--format=%B")) == hooks
    assert ground.git("status", "--porcelain") == " M b\n"


@pytest.mark.parametrize("branch", [None, "topic"])
@pytest.mark.parametrize("detached", [False, True])
def test_a_hook_that_says_no_leaves_everything_as_it_was(ground: Ground, branch: str | None, detached: bool):
    if detached:
        ground.git("checkout", "-q", "--detach")
    ground.write(".git/hooks/pre-commit", "#!/bin/sh\necho no such luck >&2\nexit 1\n", 0o755)
    ground.write("b", "mine\n")
    ground.git("add", "b")
    patch = change(ground, made=b"1\n")
    before = {k: v for k, v in fingerprint(ground.root).items() if not k.startswith(".git/objects")}
    with pytest.raises(Failed, match="no such luck"):
        do(ground, patch, branch, hooks=True)
    after = {k: v for k, v in fingerprint(ground.root).items() if not k.startswith(".git/objects")}
    assert after == before


def test_what_a_hook_adds_is_part_of_the_commit_and_of_the_index(ground: Ground):
    ground.write(".git/hooks/pre-commit", "#!/bin/sh\nprintf 'formatted\\n' > made\ngit add made\n", 0o755)
    do(ground, change(ground, made=b"1\n"), hooks=True)
    assert ground.git("show", "HEAD:made") == "formatted\n" and ground.git("status", "--porcelain") == ""


def test_another_file_that_a_hook_changes_and_adds_is_not_left_staged(ground: Ground):
    ground.write(".git/hooks/pre-commit", "#!/bin/sh\necho more >> b\ngit add b\n", 0o755)
    made = make(ground, change(ground, a=edit(LINES, 3, b"three")), hooks=True)
    assert ground.git("show", "HEAD:b") == "1\nmore\n" and ground.git("status", "--porcelain") == ""
    assert made.remarks == ("hooks changed what was committed, which was neither reviewed nor tested: b",)


@pytest.mark.parametrize("own_path", [False, True])
def test_hooks_and_a_signature_that_trust_keeps_out_are_named(ground: Ground, own_path: bool):
    ground.write("ours/commit-msg" if own_path else ".git/hooks/commit-msg", "#!/bin/sh\n", 0o755)
    assert make(ground, change(ground, b=b"2\n")).remarks == (() if own_path else (_UNHEARD,))
    ground.git("config", "commit.gpgSign", "true")
    if own_path:
        ground.git("config", "core.hooksPath", "ours")
    unheard, unsigned = make(ground, change(ground, b=b"3\n")).remarks
    assert unheard == _UNHEARD and "not signed" in unsigned


_UNHEARD = "hooks run only in a repository you trust, so these did not: commit-msg"


def test_a_signing_program_that_fails_is_reported(ground: Ground, tmp_path: Path):
    ground.git("config", "commit.gpgSign", "true")
    ground.git("config", "gpg.program", "/bin/false")
    patch = change(ground, b=b"2\n")
    with pytest.raises(Failed, match="git commit ended with status"):
        do(ground, patch, hooks=True)
    assert ground.git("log", "--format=%s") == "more\n"


@pytest.mark.parametrize("operation", ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG"])
def test_nothing_is_committed_in_the_middle_of_something(ground: Ground, operation: str):
    patch = change(ground, b=b"2\n")
    ground.write(f".git/{operation}", ground.git("rev-parse", "HEAD"))
    with pytest.raises(Refused, match="in progress"):
        do(ground, patch)


def test_an_index_that_another_git_holds_for_a_moment_is_waited_for(ground: Ground):
    lock = ground.write(".git/index.lock", b"someone")
    patch = change(ground, b=b"2\n")
    threading.Timer(0.1, lock.unlink).start()
    assert do(ground, patch) == ground.git("rev-parse", "HEAD").strip()


def test_a_locked_index_is_refused_and_the_lock_stays(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coder.repo.users_index.PATIENCE_S", 0.1)
    patch = change(ground, b=b"2\n")
    lock = ground.write(".git/index.lock", b"someone")
    with pytest.raises(Refused, match="holds the index"):
        do(ground, patch)
    assert lock.read_bytes() == b"someone" and ground.git("log", "--format=%s") == "more\n"


def test_without_an_identity_there_is_a_clear_error_and_no_commit(ground: Ground, private_places: Path):
    (private_places / ".gitconfig").unlink()
    patch = change(ground, b=b"2\n")
    with pytest.raises(UserError, match="does not know who commits") as failure:
        do(ground, patch)
    assert "user.email" in failure.value.hint and ground.git("config", "--list", "--local").find("user.") == -1


def test_the_identity_may_come_from_the_repository_or_the_environment(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    ground.git("config", "user.name", "Here")
    do(ground, change(ground, b=b"2\n"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Env")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-02-03T04:05:06+0000")
    do(ground, change(ground, b=b"3\n"))
    assert ground.git("log", "--format=%an %ad %cn", "--date=short", "-1") == "Env 2001-02-03 Here\n"
    assert ground.git("log", "--format=%an", "-1", "HEAD~1") == "Here\n"


def test_a_repository_that_cannot_be_written_is_left_alone(ground: Ground, tmp_path: Path):
    patch = change(ground, b=b"2\n")
    ground.write(".git/refs/heads/main.lock", b"")
    before = {k: v for k, v in fingerprint(ground.root).items() if not k.startswith(".git/objects")}
    with pytest.raises(CoderError, match="could not be recorded"):
        do(ground, patch)
    assert {k: v for k, v in fingerprint(ground.root).items() if not k.startswith(".git/objects")} == before


@pytest.mark.parametrize("hooks", [False, True])
def test_line_ends_are_committed_as_the_repository_wants_them(ground: Ground, hooks: bool):
    ground.commit(**{".gitattributes": "*.txt text\n*.id ident\n", "x.txt": b"1\n2\n3\n", "v.id": b"$Id$\n1\n"})
    (ground.root / "x.txt").unlink()
    (ground.root / "v.id").unlink()
    ground.git("-c", "core.eol=crlf", "checkout", "--", ".")
    ground.write("x.txt", b"1\r\n2\r\n3\r\n")
    ident = (ground.root / "v.id").read_bytes()
    patch = change(ground, **{"x.txt": b"1\r\ntwo\r\n3\r\n", "v.id": ident + b"2\n"})
    do(ground, patch, hooks=hooks)
    assert ground.git("show", "HEAD:x.txt") == "1\ntwo\n3\n" and ground.git("show", "HEAD:v.id") == "$Id$\n1\n2\n"
    assert ground.git("status", "--porcelain") == ""


def test_a_change_that_head_holds_already_is_not_committed_twice(ground: Ground):
    patch = change(ground, b=b"2\n")
    do(ground, patch)
    for hooks in (False, True):
        with pytest.raises(Failed, match="nothing to commit"):
            do(ground, patch, hooks=hooks)
    assert ground.git("log", "--format=%s") == "mend it\nmore\n"


def test_marks_in_the_index_survive(ground: Ground):
    ground.git("update-index", "--assume-unchanged", "b")
    ground.git("update-index", "--skip-worktree", "a")
    do(ground, change(ground, a=edit(LINES, 3, b"three"), b=b"2\n"))
    assert ground.git("ls-files", "-v") == "S a\nh b\n"


@pytest.mark.parametrize("kind", ["split", "sparse", "v4"])
def test_unusual_indexes_are_still_the_users_afterwards(ground: Ground, kind: str):
    ground.commit(**{"in/x": "1\n", "out/y": "1\n"})
    if kind == "split":
        ground.git("config", "core.splitIndex", "true")
        ground.git("update-index", "--split-index")
    elif kind == "sparse":
        ground.git("sparse-checkout", "set", "--cone", "--sparse-index", "in")
    else:
        ground.git("update-index", "--index-version=4")
    do(ground, change(ground, b=b"2\n"))
    assert ground.git("status", "--porcelain") == "" and ground.git("show", "HEAD:out/y") == "1\n"


def test_odd_names_are_committed(ground: Ground):
    names = (":(glob)*", "new\nline", "-x", 'q"uote', "\udcff", "\u00e9")
    ground.commit(**dict.fromkeys(names, "1\n"))
    do(ground, change(ground, **dict.fromkeys(names, b"2\n")))
    assert len(ground.git("show", "--format=", "--name-only", "-z", "HEAD").split("\0")) == len(names) + 1
    assert ground.git("status", "--porcelain") == ""


def test_odd_messages_are_kept_and_empty_ones_refused(ground: Ground):
    do(ground, change(ground, b=b"2\n"), message="# not a comment  \n\n-x\0 $(touch m)\n\n\n")
    assert ground.git("log", "-1", "--format=%B") == "# not a comment\n\n-x $(touch m)\n\n"
    patch = change(ground, b=b"3\n")
    with pytest.raises(UserError, match="message is empty"):
        do(ground, patch, message=" \n")


def test_sha256_and_partial_clones_can_commit(ground: Ground, tmp_path: Path):
    (tmp_path / "o").mkdir()
    modern = new_ground(tmp_path / "o", "--object-format=sha256")
    modern.commit(b="1\n")
    assert len(do(modern, change(modern, b=b"2\n"))) == 64
    ground.git("config", "uploadpack.allowFilter", "true")
    run_git(tmp_path, "clone", "-q", "--filter=blob:none", "--sparse", f"file://{ground.root}", "clone")
    partial = Ground(tmp_path / "clone", ground.places)
    do(partial, change(partial, b=b"2\n"))
    assert partial.git("status", "--porcelain") == ""
