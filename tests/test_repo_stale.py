"""A file that changed since the model saw it: both changes are merged, or the conflict is shown and nothing written."""

from pathlib import Path

import pytest

from coder.repo.draft import Draft
from coder.repo.merge import merge3
from coder.repo.patch.edits import PatchRefused
from tests.conversation import User
from tests.fake_openai import FakeOpenAI, free_text_call, text
from tests.repo_tools import Ground, new_ground
from tests.work import coder, make_repository

LINES = "".join(f"line {number} of the text\n" for number in range(1, 21))
EDIT = """*** Begin Patch
*** Update File: a.txt
@@
 line 4 of the text
-line 5 of the text
+LINE 5
 line 6 of the text
*** End Patch
"""


def mine(number: int) -> str:
    """The text with a line that the user changed."""
    return LINES.replace(f"line {number} of the text", f"mine, in place of {number}")


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = new_ground(tmp_path)
    ground.commit(**{"a.txt": LINES})
    return ground


def carried(ground: Ground, now: str, edit: str = EDIT) -> bytes | None:
    """What an edit that speaks of LINES makes of the file as it is `now`."""
    ground.write("a.txt", LINES)
    with ground.open() as repository:
        known = repository.snapshot().tree
        ground.write("a.txt", now)
        draft = Draft(repository, repository.snapshot(), known)
        draft.edit(edit)
        return draft.read("a.txt")


def test_an_edit_of_the_file_as_it_was_seen_is_merged_with_what_changed_since(ground: Ground):
    now = mine(3).replace("line 7", "new\nline 7").replace("line 18", "mine 18")
    edit = EDIT.replace(" line 4", " line 1 of the text\n line 2 of the text\n line 3 of the text\n line 4")
    edit = edit.replace(" line 6 of the text", " line 6 of the text\n line 7 of the text\n line 8 of the text")
    assert carried(ground, now, edit) == now.replace("line 5 of the text", "LINE 5").encode()


def test_a_conflict_is_shown_and_refused(ground: Ground):
    with pytest.raises(PatchRefused) as refusal:
        carried(ground, mine(5))
    said = str(refusal.value)
    assert [problem.kind for problem in refusal.value.problems] == ["stale"]
    assert "at line 5:" in said and "mine, in place of 5" in said and "LINE 5" in said
    assert len(said.splitlines()) <= 40 and (ground.root / "a.txt").read_text() == mine(5)


def test_what_fits_neither_the_file_nor_what_was_seen_is_refused_as_ever(ground: Ground):
    with pytest.raises(PatchRefused, match="not in the file"):
        carried(ground, mine(5), EDIT.replace("-line 5", "-nowhere 5"))


def test_many_conflicts_are_counted_where_they_are_not_shown():
    base = "".join(f"{number}\n\n\n\n" for number in range(50)).encode()
    merge = merge3(base, base.replace(b"\n\n", b" ours\n\n"), base.replace(b"\n\n", b" theirs\n\n"))
    assert merge.conflict and len(merge.shown.splitlines()) <= 24 and "more lines" in merge.shown
    assert merge3(base, base, base + b"x").shown == ""


# ── through the whole program ────────────────────────────────────────────────────────────────────


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", {"a.txt": LINES})


def changing(root: Path, now: str) -> list[object]:
    """What a model answers while the user changes the file to `now`."""

    def change(body: object) -> object:
        (root / "a.txt").write_text(now)
        return text("Done.")

    return [free_text_call("apply_patch", EDIT), change]


def test_a_change_of_the_users_during_a_run_that_conflicts_is_shown_and_stays(root: Path) -> None:
    with FakeOpenAI(changing(root, mine(5))) as server:
        ended = coder(root, "run", "be loud", "--no-test", "--output", "json", env=server.environ())
    assert ended.code == 1 and "mine, in place of 5" in str(ended.result["error"]), ended.err
    assert (root / "a.txt").read_text() == mine(5)


def test_a_stale_edit_that_is_applied_by_hand_is_refused_with_the_true_lines(root: Path, tmp_path: Path) -> None:
    (root / "a.txt").write_text(mine(5))
    (tmp_path / "edit").write_text(EDIT)
    ended = coder(root, "apply", str(tmp_path / "edit"))
    assert ended.code == 1 and "a.txt, hunk 1" in ended.err and "5 | mine, in place of 5" in ended.err
    assert (root / "a.txt").read_text() == mine(5)


def test_changes_of_the_users_during_and_between_turns_are_merged(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = EDIT.replace("5", "11").replace("line 4", "line 10").replace(" line 6", " line 12") + "\n"
    now = mine(15)
    later = now.replace("line 5 of the text", "LINE 5").replace("line 13 of the text", "mine 13")
    far = stale.replace(" line 12 of the text", "".join(f" line {n} of the text\n" for n in (12, 13, 14)).rstrip())
    with FakeOpenAI([*changing(root, now), free_text_call("apply_patch", far), text("Done.")]) as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        user = User(root)
        user.turns("s", "be loud")
        assert (root / "a.txt").read_text() == now.replace("line 5 of the text", "LINE 5")
        (root / "a.txt").write_text(later)
        user.turns("s", "be louder", resume=True)
    assert (root / "a.txt").read_text() == later.replace("line 11 of the text", "LINE 11")
