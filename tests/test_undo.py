"""Checkpoints: listing, preview, undo, undo of undo, and what undo never touches."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.errors import UserError
from coder.repo.apply import FileChange, Stale, apply
from coder.repo.checkpoint import list_checkpoints, preview, prune, undo
from coder.store import Places
from coder.values import Checkpoint
from tests.apply_tools import MEMORY, Spot, create, delete, modify, new_spot, picture, write


@pytest.fixture
def here(tmp_path: Path) -> tuple[Spot, Places]:
    return new_spot(tmp_path)


def three_files(spot: Spot, places: Places) -> Checkpoint:
    write(spot.root / "a", b"1", 0o640)
    write(spot.root / "gone/b", b"2", 0o755)
    changes = [modify("a", b"1", b"one"), create("new/c", b"three"), delete("gone/b", b"2")]
    return apply(spot, places, changes, "three")


def test_undo_restores_bytes_modes_and_directories(here):
    spot, places = here
    write(spot.root / "a", b"1", 0o640)
    write(spot.root / "gone/b", b"2", 0o755)
    (spot.root / "gone").chmod(0o700)
    before = picture(spot.root)
    done = three_files(spot, places)
    applied = picture(spot.root)
    undone = undo(spot, places)
    assert picture(spot.root) == before
    undo(spot, places, undone.id)
    assert picture(spot.root) == applied
    assert [c.id for c in list_checkpoints(spot, places) if c.undone] == [undone.id]
    undo(spot, places, done.id)
    assert picture(spot.root) == before


def test_the_preview_says_what_undo_will_do(here):
    spot, places = here
    done = three_files(spot, places)
    write(spot.root / "a", b"the user's")
    items = preview(spot, places, done.id)
    assert [(item.path, item.action, item.now, item.then, item.blocked) for item in items] == [
        ("a", "restore", b"the user's", b"1", "changed since coder wrote it"),
        ("new/c", "remove", b"three", None, ""),
        ("gone/b", "recreate", None, b"2", ""),
    ]


def test_undo_refuses_as_a_whole_when_a_file_changed_since(here):
    spot, places = here
    three_files(spot, places)
    write(spot.root / "a", b"the user's")
    before = picture(spot.root)
    with pytest.raises(Stale) as stale:
        undo(spot, places)
    assert stale.value.paths == ("a",)
    assert picture(spot.root) == before


def test_a_partial_undo_leaves_out_what_changed_since(here):
    spot, places = here
    three_files(spot, places)
    write(spot.root / "a", b"the user's")
    done = undo(spot, places, partial=True)
    assert done.warnings == ("a changed since coder wrote it; it was left as it is",)
    assert done.paths == ("gone/b", "new/c")
    assert (spot.root / "a").read_bytes() == b"the user's"
    assert (spot.root / "gone/b").read_bytes() == b"2"


def test_a_changed_mode_is_a_change(here):
    spot, places = here
    three_files(spot, places)
    (spot.root / "a").chmod(0o755)
    with pytest.raises(Stale):
        undo(spot, places)


def test_what_already_is_as_it_was_does_not_block(here):
    spot, places = here
    three_files(spot, places)
    write(spot.root / "a", b"1", 0o640)
    assert undo(spot, places).paths == ("gone/b", "new/c")


def test_what_the_user_took_back_by_hand_counts_as_undone(here):
    spot, places = here
    write(spot.root / "a", b"0")
    apply(spot, places, [modify("a", b"0", b"1")], "first")
    second = apply(spot, places, [modify("a", b"1", b"2")], "second")
    write(spot.root / "a", b"1")
    assert undo(spot, places).paths == ()
    with pytest.raises(UserError, match="already undone"):
        undo(spot, places, second.id)
    assert undo(spot, places).paths == ("a",)
    assert (spot.root / "a").read_bytes() == b"0"


def test_undo_walks_back_one_change_at_a_time(here):
    spot, places = here
    write(spot.root / "a", b"0")
    for turn in (b"1", b"2", b"3"):
        apply(spot, places, [modify("a", (spot.root / "a").read_bytes(), turn)], "")
    for expected in (b"2", b"1", b"0"):
        undo(spot, places)
        assert (spot.root / "a").read_bytes() == expected
    with pytest.raises(UserError, match="nothing to undo"):
        undo(spot, places)


def test_an_older_checkpoint_is_not_undone_over_a_newer_one(here):
    spot, places = here
    write(spot.root / "a", b"0")
    first = apply(spot, places, [modify("a", b"0", b"1")], "")
    apply(spot, places, [modify("a", b"1", b"2")], "")
    with pytest.raises(Stale):
        undo(spot, places, first.id)


def test_the_list_is_newest_first_whatever_the_clock_says(here, monkeypatch):
    spot, places = here
    now = time.time()
    for turn, shift in enumerate((0, -86_400, 86_400, -5)):
        monkeypatch.setattr(time, "time", lambda shift=shift: now + shift)
        apply(spot, places, [create(f"f{turn}", b"")], f"turn {turn}")
    assert [c.label for c in list_checkpoints(spot, places)] == ["turn 3", "turn 2", "turn 1", "turn 0"]
    assert undo(spot, places).paths == ("f3",)


def test_an_unknown_id_is_the_users_mistake(here):
    spot, places = here
    three_files(spot, places)
    for wrong in ("nope", "../../etc/passwd"):
        with pytest.raises(UserError, match="no checkpoint"):
            preview(spot, places, wrong)


def test_an_id_may_be_shortened_while_it_is_clear(here):
    spot, places = here
    done = three_files(spot, places)
    assert undo(spot, places, done.id[:-2]).paths == done.paths


def test_checkpoints_outlive_git_gc_and_branch_switches(here):
    spot, places = here
    shutil.rmtree(spot.git_dir)

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=u", "-c", "user.email=u@example.org")
        subprocess.run(("git", *identity, "-C", spot.root, *arguments), check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    write(spot.root / "a", b"1")
    git("add", "a")
    git("commit", "-qm", "one")
    write(spot.root / "a", b"unsaved")
    apply(spot, places, [modify("a", b"unsaved", b"2")], "")
    git("stash")
    git("switch", "-qc", "other")
    git("stash", "pop")
    git("gc", "-q", "--prune=now")
    undo(spot, places)
    assert (spot.root / "a").read_bytes() == b"unsaved"


def test_another_branchs_file_is_not_overwritten(here):
    spot, places = here
    write(spot.root / "a", b"1")
    apply(spot, places, [modify("a", b"1", b"2")], "")
    write(spot.root / "a", b"other branch")
    with pytest.raises(Stale):
        undo(spot, places)


def test_a_link_in_the_place_of_a_file_blocks_undo(here, tmp_path):
    spot, places = here
    write(spot.root / "d/a", b"1")
    apply(spot, places, [modify("d/a", b"1", b"2")], "")
    os.rename(spot.root / "d", tmp_path / "elsewhere")
    (spot.root / "d").symlink_to(tmp_path / "elsewhere")
    assert "symlink" in preview(spot, places)[0].blocked
    with pytest.raises(Stale):
        undo(spot, places)
    assert (tmp_path / "elsewhere/a").read_bytes() == b"2"


def test_old_checkpoints_are_pruned_and_unfinished_changes_are_not(here):
    spot, places = here
    three_files(spot, places)
    write(spot.root / "x", b"")
    apply(spot, places, [modify("x", b"", b"1")], "young")
    files = sorted((places.state / "checkpoints").rglob("*.checkpoint"))
    pending = files[0].with_name("pending")
    pending.write_bytes(files[0].read_bytes())
    for file in (files[0], pending):
        os.utime(file, (0, 0))
    assert prune(places, 30) == 1
    pending.unlink()
    assert [c.label for c in list_checkpoints(spot, places)] == ["young"]


def test_a_damaged_checkpoint_is_left_out_and_harms_nothing(here):
    spot, places = here
    three_files(spot, places)
    apply(spot, places, [create("y", b"1")], "whole")
    file = min((places.state / "checkpoints").rglob("*.checkpoint"))
    file.write_bytes(b"[" * 100_000)
    assert [c.label for c in list_checkpoints(spot, places)] == ["whole"]


# A tree of few names, so that files and directories meet, and two states of it.
NAMES = st.sampled_from(["a", "b", "a/b", "a/b/c", "d/e", "d/f", "d/g/h", "caf\udce9"])
MODES = st.sampled_from([0o644, 0o755, 0o600, 0o444])
FILES = st.dictionaries(NAMES, st.tuples(st.binary(max_size=40), MODES), max_size=6).filter(
    lambda files: not any(other.startswith(f"{path}/") for path in files for other in files)
)


@settings(max_examples=80, deadline=None, database=None)
@given(FILES, FILES)
def test_apply_then_undo_is_the_identity(old, new):
    with tempfile.TemporaryDirectory(prefix="coder-test-", dir=MEMORY) as name:
        spot, places = new_spot(Path(name))
        (spot.root / "d").mkdir(mode=0o711)  # may stay empty, and must then stay
        for path, (content, mode) in old.items():
            write(spot.root / path, content, mode)
        before = picture(spot.root)
        changes = [
            FileChange(path, *old.get(path, (None, None)), new[path][0], bool(new[path][1] & 0o100))
            if path in new
            else delete(path, old[path][0])
            for path in old.keys() | new.keys()
        ]
        done = apply(spot, places, changes, "property")
        after = picture(spot.root)
        assert {path: seen[2] for path, seen in after.items() if seen[0] == "-"} == {p: c for p, (c, _) in new.items()}
        if done.id:
            undone = undo(spot, places)
            assert picture(spot.root) == before
            undo(spot, places, undone.id)
            assert picture(spot.root) == after
