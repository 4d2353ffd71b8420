"""Repositories that mean harm, met by the whole program: what they hold steers nothing and runs nowhere."""

from pathlib import Path

from tests.fake_openai import Answer, FakeOpenAI, free_text_call, text
from tests.work import CALC, FIX, FIXED, coder, make_repository


def test_a_bad_file_of_a_trusted_repository_keeps_nobody_from_taking_back(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    assert coder(root, "trust", "add").code == 0
    (root / ".coder.toml").write_text('base_url = "http://127.0.0.1:1"\n')
    assert coder(root, "context", "x").code == 2
    assert coder(root, "apply", "-", stdin=FIX).code == 0
    assert (root / "calc.py").read_text() == FIXED
    assert coder(root, "undo", "--yes").code == 0
    assert coder(root, "trust", "remove").code == 0
    assert coder(root, "trust", "list").out == ""


def test_an_edit_does_not_move_a_secret_to_a_name_that_hides_it(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo", {".gitignore": ".env\n"})
    (root / ".env").write_text("KEY=1\n")
    rename = "diff --git a/.env b/notes.txt\nsimilarity index 100%\nrename from .env\nrename to notes.txt\n"
    ended = coder(root, "apply", "-", stdin=rename)
    assert (ended.code, (root / ".env").exists(), (root / "notes.txt").exists()) == (1, True, False)
    assert "secrets" in ended.err


def test_a_repository_that_is_moved_away_meanwhile_is_no_bug(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")

    def move(_: object) -> Answer:
        root.rename(tmp_path / "moved")
        return text("done")

    with FakeOpenAI([free_text_call("apply_patch", FIX), move]) as server:
        ended = coder(root, "run", "x", "--no-test", "--output", "json", env=server.environ())
    assert (ended.code, "is gone" in ended.err) == (1, True), ended.err
    assert (tmp_path / "moved" / "calc.py").read_text() == CALC
    assert not root.exists()
