"""What the model is told at the start of a turn: the repository once, afterwards only differences, nothing withheld."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.config import ContextSettings, Settings
from coder.repo.draft import Draft
from coder.repo.repository import Repository
from coder.session.briefing import Briefing
from tests.desk import FILES, FIX, make_repository, places_in


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    root = make_repository(tmp_path / "repo", {**FILES, "private.txt": "canary\n", "logo.png": b"\0"})
    with Repository.open(root, places_in(tmp_path), "s") as opened:
        yield opened


def brief(repository: Repository) -> Briefing:
    settings = Settings(context=ContextSettings(exclude=("private.txt",)))
    return Briefing(repository, settings, repository.places, trusted=False)


def test_the_repository_is_shown_once_and_later_only_what_changed(repository: Repository):
    briefing, root = brief(repository), repository.location.root
    _, (section, task) = briefing.open_turn(repository.snapshot(), "one")
    assert "return a - b" in section and task == "one"
    (root / "calc.py").write_text("changed = True\n")
    _, (difference, task) = briefing.open_turn(repository.snapshot(), "two")
    assert "+changed = True" in difference and task == "two"
    assert briefing.open_turn(repository.snapshot(), "three")[1] == ["three"]


def test_a_difference_shows_nothing_withheld(repository: Repository):
    briefing, root = brief(repository), repository.location.root
    briefing.open_turn(repository.snapshot(), "one")
    (root / "private.txt").write_text("canary two\n")
    (root / "logo.png").write_bytes(b"\0\1")
    (root / ".env").write_text("TOKEN=canary\n")
    (root / "new.txt").write_text(f"AKIA{'A' * 16}\n")
    assert briefing.open_turn(repository.snapshot(), "two")[1] == ["two"]


def test_edits_that_did_not_land_are_told_as_a_difference(repository: Repository):
    briefing, snapshot = brief(repository), repository.snapshot()
    briefing.open_turn(snapshot, "one")
    draft = Draft(repository, snapshot)
    draft.edit(FIX)
    briefing.saw(draft.tree)
    _, (difference, _) = briefing.open_turn(repository.snapshot(), "two")
    assert "-    return a + b\n+    return a - b\n" in difference
