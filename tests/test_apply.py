"""Applying changes to a working tree: what is written, what is kept, what is refused."""

import os
import time
from pathlib import Path

import pytest

from coder.errors import Failed, Refused
from coder.repo.apply import FileChange, Stale, apply, recover
from coder.repo.checkpoint import list_checkpoints
from coder.store import Places
from tests.apply_tools import Spot, create, delete, modify, new_spot, picture, write


@pytest.fixture
def here(tmp_path: Path) -> tuple[Spot, Places]:
    return new_spot(tmp_path)


def test_a_change_set_modifies_creates_and_deletes(here):
    spot, places = here
    write(spot.root / "a.py", b"old\n", 0o640)
    write(spot.root / "gone/b.py", b"bye\n")
    changes = [
        modify("a.py", b"old\n", b"new\n"),
        create("sub/deep/c.py", b"hello\n"),
        delete("gone/b.py", b"bye\n"),
    ]
    done = apply(spot, places, changes, "three files")
    assert done.paths == ("a.py", "gone/b.py", "sub/deep/c.py")
    assert done.warnings == ()
    seen = picture(spot.root)
    assert seen["a.py"] == ("-", 0o640, b"new\n")
    assert seen["sub/deep/c.py"] == ("-", 0o644, b"hello\n")
    assert sorted(seen) == [".git", "a.py", "sub", "sub/deep", "sub/deep/c.py"]
    assert recover(spot, places) == ()


@pytest.mark.parametrize("mode", [0o444, 0o600, 0o755, 0o664, 0o4755, 0o400])
def test_the_mode_of_a_file_is_kept(here, mode):
    spot, places = here
    write(spot.root / "f", b"1", mode)
    apply(spot, places, [modify("f", b"1", b"2")], "")
    assert picture(spot.root)["f"] == ("-", mode, b"2")


@pytest.mark.parametrize(
    ("mode", "executable", "expected"), [(0o644, True, 0o755), (0o600, True, 0o700), (0o755, False, 0o644)]
)
def test_the_execute_bits_change_only_when_asked(here, mode, executable, expected):
    spot, places = here
    write(spot.root / "f", b"1", mode)
    apply(spot, places, [modify("f", b"1", b"1", executable)], "")
    assert picture(spot.root)["f"] == ("-", expected, b"1")


@pytest.mark.parametrize(
    ("mask", "plain", "program"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0, 0o666, 0o777)]
)
def test_new_files_follow_the_umask(here, mask, plain, program):
    spot, places = here
    before = os.umask(mask)
    try:
        apply(spot, places, [create("d/plain", b""), create("d/program", b"", True)], "")
    finally:
        os.umask(before)
    seen = picture(spot.root)
    assert (seen["d/plain"][1], seen["d/program"][1], seen["d"][1]) == (plain, program, program)


def test_a_file_that_changed_since_is_never_overwritten(here):
    spot, places = here
    write(spot.root / "a", b"1")
    write(spot.root / "b", b"the user's")
    before = picture(spot.root)
    with pytest.raises(Stale) as stale:
        apply(spot, places, [modify("a", b"1", b"2"), modify("b", b"1", b"2"), delete("c", b"3")], "")
    assert stale.value.paths == ("b", "c")
    assert picture(spot.root) == before


def test_a_new_file_never_replaces_one(here):
    spot, places = here
    write(spot.root / "a", b"the user's")
    with pytest.raises(Stale):
        apply(spot, places, [create("a", b"coder's")], "")


def test_a_changed_execute_bit_is_a_change(here):
    spot, places = here
    write(spot.root / "a", b"1", 0o755)
    with pytest.raises(Stale):
        apply(spot, places, [FileChange("a", b"1", 0o100644, b"2", None)], "")
    apply(spot, places, [FileChange("a", b"1", 0o100755, b"2", None)], "")


@pytest.mark.parametrize(
    "path",
    [".git/config", "sub/.GIT/x", "git~1/x", "../x", "/etc/x", "", "a//b", "a/./b", ".g\u200cit/x", ".git. /x", "a/"],
)
def test_paths_that_leave_the_tree_or_enter_git_are_refused(here, path):
    spot, places = here
    with pytest.raises(Refused):
        apply(spot, places, [create(path, b"x")], "")
    assert sorted(picture(spot.root)) == [".git"]


def test_nothing_is_written_through_a_symbolic_link(here, tmp_path):
    spot, places = here
    write(tmp_path / "outside/f", b"1")
    (spot.root / "link").symlink_to(tmp_path / "outside")
    (spot.root / "file").symlink_to(tmp_path / "outside/f")
    for change in (
        create("link/new", b"x"),
        modify("link/f", b"1", b"2"),
        modify("file", b"1", b"2"),
        create("link", b""),
    ):
        with pytest.raises(Refused, match="symbolic link"):
            apply(spot, places, [change], "")
    assert picture(tmp_path / "outside") == {"f": ("-", 0o644, b"1")}


def test_directories_pipes_and_twice_named_files_are_refused(here):
    spot, places = here
    (spot.root / "dir").mkdir()
    os.mkfifo(spot.root / "pipe")
    for changes in ([create("dir", b"")], [modify("pipe", b"", b"x")], [create("x", b""), create("x", b"")]):
        with pytest.raises(Refused):
            apply(spot, places, changes, "")


@pytest.mark.parametrize(
    ("existing", "new"),
    [("Readme", "README"), ("lib/x", "Lib/y"), ("caf\u00e9", "cafe\u0301"), ("stra\u00dfe", "STRASSE")],
)
def test_a_name_that_differs_only_in_case_or_form_is_refused(here, existing, new):
    spot, places = here
    write(spot.root / existing, b"1")
    with pytest.raises(Refused, match="only in case"):
        apply(spot, places, [create(new, b"2")], "")


def test_two_new_names_that_differ_only_in_case_are_refused(here):
    spot, places = here
    with pytest.raises(Refused, match="only in case"):
        apply(spot, places, [create("a/B", b""), create("A/c", b"")], "")


def test_a_file_can_change_the_case_of_its_name(here):
    spot, places = here
    write(spot.root / "Readme", b"1")
    apply(spot, places, [create("README", b"1"), delete("Readme", b"1")], "")
    assert sorted(picture(spot.root)) == [".git", "README"]


def test_a_file_becomes_a_directory_and_back(here):
    spot, places = here
    write(spot.root / "a", b"file")
    before = picture(spot.root)
    apply(spot, places, [create("a/b/c", b"inner"), delete("a", b"file")], "")
    assert sorted(picture(spot.root)) == [".git", "a", "a/b", "a/b/c"]
    apply(spot, places, [create("a", b"file"), delete("a/b/c", b"inner")], "")
    assert picture(spot.root) == before


def test_a_directory_with_other_files_does_not_become_a_file(here):
    spot, places = here
    write(spot.root / "a/b", b"1")
    write(spot.root / "a/ignored", b"2")
    before = picture(spot.root)
    with pytest.raises(Stale):
        apply(spot, places, [create("a", b"file"), delete("a/b", b"1")], "")
    assert picture(spot.root) == before


def test_other_hard_links_keep_the_old_content_and_the_user_is_told(here):
    spot, places = here
    write(spot.root / "a", b"1")
    os.link(spot.root / "a", spot.root / "b")
    done = apply(spot, places, [modify("a", b"1", b"2")], "")
    assert done.warnings == ("a has another name (hard links), which keep the old content",)
    assert (spot.root / "b").read_bytes() == b"1"


def test_odd_names_are_ordinary(here):
    spot, places = here
    names = ["-x", "a b", "caf\udce9", "$(touch m)", ":(glob)*", "n" * 255, "\u202eevil", "tab\there"]
    apply(spot, places, [create(f"d/{name}", name.encode("utf-8", "surrogateescape")) for name in names], "odd")
    assert sorted(os.listdir(spot.root / "d")) == sorted(names)


def test_a_renamed_file_keeps_its_mode(here):
    spot, places = here
    write(spot.root / "old", b"1", 0o750)
    moved = FileChange("new", None, None, b"1", None, renamed_from="old")
    apply(spot, places, [moved, delete("old", b"1")], "")
    assert picture(spot.root)["new"] == ("-", 0o750, b"1")


def test_nothing_to_change_leaves_no_checkpoint(here):
    spot, places = here
    write(spot.root / "a", b"1")
    assert apply(spot, places, [modify("a", b"1", b"1")], "").id == ""
    assert list_checkpoints(spot, places) == ()


def test_state_is_private_whatever_the_umask(here):
    spot, places = here
    write(spot.root / "a", b"secret")
    before = os.umask(0)
    try:
        apply(spot, places, [modify("a", b"secret", b"2")], "")
    finally:
        os.umask(before)
    modes = {(kind, mode) for kind, mode, _ in picture(places.state.parent).values()}
    assert modes == {("d", 0o700), ("-", 0o600)}


def test_a_directory_that_cannot_be_written_changes_nothing(here):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; test_apply_faults does this as another user")
    spot, places = here
    write(spot.root / "a", b"1")
    write(spot.root / "locked/b", b"1", 0o444)
    (spot.root / "locked").chmod(0o555)
    before = picture(spot.root)
    with pytest.raises(Failed, match="locked/b"):
        apply(spot, places, [modify("a", b"1", b"2"), modify("locked/b", b"1", b"2")], "")
    assert picture(spot.root) == before


def test_attributes_of_a_file_are_kept(here):
    spot, places = here
    write(spot.root / "a", b"1")
    try:
        os.setxattr(spot.root / "a", "user.note", b"kept")
    except (AttributeError, OSError):
        pytest.skip("this file system has no user attributes")
    apply(spot, places, [modify("a", b"1", b"2")], "")
    assert os.getxattr(spot.root / "a", "user.note") == b"kept"


def test_the_owner_of_a_file_is_kept(here):
    if os.geteuid() != 0:
        pytest.skip("only root edits another user's files")
    spot, places = here
    write(spot.root / "a", b"1", 0o4755)
    os.chown(spot.root / "a", 1234, 1235)
    (spot.root / "a").chmod(0o4755)
    apply(spot, places, [modify("a", b"1", b"2")], "")
    status = (spot.root / "a").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 1235, 0o4755)


def test_a_small_change_takes_a_few_milliseconds(here):
    spot, places = here
    content = b"x" * 10_000
    write(spot.root / "a", content)
    times = []
    for turn in range(40):
        begin = time.perf_counter()
        after = b"%d" % turn + content
        apply(spot, places, [modify("a", (spot.root / "a").read_bytes(), after)], "")
        times.append(time.perf_counter() - begin)
    assert sorted(times)[20] < 0.05
